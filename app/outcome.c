#include "app/outcome.h"

int dr_outcome_exit(dr_outcome o)
{
    static const int codes[] = {
        [DR_DONE] = 0,     [DR_DECLINED] = 1,   [DR_BAD_INPUT] = 2,     [DR_INCOMPLETE] = 3,
        [DR_INTERNAL] = 4, [DR_TRY_AGAIN] = 75, [DR_INTERRUPTED] = 130, [DR_TERMINATED] = 143,
    };
    return codes[o];
}

dr_outcome dr_outcome_of(dr_status st)
{
    switch (st) {
    case DR_OK: return DR_DONE;
    case DR_ERR_ARG:
    case DR_ERR_IO:
    case DR_ERR_FORMAT:
    case DR_ERR_NOT_FOUND:
    case DR_ERR_DEVICE: return DR_BAD_INPUT;
    case DR_ERR_LIMIT: return DR_INCOMPLETE;
    case DR_ERR_AGAIN: return DR_TRY_AGAIN;
    case DR_ERR_CANCELLED: return DR_INTERRUPTED;
    case DR_ERR_NOMEM: return DR_INTERNAL;
    }
    return DR_INTERNAL;
}
