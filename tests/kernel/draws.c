/* SPDX-License-Identifier: Apache-2.0
 *
 * Random draws of the kernel checks, on the library's counter generator.
 */
#include "base/random.h"
#include "kernel/case.h"
#include <math.h>

draws draws_begin(uint64_t seed, uint32_t what, uint32_t stream)
{
    return (draws){.seed = seed, .purpose = PINION__RANDOM_TEST + what, .stream = stream};
}

uint32_t draw_word(draws *from)
{
    if (from->left == 0) {
        pinion__random4(from->seed, from->purpose, from->stream, from->index++, from->block);
        from->left = 4;
    }
    return from->block[--from->left];
}

int draw(draws *from, int low, int high)
{
    return low + (int)(draw_word(from) % (uint32_t)(high - low + 1));
}

bool draw_chance(draws *from, int percent)
{
    return draw(from, 0, 99) < percent;
}

double draw_normal(draws *from)
{
    double radius = sqrt(-2 * log((draw_word(from) + 0.5) / 4294967296.0));
    return radius * cos(2 * 3.14159265358979323846 * draw_word(from) / 4294967296.0);
}
