#include "repo/extract.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_SYMBOLS = 2048,
    MAX_SCOPES = 200,
    MAX_PATTERN_NODES = 200,
    /* The parser reports every hundred of its operations, 20 to 80 us. Code takes 0.002 to 0.020 reports a byte (3,000
     * files in nineteen languages; one of C#, of 25 KB, 0.028), so this is enough, and 2 s for a megabyte made to be
     * slow. */
    STEPS_BASE = 12000,
    BYTES_PER_STEP = 64,
    TICK_STEPS = 256,
    LARGE_BLOCK = 4096,
    LARGE_BYTES = 256 << 20, /* 0.3 s; the most of 1,500 files of 20 KB to 1 MB in twenty languages was 200 KB */
    PIECE_BYTES = 4096,
    /* The text is read once, and again around errors; hostile text without end. Most is a file of Scala with 0.27 a
     * byte. 1 to 1.5 s. */
    PIECES_BASE = 40000,
    BYTES_PER_PIECE = 64,
};

/* When the parser recovers from an error it copies all that it has skipped so far, which no step shows: 60,000 <div>
 * took minutes. So the bytes of its large blocks are counted too, per thread: they depend on the text alone because
 * each text gets a parser that has no memory of others. */
static _Thread_local uint64_t large_bytes;

/* The parser's own allocation: these end the program when there is no memory, as it has no way to go on. Not in its
 * header. */
extern void *(*ts_current_malloc)(size_t);
extern void *(*ts_current_calloc)(size_t, size_t);
extern void *(*ts_current_realloc)(void *, size_t);

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
} own;

static pthread_once_t counting = PTHREAD_ONCE_INIT;

static void *count_malloc(size_t n)
{
    large_bytes += n >= LARGE_BLOCK ? n : 0;
    return own.malloc(n);
}

static void *count_calloc(size_t n, size_t size)
{
    large_bytes += n * size >= LARGE_BLOCK ? n * size : 0;
    return own.calloc(n, size);
}

static void *count_realloc(void *p, size_t n)
{
    large_bytes += n >= LARGE_BLOCK ? n : 0;
    return own.realloc(p, n);
}

static void count_blocks(void)
{
    own.malloc = ts_current_malloc;
    own.calloc = ts_current_calloc;
    own.realloc = ts_current_realloc;
    ts_set_allocator(count_malloc, count_calloc, count_realloc, free); /* the same heap: at any time */
}

/* What a language's numbers mean to us, worked out once. */
typedef struct numbers {
    uint8_t rules[MAX_SYMBOLS];
    TSFieldId fields[DR_N_FIELDS];
} numbers;

static const dr_grammar *const grammars[DR_N_LANGS] = {
    [DR_LANG_C] = &dr_grammar__c,
    [DR_LANG_CPP] = &dr_grammar__cpp,
    [DR_LANG_PYTHON] = &dr_grammar__python,
    [DR_LANG_JAVASCRIPT] = &dr_grammar__javascript,
    [DR_LANG_TYPESCRIPT] = &dr_grammar__typescript,
    [DR_LANG_TSX] = &dr_grammar__tsx,
    [DR_LANG_GO] = &dr_grammar__go,
    [DR_LANG_RUST] = &dr_grammar__rust,
    [DR_LANG_JAVA] = &dr_grammar__java,
    [DR_LANG_CUDA] = &dr_grammar__cuda,
    [DR_LANG_CSHARP] = &dr_grammar__csharp,
    [DR_LANG_RUBY] = &dr_grammar__ruby,
    [DR_LANG_PHP] = &dr_grammar__php,
    [DR_LANG_KOTLIN] = &dr_grammar__kotlin,
    [DR_LANG_SWIFT] = &dr_grammar__swift,
    [DR_LANG_SCALA] = &dr_grammar__scala,
    [DR_LANG_LUA] = &dr_grammar__lua,
    [DR_LANG_BASH] = &dr_grammar__bash,
    [DR_LANG_ELIXIR] = &dr_grammar__elixir,
    [DR_LANG_ZIG] = &dr_grammar__zig,
    [DR_LANG_HTML] = &dr_grammar__html,
    [DR_LANG_CSS] = &dr_grammar__css,
    [DR_LANG_JSON] = &dr_grammar__json,
    [DR_LANG_YAML] = &dr_grammar__yaml,
    [DR_LANG_TOML] = &dr_grammar__toml,
    [DR_LANG_MARKDOWN] = &dr_grammar__markdown,
    [DR_LANG_MAKE] = &dr_grammar__make,
};
static numbers table[DR_N_LANGS];
static atomic_bool learned[DR_N_LANGS];
static pthread_mutex_t learning = PTHREAD_MUTEX_INITIALIZER;

