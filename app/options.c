#include "app/options.h"

#include "engine/speculation.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct command {
    const char *name, *usage, *summary;
} command;

/* Indexed by dr_command_id. */
static const command commands[DR_N_COMMANDS] = {
    [DR_CMD_NONE] = {"", "COMMAND", ""},
    [DR_CMD_ASK] = {"ask", "ask \"QUESTION\"", "one answer with checked citations"},
    [DR_CMD_EDIT] = {"edit", "edit \"INSTRUCTION\"", "proposes a diff, --apply writes it"},
    [DR_CMD_PACK] = {"pack", "pack", "what goes into the context, per file, in tokens"},
    [DR_CMD_MODEL] = {"model", "model list|check|plan|cost|import|tokenize|logits|render|parse [DIR]",
                      "look into a model folder and run its parts"},
    [DR_CMD_TOOL] = {"tool", "tool NAME [ARGUMENT...]", "run one of the model's tools by hand"},
    [DR_CMD_CACHE] = {"cache", "cache stat|verify|gc|purge", "look after the prefix cache"},
    [DR_CMD_BENCH] = {"bench", "bench kernels|engine|ingest|cache|constraint", "measure, beside this machine's own roof"},
    [DR_CMD_DOCTOR] = {"doctor", "doctor", "CPU, memory, model and cache, in plain words"},
    [DR_CMD_COMPLETION] = {"completion", "completion [bash]", "print the shell completion"},
};

#define ON(cmd) (1u << (cmd))
#define EVERYWHERE 0u
#define ASKING (ON(DR_CMD_ASK) | ON(DR_CMD_EDIT))
#define READING (ASKING | ON(DR_CMD_PACK) | ON(DR_CMD_TOOL) | ON(DR_CMD_BENCH))

typedef enum kind { FLAG, TEXT, INT32, INT64, LIST } kind;

typedef struct option {
    const char *name; /* long name */
    char letter;      /* 0: none */
    kind type;
    size_t at;
    int64_t min, max;
    unsigned commands; /* bit set, EVERYWHERE: all */
    const char *arg, *help;
} option;

#define AT(field) offsetof(dr_options, field)

