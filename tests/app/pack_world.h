/* A repository with a short history, for the tests of packs. */
#ifndef DR_TESTS_APP_PACK_WORLD_H
#define DR_TESTS_APP_PACK_WORLD_H

#include "app/pack.h"
#include "tests/repo/make_repo.h"

typedef struct pack_world {
    world w;
    char path[300];
    git_repository *git;
    char commits[16][41];
    int n_commits;
    dr_tokenizer *tokenizer;
    dr_pool *pool;
} pack_world;

/* An empty repository, the bundled model's tokenizer, two threads. */
void pack_world_begin(pack_world *p);
void pack_world_end(pack_world *p);

void pack_world_write(const pack_world *p, const char *name, const char *text);
void pack_world_remove(const pack_world *p, const char *name);
/* Everything in the working tree; its number in p->commits. */
int pack_world_commit(pack_world *p, const char *message);

/* Four commits: files; a changed and a new one; a rename and a deletion; a change. */
void pack_world_fill(pack_world *p);

/* A snapshot and its full pack. */
typedef struct packed {
    dr_repo *repo;
    dr_repo_options reading;
    dr_pack pack;
    dr_buf text;
} packed;

/* rev NULL: the working tree. opt: mode, reading and pool are filled in. Fails the test when it cannot be built. */
void packed_open(packed *out, const pack_world *p, const char *path, const char *rev, const dr_pack_options *opt);
void packed_close(packed *out);

/* Without the closing line, which moves on. */
dr_str packed_lasting(const packed *p);

#endif
