/* SPDX-License-Identifier: Apache-2.0
 *
 * Trials: making a case's answers, comparing results with them, running a kernel body in every way that must give the
 * same.
 */
#include "kernel/check.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Terms that a kernel may add one after the other before blocks are combined. */
#define BLOCK 8.0

/* How much F(4x4,3x3) amplifies rounding errors along one dimension: |A'|_1 |G|_F |B'|_F = 8.125 * 1.719 * 6.97 with
 * the points 0, +-3/4, +-3/2 and infinity (norm-wise bound of Barabasz, Anderson, Soodhalter, Gregg: Error Analysis and
 * Improving the Accuracy of Winograd Convolution for Deep Neural Networks, ACM TOMS 46(4), 2020). Two dimensions square
 * it in the worst case; errors of either sign stay far below the factor of one. */
#define TRANSFORM_GAIN 97.4

void room_open(bench_room *room)
{
    int status = pinion_context_create(NULL, &room->ctx);
    for (int i = 0; i < POOLS; i++)
        if (status == PINION_OK)
            status = pinion__workers_create(room->ctx, i + 1, &room->pool[i]);
    if (status != PINION_OK) {
        fprintf(stderr, "no context: %s\n", room->ctx ? pinion_context_error(room->ctx) : "");
        exit(1);
    }
}

void room_close(bench_room *room)
{
    for (int i = 0; i < POOLS; i++)
        pinion__workers_destroy(room->pool[i]);
    pinion_context_destroy(room->ctx);
}

const pinion__kernel *reference_of(const pinion__op *op, enum pinion__pass pass)
{
    const pinion__kernel *kernel;
    for (int i = 0; (kernel = pinion__kernel_at(i)); i++)
        if (kernel->op == op->id && kernel->pass == pass && kernel->processor == PINION__PROCESSOR_REF)
            return kernel;
    fprintf(stderr, "no reference kernel for %s %s\n", op->name, pinion__pass_name(pass));
    exit(1);
}

void reference_run(const layout *l, const blocks *b, const pinion__step *step)
{
    pinion__args args = blocks_args(l, b);
    if (step)
        args.step = step;
    reference_of(l->c->op, l->c->pass)->body->run(&args);
}

void trial_init(trial *t, const kernel_case *c, enum data kind, bool transform)
{
    *t = (trial){.c = *c, .kind = kind, .transform = transform};
    t->exact = !transform && data_exact(c, kind);
    layout_init(&t->l, &t->c, true);
    t->given = blocks_create(&t->l);
    t->expected = blocks_create(&t->l);
    t->scale = blocks_create(&t->l);
    data_fill(&t->l, &t->given, kind);
    blocks_copy(&t->l, &t->given, &t->expected);
    reference_run(&t->l, &t->expected, NULL);
    if (!t->exact) {
        blocks_copy(&t->l, &t->given, &t->scale);
        scale_fill(&t->l, &t->scale);
    }
}

void trial_fini(trial *t)
{
    blocks_destroy(&t->l, &t->given);
    blocks_destroy(&t->l, &t->expected);
    blocks_destroy(&t->l, &t->scale);
}

static double largest_scale(const trial *t, int operand)
{
    double largest = 0;
    for (size_t i = 0; i < element_count(&t->l, operand); i++)
        largest = fmax(largest, element_get(&t->l, &t->scale, operand, i));
    return largest;
}

/* Error over bound of one element; `norm` is the scale of the whole operand. */
static double judge(const trial *t, int operand, size_t i, double norm, double got, double want)
{
    if (got == want || (isnan(got) && isnan(want)))
        return 0;
    if (t->exact || !isfinite(got) || !isfinite(want) || t->l.at[operand].element == ELEMENT_UINT8)
        return HUGE_VAL;
    double spread = sqrt(case_terms(&t->c));
    double bound =
        t->transform ? (TRANSFORM_GAIN + spread) * norm : (BLOCK + spread) * element_get(&t->l, &t->scale, operand, i);
    return fabs(got - want) / (bound * (double)FLT_EPSILON + (double)FLT_MIN);
}

