/* app/model_text.c: `deepread model tokenize`, `render` and `parse`: the text side of a model folder alone. */
#include "app/model_parts.h"

#include "engine/dialect.h"
#include "engine/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static dr_status read_stream(dr_buf *out, FILE *f, const char *name, dr_error *err)
{
    char part[1 << 16];
    size_t n;

    while ((n = fread(part, 1, sizeof part, f)) > 0) {
        dr_buf_add(out, part, n);
        if (out->n > DR_MODEL_TEXT_MAX)
            return dr_fail(err, DR_ERR_ARG, "%s: more than %d bytes", name, DR_MODEL_TEXT_MAX);
    }
    if (ferror(f))
        return dr_fail(err, DR_ERR_IO, "%s: %s", name, strerror(errno));
    return out->failed ? dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", name) : DR_OK;
}

static dr_status read_stdin(dr_buf *out, dr_error *err)
{
    return read_stream(out, stdin, "standard input", err);
}

dr_status dr_model_part__file(dr_buf *out, const char *path, dr_error *err)
{
    struct stat sb;

    if (stat(path, &sb) < 0 || !S_ISFIFO(sb.st_mode))
        return dr_read_file(out, path, DR_MODEL_TEXT_MAX, err);
    FILE *f = fopen(path, "rbe");
    if (!f)
        return dr_fail(err, DR_ERR_IO, "%s: %s", path, strerror(errno));
    const dr_status st = read_stream(out, f, path, err);
    (void)fclose(f);
    return st;
}

static dr_status open_tokenizer(dr_tokenizer **out, const dr_model_command *c, dr_error *err)
{
    dr_buf path = {0};
    dr_status st;

    dr_buf_printf(&path, "%s/tokenizer.json", c->dir);
    st = path.failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory") : dr_tokenizer_open(out, path.data, err);
    dr_buf_free(&path);
    return st;
}

/* A JSON list of ids in [0, n_ids). */
dr_status dr_model_part__ids(dr_ids *out, dr_str json, const char *name, int32_t n_ids, dr_error *err)
{
    dr_json_doc doc = {0};
    dr_status st;

    if ((st = dr_json_parse(&doc, json, name, err)) != DR_OK)
        goto done;
    if (doc.root->type != DR_JSON_ARRAY) {
        st = dr_fail(err, DR_ERR_FORMAT, "%s: not a list of token ids", name);
        goto done;
    }
    for (const dr_json *v = dr_json_first(doc.root), *end = dr_json_end(doc.root); v != end; v = dr_json_after(v)) {
        int64_t id;
        if (!dr_json_int(v, &id)) {
            st = dr_fail(err, DR_ERR_FORMAT, "%s: item %zu is not a token id", name, out->n);
            goto done;
        }
        if (id < 0 || id >= n_ids) {
            st = dr_fail(err, DR_ERR_FORMAT, "%s: item %zu is id %" PRId64 ", expected 0 to %d", name, out->n, id, n_ids - 1);
            goto done;
        }
        dr_ids_add(out, (int32_t)id);
    }
    if (out->failed)
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", name);
done:
    dr_json_free(&doc);
    return st;
}

/* --json: all of it as one object. */
static void report_tokens(const dr_model_command *c, const dr_tokenizer *t, const dr_ids *ids)
{
    json_t *list = json_array();
    dr_buf text = {0};

    for (size_t i = 0; i < ids->n; i++) {
        const dr_str bytes = dr_tokenizer_bytes(t, ids->v[i]);
        (void)json_array_append_new(list, json_integer(ids->v[i]));
        dr_buf_add(&text, bytes.s, bytes.n);
    }
    dr_output_event(c->out, json_pack("{s:s, s:i, s:o, s:o}", "type", "tokens", "schema", DR_EVENT_SCHEMA, "ids", list, "text",
                                      dr_output_text(dr_buf_view(&text))));
    dr_buf_free(&text);
}

static void print_ids(const dr_ids *ids)
{
    (void)putchar('[');
    for (size_t i = 0; i < ids->n; i++)
        printf("%s%d", i ? ", " : "", ids->v[i]);
    puts("]");
}

/* --mode of render and parse. */
static dr_status read_mode(bool *thinking, const dr_options *opt, dr_error *err)
{
    *thinking = opt->mode && strcmp(opt->mode, "thinking") == 0;
    if (opt->mode && !*thinking && strcmp(opt->mode, "chat") != 0)
        return dr_fail(err, DR_ERR_ARG, "--mode %s: give chat or thinking", opt->mode);
    return DR_OK;
}

