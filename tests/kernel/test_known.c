/* SPDX-License-Identifier: Apache-2.0
 *
 * The specification against PyTorch: answers that known.py wrote into known.h, which also says how operands are filled.
 * Formulas of their own (statistics, optimisers, padding rules) cannot be seen by comparing passes of the specification
 * with each other.
 */
#include "base/random.h"
#include "kernel/check.h"
#include "kernel/known.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const pinion_depthwise_conv2d window = {
    .r = 3, .s = 2, .stride_h = 2, .stride_w = 1, .pad_h = 1, .pad_w = 2, .bias = 1};
static const pinion_pool pool = {.r = 3, .s = 2, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1};

typedef struct known {
    kernel_case c;
    layout l;
    blocks b;
} known;

static void known_begin(known *k, pinion_context *ctx, enum pinion__op_id id, enum pinion__pass pass, int n,
                        pinion_shape input, const pinion__attributes *attributes)
{
    *k = (known){.c = {.op = pinion__op_get(id), .pass = pass, .attributes = *attributes, .n = n, .slots = 1}};
    k->c.inputs[0] = k->c.output = input;
    if (k->c.op->infer)
        assert_int_equal(k->c.op->infer(ctx, "known", &k->c.attributes, k->c.inputs, &k->c.output), PINION_OK);
    layout_init(&k->l, &k->c, false);
    k->b = blocks_create(&k->l);
    for (int o = 0; o < k->l.count; o++)
        for (size_t i = 0; (k->l.at[o].is.access & PINION__READ) && i < element_count(&k->l, o); i++)
            element_set(&k->l, &k->b, o, i, ((double)((i * 37 + (size_t)o * 29 + 11) % 101) - 50) / 32);
}

/* Does the operand's checksum agree? */
static void known_check(const known *k, int operand, double answer)
{
    double sum = 0;
    for (size_t i = 0; i < element_count(&k->l, operand); i++)
        sum += element_get(&k->l, &k->b, operand, i) * ((double)((i * 13 + 5) % 17) - 8) / 8;
    if (!(fabs(sum - answer) <= 2e-6 * (1 + fabs(answer))))
        fail_msg("%s %s, operand %d: %.9g; PyTorch has %.9g", k->c.op->name, pinion__pass_name(k->c.pass), operand, sum,
                 answer);
}

static void known_end(known *k)
{
    blocks_destroy(&k->l, &k->b);
}

/* A forward pass with one answer. */
static void check_forward(pinion_context *ctx, enum pinion__op_id id, int n, pinion_shape input,
                          pinion__attributes attributes, int operand, double answer)
{
    known k;
    known_begin(&k, ctx, id, PINION__FORWARD, n, input, &attributes);
    reference_run(&k.l, &k.b, NULL);
    known_check(&k, operand, answer);
    known_end(&k);
}

static void test_forward(void **state)
{
    pinion_context *ctx = *state;
    const pinion_shape image = {7, 6, 3};
    pinion__attributes conv = {.as.conv2d = window}, depthwise = conv, pooling = {.as.pool = pool}, none = {0};
    conv.as.conv2d.k = 4;
    check_forward(ctx, PINION__OP_conv2d, 2, (pinion_shape){5, 6, 3}, conv, PINION__CONV_FORWARD_Y, CONV2D_Y);
    check_forward(ctx, PINION__OP_depthwise_conv2d, 2, (pinion_shape){5, 6, 5}, depthwise, PINION__CONV_FORWARD_Y,
                  DEPTHWISE_Y);
    check_forward(ctx, PINION__OP_linear, 3, (pinion_shape){1, 1, 7},
                  (pinion__attributes){.as.linear = {.k = 4, .bias = 1}}, PINION__CONV_FORWARD_Y, LINEAR_Y);
    check_forward(ctx, PINION__OP_maxpool, 2, image, pooling, PINION__MAXPOOL_FORWARD_Y, MAXPOOL_Y);
    check_forward(ctx, PINION__OP_avgpool, 2, image, pooling, PINION__AVGPOOL_FORWARD_Y, AVGPOOL_Y);
    check_forward(ctx, PINION__OP_global_avgpool, 2, image, none, PINION__AVGPOOL_FORWARD_Y, GLOBAL_AVGPOOL_Y);
}

