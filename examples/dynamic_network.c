/* SPDX-License-Identifier: Apache-2.0
 *
 * Cuts a small network into four groups, trains them one after another and all jointly at the end, on the embedded data
 * set, then answers with one group, with two, and so on.
 *
 *     cc dynamic_network.c $(pkg-config --cflags --libs pinion) -o dynamic_network && ./dynamic_network
 */
#include <pinion/pinion.h>
#include <stdio.h>

enum { GROUPS = 4, CLASSES = 10 };

static const char description[] =
    "{\"name\": \"little\", \"input\": [32, 32, 3], \"layers\": ["
    "{\"name\": \"conv1\", \"op\": \"conv2d\", \"input\": \"input\", \"channels\": 16, \"filter\": 3, \"stride\": 2},"
    "{\"name\": \"bn1\", \"op\": \"batchnorm\", \"input\": \"conv1\"},"
    "{\"name\": \"relu1\", \"op\": \"relu\", \"input\": \"bn1\"},"
    "{\"name\": \"conv2\", \"op\": \"conv2d\", \"input\": \"relu1\", \"channels\": 32, \"filter\": 3, \"stride\": 2},"
    "{\"name\": \"bn2\", \"op\": \"batchnorm\", \"input\": \"conv2\"},"
    "{\"name\": \"relu2\", \"op\": \"relu\", \"input\": \"bn2\"},"
    "{\"name\": \"flatten\", \"op\": \"flatten\", \"input\": \"relu2\"},"
    "{\"name\": \"fc\", \"op\": \"linear\", \"input\": \"flatten\", \"channels\": 10}]}";

/* Each stage trains one group behind those before it, which stay as they are; the last one trains them all. */
static pinion_train_options choose_stages(void)
{
    pinion_train_options options = pinion_train_options_default();
    options.learning_rate = 0.05f;
    for (int group = 1; group <= GROUPS; group++)
        options.stages[options.stage_count++] = (pinion_train_stage){.group = group, .epochs = 2};
    options.stages[options.stage_count++] = (pinion_train_stage){.group = 0, .epochs = 1, .learning_rate = 0.01f};
    return options;
}

static void report_stage(void *user, const pinion_stage_report *stage)
{
    (void)user;
    if (!stage->result)
        return;
    printf("stage %d of %d: top-1 accuracy by width", stage->stage, stage->stages);
    for (int i = 0; i < stage->result->widths; i++)
        printf(" %.1f", stage->result->top1_per_width[i]);
    printf(" %%\n");
}

/* One runner, one set of weights, any number of groups. */
static int answer_with_each_width(const pinion_network *network)
{
    static float image[32 * 32 * 3], logits[CLASSES];
    pinion_plan *plan = NULL;
    pinion_runner *runner = NULL;
    pinion_plan_options options = pinion_plan_options_default();
    options.mode = PINION_INFER;
    options.batch = 1;
    int code = pinion_plan_create(network, &options, &plan);
    if (code == 0)
        code = pinion_runner_create(plan, &runner);
    for (int width = 1; code == 0 && width <= GROUPS; width++) {
        code = pinion_runner_set_width(runner, width);
        if (code == 0)
            code = pinion_runner_infer(runner, image, 1, logits);
        printf("width %d: logits", width);
        for (int i = 0; i < CLASSES; i++)
            printf(" %.2f", (double)logits[i]);
        printf("\n");
    }
    pinion_runner_destroy(runner);
    pinion_plan_destroy(plan);
    return code;
}

int main(void)
{
    pinion_context *ctx = NULL;
    pinion_dataset *data = NULL;
    pinion_network *network = NULL;
    pinion_trainer *trainer = NULL;
    const pinion_network_options cut = {.classes = CLASSES, .groups = GROUPS, .connect = PINION_TOWERS};
    const pinion_train_options options = choose_stages();
    const pinion_train_callbacks callbacks = {.stage = report_stage};

    int code = pinion_context_create(NULL, &ctx);
    if (code == 0)
        code = pinion_dataset_open(ctx, "synthetic", NULL, &data);
    if (code == 0)
        code = pinion_network_parse(ctx, description, sizeof description - 1, "little", &cut, &network);
    if (code == 0)
        code = pinion_network_init_weights(network, options.seed);
    if (code == 0)
        code = pinion_trainer_create(network, data, &options, &trainer);
    if (code == 0)
        code = pinion_trainer_run(trainer, &callbacks, NULL);
    if (code == 0)
        code = answer_with_each_width(network);
    if (code < 0)
        fprintf(stderr, "%s\n", ctx ? pinion_context_error(ctx) : pinion_error_text(code));

    pinion_trainer_destroy(trainer);
    pinion_network_destroy(network);
    pinion_dataset_destroy(data);
    pinion_context_destroy(ctx);
    return code == 0 ? 0 : 1;
}
