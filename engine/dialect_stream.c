/* Two layers. The lexer turns bytes into symbols: a byte, or one of the five control tokens that mean something in a completion. The
 * machine below it takes one symbol at a time and looks at none twice, but for the few that a state holds back. */
#include "engine/dialect_stream.h"

#include "engine/dialect_parts.h"

#include <stdlib.h>
#include <string.h>

enum { BOS = 256, EOS, THINK, END_THINK, DSML, N_SYMBOLS };
enum {
    MAX_LITERAL = 32, /* longer than every control token's literal */
    MAX_NAME = 4096,  /* bytes of a call's or parameter's name, with what stands around it */
    MAX_WORD = 16,    /* longer than every word in a tag */
    MAX_KEYS = 256,
};

static const dr_str controls[N_SYMBOLS - BOS] = {DR_STR(DR_LITERAL_BOS), DR_STR(DR_LITERAL_EOS), DR_STR(DR_LITERAL_THINK),
                                                 DR_STR(DR_LITERAL_END_THINK), DR_STR(DR_LITERAL_DSML)};

typedef enum state {
    TEXT,            /* reasoning or content */
    OPEN_TAG,        /* behind "<D" in text */
    GAP,             /* between the block's tags */
    GAP_TAG,         /* behind '<' there */
    NAME,            /* behind "<Dinvoke" */
    NAME_GAP,        /* behind a call's name */
    PARAMETER_TAG,   /* behind '<' in a call */
    KEY,             /* behind "<Dparameter" */
    VALUE,
    AFTER_PARAMETER, /* behind "</Dparameter" */
    CALL_CLOSE,      /* behind "</Dinvoke" */
    TAIL,            /* behind "</Dtool_calls>" */
    ENDED,           /* behind EOS */
    RAW,             /* malformed: everything is content */
} state;

typedef enum action { BLOCK, OTHER_BLOCK, INVOKE, OTHER_INVOKE, BLOCK_END, OTHER_BLOCK_END, PARAMETER, INVOKE_END } action;

/* The tags each state may see; the word is all that stands behind D. */
static const struct tag {
    state in;
    bool slash;
    const char *word;
    action action;
} tags[] = {
    {OPEN_TAG, false, "tool_calls>", BLOCK},
    {OPEN_TAG, false, "toolcalls>", OTHER_BLOCK},
    {OPEN_TAG, false, "function_calls>", OTHER_BLOCK},
    {OPEN_TAG, false, "invoke", OTHER_INVOKE},
    {GAP_TAG, false, "invoke", INVOKE},
    {GAP_TAG, true, "tool_calls>", BLOCK_END},
    {GAP_TAG, true, "toolcalls>", OTHER_BLOCK_END},
    {GAP_TAG, true, "function_calls>", OTHER_BLOCK_END},
    {PARAMETER_TAG, false, "parameter", PARAMETER},
    {PARAMETER_TAG, true, "invoke", INVOKE_END},
};

typedef struct event {
    dr_completion_event_kind kind;
    size_t text, n_text; /* in reader.text */
    const char *fixed;   /* instead, of MALFORMED */
    size_t at, n;
    bool complete;
} event;

struct dr_completion_reader {
    dr_completion_options options;
    state state;
    bool reasoning;    /* TEXT: not content yet */
    bool other;        /* T5: calls only to known tools */
    bool nomem;
    int last;          /* symbol */
    bool eos_held;     /* RAW: an EOS that is not text if nothing follows */
    size_t pos;        /* bytes of the symbols before the one in hand */

    char lex[MAX_LITERAL]; /* bytes that may become a control token */
    size_t n_lex;

    int newlines; /* TEXT: held back, and then perhaps '<' */
    bool less;
    size_t less_at;
    dr_buf raw; /* the text since the first markup, in case it turns out to be none */

    bool slash, dsml; /* of the tag in hand */
    char word[MAX_WORD];
    size_t n_word;
    size_t matched; /* bytes of what has to stand next */
    bool gap_line;  /* GAP: a line ended; NAME_GAP likewise */

    size_t n_calls, call_at;
    dr_buf name;      /* the name in hand, with what stands around it */
    dr_buf arguments; /* of the call in hand */
    dr_buf keys;      /* of the call in hand, one behind the other */
    size_t key_at[MAX_KEYS + 1], n_keys;
    bool string;  /* the value in hand is a text */
    dr_buf value; /* VALUE: bytes not yet passed on */
    int held;     /* VALUE: symbols of "</Dparameter" held back: '<' 1, '/' 2, D 3, letters from 4 */
    bool bare;    /* and they start at '/' */
    dr_buf escaped;