static void describe(const trial *t, int operand, size_t i, double got, double want, double ratio,
                     char message[MESSAGE])
{
    static const char *const kinds[DATA_KINDS] = {"integers", "normal", "special", "one-hot"};
    const pinion__view *view = &t->l.at[operand].view;
    int c = (int)(i % (size_t)view->c), pixel = (int)(i / (size_t)view->c);
    char text[MESSAGE / 2];
    case_describe(&t->c, text, sizeof text);
    snprintf(
        message, MESSAGE,
        "%s, %s: operand %d (ld %td), element (n %d, row %d, column %d, channel %d): got %.9g, expected %.9g, %.3g of "
        "the bound",
        text, kinds[t->kind], operand, view->ld, pixel / (view->h * view->w), pixel / view->w % view->h,
        pixel % view->w, c, got, want, ratio);
}

double trial_compare(const trial *t, const blocks *results, char message[MESSAGE])
{
    double worst = 0;
    for (int operand = 0; operand < t->l.count; operand++) {
        if (!layout_written(&t->l, operand))
            continue;
        double norm = t->transform ? largest_scale(t, operand) : 0;
        for (size_t i = 0; i < element_count(&t->l, operand); i++) {
            double got = element_get(&t->l, results, operand, i), want = element_get(&t->l, &t->expected, operand, i);
            double ratio = judge(t, operand, i, norm, got, want);
            if (ratio > 1 && worst <= 1)
                describe(t, operand, i, got, want, ratio, message);
            worst = fmax(worst, ratio);
        }
    }
    return worst;
}

scratch scratch_create(const pinion__kernel_body *body, pinion__args *args)
{
    enum { LINE = 64 };
    scratch s = {.bytes = body->scratch_bytes ? body->scratch_bytes(args) : 0};
    s.block = aligned_alloc(LINE, (s.bytes + 3 * LINE) / LINE * LINE);
    if (!s.block) {
        fprintf(stderr, "out of memory: %zu bytes of scratch\n", s.bytes);
        exit(1);
    }
    memset(s.block, 0xFF, s.bytes + 2 * LINE);
    args->scratch = s.block + LINE;
    return s;
}

bool scratch_destroy(scratch *s)
{
    enum { LINE = 64 };
    bool whole = true;
    for (size_t i = 0; i < LINE; i++)
        whole = whole && s->block[i] == 0xFF && s->block[LINE + s->bytes + i] == 0xFF;
    free(s->block);
    return whole;
}

/* One run on fresh blocks. False: it wrote where it must not; `message` says where. */
static bool run_once(const trial *t, const pinion__kernel_body *body, pinion__workers *workers, const blocks *results,
                     char message[MESSAGE])
{
    blocks_copy(&t->l, &t->given, results);
    pinion__args args = blocks_args(&t->l, results);
    args.workers = workers;
    scratch s = scratch_create(body, &args);
    body->run(&args);
    char text[MESSAGE / 2];
    case_describe(&t->c, text, sizeof text);
    int stray = blocks_stray_write(&t->l, &t->given, results);
    if (stray >= 0)
        snprintf(message, MESSAGE, "%s: wrote outside its outputs, at operand %d", text, stray);
    bool kept = scratch_destroy(&s);
    if (!kept)
        snprintf(message, MESSAGE, "%s: wrote outside its %zu bytes of scratch", text, s.bytes);
    return stray < 0 && kept;
}

static bool same_bits(const trial *t, const blocks *a, const blocks *b)
{
    for (int i = 0; i < t->l.count; i++)
        if (memcmp(a->at[i], b->at[i], t->l.at[i].bytes) != 0)
            return false;
    return true;
}

enum outcome trial_run(const trial *t, const pinion__kernel_body *body, const bench_room *room, double *worst,
                       char message[MESSAGE])
{
    pinion__args args = blocks_args(&t->l, &t->given);
    args.workers = room->pool[0];
    if (body->applicable && !body->applicable(&args))
        return OUTCOME_REFUSED;
    blocks first = blocks_create(&t->l), again = blocks_create(&t->l);
    bool good = true;
    for (int i = 0; i < POOLS && good; i++) {
        good = run_once(t, body, room->pool[i], i == 0 ? &first : &again, message);
        if (good && i == 0) {
            double ratio = trial_compare(t, &first, message);
            *worst = fmax(*worst, ratio);
            good = ratio <= 1;
        } else if (good && !same_bits(t, &first, &again)) {
            char text[MESSAGE / 2];
            case_describe(&t->c, text, sizeof text);
            snprintf(message, MESSAGE, "%s: %d threads give other bits than one", text, i + 1);
            good = false;
        }
    }
    blocks_destroy(&t->l, &first);
    blocks_destroy(&t->l, &again);
    return good ? OUTCOME_GOOD : OUTCOME_WRONG;
}
