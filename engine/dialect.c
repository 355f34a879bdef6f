#include "engine/dialect_parts.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 1 << 20 };

static const struct task {
    const char *name;
    dr_str token;
} tasks[] = {
    {"action", DR_STR("<" DR_BAR "action" DR_BAR ">")},       {"query", DR_STR("<" DR_BAR "query" DR_BAR ">")},
    {"authority", DR_STR("<" DR_BAR "authority" DR_BAR ">")}, {"domain", DR_STR("<" DR_BAR "domain" DR_BAR ">")},
    {"title", DR_STR("<" DR_BAR "title" DR_BAR ">")},         {"read_url", DR_STR("<" DR_BAR "read_url" DR_BAR ">")},
};
enum { N_TASKS = sizeof tasks / sizeof tasks[0] };

dr_str dr_dialect__task_token(dr_str task)
{
    for (size_t i = 0; i < N_TASKS; i++)
        if (dr_str_eq(task, dr_str_of(tasks[i].name)))
            return tasks[i].token;
    return (dr_str){0};
}

static bool starts_with(dr_str s, dr_str prefix)
{
    return s.n >= prefix.n && memcmp(s.s, prefix.s, prefix.n) == 0;
}

dr_str dr_dialect__control_at(dr_str s)
{
    static const dr_str literals[] = {DR_STR(DR_LITERAL_BOS),      DR_STR(DR_LITERAL_EOS),   DR_STR(DR_LITERAL_USER),
                                      DR_STR(DR_LITERAL_ASSISTANT), DR_STR(DR_LITERAL_REMINDER), DR_STR(DR_LITERAL_THINK),
                                      DR_STR(DR_LITERAL_END_THINK), DR_STR(DR_LITERAL_DSML)};

    /* None is the beginning of another, so the first that fits is the longest. */
    for (size_t i = 0; i < sizeof literals / sizeof literals[0]; i++)
        if (starts_with(s, literals[i]))
            return literals[i];
    for (size_t i = 0; i < N_TASKS; i++)
        if (starts_with(s, tasks[i].token))
            return tasks[i].token;
    return (dr_str){0};
}

static dr_status take_text(dr_str *out, const dr_json *root, const char *key, const char *name, dr_error *err)
{
    const dr_json *v = dr_json_get(root, key);

    if (!v || v->type != DR_JSON_STRING)
        return dr_fail(err, DR_ERR_FORMAT, "%s: \"%s\" is not a text", name, key);
    *out = dr_json_text(v);
    return DR_OK;
}

static dr_status take_efforts(dr_dialect *d, const dr_json *efforts, const char *name, dr_error *err)
{
    if (!efforts || efforts->type != DR_JSON_OBJECT)
        return dr_fail(err, DR_ERR_FORMAT, "%s: \"effort\" is not an object of texts", name);
    if (!(d->efforts = calloc(efforts->n / 2 + 1, sizeof *d->efforts)))
        return dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", name);
    for (const dr_json *k = dr_json_first(efforts), *end = dr_json_end(efforts); k != end; k = dr_json_after(k + 1)) {
        if (k[1].type != DR_JSON_STRING)
            return dr_fail(err, DR_ERR_FORMAT, "%s: effort \"%.*s\" is not a text", name, (int)k->n, k->text);
        d->efforts[d->n_efforts++] = (dr_effort){dr_json_text(k), dr_json_text(k + 1)};
    }
    return DR_OK;
}

dr_status dr_dialect_parse_file(dr_dialect **out, dr_str json, const char *name, dr_error *err)
{
    static const char *const known[] = {"format", "release", "tools_head", "tools_tail", "effort"};
    dr_status st = DR_OK;
    dr_dialect *d = calloc(1, sizeof *d);
    int64_t format = 0;

    *out = NULL;
    if (!d || !(d->source = malloc(json.n + 1))) {
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", name);
        goto done;
    }
    if (json.n)
        memcpy(d->source, json.s, json.n);
    if ((st = dr_json_parse(&d->doc, (dr_str){d->source, json.n}, name, err)) != DR_OK)
        goto done;
    const dr_json *root = d->doc.root;
    if (root->type != DR_JSON_OBJECT || !dr_json_int(dr_json_get(root, "format"), &format) || format != 1) {
        st = dr_fail(err, DR_ERR_FORMAT, "%s: an object with \"format\": 1 is expected", name);
        goto done;
    }
    for (const dr_json *k = dr_json_first(root), *end = dr_json_end(root); k != end; k = dr_json_after(k + 1)) {
        size_t i = 0;
        while (i < sizeof known / sizeof known[0] && !dr_str_eq(dr_json_text(k), dr_str_of(known[i])))
            i++;
        if (i == sizeof known / sizeof known[0]) {
            st = dr_fail(err, DR_ERR_FORMAT, "%s: unknown key \"%.*s\"", name, (int)k->n, k->text);
            goto done;
        }
    }
    if (dr_json_get(root, "release") && (st = take_text(&d->release, root, "release", name, err)) != DR_OK)
        goto done;
    if ((st = take_text(&d->tools_head, root, "tools_head", name, err)) != DR_OK ||
        (st = take_text(&d->tools_tail, root, "tools_tail", name, err)) != DR_OK ||
        (st = take_efforts(d, dr_json_get(root, "effort"), name, err)) != DR_OK)
        goto done;
    *out = d;
    d = NULL;
done:
    dr_dialect_close(d);
    return st;
}

dr_status dr_dialect_open(dr_dialect **out, const char *dir, dr_error *err)
{
    char path[PATH_MAX];
    dr_buf text = {0};
    dr_status st = DR_OK;

    *out = NULL;
    if ((size_t)snprintf(path, sizeof path, "%s/dialect.json", dir) >= sizeof path)
        return dr_fail(err, DR_ERR_ARG, "%s: too long a path", dir);
    st = dr_read_file(&text, path, MAX_FILE, err);
    if (st == DR_ERR_NOT_FOUND)
        st = dr_fail(err, st,
                     "%s: there is no dialect.json, the prompt texts the checkpoint was trained with: `deepread model import` makes it "
                     "from encoding/encoding_dsv4.py (docs/model-folder.md)",
                     dir);
    else if (st == DR_OK)
        st = dr_dialect_parse_file(out, dr_buf_view(&text), path, err);
    dr_buf_free(&text);
    return st;
}

dr_str dr_dialect_release(const dr_dialect *d)
{
    return d->release;
}

dr_str dr_dialect_effort_at(const dr_dialect *d, size_t i)
{
    return i < d->n_efforts ? d->efforts[i].name : (dr_str){0};
}

void dr_dialect_close(dr_dialect *d)
{
    if (!d)
        return;
    dr_json_free(&d->doc);
    free(d->efforts);
    free(d->source);
    free(d);
}
