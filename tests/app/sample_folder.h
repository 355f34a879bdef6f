/* A plain folder with a few source files, opened as a snapshot: what the tests of app look at. */
#ifndef DR_TESTS_APP_SAMPLE_FOLDER_H
#define DR_TESTS_APP_SAMPLE_FOLDER_H

#include "app/tools.h"

typedef struct sample_folder {
    char path[64];
    int set; /* of files: 0 or 1 */
    dr_pool *pool;
    dr_repo *repo;
    dr_symbols *symbols;
} sample_folder;

/* Writes the files under a new temporary folder and opens it; fails the test on any error. */
void sample_folder_open(sample_folder *s);
/* The same with other files, where a name has several definitions in several folders. */
void sample_folder_open_many(sample_folder *s);
void sample_folder_close(sample_folder *s);
dr_workspace sample_folder_workspace(const sample_folder *s);

#endif
