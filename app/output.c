#include "app/output.h"

#include "base/log.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void dr_output_init(dr_output *o, const dr_options *opt)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    const bool dumb = !term || strcmp(term, "dumb") == 0;

    *o = (dr_output){.json = opt->json, .quiet = opt->quiet, .verbose = opt->verbose};
    o->terminal = isatty(STDERR_FILENO) && !dumb && !opt->json && !opt->quiet;
    o->colour = isatty(STDERR_FILENO) && isatty(STDOUT_FILENO) && !dumb && !(no_color && *no_color) && !opt->json;
    o->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

void dr_output_event(dr_output *o, json_t *event)
{
    if (o->json && event) {
        char *line = json_dumps(event, JSON_COMPACT);
        if (line)
            puts(line);
        (void)fflush(stdout);
        free(line);
    }
    json_decref(event);
}

json_t *dr_output_text(dr_str s)
{
    json_t *v = json_stringn(s.s, s.n);
    if (v)
        return v;
    /* Not UTF-8: every byte past ASCII becomes U+FFFD, so that one bad name cannot lose an event. */
    dr_buf b = {0};
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.s[i] < 0x80)
            dr_buf_add(&b, s.s + i, 1);
        else
            dr_buf_str(&b, "\xef\xbf\xbd");
    }
    v = b.failed ? NULL : json_stringn(b.data ? b.data : "", b.n);
    dr_buf_free(&b);
    return v ? v : json_string("");
}

void dr_output_make_safe(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        if ((*c < 0x20 && *c != '\n' && *c != '\t') || *c == 0x7f)
            *c = '?';
        else if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) /* U+0080 to U+009F: controls as well */
            c[0] = c[1] = '?';
        else if (*c == 0xd8 && c[1] == 0x9c) /* U+061C, and what else turns the direction of writing around: U+200E, U+200F, */
            c[0] = c[1] = '?';
        else if (*c == 0xe2 && ((c[1] == 0x80 && (c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xaa && c[2] <= 0xae))) || /* U+202A to U+202E, */
                                (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9)))                                      /* U+2066 to U+2069 */
            c[0] = c[1] = c[2] = '?';
    }
}

void dr_output_diff(dr_str diff)
{
    if (!isatty(STDOUT_FILENO)) {
        (void)fwrite(diff.s, 1, diff.n, stdout);
        return;
    }
    char *text = diff.n ? strndup(diff.s, diff.n) : NULL;
    if (text) {
        dr_output_make_safe(text);
        (void)fputs(text, stdout);
    }
    free(text);
}

static void say(dr_output *o, const char *before, const char *fmt, va_list ap)
{
    char *text = NULL;
    dr_output_progress_end(o);
    if (vasprintf(&text, fmt, ap) >= 0) {
        dr_output_make_safe(text);
        (void)fprintf(stderr, "%s%s%s%s\n", dr_output_dim(o), before, text, dr_output_plain(o));
        free(text);
    }
}

void dr_output_note(dr_output *o, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!o->json && !o->quiet)
        say(o, "", fmt, ap);
    va_end(ap);
}

void dr_output_warning(dr_output *o, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!o->quiet)
        say(o, "deepread: warning: ", fmt, ap);
    va_end(ap);
}

void dr_output_progress(dr_output *o, const char *what, const char *unit, int64_t done, int64_t total, uint64_t elapsed_us)
{
    const uint64_t now = dr_clock_us();
    char a[28], b[28], c[28];

    if (!o->terminal || (now - o->last_us < 100000 && done < total))
        return;
    o->last_us = now;
    o->line_open = true;
    const double rate = elapsed_us ? (double)done * 1e6 / (double)elapsed_us : 0;
    (void)fprintf(stderr, "\r\033[K%s%s %s of %s %s", dr_output_dim(o), what, dr_output_count(a, done),
                  dr_output_count(b, total), unit);
    if (rate > 0) {
        (void)fprintf(stderr, ", %s/s", dr_output_count(c, (int64_t)rate));
        if (done < total)
            (void)fprintf(stderr, ", %.0f s left", (double)(total - done) / rate);
    }
    (void)fputs(dr_output_plain(o), stderr);
    (void)fflush(stderr);
}

void dr_output_progress_end(dr_output *o)
{
    if (o->line_open) {
        (void)fputs("\r\033[K", stderr);
        (void)fflush(stderr);
        o->line_open = false;
    }
}

void dr_output_error(dr_output *o, const dr_error *err)
{
    dr_output_progress_end(o);
    if (o->json)
        dr_output_event(o, json_pack("{s:s,s:s,s:o}", "type", "error", "code", dr_status_name(err->code), "message",
                                     dr_output_text(dr_str_of(err->msg))));
    dr_error shown = *err;
    dr_output_make_safe(shown.msg);
    (void)fprintf(stderr, "deepread: %s\n", shown.msg);
}

const char *dr_output_dim(const dr_output *o)
{
    return o->colour ? "\033[2m" : "";
}

const char *dr_output_strong(const dr_output *o)
{
    return o->colour ? "\033[1m" : "";
}

const char *dr_output_plain(const dr_output *o)
{
    return o->colour ? "\033[0m" : "";
}

const char *dr_output_count(char buf[28], int64_t v)
{
    char digits[24];
    const int n = snprintf(digits, sizeof digits, "%lld", (long long)(v < 0 ? -v : v));
    int at = 0;
    if (v < 0)
        buf[at++] = '-';
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            buf[at++] = ',';
        buf[at++] = digits[i];
    }
    buf[at] = 0;
    return buf;
}
