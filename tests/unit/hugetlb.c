/* unit/hugetlb.c - explicit huge pages: the heap in them while the system's pool has some, and nothing purged that is.
 *
 * Root makes a pool for each case, and puts back what was set; without that right only one runs, with the pool as it is, which most systems have none of. Each case is a
 * child's, with a heap of its own: what segments have is not given back.
 */
#define _GNU_SOURCE
#include "common/unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <allot/malloc.h>

#include "common/child.h"
#include "common/pattern.h"
#include "heap/heap.h"
#include "os/memory.h"

#undef CHECK /* the heap's, of a structure; here one that works in a child */
#include "common/check.h"

static long number_in(const char *path, const char *format)
{
    long number = -1;
    FILE *file = fopen(path, "r");
    char line[256];
    while (file && number < 0 && fgets(line, sizeof line, file)) {
        sscanf(line, format, &number);
    }
    if (file) {
        fclose(file);
    }
    return number;
}

static const char *file_of(size_t page, const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "/sys/kernel/mm/hugepages/hugepages-%zukB/%s_hugepages", page / 1024, name);
    return path;
}

static bool write_number(const char *path, long number)
{
    FILE *file = fopen(path, "w");
    if (!file) {
        return false;
    }
    bool written = fprintf(file, "%ld", number) > 0;
    return fclose(file) == 0 && written;
}

/* Runs code in a child while exactly so many pages of a size are free. */
static void with_pool(size_t page, long pages, void (*code)(void *))
{
    long before = number_in(file_of(page, "nr"), "%ld"), free = number_in(file_of(page, "free"), "%ld");
    if (number_in(file_of(page, "nr_overcommit"), "%ld") > 0) {
        print_message("the system gives more huge pages than its pool has (nr_overcommit_hugepages)\n");
        skip();
    }
    if (before < 0 || !write_number(file_of(page, "nr"), before - free + pages)) {
        print_message("no right to make a pool of huge pages of %zu MiB, or the system has none\n", page / MIB);
        skip();
    }
    bool there = number_in(file_of(page, "free"), "%ld") == pages;
    os_hugetlb_page = page;
    void *at = there ? os_map_hugetlb(page, page) : NULL;
    os_hugetlb_page = 0;
    if (at) {
        os_unmap(at, page);
    }
    struct child_end end = {0};
    if (at) {
        end = child_run(code, NULL);
    }
    assert_true(write_number(file_of(page, "nr"), before));
    if (!at) {
        print_message("the system cannot make or map %ld huge pages of %zu MiB\n", pages, page / MIB);
        skip();
    }
    assert_string_equal(end.text, "");
    assert_int_equal(end.status, 0);
}

/* -- in the child -- */

static size_t in_huge_pages(void) { return (size_t)number_in("/proc/self/status", "HugetlbPages: %ld") * 1024; }

static size_t address_space(void) { return (size_t)number_in("/proc/self/status", "VmSize: %ld") * 1024; }

static struct allot_stats stats(void)
{
    struct allot_stats now;
    allot_stats(&now);
    return now;
}

enum { MANY = 3000 };
static void *block[MANY];

/* Slots of many sizes, and page runs: 25 MiB in all. */
static size_t size_of(size_t i) { return i % 100 == 99 ? 40000 + i * 150 : 16 + i * 7919 % 12000; }

static void make(size_t i)
{
    block[i] = allot_malloc(size_of(i));
    CHECK(block[i]);
    pattern_fill(block[i], size_of(i), i);
}

static void make_all(void)
{
    for (size_t i = 0; i < MANY; i++) {
        make(i);
    }
}

static void check_and_free(size_t i)
{
    CHECK(pattern_holds(block[i], size_of(i), i, true));
    allot_free(block[i]);
    block[i] = NULL;
}

/* Every block there can be is zero when it is to be, also where others were. */
static void make_all_zero(void)
{
    for (size_t i = 0; i < MANY; i++) {
        if (!block[i]) {
            block[i] = allot_calloc(1, size_of(i));
            CHECK(block[i]);
            for (size_t at = 0; at < size_of(i); at++) {
                CHECK(((char *)block[i])[at] == 0);
            }
            pattern_fill(block[i], size_of(i), i);
        }
    }
    allot_check();
}

static void free_all(void)
{
    for (size_t i = 0; i < MANY; i++) {
        check_and_free(i);
    }
    allot_check();
}

static void begin(const char *page)
{
    CHECK(allot_option("hugetlb", page) == 0);
    sweep_least = 0;
    adrift_least = 65536;
}

