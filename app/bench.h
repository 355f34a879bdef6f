/* app/bench.h: what the files of `deepread bench` share. */
#ifndef DR_APP_BENCH_H
#define DR_APP_BENCH_H

#include "app/output.h"

/* One figure: a line for people, a member of the report for programs. */
void dr_bench_figure(json_t *report, const dr_output *out, const char *key, double value, const char *unit, const char *what);

#endif
