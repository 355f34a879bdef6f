/* tokenizer.json to a dr_tokenizer. What this engine does not do is refused by name, never ignored: a setting that was overlooked
 * would show only as text that is quietly cut otherwise than in training. */
#include "engine/tokenizer_parts.h"

#include "engine/json.h"
#include "engine/unicode.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_FILE = 256 << 20,
    MAX_ID = (1 << 24) - 1,
    MAX_SPLITS = 16,
    MAX_ADDED = 512, /* bytes; they are looked for at every place of a text */
    BYTE_SYMBOLS = 324, /* the characters that stand for bytes are below this */
};

/* What ByteLevel cuts by when use_regex is set: the pattern of GPT-2. */
static const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

typedef struct loader {
    dr_tokenizer *t;
    const char *name;
    dr_error *err;
    size_t n_bytes;                /* of t->bytes in use */
    int16_t byte_of[BYTE_SYMBOLS]; /* by character; -1: stands for no byte */
} loader;

static dr_status bad(loader *l, const char *key, const char *what)
{
    return dr_fail(l->err, DR_ERR_FORMAT, "%s: %s: %s", l->name, key, what);
}

static bool absent(const dr_json *v)
{
    return !v || v->type == DR_JSON_NULL;
}

static bool is_text(const dr_json *v, const char *text)
{
    return v && v->type == DR_JSON_STRING && dr_str_eq(dr_json_text(v), dr_str_of(text));
}

/* Absent, null, false or an empty string: a feature that is not in use. */
static bool is_off(const dr_json *v)
{
    return absent(v) || v->type == DR_JSON_FALSE || is_text(v, "");
}

static dr_status check_keys(loader *l, const dr_json *v, const char *where, const char *const *known)
{
    for (const dr_json *k = dr_json_first(v), *end = dr_json_end(v); k != end; k = dr_json_after(k + 1)) {
        size_t i = 0;
        while (known[i] && !is_text(k, known[i]))
            i++;
        if (!known[i])
            return dr_fail(l->err, DR_ERR_FORMAT, "%s: %s: \"%.*s\" is not supported", l->name, where, (int)k->n, k->text);
    }
    return DR_OK;
}

/* Printable Latin-1 stands for itself, the other bytes for U+0100 and up, in order (GPT-2's alphabet). */
static void fill_byte_alphabet(loader *l)
{
    int next = 256;

    memset(l->byte_of, -1, sizeof l->byte_of);
    for (int b = 0; b < 256; b++) {
        const bool itself = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        l->byte_of[itself ? b : next++] = (int16_t)b;
    }
}

/* Writes the bytes a vocabulary entry stands for; false (and nothing written) when some character stands for no byte. */
static bool decode_symbols(const loader *l, char *out, size_t *n, dr_str text)
{
    size_t used = 0;

    for (size_t at = 0; at < text.n;) {
        uint32_t c;
        at += dr_utf8_decode(&c, text.s + at, text.n - at); /* JSON strings are UTF-8 */
        if (c >= BYTE_SYMBOLS || l->byte_of[c] < 0)
            return false;
        out[used++] = (char)l->byte_of[c];
    }
    *n = used;
    return true;
}

static dr_status check_id(loader *l, const dr_json *v, dr_str token, int32_t *id)
{
    int64_t wide;

    if (!dr_json_int(v, &wide) || wide < 0 || wide > MAX_ID)
        return dr_fail(l->err, DR_ERR_FORMAT, "%s: token \"%.*s\": its id is not a number from 0 to %d", l->name,
                       (int)(token.n < 80 ? token.n : 80), token.s, MAX_ID);
    *id = (int32_t)wide;
    return DR_OK;
}

