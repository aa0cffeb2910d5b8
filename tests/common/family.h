/* family.h - one test source, any malloc. Include it after every other header.
 *
 * Plain, a test calls malloc, free and the rest: the system's, or the drop-in's when that is preloaded. Built with
 * ALLOT_NAMES the same words mean allot_malloc, allot_free, ...: the toolkit's heap beside the system's, the way a
 * sanitizer's build of the library is tested. Built with ALLOT_STATIC the drop-in is part of the program.
 *
 * What only allot has is reached through `toolkit`; without allot in the process its pointers are NULL, and the tests
 * that need them are not run. That the rest passes on the system's malloc proves the tests themselves.
 */
#ifndef TESTS_FAMILY_H
#define TESTS_FAMILY_H

#include <allot/heap.h>
#include <allot/malloc.h>
#include <allot/tag.h>
#include <malloc.h>
#include <stdlib.h>

struct toolkit {
    /* The two that a libc older than C23 lacks. */
    void (*free_sized)(void *p, size_t size);
    void (*free_aligned_sized)(void *p, size_t align, size_t size);

    bool (*try_expand)(void *p, size_t size);
    size_t (*trim)(void);
    int (*option)(const char *name, const char *value);
    void (*stats)(struct allot_stats *out);
    size_t (*resident)(void);
    size_t (*stats_classes)(struct allot_class_stats *out, size_t max);
    size_t (*stats_heaps)(struct allot_heap_stats *out, size_t max);
    int (*stats_print)(int fd, bool json);
    int (*walk)(int (*visit)(void *block, size_t usable, void *arg), void *arg);
    bool (*check)(void);
    void (*fail_after)(long n);
    bool (*thread_latency)(bool on);

    int (*heap_init)(struct allot_heap *heap, const struct allot_heap_opts *opts);
    void *(*heap_alloc)(struct allot_heap *heap, size_t size);
    void *(*heap_aligned)(struct allot_heap *heap, size_t align, size_t size);
    void (*heap_free)(struct allot_heap *heap, void *p);
    void (*heap_free_sized)(struct allot_heap *heap, void *p, size_t size);
    int (*heap_adopt)(struct allot_heap *heap);
    void (*heap_reset)(struct allot_heap *heap);
    void (*heap_done)(struct allot_heap *heap);
    void (*heap_stats)(struct allot_heap *heap, struct allot_stats *out);
    bool (*heap_check)(struct allot_heap *heap);

    struct allot_tag *(*tag)(const char *name, size_t limit);
    void (*tag_soft)(struct allot_tag *tag, size_t soft, allot_tag_callback *callback, void *arg);
    struct allot_tag *(*tag_enter)(struct allot_tag *tag);
    size_t (*tag_used)(const struct allot_tag *tag);
    const char *(*tag_name)(const struct allot_tag *tag);
    size_t (*stats_tags)(struct allot_tag_stats *out, size_t max);
};

extern struct toolkit toolkit;

/* A block is exactly as long as it was asked for, as in a process that is hardened to level 2 and up. */
bool exact_sizes(void);

/* Fills `toolkit`; whether allot is in the process. Ends the program when only a part of it is. */
bool toolkit_find(void);

/* Proves the heap's equations, where there is a heap that can. */
void toolkit_check(void);

#ifndef __GLIBC__ /* musl has none; the drop-in does */
extern void *pvalloc(size_t size) __attribute__((weak));
#endif

#ifdef ALLOT_NAMES
#define malloc             allot_malloc
#define calloc             allot_calloc
#define realloc            allot_realloc
#define reallocarray       allot_reallocarray
#define free               allot_free
#define aligned_alloc      allot_aligned_alloc
#define posix_memalign     allot_posix_memalign
#define memalign           allot_memalign
#define valloc             allot_valloc
#define pvalloc            allot_pvalloc
#define malloc_usable_size allot_malloc_usable_size
#endif

#endif
