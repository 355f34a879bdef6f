/* app/output.h: what a person or a program gets to see: events as JSON lines, or text.
 *
 * Results go to stdout, everything else to stderr. With --json every event is one line on stdout (docs/events.md);
 * without it the same events are shown in words. Progress lines appear on a terminal only and leave nothing behind. */
#ifndef DR_APP_OUTPUT_H
#define DR_APP_OUTPUT_H

#include "app/options.h"

#include <jansson.h>

enum { DR_EVENT_SCHEMA = 1 };

typedef struct dr_output {
    bool json, quiet, verbose;
    bool terminal; /* stderr is one that can be written over */
    bool colour, utf8;
    bool line_open; /* a progress line stands on the terminal */
    uint64_t last_us;
} dr_output;

void dr_output_init(dr_output *o, const dr_options *opt);

/* Takes the reference. One line on stdout; nothing without --json. */
void dr_output_event(dr_output *o, json_t *event);

/* A JSON text of any bytes (what is not UTF-8 becomes U+FFFD). Never NULL but when out of memory. */
json_t *dr_output_text(dr_str s);

/* Text for a terminal: of a control character other than newline and tab, also of those that turn the direction of writing around,
 * each byte becomes '?', whoever wrote it (a folder's name, a profile,
 * a model's free text). In place. */
void dr_output_make_safe(char *text);

/* A diff on stdout, byte for byte; on a terminal made safe. */
void dr_output_diff(dr_str diff);

/* A remark for people on stderr, made safe; nothing with --json or --quiet. */
void dr_output_note(dr_output *o, const char *fmt, ...) DR_PRINTF(2, 3);

/* The same for what a user must know although nothing failed: with --json too, on stderr. */
void dr_output_warning(dr_output *o, const char *fmt, ...) DR_PRINTF(2, 3);

/* "prefix 12,000 of 34,000 tokens, 5,120/s, 4 s left": at most ten times a second, only on a terminal. */
void dr_output_progress(dr_output *o, const char *what, const char *unit, int64_t done, int64_t total, uint64_t elapsed_us);
void dr_output_progress_end(dr_output *o);

/* The run failed: one sentence on stderr, or an event {"type":"error"}. */
void dr_output_error(dr_output *o, const dr_error *err);

/* Emphasis for headings and marks, empty without colour. */
const char *dr_output_dim(const dr_output *o);
const char *dr_output_strong(const dr_output *o);
const char *dr_output_plain(const dr_output *o);

/* 1234567 -> "1,234,567" in a buffer of at least 28 bytes. */
const char *dr_output_count(char buf[28], int64_t v);

/* The ending of what is counted: "1 file", "2 files". */
static inline const char *dr_output_s(int64_t n)
{
    return n == 1 ? "" : "s";
}

#endif