/* Where maxima are equal (many zeros) the first takes the gradient. */
static void test_maxpool_ties(void **state)
{
    known forward, backward;
    const pinion__attributes attributes = {.as.pool = pool};
    known_begin(&forward, *state, PINION__OP_maxpool, PINION__FORWARD, 2, (pinion_shape){7, 6, 3}, &attributes);
    known_begin(&backward, *state, PINION__OP_maxpool, PINION__BACKWARD_DATA, 2, (pinion_shape){7, 6, 3}, &attributes);
    for (size_t i = 0; i < element_count(&forward.l, PINION__MAXPOOL_FORWARD_X); i++)
        element_set(&forward.l, &forward.b, PINION__MAXPOOL_FORWARD_X, i,
                    fmax(element_get(&forward.l, &forward.b, PINION__MAXPOOL_FORWARD_X, i), 0));
    reference_run(&forward.l, &forward.b, NULL);
    for (size_t i = 0; i < element_count(&forward.l, PINION__MAXPOOL_FORWARD_INDEX); i++)
        element_set(&backward.l, &backward.b, PINION__MAXPOOL_BACKWARD_DATA_INDEX, i,
                    element_get(&forward.l, &forward.b, PINION__MAXPOOL_FORWARD_INDEX, i));
    reference_run(&backward.l, &backward.b, NULL);
    known_check(&backward, PINION__MAXPOOL_BACKWARD_DATA_DX, MAXPOOL_TIES_DX);
    known_end(&forward);
    known_end(&backward);
}

static void make_positive(const known *k, int operand)
{
    for (size_t i = 0; i < element_count(&k->l, operand); i++)
        element_set(&k->l, &k->b, operand, i, fabs(element_get(&k->l, &k->b, operand, i)) + 0.25);
}

static void test_batchnorm(void **state)
{
    const pinion__attributes attributes = {.as.batchnorm = {.epsilon = 1e-3f, .momentum = 0.25f}};
    const pinion_shape image = {2, 4, 5};
    known k;
    known_begin(&k, *state, PINION__OP_batchnorm, PINION__FORWARD, 3, image, &attributes);
    make_positive(&k, PINION__BATCHNORM_FORWARD_RUNNING_VAR);
    reference_run(&k.l, &k.b, NULL);
    known_check(&k, PINION__BATCHNORM_FORWARD_Y, BATCHNORM_Y);
    known_check(&k, PINION__BATCHNORM_FORWARD_RUNNING_MEAN, BATCHNORM_RUNNING_MEAN);
    known_check(&k, PINION__BATCHNORM_FORWARD_RUNNING_VAR, BATCHNORM_RUNNING_VAR);
    known_end(&k);
    known_begin(&k, *state, PINION__OP_batchnorm_stored, PINION__FORWARD, 3, image, &attributes);
    make_positive(&k, PINION__BATCHNORM_STORED_FORWARD_RUNNING_VAR);
    reference_run(&k.l, &k.b, NULL);
    known_check(&k, PINION__BATCHNORM_STORED_FORWARD_Y, BATCHNORM_STORED_Y);
    known_end(&k);
}

static void test_relu6(void **state)
{
    known k;
    known_begin(&k, *state, PINION__OP_relu6, PINION__FORWARD, 2, (pinion_shape){7, 6, 3}, &(pinion__attributes){0});
    for (size_t i = 0; i < element_count(&k.l, PINION__RELU_FORWARD_X); i++)
        element_set(&k.l, &k.b, PINION__RELU_FORWARD_X, i, 4 * element_get(&k.l, &k.b, PINION__RELU_FORWARD_X, i));
    reference_run(&k.l, &k.b, NULL);
    known_check(&k, PINION__RELU_FORWARD_Y, RELU6_Y);
    known_end(&k);
}

/* The mask is drawn by sample, layer and step, so that the second half of a batch alone gets what it gets within the
 * whole. */
static void test_dropout(void **state)
{
    enum { SAMPLES = 40, ELEMENTS = 7 * 6 * 3, LAYER = 9 };
    const pinion__attributes attributes = {.as.dropout = {.rate = 0.25f}};
    size_t kept = 0, count = SAMPLES / 2 * ELEMENTS;
    known k;
    known_begin(&k, *state, PINION__OP_dropout, PINION__FORWARD, SAMPLES / 2, (pinion_shape){7, 6, 3}, &attributes);
    k.c.first_sample = SAMPLES / 2;
    k.c.layer = LAYER;
    k.c.step = (pinion__step){.seed = 77, .number = 1234};
    reference_run(&k.l, &k.b, NULL);
    for (size_t i = 0; i < count; i++) {
        uint64_t element = (UINT64_C(1234) << 40) + count + i;
        bool keep = pinion__random_uniform(77, PINION__RANDOM_DROPOUT, LAYER, element) >= 0.25f;
        double x = element_get(&k.l, &k.b, PINION__DROPOUT_FORWARD_X, i);
        double y = element_get(&k.l, &k.b, PINION__DROPOUT_FORWARD_Y, i);
        assert_true(fabs(y - (keep ? x / 0.75 : 0)) <= 1e-6);
        kept += keep;
    }
    assert_true(fabs((double)kept / (double)count - 0.75) < 0.03); /* four standard deviations */
    known_end(&k);
}

