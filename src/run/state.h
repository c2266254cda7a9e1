/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this folder share: the runner's memory and who holds it.
 *
 * Where processors of the plan work in a domain, all blocks are memory of that domain, the network's weights too
 * (net/shared.h). A hold is one run of bytes that changes hands, with who holds it between steps. Between steps it is
 * at home, or the host has it because it asked (pinion__runner_settle); a step begins by bringing all home.
 */
#ifndef PINION_RUN_STATE_H
#define PINION_RUN_STATE_H

#include "run/executor.h"
#include "run/forecast.h"
#include "run/runner.h"
#include "run/trace.h"

/* A block of the runner's memory. */
typedef struct pinion__room {
    unsigned char *host;
    pinion__memory *memory; /* NULL: the host's own */
} pinion__room;

/* An operand that is the caller's images or labels, or a hand-over of them: bound anew for each micro-batch. */
typedef struct pinion__patch {
    int task, operand; /* operand -1: the task is the hand-over */
    int given;         /* index into runner->given; -1: only the host uses it */
    enum pinion__place place;
    size_t offset; /* bytes into the storage; of what only the host uses, into the micro-batch */
} pinion__patch;

/* Where a storage of the caller's lies in memory for batches, and the span that passes from hand to hand with it. */
typedef struct pinion__piece {
    size_t at;    /* bytes into the block */
    size_t shift; /* of them into the span, which begins at a multiple of the domain's alignment */
    size_t bytes; /* of the span */
    pinion__span span;
} pinion__piece;

/* Memory for images and labels (input.c). */
typedef struct pinion__input {
    pinion__room room;
    float *images; /* a slot's, as the caller sees them: dense; NULL: it is not made */
    int32_t *labels;
    pinion__piece *pieces; /* a slot: of each micro-batch, one for each of runner->given */
    bool parted;           /* as the runner's memory */
} pinion__input;

typedef struct pinion__hold {
    pinion__memory *memory;
    pinion__span span;
    size_t bytes;
    enum pinion__holder home;
    bool lasting;              /* its contents matter between steps */
    enum pinion__holder *held; /* between steps: in `own`, of a weight in the network's list */
    enum pinion__holder own;
} pinion__hold;

/* A running statistic and where it is saved. */
typedef struct pinion__saved_state {
    size_t live, copy; /* bytes into the network's block and into runner->states */
    size_t bytes;
    int hold;          /* of the live one; -1: the host's */
    pinion__span span; /* of the copy, for devices */
} pinion__saved_state;

/* A group of a dynamic network; a network that is not cut is one group. */
typedef struct pinion__group {
    bool is_prepared;          /* its prepared weights are those of the network's weights ... */
    uint64_t version;          /* ... of this version */
    bool is_warm;              /* it has run since they were prepared */
    pinion__forecast forecast; /* of its time beside that of the groups before it */
} pinion__group;

struct pinion_runner {
    pinion_context *ctx;
    const pinion_plan *plan;
    pinion__room arena;
    pinion_runner *lender;       /* arena, prepared and padded lie in this runner's arena; NULL: memory of its own */
    const pinion_runner *tenant; /* who used the arena last, which is its own; NULL: nobody */
    pinion__room moments;
    pinion__room prepared;  /* inference: folded and prepared weights, made from the network's */
    size_t prepared_offset; /* where they begin in it */
    pinion__group groups[PINION_MAX_GROUPS];
    pinion__forecast tail; /* of what follows the last group of an inference until the call returns */
    atomic_uint widths;    /* the width, and how many groups have memory: widths.c */
    int answer;            /* tensor of the last step's logits */
    float *answers;        /* inference in micro-batches: (width, batch, classes), logits of each width; else NULL */
    int64_t (*clock)(void *user); /* in place of pinion__now_ns, for tests; NULL: none */
    void *clock_user;
    pinion__room states; /* training: running statistics as before the step */
    pinion__saved_state *saved;
    size_t saved_count;
    bool copies_away; /* the device holds its copies of running statistics */
    int *given;       /* storages of the caller's images and labels that devices use */
    int given_count;
    pinion__input copied;                    /* a micro-batch for devices whose caller has it elsewhere */
    pinion__input slots[PINION_INPUT_SLOTS]; /* batches that the caller writes */
    pinion__input *input;                    /* of the present step, one of these; not where devices read no batch */
    pinion__room padded;                     /* inference: a batch of which only a part is the caller's */
    const unsigned char *block;              /* the network's, as bound */
    const float *images;                     /* of the micro-batch run last */
    const int32_t *labels;
    const float *prior; /* of the step */
    pinion__args *args; /* per task */
    pinion__patch *patches;
    size_t patch_count, patch_capacity;
    pinion__processor *device; /* that hands over between steps; NULL: the plan has no domain */
    pinion__hold *holds;
    int hold_count;
    int *hold_of;                       /* per storage; -1: only the host uses it */
    bool parted;                        /* memory is mapped span by span: pinion__runner_part_span */
    pinion__hand_over_args *hand_overs; /* per task */
    bool sharing;                       /* counted as a user of the network's shared weights */
    pinion__step step;
    double loss;            /* sum over the samples of the step so far; written at the gate */
    int failure;            /* of a device, once: nothing runs any more */
    int64_t copied_bytes;   /* by the step that is running, or the last */
    uint64_t copied_before; /* by the domain */
    pinion__executor *executor;
    pinion__tracing *trace; /* NULL: none */
};

/* runner.c: everything at home, and bound to where the weights are now; and what the step copied is counted. */
int pinion__runner_begin(pinion_runner *runner);
void pinion__runner_finish(pinion_runner *runner);
/* Runs the tasks from first to end. */
int pinion__runner_run(pinion_runner *runner, int first, int end, bool (*gate)(void *user), bool *passed);