    dr_buf text; /* of the events */
    event *events;
    size_t n_events, cap_events, next;
    char tail[4]; /* the beginning of a character, of the last text event before this feed */
    size_t n_tail;
    dr_completion_event_kind tail_kind;
};

/* ---- events ---- */

static event *new_event(dr_completion_reader *r, dr_completion_event_kind kind)
{
    if (r->n_events == r->cap_events) {
        const size_t cap = r->cap_events ? 2 * r->cap_events : 16;
        event *grown = realloc(r->events, cap * sizeof *grown);
        if (!grown) {
            r->nomem = true;
            return NULL;
        }
        r->events = grown;
        r->cap_events = cap;
    }
    event *e = &r->events[r->n_events++];
    *e = (event){.kind = kind, .text = r->text.n};
    return e;
}

static void add_text(dr_completion_reader *r, dr_completion_event_kind kind, const char *s, size_t n)
{
    event *last = r->n_events ? &r->events[r->n_events - 1] : NULL;

    if (n == 0)
        return;
    if (!last || last->kind != kind)
        last = new_event(r, kind);
    dr_buf_add(&r->text, s, n);
    if (last)
        last->n_text += n;
}

static void pass_tail(dr_completion_reader *r)
{
    const size_t n = r->n_tail;

    r->n_tail = 0;
    add_text(r, r->tail_kind, r->tail, n);
}

static void emit(dr_completion_reader *r, dr_completion_event_kind kind, const char *s, size_t n)
{
    if (n == 0)
        return;
    if (r->n_tail)
        pass_tail(r);
    add_text(r, kind, s, n);
}

static event *emit_mark(dr_completion_reader *r, dr_completion_event_kind kind, dr_str text)
{
    if (r->n_tail)
        pass_tail(r);
    event *e = new_event(r, kind);
    dr_buf_add(&r->text, text.s, text.n);
    if (e)
        e->n_text = text.n;
    return e;
}

/* Bytes at the end of s that begin a character which is not whole. */
static size_t unfinished(const char *s, size_t n)
{
    for (size_t k = 1; k <= 3 && k <= n; k++) {
        const unsigned char c = (unsigned char)s[n - k];
        if ((c & 0xc0) == 0x80)
            continue;
        const size_t need = c >= 0xf0 && c <= 0xf4 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;
        return c < 0xf5 && need > k ? k : 0;
    }
    return 0;
}

/* At the end of a feed: the last text may end inside a character. */
static void hold_tail(dr_completion_reader *r)
{
    event *e = r->n_events ? &r->events[r->n_events - 1] : NULL;

    if (!e || e->kind > DR_COMPLETION_ARGUMENTS || e->kind == DR_COMPLETION_CALL || r->text.failed)
        return;
    const size_t k = unfinished(r->text.data + e->text, e->n_text);
    if (k == 0)
        return;
    memcpy(r->tail, r->text.data + e->text + e->n_text - k, k);
    r->n_tail = k;
    r->tail_kind = e->kind;
    e->n_text -= k;
    r->n_events -= e->n_text == 0;
}

/* ---- symbols ---- */

static void clear(dr_completion_reader *r, dr_buf *b)
{
    r->nomem = r->nomem || b->failed; /* clearing forgets it */
    dr_buf_clear(b);
}

static dr_str literal_of(const int *sym, char byte[1])
{
    if (*sym >= BOS)
        return controls[*sym - BOS];
    byte[0] = (char)*sym;
    return (dr_str){byte, 1};
}

static void add_symbol(dr_buf *out, int sym)
{
    char byte[1];
    const dr_str s = literal_of(&sym, byte);

    dr_buf_add(out, s.s, s.n);
}

static void pass_value(dr_completion_reader *r, bool final);

static void malformed(dr_completion_reader *r, const char *why)
{
    if (r->state == VALUE) /* what a cut would have passed on already */
        pass_value(r, true);
    event *e = emit_mark(r, DR_COMPLETION_MALFORMED, (dr_str){"", 0});

    if (e)
        e->fixed = why;
    r->state = RAW;
    r->eos_held = r->last == EOS;
    if (r->eos_held && r->raw.n >= controls[EOS - BOS].n) /* it ends the completion, unless more comes */
        r->raw.n -= controls[EOS - BOS].n;
    emit(r, DR_COMPLETION_CONTENT, r->raw.data, r->raw.n);
    clear(r, &r->raw);
}

