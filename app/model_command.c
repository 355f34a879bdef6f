/* app/model_command.c: `deepread model ...`: looks into a model folder and runs its parts alone, for people and for tests. */
#include "app/app.h"
#include "app/npy.h"
#include "app/setup.h"

#include "base/log.h"
#include "engine/decoder.h"
#include "engine/json.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 1 << 30, DEFAULT_CHUNK = 512, CHUNK_STEP = 128 };

typedef struct command {
    const dr_options *opt;
    dr_output *out;
    const atomic_bool *cancel;
    char *dir; /* the model folder */
} command;

/* ---- small things several of them need ---- */

static dr_status read_stdin(dr_buf *out, dr_error *err)
{
    char part[1 << 16];
    size_t n;

    while ((n = fread(part, 1, sizeof part, stdin)) > 0) {
        dr_buf_add(out, part, n);
        if (out->n > MAX_TEXT)
            return dr_fail(err, DR_ERR_ARG, "standard input: more than %d bytes", MAX_TEXT);
    }
    if (ferror(stdin))
        return dr_fail(err, DR_ERR_IO, "standard input: %s", strerror(errno));
    return out->failed ? dr_fail(err, DR_ERR_NOMEM, "standard input: out of memory") : DR_OK;
}

static dr_status open_tokenizer(dr_tokenizer **out, const command *c, dr_error *err)
{
    dr_buf path = {0};
    dr_status st;

    dr_buf_printf(&path, "%s/tokenizer.json", c->dir);
    st = path.failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory") : dr_tokenizer_open(out, path.data, err);
    dr_buf_free(&path);
    return st;
}

/* A JSON list of ids in [0, n_ids). */
static dr_status parse_ids(dr_ids *out, dr_str json, const char *name, int32_t n_ids, dr_error *err)
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

/* ---- list, check ---- */

static dr_status list(const command *c, dr_error *err)
{
    dr_profile profile = {0};
    const dr_status st = dr_profile_open(&profile, c->dir, err);

    if (st == DR_OK && c->opt->json)
        dr_output_event(c->out, json_pack("{s:s,s:i,s:o,s:o,s:o}", "type", "model", "schema", DR_EVENT_SCHEMA, "name",
                                          dr_output_text(dr_str_of(profile.name)), "folder", dr_output_text(dr_str_of(c->dir)),
                                          "limits", dr_output_text(dr_str_of(profile.limits))));
    else if (st == DR_OK)
        printf("%s\t%s\n", profile.name ? profile.name : "-", c->dir);
    dr_profile_fini(&profile);
    return st;
}

static int is_weights(const struct dirent *e)
{
    const size_t n = strlen(e->d_name), suffix = strlen(".safetensors");
    return n > suffix && strcmp(e->d_name + n - suffix, ".safetensors") == 0;
}

static dr_status hash_file(char hex[65], const char *path, const atomic_bool *cancel, dr_error *err)
{
    enum { PART = 1 << 20 };
    dr_status st = DR_OK;
    FILE *f = fopen(path, "rb");
    uint8_t *part = malloc(PART);
    dr_sha256_stream *hash = dr_sha256_new();

    if (!f) {
        st = dr_fail(err, DR_ERR_IO, "%s: %s", path, strerror(errno));
        goto done;
    }
    if (!part || !hash) {
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", path);
        goto done;
    }
    for (size_t n; (n = fread(part, 1, PART, f)) > 0;) {
        if (atomic_load_explicit(cancel, memory_order_relaxed)) {
            st = dr_fail(err, DR_ERR_CANCELLED, "interrupted");
            goto done;
        }
        dr_sha256_update(hash, part, n);
    }
    if (ferror(f))
        st = dr_fail(err, DR_ERR_IO, "%s: %s", path, strerror(errno));
done:
    if (f)
        (void)fclose(f);
    free(part);
    const dr_digest digest = dr_sha256_finish(hash);
    dr_digest_hex(hex, &digest);
    return st;
}

/* --full: the SHA-256 of every weights file, into `report`. */
static dr_status hash_weights(json_t *report, const command *c, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf path = {0};
    struct dirent **names = NULL;
    json_t *digests = json_object();
    const int n = scandir(c->dir, &names, is_weights, alphasort);

    if (n < 0)
        st = dr_fail(err, DR_ERR_IO, "%s: %s", c->dir, strerror(errno));
    for (int i = 0; i < n && st == DR_OK; i++) {
        char hex[65];
        dr_buf_clear(&path);
        dr_buf_printf(&path, "%s/%s", c->dir, names[i]->d_name);
        st = path.failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory") : hash_file(hex, path.data, c->cancel, err);
        (void)json_object_set_new(digests, names[i]->d_name, json_string(hex));
    }
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    dr_buf_free(&path);
    (void)json_object_set_new(report, "sha256", digests);
    return st;
}

