/* Any bytes as attributes files, held against paths that stand in the input too: what is before the first NUL is the
 * file, each line after it a path. A macro must end, and the set and the named rule must agree. */
#include "repo/attributes.h"
#include "repo/pattern.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void ask(const dr_attributes *a, dr_str path, bool is_folder)
{
    const dr_attr_set set = dr_attributes__get(a, path, is_folder);
    for (int i = 0; i < DR_N_ATTRS; i++) {
        dr_attr_rule rule;
        dr_attributes__why(&rule, a, (dr_attr)i, path, is_folder);
        require(rule.state == DR_ATTR_UNSAID || (rule.file.n > 0 && rule.line > 0));
        require(rule.file.n == 0 || rule.text.n > 0);
        if (i == DR_ATTR_EXPORT_IGNORE)
            require(set.export_ignore == (rule.state == DR_ATTR_YES));
        if (i == DR_ATTR_VENDORED)
            require((set.vendored == -1) == (rule.state == DR_ATTR_UNSAID));
        if (i == DR_ATTR_ENCODING)
            require(dr_str_eq(set.encoding, rule.state == DR_ATTR_VALUE ? rule.value : DR_STR("")));
    }
    require(!set.export_ignore || dr_attributes__mentions(a, DR_ATTR_EXPORT_IGNORE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    dr_attributes *a = dr_attributes__new();
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    const size_t n = nul ? (size_t)(nul - data) : size;
    /* Copies of exactly this size, so that reading one byte too many is seen. */
    char *file = malloc(n ? n : 1), *paths = malloc(size - n ? size - n : 1);

    if (!a || !file || !paths || size > 65536)
        goto done;
    memcpy(file, data, n);
    if (nul)
        memcpy(paths, nul + 1, size - n - 1);
    const dr_str content = {file, n};
    require(dr_attributes__add(a, DR_STR(""), DR_STR(".gitattributes"), false, content, NULL) == DR_OK);
    require(dr_attributes__add(a, DR_STR("sub"), DR_STR("sub/.gitattributes"), false, content, NULL) == DR_OK);
    require(dr_attributes__add(a, DR_STR(""), DR_STR("info/attributes"), true, content, NULL) == DR_OK);
    require(dr_attributes__finish(a, NULL) == DR_OK);
    ask(a, DR_STR("a/b.c"), false);
    ask(a, DR_STR("sub/a/b.o"), false);
    ask(a, DR_STR("sub"), true);
    dr_str line;
    const dr_str all = {paths, nul ? size - n - 1 : 0};
    for (dr_lines l = dr_lines__of(all); dr_lines__next(&l, &line);)
        if (line.n) {
            ask(a, line, false);
            ask(a, line, true);
        }
done:
    dr_attributes__free(a);
    free(file);
    free(paths);
    return 0;
}
