/* SPDX-License-Identifier: Apache-2.0
 *
 * "synthetic": ten classes of textured shapes, 32x32 RGB, drawn when they are read - nothing is stored. A class is a
 * shape filled with a texture: {disc, square, triangle, ring, cross} x {striped, chequered}. Place, size, rotation,
 * colours and their order of brightness are random, so that no pixel on its own says anything about the class and a
 * linear model stays near chance, while a convolutional network learns the classes in a few hundred steps.
 *
 * Only + - * / and square roots are used: the same seed gives the same bytes on every machine.
 */
#include "data/dataset.h"

#include "base/random.h"

#include <math.h>
#include <string.h>

enum { SIDE = 32, CLASSES = 10, TRAIN_COUNT = 4000, TEST_COUNT = 1000, SHAPES = 5, NOISE = 10, JITTER = 40, TINT = 16 };

static const uint64_t default_seed = 1;

static const char *const names[CLASSES] = {
    "striped disc",   "striped square",   "striped triangle",   "striped ring",   "striped cross",
    "chequered disc", "chequered square", "chequered triangle", "chequered ring", "chequered cross",
};

/* The tint of a class: directions on the colour circle, 36 degrees apart; classes of like shape are far apart. */
static const float tints[CLASSES][3] = {
    {1.00f, -0.50f, -0.50f}, {-0.31f, 0.98f, -0.67f}, {-0.81f, -0.10f, 0.91f}, {0.81f, -0.91f, 0.10f},
    {0.31f, 0.67f, -0.98f},  {-1.00f, 0.50f, 0.50f},  {0.31f, -0.98f, 0.67f},  {0.81f, 0.10f, -0.91f},
    {-0.81f, 0.91f, -0.10f}, {-0.31f, -0.67f, 0.98f},
};

/* Draws of one sample, one after the other. */
typedef struct drawer {
    uint64_t seed, next;
    uint32_t stream;
} drawer;

static float draw(drawer *self, float low, float high)
{
    return low +
           (high - low) * pinion__random_uniform(self->seed, PINION__RANDOM_SYNTHETIC, self->stream, self->next++);
}

/* A rotation by up to 22 degrees either way, without sine and cosine. */
static void draw_direction(drawer *self, float direction[2])
{
    float tangent = draw(self, -0.4f, 0.4f);
    float length = sqrtf(1.0f + tangent * tangent);
    direction[0] = 1.0f / length;
    direction[1] = tangent / length;
}

/* A drawing: where the shape is, and the colours of the background and of the texture's two sides. */
typedef struct drawing {
    float x, y, radius, direction[2];
    float pitch, phase[2];
    float colours[3][3];
} drawing;

/* Three colours of distinct brightness in random order. */
static void draw_colours(drawer *self, int class, float colours[3][3])
{
    static const float levels[3] = {45.0f, 128.0f, 210.0f};
    int order[3] = {0, 1, 2};
    for (int i = 2; i > 0; i--) {
        int pick = (int)draw(self, 0.0f, (float)(i + 1));
        int swap = order[i];
        order[i] = order[pick];
        order[pick] = swap;
    }
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < 3; c++)
            colours[i][c] = levels[order[i]] + draw(self, -JITTER, JITTER) + (i > 0 ? TINT * tints[class][c] : 0.0f);
}

static void draw_drawing(drawer *self, int class, drawing *out)
{
    out->x = draw(self, 13.5f, 17.5f);
    out->y = draw(self, 13.5f, 17.5f);
    out->radius = draw(self, 10.5f, 14.0f);
    draw_direction(self, out->direction);
    out->pitch = draw(self, 4.0f, 5.5f);
    out->phase[0] = draw(self, 0.0f, 1.0f);
    out->phase[1] = draw(self, 0.0f, 1.0f);
    draw_colours(self, class, out->colours);
}