static void all_in_them(void *arg)
{
    (void)arg;
    begin("2M");
    make_all();
    struct allot_stats now = stats();
    CHECK(now.hugetlb == now.segments * SEGMENT_SIZE && now.hugetlb <= 40 * MIB);
    CHECK(in_huge_pages() >= now.live && in_huge_pages() <= now.hugetlb);
    CHECK(allot_resident() >= in_huge_pages() && allot_resident() < in_huge_pages() + 2 * MIB);
    /* Holes, sweeps, the purge of what drops and a trim leave them as they are, and what is live in between. */
    for (size_t i = 0; i < MANY; i++) {
        if (i % 20) {
            check_and_free(i);
        }
    }
    allot_trim();
    allot_check();
    CHECK(stats().hugetlb == now.hugetlb && in_huge_pages() <= now.hugetlb);
    make_all_zero();
    CHECK(stats().hugetlb <= now.hugetlb + SEGMENT_SIZE); /* what was free was used again, but for what does not fit */
    size_t held = stats().hugetlb;
    free_all();
    allot_trim();
    CHECK(stats().hugetlb == held && stats().live == 0);
    make_all_zero();
    CHECK(stats().hugetlb == held);
    free_all();
}

/* None of its pages is said to be one that may be purged. */
static void a_slab_of_free_slots(void *arg)
{
    (void)arg;
    for (int hugetlb = 0; hugetlb <= 1; hugetlb++) {
        os_hugetlb_page = hugetlb ? 2 * MIB : 0;
        uint64_t dirty;
        struct unit *unit = segment_unit(segment_take(&dirty), 1);
        struct slab *s = (struct slab *)unit;
        CHECK(segment_of(unit)->hugetlb == hugetlb);
        slab_init(unit, 1, 1024, 0);
        for (unsigned slot = 0; slot < slab_nslots(s);) {
            struct batch batch = slab_take_batch(s, GROUP_ANY);
            for (unsigned i = 0; i < batch.count; i++, slot++) {
                slab_free_remote(s, slot);
            }
        }
        CHECK((slab_claim_pages(s) != 0) != hugetlb);
        slab_unclaim_pages(s, hugetlb ? 0 : (1u << UNIT_SIZE / os_page) - 1);
        slab_collect(s);
        CHECK((slab_free_pages(s) != 0) != hugetlb);
    }
}

static void *free_others(void *arg)
{
    for (size_t i = 0; i < MANY; i++) {
        if (i % 20) {
            check_and_free(i);
        }
    }
    allot_trim();
    return arg;
}

static void freed_by_another_thread(void *arg)
{
    (void)arg;
    begin("2M");
    make_all();
    size_t held = stats().hugetlb;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, free_others, NULL) == 0 && pthread_join(thread, NULL) == 0);
    allot_check();
    CHECK(stats().hugetlb == held);
    make_all_zero();
    CHECK(stats().hugetlb <= held + SEGMENT_SIZE);
    free_all();
}

static void until_there_are_none(void *arg)
{
    (void)arg;
    begin("2M");
    make_all();
    struct allot_stats now = stats();
    CHECK(now.hugetlb == 8 * MIB && now.segments > 2); /* of five pages one is no segment */
    CHECK(in_huge_pages() == 8 * MIB);
    void *large = allot_malloc(5 * MIB);
    memset(large, 1, 5 * MIB);
    CHECK(stats().hugetlb == 8 * MIB);
    allot_free(large);
    free_all();
    CHECK(allot_trim() > 0);
    make_all_zero();
    free_all();
}

static void large_blocks(void *arg)
{
    (void)arg;
    begin("2M");
    allot_free(allot_malloc(1));
    size_t before = stats().hugetlb;
    char *p = allot_malloc(8 * MIB - 5000);
    CHECK(allot_malloc_usable_size(p) == 8 * MIB && stats().hugetlb == before + 8 * MIB);
    CHECK(stats().large == 8 * MIB);
    pattern_fill(p, 8 * MIB, 1);
    CHECK(allot_try_expand(p, 8 * MIB) && !allot_try_expand(p, 8 * MIB + 1));
    CHECK(allot_realloc(p, 8 * MIB - 9000) == p && allot_malloc_usable_size(p) == 8 * MIB);
    size_t mapped = address_space();
    /* Growing and shrinking copies. */
    p = allot_realloc(p, 20 * MIB);
    CHECK(p && pattern_holds(p, 8 * MIB - 9000, 1, false) && stats().large == 20 * MIB);
    p = allot_realloc(p, 6 * MIB);
    CHECK(p && pattern_holds(p, 6 * MIB, 1, false) && allot_malloc_usable_size(p) == 6 * MIB);
    CHECK(allot_check());
    /* What was freed serves the next it fits, and is not zero. */
    void *at = p;
    allot_free(p);
    p = allot_calloc(6 * MIB - 100, 1);
    CHECK(p == at && pattern_zero(p, 6 * MIB) && p[0] == 0 && p[6 * MIB - 101] == 0);
    memset(p, 1, 6 * MIB - 100);
    allot_free(p);
    /* For what they do not fit, and would have to be longer by more than an eighth, there are ordinary pages. */
    p = allot_malloc(4 * MIB + 4096);
    CHECK(allot_malloc_usable_size(p) == 4 * MIB + 4096 && p != at);
    memset(p, 1, 4 * MIB);
    allot_free(p);
    /* Neighbours stay apart. */
    char *one = allot_malloc(8 * MIB), *other = allot_malloc(8 * MIB);
    allot_free(one);
    allot_free(other);
    p = allot_malloc(8 * MIB);
    CHECK(p == one || p == other);
    allot_free(p);
    char *aligned = allot_aligned_alloc(16 * MIB, 4 * MIB);
    CHECK(aligned && (uintptr_t)aligned % (16 * MIB) == 0);
    memset(aligned, 1, 4 * MIB);
    allot_free(aligned);
    CHECK(allot_trim() >= 8 * MIB);
    CHECK(stats().hugetlb == before && in_huge_pages() <= before);
    CHECK(allot_check());
    CHECK(address_space() < mapped);
    CHECK(allot_option("hugetlb", "off") == 0);
    p = allot_malloc(8 * MIB);
    CHECK(stats().hugetlb == before);
    allot_free(p);
}