static void learn(dr_lang lang)
{
    static const char *const field_names[DR_N_FIELDS] = {
        "name",  "declarator",  "body",        "value",     "type",     "function",  "field",   "left",
        "right", "scope",       "parameters",  "object",    "property", "attribute", "alias",   "pattern",
        "macro", "receiver",    "constructor", "parameter", "key",      "trait",     "operand", "source",
        "path",  "module_name", "argument",    "arguments", "list",     "target",    "method",
    };
    const TSLanguage *l = grammars[lang]->language();
    const uint32_t n = ts_language_symbol_count(l);
    for (uint32_t s = 0; s < n && s < MAX_SYMBOLS; s++) {
        if (ts_language_symbol_type(l, (TSSymbol)s) != TSSymbolTypeRegular)
            continue;
        const char *name = ts_language_symbol_name(l, (TSSymbol)s);
        for (const dr_node_rule *r = grammars[lang]->rules; r && r->type; r++)
            if (strcmp(r->type, name) == 0)
                table[lang].rules[s] = r->rule;
    }
    for (int f = 0; f < DR_N_FIELDS; f++)
        table[lang].fields[f] = ts_language_field_id_for_name(l, field_names[f], (uint32_t)strlen(field_names[f]));
    ts_language_delete(l);
}

static void learn_once(dr_lang lang)
{
    if (atomic_load_explicit(&learned[lang], memory_order_acquire))
        return;
    (void)pthread_mutex_lock(&learning);
    if (!atomic_load_explicit(&learned[lang], memory_order_relaxed)) {
        learn(lang);
        atomic_store_explicit(&learned[lang], true, memory_order_release);
    }
    (void)pthread_mutex_unlock(&learning);
}

/* Room for one more element of size bytes. */
static bool grow(dr_walk *w, void *array, size_t n, size_t *cap, size_t size)
{
    void **at = array;
    if (w->failed)
        return false;
    if (n < *cap)
        return true;
    const size_t more = *cap ? 2 * *cap : 64;
    void *grown = realloc(*at, more * size);
    if (!grown) {
        w->failed = true;
        return false;
    }
    *at = grown;
    *cap = more;
    return true;
}

TSNode dr_walk__field(const dr_walk *w, TSNode node, int field)
{
    const TSFieldId id = table[w->lang].fields[field];
    static const TSNode none;
    return id && !ts_node_is_null(node) ? ts_node_child_by_field_id(node, id) : none;
}

uint8_t dr_walk__rule(const dr_walk *w, TSNode node)
{
    if (ts_node_is_null(node))
        return DR_RULE_NONE;
    const TSSymbol s = ts_node_symbol(node);
    return s < MAX_SYMBOLS ? table[w->lang].rules[s] : (uint8_t)DR_RULE_NONE;
}

dr_str dr_walk__text(const dr_walk *w, TSNode node)
{
    if (ts_node_is_null(node))
        return (dr_str){"", 0};
    const uint32_t begin = ts_node_start_byte(node), end = ts_node_end_byte(node);
    if (begin > end || end > w->text.n)
        return (dr_str){"", 0};
    return (dr_str){w->text.s + begin, end - begin};
}

const dr_scope *dr_walk__scope(const dr_walk *w)
{
    return w->n_scopes ? &w->scopes[w->n_scopes - 1] : NULL;
}

bool dr_walk__in_function(const dr_walk *w)
{
    for (size_t i = w->n_scopes; i-- > 0;)
        if (w->scopes[i].kind != DR_SCOPE_MODULE)
            return w->scopes[i].kind == DR_SCOPE_FUNCTION;
    return false;
}

