/* app/pack_command.c: `deepread pack`: what goes into the context, per file, in tokens. */
#include "app/app.h"
#include "app/pack.h"
#include "app/setup.h"
#include "repo/text.h"

#include <string.h>

static json_t *files_json(const dr_setup *s, const dr_pack *p)
{
    json_t *list = json_array();
    for (size_t i = 0; i < p->n_files; i++) {
        const dr_repo_file *f = dr_repo_file_at(s->repo, i);
        json_t *x = json_pack("{s:o,s:I,s:s,s:I}", "path", dr_output_text(f->path), "bytes", (json_int_t)f->size, "class",
                              dr_file_class_name(f->cls), "tokens", (json_int_t)p->files[i].n_tokens);
        if (p->files[i].why)
            json_object_set_new(x, "why_out", json_string(p->files[i].why));
        json_array_append_new(list, x);
    }
    return list;
}

/* Files in, then how many are out and why. */
static void show(const dr_output *out, const dr_setup *s, const dr_pack *p)
{
    char a[28], b[28], c[28];
    const char *reasons[64];
    int64_t counts[64];
    int n_reasons = 0;
    dr_buf name = {0};

    printf("%12s  %12s  %s\n", "tokens", "bytes", "file");
    for (size_t i = 0; i < p->n_files; i++) {
        const dr_repo_file *f = dr_repo_file_at(s->repo, i);
        if (!p->files[i].why) {
            printf("%12s  %12s  %s\n", dr_output_count(a, p->files[i].n_tokens), dr_output_count(b, (int64_t)f->size),
                   f->path.s);
            continue;
        }
        int r = 0;
        while (r < n_reasons && strcmp(reasons[r], p->files[i].why) != 0)
            r++;
        if (r == n_reasons && n_reasons < 64) {
            reasons[n_reasons] = p->files[i].why;
            counts[n_reasons++] = 0;
        }
        if (r < n_reasons)
            counts[r]++;
        if (!out->verbose)
            continue;
        dr_buf_clear(&name); /* a refused name may be any bytes */
        dr_text_show(&name, f->path, 0);
        printf("%12s  %12s  %s (%s)\n", "-", dr_output_count(b, (int64_t)f->size), name.data ? name.data : "", p->files[i].why);
    }
    dr_buf_free(&name);
    printf("%12s  %12s  pack \"%s\", %s of %s files\n", dr_output_count(a, (int64_t)p->ids.n), "", dr_pack_mode_name(p->mode),
           dr_output_count(b, p->n_in), dr_output_count(c, (int64_t)p->n_files));
    for (int r = 0; r < n_reasons; r++)
        printf("%12s  left out: %s\n", dr_output_count(a, counts[r]), reasons[r]);
}

dr_outcome dr_command_pack(const dr_options *opt, dr_output *out, const atomic_bool *cancel, dr_error *err)
{
    dr_status st = DR_OK;
    dr_setup s;
    dr_pack pack = {0};

    dr_setup_init(&s, opt, out, cancel);
    if (opt->n_words) {
        st = dr_fail(err, DR_ERR_ARG, "pack takes no word \"%s\"; the repository is named with -C PATH", opt->words[0]);
        goto done;
    }
    if ((st = dr_setup_model_files(&s, err)) != DR_OK || (st = dr_setup_repo(&s, err)) != DR_OK)
        goto done;
    dr_pack_mode mode = s.profile.pack_mode;
    if (opt->mode && !dr_pack_mode_parse(&mode, opt->mode)) {
        st = dr_fail(err, DR_ERR_ARG, "--mode %s: give full, map or none", opt->mode);
        goto done;
    }
    const dr_pack_options how = {.mode = mode,
                                 .budget = opt->budget >= 0              ? opt->budget
                                           : mode == s.profile.pack_mode ? s.profile.pack_budget
                                                                         : 0,
                                 .with_text = opt->out != NULL,
                                 .store = s.facts,
                                 .pool = s.pool};
    if ((st = dr_pack_build(&pack, s.repo, s.symbols, s.tokenizer, &how, err)) != DR_OK)
        goto done;
    if (opt->out && (st = dr_write_file(opt->out, pack.text.data, pack.text.n, err)) != DR_OK)
        goto done;
    if (opt->json) {
        const dr_digest digest = dr_sha256(pack.ids.v, pack.ids.n * sizeof *pack.ids.v);
        char hex[65];
        dr_digest_hex(hex, &digest);
        dr_output_event(out, json_pack("{s:s,s:i,s:s,s:o,s:s,s:I,s:I,s:I,s:s,s:o}", "type", "pack", "schema", DR_EVENT_SCHEMA,
                                       "mode", dr_pack_mode_name(mode), "repository",
                                       dr_output_text(dr_repo_identity(s.repo)->root), "commit",
                                       dr_repo_identity(s.repo)->commit, "tokens", (json_int_t)pack.ids.n, "files_in",
                                       (json_int_t)pack.n_in, "files_total", (json_int_t)pack.n_files, "ids_sha256", hex,
                                       "files", files_json(&s, &pack)));
    } else if (!opt->quiet)
        show(out, &s, &pack);
done:
    dr_pack_fini(&pack);
    dr_setup_fini(&s);
    return dr_outcome_of(st);
}
