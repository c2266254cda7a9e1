/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel checker: every CPU row of kernels.def, for every instruction set of this build that this machine has, and
 * every OpenCL row on the first OpenCL device, against the specification (check.h says how results are judged).
 *
 *     test_kernels [--seed N] [--match TEXT] [--quick] [--cases N] [--bench]
 *
 * --match keeps rows whose "name isa" contains TEXT, isa being "opencl" for the rows of OpenCL. --quick (or
 * PINION_QUICK=1 in the environment) makes fewer and smaller cases, for emulators and sanitizers. --bench times rows
 * instead. The exit code is 0 when every row was run and none was wrong.
 */
#include "base/clock.h"
#include "base/cpu.h"
#include "kernel/bench.h"
#include "kernel/check.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 1024, RANDOM_CASES = 60, QUICK_CASES = 8, MESSAGES_A_ROW = 3 };

typedef struct options {
    uint64_t seed;
    const char *match;
    bool quick, bench;
    int cases;
} options;

typedef struct tally {
    int cases, refused, wrong;
    double worst;
} tally;

/* What rows are built for: an instruction set or OpenCL. */
enum { TARGET_OPENCL = PINION__ISA_COUNT, TARGETS };

/* Bits of features (case_features) that cases of a pass had, and that a row of each target took. */
typedef struct coverage {
    unsigned seen, taken[TARGETS];
} coverage;

static coverage covered[PINION__OP_COUNT][PINION__PASS_COUNT];

static int usage(void)
{
    fprintf(stderr, "usage: test_kernels [--seed N] [--match TEXT] [--quick] [--cases N] [--bench]\n");
    return 2;
}

static bool parse(int argc, char **argv, options *o)
{
    const char *quick = getenv("PINION_QUICK");
    *o = (options){.seed = 1, .match = "", .quick = quick && strcmp(quick, "1") == 0};
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--quick") == 0)
            o->quick = true;
        else if (strcmp(argv[i], "--bench") == 0)
            o->bench = true;
        else if (strcmp(argv[i], "--seed") == 0 && more)
            o->seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--match") == 0 && more)
            o->match = argv[++i];
        else if (strcmp(argv[i], "--cases") == 0 && more)
            o->cases = atoi(argv[++i]);
        else
            return false;
    }
    if (o->cases == 0)
        o->cases = o->quick ? QUICK_CASES : RANDOM_CASES;
    return true;
}

static int target_of(const pinion__kernel *kernel)
{
    return kernel->processor == PINION__PROCESSOR_OPENCL ? (int)TARGET_OPENCL : (int)kernel->isa;
}

static bool able(const pinion__kernel *kernel, const bench_room *room)
{
    return kernel->processor == PINION__PROCESSOR_OPENCL ? room->opencl != NULL : pinion__cpu_has_isa(kernel->isa);
}

static bool wanted(const pinion__kernel *kernel, const options *o)
{
    char text[128];
    snprintf(text, sizeof text, "%s %s", kernel->name, bench_target_name(kernel));
    return kernel->processor != PINION__PROCESSOR_REF && strstr(text, o->match);
}

static bool transforms(const pinion__kernel *kernel)
{
    return strstr(kernel->name, "winograd") != NULL;
}

static void try_row(const trial *t, int row, const bench_room *room, tally *counts)
{
    const pinion__kernel *kernel = pinion__kernel_at(row);
    char message[MESSAGE] = "";
    trial own = *t;
    own.gain = transform_gain(kernel);
    enum outcome outcome = kernel->processor == PINION__PROCESSOR_OPENCL
                               ? trial_run_on(&own, kernel->body, room->opencl, &counts->worst, message)
                               : trial_run(&own, kernel->body, room, &counts->worst, message);
    counts->cases += outcome != OUTCOME_REFUSED;
    counts->refused += outcome == OUTCOME_REFUSED;
    covered[kernel->op][kernel->pass].seen |= case_features(&t->c);
    if (outcome != OUTCOME_REFUSED)
        covered[kernel->op][kernel->pass].taken[target_of(kernel)] |= case_features(&t->c);
    if (outcome == OUTCOME_WRONG && counts->wrong++ < MESSAGES_A_ROW)
        printf("WRONG %s %s: %s\n", kernel->name, bench_target_name(kernel), message);
}

/* One case and kind of data for all rows of its op and pass that are (or are not) transforms. */
static void try_case(const kernel_case *c, enum data kind, bool transform, const options *o, const bench_room *room,
                     tally *counts)
{
    const pinion__kernel *kernel;
    trial t;
    bool made = false;
    for (int row = 0; (kernel = pinion__kernel_at(row)); row++) {
        if (kernel->op != c->op->id || kernel->pass != c->pass || !wanted(kernel, o) || !able(kernel, room) ||
            transforms(kernel) != transform)
            continue;
        if (!made)
            trial_init(&t, c, kind, transform);
        made = true;
        try_row(&t, row, room, &counts[row]);
    }
    if (made)
        trial_fini(&t);
}

