/* SPDX-License-Identifier: Apache-2.0
 *
 * Trials: making a case's answers, comparing results with them, running a kernel body in every way that must give the
 * same.
 */
#include "kernel/check.h"
#include "kernel/staged.h"
#include "op/stats.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Terms that a kernel may add one after the other before blocks are combined. */
#define BLOCK 8.0

/* How much a transform amplifies rounding errors along one dimension: |A'|_1 |G|_F |B'|_F (norm-wise bound of Barabasz,
 * Anderson, Soodhalter, Gregg: Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural
 * Networks, ACM TOMS 46(4), 2020). F(4x4,3x3) with the points 0, +-3/4, +-3/2 and infinity: 8.125 * 1.719 * 6.97;
 * F(2x2,3x3) with 0, +-1 and infinity: 2 * 1.871 * 2.828. Two dimensions square it in the worst case; errors of either
 * sign stay far below the factor of one. */
#define TRANSFORM_GAIN 97.4
#define TRANSFORM_GAIN_F2 10.6

double transform_gain(const pinion__kernel *kernel)
{
    return strstr(kernel->name, "_f2") ? TRANSFORM_GAIN_F2 : TRANSFORM_GAIN;
}

void room_open(bench_room *room)
{
    *room = (bench_room){0};
    int status = pinion_context_create(NULL, &room->ctx);
    for (int i = 0; i < POOLS; i++)
        if (status == PINION_OK)
            status = pinion__workers_create(room->ctx, i + 1, &room->pool[i]);
    if (status != PINION_OK) {
        fprintf(stderr, "no context: %s\n", room->ctx ? pinion_context_error(room->ctx) : "");
        exit(1);
    }
}

void room_find_opencl(bench_room *room)
{
    if (pinion__processors_discover(room->ctx, &room->processors) != PINION_OK) {
        fprintf(stderr, "no processors: %s\n", pinion_context_error(room->ctx));
        exit(1);
    }
    for (int i = room->processors.count - 1; i >= 0; i--)
        if (room->processors.at[i]->kernel_kind == PINION__PROCESSOR_OPENCL)
            room->opencl = room->processors.at[i];
}