static void test_loss(void **state)
{
    static const int labels[] = {5, 0, 3, 3};
    const pinion__attributes attributes = {.as.loss = {.label_smoothing = 0.125f}};
    known forward, backward;
    known_begin(&forward, *state, PINION__OP_softmax_cross_entropy, PINION__FORWARD, 4, (pinion_shape){1, 1, 6},
                &attributes);
    known_begin(&backward, *state, PINION__OP_softmax_cross_entropy, PINION__BACKWARD_DATA, 4, (pinion_shape){1, 1, 6},
                &attributes);
    for (size_t i = 0; i < 4; i++) {
        element_set(&forward.l, &forward.b, PINION__LOSS_FORWARD_LABELS, i, labels[i]);
        element_set(&backward.l, &backward.b, PINION__LOSS_BACKWARD_DATA_LABELS, i, labels[i]);
    }
    reference_run(&forward.l, &forward.b, NULL);
    known_check(&forward, PINION__LOSS_FORWARD_Y, LOSS_Y);
    for (size_t i = 0; i < 24; i++)
        element_set(&backward.l, &backward.b, PINION__LOSS_BACKWARD_DATA_PROBABILITIES, i,
                    element_get(&forward.l, &forward.b, PINION__LOSS_FORWARD_PROBABILITIES, i));
    backward.c.step.loss_batch = 4;
    reference_run(&backward.l, &backward.b, NULL);
    known_check(&backward, PINION__LOSS_BACKWARD_DATA_DX, LOSS_DX);
    known_end(&forward);
    known_end(&backward);
}

/* Targets become the softmax of the pattern. */
static void make_distributions(const known *k, int operand, size_t classes)
{
    for (size_t row = 0; row < element_count(&k->l, operand); row += classes) {
        double sum = 0;
        for (size_t i = row; i < row + classes; i++)
            sum += exp(element_get(&k->l, &k->b, operand, i));
        for (size_t i = row; i < row + classes; i++)
            element_set(&k->l, &k->b, operand, i, exp(element_get(&k->l, &k->b, operand, i)) / sum);
    }
}

static void test_distillation(void **state)
{
    enum { SAMPLES = 4, CLASSES = 6 };
    const pinion_shape logits = {1, 1, CLASSES};
    const pinion__attributes attributes = {.as.distillation = {.weight = 0.5f}};
    known forward, backward;
    known_begin(&forward, *state, PINION__OP_distillation, PINION__FORWARD, SAMPLES, logits, &attributes);
    known_begin(&backward, *state, PINION__OP_distillation, PINION__BACKWARD_DATA, SAMPLES, logits, &attributes);
    make_distributions(&forward, PINION__DISTILLATION_FORWARD_TARGETS, CLASSES);
    make_distributions(&backward, PINION__DISTILLATION_BACKWARD_DATA_TARGETS, CLASSES);
    reference_run(&forward.l, &forward.b, NULL);
    known_check(&forward, PINION__LOSS_FORWARD_Y, DISTILLATION_Y);
    for (size_t i = 0; i < (size_t)SAMPLES * CLASSES; i++)
        element_set(&backward.l, &backward.b, PINION__LOSS_BACKWARD_DATA_PROBABILITIES, i,
                    element_get(&forward.l, &forward.b, PINION__LOSS_FORWARD_PROBABILITIES, i));
    backward.c.step.loss_batch = SAMPLES;
    reference_run(&backward.l, &backward.b, NULL);
    known_check(&backward, PINION__LOSS_BACKWARD_DATA_DX, DISTILLATION_DX);
    known_end(&forward);
    known_end(&backward);
}

