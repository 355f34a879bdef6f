#include "base/status.h"

#include <stdio.h>
#include <string.h>

dr_status dr_fail(dr_error *err, dr_status code, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        err->code = code;
        (void)vsnprintf(err->msg, sizeof err->msg, fmt, ap);
        va_end(ap);
    }
    return code;
}

dr_status dr_fail_more(dr_error *err, dr_status code, const char *fmt, ...)
{
    static const char more[] = "\n...";

    if (!err)
        return code;
    if (err->code == DR_OK)
        err->msg[0] = 0;
    err->code = code;

    const size_t used = strlen(err->msg);
    const size_t room = sizeof err->msg - used;
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);

    const size_t need = strlen(line) + (used ? 1 : 0);
    if (need + sizeof more < room)
        (void)snprintf(err->msg + used, room, "%s%s", used ? "\n" : "", line);
    else if (room > sizeof more && strcmp(err->msg + used - (used >= 4 ? 4 : used), more) != 0)
        (void)snprintf(err->msg + used, room, "%s", more);
    return code;
}

const char *dr_status_name(dr_status code)
{
    switch (code) {
    case DR_OK: return "ok";
    case DR_ERR_ARG: return "bad argument";
    case DR_ERR_NOMEM: return "out of memory";
    case DR_ERR_IO: return "input/output error";
    case DR_ERR_FORMAT: return "bad format";
    case DR_ERR_NOT_FOUND: return "not found";
    case DR_ERR_DEVICE: return "device error";
    case DR_ERR_CANCELLED: return "cancelled";
    case DR_ERR_LIMIT: return "limit reached";
    case DR_ERR_AGAIN: return "try again";
    }
    return "unknown status";
}
