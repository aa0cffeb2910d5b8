/* unit/limit.c - what the process may hold: beyond the hard limit memory is out, near the soft one nothing is kept; and what
 * control groups say. */
#include "common/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <allot/malloc.h>

#include "heap/heap.h"
#include "heap/limit.h"
#include "os/cgroup.h"

#define MIB ((size_t)1 << 20)

static void set(const char *name, size_t bytes)
{
    char text[32];
    snprintf(text, sizeof text, "%zu", bytes);
    assert_int_equal(allot_option(name, text), 0);
}

static size_t held(void) { return atomic_load(&limit_held); }

enum { MANY = 4096 };
static void *block[MANY];

static void free_all(void)
{
    for (int i = 0; i < MANY; i++) {
        allot_free(block[i]);
        block[i] = NULL;
    }
}

static void beyond_the_hard_limit(void **state)
{
    (void)state;
    static const size_t sizes[] = {3000, 40000, 300000, 5000000};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        size_t before = held(), room = 32 * MIB, got = 0;
        set("limit", before + room);
        errno = 0;
        for (int i = 0; i < MANY * 8 && got < MANY; i++) {
            if (!(block[got] = allot_malloc(sizes[s]))) {
                break;
            }
            got++;
        }
        if (sizes[s] > 8192) {
            assert_int_equal(errno, ENOMEM);
            assert_in_range(held() - before, room - sizes[s] - UNIT_SIZE, room);
            assert_in_range(got * sizes[s], room - 2 * sizes[s] - room / 8, room);
        }
        void *grown = allot_realloc(block[0], sizes[s] + room);
        assert_null(grown);
        assert_int_equal(errno, ENOMEM);
        assert_true(allot_malloc_usable_size(block[0]) >= sizes[s]);
        assert_null(allot_malloc(room + MIB));
        allot_check();
        free_all();
        assert_true(held() <= before + 4 * UNIT_SIZE); /* what is handed out from next */
        assert_int_equal(allot_option("limit", "none"), 0);
        void *again = allot_malloc(room + MIB);
        assert_non_null(again);
        allot_free(again);
    }
}

/* A program that swings is let keep what it swings by; not where that is more than it may hold. */
static size_t kept_after_swings(size_t size)
{
    for (int swing = 0; swing < 6; swing++) {
        for (int i = 0; i < MANY; i++) {
            block[i] = allot_malloc(size);
            memset(block[i], 1, size);
        }
        free_all();
    }
    return allot_resident();
}

static void near_the_soft_limit(void **state)
{
    (void)state;
    for (size_t size = 8000; size <= 64000; size *= 8) {
        allot_trim();
        size_t free_to_keep = kept_after_swings(size);
        assert_true(free_to_keep > 16 * MIB);
        set("soft_limit", held() + 8 * MIB);
        size_t near = kept_after_swings(size);
        assert_in_range(near, 0, held() + 10 * MIB);
        assert_int_equal(allot_option("soft_limit", "none"), 0);
    }
}

static char folder[] = "/tmp/allot-test-XXXXXX";

static void put(const char *name, const char *text)
{
    char path[512], *slash = path;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    while ((slash = strchr(slash + 1, '/')) != NULL) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static size_t limit_with(const char *groups)
{
    char self[512], root[512];
    put("self", groups);
    snprintf(self, sizeof self, "%s/self", folder);
    snprintf(root, sizeof root, "%s/root", folder);
    errno = 7;
    size_t limit = os_cgroup_limit(self, root);
    assert_int_equal(errno, 7);
    return limit;
}

static void control_groups(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    put("root/memory.max", "max\n");
    put("root/a/memory.max", "800000000\n");
    put("root/a/memory.high", "max\n");
    put("root/a/b/memory.high", "900000000\n");
    put("root/a/c/memory.high", "700000000\n");
    put("root/memory/x/memory.limit_in_bytes", "600000000\n");
    put("root/memory/x/y/memory.limit_in_bytes", "9223372036854771712\n");
    put("root/odd/memory.max", "-1\n");
    assert_int_equal(limit_with("0::/a\n"), 800000000);
    assert_int_equal(limit_with("0::/a/b\n"), 800000000);
    assert_int_equal(limit_with("0::/a/c\n"), 700000000);
    assert_int_equal(limit_with("0::/a/c/not/here\n"), 700000000);
    assert_int_equal(limit_with("4:memory:/x/y\n1:cpu,cpuacct:/a\n0::/\n"), 600000000);
    assert_int_equal(limit_with("4:memory:/x/y\n0::/a/c\n"), 600000000);
    assert_int_equal(limit_with("0::/odd\n"), SIZE_MAX);
    assert_int_equal(limit_with("0::/\n"), SIZE_MAX);
    assert_int_equal(limit_with("0::/memory/\n"), SIZE_MAX);
    assert_int_equal(limit_with("nonsense\n:\n::\n0::a\n"), SIZE_MAX);
    assert_int_equal(limit_with("0::/a"), SIZE_MAX); /* a line that was cut */
    assert_int_equal(os_cgroup_limit("/nonexistent", folder), SIZE_MAX);
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beyond_the_hard_limit),
        cmocka_unit_test(near_the_soft_limit),
        cmocka_unit_test(control_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
