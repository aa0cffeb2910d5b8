/* typed.c - blocks of one tag lie where no others ever do, in a process that is hardened to level 3 (heap/typed.h). Where blocks
 * have been is remembered by pages of 4 KiB.
 */
#include "../common/check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "../common/family.h"

enum { PAGE = 4096, BLOCKS = 4000, SMALL_MOST = 3000, THREADS = 4, ROUNDS = 3000, HELD = 64 };

/* A set of pages: open addressing, no page 0. */
static struct pages {
    uintptr_t page[1 << 20];
    size_t count;
} red_pages, blue_pages, other_pages;

static uintptr_t *place(struct pages *set, uintptr_t page)
{
    size_t at = page * 0x9e3779b97f4a7c15u >> 44;
    while (set->page[at] && set->page[at] != page)
        at = (at + 1) % (sizeof set->page / sizeof *set->page);
    return &set->page[at];
}

static void add(struct pages *set, const char *p, size_t size)
{
    for (uintptr_t page = (uintptr_t)p / PAGE; page <= ((uintptr_t)p + size - 1) / PAGE; page++) {
        uintptr_t *at = place(set, page);
        set->count += *at == 0;
        CHECK(set->count < sizeof set->page / sizeof *set->page / 2);
        *at = page;
    }
}

static bool has_any(struct pages *set, const char *p, size_t size)
{
    for (uintptr_t page = (uintptr_t)p / PAGE; page <= ((uintptr_t)p + size - 1) / PAGE; page++)
        if (*place(set, page))
            return true;
    return false;
}

/* So many blocks of up to so many bytes, taken by `take` and freed; each of them at none of the `strange` pages. How many had a page
 * of `known`. */
static size_t had(void *(*take)(size_t size), size_t blocks, size_t most, struct pages *to, struct pages *strange1,
                  struct pages *strange2)
{
    static char *p[BLOCKS];
    static size_t size[BLOCKS];
    static uint64_t random = 5;
    size_t again = 0;
    for (size_t i = 0; i < blocks; i++) {
        size[i] = 1 + random_below(&random, most);
        p[i] = take(size[i]);
        CHECK(p[i]);
        memset(p[i], 7, size[i]);
        CHECK(!has_any(strange1, p[i], size[i]) && !has_any(strange2, p[i], size[i]));
        again += has_any(to, p[i], size[i]);
    }
    for (size_t i = 0; i < blocks; i++) {
        add(to, p[i], size[i]);
        free(p[i]);
    }
    return again;
}

static void *plainly(size_t size) { return malloc(size); }

/* By each of the ways there are. */
static void *in_some_way(size_t size)
{
    static unsigned way;
    void *p;
    switch (way++ % 5) {
    case 0:
        return calloc(1, size);
    case 1:
        return aligned_alloc(64, size);
    case 2:
        return realloc(malloc(size / 3 + 1), size);
    case 3:
        CHECK(posix_memalign(&p, 8192, size) == 0);
        return p;
    default:
        return malloc(size);
    }
}

static struct allot_heap heap;
static void *of_heap(size_t size) { return toolkit.heap_alloc(&heap, size); }

static struct allot_tag *red, *blue;

static void none_has_anothers_addresses(size_t blocks, size_t most)
{
    red_pages.count = blue_pages.count = other_pages.count = 0;
    memset(red_pages.page, 0, sizeof red_pages.page);
    memset(blue_pages.page, 0, sizeof blue_pages.page);
    memset(other_pages.page, 0, sizeof other_pages.page);
    for (int round = 0; round < 3; round++) {
        toolkit.tag_enter(red);
        size_t again = had(in_some_way, blocks, most, &red_pages, &blue_pages, &other_pages);
        CHECK(round == 0 || again > blocks / 2); /* its own it gets again */
        toolkit.tag_enter(blue);
        had(in_some_way, blocks, most, &blue_pages, &red_pages, &other_pages);
        toolkit.tag_enter(NULL);
        had(in_some_way, blocks, most, &other_pages, &red_pages, &blue_pages);
        CHECK(toolkit.heap_init(&heap, &(struct allot_heap_opts){.tag = round % 2 ? red : blue}) == 0);
        if (round % 2)
            had(of_heap, blocks, most, &red_pages, &blue_pages, &other_pages);
        else
            had(of_heap, blocks, most, &blue_pages, &red_pages, &other_pages);
        CHECK(toolkit.heap_alloc(&heap, most)); /* goes with the heap */
        toolkit.heap_done(&heap);
        CHECK(toolkit.heap_init(&heap, NULL) == 0);
        had(of_heap, blocks, most, &other_pages, &red_pages, &blue_pages);
        toolkit.heap_done(&heap);
        CHECK(toolkit.tag_used(red) == 0 && toolkit.tag_used(blue) == 0);
        CHECK(had(plainly, blocks, most, &other_pages, &red_pages, &blue_pages) > 0);
        toolkit.trim();
        toolkit_check();
    }
}

static void *_Atomic shelf[THREADS * HELD];

/* Blocks of one tag, taken by one thread, freed by another. */
static void *exchange(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    toolkit.tag_enter((uintptr_t)arg % 2 ? red : blue);
    for (int i = 0; i < ROUNDS; i++) {
        size_t size = 1 + random_below(&random, i % 64 ? 500 : 100000);
        char *p = malloc(size);
        CHECK(p);
        memset(p, 3, size);
        free(atomic_exchange_explicit(&shelf[random_below(&random, THREADS * HELD)], p, memory_order_acq_rel));
    }
    toolkit.tag_enter(NULL);
    return NULL;
}

static void threads_share_a_tag(void)
{
    pthread_t thread[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, exchange, (void *)(i + 1)) == 0);
    pid_t child = fork(); /* while they are at it */
    if (child == 0) {
        exchange((void *)1);
        exchange((void *)2);
        _exit(0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    for (int i = 0; i < THREADS * HELD; i++) {
        free(shelf[i]);
        shelf[i] = NULL;
    }
    CHECK(toolkit.tag_used(red) == 0 && toolkit.tag_used(blue) == 0);
    toolkit.trim();
    toolkit_check();
}

/* A tag costs what is live of it, not what has been. */
static void memory_goes_back(void)
{
    enum { MANY = 200000 };
    static void *p[MANY];
    toolkit.tag_enter(red);
    for (int i = 0; i < MANY; i++) {
        p[i] = malloc(100);
        CHECK(p[i]);
        memset(p[i], 1, 100);
    }
    size_t full = toolkit.resident();
    for (int i = 0; i < MANY; i++)
        free(p[i]);
    toolkit.tag_enter(NULL);
    toolkit.trim();
    CHECK(toolkit.resident() < full / 2);
}

int main(void)
{
    CHECK(toolkit_find());
    red = toolkit.tag("red", SIZE_MAX);
    blue = toolkit.tag("blue", SIZE_MAX);
    CHECK(red && blue);
    CHECK(toolkit.heap_init(&heap, NULL) == 0); /* no tag's is made of what is left of it */
    toolkit.heap_done(&heap);
    none_has_anothers_addresses(BLOCKS, SMALL_MOST);
    none_has_anothers_addresses(200, 3 << 20);
    threads_share_a_tag();
    memory_goes_back();
    return 0;
}