/* infer.c: inference of one micro-batch, of a network with groups or, as one group, of any other. A part is begun, then
 * groups run in their order, each from 0 on; the answer of the last that ran may be read; at the part's end everything
 * is at home. */
typedef struct pinion__part {
    const float *images;
    int index, count; /* of the micro-batch; its images that are given */
    bool slot;        /* they lie in a slot */
} pinion__part;

int pinion__infer_check(const pinion_runner *runner, const char *call, const float *images, int count,
                        const float *logits);
/* Part `index` of the batch; count: images of all of it. */
pinion__part pinion__infer_part(const pinion_runner *runner, const float *images, int index, int count);
void pinion__infer_begin_part(pinion_runner *runner, const pinion__part *part);
/* Prepares those of the first groups that need it: before a part, since what it leaves in the arena is lost. */
int pinion__infer_prepare(pinion_runner *runner, int width);
int pinion__infer_groups(pinion_runner *runner, int first, int end);
/* Copies the logits of a width that has just run, the part's images only. */
int pinion__infer_answer(pinion_runner *runner, int width, const pinion__part *part, float *logits);
int pinion__infer_end_part(pinion_runner *runner);
size_t pinion__infer_row(const pinion_plan *plan); /* logits of an image */

/* widths.c */
void pinion__runner_make_widths(pinion_runner *runner);
/* The width of the inference that begins; 1 where the network is not cut. */
int pinion__runner_take_width(const pinion_runner *runner, int *width);

/* anytime.c: how long groups take as far as the plan knows. */
void pinion__runner_plan_times(pinion_runner *runner);
/* From now on inference until a deadline asks this clock, ns. NULL: pinion__now_ns. */
void pinion__runner_set_clock(pinion_runner *runner, int64_t (*clock)(void *user), void *user);

/* input.c: finds out which of the caller's data devices use, and where the copy of them lies. */
int pinion__runner_make_inputs(pinion_runner *runner);
void pinion__runner_free_inputs(pinion_runner *runner);
/* Takes the slot whose images these are or, where they lie elsewhere, the copy for the step that begins. */
int pinion__runner_choose_input(pinion_runner *runner, const float *images);
/* Are they a slot's, so that they may be written to? */
bool pinion__runner_is_slot(const pinion_runner *runner, const float *images);
/* The pieces of a micro-batch in the memory that was chosen. */
const pinion__piece *pinion__runner_pieces(const pinion_runner *runner, int part);

/* memory.c: allocation. Everything that create makes is released by destroy, also after a failure. */
int pinion__runner_allocate(pinion_runner *runner, const pinion_runner *lender);
void pinion__runner_free(pinion_runner *runner);
/* Memory for the host, or `shared` with the plan's domain. Its bytes need not be zeros. */
int pinion__runner_furnish(const pinion_runner *runner, size_t bytes, bool shared, const char *what,
                           pinion__room *room);
void pinion__runner_clear(const pinion_runner *runner, pinion__room *room);
/* Bytes of the images of a micro-batch. */
size_t pinion__runner_part_bytes(const pinion_plan *plan);

/* bind.c: arguments of all tasks; counts what lies in the caller's memory. Done again when the weights have moved. */
int pinion__runner_bind(pinion_runner *runner);
/* Points the tasks at a micro-batch, number `part` of the batch, and copies it where a device reads it and it lies in
 * other memory than was chosen. labels is NULL in inference. */
void pinion__runner_set_batch(pinion_runner *runner, const float *images, const int32_t *labels, int part);
/* Where the host finds a tensor, if it holds it; the caller's memory counts as of the last step. */
const void *pinion__runner_tensor(const pinion_runner *runner, int tensor);

/* hold.c: makes the holds, with the weights in the domain's memory. */
int pinion__runner_make_holds(pinion_runner *runner);
/* Brings everything home; without a domain has the host hold the weights. */
int pinion__runner_go_home(pinion_runner *runner);
/* After tasks from first to end ran that do not end with everything at home: what they handed over, as far as the
 * holds know it, has been. */
void pinion__runner_note_hand_overs(pinion_runner *runner, int first, int end);
/* Takes over the arena from who used it last: a lender, or a borrower. */
int pinion__runner_move_in(pinion_runner *runner);
/* The body of a task: passes what the host holds to the device and back. Memory that is new is mapped as a whole; when
 * the first span of it leaves, all is unmapped and the rest mapped again, cut where spans begin and end. That must not
 * happen while tasks of the host use the rest, so each span leaves once before there are any. */
void pinion__runner_part_span(const pinion_runner *runner, pinion__memory *memory, const pinion__span *span,
                              size_t bytes);
/* Hands back to the host what devices hold of the arena, if it used it last. */
int pinion__runner_move_out(pinion_runner *runner);
/* Notes that a device has failed: the runner refuses to go on, and what devices held is lost. Returns `status`. */
int pinion__runner_failed(pinion_runner *runner, int status);
/* Passes one hold on; `to` the same: nothing. */
int pinion__runner_pass(pinion_runner *runner, int hold, enum pinion__holder to, bool contents);

/* states.c: the running statistics are copied aside, and back, on the side that holds them. */
int pinion__runner_make_states(pinion_runner *runner);
int pinion__runner_save_states(pinion_runner *runner);
int pinion__runner_restore_states(pinion_runner *runner);

/* After a step whose loss is not finite: restores the states, runs the forward tasks once more, one by one, and records
 * the sentence that names the first layer with a non-finite value. Returns PINION_ENONFINITE. */
int pinion__runner_diagnose(pinion_runner *runner);

#endif
