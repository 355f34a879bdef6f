#include "repo/line_diff.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* How it goes: equal bytes at both ends are set aside without splitting them into lines; the lines between get numbers,
 * equal numbers for equal lines; lines whose number the other side lacks are changed for certain and are taken out; what
 * remains is divided at a middle point of a shortest path again and again (Myers, section 4b). */

enum {
    /* A search for a middle point that has gone so many steps from both ends stops at the best point it has. Then the
     * cost is linear in the lines, with this factor. */
    MAX_COST = 256,
    /* Lines looked at in one diff, all searches together; past it, what is left is one hunk each. 0.1 s. */
    MAX_WORK = 1 << 26,
    /* Places looked at while numbering lines, for each line: crowding that only a hostile text brings about. */
    MAX_PROBES = 64,
};

typedef struct one_line {
    const char *s;
    size_t n;
    uint64_t hash;
} one_line;

typedef struct side {
    one_line *lines;
    size_t n;
    uint32_t *number; /* [n] equal for equal lines */
    bool *changed;    /* [n + 1], the last one false */
    /* Lines whose number both sides have. */
    uint32_t *kept;  /* [n_kept] their numbers */
    uint32_t *where; /* [n_kept] their places in lines */
    size_t n_kept;
} side;

static size_t count_newlines(const char *s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += s[i] == '\n';
    return count;
}

/* ---- equal ends ---- */

