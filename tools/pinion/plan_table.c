/* SPDX-License-Identifier: Apache-2.0
 *
 * Printing a plan (plan_table.h). A time that is not known is a dash; where a processor cannot run a task there is
 * nothing.
 */
#include "plan_table.h"

#include <math.h>
#include <string.h>

enum { TIME_BYTES = 16, COLUMNS = 100 };

static const char *time_text(double ms, int digits, char text[TIME_BYTES])
{
    if (isfinite(ms))
        snprintf(text, TIME_BYTES, "%.*f", digits, ms);
    else
        snprintf(text, TIME_BYTES, "-");
    return text;
}

/* Further kernels that can run the task, in brackets. */
static void print_candidates(const pinion_plan *plan, int task)
{
    pinion_candidate_info candidate;
    char text[TIME_BYTES];
    const char *before = "  (";
    for (int i = 0; pinion_plan_get_candidate(plan, task, i, &candidate) == PINION_OK; i++) {
        if (candidate.chosen)
            continue;
        printf("%s%s %s", before, candidate.kernel, time_text(candidate.ms, 3, text));
        before = ", ";
    }
    printf("%s", *before == ',' ? ")" : "");
}

/* With several processors: the time on each. */
static void print_times(const pinion_plan *plan, int task, const char *pass)
{
    pinion_task_time time;
    char text[TIME_BYTES];
    for (int p = 0; pinion_plan_get_time(plan, task, p, &time) == PINION_OK; p++) {
        bool placed = time.kernel || strcmp(pass, "hand_over") == 0 || strcmp(pass, "prepare") == 0;
        printf(" %12s", time.kernel ? time_text(time.ms, 3, text) : placed ? "" : "-");
    }
}

static void print_tasks(const pinion_plan *plan, bool candidates, bool several)
{
    pinion_plan_processor processor;
    printf("%-28s %-28s %-16s %-7s %-9s %10s %9s", "layer", "op", "pass", "slice", "processor", "MMAC", "ms");
    for (int p = 0; several && pinion_plan_get_processor(plan, p, &processor) == PINION_OK; p++)
        printf(" %12s", processor.name);
    printf("  kernel\n");
    pinion_task_info task;
    char text[TIME_BYTES];
    for (int i = 0; pinion_plan_get_task(plan, i, &task) == PINION_OK; i++) {
        char slice[24] = "";
        if (task.slice[0] >= 0)
            snprintf(slice, sizeof slice, "%d-%d", task.slice[0], task.slice[1]);
        printf("%-28s %-28s %-16s %-7s %-9s %10.2f %9s", *task.layer ? task.layer : "-", task.op, task.pass, slice,
               task.processor, (double)task.macs * 1e-6, time_text(task.ms, 3, text));
        if (several)
            print_times(plan, i, task.pass);
        printf("  %s", task.kernel);
        if (candidates)
            print_candidates(plan, i);
        printf("\n");
    }
}

/* One way of placing: its time, and how much less that is than the best single processor's. */
static void print_way(const char *name, double ms, double single)
{
    char text[TIME_BYTES], gain[TIME_BYTES] = "";
    if (isfinite(ms) && isfinite(single))
        snprintf(gain, sizeof gain, "%+.1f %%", 100 * (single / ms - 1));
    printf("%-16s %10s ms %10s\n", name, time_text(ms, 2, text), gain);
}

static void print_comparison(const pinion_plan *plan)
{
    pinion_comparison compared = pinion_plan_get_comparison(plan);
    pinion_plan_processor processor;
    double single = (double)INFINITY;
    for (int p = 0; pinion_plan_get_processor(plan, p, &processor) == PINION_OK; p++)
        single = fmin(single, processor.single_ms);
    printf("\n%-16s %10s    %10s\n", "placed", "predicted", "speed");
    for (int p = 0; pinion_plan_get_processor(plan, p, &processor) == PINION_OK; p++)
        print_way(processor.name, processor.single_ms, single);
    print_way("greedy", compared.greedy_ms, single);
    print_way("layerwise", compared.layerwise_ms, single);
    print_way("serial", compared.serial_ms, single);
    print_way("concurrent", compared.concurrent_ms, single);
    print_way("without slices", compared.uncut_ms, single);
    print_way("lower bound", compared.bound_ms, single);
}

void print_plan_table(const pinion_plan *plan, bool candidates)
{
    pinion_plan_info info = pinion_plan_get_info(plan);
    char text[TIME_BYTES];
    print_tasks(plan, candidates, info.processors > 1);
    printf("%d tasks, %.1f MMAC, arena %.1f MiB, optimiser %.1f MiB, in all %.1f MiB, predicted %s ms\n", info.tasks,
           (double)info.macs * 1e-6, (double)info.arena_bytes / 1048576, (double)info.moments_bytes / 1048576,
           (double)info.total_bytes / 1048576, time_text(info.predicted_ms, 3, text));
    if (info.recomputed || info.micro_batches > 1)
        printf("%d tasks recompute an activation; %d micro-batch%s\n", info.recomputed, info.micro_batches,
               info.micro_batches == 1 ? "" : "es");
    if (info.processors > 1)
        print_comparison(plan);
}

/* ---- timeline ---- */

static char letter_of(const char *pass)
{
    static const struct {
        const char *pass;
        char letter;
    } letters[] = {{"forward", 'F'}, {"backward_data", 'D'}, {"backward_weights", 'W'},
                   {"update", 'U'},  {"recompute", 'R'},     {"hand_over", '>'}};
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (strcmp(pass, letters[i].pass) == 0)
            return letters[i].letter;
    return '?';
}

/* Each column shows what the processor does for most of it. */
static void draw_row(const pinion_plan *plan, const char *processor, double total)
{
    char row[COLUMNS + 1];
    double most[COLUMNS] = {0};
    memset(row, '.', COLUMNS);
    row[COLUMNS] = '\0';
    pinion_task_info task;
    for (int i = 0; pinion_plan_get_task(plan, i, &task) == PINION_OK; i++) {
        if (strcmp(task.processor, processor) != 0 || strcmp(task.pass, "prepare") == 0)
            continue;
        double from = COLUMNS * task.start_ms / total, to = COLUMNS * task.end_ms / total;
        for (int c = (int)from; c < COLUMNS && c < to; c++) {
            double part = fmin(to, c + 1) - fmax(from, c);
            if (part <= most[c])
                continue;
            most[c] = part;
            row[c] = letter_of(task.pass);
        }
    }
    printf("%-16s |%s|\n", processor, row);
}

void print_timeline(const pinion_plan *plan)
{
    double total = 0;
    pinion_task_info task;
    pinion_plan_processor processor;
    for (int i = 0; pinion_plan_get_task(plan, i, &task) == PINION_OK; i++)
        total = isfinite(task.end_ms) ? fmax(total, task.end_ms) : (double)INFINITY;
    if (!isfinite(total) || total <= 0) {
        printf("\ntimeline: some times are not known\n");
        return;
    }
    printf("\n%-16s 0%*s\n", "ms", COLUMNS, "");
    for (int p = 0; pinion_plan_get_processor(plan, p, &processor) == PINION_OK; p++)
        draw_row(plan, processor.name, total);
    printf("%-16s %d columns of %.2f ms, in all %.2f ms; F forward, D backward_data, W backward_weights, U update, R "
           "recompute, > hand-over\n",
           "", (int)COLUMNS, total / COLUMNS, total);
}
