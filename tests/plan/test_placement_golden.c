/* SPDX-License-Identifier: Apache-2.0
 *
 * Placements of small networks on mock processors whose speeds differ by 0.6 to 1.7 from pass to pass, with hand-overs
 * of 100 us + bytes / 2 GB/s, as text: what is chosen, what each rule costs, and how a step runs on both at once.
 */
#include "plan/placement_networks.h"

static char text[8192];

static void add(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void add(const char *format, ...)
{
    size_t length = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, sizeof text - length, format, arguments);
    va_end(arguments);
}

static const char *const names[] = {"cpu", "gpu", "little"};

static void add_rule(const char *name, const bed *b, const pinion__placement *placement, const char *const *letters)
{
    add("%-10s ", name);
    for (int t = 0; t < b->problem.task_count; t++)
        add("%s", letters[placement->processor[t]]);
    add(" %.3f\n", placement->ms);
}

/* One letter a task, then ms. */
static void describe_rules(bed *b)
{
    static const char *const letters[] = {"c", "g", "l"};
    pinion_context *ctx = b->problem.ctx;
    pinion__placement out;
    for (int p = 0; p < b->problem.processor_count; p++) {
        assert_int_equal(pinion__place_single(&b->problem, p, &out), PINION_OK);
        add_rule(names[p], b, &out, letters);
        pinion__placement_fini(ctx, &out);
    }
    assert_int_equal(pinion__place_greedy(&b->problem, &out), PINION_OK);
    add_rule("greedy", b, &out, letters);
    pinion__placement_fini(ctx, &out);
    assert_int_equal(pinion__place_layerwise(&b->problem, &out), PINION_OK);
    add_rule("layerwise", b, &out, letters);
    pinion__placement_fini(ctx, &out);
    assert_int_equal(pinion__place_serial(&b->problem, &out), PINION_OK);
    add_rule("serial", b, &out, letters);
    pinion__placement_fini(ctx, &out);
    add("bound      %.3f serial, %.3f concurrent\n", pinion__placement_bound(&b->problem, true),
        pinion__placement_bound(&b->problem, false));
}

static void describe_timeline(bed *b)
{
    pinion__schedule schedule;
    assert_int_equal(pinion__place_concurrent(&b->problem, &schedule), PINION_OK);
    for (int i = 0; i < b->problem.task_count; i++) {
        int t = schedule.order[i];
        add("%7.3f %7.3f %-6s %s\n", schedule.start_ms[t], schedule.end_ms[t], names[schedule.placement.processor[t]],
            b->names[t]);
    }
    add("%.3f\n", schedule.placement.ms);
    pinion__schedule_fini(b->problem.ctx, &schedule);
}

static void expect_text(const char *expected)
{
    if (strcmp(text, expected) != 0)
        fail_msg("expected:\n%s\nfound:\n%s", expected, text);
}

/* Convolutions in a row, of some ms each. */
static void make_chain(mock_network *net, const double *ms, int count, size_t activation, size_t weights)
{
    *net = (mock_network){0};
    for (int l = 0; l < count; l++) {
        add_layer(net, l - 1, NONE, true);
        net->layers[l].ms = ms[l];
        net->layers[l].activation_bytes = activation;
        net->layers[l].weight_bytes = weights;
    }
}

/* ms = work * ratio of processor and pass. */
static bed *make_problem(pinion_context *ctx, const mock_network *net, int processors, const double (*ratio)[3])
{
    bed *b = bed_create(ctx, 1, processors);
    double work[MAX_TASKS];
    bed_train(b, net, work);
    for (int p = 0; p < processors; p++)
        b->device[p] = p == 1;
    for (int t = 0; t < b->problem.task_count; t++) {
        int pass = strstr(b->names[t], "backward_data") ? 1 : strstr(b->names[t], "backward_weights") ? 2 : 0;
        for (int p = 0; p < processors; p++)
            b->ms[t * processors + p] = work[t] * (p == 0 ? 1.0 : ratio[p][pass]);
    }
    bed_board(b, false);
    text[0] = '\0';
    return b;
}

static const double by_pass[3][3] = {{1, 1, 1}, {0.6, 1.7, 0.8}, {1.7, 1.7, 1.7}};

/* Tensors of 20 kB (110 us to pass on) and layers of 2 ms: passes go where they are fast. Tasks: four forward, the
 * loss, and for each layer from the last backward_data and backward_weights (the first has no backward_data). */