/* Sizes everything that goes by id. */
static dr_status allocate(loader *l, const dr_json *vocab, const dr_json *added)
{
    dr_tokenizer *t = l->t;
    dr_status st;
    size_t n_bytes = 1, n_added = 0;
    int32_t id = 0, highest = -1;
    unsigned bits = 4;

    for (const dr_json *k = dr_json_first(vocab), *end = dr_json_end(vocab); k != end; k = dr_json_after(k + 1)) {
        if ((st = check_id(l, k + 1, dr_json_text(k), &id)) != DR_OK)
            return st;
        highest = id > highest ? id : highest;
        n_bytes += k->n;
    }
    if (added) {
        for (const dr_json *a = dr_json_first(added), *end = dr_json_end(added); a != end; a = dr_json_after(a)) {
            const dr_json *content = dr_json_get(a, "content");
            if (!content || content->type != DR_JSON_STRING || content->n == 0)
                return bad(l, "added_tokens", "a token without content");
            if (content->n > MAX_ADDED)
                return bad(l, "added_tokens", "a token of more than 512 bytes");
            if ((st = check_id(l, dr_json_get(a, "id"), dr_json_text(content), &id)) != DR_OK)
                return st;
            highest = id > highest ? id : highest;
            n_bytes += content->n;
            n_added++;
        }
    }
    t->size = highest + 1;
    while (((size_t)1 << bits) < vocab->n + 1u) /* keys and values: twice the entries */
        bits++;
    t->slot_shift = 64 - bits;
    t->bytes = malloc(n_bytes);
    t->span = calloc((size_t)t->size + 1, sizeof *t->span);
    t->whole = calloc((size_t)t->size + 1, sizeof *t->whole);
    t->sorted = malloc(((size_t)t->size + 1) * sizeof *t->sorted);
    t->begins = malloc(((size_t)t->size + 1) * sizeof *t->begins);
    t->slots = malloc(((size_t)1 << bits) * sizeof *t->slots);
    t->added[0].v = calloc(n_added + 1, sizeof(dr_added_token));
    t->added[1].v = calloc(n_added + 1, sizeof(dr_added_token));
    if (!t->bytes || !t->span || !t->whole || !t->sorted || !t->begins || !t->slots || !t->added[0].v || !t->added[1].v)
        return dr_fail(l->err, DR_ERR_NOMEM, "%s: out of memory", l->name);
    for (size_t i = 0; i >> bits == 0; i++)
        t->slots[i].id = -1;
    return DR_OK;
}

static dr_status load_vocab(loader *l, const dr_json *vocab)
{
    dr_tokenizer *t = l->t;

    for (const dr_json *k = dr_json_first(vocab), *end = dr_json_end(vocab); k != end; k = dr_json_after(k + 1)) {
        const dr_str text = dr_json_text(k);
        int64_t id = 0;
        size_t n = 0;
        uint32_t tag = 0;
        dr_token_slot *slot = NULL;
        (void)dr_json_int(k + 1, &id); /* checked by allocate */
        if (text.n == 0)
            return bad(l, "model.vocab", "an empty token");
        if (t->span[id].n > 0)
            return dr_fail(l->err, DR_ERR_FORMAT, "%s: model.vocab: two tokens have the id %d", l->name, (int)id);
        if (decode_symbols(l, t->bytes + l->n_bytes, &n, text)) {
            slot = dr_tokenizer__slot(t, (dr_str){t->bytes + l->n_bytes, n}, &tag);
            if (slot->id >= 0)
                return dr_fail(l->err, DR_ERR_FORMAT, "%s: model.vocab: \"%.*s\" stands twice", l->name, (int)text.n, text.s);
        } else { /* an added token's plain text: merges cannot reach it */
            n = text.n;
            memcpy(t->bytes + l->n_bytes, text.s, n);
        }
        t->span[id] = (dr_token_span){l->n_bytes, (uint32_t)n, false};
        l->n_bytes += n;
        if (slot)
            *slot = (dr_token_slot){tag, (int32_t)id};
    }
    for (int c = 0; c < BYTE_SYMBOLS; c++) {
        if (l->byte_of[c] < 0)
            continue;
        const char byte = (char)l->byte_of[c];
        uint32_t tag;
        if ((t->byte_ids[(uint8_t)byte] = dr_tokenizer__slot(t, (dr_str){&byte, 1}, &tag)->id) < 0)
            return dr_fail(l->err, DR_ERR_FORMAT, "%s: model.vocab: no token for byte 0x%02x (not a byte-level vocabulary?)",
                           l->name, (unsigned)(uint8_t)byte);
    }
    return DR_OK;
}