/* A token for people: in quotes, or the bytes of what is no text by itself. */
static void show_token(dr_buf *out, dr_str bytes)
{
    json_t *const text = json_stringn(bytes.s, bytes.n); /* NULL unless UTF-8 */

    if (text)
        dr_json_write_string(out, bytes);
    else
        dr_buf_str(out, "0x");
    for (size_t i = 0; !text && i < bytes.n; i++)
        dr_buf_printf(out, "%02x", (unsigned char)bytes.s[i]);
    json_decref(text);
}

dr_status dr_model_part__tokenize(const dr_model_command *c, dr_error *err)
{
    dr_tokenizer *t = NULL;
    dr_buf text = {0}, shown = {0};
    dr_ids ids = {0};
    dr_status st;

    if (c->opt->decode && (c->opt->ids || c->opt->special)) {
        st = dr_fail(err, DR_ERR_ARG, "model tokenize: --decode goes with neither --ids nor --special");
        goto done;
    }
    if ((st = open_tokenizer(&t, c, err)) != DR_OK || (st = read_stdin(&text, err)) != DR_OK)
        goto done;
    if (c->opt->decode) {
        if ((st = dr_model_part__ids(&ids, dr_buf_view(&text), "standard input", dr_tokenizer_size(t), err)) != DR_OK)
            goto done;
        if (c->opt->json)
            report_tokens(c, t, &ids);
        for (size_t i = 0; i < ids.n && !c->opt->json; i++) {
            const dr_str bytes = dr_tokenizer_bytes(t, ids.v[i]);
            (void)fwrite(bytes.s, 1, bytes.n, stdout);
        }
        goto done;
    }
    if ((st = dr_tokenizer_encode(t, &ids, dr_buf_view(&text), c->opt->special, err)) != DR_OK)
        goto done;
    if (c->opt->json) {
        report_tokens(c, t, &ids);
        goto done;
    }
    if (c->opt->ids) {
        print_ids(&ids);
        goto done;
    }
    for (size_t i = 0; i < ids.n; i++) {
        dr_buf_clear(&shown);
        show_token(&shown, dr_tokenizer_bytes(t, ids.v[i]));
        printf("%d\t%s\n", ids.v[i], shown.failed ? "" : shown.data);
    }
done:
    dr_ids_free(&ids);
    dr_buf_free(&shown);
    dr_buf_free(&text);
    dr_tokenizer_close(t);
    return st;
}

dr_status dr_model_part__render(const dr_model_command *c, dr_error *err)
{
    const dr_options *opt = c->opt;
    dr_render_options how = {.keep_reasoning = opt->no_drop, .effort = opt->effort};
    dr_dialect *dialect = NULL;
    dr_tokenizer *tokenizer = NULL;
    dr_messages messages = {0};
    dr_prompt prompt = {0};
    dr_buf json = {0};
    dr_ids ids = {0};
    dr_status st;

    if (!opt->messages) {
        st = dr_fail(err, DR_ERR_ARG, "model render needs --messages FILE.json");
        goto done;
    }
    if (opt->drop && opt->no_drop) {
        st = dr_fail(err, DR_ERR_ARG, "model render: either --drop or --no-drop");
        goto done;
    }
    if ((st = read_mode(&how.thinking, opt, err)) != DR_OK || (st = dr_dialect_open(&dialect, c->dir, err)) != DR_OK ||
        (st = dr_model_part__file(&json, opt->messages, err)) != DR_OK ||
        (st = dr_messages_parse(&messages, dr_buf_view(&json), opt->messages, err)) != DR_OK ||
        (st = dr_dialect_render(dialect, &prompt, messages.v, messages.n, &how, err)) != DR_OK)
        goto done;
    if (!opt->ids) {
        (void)fwrite(prompt.text.data, 1, prompt.text.n, stdout);
        goto done;
    }
    if ((st = open_tokenizer(&tokenizer, c, err)) != DR_OK ||
        (st = dr_prompt_ids(&prompt, tokenizer, &ids, err)) != DR_OK)
        goto done;
    print_ids(&ids);
done:
    dr_ids_free(&ids);
    dr_prompt_free(&prompt);
    dr_messages_free(&messages);
    dr_buf_free(&json);
    dr_tokenizer_close(tokenizer);
    dr_dialect_close(dialect);
    return st;
}

dr_status dr_model_part__parse(const dr_model_command *c, dr_error *err)
{
    dr_dialect *dialect = NULL;
    dr_buf text = {0}, json = {0};
    bool thinking = false;
    dr_status st;

    if ((st = read_mode(&thinking, c->opt, err)) != DR_OK || (st = dr_dialect_open(&dialect, c->dir, err)) != DR_OK ||
        (st = read_stdin(&text, err)) != DR_OK ||
        (st = dr_dialect_parse(dialect, &json, dr_buf_view(&text), thinking, err)) != DR_OK)
        goto done;
    puts(json.data);
done:
    dr_buf_free(&text);
    dr_buf_free(&json);
    dr_dialect_close(dialect);
    return st;
}
