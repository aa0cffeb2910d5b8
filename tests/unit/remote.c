/* unit/remote.c - blocks freed by threads that do not own them: they come back, also to heaps that have no thread, and
 * what cannot be right ends the process with a line. */
#include "common/unit.h"

#include <pthread.h>
#include <signal.h>

#include <allot/heap.h>
#include <allot/malloc.h>

#include "common/child.h"
#include "heap/heap.h"

enum { MANY = 20000 };
static void *block[MANY];

static void *allocate(void *arg)
{
    for (int i = 0; i < MANY; i++) {
        block[i] = allot_malloc((size_t)(i % 3000));
    }
    return arg;
}

static void *free_all(void *arg)
{
    for (int i = 0; i < MANY; i++) {
        allot_free(block[i]);
    }
    return arg;
}

static void in_a_thread(void *(*work)(void *))
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, work, NULL), 0);
    pthread_join(thread, NULL);
}

static size_t live(void)
{
    struct allot_stats stats;
    allot_stats(&stats);
    return stats.live;
}

static size_t slabs(void)
{
    struct allot_class_stats class[CLASSES];
    size_t n = allot_stats_classes(class, CLASSES), sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += class[i].slabs;
    }
    return sum;
}

static void a_consumer_that_only_frees(void **state)
{
    (void)state;
    in_a_thread(free_all); /* frees NULLs: whatever a thread costs is there before the first count */
    size_t before = live();
    for (int round = 0; round < 5; round++) {
        allocate(NULL);
        in_a_thread(free_all);
        assert_int_equal(live(), before);
        allot_check();
    }
}

static void blocks_of_a_thread_that_has_ended(void **state)
{
    (void)state;
    allot_trim();
    size_t before = live(), held = slabs();
    for (int round = 0; round < 5; round++) {
        in_a_thread(allocate);
        assert_true(live() > before + MANY * 1000);
        free_all(NULL);
        assert_int_equal(live(), before);
        allot_check();
        /* Nobody owns them any more, and still they have gone back to the pool. */
        allot_trim();
        assert_int_equal(slabs(), held);
    }
}

static void the_next_thread_takes_over_what_the_last_left(void **state)
{
    (void)state;
    in_a_thread(allocate);
    uint32_t owner = slab_owner(slab_of(block[MANY - 1]));
    void *kept = block[MANY - 1];
    block[MANY - 1] = NULL;
    free_all(NULL);
    in_a_thread(allocate);
    assert_int_equal(slab_owner(slab_of(block[MANY - 1])), owner);
    free_all(NULL);
    allot_free(kept);
}

static struct allot_heap heap;

static void *free_in_heap(void *arg)
{
    for (int i = 1; i < MANY; i += 2) {
        allot_heap_free(&heap, block[i]);
    }
    return arg;
}

static void a_first_class_heap(void **state)
{
    (void)state;
    struct allot_stats stats;
    assert_int_equal(allot_heap_init(&heap, NULL), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            block[i] = allot_heap_alloc(&heap, (size_t)(i % 3000));
        }
        void *run = allot_heap_alloc(&heap, 100000), *large = allot_heap_alloc(&heap, 5000000);
        assert_true(run && large);
        in_a_thread(free_in_heap);
        for (int i = 0; i < MANY; i += 2) {
            allot_free(block[i]);
        }
        allot_heap_stats(&heap, &stats);
        assert_int_equal(stats.blocks, 2);
        allot_heap_check(&heap);
        allot_heap_reset(&heap);
        allot_heap_stats(&heap, &stats);
        assert_int_equal(stats.live + stats.mapped, 0);
    }
    allot_heap_done(&heap);
    allot_check();
}

static void *use_heap(void *arg)
{
    if (arg) {
        allot_heap_adopt(&heap);
    }
    allot_heap_free(&heap, allot_heap_alloc(&heap, 10));
    return NULL;
}

static void use_without_adopting(void *arg)
{
    pthread_t thread;
    pthread_create(&thread, NULL, use_heap, arg);
    pthread_join(thread, NULL);
}