/* Id of one side of a merge; its bytes are appended to *whole. -1: not in the vocabulary. */
static int32_t find_part(loader *l, dr_buf *whole, dr_str text)
{
    char *room = malloc(text.n + 1);
    size_t n = 0;
    uint32_t tag;
    int32_t id = -1;

    if (!room)
        whole->failed = true;
    else if (text.n > 0 && decode_symbols(l, room, &n, text)) {
        id = dr_tokenizer__slot(l->t, (dr_str){room, n}, &tag)->id;
        dr_buf_add(whole, room, n);
    }
    free(room);
    return id;
}

/* "left right" as one string, or a pair of strings. */
static bool merge_parts(const dr_json *v, dr_str *left, dr_str *right)
{
    if (v->type == DR_JSON_ARRAY && v->n == 2 && v[1].type == DR_JSON_STRING && v[2].type == DR_JSON_STRING) {
        *left = dr_json_text(v + 1);
        *right = dr_json_text(v + 2);
        return true;
    }
    const char *blank = v->type == DR_JSON_STRING && v->n ? memchr(v->text, ' ', v->n) : NULL;
    if (!blank)
        return false;
    *left = (dr_str){v->text, (size_t)(blank - v->text)};
    *right = (dr_str){blank + 1, v->n - left->n - 1};
    return true;
}

static dr_status load_merges(loader *l, const dr_json *merges)
{
    dr_status st = DR_OK;
    dr_merge *v = malloc((merges->n + 1) * sizeof *v);
    dr_buf whole = {0};
    size_t n = 0;

    if (!v) {
        st = dr_fail(l->err, DR_ERR_NOMEM, "%s: out of memory", l->name);
        goto done;
    }
    for (const dr_json *m = dr_json_first(merges), *end = dr_json_end(merges); m != end; m = dr_json_after(m), n++) {
        dr_str left, right;
        uint32_t tag;
        int32_t id = -1;
        if (!merge_parts(m, &left, &right)) {
            st = dr_fail(l->err, DR_ERR_FORMAT, "%s: model.merges: number %zu is not a pair", l->name, n);
            goto done;
        }
        dr_buf_clear(&whole);
        const int32_t a = find_part(l, &whole, left), b = find_part(l, &whole, right);
        if (whole.failed) {
            st = dr_fail(l->err, DR_ERR_NOMEM, "%s: out of memory", l->name);
            goto done;
        }
        if (a >= 0 && b >= 0)
            id = dr_tokenizer__slot(l->t, dr_buf_view(&whole), &tag)->id;
        if (id < 0) {
            st = dr_fail(l->err, DR_ERR_FORMAT, "%s: model.merges: number %zu (\"%.*s\" and \"%.*s\"): %s is not in the vocabulary",
                         l->name, n, (int)(left.n < 80 ? left.n : 80), left.s, (int)(right.n < 80 ? right.n : 80), right.s,
                         a < 0   ? "the first"
                         : b < 0 ? "the second"
                                 : "the result");
            goto done;
        }
        v[n] = (dr_merge){a, b, id};
    }
    if (!(l->t->merger = dr_merger__new(l->t->byte_ids, v, n)))
        st = dr_fail(l->err, DR_ERR_NOMEM, "%s: out of memory", l->name);
done:
    dr_buf_free(&whole);
    free(v);
    return st;
}

