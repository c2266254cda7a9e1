/* SPDX-License-Identifier: Apache-2.0
 *
 * How the resident memory of a process grows while it trains, by the definition that bench/peer_sides.py uses for
 * PyTorch: the peak of resident memory over making the plan and running some steps, less what was resident when the
 * network had its weights, less momentum. What is left is activations, gradients, scratch, and whatever the library
 * needs besides. One JSON object on one line; Linux only. With no steps at all it ends when the first one could begin.
 *
 *     memory MODEL BATCH THREADS STEPS [LIMIT]      LIMIT: bytes, none or auto, as --mem-limit; default: auto
 */
#include <inttypes.h>
#include <pinion/pinion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A line of /proc/self/status in bytes: VmRSS (resident memory), VmHWM (its peak). 0: no such line. */
static int64_t status_bytes(const char *key)
{
    char line[256];
    int64_t kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0)
            kib = strtoll(line + strlen(key) + 1, NULL, 10);
    fclose(file);
    return kib * 1024;
}

/* From here on the peak counts anew. */
static int reset_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file)
        return -1;
    const int written = fputs("5", file);
    return fclose(file) == 0 && written >= 0 ? 0 : -1;
}

static int train(pinion_plan *plan, const pinion_network_info *info, int batch, int steps)
{
    pinion_runner *runner = NULL;
    const size_t elements = (size_t)batch * (size_t)info->input.h * (size_t)info->input.w * (size_t)info->input.c;
    float *images = calloc(elements, sizeof *images), loss;
    int32_t *labels = calloc((size_t)batch, sizeof *labels);
    int status = images && labels ? pinion_runner_create(plan, &runner) : -1;
    for (size_t i = 0; i < elements && status == 0; i++)
        images[i] = (float)(i * 2654435761U % 2001) * 1e-3F - 1.0F;
    for (int i = 0; i < steps && status == 0; i++) {
        const pinion_runner_step_options step = {.learning_rate = 1e-3F, .seed = 1, .number = (uint64_t)i};
        status = pinion_runner_train(runner, images, labels, &step, &loss);
    }
    pinion_runner_destroy(runner);
    free(images);
    free(labels);
    return status;
}

static int measure(pinion_context *ctx, const char *model, pinion_plan_options *chosen, int steps)
{
    pinion_network *network = NULL;
    pinion_plan *plan = NULL;
    int64_t before = 0, weights = 0;
    int status = pinion_network_open(ctx, model, NULL, &network);
    if (status == 0)
        status = pinion_network_init_weights(network, 1);
    if (status == 0) {
        before = status_bytes("VmRSS");
        status = before ? reset_peak() : -1;
    }
    if (status == 0)
        status = pinion_plan_create(network, chosen, &plan);
    if (status == 0) {
        const pinion_network_info info = pinion_network_get_info(network);
        weights = info.weight_bytes;
        status = train(plan, &info, chosen->batch, steps);
    }
    if (status == 0) {
        const pinion_plan_info info = pinion_plan_get_info(plan);
        const int64_t growth = status_bytes("VmHWM") - before, momentum = (int64_t)info.moments_bytes;
        printf("{\"growth_bytes\": %" PRId64 ", \"momentum_bytes\": %" PRId64 ", \"beyond_bytes\": %" PRId64
               ", \"arena_bytes\": %zu, \"weight_bytes\": %" PRId64 "}\n",
               growth, momentum, growth - momentum, info.arena_bytes, weights);
    } else {
        fprintf(stderr, "memory: %s\n", pinion_context_error(ctx));
    }
    pinion_plan_destroy(plan);
    pinion_network_destroy(network);
    return status;
}

int main(int argc, char **argv)
{
    pinion_context *ctx;
    pinion_context_options options = pinion_context_options_default();
    pinion_plan_options chosen = pinion_plan_options_default();
    if (argc != 5 && argc != 6) {
        fprintf(stderr, "usage: memory MODEL BATCH THREADS STEPS [LIMIT]\n");
        return 2;
    }
    chosen.mode = PINION_TRAIN;
    chosen.batch = atoi(argv[2]);
    options.threads = atoi(argv[3]);
    const char *limit = argc > 5 ? argv[5] : "auto";
    chosen.memory_limit = (size_t)strtoull(limit, NULL, 10); /* none, auto: 0 */
    chosen.recompute_share = strcmp(limit, "auto") == 0 ? PINION_RECOMPUTE_SHARE_AUTO : 0;
    if (pinion_context_create(&options, &ctx) < 0) {
        fprintf(stderr, "memory: no context with %s threads\n", argv[3]);
        return 2;
    }
    const int status = measure(ctx, argv[1], &chosen, atoi(argv[4]));
    pinion_context_destroy(ctx);
    return status == 0 ? 0 : 1;
}
