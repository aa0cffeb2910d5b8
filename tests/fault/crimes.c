/* crimes.c - misuse that the heap can see ends the process with one line that names the crime, the object and its address.
 * One child a crime; its line is compared to the letter, address included. The stack of the crime follows it.
 */
#include "../common/check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "../common/family.h"
#include "crime.h"

static struct allot_heap heap;

/* The address that the crime's line must name. Shared with the child. */
static const void **named;

static void *name(void *p)
{
    *named = p;
    return p;
}

static void free_twice(void *p)
{
    free(name(p));
    free(opaque_pointer(p));
}

static void large_twice(void) { free_twice(malloc((size_t)8 << 20)); }

static void run_twice(void) { free_twice(malloc(100000)); }

static void *free_in_thread(void *p)
{
    free(p);
    return NULL;
}

static void free_elsewhere(void *p)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, free_in_thread, p) == 0);
    pthread_join(thread, NULL);
}

static void small_twice_by_others(void)
{
    void *p = malloc(100);
    free_elsewhere(name(p));
    free_elsewhere(p);
}

static void inside_of_run(void) { free(name((char *)malloc(100000) + 8192)); }

static void inside_of_small_by_others(void) { free_elsewhere(name((char *)malloc(100) + 16)); }

static void inside_of_large(void) { free(name((char *)malloc((size_t)16 << 20) + ((size_t)4 << 20))); }

static void realloc_after_free(void)
{
    void *p = malloc((size_t)8 << 20);
    free(name(p));
    (void)opaque_pointer(realloc(opaque_pointer(p), 100));
}

static void heap_after_done(void)
{
    CHECK(toolkit.heap_init(name(&heap), NULL) == 0);
    toolkit.heap_done(&heap);
    toolkit.heap_alloc(&heap, 10);
}

static void heap_done_twice(void)
{
    CHECK(toolkit.heap_init(name(&heap), NULL) == 0);
    toolkit.heap_done(&heap);
    toolkit.heap_done(&heap);
}

static void *use_heap(void *arg)
{
    toolkit.heap_alloc(arg, 10);
    return NULL;
}

static void heap_of_another_thread(void)
{
    pthread_t thread;
    CHECK(toolkit.heap_init(name(&heap), NULL) == 0);
    CHECK(pthread_create(&thread, NULL, use_heap, &heap) == 0);
    pthread_join(thread, NULL);
}

static void two_level_without_size(void)
{
    CHECK(toolkit.heap_init(&heap, &(struct allot_heap_opts){.two_level = true}) == 0);
    toolkit.heap_free(&heap, name(toolkit.heap_alloc(&heap, 10)));
}

static void *tagged(size_t size)
{
    toolkit.tag_enter(toolkit.tag("tenant", SIZE_MAX));
    void *p = malloc(size);
    toolkit.tag_enter(NULL);
    return p;
}

static void tagged_twice(void) { free_twice(tagged(100)); }

/* One byte too many, of as many as may be used. */
static void write_beyond(void *p)
{
    ((char *)name(p))[malloc_usable_size(p)] ^= 1;
    free(p);
}

static void beyond_tagged(void) { write_beyond(tagged(100)); }

static void beyond_tagged_by_others(void)
{
    char *p = name(tagged(3000));
    p[malloc_usable_size(p) + 7] ^= 1;
    free_elsewhere(p);
}

static void beyond_tagged_run(void) { write_beyond(tagged(100000)); }

static void beyond_tagged_large(void) { write_beyond(tagged((size_t)8 << 20)); }

static void beyond_tagged_then_realloc(void)
{
    char *p = name(tagged(100));
    memset(p, 0xff, malloc_usable_size(p) + 8);
    (void)opaque_pointer(realloc(p, 1000));
}

static const struct crime {
    void (*commit)(void);
    const char *line; /* before " at ADDRESS" */
} crimes[] = {
    {large_twice, "free of what is no live block: large block"},
    {run_twice, "free of what is no live block: page run"},
    {small_twice_by_others, "double free: small block"},
    {inside_of_run, "free of what is no live block: page run"},
    {inside_of_small_by_others, "free of what is no live block: address"},
    {inside_of_large, "free of what is no live block: large block"},
    {realloc_after_free, "realloc of what is no live block: address"},
    {heap_after_done, "use of a heap that was not initialised, or is done: heap"},
    {heap_done_twice, "use of a heap that was not initialised, or is done: heap"},
    {heap_of_another_thread, "use by a thread that has not adopted it: heap"},
    {tagged_twice, "double free: tagged block"},
    {beyond_tagged, "end of a block overwritten: tagged block"},
    {beyond_tagged_by_others, "end of a block overwritten: tagged block"},
    {beyond_tagged_run, "end of a block overwritten: tagged block"},
    {beyond_tagged_large, "end of a block overwritten: tagged block"},
    {beyond_tagged_then_realloc, "end of a block overwritten: tagged block"},
    {two_level_without_size, "free without a size, which a two-level heap does not record: block"},
};

static void expect(const struct crime *crime)
{
    struct end end = commit_in_child(crime->commit);
    char expected[256];
    snprintf(expected, sizeof expected, "allot: %s at %p", crime->line, *named);
    check_end(&end, expected, SIGABRT, SIGABRT);
}

int main(void)
{
    CHECK(toolkit_find());
    named = mmap(NULL, sizeof *named, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(named != MAP_FAILED);
    for (size_t i = 0; i < sizeof crimes / sizeof crimes[0]; i++) {
        snprintf(check_run, sizeof check_run, "crime %zu", i);
        expect(&crimes[i]);
    }
    return 0;
}