static dr_status load_model(loader *l, const dr_json *model, const dr_json *added)
{
    static const char *const known[] = {"type",         "dropout",       "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                                        "byte_fallback", "ignore_merges", "vocab",     "merges",                    NULL};
    static const char *const off[] = {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges"};
    const dr_json *vocab = dr_json_get(model, "vocab"), *merges = dr_json_get(model, "merges");
    dr_status st;

    if (!model || model->type != DR_JSON_OBJECT)
        return bad(l, "model", "an object is expected");
    if (!absent(dr_json_get(model, "type")) && !is_text(dr_json_get(model, "type"), "BPE"))
        return bad(l, "model.type", "only \"BPE\" is supported");
    if ((st = check_keys(l, model, "model", known)) != DR_OK)
        return st;
    for (size_t i = 0; i < sizeof off / sizeof off[0]; i++)
        if (!is_off(dr_json_get(model, off[i])))
            return dr_fail(l->err, DR_ERR_FORMAT, "%s: model.%s: not supported", l->name, off[i]);
    if (!vocab || vocab->type != DR_JSON_OBJECT)
        return bad(l, "model.vocab", "an object is expected");
    if (!merges || merges->type != DR_JSON_ARRAY)
        return bad(l, "model.merges", "a list is expected");
    if ((st = allocate(l, vocab, added)) != DR_OK || (st = load_vocab(l, vocab)) != DR_OK)
        return st;
    return load_merges(l, merges);
}

static int by_text(const void *a, const void *b)
{
    return dr_str_cmp(((const dr_added_token *)a)->text, ((const dr_added_token *)b)->text);
}

static dr_status finish_added(loader *l, dr_added_set *set)
{
    qsort(set->v, set->n, sizeof *set->v, by_text);
    for (size_t i = 1; i < set->n; i++)
        if (dr_str_eq(set->v[i - 1].text, set->v[i].text))
            return dr_fail(l->err, DR_ERR_FORMAT, "%s: added_tokens: \"%.*s\" stands twice", l->name, (int)set->v[i].text.n,
                           set->v[i].text.s);
    for (size_t i = 0; i < set->n; i++)
        set->first[(uint8_t)set->v[i].text.s[0] + 1]++;
    for (size_t c = 0; c < 256; c++)
        set->first[c + 1] += set->first[c];
    return DR_OK;
}

static dr_status load_added(loader *l, const dr_json *list)
{
    static const char *const known[] = {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special", NULL};
    static const char *const off[] = {"single_word", "lstrip", "rstrip"};
    dr_tokenizer *t = l->t;
    dr_status st;

    if (!list)
        return DR_OK;
    for (const dr_json *a = dr_json_first(list), *end = dr_json_end(list); a != end; a = dr_json_after(a)) {
        const dr_str content = dr_json_text(dr_json_get(a, "content"));
        const dr_json *normalized = dr_json_get(a, "normalized");
        int64_t id = 0;
        uint32_t tag;
        (void)dr_json_int(dr_json_get(a, "id"), &id); /* checked by allocate */
        if ((st = check_keys(l, a, "added_tokens", known)) != DR_OK)
            return st;
        for (size_t i = 0; i < sizeof off / sizeof off[0]; i++)
            if (!is_off(dr_json_get(a, off[i])))
                return dr_fail(l->err, DR_ERR_FORMAT, "%s: added_tokens: \"%.*s\": %s is not supported", l->name, (int)content.n,
                               content.s, off[i]);
        dr_token_span *span = &t->span[id];
        const int32_t in_vocab = dr_tokenizer__slot(t, content, &tag)->id;
        if (span->added || (span->n > 0 && !dr_str_eq((dr_str){t->bytes + span->at, span->n}, content)) ||
            (in_vocab >= 0 && in_vocab != id))
            return dr_fail(l->err, DR_ERR_FORMAT, "%s: added_tokens: \"%.*s\": its id %d is another token's", l->name,
                           (int)content.n, content.s, (int)id);
        if (span->n == 0) {
            *span = (dr_token_span){l->n_bytes, (uint32_t)content.n, false};
            memcpy(t->bytes + l->n_bytes, content.s, content.n);
            l->n_bytes += content.n;
        }
        span->added = true;
        dr_added_set *set = &t->added[normalized && normalized->type == DR_JSON_TRUE];
        set->v[set->n++] = (dr_added_token){{t->bytes + span->at, content.n}, (int32_t)id};
    }
    if ((st = finish_added(l, &t->added[0])) != DR_OK)
        return st;
    return finish_added(l, &t->added[1]);
}

/* One pre-tokenizer; adds at most one regex. *byte_level is set by ByteLevel, after which nothing may follow. */
static dr_status add_pre_tokenizer(loader *l, const dr_json *v, dr_str *patterns, size_t *n, bool *byte_level)
{
    static const char *const split_keys[] = {"type", "pattern", "behavior", "invert", NULL};
    static const char *const byte_keys[] = {"type", "add_prefix_space", "trim_offsets", "use_regex", NULL};
    const dr_json *regex = dr_json_get(dr_json_get(v, "pattern"), "Regex"), *use_regex = dr_json_get(v, "use_regex");
    dr_status st;

    if (*byte_level)
        return bad(l, "pre_tokenizer", "nothing is supported after ByteLevel");
    if (*n == MAX_SPLITS)
        return bad(l, "pre_tokenizer", "too many in a sequence");
    if (is_text(dr_json_get(v, "type"), "Split")) {
        if ((st = check_keys(l, v, "pre_tokenizer.Split", split_keys)) != DR_OK)
            return st;
        if (!regex || regex->type != DR_JSON_STRING)
            return bad(l, "pre_tokenizer.Split.pattern", "only a Regex is supported");
        if (!is_text(dr_json_get(v, "behavior"), "Isolated"))
            return bad(l, "pre_tokenizer.Split.behavior", "only \"Isolated\" is supported");
        if (!is_off(dr_json_get(v, "invert")))
            return bad(l, "pre_tokenizer.Split.invert", "not supported");
        patterns[(*n)++] = dr_json_text(regex);
        return DR_OK;
    }
    if (!is_text(dr_json_get(v, "type"), "ByteLevel"))
        return bad(l, "pre_tokenizer.type", "only Sequence, Split and ByteLevel are supported");
    if ((st = check_keys(l, v, "pre_tokenizer.ByteLevel", byte_keys)) != DR_OK)
        return st;
    if (!is_off(dr_json_get(v, "add_prefix_space")))
        return bad(l, "pre_tokenizer.ByteLevel.add_prefix_space", "not supported");
    if (!use_regex || use_regex->type == DR_JSON_TRUE) /* true is its default */
        patterns[(*n)++] = DR_STR(gpt2_pattern);
    *byte_level = true;
    return DR_OK;
}

static dr_status load_pre_tokenizer(loader *l, const dr_json *v)
{
    static const char *const known[] = {"type", "pretokenizers", NULL};
    dr_str patterns[MAX_SPLITS];
    const dr_json *list = dr_json_get(v, "pretokenizers");
    size_t n = 0;
    bool byte_level = false;
    dr_status st = DR_OK;

    if (absent(v))
        return bad(l, "pre_tokenizer", "missing; byte-level text needs at least ByteLevel");
    if (is_text(dr_json_get(v, "type"), "Sequence")) {
        if ((st = check_keys(l, v, "pre_tokenizer.Sequence", known)) != DR_OK)
            return st;
        if (!list || list->type != DR_JSON_ARRAY)
            return bad(l, "pre_tokenizer.pretokenizers", "a list is expected");
        for (const dr_json *p = dr_json_first(list), *end = dr_json_end(list); p != end && st == DR_OK; p = dr_json_after(p))
            st = add_pre_tokenizer(l, p, patterns, &n, &byte_level);
    } else
        st = add_pre_tokenizer(l, v, patterns, &n, &byte_level);
    if (st != DR_OK)
        return st;
    if (!byte_level)
        return bad(l, "pre_tokenizer", "ByteLevel is missing at its end");
    return dr_splitter__new(&l->t->splitter, patterns, n, true, l->name, l->err);
}

static dr_status check_top(loader *l, const dr_json *root)
{
    static const char *const known[] = {"version",    "truncation",    "padding",        "added_tokens", "normalizer",
                                        "pre_tokenizer", "post_processor", "decoder", "model",        NULL};
    const dr_json *normalizer = dr_json_get(root, "normalizer"), *decoder = dr_json_get(root, "decoder");
    const dr_json *added = dr_json_get(root, "added_tokens");
    dr_status st;

    if (root->type != DR_JSON_OBJECT)
        return dr_fail(l->err, DR_ERR_FORMAT, "%s: an object is expected", l->name);
    if ((st = check_keys(l, root, "top level", known)) != DR_OK)
        return st;
    if (!absent(dr_json_get(root, "truncation")))
        return bad(l, "truncation", "not supported");
    if (!absent(dr_json_get(root, "padding")))
        return bad(l, "padding", "not supported");
    if (!absent(normalizer)) {
        const dr_json *list = dr_json_get(normalizer, "normalizers");
        if (!is_text(dr_json_get(normalizer, "type"), "Sequence") || !list || list->type != DR_JSON_ARRAY || list->n > 0)
            return bad(l, "normalizer", "only null or an empty Sequence is supported");
    }
    if (!absent(decoder) && !is_text(dr_json_get(decoder, "type"), "ByteLevel"))
        return bad(l, "decoder", "only ByteLevel is supported");
    if (!absent(added) && added->type != DR_JSON_ARRAY)
        return bad(l, "added_tokens", "a list is expected");
    return DR_OK;
}

/* The first eight bytes, big-endian: nearly always enough to tell two tokens apart without touching them. */
typedef struct sort_key {
    uint64_t head;
    dr_str text;
    int32_t id;
} sort_key;

static int by_bytes(const void *a, const void *b)
{
    const sort_key *x = a, *y = b;

    if (x->head != y->head)
        return x->head < y->head ? -1 : 1;
    return dr_str_cmp(x->text, y->text);
}

static dr_status sort_tokens(loader *l)
{
    dr_tokenizer *t = l->t;
    sort_key *keys = malloc(((size_t)t->size + 1) * sizeof *keys);
    size_t n = 0;

    if (!keys)
        return dr_fail(l->err, DR_ERR_NOMEM, "%s: out of memory", l->name);
    for (int32_t id = 0; id < t->size; id++) {
        const dr_str text = dr_tokenizer_bytes(t, id);
        uint64_t head = 0;
        t->begins[id] = t->span[id].added ? 256 : text.n == 0 ? 257 : (uint8_t)text.s[0];
        if (t->begins[id] > 255)
            continue;
        for (size_t i = 0; i < sizeof head; i++)
            head = head << 8 | (i < text.n ? (uint8_t)text.s[i] : 0u);
        keys[n++] = (sort_key){head, text, id};
    }
    qsort(keys, n, sizeof *keys, by_bytes);
    for (size_t i = 0; i < n; i++) {
        t->sorted[i] = keys[i].id;
        t->sorted_first[(keys[i].head >> 56) + 1]++;
    }
    for (size_t b = 0; b < 256; b++)
        t->sorted_first[b + 1] += t->sorted_first[b];
    free(keys);
    return DR_OK;
}

dr_status dr_tokenizer_parse(dr_tokenizer **out, dr_str json, const char *name, dr_error *err)
{
    dr_status st = DR_OK;
    dr_json_doc doc = {0};
    loader l = {.name = name, .err = err};

    *out = NULL;
    if ((st = dr_json_parse(&doc, json, name, err)) != DR_OK)
        goto done;
    if (!(l.t = calloc(1, sizeof *l.t))) {
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", name);
        goto done;
    }
    fill_byte_alphabet(&l);
    const dr_json *added = dr_json_get(doc.root, "added_tokens");
    if (absent(added))
        added = NULL;
    if ((st = check_top(&l, doc.root)) != DR_OK || (st = load_model(&l, dr_json_get(doc.root, "model"), added)) != DR_OK ||
        (st = load_added(&l, added)) != DR_OK || (st = sort_tokens(&l)) != DR_OK ||
        (st = load_pre_tokenizer(&l, dr_json_get(doc.root, "pre_tokenizer"))) != DR_OK)
        goto done;
    l.t->digest = dr_sha256(json.s, json.n);
    *out = l.t;
    l.t = NULL;
done:
    dr_tokenizer_close(l.t);
    dr_json_free(&doc);
    return st;
}

dr_status dr_tokenizer_open(dr_tokenizer **out, const char *path, dr_error *err)
{
    dr_buf text = {0};
    dr_status st = dr_read_file(&text, path, MAX_FILE, err);

    *out = NULL;
    if (st == DR_OK)
        st = dr_tokenizer_parse(out, dr_buf_view(&text), path, err);
    dr_buf_free(&text);
    return st;
}
