#include "app/profile.h"

#include "app/tools.h"
#include "engine/speculation.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *const mode_names[] = {[DR_PACK_FULL] = "full", [DR_PACK_MAP] = "map", [DR_PACK_NONE] = "none"};
static const char *const status_names[] = {
    [DR_ANSWERED] = "answered", [DR_ANSWER_DECLINED] = "declined", [DR_ANSWER_UNVERIFIED] = "unverified"};

static const char *const check_names[DR_N_CHECKS] = {
    "",
    [DR_CHECK_DEFINED] = "defined",
    [DR_CHECK_USED] = "used",
    [DR_CHECK_ABSENT] = "absent",
    [DR_CHECK_UNUSED] = "unused",
    [DR_CHECK_DESCRIBED] = "described",
    [DR_CHECK_NO_PARAMETERS] = "no_parameters",
    [DR_CHECK_RETURNS_NOTHING] = "returns_nothing",
    [DR_CHECK_RETURNS_UNDECLARED] = "returns_undeclared",
    [DR_CHECK_NO_COMMENT] = "no_comment",
    [DR_CHECK_FILE] = "file",
    [DR_CHECK_NO_FILE] = "no_file",
    [DR_CHECK_OUTLINE] = "outline",
    [DR_CHECK_NO_OUTLINE] = "no_outline",
    [DR_CHECK_IMPORTS] = "imports",
    [DR_CHECK_NO_IMPORTS] = "no_imports",
    [DR_CHECK_IMPORTERS] = "importers",
    [DR_CHECK_NO_IMPORTERS] = "no_importers",
    [DR_CHECK_CALLS] = "calls",
    [DR_CHECK_NO_CALLS] = "no_calls",
    [DR_CHECK_GREP] = "grep",
    [DR_CHECK_NO_MATCH] = "no_match",
    [DR_CHECK_READING] = "reading",
    [DR_CHECK_EDITED] = "edited",
    [DR_CHECK_NOT_EDITED] = "not_edited",
    [DR_CHECK_ONE_DEFINITION] = "one_definition",
    [DR_CHECK_JUDGED] = "judged",
    [DR_CHECK_NO_CALL_SITES] = "no_call_sites",
};

const char *dr_pack_mode_name(dr_pack_mode m)
{
    return mode_names[m];
}

bool dr_pack_mode_parse(dr_pack_mode *out, const char *name)
{
    for (int i = 0; i < 3; i++)
        if (strcmp(mode_names[i], name) == 0) {
            *out = (dr_pack_mode)i;
            return true;
        }
    return false;
}

const char *dr_answer_status_name(dr_answer_status s)
{
    return status_names[s];
}

static char *dup(const char *s)
{
    return s ? strdup(s) : NULL;
}

/* What an official checkpoint without a profile gets. */
static bool defaults(dr_profile *p)
{
    *p = (dr_profile){
        .name = dup("model"),
        .limits = dup(""),
        .instructions = dup("You answer questions about the repository above. Use the tools to look things up. Support every "
                            "statement about the code with path:line, copied from the repository or from a tool result. "
                            "Say so when you do not know."),
        .pack_mode = DR_PACK_FULL,
        .thinking = true,
        .result_columns = 160,
        .result_lines = 40,
        .max_calls = 24,
        .max_tokens = 16384,
        .drafts = 1,
        .sampling = {.temperature = 1.0f, .top_p = 0.95f},
    };
    static_assert((int)DR_N_ROSTER_TOOLS <= (int)DR_MAX_TOOLS, "a profile has room for the whole roster");
    for (int i = 0; i < DR_N_ROSTER_TOOLS; i++)
        p->tools[p->n_tools++] = dup(dr_tool_name((dr_tool_id)i));
    return p->name && p->limits && p->instructions && p->n_tools && p->tools[p->n_tools - 1];
}

static bool replace(char **field, const char *text)
{
    char *copy = strdup(text);
    if (copy) {
        free(*field);
        *field = copy;
    }
    return copy != NULL;
}

static dr_status read_int(int64_t *out, const json_t *v, int64_t min, int64_t max, const char *key, dr_error *err)
{
    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max)
        return dr_fail(err, DR_ERR_FORMAT, "\"%s\": expected a whole number from %lld to %lld", key, (long long)min,
                       (long long)max);
    *out = json_integer_value(v);
    return DR_OK;
}

static dr_status read_unit(float *out, const json_t *v, double max, const char *key, dr_error *err)
{
    if (!json_is_number(v) || !(json_number_value(v) >= 0 && json_number_value(v) <= max))
        return dr_fail(err, DR_ERR_FORMAT, "\"%s\": expected a number from 0 to %g", key, max);
    *out = (float)json_number_value(v);
    return DR_OK;
}