static const option options[] = {
    {"directory", 'C', TEXT, AT(path), 0, 0, EVERYWHERE, "PATH", "the repository or folder (default: this one)"},
    {"rev", 0, TEXT, AT(rev), 0, 0, EVERYWHERE, "REV", "a commit, branch or tag (default: HEAD and the working tree)"},
    {"model", 0, TEXT, AT(model), 0, 0, EVERYWHERE, "DIR", "a model folder (default: the bundled model)"},
    {"context", 0, INT64, AT(context), 256, INT64_C(1) << 24, EVERYWHERE, "N", "longest context, in tokens"},
    {"threads", 0, INT32, AT(threads), 1, 256, EVERYWHERE, "N", "worker threads (default: one per CPU)"},
    {"seed", 0, INT64, AT(seed), 0, INT64_MAX, EVERYWHERE, "N", "seed of the sampler"},
    {"isa", 0, TEXT, AT(isa), 0, 0, EVERYWHERE, "LEVEL", "ref, avx2, avx512 or amx (default: the best here)"},
    {"no-cache", 0, FLAG, AT(no_cache), 0, 0, EVERYWHERE, NULL, "neither read nor write the cache folder"},
    {"json", 0, FLAG, AT(json), 0, 0, EVERYWHERE, NULL, "machine-readable output"},
    {"quiet", 'q', FLAG, AT(quiet), 0, 0, EVERYWHERE, NULL, "only the answer"},
    {"verbose", 'v', FLAG, AT(verbose), 0, 0, EVERYWHERE, NULL, "tool results and timings too"},
    {"version", 0, FLAG, AT(version), 0, 0, EVERYWHERE, NULL, "print the version"},
    {"help", 'h', FLAG, AT(help), 0, 0, EVERYWHERE, NULL, "print help"},
    {"mode", 0, TEXT, AT(mode), 0, 0, ASKING | ON(DR_CMD_PACK) | ON(DR_CMD_MODEL), "MODE",
     "pack: full, map or none; model render and parse: chat or thinking"},
    {"budget", 0, INT64, AT(budget), 0, INT64_C(1) << 24, ASKING | ON(DR_CMD_PACK) | ON(DR_CMD_BENCH), "N",
     "tokens the pack may take (0: no limit)"},
    {"include", 0, LIST, AT(include), 0, 0, READING, "PATTERN", "only files that match, as in .gitignore; repeatable"},
    {"exclude", 0, LIST, AT(exclude), 0, 0, READING, "PATTERN", "no files that match; repeatable"},
    {"submodules", 0, FLAG, AT(submodules), 0, 0, READING, NULL, "the files of submodules too"},
    {"base", 0, TEXT, AT(base), 0, 0, ASKING | ON(DR_CMD_PACK), "REV",
     "full pack: the commit whose files come first (default: the one recorded, or HEAD)"},
    {"repack", 0, FLAG, AT(repack), 0, 0, ASKING | ON(DR_CMD_PACK), NULL, "full pack: HEAD becomes that commit"},
    {"diff", 0, TEXT, AT(diff), 0, 0, ON(DR_CMD_PACK), "A..B", "only what changed between two commits"},
    {"explain", 0, TEXT, AT(explain), 0, 0, ON(DR_CMD_PACK), "PATH", "why a file is in or out, and where it lies"},
    {"secrets", 0, FLAG, AT(secrets), 0, 0, ON(DR_CMD_PACK), NULL, "list what is masked, and how to allow it"},
    {"history", 0, FLAG, AT(history), 0, 0, ON(DR_CMD_BENCH), NULL, "ingest: what one more commit costs, over the last 200"},
    {"out", 0, TEXT, AT(out), 0, 0, ON(DR_CMD_PACK) | ON(DR_CMD_MODEL), "FILE", "write the pack, the logits (.npy), or import into this folder"},
    {"tokens", 0, TEXT, AT(tokens), 0, 0, ON(DR_CMD_MODEL), "FILE", "logits: a JSON list of token ids"},
    {"backend", 0, TEXT, AT(backend), 0, 0, ON(DR_CMD_MODEL), "NAME", "logits: ref or x86"},
    {"wide", 0, FLAG, AT(wide), 0, 0, ON(DR_CMD_MODEL), NULL, "logits: no rounding points (for tests)"},
    {"chunk", 0, INT32, AT(chunk), 1, 1 << 20, ON(DR_CMD_MODEL), "N", "logits, cost: tokens a pass"},
    {"mtp", 0, FLAG, AT(mtp), 0, 0, ON(DR_CMD_MODEL), NULL, "logits: the MTP block's too, in FILE.mtp.npy"},
    {"messages", 0, TEXT, AT(messages), 0, 0, ON(DR_CMD_MODEL), "FILE", "render: a JSON list of messages"},
    {"effort", 0, TEXT, AT(effort), 0, 0, ON(DR_CMD_MODEL), "NAME", "render: the dialect's name for reasoning effort"},
    {"drop", 0, FLAG, AT(drop), 0, 0, ON(DR_CMD_MODEL), NULL, "render: leave out earlier reasoning (the default)"},
    {"no-drop", 0, FLAG, AT(no_drop), 0, 0, ON(DR_CMD_MODEL), NULL, "render: keep earlier reasoning"},
    {"ids", 0, FLAG, AT(ids), 0, 0, ON(DR_CMD_MODEL), NULL, "tokenize, render: print token ids as JSON"},
    {"decode", 0, FLAG, AT(decode), 0, 0, ON(DR_CMD_MODEL), NULL, "tokenize: ids on standard input, text out"},
    {"special", 0, FLAG, AT(special), 0, 0, ON(DR_CMD_MODEL), NULL, "tokenize: recognise control tokens in the text"},
    {"accept", 0, FLAG, AT(accept), 0, 0, ON(DR_CMD_MODEL), NULL, "import: take the texts of a release that is not known"},
    {"full", 0, FLAG, AT(full), 0, 0, ON(DR_CMD_MODEL), NULL, "check: hash every byte of the weights"},
    {"repo", 0, FLAG, AT(of_repo), 0, 0, ON(DR_CMD_CACHE), NULL, "purge: only what was computed for this repository"},
    {"apply", 0, FLAG, AT(apply), 0, 0, ON(DR_CMD_EDIT), NULL, "write the files, unless they would have more syntax errors"},
    {"drafts", 0, INT32, AT(drafts), 0, DR_DRAFTS_AT_MOST, ASKING, "N",
     "tokens guessed ahead by the MTP block, at most (0: none); answers are the same"},
    {"no-constraints", 0, FLAG, AT(no_constraints), 0, 0, ASKING, NULL, "sample without the grammar (for measurements)"},
    {"batch", 0, FLAG, AT(batch), 0, 0, ON(DR_CMD_TOOL) | ASKING, NULL, "standard input: a question a line; tool: calls as JSON lines"},
};
enum { N_OPTIONS = sizeof options / sizeof *options };