void dr_walk__mark(dr_walk *w, TSNode name, uint8_t marks)
{
    if (!ts_node_is_null(name) && ts_node_start_byte(name) < w->text.n)
        w->mark[ts_node_start_byte(name)] |= marks;
}

void dr_walk__enter(dr_walk *w, int kind, TSNode name)
{
    if (w->n_scopes >= MAX_SCOPES || !grow(w, &w->scopes, w->n_scopes, &w->cap_scopes, sizeof *w->scopes))
        return;
    dr_scope *s = &w->scopes[w->n_scopes++];
    const dr_str text = dr_walk__text(w, name);
    *s = (dr_scope){.name_at = text.n ? (uint32_t)(text.s - w->text.s) : 0,
                    .name_n = (uint32_t)text.n,
                    .depth = w->depth,
                    .n_locals = (uint32_t)w->n_locals};
    s->kind = kind == DR_SCOPE_FUNCTION ? DR_SCOPE_FUNCTION : kind == DR_SCOPE_TYPE ? DR_SCOPE_TYPE : DR_SCOPE_MODULE;
}

/* Words that a confused parse may take for the name of something. */
static bool is_c_keyword(dr_str s)
{
    static const char *const words[] = {
        "auto",    "bool",      "break",    "case",   "char",    "class",    "const",     "constexpr", "continue",
        "default", "do",        "double",   "else",   "enum",    "explicit", "extern",    "float",     "for",
        "friend",  "goto",      "if",       "inline", "int",     "long",     "namespace", "new",       "operator",
        "private", "protected", "public",   "return", "short",   "signed",   "sizeof",    "static",    "struct",
        "switch",  "template",  "throw",    "try",    "typedef", "typename", "union",     "unsigned",  "using",
        "virtual", "void",      "volatile", "while"};
    if (s.n > 10)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == s.n && memcmp(words[i], s.s, s.n) == 0)
            return true;
    return false;
}

/* In C and C++: not a keyword, and not half of a name that a macro pastes together. */
static bool may_be_defined(const dr_walk *w, dr_str name, dr_sym_kind kind)
{
    if (w->lang != DR_LANG_C && w->lang != DR_LANG_CPP && w->lang != DR_LANG_CUDA)
        return true;
    const size_t end = (size_t)(name.s - w->text.s) + name.n;
    return (kind == DR_SYM_MACRO || !is_c_keyword(name)) &&
           !(end + 1 < w->text.n && w->text.s[end] == '#' && w->text.s[end + 1] == '#');
}

static dr_extract_def *add_def(dr_walk *w)
{
    if (!grow(w, &w->defs, w->n_defs, &w->cap_defs, sizeof *w->defs))
        return NULL;
    dr_extract_def *d = &w->defs[w->n_defs++];
    memset(d, 0, sizeof *d);
    d->body_at = DR_SYM_NO_BODY;
    w->last_def = w->n_defs - 1;
    for (size_t i = w->n_scopes; i-- > 0;)
        if (w->scopes[i].name_n) {
            d->container_at = w->scopes[i].name_at;
            d->container_n = w->scopes[i].name_n;
            break;
        }
    return d;
}

void dr_walk__define(dr_walk *w, TSNode name, TSNode whole, dr_sym_kind kind, const TSNode *container)
{
    const dr_str text = dr_walk__text(w, name);
    w->last_def = SIZE_MAX;
    if (text.n == 0 || (w->mark[text.s - w->text.s] & DR_MARK_DEF) || !may_be_defined(w, text, kind))
        return;
    dr_extract_def *d = add_def(w);
    if (!d)
        return;
    dr_walk__mark(w, name, DR_MARK_DEF);
    d->name_at = (uint32_t)(text.s - w->text.s);
    d->name_n = (uint32_t)text.n;
    d->line = ts_node_start_point(name).row + 1;
    d->first_line = ts_node_start_point(whole).row + 1;
    const TSPoint end = ts_node_end_point(whole);
    d->end_line = end.row + (end.column > 0 || end.row + 1 <= d->line ? 1 : 0); /* a node that ends with its newline */
    d->first_line = d->first_line > d->line ? d->line : d->first_line;
    d->end_line = d->end_line < d->line ? d->line : d->end_line;
    d->kind = (uint32_t)kind;
    if (container) {
        const dr_str c = dr_walk__text(w, *container);
        d->container_at = c.n ? (uint32_t)(c.s - w->text.s) : 0;
        d->container_n = (uint32_t)c.n;
    }
    dr_walk__body(w, dr_walk__field(w, whole, DR_FIELD_BODY));
}

