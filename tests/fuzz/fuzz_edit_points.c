/* Any bytes through what finds a place for a change: every place lies in the text, and the text that results is read again. The first byte picks the
 * language, the second what is to be added. */
#include "repo/edit_points.h"
#include "repo/extract.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD = 2, MOST = 10 };

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* The text with the change in it is a text like any other: its tree can be read. */
static void apply(const dr_edit_point *p, dr_lang lang, dr_str text)
{
    dr_buf next = {0};
    dr_syntax *syntax = NULL;

    require((size_t)p->at + p->n <= text.n && p->text.n > 0);
    dr_buf_add(&next, text.s, p->at);
    dr_buf_add(&next, p->text.data, p->text.n);
    dr_buf_add(&next, text.s + p->at + p->n, text.n - p->at - p->n);
    if (!next.failed && dr_syntax_open(&syntax, lang, dr_buf_view(&next), NULL) == DR_OK)
        (void)dr_syntax_n_errors(syntax);
    dr_syntax_close(syntax);
    dr_buf_free(&next);
}

static void ask(const dr_syntax *s, dr_lang lang, dr_str text, dr_str name, dr_str statement)
{
    dr_edit_point p = {0};
    dr_edit_span *spans = NULL;
    size_t n, n_defs;

    require(dr_edit_points_values(&spans, &n, &n_defs, s, name, NULL) == DR_OK && n <= n_defs);
    for (size_t i = 0; i < n; i++)
        require((size_t)spans[i].at + spans[i].n <= text.n && spans[i].n > 0 && (i == 0 || spans[i].at > spans[i - 1].at));
    free(spans);
    require(dr_edit_point_statement(&p, s, name, statement, NULL) == DR_OK);
    if (p.kind == DR_POINT_FOUND)
        apply(&p, lang, text);
    dr_edit_point_fini(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const imports[] = {"a.h", "<a.h>", "import a", "\"x\"", "use a::b;", "(", ";"};
    static const char *const statements[] = {"f();", "f()\ng()", "if x: y", "// c", "}"};
    dr_walk walk;
    dr_syntax *syntax = NULL;
    dr_edit_point p = {0};

    if (size < HEAD)
        return 0;
    const dr_lang lang = (dr_lang)(DR_LANG_C + data[0] % (DR_N_LANGS - DR_LANG_C));
    char *text = malloc(size - HEAD ? size - HEAD : 1); /* of exactly this size, so that reading one byte too many is seen */
    if (!text || !dr_walk_init(&walk)) {
        free(text);
        return 0;
    }
    memcpy(text, data + HEAD, size - HEAD);
    const dr_str all = {text, size - HEAD};
    const dr_str import = dr_str_of(imports[data[1] % (sizeof imports / sizeof *imports)]);
    const dr_str statement = dr_str_of(statements[data[1] % (sizeof statements / sizeof *statements)]);
    if (dr_walk_extract(&walk, lang, all) == DR_OK && dr_syntax_open(&syntax, lang, all, NULL) == DR_OK) {
        require(dr_edit_point_import(&p, syntax, import, NULL) == DR_OK);
        if (p.kind == DR_POINT_FOUND)
            apply(&p, lang, all);
        dr_edit_point_fini(&p);
        for (size_t i = 0; i < walk.n_defs && i < MOST; i++)
            ask(syntax, lang, all, (dr_str){text + walk.defs[i].name_at, walk.defs[i].name_n}, statement);
    }
    dr_syntax_close(syntax);
    dr_walk_fini(&walk);
    free(text);
    return 0;
}
