/* unit/locked.c - a process that locks its memory: pages that the system will not purge are not taken for zero. */
#define _GNU_SOURCE
#include "common/unit.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include <allot/malloc.h>

static void calloc_is_zero(size_t size, int count)
{
    char *block[4096];
    for (int i = 0; i < count; i++) {
        block[i] = allot_malloc(size);
        memset(block[i], 0xaa, size);
    }
    for (int i = 0; i < count; i++) {
        allot_free(block[i]);
    }
    allot_trim();
    for (int i = 0; i < count; i++) {
        block[i] = allot_calloc(1, size);
        assert_true(block[i][0] == 0 && memcmp(block[i], block[i] + 1, size - 1) == 0);
    }
    for (int i = 0; i < count; i++) {
        allot_free(block[i]);
    }
    allot_check();
}

static bool may_lock(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    bool may = p != MAP_FAILED && mlock2(p, bytes, MLOCK_ONFAULT) == 0;
    munmap(p, bytes);
    return may;
}

static void locked_memory(void **state)
{
    (void)state;
    if (!may_lock((size_t)256 << 20) || mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        skip(); /* no right to lock this much: RLIMIT_MEMLOCK */
    }
    calloc_is_zero(1000, 4096);
    calloc_is_zero(100000, 100);
    calloc_is_zero(3000, 4000);
    calloc_is_zero(5000000, 3);
    munlockall();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(locked_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