static void try_number(const pinion__op *op, enum pinion__pass pass, int number, const options *o,
                       const bench_room *room, tally *counts)
{
    for (int kind = 0; kind < DATA_KINDS; kind++) {
        kernel_case c;
        if (!case_make(room->ctx, op, pass, o->seed, number, o->quick, kind == DATA_INTEGERS, &c))
            continue;
        if (kind != DATA_ONE_HOT && data_suits(&c, (enum data)kind))
            try_case(&c, (enum data)kind, false, o, room, counts);
        if (kind == DATA_NORMAL || kind == DATA_ONE_HOT)
            try_case(&c, (enum data)kind, true, o, room, counts);
    }
}

static bool any_wanted(const pinion__op *op, enum pinion__pass pass, const options *o)
{
    const pinion__kernel *kernel;
    for (int row = 0; (kernel = pinion__kernel_at(row)); row++)
        if (kernel->op == op->id && kernel->pass == pass && wanted(kernel, o))
            return true;
    return false;
}

static void try_all(const options *o, const bench_room *room, tally *counts)
{
    for (int id = 0; id < PINION__OP_COUNT; id++) {
        const pinion__op *op = pinion__op_get((enum pinion__op_id)id);
        for (int pass = 0; pass < PINION__PASS_COUNT && case_known(op); pass++)
            for (int number = 0; any_wanted(op, (enum pinion__pass)pass, o) && number < case_edges(op) + o->cases;
                 number++)
                try_number(op, (enum pinion__pass)pass, number, o, room, counts);
    }
}

/* Prints what fusion may ask of a pass and no row of a target does; their number. Every row has to have been checked.
 */
static int report_gaps(const options *o, const bench_room *room)
{
    const pinion__kernel *kernel;
    int gaps = 0;
    for (int row = 0; (kernel = pinion__kernel_at(row)) && !*o->match; row++) {
        coverage *of = &covered[kernel->op][kernel->pass];
        if (!wanted(kernel, o) || !able(kernel, room))
            continue;
        unsigned missing = of->seen & ~of->taken[target_of(kernel)];
        of->taken[target_of(kernel)] = of->seen;
        for (int feature = 0; feature < FEATURES; feature++) {
            if (missing & 1U << feature)
                printf("%s %s, %s: with %s: NEVER RAN\n", pinion__op_get(kernel->op)->name,
                       pinion__pass_name(kernel->pass), bench_target_name(kernel), case_feature_name(feature));
            gaps += (missing & 1U << feature) != 0;
        }
    }
    return gaps;
}

/* Prints the table; the number of rows that failed. A row that this machine cannot run is listed as skipped. */
static int report(const options *o, const bench_room *room, const tally *counts)
{
    const pinion__kernel *kernel;
    int failed = 0, ran = 0, skipped = 0;
    printf("%-36s %-9s %6s %8s %6s  %s\n", "kernel", "isa", "cases", "refused", "wrong", "worst error / bound");
    for (int row = 0; (kernel = pinion__kernel_at(row)); row++) {
        const tally *t = &counts[row];
        if (!wanted(kernel, o))
            continue;
        bool runs = able(kernel, room);
        bool bad = runs && (t->wrong > 0 || t->cases == 0);
        failed += bad, ran += runs, skipped += !runs;
        printf("%-36s %-9s %6d %8d %6d  %.3f%s\n", kernel->name, bench_target_name(kernel), t->cases, t->refused,
               t->wrong, t->worst,
               !runs                  ? "  SKIP: not on this machine"
               : bad && t->cases == 0 ? "  NEVER RAN"
                                      : "");
    }
    printf("%d rows checked, %d failed, %d skipped\n", ran, failed, skipped);
    return failed + (ran + skipped == 0);
}

int main(int argc, char **argv)
{
    options o;
    static tally counts[MAX_ROWS];
    if (!parse(argc, argv, &o) || pinion__kernel_at(MAX_ROWS))
        return usage();
    bench_room room = {0};
    room_open(&room);
    room_find_opencl(&room);
    if (room.opencl)
        printf("OpenCL: %s, %s\n", room.opencl->name, room.opencl->description);
    else
        printf("OpenCL: no device here, or not in this build\n");
    int64_t start = pinion__now_ns();
    int failed = 0;
    if (o.bench) {
        const pinion__kernel *kernel;
        for (int row = 0; (kernel = pinion__kernel_at(row)); row++)
            if (wanted(kernel, &o) && able(kernel, &room))
                bench_row(kernel, &room);
    } else {
        try_all(&o, &room, counts);
        failed = report(&o, &room, counts) + report_gaps(&o, &room);
        printf("seed %llu, %.1f s\n", (unsigned long long)o.seed, (double)(pinion__now_ns() - start) * 1e-9);
    }
    room_close(&room);
    return failed ? 1 : 0;
}
