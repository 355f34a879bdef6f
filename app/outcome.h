/* app/outcome.h: how a run ended, and the one table from that to an exit code (DESIGN: Commands). */
#ifndef DR_APP_OUTCOME_H
#define DR_APP_OUTCOME_H

#include "base/status.h"

typedef enum dr_outcome {
    DR_DONE,        /* a checked "there is no such symbol" is an answer */
    DR_DECLINED,    /* declined, unverified, findings, or a refused edit */
    DR_BAD_INPUT,   /* usage, configuration, bad input file */
    DR_INCOMPLETE,  /* budget or time ran out */
    DR_INTERNAL,
    DR_TRY_AGAIN,
    DR_INTERRUPTED, /* SIGINT */
    DR_TERMINATED,  /* SIGTERM */
} dr_outcome;

int dr_outcome_exit(dr_outcome o);
/* What a failed call means for the run. */
dr_outcome dr_outcome_of(dr_status st);

#endif
