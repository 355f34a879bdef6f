/* engine/dialect.h: the official prompt format: messages to a prompt, completions back to messages.
 *
 * Source: spec/deepseek-v4-encoding.md, section numbers below. The trained texts (tools block head and tail, effort prefixes) come from the
 * checkpoint's dialect.json, never from this code. A prompt is a list of segments, so that text from outside is never matched
 * for special tokens: only the renderer places control tokens. */
#ifndef DR_ENGINE_DIALECT_H
#define DR_ENGINE_DIALECT_H

#include "engine/tokenizer.h"

typedef struct dr_dialect dr_dialect;

/* DIR/dialect.json. DR_ERR_NOT_FOUND says what is missing and how to supply it (docs/model-folder.md). */
dr_status dr_dialect_open(dr_dialect **out, const char *dir, dr_error *err);
dr_status dr_dialect_parse_file(dr_dialect **out, dr_str json, const char *name, dr_error *err);
void dr_dialect_close(dr_dialect *d);
/* For people; empty when the file does not say. */
dr_str dr_dialect_release(const dr_dialect *d);
/* The i-th name of a reasoning effort, in the file's order; empty past the last. */
dr_str dr_dialect_effort_at(const dr_dialect *d, size_t i);

typedef enum dr_role { DR_SYSTEM, DR_USER, DR_ASSISTANT, DR_TOOL, DR_DEVELOPER, DR_REMINDER } dr_role;

typedef struct dr_tool_call {
    dr_str id, name, arguments; /* arguments: JSON text as received */
} dr_tool_call;

/* Strings are borrowed and may be empty; .s NULL means absent where that matters (content, reasoning). */
typedef struct dr_message {
    dr_role role;
    dr_str content;         /* for DR_TOOL with a list of parts: already joined as 4.1 says */
    dr_str reasoning;
    dr_str tool_call_id;
    const dr_tool_call *calls;
    size_t n_calls;
    dr_str tools;           /* JSON array (OpenAI style); only each `function` object is used */
    dr_str response_format; /* JSON value */
    dr_str task;            /* one of the six task names */
    bool wo_eos;
} dr_message;

/* Messages from the JSON of section 2 (a list, or an object with "messages" and optionally "tools" for the first system message).
 * Everything lives until dr_messages_free. */
typedef struct dr_messages {
    dr_message *v;
    size_t n;
    void *storage;
} dr_messages;
dr_status dr_messages_parse(dr_messages *out, dr_str json, const char *name, dr_error *err);
void dr_messages_free(dr_messages *m);

typedef struct dr_render_options {
    bool thinking;       /* mode thinking, else chat */
    bool keep_reasoning; /* --no-drop; the default (false) drops as 3.3 says */
    const char *effort;  /* NULL: none. A name the dialect lacks is DR_ERR_ARG with its release and the names it has */
    bool no_bos;
    size_t n_context;    /* the first n_context messages were rendered before: only look-back, no output, no BOS (section 2) */
} dr_render_options;

/* A run of ordinary text, or one control token (text is its literal then). */
typedef struct dr_segment {
    bool control;
    size_t at, n; /* bytes [at, at + n) of dr_prompt.text */
} dr_segment;

typedef struct dr_prompt {
    dr_buf text; /* the whole prompt, as one string */
    dr_segment *segments; /* maximal: two ordinary segments never touch */
    size_t n_segments, cap;
} dr_prompt;
void dr_prompt_free(dr_prompt *p);

dr_status dr_dialect_render(const dr_dialect *d, dr_prompt *out, const dr_message *messages, size_t n,
                            const dr_render_options *options, dr_error *err);
/* Ids of a prompt, segment by segment. DR_ERR_FORMAT when the tokenizer lacks a control token. */
dr_status dr_prompt_ids(const dr_prompt *p, const dr_tokenizer *t, dr_ids *out, dr_error *err);

/* Reads a completion (what follows the prompt, EOS included or cut off) as section 5.2 and engine/dialect_stream.h say, without a list
 * of tools. One JSON object:
 *   {"content": text, "reasoning_content": text, "tool_calls": [{"name":..., "arguments": JSON text}], "finish": "stop"|"length",
 *    "malformed": null | what is wrong}
 * A malformed completion is DR_OK with the raw text as content, and no calls; only running out of memory fails. */
dr_status dr_dialect_parse(const dr_dialect *d, dr_buf *json_out, dr_str completion, bool thinking, dr_error *err);

/* The same as a structure, for the turn loop. Strings point into storage. */
typedef struct dr_completion {
    dr_str content, reasoning;
    dr_tool_call *calls;
    size_t n_calls;
    bool complete;        /* EOS was there */
    const char *malformed; /* NULL, or what is wrong */
    void *storage;
} dr_completion;
dr_status dr_completion_parse(dr_completion *out, dr_str completion, bool thinking, dr_error *err);
void dr_completion_free(dr_completion *c);

#endif
