/* SPDX-License-Identifier: Apache-2.0
 *
 * pinion devices: the processors of this machine.
 */
#include "json.h"

enum { MAX_PROCESSORS = 32 };

static int print_json(const pinion_processor_info *list, int count)
{
    json_t *processors = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(processors, json_pack("{s:s, s:s, s:s, s:i, s:i}", "name", list[i].name, "description",
                                                    list[i].description, "isa", list[i].isa, "cores", list[i].cores,
                                                    "shares_cores_with", list[i].shares_cores_with));
    return print_json_line(json_pack("{s:o}", "processors", processors));
}

int run_devices(const options *given)
{
    pinion_context *ctx;
    int code = open_context(given, &ctx);
    if (code != EXIT_DONE)
        return code;
    pinion_processor_info list[MAX_PROCESSORS];
    int count = 0;
    int status = pinion_processors_list(ctx, list, MAX_PROCESSORS, &count);
    if (status < 0) {
        code = report(ctx, status);
    } else if (given->json) {
        code = print_json(list, count);
    } else {
        printf("%-10s %5s  %-9s %s\n", "processor", "cores", "isa", "description");
        for (int i = 0; i < count; i++)
            printf("%-10s %5d  %-9s %s\n", list[i].name, list[i].cores, list[i].isa, list[i].description);
    }
    pinion_context_destroy(ctx);
    return code;
}
