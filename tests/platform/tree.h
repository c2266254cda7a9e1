/* SPDX-License-Identifier: Apache-2.0
 *
 * A made-up /sys in a folder of its own, for the tests of the platform.
 */
#ifndef TESTS_PLATFORM_TREE_H
#define TESTS_PLATFORM_TREE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char tree_root[256];

static int tree_begin(void **state)
{
    (void)state;
    const char *temporary = getenv("TMPDIR");
    snprintf(tree_root, sizeof tree_root, "%s/pinion-platform-XXXXXX", temporary ? temporary : "/tmp");
    return mkdtemp(tree_root) && chmod(tree_root, 0755) == 0 ? 0 : -1;
}

static int tree_remove_entry(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info, (void)type, (void)at;
    return remove(path);
}

static int tree_end(void **state)
{
    (void)state;
    return nftw(tree_root, tree_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static inline const char *tree_path(const char *path)
{
    static char whole[512];
    snprintf(whole, sizeof whole, "%s/sys/%s", tree_root, path);
    return whole;
}

/* Makes a file below sys, and the folders on the way. */
static inline void tree_put(const char *path, const char *text)
{
    char whole[512];
    snprintf(whole, sizeof whole, "%s", tree_path(path));
    for (char *at = whole + strlen(tree_root); (at = strchr(at + 1, '/'));) {
        *at = '\0';
        (void)mkdir(whole, 0755);
        *at = '/';
    }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline void tree_remove(const char *path)
{
    assert_int_equal(remove(tree_path(path)), 0);
}

#endif