static dr_status check(const command *c, dr_error *err)
{
    dr_buf text = {0};
    json_t *report = NULL;
    char *line = NULL;
    dr_status st;

    if ((st = dr_model_check(c->dir, &text, err)) != DR_OK || !c->opt->full)
        goto done;
    if (!(report = json_loadb(text.data, text.n, 0, NULL))) {
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", c->dir);
        goto done;
    }
    if ((st = hash_weights(report, c, err)) != DR_OK)
        goto done;
    dr_buf_clear(&text);
    if ((line = json_dumps(report, 0)))
        dr_buf_str(&text, line);
    if (!line || text.failed)
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", c->dir);
done:
    if (st == DR_OK)
        puts(text.data);
    free(line);
    json_decref(report);
    dr_buf_free(&text);
    return st;
}

/* ---- tokenize ---- */

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

static dr_status tokenize(const command *c, dr_error *err)
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
        if ((st = parse_ids(&ids, dr_buf_view(&text), "standard input", dr_tokenizer_size(t), err)) != DR_OK)
            goto done;
        for (size_t i = 0; i < ids.n; i++) {
            const dr_str bytes = dr_tokenizer_bytes(t, ids.v[i]);
            (void)fwrite(bytes.s, 1, bytes.n, stdout);
        }
        goto done;
    }
    if ((st = dr_tokenizer_encode(t, &ids, dr_buf_view(&text), c->opt->special, err)) != DR_OK)
        goto done;
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

/* ---- logits ---- */

static dr_status choose_ops(dr_ops *ops, const dr_options *opt, dr_error *err)
{
    const bool ref = opt->backend && strcmp(opt->backend, "ref") == 0;

    if (opt->backend && !ref && strcmp(opt->backend, "x86") != 0)
        return dr_fail(err, DR_ERR_ARG, "--backend %s: give ref or x86", opt->backend);
    if (opt->wide && (opt->isa || opt->backend))
        return dr_fail(err, DR_ERR_ARG, "--wide is a backend of its own: leave out --backend and --isa");
    if (ref && opt->isa && strcmp(opt->isa, "ref") != 0)
        return dr_fail(err, DR_ERR_ARG, "--backend ref has no instruction set %s", opt->isa);
    if (opt->backend && !ref && opt->isa && strcmp(opt->isa, "ref") == 0)
        return dr_fail(err, DR_ERR_ARG, "--backend x86 has no instruction set ref");
    if (opt->wide) {
        dr_ops_init_wide(ops);
        return DR_OK;
    }
    return dr_ops_init_named(ops, ref ? "ref" : opt->isa, err);
}

/* "a.npy" -> "a.mtp.npy"; a name without the ending gets ".mtp.npy". */
static void mtp_name(dr_buf *out, const char *path)
{
    const size_t n = strlen(path), suffix = strlen(".npy");
    const bool ends = n >= suffix && strcmp(path + n - suffix, ".npy") == 0;

    dr_buf_add(out, path, ends ? n - suffix : n);
    dr_buf_str(out, ".mtp.npy");
}

/* Feeds the ids in runs of `chunk` and writes the rows of each run. */
static dr_status write_logits(dr_npy *logits, dr_npy *mtp, dr_decoder *d, const dr_ids *ids, int64_t chunk, int32_t vocab,
                              const command *c, dr_error *err)
{
    dr_status st = DR_OK;
    const int64_t n = (int64_t)ids->n;
    const size_t values = (size_t)(chunk < n ? chunk : n) * (size_t)vocab;
    float *rows = malloc(values * sizeof *rows), *mtp_rows = mtp ? malloc(values * sizeof *rows) : NULL;
    const uint64_t start = dr_clock_us();

    if (n && (!rows || (mtp && !mtp_rows))) {
        st = dr_fail(err, DR_ERR_NOMEM, "logits: no memory for %zu values at once; a smaller --chunk needs less", values);
        goto done;
    }
    for (int64_t at = 0; at < n; at += chunk) {
        const int64_t m = n - at < chunk ? n - at : chunk;
        if (atomic_load_explicit(c->cancel, memory_order_relaxed)) {
            st = dr_fail(err, DR_ERR_CANCELLED, "interrupted");
            goto done;
        }
        if ((st = dr_decoder_logits(d, ids->v + at, m, rows, mtp_rows, err)) != DR_OK ||
            (st = dr_npy_write(logits, rows, m, err)) != DR_OK ||
            (mtp && (st = dr_npy_write(mtp, mtp_rows, m, err)) != DR_OK))
            goto done;
        dr_output_progress(c->out, "logits:", "tokens", at + m, n, dr_clock_us() - start);
    }
done:
    dr_output_progress_end(c->out);
    free(rows);
    free(mtp_rows);
    return st;
}

