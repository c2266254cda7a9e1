/* SPDX-License-Identifier: Apache-2.0
 *
 * pinion devices: the processors of this machine.
 */
#include "json.h"

/* Names of the processors that share cores with one, with commas between; "-": none. */
static void name_rivals(const pinion_processor_info *list, int count, int index, char *text, size_t bytes)
{
    size_t length = 0;
    snprintf(text, bytes, "-");
    for (int i = 0; i < count; i++)
        if (list[index].shares_cores_with >> i & 1 && length < bytes)
            length += (size_t)snprintf(text + length, bytes - length, "%s%s", length > 0 ? "," : "", list[i].name);
}

static json_t *json_rivals(const pinion_processor_info *list, int count, int index)
{
    json_t *names = json_array();
    for (int i = 0; i < count; i++)
        if (list[index].shares_cores_with >> i & 1)
            json_array_append_new(names, json_text(list[i].name));
    return names;
}

static int print_json(const pinion_processor_info *list, int count)
{
    json_t *processors = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(processors,
                              json_pack("{s:s, s:s, s:o, s:s, s:i, s:s, s:b, s:o}", "name", list[i].name, "kind",
                                        list[i].kind, "description", json_text(list[i].description), "isa", list[i].isa,
                                        "cores", list[i].cores, "memory", list[i].memory, "copies", list[i].copies,
                                        "shares_cores_with", json_rivals(list, count, i)));
    return print_json_line(json_pack("{s:o}", "processors", processors));
}

static void print_table(const pinion_processor_info *list, int count)
{
    printf("%-10s %-7s %5s  %-9s %-12s %-18s %s\n", "processor", "kind", "cores", "isa", "memory", "shares cores with",
           "description");
    for (int i = 0; i < count; i++) {
        char rivals[PINION_MAX_PROCESSORS * 32];
        name_rivals(list, count, i, rivals, sizeof rivals);
        printf("%-10s %-7s %5d  %-9s %-12s %-18s %s\n", list[i].name, list[i].kind, list[i].cores,
               list[i].isa[0] ? list[i].isa : "-", list[i].memory, rivals, list[i].description);
    }
}

int run_devices(const options *given)
{
    pinion_context *ctx;
    int code = open_context(given, &ctx);
    if (code != EXIT_DONE)
        return code;
    pinion_processor_info list[PINION_MAX_PROCESSORS];
    int count = 0;
    int status = pinion_processors_list(ctx, list, PINION_MAX_PROCESSORS, &count);
    if (status < 0)
        code = report(ctx, status);
    else if (given->json)
        code = print_json(list, count);
    else
        print_table(list, count);
    pinion_context_destroy(ctx);
    return code;
}