void dr_walk__body(dr_walk *w, TSNode body)
{
    if (w->last_def >= w->n_defs || ts_node_is_null(body))
        return;
    dr_extract_def *d = &w->defs[w->last_def];
    const uint32_t at = ts_node_start_byte(body);
    if (at > d->name_at && at <= w->text.n)
        d->body_at = at;
}

void dr_walk__doc(dr_walk *w, uint32_t line)
{
    if (w->last_def < w->n_defs)
        w->defs[w->last_def].doc_line = line;
}

dr_str dr_walk__string(const dr_walk *w, TSNode string)
{
    dr_str s = dr_walk__text(w, string);
    if (s.n < 2 || !strchr("\"'`<", s.s[0]) || s.s[s.n - 1] != (s.s[0] == '<' ? '>' : s.s[0]))
        return (dr_str){"", 0};
    s = (dr_str){s.s + 1, s.n - 2};
    for (size_t i = 0; i < s.n; i++) /* an escape, an interpolation, a string that never ended */
        if (s.s[i] == '\\' || s.s[i] == '\n' || (s.s[i] == '$' && i + 1 < s.n && s.s[i + 1] == '{'))
            return (dr_str){"", 0};
    return s;
}

void dr_walk__import(dr_walk *w, dr_str name, uint32_t line, dr_import_form form)
{
    if (name.n == 0 || name.n > UINT32_MAX / 2 || w->import_names.n > UINT32_MAX / 2 ||
        !grow(w, &w->imports, w->n_imports, &w->cap_imports, sizeof *w->imports))
        return;
    w->imports[w->n_imports++] =
        (dr_extract_import){(uint32_t)w->import_names.n, (uint32_t)name.n, line, (uint32_t)form};
    dr_buf_add(&w->import_names, name.s, name.n);
    w->failed |= w->import_names.failed;
}

void dr_walk__define_at(dr_walk *w, uint32_t name_at, uint32_t name_n, uint32_t line, uint32_t first_line,
                        uint32_t end_line, dr_sym_kind kind)
{
    dr_extract_def *d;
    w->last_def = SIZE_MAX;
    if (name_n == 0 || (w->mark[name_at] & DR_MARK_DEF) ||
        !may_be_defined(w, (dr_str){w->text.s + name_at, name_n}, kind) || !(d = add_def(w)))
        return;
    w->mark[name_at] |= DR_MARK_DEF;
    d->name_at = name_at;
    d->name_n = name_n;
    d->line = line;
    d->first_line = first_line;
    d->end_line = end_line < line ? line : end_line;
    d->kind = (uint32_t)kind;
}

static uint32_t hash_name(const char *s, size_t n)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)s[i]) * 16777619u;
    return h;
}

/* The slot that holds the name, or the empty one where it would go. */
static size_t local_slot(const dr_walk *w, uint32_t at, uint32_t n)
{
    size_t slot = hash_name(w->text.s + at, n) & (w->n_local_slots - 1);
    for (uint32_t i; (i = w->local_slots[slot]) != 0; slot = (slot + 1) & (w->n_local_slots - 1))
        if (w->locals[i - 1].n == n && memcmp(w->text.s + w->locals[i - 1].at, w->text.s + at, n) == 0)
            break;
    return slot;
}

static bool is_local(const dr_walk *w, uint32_t at, uint32_t n)
{
    return w->n_locals && w->local_slots[local_slot(w, at, n)] != 0;
}

/* Last in, first out: emptying the newest slots leaves the table as it was. */
static void forget_locals(dr_walk *w, size_t n_keep)
{
    while (w->n_locals > n_keep) {
        w->n_locals--;
        w->local_slots[local_slot(w, w->locals[w->n_locals].at, w->locals[w->n_locals].n)] = 0;
    }
}

