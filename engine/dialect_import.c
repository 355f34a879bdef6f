#include "engine/dialect_import.h"

#include "base/hash.h"
#include "engine/dialect_parts.h"
#include "engine/python_literals.h"

#include <string.h>

#define TOOLS "TOOLS_TEMPLATE"
#define EFFORTS "REASONING_EFFORT_PROMPTS"
#define EFFORT_PREFIX "REASONING_EFFORT_"

/* Section 8. */
#define HASH_A "c7c9042638154a237b5d1bd48be772374a35a4d24c5cacfd1ffbd92703da329c"
#define HASH_B "690702850fe256512cb1ee67c4e436ecb3e735c71ebee77ca45ff357a75fb5a7"
#define HASH_X "f7a24f3b3050d4a83781e9b755b316aae2ec1d9dc87562541d90bcb04d7350f7"
#define HASH_Y "53fb31b8392ec5b4a926481943efc67636748f137c1a49d493a7af4d4fa55d2c"

/* Section 6. The release with more texts comes first: its file may still hold the other's. */
static const dr_release releases[] = {
    {"V4-Flash-0731", HASH_A, HASH_B, {{"low", NULL}, {"high", HASH_X}, {"max", HASH_Y}}},
    {"V4 (April)", HASH_A, HASH_B, {{"none", NULL}, {"high", NULL}, {"max", HASH_X}}},
};

enum { MAX_OWN_EFFORTS = 16, MAX_TEMPLATE = 1 << 16, MAX_WORK = 1 << 24 };

/* What the renderer writes by itself: a file that says otherwise describes another format. */
static const struct {
    const char *name, *text;
} fixed[] = {
    {"bos_token", DR_LITERAL_BOS},
    {"eos_token", DR_LITERAL_EOS},
    {"thinking_start_token", DR_LITERAL_THINK},
    {"thinking_end_token", DR_LITERAL_END_THINK},
    {"dsml_token", DR_LITERAL_DSML},
    {"USER_SP_TOKEN", DR_LITERAL_USER},
    {"ASSISTANT_SP_TOKEN", DR_LITERAL_ASSISTANT},
    {"LATEST_REMINDER_SP_TOKEN", DR_LITERAL_REMINDER},
    {"tool_calls_block_name", "tool_calls"},
    {"tool_output_template", "<tool_result>{content}</tool_result>"},
    {"response_format_template", DR_FORMAT_HEAD "{schema}"},
};

typedef struct importer {
    const char *file;
    const dr_release *releases;
    size_t n_releases;
    bool accept;
    dr_python_texts texts;
    dr_buf head, tail; /* of the tools block */
    const dr_python_text *tools;
    size_t work; /* bytes copied and names compared by split_template: a file of names in braces would keep it busy for long */
    struct {
        char name[32];
        dr_str text;
    } efforts[MAX_OWN_EFFORTS];
    size_t n_efforts;
    bool nomem;
    dr_error *err;
} importer;

static void hash_text(char hex[65], dr_str s)
{
    const dr_digest digest = dr_sha256(s.s, s.n);
    dr_digest_hex(hex, &digest);
}

static bool has_hash(dr_str s, const char *hash)
{
    char hex[65];

    hash_text(hex, s);
    return strcmp(hex, hash) == 0;
}

/* str.format: both sides of the one placeholder that the file has no text for. False: this is no such template. */
static bool split_template(importer *m, dr_str template)
{
    dr_buf *const head = &m->head, *const tail = &m->tail, *out = head;
    const dr_python_texts *texts = &m->texts;

    dr_buf_clear(head);
    dr_buf_clear(tail);
    for (size_t at = 0; at < template.n && head->n + tail->n <= MAX_TEMPLATE;) { /* a name may stand for a long text, often */
        if (m->work++ > MAX_WORK)
            return false;
        const char c = template.s[at];
        const size_t left = template.n - at - 1;
        if (c != '{' && c != '}') {
            dr_buf_add(out, &c, 1);
            at++;
            continue;
        }
        if (left && template.s[at + 1] == c) {
            dr_buf_add(out, &c, 1);
            at += 2;
            continue;
        }
        const char *end = c == '{' ? memchr(template.s + at, '}', left + 1) : NULL;
        if (!end)
            return false;
        const dr_str name = {template.s + at + 1, (size_t)(end - template.s) - at - 1};
        const dr_python_text *found = NULL;
        for (size_t i = 0; i < texts->n && !found; i++)
            if (!texts->v[i].why && !texts->v[i].key.s && dr_str_eq(texts->v[i].name, name))
                found = &texts->v[i];
        m->work += texts->n + (found ? found->text.n : 0);
        if (found)
            dr_buf_add(out, found->text.s, found->text.n);
        else if (out == head)
            out = tail;
        else
            return false;
        at += name.n + 2;
    }
    m->nomem = m->nomem || head->failed || tail->failed;
    return out == tail && head->n + tail->n <= MAX_TEMPLATE;
}

/* The place of what stands under a variable's name, read or not; 0 when nothing does. */
static const dr_python_text *entry_of(const importer *m, const char *name)
{
    for (size_t i = 0; i < m->texts.n; i++)
        if (dr_str_eq(m->texts.v[i].name, dr_str_of(name)))
            return &m->texts.v[i];
    return NULL;
}