static void cheap_hand_overs(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    mock_network net;
    make_chain(&net, (const double[]){2, 2, 2, 2}, 4, 20000, 20000);
    bed *b = make_problem(ctx, &net, 2, by_pass);
    describe_rules(b);
    describe_timeline(b);
    expect_text("cpu        cccccccccccc 22.050\n"
                "gpu        gggggggggggg 21.650\n"
                "greedy     gggggcgcgcgg 18.990\n"
                "layerwise  gggggccccccg 20.740\n"
                "serial     gggggcgcgcgg 18.990\n"
                "bound      17.230 serial, 12.608 concurrent\n"
                "  0.000   1.310 gpu    0 forward\n"
                "  1.310   2.620 gpu    1 forward\n"
                "  2.620   3.820 gpu    2 forward\n"
                "  3.820   5.020 gpu    3 forward\n"
                "  5.020   5.050 gpu    loss\n"
                "  5.050   7.270 cpu    3 backward_data\n"
                "  7.270   9.380 cpu    2 backward_data\n"
                "  7.380   9.090 gpu    3 backward_weights\n"
                "  9.380  11.490 cpu    1 backward_data\n"
                "  9.490  11.310 gpu    2 backward_weights\n"
                " 11.490  13.710 cpu    1 backward_weights\n"
                " 11.710  13.420 gpu    0 backward_weights\n"
                "13.820\n");
    free(b);
    close_context(ctx);
}

/* The same with tensors of 4 MB (2.1 ms to pass on): the whole step stays on one side. */
static void dear_hand_overs(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    mock_network net;
    make_chain(&net, (const double[]){2, 2, 2, 2}, 4, 4000000, 20000);
    bed *b = make_problem(ctx, &net, 2, by_pass);
    describe_rules(b);
    describe_timeline(b);
    expect_text("cpu        cccccccccccc 22.050\n"
                "gpu        gggggggggggg 25.630\n"
                "greedy     gggggcgcgcgg 38.890\n"
                "layerwise  cccccccccccc 22.050\n"
                "serial     cccccccccccc 22.050\n"
                "bound      17.230 serial, 12.608 concurrent\n"
                "  0.000   2.000 cpu    0 forward\n"
                "  2.000   4.000 cpu    1 forward\n"
                "  4.000   6.000 cpu    2 forward\n"
                "  6.000   8.000 cpu    3 forward\n"
                "  8.000   8.050 cpu    loss\n"
                "  8.050  10.050 cpu    3 backward_data\n"
                " 10.050  12.050 cpu    2 backward_data\n"
                " 10.050  15.960 gpu    3 backward_weights\n"
                " 12.050  14.050 cpu    1 backward_data\n"
                " 14.050  16.050 cpu    2 backward_weights\n"
                " 16.050  18.050 cpu    1 backward_weights\n"
                " 18.050  20.050 cpu    0 backward_weights\n"
                "20.270\n");
    free(b);
    close_context(ctx);
}

/* A residual block on three processors, of which two are on the host, and layers of which some are long. */
static void residual_on_three(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    mock_network net = {.separate_updates = true};
    add_layer(&net, -1, NONE, true);
    add_layer(&net, 0, NONE, true);
    add_layer(&net, 1, NONE, true);
    add_layer(&net, 2, 0, false);
    add_layer(&net, 3, NONE, true);
    for (int l = 0; l < net.count; l++) {
        net.layers[l].ms = l == 3 ? 0.2 : l == 2 ? 6 : 3;
        net.layers[l].activation_bytes = 500000;
        net.layers[l].weight_bytes = 100000;
    }
    bed *b = make_problem(ctx, &net, 3, by_pass);
    describe_rules(b);
    describe_timeline(b);
    expect_text("cpu        ccccccccccccccccccc 42.850\n"
                "gpu        ggggggggggggggggggg 43.050\n"
                "little     lllllllllllllllllll 72.845\n"
                "greedy     ggggggcgcccgcgggggg 38.770\n"
                "layerwise  ggggggccccccccggccc 41.680\n"
                "serial     ggggggcgcccgcgggggg 38.770\n"
                "bound      33.670 serial, 23.780 concurrent\n"
                "  0.000   2.150 gpu    0 forward\n"
                "  2.150   4.100 gpu    1 forward\n"
                "  4.100   7.850 gpu    2 forward\n"
                "  7.850   7.970 gpu    3 forward\n"
                "  7.970   9.770 gpu    4 forward\n"
                "  9.770   9.800 gpu    loss\n"
                "  9.800  13.300 cpu    4 backward_data\n"
                " 10.300  15.750 little 4 backward_weights\n"
                " 13.300  13.500 cpu    3 backward_data\n"
                " 13.500  19.650 cpu    2 backward_data\n"
                " 15.750  16.090 little 3 backward_data\n"
                " 16.450  27.000 little 2 backward_weights\n"
                " 16.800  17.130 gpu    4 update\n"
                " 19.650  22.800 cpu    1 backward_data\n"
                " 22.800  26.150 cpu    1 backward_weights\n"
                " 23.150  25.900 gpu    0 backward_weights\n"
                " 26.950  27.150 cpu    1 update\n"
                " 27.450  27.650 cpu    2 update\n"
                " 27.600  27.630 gpu    0 update\n"
                "27.650\n");
    free(b);
    close_context(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cheap_hand_overs),
        cmocka_unit_test(dear_hand_overs),
        cmocka_unit_test(residual_on_three),
    };
    return cmocka_run_group_tests_name("placement_golden", tests, NULL, NULL);
}