static void rehash_locals(dr_walk *w)
{
    const size_t n = w->n_local_slots ? 2 * w->n_local_slots : 256;
    uint32_t *slots = calloc(n, sizeof *slots);
    if (!slots) {
        w->failed = true;
        return;
    }
    free(w->local_slots);
    w->local_slots = slots;
    w->n_local_slots = n;
    const size_t n_locals = w->n_locals;
    for (w->n_locals = 0; w->n_locals < n_locals; w->n_locals++)
        slots[local_slot(w, w->locals[w->n_locals].at, w->locals[w->n_locals].n)] = (uint32_t)w->n_locals + 1;
}

void dr_walk__local(dr_walk *w, TSNode name)
{
    const dr_str text = dr_walk__text(w, name);
    if (text.n == 0 || w->failed)
        return;
    dr_walk__mark(w, name, DR_MARK_DEF);
    if (!dr_walk__in_function(w))
        return;
    if (w->n_locals * 2 >= w->n_local_slots)
        rehash_locals(w);
    if (!grow(w, &w->locals, w->n_locals, &w->cap_locals, sizeof *w->locals))
        return;
    const uint32_t at = (uint32_t)(text.s - w->text.s);
    const size_t slot = local_slot(w, at, (uint32_t)text.n);
    if (w->local_slots[slot])
        return;
    w->locals[w->n_locals] = (dr_extract_name){at, (uint32_t)text.n};
    w->local_slots[slot] = (uint32_t)++w->n_locals;
}

void dr_walk__locals_in(dr_walk *w, TSNode pattern)
{
    if (ts_node_is_null(pattern))
        return;
    if (dr_walk__rule(w, pattern) == DR_RULE_NAME) {
        dr_walk__local(w, pattern);
        return;
    }
    /* Iterative, and at most so many nodes: a pattern may be nested as deep as its author likes. */
    TSTreeCursor c = ts_tree_cursor_new(pattern);
    int depth = 0;
    for (int n = 0; n < MAX_PATTERN_NODES; n++) {
        const TSNode node = ts_tree_cursor_current_node(&c);
        const uint8_t rule = dr_walk__rule(w, node);
        if (rule == DR_RULE_NAME)
            dr_walk__local(w, node);
        if (rule != DR_RULE_SKIP && ts_tree_cursor_goto_first_child(&c)) {
            depth++;
            continue;
        }
        while (depth > 0 && !ts_tree_cursor_goto_next_sibling(&c)) {
            (void)ts_tree_cursor_goto_parent(&c);
            depth--;
        }
        if (depth == 0)
            break;
    }
    ts_tree_cursor_delete(&c);
}

void dr_walk__use_at(dr_walk *w, uint32_t at, uint32_t n, uint32_t line, bool is_call)
{
    if (n == 0 || !grow(w, &w->refs, w->n_refs, &w->cap_refs, sizeof *w->refs))
        return;
    w->refs[w->n_refs++] = (dr_extract_ref){at, n, line, is_call};
}

void dr_walk__lexical_range(dr_walk *w, uint32_t begin, uint32_t end)
{
    if (!grow(w, &w->loose, w->n_loose, &w->cap_loose, sizeof *w->loose))
        return;
    w->loose[w->n_loose++] = (dr_extract_range){begin, end, 0};
}

static uint32_t line_of(const dr_walk *w, uint32_t at, uint32_t *from, uint32_t line)
{
    for (const char *nl; *from < at && (nl = memchr(w->text.s + *from, '\n', at - *from)); line++)
        *from = (uint32_t)(nl - w->text.s) + 1;
    return line;
}

static void visit_name(dr_walk *w, TSNode node, bool locals_hide)
{
    const uint32_t at = ts_node_start_byte(node), end = ts_node_end_byte(node);
    if (end > w->text.n || at >= end)
        return;
    const uint8_t mark = w->mark[at];
    if ((mark & DR_MARK_DEF) || (locals_hide && !(mark & DR_MARK_MEMBER) && is_local(w, at, end - at)))
        return;
    dr_walk__use_at(w, at, end - at, ts_node_start_point(node).row + 1, (mark & DR_MARK_CALL) != 0);
}

