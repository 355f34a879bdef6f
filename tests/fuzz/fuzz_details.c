/* Any bytes through the questions to a syntax tree: every definition that the extractor finds in them is asked for its details, the first of
 * them for the places of its name, and definitions of another text are asked for too. The first byte picks the language. */
#include "repo/details.h"
#include "repo/extract.h"
#include "repo/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 40, N_PARTS = 6 };

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void ask(const dr_syntax *s, dr_str name, const dr_sym_def *d)
{
    dr_details parts = {0};
    const dr_buf *const all[N_PARTS] = {&parts.signature, &parts.parameters, &parts.returns, &parts.fields, &parts.value, &parts.line};
    require(dr_details_read(&parts, s, name, d, NULL) == DR_OK);
    for (size_t i = 0; i < N_PARTS; i++)
        require(all[i]->n <= DR_DETAIL_BYTES && dr_text_is_utf8(dr_buf_view(all[i])));
    require(parts.doc.n <= DR_DETAIL_DOC_BYTES && dr_text_is_utf8(dr_buf_view(&parts.doc)));
    dr_details_fini(&parts);
}

static void find_places(const dr_syntax *s, dr_str text, dr_str name)
{
    dr_syntax_place *places = NULL;
    size_t n;
    require(dr_syntax_names(&places, &n, s, name, NULL) == DR_OK);
    for (size_t i = 0; i < n; i++) {
        require((size_t)places[i].at + name.n <= text.n && memcmp(text.s + places[i].at, name.s, name.n) == 0);
        require(i == 0 || (places[i].at > places[i - 1].at && places[i].line >= places[i - 1].line));
    }
    free(places);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    dr_walk walk;
    dr_syntax *syntax = NULL;

    if (size == 0)
        return 0;
    const dr_lang lang = (dr_lang)(DR_LANG_C + data[0] % (DR_N_LANGS - DR_LANG_C));
    char *text = malloc(size - 1 ? size - 1 : 1); /* of exactly this size, so that reading one byte too many is seen */
    if (!text || !dr_walk_init(&walk)) {
        free(text);
        return 0;
    }
    for (size_t i = 1; i < size; i++)
        text[i - 1] = (char)data[i];
    const dr_str all = {text, size - 1};
    if (dr_walk_extract(&walk, lang, all) == DR_OK && dr_syntax_open(&syntax, lang, all, NULL) == DR_OK) {
        (void)dr_syntax_n_errors(syntax);
        for (size_t i = 0; i < walk.n_defs && i < MOST; i++) {
            const dr_extract_def *w = &walk.defs[i];
            const dr_str name = {text + w->name_at, w->name_n};
            dr_sym_def d = {.line = w->line,
                            .first_line = w->first_line,
                            .end_line = w->end_line,
                            .doc_line = w->doc_line,
                            .body_at = w->body_at,
                            .kind = w->kind};
            ask(syntax, name, &d);
            if (i == 0)
                find_places(syntax, all, name);
            d.kind = (uint32_t)i % DR_N_SYM_KINDS; /* of another text */
            d.doc_line = d.line;
            d.body_at = (uint32_t)size;
            ask(syntax, name, &d);
        }
        find_places(syntax, all, DR_STR("a"));
    }
    dr_syntax_close(syntax);
    dr_walk_fini(&walk);
    free(text);
    return 0;
}