static void in_a_child(void *arg)
{
    (void)arg;
    begin("2M");
    make_all();
    char *large = allot_calloc(4 * MIB, 1);
    pid_t child = fork();
    if (child == 0) {
        memset(large, 1, 4 * MIB);
        free_all();
        make_all_zero();
        allot_free(large);
        allot_trim();
        CHECK(allot_check());
        _exit(0);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(pattern_zero(large, 4 * MIB) && large[0] == 0);
    free_all();
    allot_free(large);
}

/* One that starts a program. */
static void in_a_child_without_pages(void *arg)
{
    (void)arg;
    begin("2M");
    make_all();
    CHECK(stats().hugetlb == 12 * MIB);
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    free_all();
}

static void of_a_gigabyte(void *arg)
{
    (void)arg;
    begin("1G");
    make_all();
    struct allot_stats now = stats();
    CHECK(now.hugetlb == 1024 * MIB && now.segments == 256 && now.metadata < 64 * MIB);
    CHECK(in_huge_pages() == 1024 * MIB && allot_resident() >= 1024 * MIB);
    free_all();
    allot_trim();
    make_all_zero();
    CHECK(stats().hugetlb == 1024 * MIB);
    free_all();
    void *large = allot_malloc(5 * MIB);
    CHECK(allot_malloc_usable_size(large) == 5 * MIB);
    allot_free(large);
}

static void with_whatever_there_is(void *arg)
{
    (void)arg;
    begin("2M");
    make_all();
    free_all();
    allot_trim();
    make_all_zero();
    free_all();
}

/* -- the cases -- */

static void the_heap_lies_in_them(void **state)
{
    (void)state;
    with_pool(2 * MIB, 24, all_in_them);
}

static void what_others_have_freed_stays(void **state)
{
    (void)state;
    with_pool(2 * MIB, 24, freed_by_another_thread);
}

static void an_empty_pool_means_ordinary_pages(void **state)
{
    (void)state;
    with_pool(2 * MIB, 5, until_there_are_none);
}

static void pages_of_slabs_are_not_for_purging(void **state)
{
    (void)state;
    with_pool(2 * MIB, 2, a_slab_of_free_slots);
}

static void large_blocks_have_their_own(void **state)
{
    (void)state;
    with_pool(2 * MIB, 32, large_blocks);
}

static void a_child_has_copies(void **state)
{
    (void)state;
    with_pool(2 * MIB, 56, in_a_child);
}

static void a_child_that_starts_a_program_needs_none(void **state)
{
    (void)state;
    with_pool(2 * MIB, 6, in_a_child_without_pages);
}

static void pages_of_a_gigabyte(void **state)
{
    (void)state;
    with_pool(1024 * MIB, 1, of_a_gigabyte);
}

static void with_the_pool_as_it_is(void **state)
{
    (void)state;
    struct child_end end = child_run(with_whatever_there_is, NULL);
    assert_string_equal(end.text, "");
    assert_int_equal(end.status, 0);
}

int main(void)
{
    os_memory_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_the_pool_as_it_is),
        cmocka_unit_test(the_heap_lies_in_them),
        cmocka_unit_test(what_others_have_freed_stays),
        cmocka_unit_test(an_empty_pool_means_ordinary_pages),
        cmocka_unit_test(pages_of_slabs_are_not_for_purging),
        cmocka_unit_test(large_blocks_have_their_own),
        cmocka_unit_test(a_child_has_copies),
        cmocka_unit_test(a_child_that_starts_a_program_needs_none),
        cmocka_unit_test(pages_of_a_gigabyte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