/* Three steps from zero moments. `answers`: of the weights, then of each moment. */
static void check_update(pinion_context *ctx, enum pinion__op_id id, pinion__attributes attributes,
                         const double answers[3])
{
    known k;
    known_begin(&k, ctx, id, PINION__UPDATE, 2, (pinion_shape){3, 3, 5}, &attributes);
    for (int o = PINION__SGD_UPDATE_VELOCITY; o < k.l.count; o++)
        for (size_t i = 0; i < element_count(&k.l, o); i++)
            element_set(&k.l, &k.b, o, i, 0);
    element_set(&k.l, &k.b, PINION__SGD_UPDATE_SCALE, 0, 1);
    k.c.step.learning_rate = 0.125f;
    for (k.c.step.number = 0; k.c.step.number < 3; k.c.step.number++)
        reference_run(&k.l, &k.b, NULL);
    known_check(&k, PINION__SGD_UPDATE_W, answers[0]);
    for (int o = PINION__SGD_UPDATE_VELOCITY; o < k.l.count && k.l.at[o].is.role == PINION__MOMENT; o++)
        known_check(&k, o, answers[o - PINION__SGD_UPDATE_VELOCITY + 1]);
    known_end(&k);
}

static void test_updates(void **state)
{
    pinion__sgd sgd = {.momentum = 0.5f, .weight_decay = 0.0625f};
    pinion__adamw adamw = {.beta1 = 0.875f, .beta2 = 0.75f, .epsilon = 0x1p-10f, .weight_decay = 0.0625f};
    check_update(*state, PINION__OP_sgd, (pinion__attributes){.as.sgd = sgd}, (const double[3]){SGD_W, SGD_VELOCITY});
    sgd.nesterov = true;
    check_update(*state, PINION__OP_sgd, (pinion__attributes){.as.sgd = sgd},
                 (const double[3]){NESTEROV_W, NESTEROV_VELOCITY});
    check_update(*state, PINION__OP_adamw, (pinion__attributes){.as.adamw = adamw},
                 (const double[3]){ADAMW_W, ADAMW_M, ADAMW_V});
}

/* Gradients of 70 and 30 elements, clipped to norm 2; and gradients that are short enough already. */
static void test_clipping(void **state)
{
    known a, b, scale;
    known_begin(&a, *state, PINION__OP_grad_square, PINION__UPDATE, 1, (pinion_shape){1, 1, 70},
                &(pinion__attributes){0});
    known_begin(&b, *state, PINION__OP_grad_square, PINION__UPDATE, 1, (pinion_shape){1, 1, 30},
                &(pinion__attributes){0});
    for (size_t i = 0; i < 30; i++)
        element_set(&b.l, &b.b, 0, i, ((double)((i * 37 + 29 + 11) % 101) - 50) / 32);
    reference_run(&a.l, &a.b, NULL);
    reference_run(&b.l, &b.b, NULL);
    known_begin(&scale, *state, PINION__OP_clip_scale, PINION__UPDATE, 1, (pinion_shape){1, 1, 1},
                &(pinion__attributes){0});
    blocks_destroy(&scale.l, &scale.b);
    scale.c.slots = 2;
    layout_init(&scale.l, &scale.c, false);
    scale.b = blocks_create(&scale.l);
    element_set(&scale.l, &scale.b, 0, 0, element_get(&a.l, &a.b, PINION__GRAD_SQUARE_UPDATE_SLOT, 0));
    element_set(&scale.l, &scale.b, 0, 1, element_get(&b.l, &b.b, PINION__GRAD_SQUARE_UPDATE_SLOT, 0));
    static const float norms[] = {2, 1000, 0};
    const double answers[] = {CLIP_SCALE, 1, 1};
    for (int i = 0; i < 3; i++) {
        scale.c.step.clip_norm = norms[i];
        reference_run(&scale.l, &scale.b, NULL);
        double got = element_get(&scale.l, &scale.b, PINION__CLIP_SCALE_UPDATE_SCALE, 0);
        assert_true(fabs(got - answers[i]) <= 1e-7);
    }
    known_end(&a);
    known_end(&b);
    known_end(&scale);
}

static int open_context(void **state)
{
    return pinion_context_create(NULL, (pinion_context **)state);
}

static int close_context(void **state)
{
    pinion_context_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),      cmocka_unit_test(test_maxpool_ties), cmocka_unit_test(test_batchnorm),
        cmocka_unit_test(test_relu6),        cmocka_unit_test(test_dropout),      cmocka_unit_test(test_loss),
        cmocka_unit_test(test_distillation), cmocka_unit_test(test_updates),      cmocka_unit_test(test_clipping),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
