#include "tests/app/pack_world.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void pack_world_begin(pack_world *p)
{
    dr_error err = {0};

    *p = (pack_world){.w = world_begin()};
    (void)snprintf(p->path, sizeof p->path, "%s/repo", p->w.path);
    p->git = new_repo(p->path, false);
    if (dr_tokenizer_open(&p->tokenizer, "models/nano/tokenizer.json", &err) != DR_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(dr_pool_new(&p->pool, 2, NULL), DR_OK);
}

void pack_world_end(pack_world *p)
{
    dr_pool_free(p->pool);
    dr_tokenizer_close(p->tokenizer);
    git_repository_free(p->git);
    world_end(&p->w);
}

void pack_world_write(const pack_world *p, const char *name, const char *text)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", p->path, name);
    write_text(path, text);
}

void pack_world_remove(const pack_world *p, const char *name)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", p->path, name);
    assert_int_equal(unlink(path), 0);
}

int pack_world_commit(pack_world *p, const char *message)
{
    const git_oid id = commit_all(p->git, message);
    assert_true(p->n_commits < 16);
    (void)git_oid_tostr(p->commits[p->n_commits], sizeof p->commits[0], &id);
    return p->n_commits++;
}

void pack_world_fill(pack_world *p)
{
    pack_world_write(p, "COPYING", "You may.\nYou must not.\n");
    pack_world_write(p, "README.md", "A list.\n");
    pack_world_write(p, "src/list.h", "int list_size(void);\n");
    pack_world_write(p, "src/list.c", "#include \"list.h\"\n\nint list_size(void)\n{\n    return 0;\n}\n\nint list_full(void)\n{\n"
                                      "    return list_size() > 9;\n}\n");
    pack_world_write(p, "with space/a b.txt", "one\ntwo"); /* no newline at the end */
    pack_world_write(p, "empty", "");
    (void)pack_world_commit(p, "first");
    pack_world_write(p, "src/list.c", "#include \"list.h\"\n\nint list_size(void)\n{\n    return 1;\n}\n\nint list_full(void)\n{\n"
                                      "    return list_size() > 9;\n}\n");
    pack_world_write(p, "src/new.c", "int fresh;\n");
    (void)pack_world_commit(p, "list: count one\n\nMore words.");
    pack_world_remove(p, "README.md");
    pack_world_write(p, "docs/README.md", "A list.\n");
    pack_world_remove(p, "with space/a b.txt");
    (void)pack_world_commit(p, "docs: move");
    pack_world_write(p, "docs/README.md", "A list.\nOf things.\n");
    (void)pack_world_commit(p, "docs: say more.");
}

void packed_open(packed *out, const pack_world *p, const char *path, const char *rev, const dr_pack_options *opt)
{
    dr_error err = {0};
    dr_pack_options how = *opt;
    dr_pool *pool = how.pool ? how.pool : p->pool;

    *out = (packed){.reading = opt->reading ? *opt->reading : (dr_repo_options){0}};
    out->reading.rev = rev;
    out->reading.store = opt->store;
    out->reading.pool = pool;
    if (dr_repo_open(&out->repo, path, &out->reading, &err) != DR_OK)
        fail_msg("%s", err.msg);
    how.mode = DR_PACK_FULL;
    how.reading = &out->reading;
    how.pool = pool;
    if (dr_pack_build(&out->pack, out->repo, NULL, p->tokenizer, &how, &err) != DR_OK)
        fail_msg("%s", err.msg);
    dr_pack_text(&out->text, &out->pack, 0, (int64_t)out->pack.ids.n);
}

void packed_close(packed *out)
{
    dr_buf_free(&out->text);
    dr_pack_fini(&out->pack);
    dr_repo_close(out->repo);
}

dr_str packed_lasting(const packed *p)
{
    static const char closing[] = "end of repository";
    assert_true(p->text.n >= sizeof closing - 1);
    assert_string_equal(p->text.data + p->text.n - (sizeof closing - 1), closing);
    return (dr_str){p->text.data, p->text.n - (sizeof closing - 1)};
}