static bool ends_with(const dr_buf *b, dr_str suffix)
{
    return b->n >= suffix.n && memcmp(b->data + b->n - suffix.n, suffix.s, suffix.n) == 0;
}

/* The next byte of a text that has to stand here. False: it does not. */
static bool matches(dr_completion_reader *r, int sym, dr_str text)
{
    if (sym != (unsigned char)text.s[r->matched])
        return false;
    r->matched++;
    return true;
}

/* ---- arguments ---- */

static void argue(dr_completion_reader *r, const char *s, size_t n)
{
    dr_buf_add(&r->arguments, s, n);
    emit(r, DR_COMPLETION_ARGUMENTS, s, n);
}

/* What is known of a value; the beginning of a character waits unless the value ends here. */
static void pass_value(dr_completion_reader *r, bool final)
{
    if (r->value.failed || r->value.n == 0)
        return;
    const size_t wait = final ? 0 : unfinished(r->value.data, r->value.n), n = r->value.n - wait;
    if (r->string) {
        clear(r, &r->escaped);
        dr_json_write_string(&r->escaped, (dr_str){r->value.data, n});
        if (!r->escaped.failed)
            argue(r, r->escaped.data + 1, r->escaped.n - 2);
    } else
        argue(r, r->value.data, n);
    memmove(r->value.data, r->value.data + n, wait);
    r->value.n = wait;
}

static void begin_value(dr_completion_reader *r, size_t n_key)
{
    const dr_str key = {r->name.data, n_key};

    for (size_t i = 0; i < r->n_keys; i++)
        if (dr_str_eq((dr_str){r->keys.data + r->key_at[i], r->key_at[i + 1] - r->key_at[i]}, key)) {
            malformed(r, "a parameter stands twice");
            return;
        }
    if (r->n_keys == MAX_KEYS) {
        malformed(r, "too many parameters");
        return;
    }
    clear(r, &r->escaped);
    dr_buf_str(&r->escaped, r->n_keys ? ", " : "{");
    dr_json_write_string(&r->escaped, key);
    dr_buf_str(&r->escaped, r->string ? ": \"" : ": ");
    if (!r->escaped.failed)
        argue(r, r->escaped.data, r->escaped.n);
    dr_buf_add(&r->keys, key.s, key.n);
    r->key_at[++r->n_keys] = r->keys.n;
    clear(r, &r->value);
    r->held = 0;
    r->state = VALUE;
}

static void begin_call(dr_completion_reader *r)
{
    const dr_str name = {r->name.data, r->name.n - (sizeof "\">\n" - 1)};
    bool known = !r->other;

    if (name.n == 0) {
        malformed(r, "a call without a name");
        return;
    }
    for (size_t i = 0; i < r->options.n_tools && !known; i++)
        known = dr_str_eq(r->options.tools[i], name);
    if (!known) {
        malformed(r, "a call to no known tool, in a block that is not written as it should be");
        return;
    }
    (void)emit_mark(r, DR_COMPLETION_CALL, name);
    clear(r, &r->arguments);
    clear(r, &r->keys);
    r->n_keys = 0;
    r->gap_line = false;
    r->state = NAME_GAP;
}

static void end_call(dr_completion_reader *r)
{
    argue(r, r->n_keys ? "}" : "{}", r->n_keys ? 1 : 2);
    event *e = emit_mark(r, DR_COMPLETION_CALL_END, dr_buf_view(&r->arguments));
    if (e) {
        e->at = r->call_at;
        e->n = r->pos + 1 - r->call_at;
    }
    r->n_calls++;
    r->gap_line = false;
    r->state = GAP;
}

/* ---- states ---- */

static void begin_tag(dr_completion_reader *r, state in, bool slash, bool dsml)
{
    r->state = in;
    r->slash = slash;
    r->dsml = dsml;
    r->n_word = 0;
}

static void release_text(dr_completion_reader *r)
{
    const dr_completion_event_kind kind = r->reasoning ? DR_COMPLETION_REASONING : DR_COMPLETION_CONTENT;

    emit(r, kind, "\n\n", (size_t)r->newlines);
    emit(r, kind, "<", r->less);
    r->newlines = 0;
    r->less = false;
}

