/* app/model_import.c: `deepread model import`: makes what a published folder lacks, its dialect.json, from the prompt texts that it does bring. */
#include "app/model_parts.h"

#include "engine/dialect.h"
#include "engine/dialect_import.h"
#include "engine/python_literals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ENCODING "encoding/encoding_dsv4.py"

/* Already so: true. Another text than ours: refused, for it may have been written by hand. */
static dr_status is_there(bool *same, const char *path, dr_str json, dr_error *err)
{
    dr_buf old = {0};
    dr_error why = {0};
    dr_status st = dr_read_file(&old, path, DR_PYTHON_FILE_BYTES, &why);

    *same = st == DR_OK && dr_str_eq(dr_buf_view(&old), json);
    if (st == DR_ERR_NOT_FOUND)
        st = DR_OK;
    else if (st != DR_OK)
        *err = why;
    else if (!*same)
        st = dr_fail(err, DR_ERR_ARG, "%s is there and says something else: move it away, or write to another folder with --out", path);
    dr_buf_free(&old);
    return st;
}

static void report(const dr_model_command *c, const char *path, const dr_import *import, const dr_dialect *dialect, bool same)
{
    json_t *efforts = json_array();

    for (size_t i = 0; dr_dialect_effort_at(dialect, i).n; i++)
        (void)json_array_append_new(efforts, dr_output_text(dr_dialect_effort_at(dialect, i)));
    if (c->opt->json)
        dr_output_event(c->out, json_pack("{s:s,s:i,s:o,s:s,s:b,s:O,s:b}", "type", "import", "schema", DR_EVENT_SCHEMA, "file",
                                          dr_output_text(dr_str_of(path)), "release", import->release, "known", import->known,
                                          "efforts", efforts, "written", !same));
    else {
        printf("%s: %s, efforts", path, import->known ? import->release : "of a release that is not known here");
        for (size_t i = 0; dr_dialect_effort_at(dialect, i).n; i++) {
            char *name = strndup(dr_dialect_effort_at(dialect, i).s, dr_dialect_effort_at(dialect, i).n);
            if (name)
                dr_output_make_safe(name); /* it is the file's */
            printf("%s %s", i ? "," : "", name ? name : "?");
            free(name);
        }
        puts(same ? "; it was there already" : "");
    }
    json_decref(efforts);
}

/* Why there is no encoding file: one sentence. */
static dr_status nothing_to_import(const dr_model_command *c, dr_error *err)
{
    struct stat sb;
    dr_buf path = {0};
    dr_status st;

    dr_buf_printf(&path, "%s/dialect.json", c->dir);
    if (path.failed)
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
    else if (stat(c->dir, &sb) < 0)
        st = dr_fail(err, DR_ERR_NOT_FOUND, "%s: %s", c->dir, strerror(errno));
    else if (stat(path.data, &sb) == 0)
        st = dr_fail(err, DR_ERR_NOT_FOUND, "%s: dialect.json is there already, and no " ENCODING " to make another from", c->dir);
    else
        st = dr_fail(err, DR_ERR_NOT_FOUND,
                     "%s: no " ENCODING ": copy it from the checkpoint's page, or write dialect.json by hand (docs/model-folder.md)", c->dir);
    dr_buf_free(&path);
    return st;
}

/* Folder of the result, made when it is not there. */
static dr_status make_folder(const char *folder, dr_error *err)
{
    struct stat sb;

    if (stat(folder, &sb) == 0)
        return S_ISDIR(sb.st_mode) ? DR_OK : dr_fail(err, DR_ERR_ARG, "--out %s: not a folder", folder);
    return dr_make_dirs(folder, 0777, err);
}

dr_status dr_model_part__import(const dr_model_command *c, dr_error *err)
{
    const char *folder = c->opt->out ? c->opt->out : c->dir;
    dr_buf from = {0}, to = {0}, python = {0};
    dr_import import = {0};
    dr_dialect *dialect = NULL;
    bool same = false;
    dr_status st;

    dr_buf_printf(&from, "%s/" ENCODING, c->dir);
    dr_buf_printf(&to, "%s/dialect.json", folder);
    if (from.failed || to.failed) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    st = dr_read_file(&python, from.data, DR_PYTHON_FILE_BYTES, err);
    if (st == DR_ERR_NOT_FOUND)
        st = nothing_to_import(c, err);
    if (st != DR_OK || (st = dr_dialect_import(&import, dr_buf_view(&python), from.data, c->opt->accept, err)) != DR_OK ||
        (st = dr_dialect_parse_file(&dialect, dr_buf_view(&import.json), to.data, err)) != DR_OK ||
        (st = make_folder(folder, err)) != DR_OK || (st = is_there(&same, to.data, dr_buf_view(&import.json), err)) != DR_OK ||
        (!same && (st = dr_write_file(to.data, import.json.data, import.json.n, err)) != DR_OK))
        goto done;
    report(c, to.data, &import, dialect, same);
done:
    dr_dialect_close(dialect);
    dr_import_fini(&import);
    dr_buf_free(&python);
    dr_buf_free(&from);
    dr_buf_free(&to);
    return st;
}
