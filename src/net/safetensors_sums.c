/* SPDX-License-Identifier: Apache-2.0
 *
 * Are a file's bytes those that were written? Where all tensors belong to groups that have checksums, these are looked
 * at one by one, and the first damaged one ends what can be used; else that of the whole data section is.
 */
#include "net/safetensors.h"
#include "net/sha256.h"
#include "net/text.h"
#include <stdio.h>
#include <string.h>

int pinion__st_group(const char *name)
{
    const char *suffix = strrchr(name, '.');
    if (!suffix || suffix - name < 4 || suffix[-3] != '.' || suffix[-2] != 'g' || suffix[-1] < '1' ||
        suffix[-1] > '0' + PINION_MAX_GROUPS)
        return 0;
    return suffix[-1] - '0';
}

static const char *group_sum(const pinion__st_file *file, int group)
{
    char key[32];
    snprintf(key, sizeof key, "pinion.sha256.g%d", group);
    return pinion__st_get(file, key);
}

/* How many groups have checksums, if no tensor is outside of them; else 0. */
static int count_groups(const pinion__st_file *file)
{
    int groups = 0;
    while (groups < PINION_MAX_GROUPS && group_sum(file, groups + 1))
        groups++;
    for (size_t i = 0; i < file->tensor_count; i++) {
        int group = pinion__st_group(file->tensors[i].name);
        if (group == 0 || group > groups)
            return 0;
    }
    return groups;
}

static int check_group(pinion_context *ctx, pinion__st_file *file, int group)
{
    int status = PINION_OK;
    const char *expected = group_sum(file, group);
    char found[65];
    pinion__sha256 sha;
    pinion__sha256_init(&sha);
    for (size_t i = 0; i < file->tensor_count; i++)
        if (pinion__st_group(file->tensors[i].name) == group)
            pinion__sha256_add(&sha, file->tensors[i].data, (size_t)file->tensors[i].bytes);
    pinion__sha256_hex(&sha, found);
    bool whole = strcmp(expected, found) == 0;
    PINION_FAIL_IF(!whole && group == 1, PINION_EFORMAT,
                   "%s: its data is damaged: the checksum of group 1 is %s; expected %s", file->path, found,
                   pinion__quote(expected).text);
    if (whole)
        file->whole_groups = group;
    else
        pinion__log(ctx, PINION_LOG_WARNING,
                    "%s: group %d of %d is damaged: its checksum is %s; expected %s; only groups before it can be used",
                    file->path, group, file->groups, found, pinion__quote(expected).text);
fail:
    return status;
}

int pinion__st_check_sums(pinion_context *ctx, const unsigned char *data, uint64_t bytes, pinion__st_file *file)
{
    int status = PINION_OK;
    const char *expected = pinion__st_get(file, "pinion.sha256");
    char found[65];
    file->groups = count_groups(file);
    for (int group = 1; group <= file->groups && file->whole_groups == group - 1; group++)
        PINION_TRY(check_group(ctx, file, group));
    if (file->groups > 0 || !expected)
        return PINION_OK;
    pinion__sha256 sha;
    pinion__sha256_init(&sha);
    pinion__sha256_add(&sha, data, (size_t)bytes);
    pinion__sha256_hex(&sha, found);
    PINION_FAIL_IF(strcmp(expected, found) != 0, PINION_EFORMAT,
                   "%s: its data is damaged: the checksum is %s; expected %s", file->path, found,
                   pinion__quote(expected).text);
fail:
    return status;
}