static void in_text(dr_completion_reader *r, int sym)
{
    if (sym == DSML) { /* markup, or no text at all */
        dr_buf_add(&r->raw, "\n\n", (size_t)r->newlines);
        dr_buf_add(&r->raw, "<", r->less);
        add_symbol(&r->raw, sym);
        if (r->less && r->newlines) {
            r->call_at = r->less_at;
            begin_tag(r, OPEN_TAG, false, true);
        } else
            malformed(r, "a control token inside the text");
        return;
    }
    if (sym == '\n' && !r->less && r->newlines < 2) {
        r->newlines++;
        return;
    }
    if (sym == '\n' && !r->less) { /* only the last two may belong to markup */
        emit(r, r->reasoning ? DR_COMPLETION_REASONING : DR_COMPLETION_CONTENT, "\n", 1);
        return;
    }
    if (sym == '<' && !r->less) {
        r->less = true;
        r->less_at = r->pos;
        return;
    }
    release_text(r);
    if (sym == '\n')
        r->newlines = 1;
    else if (sym == '<') {
        r->less = true;
        r->less_at = r->pos;
    } else if (sym < BOS) {
        const char byte = (char)sym;
        emit(r, r->reasoning ? DR_COMPLETION_REASONING : DR_COMPLETION_CONTENT, &byte, 1);
    } else if (sym == END_THINK && r->reasoning)
        r->reasoning = false;
    else {
        add_symbol(&r->raw, sym);
        if (sym == EOS && !r->reasoning)
            r->state = ENDED;
        else
            malformed(r, sym == EOS ? "the reasoning does not end" : "a control token inside the text");
    }
}

static const char *tag_problem(const dr_completion_reader *r)
{
    return r->state == OPEN_TAG ? "a control token inside the text"
           : r->state == GAP_TAG ? "text between calls"
           : r->slash            ? "a call does not end"
                                 : "text between parameters";
}

static void act(dr_completion_reader *r, action a)
{
    switch (a) {
    case OTHER_BLOCK:
    case OTHER_INVOKE:
    case OTHER_BLOCK_END:
        if (r->options.n_tools == 0) {
            malformed(r, tag_problem(r));
            return;
        }
        r->other = true;
        break;
    default: break;
    }
    r->matched = 0;
    clear(r, &r->name);
    switch (a) {
    case BLOCK:
    case OTHER_BLOCK:
        r->reasoning = false;
        r->gap_line = false;
        r->state = GAP;
        break;
    case OTHER_INVOKE: r->reasoning = false; /* fall through */
    case INVOKE: r->state = NAME; break;
    case BLOCK_END:
    case OTHER_BLOCK_END: r->state = TAIL; break;
    case PARAMETER: r->state = KEY; break;
    case INVOKE_END: r->state = CALL_CLOSE; break;
    }
}

static void in_tag(dr_completion_reader *r, int sym)
{
    bool some = false;

    if (!r->dsml && !r->slash && sym == '/') {
        r->slash = true;
        return;
    }
    if (!r->dsml && sym == DSML) {
        r->dsml = true;
        return;
    }
    if (r->dsml && sym < BOS && r->n_word < MAX_WORD) {
        r->word[r->n_word++] = (char)sym;
        for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
            if (tags[i].in != r->state || tags[i].slash != r->slash || strncmp(tags[i].word, r->word, r->n_word) != 0)
                continue;
            some = true;
            if (!tags[i].word[r->n_word]) {
                act(r, tags[i].action);
                return;
            }
        }
    }
    if (!some)
        malformed(r, tag_problem(r));
}

static void in_gap(dr_completion_reader *r, int sym)
{
    if (sym == '\n')
        r->gap_line = true;
    else if (sym == '<' && r->gap_line) {
        r->call_at = r->pos;
        begin_tag(r, GAP_TAG, false, false);
    } else if (sym == EOS && r->n_calls)
        r->state = ENDED;
    else if (sym == EOS)
        malformed(r, "the block of calls does not end");
    else if ((sym != ' ' && sym != '\t') || !r->gap_line)
        malformed(r, "text between calls");
}

/* White space, `name="`, the shortest name, `">` and a newline. */
static void in_name(dr_completion_reader *r, int sym)
{
    static const dr_str head = DR_STR("name=\"");

    if (r->matched == 0 && sym > 0 && sym < BOS && strchr(" \t\n\r\f\v", sym))
        return;
    if (r->matched < head.n) {
        if (!matches(r, sym, head))
            malformed(r, "a call without a name");
        return;
    }
    if (sym >= BOS || r->name.n == MAX_NAME) {
        malformed(r, "a call's name does not end as it should");
        return;
    }
    add_symbol(&r->name, sym);
    if (sym == '\n' && ends_with(&r->name, DR_STR("\">\n")))
        begin_call(r);
}

