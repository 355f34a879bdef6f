/* app/profile.h: how a model wants to be used: deepread.json beside its weights.
 *
 *   {"format": 1, "name": "nano", "limits": "one line told to the user",
 *    "pack": {"mode": "map", "budget": 1024}, "mode": "chat", "effort": "none", "instructions": "...",
 *    "tools": ["find_symbol", ...], "result_columns": 60, "result_lines": 8, "max_calls": 3, "max_tokens": 512,
 *    "context": 8192, "drafts": 1, "known": false, "sampling": {"temperature": 0, "top_p": 1, "min_p": 0, "seed": 0},
 *    "answers": [{"text": "`{symbol}` is defined at {cite}.", "status": "answered", "check": "defined"}]}
 *
 * A folder without the file gets the defaults of an official checkpoint. "answers" makes a closed model: it may say these
 * sentences only, their holes filled from the symbol table, the question's words and the tool results (app/sentence.h). */
#ifndef DR_APP_PROFILE_H
#define DR_APP_PROFILE_H

#include "base/bytes.h"
#include "engine/sampler.h"

typedef enum dr_pack_mode { DR_PACK_FULL, DR_PACK_MAP, DR_PACK_NONE } dr_pack_mode;
const char *dr_pack_mode_name(dr_pack_mode m);
bool dr_pack_mode_parse(dr_pack_mode *out, const char *name);

typedef enum dr_answer_status { DR_ANSWERED, DR_ANSWER_DECLINED, DR_ANSWER_UNVERIFIED } dr_answer_status;
const char *dr_answer_status_name(dr_answer_status s);

/* When a sentence may be said, judged on the last result; which of its places the holes may name; and what has to hold for it to count as
 * answered. */
typedef enum dr_answer_check {
    DR_CHECK_NONE,
    DR_CHECK_DEFINED, /* find_symbol or find_symbol_in found: the quoted name is defined on every cited line; declarations only when there is nothing better */
    DR_CHECK_USED,    /* find_refs found: ... used or defined there */
    DR_CHECK_ABSENT,  /* a look-up found no symbol: none has the quoted name */
    DR_CHECK_UNUSED,  /* find_refs found nothing: nothing uses it */
    DR_CHECK_DESCRIBED, /* describe or one of its parts: places that say what the holes ask for */
    DR_CHECK_NO_PARAMETERS,
    DR_CHECK_RETURNS_NOTHING,
    DR_CHECK_RETURNS_UNDECLARED,
    DR_CHECK_NO_COMMENT,
    DR_CHECK_FILE,    /* find_file found, or a path meant several files; a group needs two */
    DR_CHECK_NO_FILE, /* no file is called so */
    DR_CHECK_OUTLINE,
    DR_CHECK_NO_OUTLINE,
    DR_CHECK_IMPORTS,
    DR_CHECK_NO_IMPORTS,
    DR_CHECK_IMPORTERS,
    DR_CHECK_NO_IMPORTERS,
    DR_CHECK_CALLS,
    DR_CHECK_NO_CALLS,
    DR_CHECK_GREP,
    DR_CHECK_NO_MATCH,
    DR_CHECK_READING,    /* a full pack, and no call yet: any function or method whose text is in the pack */
    DR_CHECK_EDITED,     /* edit or rename staged a change */
    DR_CHECK_NOT_EDITED, /* ... did not */
    DR_CHECK_ONE_DEFINITION, /* defined, and in one place only */
    DR_CHECK_JUDGED,         /* call_sites found: like used */
    DR_CHECK_NO_CALL_SITES,  /* call_sites found nothing: nothing calls it */
    DR_N_CHECKS
} dr_answer_check;

/* A hole by number: those of a place (dr_hole of app/tools.h), and behind them these. */
enum { DR_HOLE_CITE = 16, DR_HOLE_SYMBOL, DR_HOLE_CALLEE, DR_HOLE_PATH, DR_HOLE_SIMILAR };

typedef enum dr_part_kind { DR_PART_TEXT, DR_PART_HOLE, DR_PART_CHOICE } dr_part_kind;

/* A sentence taken apart. */
typedef struct dr_part {
    dr_part_kind kind;
    bool in_group;
    uint8_t hole;
    dr_str text; /* DR_PART_TEXT; DR_PART_CHOICE: "a|b|c". Borrows the form's text */
} dr_part;
enum { DR_MAX_PARTS = 32, DR_MAX_WORDS = 16 /* of a choice; a sentence has one at most */ };

typedef struct dr_answer_form {
    char *text;
    dr_answer_status status;
    dr_answer_check check;
    dr_part parts[DR_MAX_PARTS];
    int n_parts;
    bool has_group;
} dr_answer_form;

/* Takes f->text apart. DR_ERR_FORMAT names what is wrong with a hole. */
dr_status dr_answer_form_parse(dr_answer_form *f, dr_error *err);

enum { DR_MAX_TOOLS = 24, DR_MAX_FORMS = 64 };

typedef struct dr_profile {
    char *name, *limits, *instructions, *effort; /* effort may be NULL */
    dr_pack_mode pack_mode;
    int64_t pack_budget; /* tokens; 0: what the context leaves */
    bool thinking;
    bool known; /* a question comes behind a reminder of what the index knows of its words (app/known.h), but for a full pack */
    char *tools[DR_MAX_TOOLS];
    int n_tools;
    int32_t result_columns, result_lines, max_calls, max_tokens;
    int64_t context; /* 0: the model's own maximum */
    int32_t drafts;  /* a pass, at most, where there is an MTP block; never seen in answers */
    dr_sampling sampling;
    dr_answer_form forms[DR_MAX_FORMS];
    int n_forms; /* 0: free text */
} dr_profile;

/* Reads DIR/deepread.json. Unknown keys, wrong types and tools this program does not have are errors, each named. */
dr_status dr_profile_open(dr_profile *out, const char *dir, dr_error *err);
void dr_profile_fini(dr_profile *p);

#endif
