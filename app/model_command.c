/* app/model_command.c: `deepread model ...`: looks into a model folder and runs its parts alone, for people and for tests. */
#include "app/model_parts.h"
#include "app/setup.h"

#include "engine/foreign.h"

#include <string.h>
#include <sys/stat.h>

/* What is brought into shape depends on what the folder lacks: the official layout, or its dialect. */
static dr_status import(const dr_model_command *c, dr_error *err)
{
    return dr_foreign_folder(c->dir) ? dr_model_part__convert(c, err) : dr_model_part__import(c, err);
}

static const struct part {
    const char *name;
    dr_model_part *run;
} parts[] = {
    {"list", dr_model_part__list},         {"check", dr_model_part__check},
    {"plan", dr_model_part__plan},         {"cost", dr_model_part__cost},
    {"tokenize", dr_model_part__tokenize}, {"logits", dr_model_part__logits},
    {"import", import},
    {"render", dr_model_part__render},     {"parse", dr_model_part__parse},
};

static const struct part *find_part(const char *name)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(parts[i].name, name) == 0)
            return &parts[i];
    return NULL;
}

dr_outcome dr_command_model(const dr_options *opt, dr_output *out, const atomic_bool *cancel, dr_error *err)
{
    dr_model_command c = {.opt = opt, .out = out, .cancel = cancel};
    const struct part *part = opt->n_words ? find_part(opt->words[0]) : NULL;
    dr_buf dir = {0};
    dr_status st = DR_OK;

    if (!part) {
        st = dr_fail(err, DR_ERR_ARG, "model%s%s: give list, check, plan, cost, import, tokenize, logits, render or parse",
                     opt->n_words ? " " : "", opt->n_words ? opt->words[0] : "");
        goto done;
    }
    if (opt->n_words > 2) {
        st = dr_fail(err, DR_ERR_ARG, "model %s takes one folder, not \"%s\" too", part->name, opt->words[2]);
        goto done;
    }
    if (opt->n_words == 2)
        dr_buf_str(&dir, opt->words[1]);
    else if (opt->model)
        dr_buf_str(&dir, opt->model);
    else if ((st = dr_bundled_model_folder(&dir, err)) != DR_OK)
        goto done;
    if (dir.failed) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    struct stat sb;
    if (part->run != dr_model_part__plan && part->run != dr_model_part__cost && stat(dir.data, &sb) == 0 && S_ISREG(sb.st_mode)) {
        st = dr_fail(err, DR_ERR_ARG, "%s is a file: model %s takes the folder", dir.data, part->name);
        goto done;
    }
    c.dir = dir.data;
    st = part->run(&c, err);
done:
    dr_buf_free(&dir);
    return dr_outcome_of(st);
}
