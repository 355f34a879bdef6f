/* app/cache_command.c: `deepread cache stat|verify|gc|purge`. */
#include "app/app.h"
#include "app/setup.h"
#include "cache/upkeep.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static json_int_t total_bytes(const dr_cache_stat *s)
{
    return (json_int_t)(s->kv[DR_KV_BLOCK].n_bytes + s->kv[DR_KV_ANCHOR].n_bytes);
}

static dr_status show_stat(dr_cache *c, dr_output *out, dr_error *err)
{
    dr_cache_stat s;
    char a[28], b[28];
    const dr_status st = dr_cache_stat_get(c, &s, err);
    if (st != DR_OK)
        return st;
    if (out->json) {
        const struct {
            const char *name;
            json_int_t value;
        } figures[] = {
            {"blocks", s.kv[DR_KV_BLOCK].n_records},
            {"anchors", s.kv[DR_KV_ANCHOR].n_records},
            {"kv_bytes", total_bytes(&s)},
            {"kv_max_bytes", s.kv_max_bytes},
            {"kv_file_bytes", s.kv_file_bytes},
            {"written_today", s.day_bytes},
            {"written_a_day_max", s.day_max_bytes},
            {"facts", s.n_facts},
            {"facts_bytes", s.facts_bytes},
            {"facts_max_bytes", s.facts_max_bytes},
            {"facts_file_bytes", s.facts_file_bytes},
            {"aside_bytes", s.aside_bytes},
            {"hits", (json_int_t)s.n_hits},
            {"misses", (json_int_t)s.n_misses},
            {"damaged", (json_int_t)s.n_damaged},
            {"evicted", (json_int_t)s.n_evicted},
            {"stored", (json_int_t)s.n_stored},
            {"bytes_stored", (json_int_t)s.bytes_stored},
            {"bytes_read", (json_int_t)s.bytes_read},
        };
        json_t *event =
            json_pack("{s:s,s:o}", "type", "cache_stat", "folder", dr_output_text(dr_str_of(dr_cache_folder(c))));
        for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
            json_object_set_new(event, figures[i].name, json_integer(figures[i].value));
        dr_output_event(out, event);
        return DR_OK;
    }
    printf("folder   %s\n", dr_cache_folder(c));
    printf("prefixes %s blocks, %s anchors, ", dr_output_count(a, s.kv[DR_KV_BLOCK].n_records),
           dr_output_count(b, s.kv[DR_KV_ANCHOR].n_records));
    printf("%.1f MB of at most %.0f MB\n", (double)total_bytes(&s) * 1e-6, (double)s.kv_max_bytes * 1e-6);
    printf("facts    %s, %.1f MB of at most %.0f MB\n", dr_output_count(a, s.n_facts), (double)s.facts_bytes * 1e-6,
           (double)s.facts_max_bytes * 1e-6);
    printf("on disk  %.1f MB", (double)(s.kv_file_bytes + s.facts_file_bytes) * 1e-6);
    if (s.aside_bytes)
        printf(", %.1f MB moved aside (gc deletes it)", (double)s.aside_bytes * 1e-6);
    printf("\ntoday    %.1f MB of prefixes written of at most %.0f MB\n", (double)s.day_bytes * 1e-6, (double)s.day_max_bytes * 1e-6);
    printf("so far   %llu hits, %llu misses, %llu stored, %llu evicted, %llu damaged, %.1f MB written, %.1f MB restored\n",
           (unsigned long long)s.n_hits, (unsigned long long)s.n_misses, (unsigned long long)s.n_stored,
           (unsigned long long)s.n_evicted, (unsigned long long)s.n_damaged, (double)s.bytes_stored * 1e-6,
           (double)s.bytes_read * 1e-6);
    return DR_OK;
}

static void show_verify(void *arg, int64_t done, int64_t total)
{
    dr_output_progress(arg, "verify", "records", done, total, 0);
}

static dr_status verify(dr_cache *c, dr_output *out, const atomic_bool *cancel, int64_t *n_bad, dr_error *err)
{
    dr_cache_report r;
    char a[28], b[28], d[28];
    const dr_status st = dr_cache_verify(c, &r, show_verify, out, cancel, err);
    dr_output_progress_end(out);
    if (st != DR_OK)
        return st;
    *n_bad = r.n_bad_records + r.n_bad_facts + r.n_bad_links + r.n_lost_slabs;
    if (out->json)
        dr_output_event(out, json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "type", "cache_verify", "records",
                                       (json_int_t)r.n_records, "bytes", (json_int_t)r.n_bytes, "facts", (json_int_t)r.n_facts,
                                       "bad_records", (json_int_t)r.n_bad_records, "bad_facts", (json_int_t)r.n_bad_facts,
                                       "bad_links", (json_int_t)r.n_bad_links, "lost_slabs", (json_int_t)r.n_lost_slabs));
    else
        printf("%s records, %s bytes, %s facts read; %lld damaged records dropped, %lld damaged facts, %lld links mended, "
               "%lld slabs found\n",
               dr_output_count(a, r.n_records), dr_output_count(b, r.n_bytes), dr_output_count(d, r.n_facts),
               (long long)r.n_bad_records, (long long)r.n_bad_facts, (long long)r.n_bad_links, (long long)r.n_lost_slabs);
    return DR_OK;
}

/* The root that a repository at this path had when it was still there: what is left of the path without its links, the rest as it is
 * written. DR_ERR_ARG when that cannot be told. */