void room_close(bench_room *room)
{
    pinion__processors_fini(&room->processors);
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
    *t = (trial){.c = *c, .kind = kind, .transform = transform, .gain = TRANSFORM_GAIN};
    t->exact = !transform && data_exact(c, kind);
    layout_init(&t->l, &t->c, true);
    t->given = blocks_create(&t->l);
    t->expected = blocks_create(&t->l);
    t->scale = blocks_create(&t->l);
    data_fill(&t->l, &t->given, kind);
    blocks_copy(&t->l, &t->given, &t->expected);
    reference_run(&t->l, &t->expected, NULL);
    blocks_copy(&t->l, &t->given, &t->scale);
    if (!t->exact || c->stats)
        scale_fill(&t->l, &t->scale, &t->expected, t->exact, transform);
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

/* Terms of the sums in one element. */
static double terms_of(const trial *t, int operand)
{
    const pinion__view *y = &t->l.at[operand].view;
    if (t->l.at[operand].is.role != PINION__STATS)
        return case_terms(&t->c);
    y = &t->l.at[layout_find(&t->l, t->c.op->id == PINION__OP_statistics ? PINION__INPUT : PINION__OUTPUT, 0)].view;
    pinion__stats_blocks cut = pinion__stats_blocks_of(y->n, y->h, y->w);
    return (t->exact ? 1 : case_terms(&t->c)) + (double)pinion__stats_block_pixels(&cut, y->n, y->h, y->w, 0);
}

/* Error over bound of one element; `norm` is the scale of the whole operand. */
static double judge(const trial *t, int operand, size_t i, double norm, double got, double want)
{
    if (got == want || (isnan(got) && isnan(want)))
        return 0;
    bool exact = t->exact && t->l.at[operand].is.role != PINION__STATS;
    if (exact || !isfinite(got) || !isfinite(want) || t->l.at[operand].element == ELEMENT_UINT8)
        return HUGE_VAL;
    double own =
        t->l.at[operand].is.role == PINION__STATS || !t->transform ? element_get(&t->l, &t->scale, operand, i) : norm;
    double bound = ((t->transform ? t->gain : BLOCK) + sqrt(terms_of(t, operand))) * own;
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

/* Lays an output over an input, as the case has it. */
static void alias(const trial *t, const blocks *results, pinion__args *args)
{
    int written, read;
    if (!case_alias(&t->c, &written, &read))
        return;
    for (size_t i = 0; i < element_count(&t->l, read); i++)
        element_set(&t->l, results, written, i, element_get(&t->l, results, read, i));
    args->operand[read] = args->operand[written];
}

/* Brings the weights into the kernel's own order and spoils them. NULL: the kernel prepares none. */
static void *prepare(const trial *t, const pinion__kernel_body *body, pinion__args *args, const blocks *results)
{
    enum { LINE = 64 };
    size_t bytes = body->prepared_bytes ? body->prepared_bytes(args) : 0;
    int weights = layout_find(&t->l, PINION__PARAM, 0);
    if (bytes == 0)
        return NULL;
    unsigned char *block = aligned_alloc(LINE, (bytes + 2 * LINE - 1) / LINE * LINE);
    if (!block) {
        fprintf(stderr, "out of memory: %zu bytes of prepared weights\n", bytes);
        exit(1);
    }
    memset(block, 0xFF, bytes + 1);
    body->prepare(args, block);
    args->prepared = block;
    for (size_t i = 0; i < element_count(&t->l, weights); i++)
        element_set(&t->l, results, weights, i, (double)NAN);
    return block[bytes] == 0xFF ? block : (free(block), NULL);
}

static void restore_weights(const trial *t, const blocks *results)
{
    int weights = layout_find(&t->l, PINION__PARAM, 0);
    for (size_t i = 0; i < element_count(&t->l, weights); i++)
        element_set(&t->l, results, weights, i, element_get(&t->l, &t->given, weights, i));
}

/* One way to run a kernel, of several that must give the same bits: on these threads, or on a processor. */
typedef struct way {
    const char *name;
    pinion__workers *workers;
    pinion__processor *processor;
} way;

/* Sixty-four bytes round each operand and the scratch go with them to the processor: they are canaries or gaps. */
static int run_body(const trial *t, const pinion__kernel_body *body, const way *by, const pinion__args *args)
{
    enum { MARGIN = 64 };
    const pinion__kernel kernel = {.name = "", .op = t->c.op->id, .pass = t->c.pass, .body = body};
    if (by->processor)
        return pinion__staged_once(by->processor, &kernel, args, MARGIN);
    body->run(args);
    return PINION_OK;
}

/* One run on fresh blocks. False: it failed or wrote where it must not; `message` says where. */
static bool run_once(const trial *t, const pinion__kernel_body *body, const way *by, bool prepared,
                     const blocks *results, char message[MESSAGE])
{
    char text[MESSAGE / 2];
    case_describe(&t->c, text, sizeof text);
    blocks_copy(&t->l, &t->given, results);
    pinion__args args = blocks_args(&t->l, results);
    args.workers = by->workers;
    alias(t, results, &args);
    void *weights = prepared ? prepare(t, body, &args, results) : NULL;
    if (prepared && !weights) {
        snprintf(message, MESSAGE, "%s: wrote past its prepared weights", text);
        return false;
    }
    scratch s = scratch_create(body, &args);
    int status = run_body(t, body, by, &args);
    free(weights);
    if (prepared)
        restore_weights(t, results);
    int stray = blocks_stray_write(&t->l, &t->given, results);
    if (stray >= 0)
        snprintf(message, MESSAGE, "%s: wrote outside its outputs, at operand %d", text, stray);
    bool kept = scratch_destroy(&s);
    if (!kept)
        snprintf(message, MESSAGE, "%s: wrote outside its %zu bytes of scratch", text, s.bytes);
    if (status < 0)
        snprintf(message, MESSAGE, "%s: %s", text, pinion_context_error(by->processor->ctx));
    return stray < 0 && kept && status == PINION_OK;
}

static bool same_bits(const trial *t, const blocks *a, const blocks *b)
{
    for (int i = 0; i < t->l.count; i++)
        if (memcmp(a->at[i], b->at[i], t->l.at[i].bytes) != 0)
            return false;
    return true;
}

static bool run_every_way(const trial *t, const pinion__kernel_body *body, const way *ways, int count, bool prepared,
                          double *worst, char message[MESSAGE])
{
    blocks first = blocks_create(&t->l), again = blocks_create(&t->l);
    bool good = true;
    for (int i = 0; i < count && good; i++) {
        good = run_once(t, body, &ways[i], prepared, i == 0 ? &first : &again, message);
        if (good && i == 0) {
            double ratio = trial_compare(t, &first, message);
            *worst = fmax(*worst, ratio);
            good = ratio <= 1;
        } else if (good && !same_bits(t, &first, &again)) {
            char text[MESSAGE / 2];
            case_describe(&t->c, text, sizeof text);
            snprintf(message, MESSAGE, "%s: %s gives other bits than %s", text, ways[i].name, ways[0].name);
            good = false;
        }
    }
    blocks_destroy(&t->l, &first);
    blocks_destroy(&t->l, &again);
    return good;
}

enum outcome trial_run(const trial *t, const pinion__kernel_body *body, const bench_room *room, double *worst,
                       char message[MESSAGE])
{
    const way ways[POOLS] = {{"one thread", room->pool[0], NULL},
                             {"a pool of two threads", room->pool[1], NULL},
                             {"a pool of three threads", room->pool[2], NULL}};
    pinion__args args = blocks_args(&t->l, &t->given);
    args.workers = room->pool[0];
    if (body->applicable && !body->applicable(&args))
        return OUTCOME_REFUSED;
    bool prepares = body->prepared_bytes && body->prepared_bytes(&args) > 0;
    bool good = run_every_way(t, body, ways, POOLS, false, worst, message);
    if (good && prepares && !(good = run_every_way(t, body, ways, POOLS, true, worst, message)) &&
        strlen(message) + 24 < MESSAGE)
        strcat(message, " (prepared weights)");
    return good ? OUTCOME_GOOD : OUTCOME_WRONG;
}

enum outcome trial_run_on(const trial *t, const pinion__kernel_body *body, pinion__processor *processor, double *worst,
                          char message[MESSAGE])
{
    const way ways[] = {{"the first run", NULL, processor}, {"the second run", NULL, processor}};
    pinion__args args = blocks_args(&t->l, &t->given);
    if (body->applicable && !body->applicable(&args))
        return OUTCOME_REFUSED;
    return run_every_way(t, body, ways, 2, false, worst, message) ? OUTCOME_GOOD : OUTCOME_WRONG;
}