static dr_status check_fixed(const importer *m)
{
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        const dr_python_text *t = dr_python_text_get(&m->texts, fixed[i].name, NULL);
        if (t && !dr_str_eq(t->text, dr_str_of(fixed[i].text)))
            return dr_fail(m->err, DR_ERR_FORMAT, "%s: line %d: %s is not what this program writes: the file describes another prompt format",
                           m->file, t->line, fixed[i].name);
    }
    return DR_OK;
}

/* One sentence: which text differs, and what to do. */
static dr_status differs(const importer *m, const char *what, int line, dr_str text)
{
    char hex[65];

    hash_text(hex, text);
    return dr_fail(m->err, DR_ERR_FORMAT, "%s: line %d: %s (SHA-256 %.12s...) is of no release known here: --accept takes the file's own texts",
                   m->file, line, what, hex);
}

static bool has_tools(const importer *m, const dr_release *release)
{
    return has_hash(dr_buf_view(&m->head), release->head) && has_hash(dr_buf_view(&m->tail), release->tail);
}

/* The template, known by its hashes or by its name. */
static dr_status find_tools(importer *m, bool *known)
{
    *known = false;
    for (size_t i = 0; i < m->texts.n && !*known; i++) {
        const dr_python_text *t = &m->texts.v[i];
        if (t->why || t->key.s || !split_template(m, t->text))
            continue;
        for (size_t k = 0; k < m->n_releases && !*known; k++)
            *known = has_tools(m, &m->releases[k]);
        m->tools = t;
    }
    if (*known)
        return DR_OK;
    const dr_python_text *named = entry_of(m, TOOLS);
    if (named && named->why)
        return dr_fail(m->err, DR_ERR_FORMAT, "%s: line %d: " TOOLS " is %s: write dialect.json by hand (docs/model-folder.md)", m->file,
                       named->line, named->why);
    m->tools = dr_python_text_get(&m->texts, TOOLS, NULL);
    m->work = 0; /* the one that counts, whatever else stands in the file */
    if (!m->tools || !split_template(m, m->tools->text))
        return dr_fail(m->err, DR_ERR_FORMAT,
                       "%s: no text " TOOLS " with one placeholder for the tool schemas: write dialect.json by hand (docs/model-folder.md)",
                       m->file);
    return m->accept ? DR_OK : differs(m, TOOLS, m->tools->line, m->tools->text);
}

static const dr_python_text *find_hash(const importer *m, const char *hash)
{
    for (size_t i = 0; i < m->texts.n; i++)
        if (!m->texts.v[i].why && has_hash(m->texts.v[i].text, hash))
            return &m->texts.v[i];
    return NULL;
}

/* Of a name that stands twice the last text counts, as in Python. False: such a name, or one more, cannot be kept. */
static bool add_effort(importer *m, dr_str name, dr_str text)
{
    char lower[sizeof m->efforts[0].name];
    size_t at = 0;

    if (name.n == 0 || name.n >= sizeof lower)
        return false;
    for (size_t i = 0; i < name.n; i++)
        lower[i] = (char)(name.s[i] >= 'A' && name.s[i] <= 'Z' ? name.s[i] | 0x20 : name.s[i]);
    lower[name.n] = 0;
    while (at < m->n_efforts && strcmp(m->efforts[at].name, lower) != 0)
        at++;
    if (at == MAX_OWN_EFFORTS)
        return false;
    memcpy(m->efforts[at].name, lower, name.n + 1);
    m->efforts[at].text = text;
    m->n_efforts += at == m->n_efforts;
    return true;
}

static dr_status too_much(const importer *m, int line, dr_error *err)
{
    return dr_fail(err, DR_ERR_FORMAT, "%s: line %d: at most %d efforts are kept, each with a name of 1 to %zu bytes: write dialect.json by "
                   "hand (docs/model-folder.md)", m->file, line, MAX_OWN_EFFORTS, sizeof m->efforts[0].name - 1);
}

/* The efforts as the file itself names them. A dict names them all; single constants leave out those without a text. */
static dr_status own_efforts(importer *m, dr_error *err)
{
    const dr_str prefix = DR_STR(EFFORT_PREFIX);

    for (size_t i = 0; i < m->texts.n; i++)
        if (m->texts.v[i].key.s && dr_str_eq(m->texts.v[i].name, DR_STR(EFFORTS)) &&
            !add_effort(m, m->texts.v[i].key, m->texts.v[i].text))
            return too_much(m, m->texts.v[i].line, err);
    if (m->n_efforts)
        return DR_OK;
    (void)add_effort(m, DR_STR("none"), DR_STR(""));
    for (size_t i = 0; i < m->texts.n; i++) {
        const dr_python_text *t = &m->texts.v[i];
        if (!t->why && !t->key.s && t->name.n > prefix.n && memcmp(t->name.s, prefix.s, prefix.n) == 0 &&
            !add_effort(m, (dr_str){t->name.s + prefix.n, t->name.n - prefix.n}, t->text))
            return too_much(m, t->line, err);
    }
    return DR_OK;
}