/* Signed distance in pixels from the rim of a shape of radius r, about; negative inside. */
static float distance(int shape, float u, float v, float r)
{
    float across = fabsf(u), along = fabsf(v);
    switch (shape) {
    case 0: /* disc */
        return sqrtf(u * u + v * v) - 0.9f * r;
    case 1: /* square */
        return fmaxf(across, along) - 0.8f * r;
    case 2: /* triangle */
        return fmaxf(-v, 0.5f * v + 0.8660254f * across) - 0.55f * r;
    case 3: /* ring */
        return fabsf(sqrtf(u * u + v * v) - 0.75f * r) - 0.25f * r;
    default: /* cross */
        return fminf(fmaxf(across - r, along - 0.3f * r), fmaxf(across - 0.3f * r, along - r));
    }
}

/* A wave between -1 and 1 with the given pitch, steep at its zeros. */
static float wave(float x, float pitch, float phase)
{
    float turn = x / pitch + phase;
    turn -= floorf(turn);
    float height = pitch * (0.25f - fabsf(turn - 0.5f));
    return fminf(fmaxf(2.0f * height, -1.0f), 1.0f);
}

static void paint(const drawing *self, int class, drawer *dice, unsigned char *pixels)
{
    int shape = class % SHAPES;
    bool chequered = class >= SHAPES;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            float dx = (float)x - self->x, dy = (float)y - self->y;
            float u = dx * self->direction[0] + dy * self->direction[1];
            float v = dy * self->direction[0] - dx * self->direction[1];
            float inside = fminf(fmaxf(0.5f - distance(shape, u, v, self->radius), 0.0f), 1.0f);
            float texture = wave(u, self->pitch, self->phase[0]);
            if (chequered)
                texture *= wave(v, self->pitch, self->phase[1]);
            float side = 0.5f + 0.5f * texture, noise = draw(dice, -NOISE, NOISE);
            for (int c = 0; c < 3; c++) {
                float fill = self->colours[1][c] * side + self->colours[2][c] * (1.0f - side);
                float value = self->colours[0][c] * (1.0f - inside) + fill * inside + noise;
                *pixels++ = (unsigned char)fminf(fmaxf(value + 0.5f, 0.0f), 255.0f);
            }
        }
}

static int synthetic_open(pinion_context *ctx, pinion_dataset *dataset, const char *folder,
                          const pinion_dataset_options *options)
{
    (void)folder;
    int status = PINION_OK;
    uint64_t *seed;
    PINION_TRY(pinion__alloc(ctx, 1, sizeof *seed, "a data set", &seed));
    *seed = options->seed ? options->seed : default_seed;
    dataset->state = seed;
    pinion_dataset_info *info = &dataset->info;
    info->image = (pinion_shape){SIDE, SIDE, 3};
    info->train_count = TRAIN_COUNT;
    info->test_count = TEST_COUNT;
    for (int c = 0; c < 3; c++) {
        info->mean[c] = 0.5f;
        info->std[c] = 0.25f;
    }
    info->augment = PINION_AUGMENT_NONE;
    status = pinion__dataset_set_names(ctx, dataset, names, CLASSES);
fail:
    return status;
}

static int synthetic_read(pinion_context *ctx, const pinion_dataset *dataset, enum pinion_part part, int64_t index,
                          unsigned char *pixels, int *label)
{
    (void)ctx;
    const uint64_t *seed = dataset->state;
    /* Test samples are those of streams that training never uses. */
    drawer dice = {.seed = *seed, .stream = (uint32_t)index + (part == PINION_PART_TEST ? TRAIN_COUNT : 0)};
    drawing shape;
    *label = (int)(index % CLASSES);
    draw_drawing(&dice, *label, &shape);
    paint(&shape, *label, &dice, pixels);
    return PINION_OK;
}

static void synthetic_close(pinion_dataset *dataset)
{
    pinion__release(dataset->ctx, dataset->state);
}

const pinion__dataset_kind pinion__dataset_synthetic = {
    .name = "synthetic",
    .spec = "synthetic",
    .open = synthetic_open,
    .read = synthetic_read,
    .close = synthetic_close,
};