static dr_status root_of_gone(dr_buf *out, const char *path, dr_error *err)
{
    char real[PATH_MAX];
    dr_status st = DR_OK;
    char *head = strdup(path);
    size_t n = strlen(path);

    if (!head)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    while (n > 1 && head[n - 1] == '/')
        head[--n] = 0;
    while (!realpath(*head ? head : ".", real)) {
        char *slash = strrchr(head, '/');
        if (errno != ENOENT || !*head) {
            st = dr_fail(err, DR_ERR_ARG, "%s: %s", path, strerror(errno));
            goto done;
        }
        if (slash == head)
            slash++; /* "/name": the rest is looked for in "/" */
        head[slash ? slash - head : 0] = 0;
    }
    dr_buf_str(out, strcmp(real, "/") == 0 ? "" : real);
    for (const char *at = path + strlen(head), *end = path + n; at < end;) {
        const size_t part = strcspn(at, "/");
        const size_t here = part < (size_t)(end - at) ? part : (size_t)(end - at);
        if (here == 2 && memcmp(at, "..", 2) == 0) {
            st = dr_fail(err, DR_ERR_ARG, "%s: is not there, and what \"..\" leads to cannot be told; name it without", path);
            goto done;
        }
        if (here > 0 && !(here == 1 && *at == '.')) {
            dr_buf_str(out, "/");
            dr_buf_add(out, at, here);
        }
        at += here + 1;
    }
    if (out->failed)
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
done:
    free(head);
    return st;
}

/* Room on the disk comes back only when the whole is deleted; what is dropped makes room for other records. A repository that is gone is
 * known by its path alone. */
static dr_status purge_repo(dr_setup *s, dr_output *out, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_repo_options how = {.store = s->facts};
    const char *path = s->opt->path ? s->opt->path : ".";
    dr_buf gone = {0};
    dr_str root;
    int64_t n = 0;

    if (access(path, F_OK) == 0 || errno != ENOENT) {
        if ((st = dr_repo_open(&s->repo, path, &how, err)) != DR_OK)
            goto done;
        root = dr_repo_identity(s->repo)->root;
    } else {
        if ((st = root_of_gone(&gone, path, err)) != DR_OK)
            goto done;
        root = dr_buf_view(&gone);
    }
    if ((st = dr_cache_purge(s->cache, dr_xxh3_128(root.s, root.n).lo, &n, err)) != DR_OK)
        goto done;
    dr_output_event(out, json_pack("{s:s,s:o,s:I}", "type", "cache_purge", "repository", dr_output_text(root), "dropped", (json_int_t)n));
    dr_output_note(out, "%lld records dropped%s; facts are kept by what files hold, not by repository, and go with the whole cache only",
                   (long long)n, gone.n ? " (no repository is at that path any more)" : "");
done:
    dr_buf_free(&gone);
    return st;
}

static dr_status purge_all(dr_setup *s, dr_output *out, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf folder = {0};

    dr_cache_close(s->cache);
    s->cache = NULL;
    s->facts = NULL;
    if ((st = dr_cache_folder_of_user(&folder, err)) == DR_OK && (st = dr_cache_delete(folder.data, err)) == DR_OK) {
        dr_output_event(out, json_pack("{s:s,s:o}", "type", "cache_purge", "folder", dr_output_text(dr_str_of(folder.data))));
        dr_output_note(out, "%s deleted", folder.data);
    }
    dr_buf_free(&folder);
    return st;
}

static dr_status tidy(dr_cache *c, dr_output *out, dr_error *err)
{
    int64_t n = 0, bytes = 0;
    const dr_status st = dr_cache_gc(c, &n, &bytes, err);
    if (st != DR_OK)
        return st;
    dr_output_event(out, json_pack("{s:s,s:I,s:I}", "type", "cache_gc", "evicted", (json_int_t)n, "bytes", (json_int_t)bytes));
    dr_output_note(out, "%lld records evicted, %lld bytes freed", (long long)n, (long long)bytes);
    return DR_OK;
}

dr_outcome dr_command_cache(const dr_options *opt, dr_output *out, const atomic_bool *cancel, dr_error *err)
{
    dr_status st = DR_OK;
    dr_setup s;
    int64_t n_bad = 0;
    const char *what = opt->n_words == 1 ? opt->words[0] : "";

    dr_setup_init(&s, opt, out, cancel);
    if (strcmp(what, "stat") != 0 && strcmp(what, "verify") != 0 && strcmp(what, "gc") != 0 && strcmp(what, "purge") != 0) {
        st = dr_fail(err, DR_ERR_ARG, "cache: say stat, verify, gc or purge");
        goto done;
    }
    if (opt->no_cache) {
        st = dr_fail(err, DR_ERR_ARG, "cache %s and --no-cache exclude each other", what);
        goto done;
    }
    if (opt->of_repo && strcmp(what, "purge") != 0) {
        st = dr_fail(err, DR_ERR_ARG, "cache %s: --repo goes with purge", what);
        goto done;
    }
    if ((st = dr_setup_cache(&s, err)) != DR_OK)
        goto done;
    if (!s.cache) {
        st = dr_fail(err, DR_ERR_NOT_FOUND, "there is no cache to look after");
        goto done;
    }
    if (strcmp(what, "stat") == 0)
        st = show_stat(s.cache, out, err);
    else if (strcmp(what, "verify") == 0)
        st = verify(s.cache, out, cancel, &n_bad, err);
    else if (strcmp(what, "gc") == 0)
        st = tidy(s.cache, out, err);
    else
        st = opt->of_repo || opt->path ? purge_repo(&s, out, err) : purge_all(&s, out, err);
done:
    dr_setup_fini(&s);
    return st != DR_OK ? dr_outcome_of(st) : n_bad ? DR_DECLINED : DR_DONE;
}
