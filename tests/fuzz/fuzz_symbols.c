/* Any bytes, through each grammar's extractor, its facts through their reader, and as facts themselves.
 * The first byte picks the language, so that a corpus finds its way into every grammar. */
#include "repo/extract.h"
#include "repo/facts.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* Facts that were made by us must read back whole; others may be bad, but never lead outside. */
static void read_back(dr_cspan bytes, bool ours)
{
    dr_facts_reader r = dr_facts__open(bytes);
    for (uint32_t i = 0; i < r.n_names; i++) {
        const dr_str name = dr_facts__name(&r);
        require(name.n == 0 ||
                ((const uint8_t *)name.s >= bytes.data && (const uint8_t *)name.s + name.n <= bytes.data + bytes.n));
    }
    for (uint32_t i = 0; i < r.n_defs; i++) {
        const dr_facts_def d = dr_facts__def(&r);
        require(r.bad || (d.name < r.n_names && d.first_line >= 1 && d.first_line <= d.line && d.line <= d.end_line));
    }
    for (uint32_t i = 0; i < r.n_imports; i++) {
        uint32_t line;
        dr_import_form form;
        require(dr_facts__import(&r, &line, &form) < r.n_names || r.bad);
        require(form < DR_N_IMPORT_FORMS);
    }
    for (uint32_t i = 0; i < r.n_refs; i++) {
        uint32_t line;
        bool is_call;
        require(dr_facts__ref(&r, &line, &is_call) < r.n_names || r.bad);
    }
    require(!ours || (!r.bad && r.p == r.end));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    dr_walk walk;
    dr_buf facts = {0};

    if (size == 0)
        return 0;
    const dr_lang lang = (dr_lang)(DR_LANG_C + data[0] % (DR_N_LANGS - DR_LANG_C));
    /* A copy of exactly this size, so that reading one byte too many is seen. */
    char *text = malloc(size - 1 ? size - 1 : 1);
    if (!text || !dr_walk_init(&walk)) {
        free(text);
        return 0;
    }
    for (size_t i = 1; i < size; i++)
        text[i - 1] = (char)data[i];
    const dr_str all = {text, size - 1};
    (void)dr_lang_of(DR_STR("x.h"), all);
    if (dr_walk_extract(&walk, lang, all) == DR_OK) {
        for (size_t i = 0; i < walk.n_defs; i++)
            require((size_t)walk.defs[i].name_at + walk.defs[i].name_n <= all.n);
        if (dr_facts__encode(&facts, &walk))
            read_back((dr_cspan){(const uint8_t *)facts.data, facts.n}, true);
    }
    read_back((dr_cspan){data, size}, false);
    dr_buf_free(&facts);
    dr_walk_fini(&walk);
    free(text);
    return 0;
}