void dr_walk__tree(dr_walk *w, TSNode root)
{
    const uint8_t *rules = table[w->lang].rules;
    TSTreeCursor c = ts_tree_cursor_new(root);

    w->depth = 0;
    for (;;) {
        const TSNode node = ts_tree_cursor_current_node(&c);
        const TSSymbol symbol = ts_node_symbol(node);
        bool descend = true;

        while (w->n_scopes && w->scopes[w->n_scopes - 1].depth >= w->depth && w->depth > 0) {
            forget_locals(w, w->scopes[w->n_scopes - 1].n_locals);
            w->n_scopes--;
        }
        if (symbol >= MAX_SYMBOLS) { /* only ERROR */
            if (grow(w, &w->errors, w->n_errors, &w->cap_errors, sizeof *w->errors))
                w->errors[w->n_errors++] = (dr_extract_range){ts_node_start_byte(node), ts_node_end_byte(node),
                                                              ts_node_start_point(node).row + 1};
        } else {
            const uint8_t rule = rules[symbol];
            switch (rule) {
            case DR_RULE_NONE: break;
            case DR_RULE_NAME:
            case DR_RULE_MEMBER:
                visit_name(w, node, rule == DR_RULE_NAME);
                descend = false;
                break;
            case DR_RULE_SKIP: descend = false; break;
            default: descend = w->grammar->visit(w, node, rule);
            }
        }
        if (w->failed)
            break;
        if (descend && ts_tree_cursor_goto_first_child(&c)) {
            w->depth++;
            continue;
        }
        bool more = true;
        while (more && !ts_tree_cursor_goto_next_sibling(&c)) {
            more = ts_tree_cursor_goto_parent(&c);
            w->depth--;
        }
        if (!more)
            break;
    }
    ts_tree_cursor_delete(&c);
    w->n_scopes = 0;
    forget_locals(w, 0);
}

/* In pieces, so that a scanner that looks to the end of the file from every place shows in their number. */
static const char *read_text(void *payload, uint32_t at, TSPoint point, uint32_t *n)
{
    dr_walk *w = payload;
    (void)point;
    if (at >= w->parsed.n || ++w->n_pieces > w->max_pieces) {
        *n = 0;
        return "";
    }
    *n = (uint32_t)(w->parsed.n - at < PIECE_BYTES ? w->parsed.n - at : PIECE_BYTES);
    return w->parsed.s + at;
}

/* True stops the parser. */
static bool on_progress(TSParseState *state)
{
    dr_walk *w = state->payload;
    if (++w->steps > w->max_steps || w->n_pieces > w->max_pieces || large_bytes > w->max_large_bytes) {
        w->steps = w->max_steps + 1; /* over budget, whichever it was */
        return true;
    }
    if (w->steps % TICK_STEPS == 0 &&
        ((w->cancel && atomic_load_explicit(w->cancel, memory_order_relaxed)) || (w->tick && !w->tick(w->tick_arg))))
        return true;
    return false;
}

bool dr_walk_init(dr_walk *w)
{
    memset(w, 0, sizeof *w);
    (void)pthread_once(&counting, count_blocks);
    return (w->parser = ts_parser_new()) != NULL;
}

void dr_walk_fini(dr_walk *w)
{
    if (w->parser)
        ts_parser_delete(w->parser);
    free(w->mark);
    free(w->defs);
    free(w->refs);
    free(w->scopes);
    free(w->locals);
    free(w->local_slots);
    free(w->errors);
    free(w->loose);
    free(w->imports);
    dr_buf_free(&w->import_names);
    dr_buf_free(&w->softened);
    memset(w, 0, sizeof *w);
}

/* A name that a lexical pass found to be defined after the walk had taken it for a use. */
static void drop_defined_uses(dr_walk *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_refs; i++)
        if (!(w->mark[w->refs[i].at] & DR_MARK_DEF))
            w->refs[n++] = w->refs[i];
    w->n_refs = n;
}