static size_t equal_start(const char *a, const char *b, size_t n)
{
    enum { STEP = 256 };
    size_t i = 0;
    while (i + STEP <= n && memcmp(a + i, b + i, STEP) == 0)
        i += STEP;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

/* a and b point one past the ends. */
static size_t equal_end(const char *a, const char *b, size_t n)
{
    enum { STEP = 256 };
    size_t i = 0;
    while (i + STEP <= n && memcmp(a - i - STEP, b - i - STEP, STEP) == 0)
        i += STEP;
    while (i < n && a[-1 - (ptrdiff_t)i] == b[-1 - (ptrdiff_t)i])
        i++;
    return i;
}

/* Bytes at the start and at the end that are whole equal lines on both sides. */
static void trim(size_t *n_start, size_t *n_end, dr_str a, dr_str b)
{
    const size_t most = a.n < b.n ? a.n : b.n;
    size_t start = most ? equal_start(a.s, b.s, most) : 0, end;

    if (start == a.n && start == b.n) {
        *n_start = start;
        *n_end = 0;
        return;
    }
    while (start > 0 && a.s[start - 1] != '\n')
        start--;
    end = most > start ? equal_end(a.s + a.n, b.s + b.n, most - start) : 0;
    if (end > 0) {
        const char *p = a.s + a.n - end, *q = b.s + b.n - end;
        const bool p_begins = p == a.s + start || p[-1] == '\n', q_begins = q == b.s + start || q[-1] == '\n';
        if (!p_begins || !q_begins) {
            const char *newline = memchr(p, '\n', end);
            end = newline ? (size_t)(a.s + a.n - newline - 1) : 0;
        }
    }
    *n_start = start;
    *n_end = end;
}

/* ---- lines and their numbers ---- */

static bool split_lines(side *s, dr_str text)
{
    const size_t most = count_newlines(text.s, text.n) + 1;
    size_t at = 0;

    if (!(s->lines = malloc(most * sizeof *s->lines)) || !(s->number = malloc(most * sizeof *s->number)) ||
        !(s->changed = calloc(most + 1, sizeof *s->changed)) || !(s->kept = malloc(most * sizeof *s->kept)) ||
        !(s->where = malloc(most * sizeof *s->where)))
        return false;
    while (at < text.n) {
        const char *newline = memchr(text.s + at, '\n', text.n - at);
        const size_t n = newline ? (size_t)(newline - text.s) + 1 - at : text.n - at;
        s->lines[s->n++] = (one_line){text.s + at, n, dr_xxh3_128(text.s + at, n).lo};
        at += n;
    }
    return true;
}

static void side_fini(side *s)
{
    free(s->lines);
    free(s->number);
    free(s->changed);
    free(s->kept);
    free(s->where);
}

typedef struct numbers {
    uint32_t *slots; /* number + 1; 0: free */
    size_t mask;
    const one_line **first; /* [n] the line that a number was made for */
    uint8_t *sides;     /* [n] bit 0: in the old text, bit 1: in the new one */
    uint32_t n;
    size_t probes_left;
} numbers;

/* False: too crowded. */
static bool number_lines(numbers *t, side *s, uint8_t which)
{
    for (size_t i = 0; i < s->n; i++) {
        const one_line *l = &s->lines[i];
        size_t at = l->hash & t->mask;
        for (;; at = (at + 1) & t->mask) {
            if (t->probes_left-- == 0)
                return false;
            if (t->slots[at] == 0) {
                t->first[t->n] = l;
                t->sides[t->n] = 0;
                t->slots[at] = ++t->n;
                break;
            }
            const one_line *other = t->first[t->slots[at] - 1];
            if (other->hash == l->hash && other->n == l->n && memcmp(other->s, l->s, l->n) == 0)
                break;
        }
        s->number[i] = t->slots[at] - 1;
        t->sides[s->number[i]] |= which;
    }
    return true;
}

static void keep_common(side *s, const uint8_t *sides)
{
    for (size_t i = 0; i < s->n; i++) {
        if (sides[s->number[i]] != 3) {
            s->changed[i] = true;
            continue;
        }
        s->kept[s->n_kept] = s->number[i];
        s->where[s->n_kept++] = (uint32_t)i;
    }
}

/* ---- shortest paths ---- */

typedef struct search {
    side *old, *new;
    /* Furthest point reached on each diagonal x - y, from the start and from the end; indexed from -n_new - 1. */
    int64_t *fwd, *bwd;
    int64_t work_left;
} search;

/* A part of both sequences: x in [x0, x1) of the old one, y in [y0, y1) of the new one. */
typedef struct box {
    int64_t x0, x1, y0, y1;
} box;

static void mark_box(const search *s, const box *b)
{
    for (int64_t x = b->x0; x < b->x1; x++)
        s->old->changed[s->old->where[x]] = true;
    for (int64_t y = b->y0; y < b->y1; y++)
        s->new->changed[s->new->where[y]] = true;
}

/* Where the best of the unfinished paths has got to: from the start or from the end, whichever went further. */
static void best_so_far(const search *s, const box *b, int64_t f_low, int64_t f_high, int64_t r_low, int64_t r_high,
                        int64_t *mx, int64_t *my)
{
    int64_t best = -1, best_back = -1, bx = 0, by = 0, cx = 0, cy = 0;

    for (int64_t d = f_low; d <= f_high; d += 2) {
        int64_t x = s->fwd[d] < b->x1 ? s->fwd[d] : b->x1, y = x - d;
        if (y > b->y1) {
            y = b->y1;
            x = y + d;
        }
        if (x + y - b->x0 - b->y0 > best) {
            best = x + y - b->x0 - b->y0;
            bx = x;
            by = y;
        }
    }
    for (int64_t d = r_low; d <= r_high; d += 2) {
        int64_t x = s->bwd[d] > b->x0 ? s->bwd[d] : b->x0, y = x - d;
        if (y < b->y0) {
            y = b->y0;
            x = y + d;
        }
        if (b->x1 + b->y1 - x - y > best_back) {
            best_back = b->x1 + b->y1 - x - y;
            cx = x;
            cy = y;
        }
    }
    *mx = best >= best_back ? bx : cx;
    *my = best >= best_back ? by : cy;
}

/* A point that a shortest path through the box goes through (a good one, when that would take too long). False: the
 * work allowed is used up. Both sides of the box are not empty, and neither their first nor their last lines are equal.
 *
 * Step c extends the paths of c - 1 changes by one more, on every second diagonal in [low, high]; a diagonal just
 * outside that range holds a value that never wins. */
static bool find_middle(search *s, const box *b, int64_t *mx, int64_t *my)
{
    const uint32_t *a = s->old->kept, *n = s->new->kept;
    int64_t *const fwd = s->fwd, *const bwd = s->bwd;
    const int64_t d_min = b->x0 - b->y1, d_max = b->x1 - b->y0; /* diagonals of the box */
    const int64_t f_mid = b->x0 - b->y0, r_mid = b->x1 - b->y1;
    const bool odd = ((f_mid - r_mid) & 1) != 0;
    int64_t f_low = f_mid, f_high = f_mid, r_low = r_mid, r_high = r_mid, work = 0;
    bool found = false;

    fwd[f_mid] = b->x0;
    bwd[r_mid] = b->x1;
    for (int cost = 1; !found; cost++) {
        if (f_low > d_min)
            fwd[--f_low - 1] = -1;
        else
            f_low++;
        if (f_high < d_max)
            fwd[++f_high + 1] = -1;
        else
            f_high--;
        for (int64_t d = f_high; d >= f_low && !found; d -= 2) {
            int64_t x = fwd[d - 1] < fwd[d + 1] ? fwd[d + 1] : fwd[d - 1] + 1, y = x - d;
            const int64_t from = x;
            while (x < b->x1 && y < b->y1 && a[x] == n[y]) {
                x++;
                y++;
            }
            work += 1 + x - from;
            fwd[d] = x;
            if (odd && r_low <= d && d <= r_high && bwd[d] <= x) {
                *mx = x;
                *my = y;
                found = true;
            }
        }
        if (found)
            break;
        if (r_low > d_min)
            bwd[--r_low - 1] = INT64_MAX;
        else
            r_low++;
        if (r_high < d_max)
            bwd[++r_high + 1] = INT64_MAX;
        else
            r_high--;
        for (int64_t d = r_high; d >= r_low && !found; d -= 2) {
            int64_t x = bwd[d - 1] < bwd[d + 1] ? bwd[d - 1] : bwd[d + 1] - 1, y = x - d;
            const int64_t from = x;
            while (x > b->x0 && y > b->y0 && a[x - 1] == n[y - 1]) {
                x--;
                y--;
            }
            work += 1 + from - x;
            bwd[d] = x;
            if (!odd && f_low <= d && d <= f_high && x <= fwd[d]) {
                *mx = x;
                *my = y;
                found = true;
            }
        }
        if (!found && cost >= MAX_COST) {
            best_so_far(s, b, f_low, f_high, r_low, r_high, mx, my);
            found = true;
        }
    }
    s->work_left -= work;
    return s->work_left > 0;
}

/* Marks the changed lines of a box. Recurses into the smaller part only, so the depth is the logarithm of the size. */
static void compare(search *s, box b)
{
    const uint32_t *a = s->old->kept, *n = s->new->kept;

    for (;;) {
        int64_t mx, my;
        while (b.x0 < b.x1 && b.y0 < b.y1 && a[b.x0] == n[b.y0]) {
            b.x0++;
            b.y0++;
        }
        while (b.x0 < b.x1 && b.y0 < b.y1 && a[b.x1 - 1] == n[b.y1 - 1]) {
            b.x1--;
            b.y1--;
        }
        if (b.x0 == b.x1 || b.y0 == b.y1 || !find_middle(s, &b, &mx, &my)) {
            mark_box(s, &b);
            return;
        }
        box first = {b.x0, mx, b.y0, my}, second = {mx, b.x1, my, b.y1};
        if (mx - b.x0 + my - b.y0 > b.x1 - mx + b.y1 - my) {
            const box keep = first;
            first = second;
            second = keep;
        }
        compare(s, first);
        b = second;
    }
}

static dr_status find_changed(side *old, side *new, dr_error *err)
{
    dr_status st = DR_OK;
    numbers t = {0};
    search s = {.old = old, .new = new, .work_left = MAX_WORK};
    int64_t *room = NULL;
    const size_t n_lines = old->n + new->n;
    size_t n_slots = 64;

    while (n_slots < 2 * n_lines)
        n_slots *= 2;
    t.mask = n_slots - 1;
    t.probes_left = MAX_PROBES * n_lines;
    if (!(t.slots = calloc(n_slots, sizeof *t.slots)) || !(t.first = malloc((n_lines + 1) * sizeof *t.first)) ||
        !(t.sides = malloc(n_lines + 1))) {
        st = dr_fail(err, DR_ERR_NOMEM, "comparing texts: out of memory");
        goto done;
    }
    if (!number_lines(&t, old, 1) || !number_lines(&t, new, 2)) {
        memset(old->changed, true, old->n);
        memset(new->changed, true, new->n);
        goto done;
    }
    keep_common(old, t.sides);
    keep_common(new, t.sides);
    /* One diagonal more on each side, for the values that never win. */
    const size_t n_diagonals = old->n_kept + new->n_kept + 3;
    if (!(room = malloc(2 * n_diagonals * sizeof *room))) {
        st = dr_fail(err, DR_ERR_NOMEM, "comparing texts: out of memory");
        goto done;
    }
    s.fwd = room + new->n_kept + 1;
    s.bwd = room + n_diagonals + new->n_kept + 1;
    compare(&s, (box){0, (int64_t)old->n_kept, 0, (int64_t)new->n_kept});
done:
    free(room);
    free(t.slots);
    free(t.first);
    free(t.sides);
    return st;
}

/* ---- hunks ---- */

/* Lines that were only added (or only removed) can often stand a line lower just as well: then they do, as far as
 * possible, so that one change always looks the same, and joins the next one when it gets there. */
static void slide(side *s, side *other)
{
    size_t i = 0, k = 0; /* unchanged lines pair up in order */

    while (i < s->n) {
        if (!s->changed[i]) {
            while (other->changed[k])
                k++;
            i++;
            k++;
            continue;
        }
        size_t end = i;
        while (s->changed[end])
            end++;
        /* `end` is unchanged here, and so is its partner other[k]: only then is this a pure run that may move. */
        while (end < s->n && !other->changed[k] && s->number[i] == s->number[end]) {
            s->changed[i++] = false;
            s->changed[end++] = true;
            k++;
            while (s->changed[end])
                end++;
        }
        i = end;
    }
}

/* v NULL: only counts. */
static size_t list_hunks(dr_hunk *v, const side *old, const side *new, uint32_t lines_before)
{
    size_t i = 0, k = 0, n = 0;
    while (i < old->n || k < new->n) {
        const size_t i0 = i, k0 = k;
        while (old->changed[i])
            i++;
        while (new->changed[k])
            k++;
        if (i == i0 && k == k0) {
            i++;
            k++;
            continue;
        }
        if (v)
            v[n] = (dr_hunk){lines_before + (uint32_t)i0 + 1, (uint32_t)(i - i0), lines_before + (uint32_t)k0 + 1,
                             (uint32_t)(k - k0)};
        n++;
    }
    return n;
}

dr_status dr_line_diff(dr_hunks *out, dr_str old_text, dr_str new_text, dr_error *err)
{
    dr_status st = DR_OK;
    side old = {0}, new = {0};
    size_t n_start, n_end;

    *out = (dr_hunks){0};
    if (old_text.n >= UINT32_MAX || new_text.n >= UINT32_MAX)
        return dr_fail(err, DR_ERR_LIMIT, "comparing texts: one has 4 GiB or more");
    trim(&n_start, &n_end, old_text, new_text);
    if (n_start == old_text.n && n_start == new_text.n)
        return DR_OK;
    if (!split_lines(&old, (dr_str){old_text.s + n_start, old_text.n - n_start - n_end}) ||
        !split_lines(&new, (dr_str){new_text.s + n_start, new_text.n - n_start - n_end})) {
        st = dr_fail(err, DR_ERR_NOMEM, "comparing texts: out of memory");
        goto done;
    }
    if ((st = find_changed(&old, &new, err)) != DR_OK)
        goto done;
    slide(&new, &old);
    slide(&old, &new);
    const uint32_t lines_before = (uint32_t)count_newlines(old_text.s, n_start);
    out->n = list_hunks(NULL, &old, &new, lines_before);
    if (!(out->v = malloc(out->n * sizeof *out->v))) {
        out->n = 0;
        st = dr_fail(err, DR_ERR_NOMEM, "comparing texts: out of memory");
        goto done;
    }
    (void)list_hunks(out->v, &old, &new, lines_before);
done:
    side_fini(&old);
    side_fini(&new);
    return st;
}

void dr_hunks_fini(dr_hunks *h)
{
    free(h->v);
    *h = (dr_hunks){0};
}

/* ---- unified form ---- */

/* A text read forward line by line. */
typedef struct reader {
    const char *p, *end;
    uint32_t line; /* of p */
} reader;

static dr_str next_line(reader *r)
{
    const char *start = r->p;
    const char *newline = memchr(r->p, '\n', (size_t)(r->end - r->p));
    r->p = newline ? newline + 1 : r->end;
    r->line++;
    return (dr_str){start, (size_t)(r->p - start)};
}

static void skip_to(reader *r, uint32_t line)
{
    while (r->line < line && r->p < r->end)
        (void)next_line(r);
}

static void print_lines(dr_buf *out, reader *r, uint32_t n, char mark)
{
    for (uint32_t i = 0; i < n && r->p < r->end; i++) {
        const dr_str l = next_line(r);
        dr_buf_add(out, &mark, 1);
        dr_buf_add(out, l.s, l.n);
        if (l.s[l.n - 1] != '\n')
            dr_buf_str(out, "\n\\ No newline at end of file\n");
    }
}

dr_status dr_line_diff_print(dr_buf *out, const dr_hunks *h, dr_str old_text, dr_str new_text, uint32_t context,
                             dr_error *err)
{
    if (h->n == 0)
        return DR_OK;
    reader old = {old_text.s, old_text.s + old_text.n, 1}, new = {new_text.s, new_text.s + new_text.n, 1};
    const uint32_t n_new =
        (uint32_t)(count_newlines(new_text.s, new_text.n) + (new_text.n && new_text.s[new_text.n - 1] != '\n'));

    for (size_t first = 0, last; first < h->n; first = last + 1) {
        const dr_hunk *f = &h->v[first];
        uint64_t gap = 0;
        for (last = first; last + 1 < h->n; last++) {
            gap = (uint64_t)h->v[last + 1].new_line - h->v[last].new_line - h->v[last].new_n;
            if (gap > 2 * (uint64_t)context)
                break;
        }
        const dr_hunk *l = &h->v[last];
        const uint32_t before = f->new_line - 1 < context ? f->new_line - 1 : context;
        const uint32_t rest = n_new + 1 - l->new_line - l->new_n, after = rest < context ? rest : context;
        const uint32_t old_from = f->old_line - before, old_n = l->old_line + l->old_n + after - old_from;
        const uint32_t new_from = f->new_line - before, new_n = l->new_line + l->new_n + after - new_from;

        dr_buf_printf(out, "@@ -%u,%u +%u,%u @@\n", old_n ? old_from : old_from - 1, old_n,
                      new_n ? new_from : new_from - 1, new_n);
        skip_to(&old, old_from);
        skip_to(&new, new_from);
        for (size_t i = first; i <= last; i++) {
            print_lines(out, &old, h->v[i].old_line - old.line, ' ');
            skip_to(&new, h->v[i].new_line);
            print_lines(out, &old, h->v[i].old_n, '-');
            print_lines(out, &new, h->v[i].new_n, '+');
        }
        print_lines(out, &old, after, ' ');
    }
    return out->failed ? dr_fail(err, DR_ERR_NOMEM, "printing changes: out of memory") : DR_OK;
}

bool dr_line_map(uint32_t *new_line, const dr_hunks *h, uint32_t old_line)
{
    size_t low = 0, high = h->n; /* the first hunk that starts after old_line */
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        /* Added lines stand before their old line, so that one moves too. */
        if (h->v[mid].old_line <= old_line)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == 0) {
        *new_line = old_line;
        return true;
    }
    const dr_hunk *k = &h->v[low - 1];
    const uint32_t at = old_line - k->old_line;
    if (at >= k->old_n) {
        *new_line = k->new_line + k->new_n + (at - k->old_n);
        return true;
    }
    if (k->new_n)
        *new_line = k->new_line + (at < k->new_n ? at : k->new_n - 1);
    else
        *new_line = k->new_line > 1 ? k->new_line - 1 : 1;
    return false;
}
