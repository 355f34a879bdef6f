#include "app/npy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "values are written as they lie in memory"
#endif

struct dr_npy {
    FILE *file;
    char *path, *temporary;
    int64_t rows_left, columns;
};

/* Magic, version 1.0, two bytes of length, then a Python literal padded with blanks to a multiple of 64 bytes in all. */
static dr_status write_header(dr_npy *f, dr_error *err)
{
    enum { BEFORE = 10, ALIGN = 64 };
    char text[2 * ALIGN];
    const int n = snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': (%" PRId64 ", %" PRId64 "), }",
                           f->rows_left, f->columns);
    const int padded = (BEFORE + n + 1 + ALIGN - 1) / ALIGN * ALIGN - BEFORE;
    const unsigned char before[BEFORE] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)padded, 0};

    if (fwrite(before, 1, BEFORE, f->file) != BEFORE || fprintf(f->file, "%-*s\n", padded - 1, text) != padded)
        return dr_fail(err, DR_ERR_IO, "%s: %s", f->path, strerror(errno));
    return DR_OK;
}

dr_status dr_npy_open(dr_npy **out, const char *path, int64_t rows, int64_t columns, dr_error *err)
{
    dr_status st = DR_OK;
    dr_npy *f = calloc(1, sizeof *f);

    *out = NULL;
    if (!f || !(f->path = strdup(path)) || asprintf(&f->temporary, "%s.%ld.part", path, (long)getpid()) < 0) {
        if (f)
            f->temporary = NULL; /* undefined when asprintf fails */
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", path);
        goto done;
    }
    f->rows_left = rows;
    f->columns = columns;
    if (!(f->file = fopen(f->temporary, "wbx"))) {
        st = dr_fail(err, DR_ERR_IO, "%s: %s", f->temporary, strerror(errno));
        goto done;
    }
    if ((st = write_header(f, err)) != DR_OK)
        goto done;
    *out = f;
    f = NULL;
done:
    dr_npy_discard(f);
    return st;
}

dr_status dr_npy_write(dr_npy *f, const float *values, int64_t n, dr_error *err)
{
    const size_t count = (size_t)n * (size_t)f->columns;

    if (n > f->rows_left)
        return dr_fail(err, DR_ERR_ARG, "%s: more rows than announced", f->path);
    if (fwrite(values, sizeof *values, count, f->file) != count)
        return dr_fail(err, DR_ERR_IO, "%s: %s", f->path, strerror(errno));
    f->rows_left -= n;
    return DR_OK;
}

dr_status dr_npy_finish(dr_npy *f, dr_error *err)
{
    dr_status st = DR_OK;
    FILE *file = f->file;

    f->file = NULL;
    if (fclose(file) != 0)
        st = dr_fail(err, DR_ERR_IO, "%s: %s", f->path, strerror(errno));
    else if (f->rows_left)
        st = dr_fail(err, DR_ERR_ARG, "%s: %" PRId64 " rows are missing", f->path, f->rows_left);
    else if (rename(f->temporary, f->path) < 0)
        st = dr_fail(err, DR_ERR_IO, "%s: %s", f->path, strerror(errno));
    if (st != DR_OK)
        (void)unlink(f->temporary);
    dr_npy_discard(f);
    return st;
}

void dr_npy_discard(dr_npy *f)
{
    if (!f)
        return;
    if (f->file) {
        (void)fclose(f->file);
        (void)unlink(f->temporary);
    }
    free(f->path);
    free(f->temporary);
    free(f);
}