/* Does the file's dict, if it has one, say the same as the release? */
static bool dict_agrees(const importer *m, const dr_release *release, const dr_python_text **odd)
{
    for (size_t i = 0; i < m->texts.n; i++) {
        const dr_python_text *t = &m->texts.v[i];
        bool same = t->why || !t->key.s || !dr_str_eq(t->name, DR_STR(EFFORTS));
        for (int e = 0; e < DR_RELEASE_EFFORTS && !same; e++)
            same = dr_str_eq(t->key, dr_str_of(release->efforts[e].name)) &&
                   (release->efforts[e].hash ? has_hash(t->text, release->efforts[e].hash) : t->text.n == 0);
        if (!same) {
            *odd = t;
            return false;
        }
    }
    return true;
}

/* The release whose texts the file holds; NULL with a sentence when none fits. */
static const dr_release *find_release(const importer *m, bool tools_known)
{
    const dr_python_text *odd = NULL;

    for (size_t i = 0; i < m->n_releases; i++) {
        const dr_release *r = &m->releases[i];
        bool all = !tools_known || has_tools(m, r); /* with other tools, the efforts' names may still be known */
        for (int e = 0; e < DR_RELEASE_EFFORTS; e++)
            all = all && (!r->efforts[e].hash || find_hash(m, r->efforts[e].hash));
        if (all && dict_agrees(m, r, &odd))
            return r;
    }
    const dr_python_text *unread = entry_of(m, EFFORTS) ? entry_of(m, EFFORTS) : entry_of(m, EFFORT_PREFIX "MAX");
    odd = odd ? odd : unread;
    if (!odd)
        (void)dr_fail(m->err, DR_ERR_FORMAT,
                      "%s: neither " EFFORTS " nor " EFFORT_PREFIX "MAX: --accept takes the file as one without effort texts", m->file);
    else if (odd->why)
        (void)dr_fail(m->err, DR_ERR_FORMAT, "%s: line %d: %.*s is %s: --accept takes the file's other texts", m->file, odd->line,
                      (int)odd->name.n, odd->name.s, odd->why);
    else
        (void)differs(m, odd->key.s ? EFFORTS : EFFORT_PREFIX "MAX", odd->line, odd->text);
    return NULL;
}

static void write_json(dr_buf *out, const importer *m, const char *release)
{
    dr_buf_str(out, "{\n  \"format\": 1,\n  \"release\": ");
    dr_json_write_string(out, dr_str_of(release));
    dr_buf_str(out, ",\n  \"tools_head\": ");
    dr_json_write_string(out, dr_buf_view(&m->head));
    dr_buf_str(out, ",\n  \"tools_tail\": ");
    dr_json_write_string(out, dr_buf_view(&m->tail));
    dr_buf_str(out, ",\n  \"effort\": {");
    for (size_t i = 0; i < m->n_efforts; i++) {
        dr_buf_str(out, i ? ",\n    " : "\n    ");
        dr_json_write_string(out, dr_str_of(m->efforts[i].name));
        dr_buf_str(out, ": ");
        dr_json_write_string(out, m->efforts[i].text);
    }
    dr_buf_str(out, "\n  }\n}\n");
}

dr_status dr_dialect_import(dr_import *out, dr_str python, const char *name, bool accept, dr_error *err)
{
    return dr_dialect__import(out, releases, sizeof releases / sizeof *releases, python, name, accept, err);
}

dr_status dr_dialect__import(dr_import *out, const dr_release *known, size_t n_known, dr_str python, const char *name, bool accept,
                             dr_error *err)
{
    importer m = {.file = name, .releases = known, .n_releases = n_known, .accept = accept, .err = err};
    dr_error ignored;
    bool tools_known = false;
    dr_status st;

    *out = (dr_import){.release = "unknown"};
    if ((st = dr_python_texts_read(&m.texts, python, name, err)) != DR_OK || (st = check_fixed(&m)) != DR_OK ||
        (st = find_tools(&m, &tools_known)) != DR_OK)
        goto done;
    if (accept)
        m.err = &ignored; /* a release that is not found is no failure then */
    const dr_release *release = find_release(&m, tools_known);
    if (!release && !accept) {
        st = DR_ERR_FORMAT;
        goto done;
    }
    out->known = release && tools_known;
    if (out->known)
        out->release = release->name;
    for (int e = 0; release && e < DR_RELEASE_EFFORTS; e++) {
        const char *hash = release->efforts[e].hash;
        (void)add_effort(&m, dr_str_of(release->efforts[e].name), hash ? find_hash(&m, hash)->text : DR_STR(""));
    }
    if (!release && (st = own_efforts(&m, err)) != DR_OK)
        goto done;
    write_json(&out->json, &m, out->release);
done:
    if (m.nomem || out->json.failed)
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", name);
    dr_buf_free(&m.head);
    dr_buf_free(&m.tail);
    dr_python_texts_free(&m.texts);
    return st;
}

void dr_import_fini(dr_import *i)
{
    dr_buf_free(&i->json);
    *i = (dr_import){0};
}
