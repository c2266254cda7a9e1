/* SPDX-License-Identifier: Apache-2.0
 *
 * Progress of a training on standard error: a bar on a terminal, plain lines elsewhere; and the log, one JSON line a
 * step and an epoch.
 */
#ifndef PINION_TOOL_PROGRESS_H
#define PINION_TOOL_PROGRESS_H

#include "command.h"

typedef struct progress {
    bool terminal;
    int bar_columns; /* what the bar on the line takes, to be wiped */
    double last_ms;  /* when something was last shown */
    double rate;     /* images a second, smoothed */
    FILE *log;       /* NULL: none */
    char stage[48];  /* what a line says of the stage: "stage 2/4 width 2 "; "": there is none */
    bool log_failed; /* said once */
} progress;

void progress_begin(progress *state);
/* Opens the log afresh (keep -1), or the one of a resumed training, which is cut back to the `keep` bytes it had at the
 * checkpoint of `step`; a file that is not that log is left alone. Prints and returns an exit code on failure. */
int progress_open_log(progress *state, const char *path, int64_t keep, int64_t step);
/* Wipes the bar and closes the log. EXIT_FAILED when the log could not be written. */
int progress_end(progress *state);

/* A stage begins. */
void progress_stage(progress *state, const pinion_stage_report *stage);

/* Callbacks of the trainer; user is the progress. */
void progress_step(void *user, const pinion_step_report *step);
void progress_epoch(void *user, const pinion_epoch_report *epoch);
void progress_changed(void *user, const pinion_change_report *change);
int64_t progress_log_bytes(void *user);

#endif
