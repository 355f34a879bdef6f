/* base/log.h: one line per event into a file, never to the terminal.
 *
 *   12.345678 engine   loaded nano: 13.2 M parameters, isa amx
 *
 * Monotonic seconds since dr_log_open, module, text. Before dr_log_open, and after dr_log_close, a call
 * is a no-op, so libraries log without asking. Any thread. */
#ifndef DR_BASE_LOG_H
#define DR_BASE_LOG_H

#include "base/status.h"

#include <stdint.h>

/* Appends to path (mode 0600). Called once, by app. */
dr_status dr_log_open(const char *path, dr_error *err);
void dr_log_close(void);
void dr_log(const char *module, const char *fmt, ...) DR_PRINTF(2, 3);

/* Monotonic clock and this process's CPU time over all threads, microseconds. */
uint64_t dr_clock_us(void);
uint64_t dr_cpu_us(void);

#endif