static dr_status logits(const command *c, dr_error *err)
{
    const dr_options *opt = c->opt;
    dr_pool *pool = NULL;
    dr_queue *queue = NULL;
    dr_model *model = NULL;
    dr_decoder *decoder = NULL;
    dr_npy *file = NULL, *mtp_file = NULL;
    dr_ops ops;
    dr_buf json = {0}, mtp_path = {0};
    dr_ids ids = {0};
    dr_status st;

    if (!opt->tokens || !opt->out) {
        st = dr_fail(err, DR_ERR_ARG, "model logits needs --tokens FILE.json and --out FILE.npy");
        goto done;
    }
    if ((st = choose_ops(&ops, opt, err)) != DR_OK || (st = dr_read_file(&json, opt->tokens, MAX_TEXT, err)) != DR_OK ||
        (st = dr_pool_new(&pool, opt->threads, err)) != DR_OK || (st = dr_queue_new(&queue, pool, err)) != DR_OK ||
        (st = dr_model_open(&model, c->dir, &ops, queue, err)) != DR_OK)
        goto done;
    const dr_config *config = dr_model_config(model);
    if ((st = parse_ids(&ids, dr_buf_view(&json), opt->tokens, config->vocab, err)) != DR_OK)
        goto done;
    if (opt->mtp && !config->n_mtp) {
        st = dr_fail(err, DR_ERR_ARG, "--mtp: %s has no MTP block", c->dir);
        goto done;
    }
    /* A row of the MTP block needs the token after it, so a run of its own would lose its last row. */
    const int64_t n = (int64_t)ids.n, chunk = opt->mtp ? (n ? n : 1) : opt->chunk ? opt->chunk : DEFAULT_CHUNK;
    const int64_t pass = opt->chunk ? opt->chunk : DEFAULT_CHUNK, longest = pass < n ? pass : n;
    const int32_t max_chunk = (int32_t)((longest + CHUNK_STEP - 1) / CHUNK_STEP * CHUNK_STEP);
    if ((st = dr_decoder_new(&decoder, model, queue, max_chunk ? max_chunk : CHUNK_STEP, n ? n : 1, err)) != DR_OK ||
        (st = dr_npy_open(&file, opt->out, n, config->vocab, err)) != DR_OK)
        goto done;
    if (opt->mtp) {
        mtp_name(&mtp_path, opt->out);
        st = mtp_path.failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory")
                             : dr_npy_open(&mtp_file, mtp_path.data, n, config->vocab, err);
        if (st != DR_OK)
            goto done;
    }
    if ((st = write_logits(file, mtp_file, decoder, &ids, chunk, config->vocab, c, err)) != DR_OK)
        goto done;
    st = dr_npy_finish(file, err);
    file = NULL;
    if (mtp_file && st == DR_OK) {
        st = dr_npy_finish(mtp_file, err);
        mtp_file = NULL;
    }
done:
    dr_npy_discard(file);
    dr_npy_discard(mtp_file);
    dr_ids_free(&ids);
    dr_buf_free(&json);
    dr_buf_free(&mtp_path);
    dr_decoder_free(decoder);
    dr_model_close(model);
    dr_queue_free(queue);
    dr_pool_free(pool);
    return st;
}

/* ---- render, parse ---- */

static dr_status render(const command *c, dr_error *err)
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
        (st = dr_read_file(&json, opt->messages, MAX_TEXT, err)) != DR_OK ||
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

static dr_status parse(const command *c, dr_error *err)
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

/* ---- */

static const struct part {
    const char *name;
    dr_status (*run)(const command *, dr_error *);
} parts[] = {{"list", list},     {"check", check},   {"tokenize", tokenize},
             {"logits", logits}, {"render", render}, {"parse", parse}};

static const struct part *find_part(const char *name)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(parts[i].name, name) == 0)
            return &parts[i];
    return NULL;
}

dr_outcome dr_command_model(const dr_options *opt, dr_output *out, const atomic_bool *cancel, dr_error *err)
{
    command c = {.opt = opt, .out = out, .cancel = cancel};
    const struct part *part = opt->n_words ? find_part(opt->words[0]) : NULL;
    dr_buf dir = {0};
    dr_status st = DR_OK;

    if (!part) {
        st = dr_fail(err, DR_ERR_ARG, "model %s: give list, check, tokenize, logits, render or parse",
                     opt->n_words ? opt->words[0] : "");
        goto done;
    }
    if (opt->n_words > 2) {
        st = dr_fail(err, DR_ERR_ARG, "model %s takes one folder, not \"%s\" too", part->name, opt->words[2]);
        goto done;
    }
    if (opt->n_words == 2)
        dr_buf_str(&dir, opt->words[1]);
    else if (opt->model)
        dr_buf_str(&dir, opt->model);
    else if ((st = dr_bundled_model_folder(&dir, err)) != DR_OK)
        goto done;
    if (dir.failed) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    c.dir = dir.data;
    st = part->run(&c, err);
done:
    dr_buf_free(&dir);
    return dr_outcome_of(st);
}
