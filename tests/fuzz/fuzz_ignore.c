/* Any bytes as an ignore file, held against paths that stand in the input too: what is before the first NUL is the
 * file, each line after it a path. The answers of the evaluator must agree with one another, and one rule must be named
 * for each. */
#include "repo/ignore.h"
#include "repo/pattern.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void ask(const dr_ignore *g, dr_str path, bool is_folder)
{
    dr_ignore_rule rule;
    const bool says = dr_ignore__says(g, path, is_folder, &rule);
    require(!says || rule.file.n > 0);
    require(rule.file.n == 0 || (rule.line > 0 && rule.text.n > 0));
    require(rule.file.n == 0 || says == (rule.text.s[0] != '!'));
    const bool has = dr_ignore__has(g, path, is_folder, &rule);
    require(has || !says);
    require(!has || rule.folder.n <= path.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    dr_ignore *g = dr_ignore__new();
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    const size_t n = nul ? (size_t)(nul - data) : size;
    /* Copies of exactly this size, so that reading one byte too many is seen. */
    char *file = malloc(n ? n : 1), *paths = malloc(size - n ? size - n : 1);

    if (!g || !file || !paths || size > 65536)
        goto done;
    memcpy(file, data, n);
    if (nul)
        memcpy(paths, nul + 1, size - n - 1);
    require(dr_ignore__add(g, DR_STR("sub"), DR_STR("sub/.gitignore"), (dr_str){file, n}, NULL) == DR_OK);
    require(dr_ignore__add(g, DR_STR(""), DR_STR(".gitignore"), (dr_str){file, n}, NULL) == DR_OK);
    ask(g, DR_STR("a/b.c"), false);
    ask(g, DR_STR("sub/a/b.o"), false);
    ask(g, DR_STR("sub"), true);
    dr_str line;
    const dr_str all = {paths, nul ? size - n - 1 : 0};
    for (dr_lines l = dr_lines__of(all); dr_lines__next(&l, &line);)
        if (line.n) {
            ask(g, line, false);
            ask(g, line, true);
        }
done:
    dr_ignore__free(g);
    free(file);
    free(paths);
    return 0;
}