static const option *find_long(const char *name, size_t n)
{
    for (int i = 0; i < N_OPTIONS; i++)
        if (strlen(options[i].name) == n && memcmp(options[i].name, name, n) == 0)
            return &options[i];
    return NULL;
}

static const option *find_letter(char letter)
{
    for (int i = 0; i < N_OPTIONS; i++)
        if (options[i].letter == letter && letter)
            return &options[i];
    return NULL;
}

static dr_command_id find_command(const char *name)
{
    for (int i = 1; i < DR_N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return (dr_command_id)i;
    return DR_CMD_NONE;
}

static dr_status set(dr_options *o, const option *opt, const char *value, dr_error *err)
{
    void *field = (char *)o + opt->at;

    if (opt->type == FLAG) {
        *(bool *)field = true;
        return DR_OK;
    }
    if (opt->type == TEXT) {
        if (!*value)
            return dr_fail(err, DR_ERR_ARG, "--%s: an empty %s", opt->name, opt->arg);
        *(const char **)field = value;
        return DR_OK;
    }
    if (opt->type == LIST) {
        dr_option_list *list = field;
        if (!*value)
            return dr_fail(err, DR_ERR_ARG, "--%s: an empty %s", opt->name, opt->arg);
        const char **grown = realloc(list->v, (list->n + 1) * sizeof *grown);
        if (!grown)
            return dr_fail(err, DR_ERR_NOMEM, "out of memory");
        list->v = grown;
        list->v[list->n++] = value;
        return DR_OK;
    }
    char *end;
    errno = 0;
    const long long v = strtoll(value, &end, 10);
    if (errno || *end || end == value || v < opt->min || v > opt->max)
        return dr_fail(err, DR_ERR_ARG, "--%s %s: give a whole number from %lld to %lld", opt->name, value,
                       (long long)opt->min, (long long)opt->max);
    if (opt->type == INT32)
        *(int32_t *)field = (int32_t)v;
    else
        *(int64_t *)field = v;
    return DR_OK;
}

dr_status dr_options_parse(dr_options *out, int argc, char **argv, dr_error *err)
{
    dr_status st = DR_OK;
    const option *seen[64] = {0}; /* given, to be checked against the command once that is known */
    int n_seen = 0;
    bool only_words = false;

    *out = (dr_options){.seed = -1, .budget = -1, .drafts = -1};
    if (!(out->words = calloc((size_t)argc + 1, sizeof *out->words)))
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");

    for (int i = 1; i < argc && st == DR_OK; i++) {
        const char *a = argv[i];
        const option *opt = NULL;
        const char *value = NULL;

        if (only_words || a[0] != '-' || !a[1]) {
            if (out->command == DR_CMD_NONE && !only_words) {
                if ((out->command = find_command(a)) == DR_CMD_NONE)
                    st = dr_fail(err, DR_ERR_ARG, "no command named \"%s\"; deepread --help lists them", a);
            } else
                out->words[out->n_words++] = a;
            continue;
        }
        if (strcmp(a, "--") == 0) {
            only_words = true;
            continue;
        }
        if (a[1] == '-') {
            const char *eq = strchr(a, '=');
            opt = find_long(a + 2, eq ? (size_t)(eq - a - 2) : strlen(a + 2));
            value = eq ? eq + 1 : NULL;
        } else {
            opt = find_letter(a[1]);
            value = a[2] ? a + 2 : NULL;
        }
        if (!opt)
            st = dr_fail(err, DR_ERR_ARG, "no option %s; deepread --help lists them", a);
        else if (opt->type == FLAG && value)
            st = dr_fail(err, DR_ERR_ARG, "--%s takes no value", opt->name);
        else if (opt->type != FLAG && !value && i + 1 == argc)
            st = dr_fail(err, DR_ERR_ARG, "--%s needs %s", opt->name, opt->arg);
        else {
            if (opt->type != FLAG && !value)
                value = argv[++i];
            st = set(out, opt, value, err);
            if (n_seen < (int)(sizeof seen / sizeof *seen))
                seen[n_seen++] = opt;
        }
    }
    for (int i = 0; i < n_seen && st == DR_OK && !out->help; i++)
        if (seen[i]->commands != EVERYWHERE && out->command != DR_CMD_NONE && !(seen[i]->commands & ON(out->command)))
            st = dr_fail(err, DR_ERR_ARG, "--%s does not belong to %s; deepread %s --help lists what does",
                         seen[i]->name, commands[out->command].name, commands[out->command].name);
    if (st == DR_OK && out->drop && out->no_drop)
        st = dr_fail(err, DR_ERR_ARG, "--drop and --no-drop exclude each other");
    if (st == DR_OK && out->base && out->repack)
        st = dr_fail(err, DR_ERR_ARG, "--base and --repack exclude each other");
    if (st == DR_OK && !!out->diff + !!out->explain + out->secrets > 1)
        st = dr_fail(err, DR_ERR_ARG, "give one of --diff, --explain and --secrets");
    if (st == DR_OK && out->out && (out->explain || out->secrets))
        st = dr_fail(err, DR_ERR_ARG, "--out writes a pack; --%s prints: leave one out", out->explain ? "explain" : "secrets");
    if (st == DR_OK && out->diff && (out->base || out->repack || out->budget >= 0))
        st = dr_fail(err, DR_ERR_ARG, "--diff A..B has no base and no budget: leave out --%s",
                     out->base ? "base" : out->repack ? "repack" : "budget");
    if (st != DR_OK)
        dr_options_fini(out);
    return st;
}

void dr_options_fini(dr_options *o)
{
    free(o->words);
    free(o->include.v);
    free(o->exclude.v);
    o->words = NULL;
    o->n_words = 0;
    o->include = o->exclude = (dr_option_list){0};
}

static void print_option(FILE *to, const option *opt)
{
    char left[64];
    const int n = snprintf(left, sizeof left, "%s%c%s--%s%s%s", opt->letter ? "-" : "", opt->letter ? opt->letter : ' ',
                           opt->letter ? ", " : "   ", opt->name, opt->arg ? " " : "", opt->arg ? opt->arg : "");
    fprintf(to, "  %-24s%s %s\n", left, n >= 24 ? " " : "", opt->help);
}

void dr_options_help(FILE *to, dr_command_id id)
{
    if (id == DR_CMD_NONE) {
        fputs("deepread: ask a repository, and get answers with checked citations\n\n", to);
        for (int i = 1; i < DR_N_COMMANDS; i++)
            fprintf(to, "  deepread %-52s %s\n", commands[i].usage, commands[i].summary);
    } else {
        fprintf(to, "deepread %s\n  %s\n", commands[id].usage, commands[id].summary);
        bool any = false;
        for (int i = 0; i < N_OPTIONS; i++) {
            if (!(options[i].commands & ON(id)))
                continue;
            if (!any)
                fputs("\noptions\n", to);
            any = true;
            print_option(to, &options[i]);
        }
    }
    fputs("\noptions everywhere\n", to);
    for (int i = 0; i < N_OPTIONS; i++)
        if (options[i].commands == EVERYWHERE)
            print_option(to, &options[i]);
    fputs("\nexit codes: 0 done, 1 declined or unverified, 2 usage or bad input, "
          "3 tokens, context, memory or time ran out, 4 internal error, "
          "75 try again, 130 interrupted\n",
          to);
}

void dr_options_completion(FILE *to)
{
    fputs("_deepread()\n{\n    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    case $prev in\n    -C|--directory|--model) COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n"
          "    --out|--tokens|--messages) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n    esac\n"
          "    if [[ $cur == -* ]]; then\n        COMPREPLY=($(compgen -W \"",
          to);
    for (int i = 0; i < N_OPTIONS; i++)
        fprintf(to, "%s--%s", i ? " " : "", options[i].name);
    fputs("\" -- \"$cur\"))\n    elif [[ $COMP_CWORD == 1 ]]; then\n        COMPREPLY=($(compgen -W \"", to);
    for (int i = 1; i < DR_N_COMMANDS; i++)
        fprintf(to, "%s%s", i > 1 ? " " : "", commands[i].name);
    fputs("\" -- \"$cur\"))\n    else\n        COMPREPLY=($(compgen -f -- \"$cur\"))\n    fi\n}\n"
          "complete -F _deepread deepread\n",
          to);
}

const char *dr_options_name_at(int i)
{
    return i >= 0 && i < N_OPTIONS ? options[i].name : NULL;
}

const char *dr_options_command_at(int i)
{
    return i >= 0 && i + 1 < DR_N_COMMANDS ? commands[i + 1].name : NULL;
}
