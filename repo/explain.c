/* repo/explain.c: why a path is in a snapshot, or why not. */
#include "repo/snapshot.h"

static void add_name(dr_buf *out, dr_str path)
{
    for (size_t i = 0; i < path.n; i++)
        dr_buf_add(out, (uint8_t)path.s[i] < 0x20 || path.s[i] == 0x7f ? "?" : path.s + i, 1);
}

dr_status dr_repo_explain(dr_buf *out, const dr_repo *r, dr_str path, dr_error *err)
{
    size_t i;

    add_name(out, path);
    if (dr_repo_find(r, path, &i)) {
        const dr_repo_file *f = dr_repo_file_at(r, i);
        dr_buf_printf(out, " is %s: %s%s%s", dr_repo_is_text(f) ? "in" : "out", dr_file_class_name(f->cls), f->why ? ", " : "",
                      f->why ? f->why : "");
    } else {
        dr_buf_str(out, " is not in the snapshot");
    }
    return out->failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory") : DR_OK;
}
