/* SPDX-License-Identifier: Apache-2.0
 *
 * Joint training of dynamic networks: loss and gradients are those that PyTorch gives (golden/make_joint.py), and all
 * widths learn.
 */
#include "golden/joint_values.h"
#include "run/dynamic.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Element e of a tensor, between -0.5 and 0.5. */
static double value_of(const char *name, size_t e)
{
    unsigned seed = 0;
    for (const char *at = name; *at; at++)
        seed = (seed * 31 + (unsigned)*at) % 10007;
    return (double)((e * 7919 + seed * 613) % 1009) / 1009 - 0.5;
}

static void set_weights(pinion_network *network)
{
    for (int p = 0; p < (int)network->param_count; p++) {
        const pinion__param *param = &network->params[p];
        const bool matrix = strstr(param->name, "weight") && strncmp(param->name, "bn", 2) != 0;
        const size_t count = param->bytes / sizeof(float);
        for (size_t e = 0; !param->state && e < count; e++) {
            const double value = value_of(param->name, e);
            const double fan = (double)(count / (size_t)param->spec.n);
            pinion__param_data(network, p)[e] =
                (float)(matrix ? value * 4 / sqrt(fan) : value * 0.5 + (strstr(param->name, "weight") ? 1 : 0.1));
        }
    }
    pinion__network_changed(network);
}

static machine make_joint(pinion_context *ctx, enum pinion_connect connect, bool cpu)
{
    pinion_plan_options options = training_options(BATCH);
    options.joint = 1;
    options.distillation_weight = connect == PINION_NESTED ? nested_distillation : towers_distillation;
    options.momentum = 0;
    options.weight_decay = 0;
    machine m = make_single(make_cut(ctx, &(cut_kind){3, connect, true}), &options, NULL, cpu);
    static const int32_t labels[BATCH] = {0, 2, 1};
    set_weights(m.network);
    for (size_t e = 0; e < BATCH * SAMPLE; e++)
        m.images[e] = (float)(value_of("images", e) * 4);
    memcpy(m.labels, labels, sizeof labels);
    return m;
}

static int find_param(const pinion_network *network, const char *name)
{
    for (int p = 0; p < (int)network->param_count; p++)
        if (strcmp(network->params[p].name, name) == 0)
            return p;
    fail_msg("no %s", name);
    return -1;
}

/* The first step's velocity is the gradient. */
static void check_gradients(const machine *m, const joint_value *values, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, values[i].norm);
    for (size_t i = 0; i < count; i++) {
        const int p = find_param(m->network, values[i].name);
        const float *gradient = pinion__runner_moment(m->runner, p, 0);
        double norm = 0, sum = 0, tolerance = 2e-5 * (values[i].norm + 0.05 * largest);
        for (size_t e = 0; e < m->network->params[p].bytes / sizeof(float); e++) {
            norm += pow((double)gradient[e], 2);
            sum += (double)gradient[e] * cos((double)e);
        }
        if (!(fabs(sqrt(norm) - values[i].norm) < tolerance && fabs(sum - values[i].sum) < tolerance))
            fail_msg("%s: norm %.9g, sum %.9g; expected %.9g, %.9g", values[i].name, sqrt(norm), sum, values[i].norm,
                     values[i].sum);
    }
}

static void test_pytorch(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (int cpu = 0; cpu < 2; cpu++) {
        machine towers = make_joint(ctx, PINION_TOWERS, cpu), nested = make_joint(ctx, PINION_NESTED, cpu);
        assert_true(fabs((double)step(&towers, 0) - towers_loss) < 1e-5);
        assert_true(fabs((double)step(&nested, 0) - nested_loss) < 1e-5);
        check_gradients(&towers, towers_values, COUNT(towers_values));
        check_gradients(&nested, nested_values, COUNT(nested_values));
        end(&towers);
        end(&nested);
    }
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pytorch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
