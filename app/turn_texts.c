/* app/turn_texts.c: files whose text may be copied into an edit, each indexed once for as long as it stays the same. */
#include "app/turn_texts.h"

#include <stdlib.h>

typedef struct turn_text {
    size_t file;
    uint64_t asked; /* by the grammar of this number, last */
    dr_buf text;
    dr_substrings *index;
} turn_text;

struct dr_turn_texts {
    turn_text v[DR_TURN_TEXTS];
    size_t n;
    uint64_t n_grammars;
};

dr_turn_texts *dr_turn_texts_new(void)
{
    return calloc(1, sizeof(dr_turn_texts));
}

static void drop_text(turn_text *t)
{
    dr_substrings_free(t->index);
    dr_buf_free(&t->text);
    *t = (turn_text){0};
}

void dr_turn_texts_free(dr_turn_texts *t)
{
    for (size_t i = 0; t && i < t->n; i++)
        drop_text(&t->v[i]);
    free(t);
}

/* Where a file's text is kept, or is to be. One grammar asks for DR_TURN_TEXTS files at most, so there is always one that this one has not
 * asked for. */
static turn_text *slot_of(dr_turn_texts *t, size_t file)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->v[i].file == file)
            return &t->v[i];
    if (t->n < DR_TURN_TEXTS)
        return &t->v[t->n++];
    size_t i = 0;
    while (i + 1 < DR_TURN_TEXTS && t->v[i].asked == t->n_grammars)
        i++;
    drop_text(&t->v[i]);
    return &t->v[i];
}

void dr_turn_texts_begin(dr_turn_texts *t)
{
    t->n_grammars++;
}

dr_status dr_turn_texts_of(const dr_substrings **out, dr_turn_texts *t, dr_edits *edits, size_t file, dr_error *err)
{
    dr_status st = DR_OK;
    dr_str text;
    dr_error inner = {0};

    *out = NULL;
    st = dr_edits_text(edits, file, &text, &inner);
    if (st != DR_OK || text.n == 0)
        return st == DR_ERR_NOMEM ? dr_fail(err, st, "%s", inner.msg) : DR_OK;
    turn_text *slot = slot_of(t, file);
    if (slot->index && !dr_str_eq(dr_buf_view(&slot->text), text))
        drop_text(slot);
    slot->file = file;
    slot->asked = t->n_grammars;
    if (!slot->index) {
        dr_buf_clear(&slot->text);
        dr_buf_add(&slot->text, text.s, text.n);
        if (slot->text.failed)
            return dr_fail(err, DR_ERR_NOMEM, "out of memory");
        st = dr_substrings_new(&slot->index, dr_buf_view(&slot->text), err);
    }
    *out = slot->index;
    return st;
}
