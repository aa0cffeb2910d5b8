/* unit/site.c - with sites=1 every live block knows the stack that it was allocated under, whatever kind of block it is; and is as long
 * as without. */
#include "common/unit.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <allot/heap.h>
#include <allot/malloc.h>
#include <allot/tag.h>

#include "heap/heap.h"
#include "heap/site.h"
#include "probe/calls.h"

static struct allot_heap heap;
static struct allot_tag *tag;

/* -- ways to a block, each in two functions that do the same -- */

enum way { PLAIN, ZEROED, ALIGNED, MOVED, GROWN, TAGGED, FIRST_CLASS, WAYS };

static inline __attribute__((always_inline)) void *have(enum way way, size_t size)
{
    void *p = NULL;
    switch (way) {
    case PLAIN:
        p = allot_malloc(size);
        break;
    case ZEROED:
        p = allot_calloc(1, size);
        break;
    case ALIGNED:
        p = allot_aligned_alloc(64, size);
        break;
    case MOVED:
    case GROWN:
        p = allot_realloc(allot_malloc(way == MOVED ? 1 : size * 9 / 10 + 1), size);
        break;
    case TAGGED:
        allot_tag_enter(tag);
        p = allot_malloc(size);
        allot_tag_enter(NULL);
        break;
    case FIRST_CLASS:
        p = allot_heap_alloc(&heap, size);
        break;
    case WAYS:
        break;
    }
    __asm__ volatile("" : "+r"(p)); /* the call is not the last */
    return p;
}

__attribute__((noinline)) static void *by_one(enum way way, size_t size) { return have(way, size); }

__attribute__((noinline)) static void *by_another(enum way way, size_t size)
{
    void *p = have(way, size);
    __asm__ volatile("" ::: "memory");
    return p;
}

/* Some frame of a stack is within a function that begins there. */
static bool leads_through(uint32_t site, const void *function)
{
    uintptr_t pcs[64];
    size_t n = calls_frames(site, pcs, 64);
    for (size_t i = 0; i < n; i++) {
        if (pcs[i] - (uintptr_t)function < 2048) {
            return true;
        }
    }
    return false;
}

static const size_t sizes[] = {1, 16, 100, 1024, 1025, 5000, 32768, 40000, 1000000, 3 << 20, 9 << 20};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static void every_kind_of_block(void **state)
{
    (void)state;
    for (enum way way = 0; way < WAYS; way++) {
        for (size_t i = 0; i < SIZES; i++) {
            void *one[3], *another = by_another(way, sizes[i]);
            for (volatile int k = 0; k < 3; k++) { /* one call, whatever a compiler makes of loops */
                one[k] = by_one(way, sizes[i]);
                assert_non_null(one[k]);
                memset(one[k], 0xff, allot_malloc_usable_size(one[k]));
            }
            uint32_t site = site_of(one[0]);
            assert_int_not_equal(site, 0);
            assert_int_equal(site_of(one[2]), site);
            assert_int_not_equal(site_of(another), site);
            assert_true(leads_through(site, (const void *)(uintptr_t)by_one));
            assert_true(leads_through(site_of(another), (const void *)(uintptr_t)by_another));
            for (int k = 0; k < 3; k++) {
                way == FIRST_CLASS ? allot_heap_free(&heap, one[k]) : allot_free(one[k]);
            }
            way == FIRST_CLASS ? allot_heap_free(&heap, another) : allot_free(another);
        }
        allot_check();
    }
}

static void blocks_are_as_long_as_ever(void **state)
{
    (void)state;
    for (size_t size = 1; size <= SMALL_MAX; size++) {
        void *p = allot_malloc(size);
        assert_int_equal(allot_malloc_usable_size(p), align_up(size, 16));
        allot_free(p);
    }
    void *p = allot_malloc(3 << 20);
    assert_int_equal(allot_malloc_usable_size(p), 3 << 20);
    allot_free(p);
}

/* A slot that is used again has its new site; a block that stays where it is keeps the one it has. */
static void newest_and_oldest(void **state)
{
    (void)state;
    void *p = by_one(PLAIN, 100);
    uint32_t first = site_of(p);
    allot_free(p);
    void *q = NULL;
    for (int i = 0; i < 100000 && q != p; i++) {
        q = by_another(PLAIN, 100);
        assert_int_not_equal(site_of(q), first);
    }
    assert_ptr_equal(q, p);
    uint32_t site = site_of(q);
    assert_ptr_equal(allot_realloc(q, 110), q);
    assert_int_equal(site_of(q), site);
    allot_check();
}

static void *in_a_thread(void *arg)
{
    (void)arg;
    void *block[500];
    uint32_t site[500];
    for (int i = 0; i < 500; i++) {
        block[i] = by_one(PLAIN, (size_t)i * 40 + 1);
        site[i] = site_of(block[i]);
        assert_true(site[i] != 0 && leads_through(site[i], (const void *)(uintptr_t)by_one));
    }
    for (int i = 0; i < 500; i++) {
        assert_int_equal(site_of(block[i]), site[i]);
        allot_free(block[i]);
    }
    return NULL;
}

static void threads(void **state)
{
    (void)state;
    enum { THREADS = 8 };
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, in_a_thread, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    allot_check();
}

static void children(void **state)
{
    (void)state;
    void *p = by_one(PLAIN, 300);
    uint32_t site = site_of(p);
    pid_t child = fork();
    if (child == 0) {
        void *q = by_one(PLAIN, 300);
        _exit(site_of(p) == site && leads_through(site_of(q), (const void *)(uintptr_t)by_one) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    allot_free(p);
}

static void memory_ends(void **state)
{
    (void)state;
    for (long n = 0; n < 20; n++) {
        allot_fail_after(n);
        void *block[SIZES];
        for (size_t i = 0; i < SIZES; i++) {
            block[i] = allot_malloc(sizes[i]);
        }
        allot_fail_after(-1);
        for (size_t i = 0; i < SIZES; i++) {
            allot_free(block[i]);
        }
        allot_check();
    }
}

int main(void)
{
    tag = allot_tag("sites", SIZE_MAX);
    if (!sites_kept || !tag || allot_heap_init(&heap, NULL) != 0) {
        fprintf(stderr, "run with ALLOT_OPTIONS=sites=1\n");
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_ends),
        cmocka_unit_test(every_kind_of_block),
        cmocka_unit_test(blocks_are_as_long_as_ever),
        cmocka_unit_test(newest_and_oldest),
        cmocka_unit_test(threads),
        cmocka_unit_test(children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