static void in_name_gap(dr_completion_reader *r, int sym)
{
    if (sym == '\n' && !r->gap_line)
        r->gap_line = true;
    else if (sym == '<')
        begin_tag(r, PARAMETER_TAG, false, false);
    else
        malformed(r, "a call's name does not end as it should");
}

/* ` name="`, the shortest key, `" string="true">` or the same with false. */
static void in_key(dr_completion_reader *r, int sym)
{
    static const dr_str head = DR_STR(" name=\""), yes = DR_STR("\" string=\"true\">"), no = DR_STR("\" string=\"false\">");

    if (r->matched < head.n) {
        if (!matches(r, sym, head))
            malformed(r, "a parameter is not written as it should be");
        return;
    }
    if (sym >= BOS || r->name.n == MAX_NAME) {
        malformed(r, "a parameter does not say whether it is a string");
        return;
    }
    add_symbol(&r->name, sym);
    if (sym != '>' || r->name.failed)
        return;
    r->string = ends_with(&r->name, yes);
    if (r->string || ends_with(&r->name, no))
        begin_value(r, r->name.n - (r->string ? yes.n : no.n));
}

/* Free text up to "</Dparameter"; a "/Dparameter" without the '<' cannot be read (5.2). */
static void in_value(dr_completion_reader *r, int sym)
{
    static const char word[] = "parameter";
    enum { LESS = 1, SLASH, TOKEN, END = TOKEN + sizeof word - 1 };

    if ((r->held == LESS && sym == '/') || (r->held == SLASH && sym == DSML) ||
        (r->held >= TOKEN && sym == word[r->held - TOKEN])) {
        if (++r->held < END)
            return;
        if (r->bare) {
            malformed(r, "a parameter is not written as it should be");
            return;
        }
        pass_value(r, true);
        argue(r, "\"", r->string);
        r->matched = 0;
        r->state = AFTER_PARAMETER;
        return;
    }
    if (r->held) { /* it was text after all */
        dr_buf_add(&r->value, "<", !r->bare);
        dr_buf_add(&r->value, "/", r->held >= SLASH);
        if (r->held >= TOKEN) {
            add_symbol(&r->value, DSML);
            dr_buf_add(&r->value, word, (size_t)(r->held - TOKEN));
        }
    }
    r->held = sym == '<' ? LESS : sym == '/' ? SLASH : 0;
    r->bare = sym == '/';
    if (!r->held)
        add_symbol(&r->value, sym);
}

static void step(dr_completion_reader *r, int sym)
{
    r->last = sym;
    if (r->state != TEXT && r->state != RAW)
        add_symbol(&r->raw, sym);
    switch (r->state) {
    case TEXT: in_text(r, sym); break;
    case OPEN_TAG:
    case GAP_TAG:
    case PARAMETER_TAG: in_tag(r, sym); break;
    case GAP: in_gap(r, sym); break;
    case NAME: in_name(r, sym); break;
    case NAME_GAP: in_name_gap(r, sym); break;
    case KEY: in_key(r, sym); break;
    case VALUE: in_value(r, sym); break;
    case AFTER_PARAMETER:
        if (!matches(r, sym, DR_STR(">\n<")))
            malformed(r, "text between parameters");
        else if (r->matched == 3)
            begin_tag(r, PARAMETER_TAG, false, false);
        break;
    case CALL_CLOSE:
        if (sym == '>')
            end_call(r);
        else
            malformed(r, "text between calls");
        break;
    case TAIL:
        if (sym == EOS)
            r->state = ENDED;
        else
            malformed(r, "text after the block of calls");
        break;
    case ENDED: malformed(r, "text after the end"); break;
    case RAW: {
        char byte[1];
        if (r->eos_held)
            emit(r, DR_COMPLETION_CONTENT, controls[EOS - BOS].s, controls[EOS - BOS].n);
        r->eos_held = sym == EOS;
        if (!r->eos_held) {
            const dr_str s = literal_of(&sym, byte);
            emit(r, DR_COMPLETION_CONTENT, s.s, s.n);
        }
        break;
    }
    }
    r->pos += sym >= BOS ? controls[sym - BOS].n : 1;
}

/* ---- the lexer ---- */

