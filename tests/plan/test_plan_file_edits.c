/* SPDX-License-Identifier: Apache-2.0
 *
 * Whatever random edits leave of a plan file is refused in one sentence with its name, or is a plan that runs.
 */
#include "plan/plan_file_bed.h"
#include "support/quick.h"

static size_t edit(draws *from, char *text, size_t length)
{
    static const char *const words[] = {
        "-1",    "99999999999999999999", "0",       "\"", "{", "]", "@", "@0-7", " ", "null", "right", "left",
        "1e308", "backward_weights",     "\\u0000", "#1", "-"};
    const size_t at = (size_t)draw(from, (int)length), left = length - at;
    size_t span = 1 + (size_t)draw(from, 12);
    span = span < left ? span : left;
    const char *word = words[draw(from, sizeof words / sizeof *words)];
    switch (draw(from, 5)) {
    case 0: /* another byte */
        text[at] = (char)(1 + draw(from, 255));
        return length;
    case 1: /* some bytes less */
        memmove(text + at, text + at + span, left - span + 1);
        return length - span;
    case 2: /* a word more, or in the place of some bytes */
        span = (size_t)draw(from, 2) * span;
        memmove(text + at + strlen(word), text + at + span, left - span + 1);
        memcpy(text + at, word, strlen(word));
        return length - span + strlen(word);
    case 3: { /* a line of the file somewhere else */
        const char *begin = strchr(text + (size_t)draw(from, (int)length), '\n');
        const size_t bytes = begin ? 1 + strcspn(begin + 1, "\n") : 0;
        char line[256];
        char *to = strchr(text + at, '\n');
        if (bytes == 0 || bytes > sizeof line || !to)
            return length;
        memcpy(line, begin, bytes);
        memmove(to + bytes, to, strlen(to) + 1);
        memcpy(to, line, bytes);
        return length + bytes;
    }
    default: { /* a digit or letter of a value */
        char *value = strchr(text + at, ':');
        if (value && value[1] && value[2])
            value[2 + (value[2] == '"' && value[3])] = "0123456789-ab"[draw(from, 13)];
        return length;
    }
    }
}

static void test_random_edits(void **state)
{
    (void)state;
    const uint64_t count = seeds(1500);
    static char text[2 * MOST_TEXT];
    desk d = open_desk();
    int taken = 0;
    for (int which = 0; which < 2; which++) {
        const way *of = which ? &mixed_training : &cut_training;
        const char *whole = write_plan(&d, of);
        for (uint64_t seed = 0; seed < count; seed++) {
            draws from = {.seed = seed + 77000};
            size_t length = strlen(whole);
            memcpy(text, whole, length + 1);
            for (int edits = 1 + draw(&from, 3); edits > 0; edits--)
                length = edit(&from, text, length);
            write_file(text, length);
            pinion_plan *plan = NULL;
            int status = read_plan(&d, of, &plan);
            const char *sentence = pinion_context_error(d.ctx);
            if (status < 0 && (status != PINION_EFORMAT || !strstr(sentence, path) || strchr(sentence, '\n')))
                fail_msg("way %d, seed %d: status %d: %s", which, (int)seed, status, sentence);
            taken += status == PINION_OK;
            if (status == PINION_OK && seed % 4 == 0)
                run_step(&d, plan);
            pinion_plan_destroy(plan);
        }
    }
    print_message("%d of %d edited files are taken\n", taken, (int)(2 * count));
    assert_true(taken > (int)count / 50 && taken < (int)count);
    close_desk(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_edits)};
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