static void a_heap_changes_hands(void **state)
{
    (void)state;
    assert_int_equal(allot_heap_init(&heap, NULL), 0);
    assert_int_equal(child_run(use_without_adopting, "").status, 0);
    struct child_end end = child_run(use_without_adopting, NULL);
    assert_true(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT);
    char line[128];
    snprintf(line, sizeof line, "allot: use by a thread that has not adopted it: heap at %p\n", (void *)&heap);
    assert_int_equal(strncmp(end.text, line, strlen(line)), 0);
    allot_heap_done(&heap);
}

static void *make_heap(void *arg)
{
    allot_heap_init(&heap, NULL);
    block[0] = allot_heap_alloc(&heap, 100);
    return arg;
}

static void *is_mine(void *arg)
{
    *(bool *)arg = heap_is_mine(heap_by_id(slab_owner(slab_of(block[0]))));
    return NULL;
}

/* The next thread gets the stack, the storage and perhaps the ids of the last; the heap it does not get. */
static void a_thread_does_not_inherit_a_heap(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        in_a_thread(make_heap);
        bool mine = true;
        pthread_t thread;
        pthread_create(&thread, NULL, is_mine, &mine);
        pthread_join(thread, NULL);
        assert_false(mine);
        allot_heap_adopt(&heap);
        allot_heap_done(&heap);
    }
}

/* -- crimes that are seen at no cost -- */

static void *free_twice(void *arg)
{
    allot_free(block[0]);
    allot_free(block[0]);
    return arg;
}

static void free_twice_from_afar(void *arg)
{
    (void)arg;
    block[0] = allot_malloc(100);
    in_a_thread(free_twice);
}

static void *free_inside(void *arg)
{
    allot_free((char *)block[0] + 16);
    return arg;
}

static void free_inside_from_afar(void *arg)
{
    (void)arg;
    in_a_thread(free_inside);
}

static void free_run_twice(void *arg)
{
    (void)arg;
    allot_free(block[0]);
    allot_free(block[0]);
}

static void ends_with(void (*crime)(void *), const char *begin)
{
    struct child_end end = child_run(crime, NULL);
    assert_true(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT);
    assert_int_equal(strncmp(end.text, begin, strlen(begin)), 0);
    assert_non_null(strstr(end.text, "\nallot:   here, by thread "));
}

/* More frees than the slab has blocks out: counted when the thread lets go of the slab. */
static void free_too_often(void *arg)
{
    (void)arg;
    void *p = allot_malloc(30000);
    for (int i = 0; i < 9; i++) {
        allot_free(p);
    }
    allot_trim();
}

static void use_after_done(void *arg)
{
    struct allot_heap done;
    allot_heap_init(&done, NULL);
    allot_heap_done(&done);
    if (arg) {
        allot_heap_adopt(&done);
    } else {
        allot_heap_free(&done, &done);
    }
}

static void crimes(void **state)
{
    (void)state;
    ends_with(free_twice_from_afar, "allot: double free: small block at 0x");
    ends_with(free_too_often, "allot: double free: slab at 0x");
    ends_with(use_after_done, "allot: use of a heap that was not initialised, or is done: heap at 0x");
    assert_true(WIFSIGNALED(child_run(use_after_done, "adopt").status));
    block[0] = allot_malloc(100);
    ends_with(free_inside_from_afar, "allot: free of what is no live block: address at 0x");
    allot_free(block[0]);
    block[0] = allot_malloc(100000);
    void *keep = allot_malloc(100000);
    ends_with(free_run_twice, "allot: free of what is no live block: page run at 0x");
    allot_free(block[0]);
    allot_free(keep);
    block[0] = allot_malloc(10000000);
    ends_with(free_run_twice, "allot: free of what is no live block: large block at 0x");
    allot_free(block[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_consumer_that_only_frees),
        cmocka_unit_test(blocks_of_a_thread_that_has_ended),
        cmocka_unit_test(the_next_thread_takes_over_what_the_last_left),
        cmocka_unit_test(a_first_class_heap),
        cmocka_unit_test(a_heap_changes_hands),
        cmocka_unit_test(a_thread_does_not_inherit_a_heap),
        cmocka_unit_test(crimes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
