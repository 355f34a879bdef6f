/* app/tools_edit.c: tools that stage a change. Nothing is written: `deepread edit` shows what was staged, and writes it when asked to. */
#include "app/edit.h"
#include "app/tools_parts.h"

#include <stdlib.h>
#include <string.h>

void dr_tool__add_lines(dr_tool_result *r, const dr_workspace *w, const dr_edit_report *report)
{
    const size_t shown = report->n_lines < (size_t)w->result_lines ? report->n_lines : (size_t)w->result_lines;
    dr_buf_str(&r->text, "lines ");
    for (size_t i = 0; i < shown; i++)
        dr_buf_printf(&r->text, "%s%u", i ? ", " : "", report->lines[i]);
    if (report->n_lines > shown)
        dr_buf_printf(&r->text, " and %zu more", report->n_lines - shown);
}

dr_status dr_tool__refused(dr_tool_result *r, dr_status st, const dr_error *inner, dr_error *err)
{
    if (st == DR_ERR_NOMEM || st == DR_ERR_CANCELLED)
        return dr_fail(err, st, "%s", inner->msg);
    r->outcome = DR_TOOL_REFUSED;
    dr_buf_str(&r->text, inner->msg);
    return DR_OK;
}

static void say(dr_tool_result *r, const char *before, dr_str text, const char *after)
{
    dr_buf_str(&r->text, before);
    dr_tool__add_str(&r->text, text);
    dr_buf_str(&r->text, after);
}

bool dr_tool__may_edit(dr_tool_result *r, const dr_workspace *w)
{
    if (w->edits)
        return true;
    r->outcome = DR_TOOL_REFUSED;
    dr_buf_str(&r->text, "nothing can be edited here");
    return false;
}

/* The file; false: the result says why there is none to edit. */
static dr_status open_file(bool *found, size_t *file, dr_tool_result *r, const dr_workspace *w, dr_str path, dr_error *err)
{
    *found = false;
    return dr_tool__may_edit(r, w) ? dr_tool__find_path(found, file, r, w, path, err) : DR_OK;
}

dr_status dr_tool__edit(dr_tool_result *r, const dr_workspace *w, dr_str path, dr_str old_text, dr_str new_text, dr_error *err)
{
    dr_status st = DR_OK;
    bool found;
    size_t file;
    dr_edit_report report = {0};
    dr_error inner = {0};

    if ((st = open_file(&found, &file, r, w, path, err)) != DR_OK || !found)
        return st;
    if ((st = dr_edits_replace(w->edits, &report, file, old_text, new_text, &inner)) != DR_OK) {
        st = dr_tool__refused(r, st, &inner, err);
        goto done;
    }
    r->outcome = report.outcome == DR_EDIT_STAGED ? DR_TOOL_DONE : DR_TOOL_REFUSED;
    switch (report.outcome) {
    case DR_EDIT_STAGED:
        say(r, "edited ", r->path, "");
        dr_buf_printf(&r->text, ":%u", report.lines[0]);
        st = dr_tool__add_place(r, DR_TOOL_EDIT, (uint32_t)file, report.lines[0], NULL, err);
        break;
    case DR_EDIT_SEVERAL:
        dr_buf_printf(&r->text, "that text stands %zu times in ", report.n_places);
        say(r, "", r->path, ": ");
        dr_tool__add_lines(r, w, &report);
        break;
    case DR_EDIT_SAME: dr_buf_str(&r->text, "old and new are the same"); break;
    case DR_EDIT_MASKED: say(r, "that text holds a masked secret in ", r->path, ""); break;
    default: say(r, "no such text in ", r->path, ""); break;
    }
done:
    free(report.lines);
    return st;
}

dr_status dr_tool__rename(dr_tool_result *r, const dr_workspace *w, dr_str path, dr_str old_name, dr_str new_name, dr_error *err)
{
    dr_status st = DR_OK;
    bool found;
    size_t file;
    dr_edit_report report = {0};
    dr_error inner = {0};

    if ((st = open_file(&found, &file, r, w, path, err)) != DR_OK || !found)
        return st;
    if ((st = dr_edits_rename(w->edits, &report, file, old_name, new_name, &inner)) != DR_OK) {
        st = dr_tool__refused(r, st, &inner, err);
        goto done;
    }
    r->outcome = report.outcome == DR_EDIT_STAGED ? DR_TOOL_DONE : DR_TOOL_REFUSED;
    switch (report.outcome) {
    case DR_EDIT_STAGED:
        dr_buf_printf(&r->text, "renamed %zu places in ", report.n_places);
        say(r, "", r->path, ": ");
        dr_tool__add_lines(r, w, &report);
        for (size_t i = 0; i < report.n_lines && st == DR_OK; i++)
            st = dr_tool__add_place(r, DR_TOOL_RENAME, (uint32_t)file, report.lines[i], NULL, err);
        break;
    case DR_EDIT_TAKEN:
        dr_tool__add_str(&r->text, new_name);
        say(r, " stands already in ", r->path, ": ");
        dr_tool__add_lines(r, w, &report);
        break;
    case DR_EDIT_SAME: dr_buf_str(&r->text, "old and new are the same"); break;
    case DR_EDIT_NO_NAME: say(r, "", new_name, " is not a name"); break;
    case DR_EDIT_MASKED: say(r, "that would show a masked secret in ", r->path, ""); break;
    default:
        say(r, "no name ", old_name, " in ");
        dr_tool__add_str(&r->text, r->path);
        break;
    }
done:
    free(report.lines);
    return st;
}
