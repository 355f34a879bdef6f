/* engine/dialect_stream.h: completions read while they are written.
 *
 * Takes a completion in pieces of any size and says what is known so far. What could be the beginning of markup is held back until it
 * is decided, and so is the beginning of a UTF-8 character; the events do not depend on where the pieces are cut (those of one kind that
 * follow each other count as one). Time and memory are linear in the text. Source: spec/deepseek-v4-encoding section 5.2.
 *
 * Beyond what that section calls well-formed, this is read, because models in service write it:
 *
 *   T1  calls inside the reasoning, no </think> before them: the block ends the reasoning, once
 *   T2  one newline before the block instead of two
 *   T3  blank lines and blanks between the tags of the block and of its calls, not inside a call
 *   T4  the block's end tag missing, when the last call is whole and EOS follows
 *   T5  the block named toolcalls or function_calls, or not there at all, when the caller names the tools that exist (tools) and each
 *       call is to one of them
 *   T6  no EOS, where a length limit ended the text: in the reasoning, in the content, or behind the block
 *
 * All else is malformed and visibly so: the text from the first byte that was held back comes as content, markup and all. Among it, on
 * purpose: doubled bars and curly quotes in tags, other closing tags, markup in the middle of a line (a quotation, rather), two
 * parameters of one name, a call that is cut off. Values of string="false" are passed on as they are (5.2): JSON is for the caller to check.
 *
 * A call that is reported (DR_COMPLETION_CALL_END) stands in the text: its bytes, put alone into a block of section 5.1, are well-formed
 * by section 5.2 and read as the same name and arguments (of DR_PIECE_TEXT: when its quoted literals are no tokens). Calls may be run when DR_COMPLETION_FINISH comes and nothing was malformed:
 * DR_COMPLETION_MALFORMED takes all calls of the completion back.
 *
 * Owned by one thread. */
#ifndef DR_ENGINE_DIALECT_STREAM_H
#define DR_ENGINE_DIALECT_STREAM_H

#include "base/bytes.h"

typedef struct dr_completion_reader dr_completion_reader;

typedef struct dr_completion_options {
    bool thinking;       /* the prompt ended in <think>: the text starts as reasoning */
    const dr_str *tools; /* T5; borrowed until the reader is freed */
    size_t n_tools;
} dr_completion_options;

/* What the bytes of a piece are. A control token quoted in plain tokens is no markup: who has the tokens can tell. */
typedef enum dr_piece {
    DR_PIECE_BYTES,   /* text that came without its tokens: literals of control tokens in it count as such */
    DR_PIECE_TEXT,    /* ordinary tokens: no literal counts */
    DR_PIECE_CONTROL, /* one control token's literal */
} dr_piece;

typedef enum dr_completion_event_kind {
    DR_COMPLETION_REASONING, /* text: more of the reasoning */
    DR_COMPLETION_CONTENT,   /* text: more of the content; behind MALFORMED the rest as it came */
    DR_COMPLETION_CALL,      /* text: the name of a call that begins */
    DR_COMPLETION_ARGUMENTS, /* text: more of its arguments, a JSON text */
    DR_COMPLETION_CALL_END,  /* text: all its arguments. The call stands at bytes [at, at + n) of the completion */
    DR_COMPLETION_MALFORMED, /* text: what is wrong, a sentence's part that lives for ever. At most once */
    DR_COMPLETION_FINISH,    /* the last event: complete is true when EOS ended the completion */
} dr_completion_event_kind;

typedef struct dr_completion_event {
    dr_completion_event_kind kind;
    dr_str text; /* never cuts a UTF-8 character in two; bytes that are no UTF-8 come as they are, U+FFFD in string arguments */
    size_t at, n;
    bool complete;
} dr_completion_event;

dr_status dr_completion_reader_new(dr_completion_reader **out, const dr_completion_options *options, dr_error *err);
void dr_completion_reader_free(dr_completion_reader *r);

/* More of the completion. Events of the call before, and their texts, are gone. DR_ERR_NOMEM; the reader is of no use then. */
dr_status dr_completion_feed(dr_completion_reader *r, dr_str piece, dr_piece kind, dr_error *err);
/* No more will come. */
dr_status dr_completion_end(dr_completion_reader *r, dr_error *err);
/* The next event of the last feed or end; false when there is none. */
bool dr_completion_next(dr_completion_reader *r, dr_completion_event *event);

#endif
