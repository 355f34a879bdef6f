/* app/model_files.c: `deepread model list` and `check`: what a model folder holds. */
#include "app/model_parts.h"
#include "app/setup.h"

#include "engine/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

dr_status dr_model_part__list(const dr_model_command *c, dr_error *err)
{
    dr_profile profile = {0};
    const dr_status st = dr_profile_open(&profile, c->dir, err);

    if (st == DR_OK && c->opt->json)
        dr_output_event(c->out, json_pack("{s:s,s:i,s:o,s:o,s:o}", "type", "model", "schema", DR_EVENT_SCHEMA, "name",
                                          dr_output_text(dr_str_of(profile.name)), "folder", dr_output_text(dr_str_of(c->dir)),
                                          "limits", dr_output_text(dr_str_of(profile.limits))));
    else if (st == DR_OK)
        printf("%s\t%s\n", profile.name ? profile.name : "-", c->dir);
    dr_profile_fini(&profile);
    return st;
}

static int is_weights(const struct dirent *e)
{
    const size_t n = strlen(e->d_name), suffix = strlen(".safetensors");
    return n > suffix && strcmp(e->d_name + n - suffix, ".safetensors") == 0;
}

static dr_status hash_file(char hex[65], const char *path, const atomic_bool *cancel, dr_error *err)
{
    enum { PART = 1 << 20 };
    dr_status st = DR_OK;
    struct stat sb;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO without a writer would wait for ever */
    FILE *f = fd >= 0 ? fdopen(fd, "rb") : NULL;
    uint8_t *part = malloc(PART);
    dr_sha256_stream *hash = dr_sha256_new();

    if (!f) {
        st = dr_fail(err, DR_ERR_IO, "%s: %s", path, strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        goto done;
    }
    if (fstat(fd, &sb) < 0 || !S_ISREG(sb.st_mode)) {
        st = dr_fail(err, DR_ERR_IO, "%s: not a regular file", path);
        goto done;
    }
    if (!part || !hash) {
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", path);
        goto done;
    }
    for (size_t n; (n = fread(part, 1, PART, f)) > 0;) {
        if (atomic_load_explicit(cancel, memory_order_relaxed)) {
            st = dr_fail(err, DR_ERR_CANCELLED, "interrupted");
            goto done;
        }
        dr_sha256_update(hash, part, n);
    }
    if (ferror(f))
        st = dr_fail(err, DR_ERR_IO, "%s: %s", path, strerror(errno));
done:
    if (f)
        (void)fclose(f);
    free(part);
    const dr_digest digest = dr_sha256_finish(hash);
    dr_digest_hex(hex, &digest);
    return st;
}

/* --full: the SHA-256 of every weights file, into `report`. */
static dr_status hash_weights(json_t *report, const dr_model_command *c, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf path = {0};
    struct dirent **names = NULL;
    json_t *digests = json_object();
    const int n = scandir(c->dir, &names, is_weights, alphasort);

    if (n < 0)
        st = dr_fail(err, DR_ERR_IO, "%s: %s", c->dir, strerror(errno));
    for (int i = 0; i < n && st == DR_OK; i++) {
        char hex[65];
        dr_buf_clear(&path);
        dr_buf_printf(&path, "%s/%s", c->dir, names[i]->d_name);
        st = path.failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory") : hash_file(hex, path.data, c->cancel, err);
        (void)json_object_set_new(digests, names[i]->d_name, json_string(hex));
    }
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    dr_buf_free(&path);
    (void)json_object_set_new(report, "sha256", digests);
    return st;
}

/* The list behind the sentence, for people: on standard error, as the sentence is. */
static void show_problems(const dr_problems *p)
{
    for (size_t i = 0; i < p->n; i++) {
        char *line = strdup(p->items[i].text);
        if (line) {
            dr_output_make_safe(line);
            for (char *c = line; (c = strchr(c, '\n')); c++) /* a tensor's name cannot begin a line of its own */
                *c = '?';
            (void)fprintf(stderr, "%s\n", line);
        }
        free(line);
    }
    if (dr_problems_count(p) > p->n)
        (void)fprintf(stderr, "... and %zu more\n", dr_problems_count(p) - p->n);
}

dr_status dr_model_part__check(const dr_model_command *c, dr_error *err)
{
    dr_buf text = {0};
    dr_problems problems = {0};
    json_t *report = NULL;
    char *line = NULL;
    dr_status st = dr_model_check(c->dir, c->opt->full, &text, &problems, err);
    const bool show = text.n && (st == DR_OK || c->opt->json);

    if (!c->opt->json)
        show_problems(&problems);
    if (!show)
        goto done;
    json_t *const found = json_loadb(text.data, text.n, 0, NULL);
    report = json_pack("{s:s, s:i}", "type", "check", "schema", DR_EVENT_SCHEMA);
    if (!found || json_object_update(report, found) != 0)
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", c->dir);
    json_decref(found);
    if (st == DR_OK && c->opt->full)
        st = hash_weights(report, c, err);
    if ((line = json_dumps(report, JSON_COMPACT)))
        puts(line);
done:
    free(line);
    json_decref(report);
    dr_problems_fini(&problems);
    dr_buf_free(&text);
    return st;
}
