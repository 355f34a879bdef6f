#include "tests/repo/git_oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

bool git_is_here(void)
{
    return system("git --version >/dev/null 2>&1") == 0;
}

void git_says(dr_buf *out, const world *w, const char *folder, const char *args, dr_str input, int also_ok)
{
    dr_buf command = {0};
    dr_error err = {0};

    write_file(in(w, "oracle.in"), input.s, input.n);
    dr_buf_printf(&command,
                  "cd '%s' && HOME='%s' XDG_CONFIG_HOME='%s' GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null "
                  "GIT_ATTR_NOSYSTEM=1 "
                  "git -c core.quotepath=off %s < '%s/oracle.in' > '%s/oracle.out' 2> '%s/oracle.err'",
                  in(w, folder), w->path, w->path, args, w->path, w->path, w->path);
    const int status = system(command.data);
    if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != also_ok)) {
        dr_buf said = {0};
        (void)dr_read_file(&said, in(w, "oracle.err"), 65536, NULL);
        fail_msg("git %s: status %d: %s", args, status, said.data ? said.data : "");
    }
    dr_buf_free(out);
    *out = (dr_buf){0};
    if (dr_read_file(out, in(w, "oracle.out"), 64 << 20, &err) != DR_OK)
        fail_msg("%s", err.msg);
    dr_buf_free(&command);
}

uint32_t roll(dice *d, uint32_t n)
{
    d->state ^= d->state << 13;
    d->state ^= d->state >> 7;
    d->state ^= d->state << 17;
    return (uint32_t)(d->state >> 33) % n;
}

const char *random_name(dice *d)
{
    static const char *const names[] = {"a",   "b",         "ab",    "ba",  "foo", "foobar", "bar",
                                        "a.c", "b.o",       "foo.c", "x y", "a]",  "-",      "A",
                                        "a-b", "ab.tar.gz", "!a",    "#a",  "a ",  "9",      "f\\o"};
    return names[roll(d, sizeof names / sizeof *names)];
}

static void add(char *out, size_t room, const char *s)
{
    const size_t n = strlen(out);
    (void)snprintf(out + n, room - n, "%s", s);
}

const char *random_pattern(dice *d)
{
    static const char *const parts[] = {
        "a",   "b",           "ab",          "ba",  "foo",  "bar",  "a.c",   ".o",   "*",   "*",
        "*",   "?",           "**",          "**",  "[ab]", "[!a]", "[a-c]", "[^b]", "[]]", "***",
        "\\a", "[[:alpha:]]", "[[:digit:]]", "\\*", "o",    "f",    ".",     "[a-]", "[a",  "[[:foo:]]",
        "\\",  "-",           "[\\]a]",      "x y", " ",    "[[:]", "[]-a]", "c",    "\\ ", "foobar"};
    static char out[256];

    out[0] = 0;
    if (roll(d, 5) == 0)
        add(out, sizeof out, "!");
    if (roll(d, 6) == 0)
        add(out, sizeof out, "/");
    if (roll(d, 4) == 0) { /* the names themselves */
        for (uint32_t i = 0, n = 1 + roll(d, 3); i < n; i++) {
            add(out, sizeof out, i ? "/" : "");
            add(out, sizeof out, random_name(d));
        }
        return out;
    }
    const uint32_t n_parts = 1 + roll(d, 3);
    for (uint32_t i = 0; i < n_parts; i++) {
        if (i)
            add(out, sizeof out, "/");
        if (roll(d, 4) == 0) {
            add(out, sizeof out, "**");
            continue;
        }
        for (uint32_t k = 1 + roll(d, 3); k > 0; k--)
            add(out, sizeof out, parts[roll(d, sizeof parts / sizeof *parts)]);
    }
    if (roll(d, 5) == 0)
        add(out, sizeof out, "/");
    if (roll(d, 8) == 0)
        add(out, sizeof out, roll(d, 2) ? " " : "\t");
    return out;
}
