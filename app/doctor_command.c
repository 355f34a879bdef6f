/* app/doctor_command.c: `deepread doctor`: is this machine ready, in plain words. Each line is a fact; what needs doing says how. */
#include "app/app.h"
#include "app/cache_settings.h"
#include "app/setup.h"
#include "cache/upkeep.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct finding {
    const char *what;
    bool good;
    dr_buf text;
} finding;

enum { MAX_FINDINGS = 8 };

static finding *add(finding *list, int *n, const char *what, bool good)
{
    finding *f = &list[*n];
    *f = (finding){.what = what, .good = good};
    (*n)++;
    return f;
}

static double available_gib(void)
{
    dr_buf text = {0};
    double gib = 0;
    if (dr_read_file(&text, "/proc/meminfo", 1 << 16, NULL) == DR_OK || text.n) {
        const char *at = strstr(text.data, "MemAvailable:");
        if (at)
            gib = strtod(at + strlen("MemAvailable:"), NULL) / (1024.0 * 1024.0);
    }
    dr_buf_free(&text);
    return gib;
}

static void look_at_cpu(finding *list, int *n, const dr_setup *s)
{
    const uint32_t f = dr_cpu_features();
    finding *x = add(list, n, "cpu", (f & DR_CPU_AVX2) != 0);
    dr_buf_printf(&x->text, "%d threads; %s%s%s", dr_pool_size(s->pool), f & DR_CPU_AVX2 ? "AVX2" : "no AVX2: plain loops, slow",
                  f & DR_CPU_AVX512 ? ", AVX-512" : "", f & DR_CPU_AMX ? ", AMX" : "");
}

static void look_at_model(finding *list, int *n, dr_setup *s)
{
    dr_error e = {0};
    const dr_status st = dr_setup_model(s, &e);
    finding *x = add(list, n, "model", st == DR_OK);
    if (st != DR_OK) {
        dr_buf_str(&x->text, e.msg);
        return;
    }
    int64_t total, active;
    dr_model_parameters(s->model, &total, &active);
    dr_buf_printf(&x->text, "%s (%s): %.1f M parameters, %.1f M active a token, %.0f MB in memory, kernels %s", s->profile.name,
                  s->model_dir, (double)total * 1e-6, (double)active * 1e-6, (double)dr_model_bytes(s->model) * 1e-6,
                  s->ops.name);
    if (*s->profile.limits)
        dr_buf_printf(&x->text, ". %s", s->profile.limits);
}

static void look_at_cache(finding *list, int *n, dr_setup *s)
{
    dr_error e = {0};
    dr_cache_stat stat;
    dr_cache_options how = {0};
    dr_buf folder = {0}, settings = {0};
    finding *x = add(list, n, "cache", true);

    if (s->opt->no_cache) {
        dr_buf_str(&x->text, "off (--no-cache)");
        return;
    }
    if (dr_config_file_of_user(&settings, "deepread/cache.json", NULL) == DR_OK &&
        dr_cache_settings_read(&how, settings.data, &e) != DR_OK) {
        x->good = false;
        dr_buf_printf(&x->text, "%s; nothing is answered until that is mended", e.msg);
    } else if (dr_cache_folder_of_user(&folder, &e) != DR_OK || dr_cache_open(&s->cache, folder.data, &how, &e) != DR_OK ||
               dr_cache_stat_get(s->cache, &stat, &e) != DR_OK) {
        x->good = false;
        dr_buf_printf(&x->text, "%s; answers work without it, only slower", e.msg);
    } else
        dr_buf_printf(&x->text, "%s: %.1f of %.0f MB of prefixes, %.1f of %.0f MB of facts, %.1f of %.0f MB written today%s%s%s",
                      dr_cache_folder(s->cache), (double)(stat.kv[0].n_bytes + stat.kv[1].n_bytes) * 1e-6,
                      (double)stat.kv_max_bytes * 1e-6, (double)stat.facts_bytes * 1e-6, (double)stat.facts_max_bytes * 1e-6,
                      (double)stat.day_bytes * 1e-6, (double)stat.day_max_bytes * 1e-6,
                      dr_cache_read_only(s->cache) ? "; read-only" : "", *dr_cache_note(s->cache) ? "; " : "",
                      dr_cache_note(s->cache));
    dr_buf_free(&folder);
    dr_buf_free(&settings);
}

static void look_at_gpu(finding *list, int *n)
{
    finding *x = add(list, n, "gpu", true);
    if (access("/dev/nvidiactl", F_OK) == 0)
        dr_buf_str(&x->text, "an NVIDIA driver is here; this version runs on the CPU only");
    else
        dr_buf_str(&x->text, "none found; this version runs on the CPU only");
}

dr_outcome dr_command_doctor(const dr_options *opt, dr_output *out, const atomic_bool *cancel, dr_error *err)
{
    dr_status st = DR_OK;
    dr_setup s;
    finding list[MAX_FINDINGS] = {0};
    int n = 0;
    bool good = true;

    dr_setup_init(&s, opt, out, cancel);
    if (opt->n_words) {
        st = dr_fail(err, DR_ERR_ARG, "doctor takes no word \"%s\"", opt->words[0]);
        goto done;
    }
    if ((st = dr_setup_pool(&s, err)) != DR_OK)
        goto done;
    look_at_cpu(list, &n, &s);
    finding *memory = add(list, &n, "memory", true);
    dr_buf_printf(&memory->text, "%.1f GiB available", available_gib());
    look_at_gpu(list, &n);
    look_at_model(list, &n, &s);
    look_at_cache(list, &n, &s);

    json_t *json = json_array();
    for (int i = 0; i < n; i++) {
        good = good && list[i].good;
        json_array_append_new(json, json_pack("{s:s,s:b,s:o}", "what", list[i].what, "good", list[i].good, "text",
                                              dr_output_text(dr_buf_view(&list[i].text))));
        if (!opt->json)
            printf("%-4s %-7s %s\n", list[i].good ? "ok" : "look", list[i].what, list[i].text.data ? list[i].text.data : "");
    }
    dr_output_event(out, json_pack("{s:s,s:i,s:s,s:b,s:o}", "type", "doctor", "schema", DR_EVENT_SCHEMA, "version", DR_VERSION,
                                   "good", good, "findings", json));
done:
    for (int i = 0; i < n; i++)
        dr_buf_free(&list[i].text);
    dr_setup_fini(&s);
    return st != DR_OK ? dr_outcome_of(st) : good ? DR_DONE : DR_DECLINED;
}