dr_status dr_walk__parse(dr_walk *w, TSTree **tree, dr_lang lang, dr_str text)
{
    *tree = NULL;
    w->n_loose = 0;
    w->grammar = NULL;
    w->failed = false;
    w->text = text;
    if (lang <= DR_LANG_NONE || lang >= DR_N_LANGS || text.n == 0 || text.n > UINT32_MAX / 2)
        return DR_OK;
    w->lang = lang;
    w->grammar = grammars[lang];
    learn_once(lang);
    w->steps = 0;
    w->max_steps = STEPS_BASE + text.n / BYTES_PER_STEP;
    w->n_pieces = 0;
    w->max_pieces = PIECES_BASE + text.n / BYTES_PER_PIECE;
    w->parsed = text;
    if (w->grammar->soften) {
        dr_buf_clear(&w->softened);
        dr_buf_add(&w->softened, text.s, text.n);
        if (w->softened.failed)
            return DR_ERR_NOMEM;
        w->grammar->soften(w, w->softened.data);
        w->parsed = dr_buf_view(&w->softened);
    }
    ts_parser_delete(w->parser);
    if (!(w->parser = ts_parser_new()))
        return DR_ERR_NOMEM;
    large_bytes = 0;
    w->max_large_bytes = LARGE_BYTES;
    const TSInput input = {.payload = w, .read = read_text, .encoding = TSInputEncodingUTF8};
    const TSParseOptions options = {.payload = w, .progress_callback = on_progress};
    const TSLanguage *language = w->grammar->language();
    if (ts_parser_set_language(w->parser, language))
        *tree = ts_parser_parse_with_options(w->parser, NULL, input, options);
    ts_language_delete(language);
    if (*tree && w->n_pieces > w->max_pieces) { /* it ended where the pieces did */
        ts_tree_delete(*tree);
        *tree = NULL;
        w->steps = w->max_steps + 1;
    }
    if (!*tree) {
        ts_parser_reset(w->parser);
        if (w->steps <= w->max_steps)
            return DR_ERR_CANCELLED;
    }
    return w->failed ? DR_ERR_NOMEM : DR_OK;
}

dr_status dr_walk_extract(dr_walk *w, dr_lang lang, dr_str text)
{
    TSTree *tree = NULL;
    uint32_t from = 0, line = 1, searched = 0;

    w->n_defs = w->n_refs = w->n_scopes = w->n_locals = w->n_errors = w->n_imports = 0;
    w->last_def = SIZE_MAX;
    dr_buf_clear(&w->import_names);
    const dr_status st = dr_walk__parse(w, &tree, lang, text);
    if (st != DR_OK || !w->grammar) {
        if (tree)
            ts_tree_delete(tree);
        return st;
    }
    if (text.n + 1 > w->mark_cap) {
        uint8_t *grown = realloc(w->mark, text.n + 1);
        if (!grown) {
            if (tree)
                ts_tree_delete(tree);
            return DR_ERR_NOMEM;
        }
        w->mark = grown;
        w->mark_cap = text.n + 1;
    }
    memset(w->mark, 0, text.n + 1);
    if (!w->n_local_slots)
        rehash_locals(w);
    if (!tree) {
        dr_lexical__definitions(w, 0, (uint32_t)text.n, 1);
        dr_lexical__uses(w, 0, (uint32_t)text.n, 1);
    } else {
        if (w->grammar->whole)
            w->grammar->whole(w, ts_tree_root_node(tree));
        else
            dr_walk__tree(w, ts_tree_root_node(tree));
        for (size_t i = 0; i < w->n_errors; i++) { /* in order; one in another was searched with it */
            if (w->errors[i].end > searched)
                dr_lexical__definitions(w, w->errors[i].begin, w->errors[i].end, w->errors[i].line);
            searched = w->errors[i].end > searched ? w->errors[i].end : searched;
        }
        for (size_t i = 0, n = w->n_loose; i < n; i++) {
            line = line_of(w, w->loose[i].begin, &from, line);
            dr_lexical__uses(w, w->loose[i].begin, w->loose[i].end, line);
        }
        ts_tree_delete(tree);
    }
    drop_defined_uses(w);
    dr_walk__find_comments(w);
    return w->failed ? DR_ERR_NOMEM : DR_OK;
}
