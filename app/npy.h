/* app/npy.h: writes a float32 matrix as a numpy .npy file (format 1.0, little-endian, C order), row by row.
 *
 * The file appears under its name when it is complete, never before: rows go to a temporary file beside it. */
#ifndef DR_APP_NPY_H
#define DR_APP_NPY_H

#include "base/status.h"

#include <stdint.h>

typedef struct dr_npy dr_npy;

dr_status dr_npy_open(dr_npy **out, const char *path, int64_t rows, int64_t columns, dr_error *err);
/* Appends n whole rows. */
dr_status dr_npy_write(dr_npy *f, const float *values, int64_t n, dr_error *err);
/* All rows must have been written (DR_ERR_ARG otherwise). Frees f in any case. */
dr_status dr_npy_finish(dr_npy *f, dr_error *err);
/* Gives up: nothing is left behind. NULL is fine. */
void dr_npy_discard(dr_npy *f);

#endif
