/* tests/cache/trace.h: what a few agents ask of a prefix cache, made up from a seed.
 *
 * Three repositories, each a base that stays, commits appended to it, and a working tree that comes and goes; on each a few sessions at a
 * time. A request is a whole prompt and what was decoded behind it. Most go on with the session asked last; others ask again,
 * take back some turns, change an earlier message, split off a helper, begin anew (on a changed repository or not), or go on from a summary when
 * the context is full. How often, and how long the pieces are, stands in one table at the top of trace.c.
 *
 * It knows nothing of how a cache works: it was written before any rule was chosen by what it shows, and is not changed for one. */
#ifndef DR_TESTS_CACHE_TRACE_H
#define DR_TESTS_CACHE_TRACE_H

#include <stdint.h>

enum { TRACE_MARKS = 4 };

typedef enum trace_kind {
    TRACE_TURN,
    TRACE_RETRY,
    TRACE_REWIND,
    TRACE_EDIT,
    TRACE_FORK,
    TRACE_QUESTION,
    TRACE_CHANGE,
    TRACE_COMPACT,
    TRACE_KINDS
} trace_kind;

typedef struct trace_request {
    trace_kind kind;
    int repo;
    const int32_t *ids;         /* [n + n_out], borrowed until the next request */
    int64_t n, n_out;           /* the prompt, what was decoded */
    int64_t marks[TRACE_MARKS]; /* ends of the base, of the commits, of the pack, of the instructions: ascending, below n */
} trace_request;

typedef struct trace trace;

/* The same seed gives the same requests. Ends the process when memory runs out. */
trace *trace_new(uint64_t seed);
void trace_free(trace *t);
void trace_next(trace *t, trace_request *out);
const char *trace_kind_name(trace_kind kind);

#endif
