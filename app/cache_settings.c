#include "app/cache_settings.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

bool dr_parse_bytes(int64_t *out, const char *text)
{
    static const char units[] = "KMGT";
    char *end = NULL;
    int64_t unit = 1;

    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    const double value = strtod(text, &end);
    while (*end == ' ')
        end++;
    const char *at = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    if (at) {
        end++;
        const bool binary = strcasecmp(end, "iB") == 0 || *end == 0;
        for (const char *u = units; u <= at; u++)
            unit *= binary ? 1024 : 1000;
        if (strcasecmp(end, "iB") == 0 || strcasecmp(end, "B") == 0)
            end += strlen(end);
    } else if (strcasecmp(end, "B") == 0) {
        end++;
    }
    const double bytes = value * (double)unit;
    if (*end || errno || !(bytes >= 1 && bytes < 9e18))
        return false;
    *out = (int64_t)bytes;
    return true;
}

dr_status dr_cache_settings_read(dr_cache_options *out, const char *path, dr_error *err)
{
    dr_status st = DR_OK;
    json_error_t why;
    const char *name;
    json_t *value;

    *out = (dr_cache_options){0};
    const struct {
        const char *name;
        int64_t *to;
    } known[] = {{"prefix_bytes", &out->kv_max_bytes}, {"fact_bytes", &out->facts_max_bytes}, {"bytes_a_day", &out->kv_day_bytes}};
    enum { N_KNOWN = sizeof known / sizeof known[0] };

    if (access(path, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR))
        return DR_OK;
    json_t *all = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(all)) {
        st = all ? dr_fail(err, DR_ERR_ARG, "%s: not an object", path) : dr_fail(err, DR_ERR_ARG, "%s:%d: %s", path, why.line, why.text);
        goto done;
    }
    json_object_foreach(all, name, value) {
        size_t k = 0;
        while (k < N_KNOWN && strcmp(known[k].name, name) != 0)
            k++;
        if (k == N_KNOWN) {
            st = dr_fail(err, DR_ERR_ARG, "%s: \"%s\" is none of prefix_bytes, fact_bytes and bytes_a_day", path, name);
            goto done;
        }
        if (json_is_integer(value) && json_integer_value(value) > 0)
            *known[k].to = json_integer_value(value);
        else if (!json_is_string(value) || !dr_parse_bytes(known[k].to, json_string_value(value))) {
            st = dr_fail(err, DR_ERR_ARG, "%s: \"%s\" must be a size, such as \"16 GiB\"", path, name);
            goto done;
        }
    }
done:
    json_decref(all);
    if (st != DR_OK)
        *out = (dr_cache_options){0};
    return st;
}