static dr_status read_sampling(dr_sampling *s, json_t *v, dr_error *err)
{
    dr_status st = DR_OK;
    const char *key;
    json_t *x;

    if (!json_is_object(v))
        return dr_fail(err, DR_ERR_FORMAT, "\"sampling\": expected an object");
    json_object_foreach(v, key, x) {
        int64_t n = 0;
        if (strcmp(key, "temperature") == 0)
            st = read_unit(&s->temperature, x, 10, key, err);
        else if (strcmp(key, "top_p") == 0)
            st = read_unit(&s->top_p, x, 1, key, err);
        else if (strcmp(key, "min_p") == 0)
            st = read_unit(&s->min_p, x, 1, key, err);
        else if (strcmp(key, "seed") == 0) {
            if ((st = read_int(&n, x, 0, INT64_MAX, key, err)) == DR_OK)
                s->seed = (uint64_t)n;
        } else
            st = dr_fail(err, DR_ERR_FORMAT, "\"sampling\" has no key \"%s\"", key);
        if (st != DR_OK)
            break;
    }
    return st;
}

static dr_status read_pack(dr_profile *p, json_t *v, dr_error *err)
{
    dr_status st = DR_OK;
    const char *key;
    json_t *x;

    if (!json_is_object(v))
        return dr_fail(err, DR_ERR_FORMAT, "\"pack\": expected an object");
    json_object_foreach(v, key, x) {
        if (strcmp(key, "mode") == 0) {
            if (!json_is_string(x) || !dr_pack_mode_parse(&p->pack_mode, json_string_value(x)))
                st = dr_fail(err, DR_ERR_FORMAT, "\"pack\": \"mode\" is full, map or none");
        } else if (strcmp(key, "budget") == 0)
            st = read_int(&p->pack_budget, x, 0, INT64_C(1) << 24, key, err);
        else
            st = dr_fail(err, DR_ERR_FORMAT, "\"pack\" has no key \"%s\"", key);
        if (st != DR_OK)
            break;
    }
    return st;
}

static dr_status read_tools(dr_profile *p, json_t *v, dr_error *err)
{
    for (int i = 0; i < p->n_tools; i++)
        free(p->tools[i]);
    p->n_tools = 0;
    if (!json_is_array(v) || json_array_size(v) > DR_MAX_TOOLS)
        return dr_fail(err, DR_ERR_FORMAT, "\"tools\": expected a list of at most %d names", DR_MAX_TOOLS);
    for (size_t i = 0; i < json_array_size(v); i++) {
        const char *name = json_string_value(json_array_get(v, i));
        dr_tool_id id;
        if (!name || !dr_tool_find(&id, dr_str_of(name)))
            return dr_fail(err, DR_ERR_FORMAT, "\"tools\": \"%s\" is not a tool of this program", name ? name : "?");
        if (!(p->tools[p->n_tools++] = strdup(name)))
            return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    }
    return DR_OK;
}

static dr_status read_check(dr_answer_check *out, const json_t *v, size_t i, dr_error *err)
{
    const char *check = json_string_value(v);

    for (int k = DR_CHECK_NONE + 1; check && k < DR_N_CHECKS; k++)
        if (strcmp(check_names[k], check) == 0) {
            *out = (dr_answer_check)k;
            return DR_OK;
        }
    return check ? dr_fail(err, DR_ERR_FORMAT, "\"answers\"[%zu]: no \"check\" is called \"%.40s\"; docs/tools.md lists them", i, check)
                 : dr_fail(err, DR_ERR_FORMAT, "\"answers\"[%zu]: \"check\" is a text", i);
}

static dr_status read_answers(dr_profile *p, json_t *v, dr_error *err)
{
    dr_status st = DR_OK;
    dr_error inner = {0};

    if (!json_is_array(v) || json_array_size(v) > DR_MAX_FORMS)
        return dr_fail(err, DR_ERR_FORMAT, "\"answers\": expected a list of at most %d sentences", DR_MAX_FORMS);
    for (size_t i = 0; i < json_array_size(v); i++) {
        json_t *x = json_array_get(v, i);
        const char *text = json_string_value(json_object_get(x, "text"));
        const char *status = json_string_value(json_object_get(x, "status"));
        const json_t *wanted = json_object_get(x, "check");
        dr_answer_form *f = &p->forms[p->n_forms];

        if (!text || !*text || !status ||
            (strcmp(status, "answered") != 0 && strcmp(status, "declined") != 0))
            return dr_fail(err, DR_ERR_FORMAT, "\"answers\"[%zu]: needs \"text\" and \"status\" (answered or declined)", i);
        f->status = strcmp(status, "answered") == 0 ? DR_ANSWERED : DR_ANSWER_DECLINED;
        if (json_object_size(x) != (wanted ? 3 : 2))
            return dr_fail(err, DR_ERR_FORMAT, "\"answers\"[%zu]: has a key other than text, status and check", i);
        if (wanted && (st = read_check(&f->check, wanted, i, err)) != DR_OK)
            return st;
        if (!(f->text = strdup(text)))
            return dr_fail(err, DR_ERR_NOMEM, "out of memory");
        p->n_forms++;
        if ((st = dr_answer_form_parse(f, &inner)) != DR_OK)
            return dr_fail(err, st, "\"answers\"[%zu]: %s", i, inner.msg);
    }
    return DR_OK;
}

