/* app/cache_settings.h: how much of the disk the cache may take, from the user's own deepread/cache.json (in $XDG_CONFIG_HOME or
 * ~/.config; never from a repository):
 *
 *   {"prefix_bytes": 17179869184, "fact_bytes": 4294967296, "bytes_a_day": 68719476736}
 *
 * Numbers, or texts such as "16 GiB", "500 MB" or "2T" (units of 1,000 with a B behind them, else of 1,024). All may be left out; other
 * names are refused, so that a misspelt one is noticed. */
#ifndef DR_APP_CACHE_SETTINGS_H
#define DR_APP_CACHE_SETTINGS_H

#include "base/bytes.h"
#include "cache/cache.h"

/* "16 GiB" -> 17179869184. False when it is not a size above zero that fits. */
bool dr_parse_bytes(int64_t *out, const char *text);

/* Reads one file; when it is not there *out is all defaults. DR_ERR_ARG names file and fault. */
dr_status dr_cache_settings_read(dr_cache_options *out, const char *path, dr_error *err);

#endif
