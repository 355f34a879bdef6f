/* repo/line_diff.h: what changed between two texts, line by line.
 *
 *   Myers, "An O(ND) difference algorithm and its variations" (1986), on lines as numbers, in linear space
 *
 * A line is what ends at a '\n', that byte included, or the rest of the text after the last one. Two lines are the same
 * when their bytes are, so a last line without a newline differs from the same line with one. Lines count from 1.
 *
 * The answer depends on the two texts only. It is a shortest one for everything that people write; the work is bounded
 * (under half a second for the worst two texts of a megabyte that were found), and when the bound is reached, what is left between two places that
 * agree becomes one hunk: longer than needed, never wrong. No state: any thread. */
#ifndef DR_REPO_LINE_DIFF_H
#define DR_REPO_LINE_DIFF_H

#include "base/bytes.h"

/* old_n lines from old_line on became new_n lines from new_line on; never both 0. No context: the lines around it are
 * the same. Where a side has 0 lines, its line is the one that the other side's lines stand before (one past the last
 * at the end). Ascending; between two hunks lies at least one line that is the same. */
typedef struct dr_hunk {
    uint32_t old_line, old_n, new_line, new_n;
} dr_hunk;

typedef struct dr_hunks {
    dr_hunk *v;
    size_t n;
} dr_hunks;

/* Equal texts: n == 0. DR_ERR_LIMIT: a text of 4 GiB or more. Whatever *out held is not freed. */
dr_status dr_line_diff(dr_hunks *out, dr_str old_text, dr_str new_text, dr_error *err);
void dr_hunks_fini(dr_hunks *h);

/* Appends the hunks in unified form with up to `context` lines around each (those that touch or overlap are joined):
 * "@@ -a,b +c,d @@", then ' ', '-' and '+' lines; no file header. Both counts are always written; with a count of 0 the
 * line is the one before, as git has it. Every line ends with a newline: a last line without one is followed by git's
 * "\ No newline at end of file", so that `git apply` and `patch` give new_text exactly. The texts are those that the
 * hunks were made of. Nothing is appended when n == 0. DR_ERR_NOMEM. */
dr_status dr_line_diff_print(dr_buf *out, const dr_hunks *h, dr_str old_text, dr_str new_text, uint32_t context,
                             dr_error *err);

/* Where line old_line of the old text is in the new one. True: it is there, unchanged, at *new_line. False: it was
 * changed or removed, and *new_line is the nearest: the line with the same place in its hunk, or the last of the hunk,
 * or where the hunk was. A line past the end of the old text maps as if unchanged lines followed. */
bool dr_line_map(uint32_t *new_line, const dr_hunks *h, uint32_t old_line);

#endif