static dr_status read_key(dr_profile *p, const char *key, json_t *v, dr_error *err)
{
    const struct {
        const char *key;
        char **field;
    } texts[] = {
        {"name", &p->name}, {"limits", &p->limits}, {"instructions", &p->instructions}, {"effort", &p->effort}};
    const struct {
        const char *key;
        int32_t *field;
        int64_t min, max;
    } ints[] = {{"result_columns", &p->result_columns, 20, 1000},
                {"result_lines", &p->result_lines, 1, 64},
                {"max_calls", &p->max_calls, 0, 1000},
                {"max_tokens", &p->max_tokens, 1, 1 << 20},
                {"drafts", &p->drafts, 0, DR_DRAFTS_AT_MOST}};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(key, texts[i].key) == 0) {
            if (!json_is_string(v))
                return dr_fail(err, DR_ERR_FORMAT, "\"%s\": expected a text", key);
            return replace(texts[i].field, json_string_value(v)) ? DR_OK : dr_fail(err, DR_ERR_NOMEM, "out of memory");
        }
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++)
        if (strcmp(key, ints[i].key) == 0) {
            int64_t n = 0;
            const dr_status st = read_int(&n, v, ints[i].min, ints[i].max, key, err);
            if (st == DR_OK)
                *ints[i].field = (int32_t)n;
            return st;
        }
    if (strcmp(key, "format") == 0) {
        int64_t n;
        return read_int(&n, v, 1, 1, key, err);
    }
    if (strcmp(key, "context") == 0)
        return read_int(&p->context, v, 256, INT64_C(1) << 24, key, err);
    if (strcmp(key, "known") == 0) {
        if (!json_is_boolean(v))
            return dr_fail(err, DR_ERR_FORMAT, "\"known\" is true or false");
        p->known = json_is_true(v);
        return DR_OK;
    }
    if (strcmp(key, "mode") == 0) {
        const char *mode = json_string_value(v);
        if (!mode || (strcmp(mode, "chat") != 0 && strcmp(mode, "thinking") != 0))
            return dr_fail(err, DR_ERR_FORMAT, "\"mode\" is chat or thinking");
        p->thinking = strcmp(mode, "thinking") == 0;
        return DR_OK;
    }
    if (strcmp(key, "pack") == 0)
        return read_pack(p, v, err);
    if (strcmp(key, "tools") == 0)
        return read_tools(p, v, err);
    if (strcmp(key, "sampling") == 0)
        return read_sampling(&p->sampling, v, err);
    if (strcmp(key, "answers") == 0)
        return read_answers(p, v, err);
    return dr_fail(err, DR_ERR_FORMAT, "no key \"%s\" is known", key);
}

dr_status dr_profile_open(dr_profile *out, const char *dir, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf path = {0}, text = {0};
    json_t *root = NULL;
    json_error_t where;
    dr_error inner = {0};

    if (!defaults(out)) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    dr_buf_printf(&path, "%s/deepread.json", dir);
    if (path.failed) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    st = dr_read_file(&text, path.data, 1 << 20, &inner);
    if (st == DR_ERR_NOT_FOUND) {
        st = DR_OK;
        goto done;
    }
    if (st != DR_OK) {
        st = dr_fail(err, st, "%s", inner.msg);
        goto done;
    }
    if (!(root = json_loadb(text.data, text.n, JSON_REJECT_DUPLICATES, &where)) || !json_is_object(root)) {
        st = dr_fail(err, DR_ERR_FORMAT, "%s: %s", path.data,
                     root ? "expected one JSON object" : where.text);
        goto done;
    }
    const char *key;
    json_t *v;
    json_object_foreach(root, key, v) {
        if ((st = read_key(out, key, v, &inner)) != DR_OK) {
            st = dr_fail(err, st, "%s: %s", path.data, inner.msg);
            goto done;
        }
    }
    if (out->n_forms && out->thinking) /* the default of "mode" */
        st = dr_fail(err, DR_ERR_FORMAT, "%s: \"answers\" need \"mode\": \"chat\": a closed model does not think aloud", path.data);
done:
    json_decref(root);
    dr_buf_free(&text);
    dr_buf_free(&path);
    if (st != DR_OK)
        dr_profile_fini(out);
    return st;
}

void dr_profile_fini(dr_profile *p)
{
    free(p->name);
    free(p->limits);
    free(p->instructions);
    free(p->effort);
    for (int i = 0; i < p->n_tools; i++)
        free(p->tools[i]);
    for (int i = 0; i < p->n_forms; i++)
        free(p->forms[i].text);
    *p = (dr_profile){0};
}
