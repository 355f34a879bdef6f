/* engine/python_literals.h: the texts that a Python file assigns to names, read without running it and without Python.
 *
 * Read are assignments at the left margin, `NAME = VALUE` and `NAME: TYPE = VALUE`, where VALUE is
 *
 *   text    string literals of every form (single, double or triple quotes; r, u and f prefixes; the escapes \\ \' \" \a \b \f \n \r \t \v,
 *           octal, \x, \u, \U and a backslash at the end of a line), put together by standing side by side, by +, in parentheses,
 *           and by the names of texts assigned above; an f-string may hold {NAME} of such a text and nothing else in braces
 *   dict    {text: text, ...}; None counts as an empty text
 *
 * Every other value is an entry that says why it was not read: a call, a number, bytes, \N{...}, a surrogate (no UTF-8 text can hold it).
 * All else in the file is stepped over. What the file would do to its names when run (del, loops, functions) is not seen: who needs
 * certainty checks the texts by their hashes.
 *
 * The file is hostile input: bounded in size, nesting, number of assignments and bytes of text, each with a message of its own. */
#ifndef DR_ENGINE_PYTHON_LITERALS_H
#define DR_ENGINE_PYTHON_LITERALS_H

#include "base/bytes.h"

enum {
    DR_PYTHON_FILE_BYTES = 1 << 20,
    DR_PYTHON_TEXT_BYTES = 4 << 20, /* of all values together: a name may stand in many of them */
    DR_PYTHON_ENTRIES = 1024,
    DR_PYTHON_DEPTH = 32, /* of parentheses in a value, and of strings inside the braces of f-strings */
};

typedef struct dr_python_text {
    dr_str name; /* of the variable */
    dr_str key;  /* of the dict's entry; .s NULL for a plain text */
    dr_str text;
    int line;        /* where the statement starts, from 1 */
    const char *why; /* NULL; else the value was not read for this reason, and key and text are empty */
} dr_python_text;

/* In the order of assignment; a name assigned again stands only at its last place. A dict without entries leaves none. */
typedef struct dr_python_texts {
    dr_python_text *v;
    size_t n;
    void *storage; /* the strings */
} dr_python_texts;

/* name stands in messages: "NAME: line 3: ...". DR_ERR_FORMAT: not UTF-8, a string that does not end, or a bound above; DR_ERR_NOMEM. */
dr_status dr_python_texts_read(dr_python_texts *out, dr_str source, const char *name, dr_error *err);
void dr_python_texts_free(dr_python_texts *t);

/* The plain text of a variable (key NULL), or of a dict's entry. NULL when there is none, or it was not read. */
const dr_python_text *dr_python_text_get(const dr_python_texts *t, const char *name, const char *key);

#endif