/* The control token that s is; -1: it is the beginning of one; 0: neither. */
static int control_of(const char *s, size_t n)
{
    int found = 0;

    for (int i = 0; i < N_SYMBOLS - BOS; i++)
        if (n <= controls[i].n && memcmp(s, controls[i].s, n) == 0) {
            if (n == controls[i].n)
                return BOS + i;
            found = -1;
        }
    return found;
}

static void release_lex(dr_completion_reader *r)
{
    for (size_t i = 0; i < r->n_lex; i++)
        step(r, (unsigned char)r->lex[i]);
    r->n_lex = 0;
}

static void lex_byte(dr_completion_reader *r, char c)
{
    if (r->n_lex == 0 && c != '<' && c != DR_BAR[0]) {
        step(r, (unsigned char)c);
        return;
    }
    r->lex[r->n_lex++] = c;
    while (r->n_lex) {
        const int found = control_of(r->lex, r->n_lex);
        if (found < 0)
            return;
        if (found > 0) {
            r->n_lex = 0;
            step(r, found);
            return;
        }
        step(r, (unsigned char)r->lex[0]);
        memmove(r->lex, r->lex + 1, --r->n_lex);
    }
}

/* ---- */

dr_status dr_completion_reader_new(dr_completion_reader **out, const dr_completion_options *options, dr_error *err)
{
    dr_completion_reader *r = calloc(1, sizeof *r);

    *out = r;
    if (!r)
        return dr_fail(err, DR_ERR_NOMEM, "completion: out of memory");
    r->options = *options;
    r->reasoning = options->thinking;
    return DR_OK;
}

void dr_completion_reader_free(dr_completion_reader *r)
{
    if (!r)
        return;
    dr_buf_free(&r->raw);
    dr_buf_free(&r->name);
    dr_buf_free(&r->arguments);
    dr_buf_free(&r->keys);
    dr_buf_free(&r->value);
    dr_buf_free(&r->escaped);
    dr_buf_free(&r->text);
    free(r->events);
    free(r);
}

static dr_status finish_feed(dr_completion_reader *r, dr_error *err)
{
    r->nomem = r->nomem || r->raw.failed || r->name.failed || r->arguments.failed || r->keys.failed || r->value.failed ||
               r->escaped.failed || r->text.failed;
    if (!r->nomem)
        return DR_OK;
    r->n_events = 0;
    return dr_fail(err, DR_ERR_NOMEM, "completion: out of memory");
}

static void drop_events(dr_completion_reader *r)
{
    r->n_events = r->next = 0;
    dr_buf_clear(&r->text);
}

dr_status dr_completion_feed(dr_completion_reader *r, dr_str piece, dr_piece kind, dr_error *err)
{
    const int control = kind == DR_PIECE_CONTROL ? control_of(piece.s, piece.n) : 0;

    drop_events(r);
    if (kind != DR_PIECE_BYTES)
        release_lex(r);
    if (control > 0)
        step(r, control);
    else
        for (size_t i = 0; i < piece.n && !r->nomem; i++) {
            if (kind == DR_PIECE_BYTES)
                lex_byte(r, piece.s[i]);
            else
                step(r, (unsigned char)piece.s[i]);
        }
    if (r->state == VALUE)
        pass_value(r, false);
    hold_tail(r);
    return finish_feed(r, err);
}

dr_status dr_completion_end(dr_completion_reader *r, dr_error *err)
{
    drop_events(r);
    release_lex(r);
    switch (r->state) {
    case TEXT: release_text(r); break;
    case OPEN_TAG:
    case GAP:
    case GAP_TAG: malformed(r, "the block of calls does not end"); break;
    case NAME:
    case NAME_GAP:
    case PARAMETER_TAG:
    case AFTER_PARAMETER:
    case CALL_CLOSE: malformed(r, "a call does not end"); break;
    case KEY:
    case VALUE: malformed(r, "a parameter does not end"); break;
    case TAIL:
    case ENDED:
    case RAW: break;
    }
    event *e = emit_mark(r, DR_COMPLETION_FINISH, (dr_str){"", 0});
    if (e)
        e->complete = r->state == ENDED || r->eos_held;
    return finish_feed(r, err);
}

bool dr_completion_next(dr_completion_reader *r, dr_completion_event *out)
{
    if (r->next == r->n_events)
        return false;
    const event *e = &r->events[r->next++];
    *out = (dr_completion_event){.kind = e->kind, .at = e->at, .n = e->n, .complete = e->complete};
    out->text = e->fixed ? dr_str_of(e->fixed) : (dr_str){e->n_text ? r->text.data + e->text : "", e->n_text};
    return true;
}
