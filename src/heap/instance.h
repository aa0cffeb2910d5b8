/* heap/instance.h - one heap a process, however many copies of this code are in it.
 *
 * The drop-in may be preloaded into a program that has the toolkit linked in, shared or static. The toolkit's copy then
 * binds to the drop-in's on its first call: its threads never get lists or ids of their own, so every call takes the
 * slow path there, and that forwards. Fast paths know nothing of it.
 */
#ifndef HEAP_INSTANCE_H
#define HEAP_INSTANCE_H

#include <stdatomic.h>

#include <allot/cache.h>
#include <allot/gc.h>
#include <allot/heap.h>
#include <allot/malloc.h>
#include <allot/pool.h>
#include <allot/record.h>
#include <allot/sample.h>
#include <allot/snapshot.h>
#include <allot/tag.h>

/* Changes with the layout of segments, slabs and this table: copies of different numbers cannot share a process. */
#define INSTANCE_ABI 9

struct os_known;

struct instance_gc {
    int (*init)(struct allot_gc *, enum allot_gc_kind, const struct allot_gc_opts *);
    void (*done)(struct allot_gc *);
    int (*attach)(struct allot_gc *, struct allot_gc_mutator *);
    void (*detach)(struct allot_gc_mutator *);
    void (*poll)(struct allot_gc_mutator *);
    void (*leave)(struct allot_gc_mutator *);
    void (*enter)(struct allot_gc_mutator *);
    void (*scan_stack)(struct allot_gc_mutator *, void *);
    void *(*get_slow)(struct allot_gc_mutator *, const struct allot_gc_type *, size_t);
    void (*write_slow)(struct allot_gc_mutator *, void *, void **, void *);
    void (*give_slow)(struct allot_gc_mutator *, void *, void **, void *);
    void *(*ref)(struct allot_gc_mutator *, void *);
    void (*unref)(struct allot_gc_mutator *, void *);
    void (*put)(struct allot_gc_mutator *, void *);
    size_t (*size_of)(const void *);
    int (*root)(struct allot_gc *, void *, size_t);
    void (*unroot)(struct allot_gc *, void *);
    int (*root_words)(struct allot_gc *, void *, size_t);
    size_t (*collect)(struct allot_gc_mutator *);
    bool (*step)(struct allot_gc_mutator *, uint64_t);
    size_t (*cycles)(struct allot_gc_mutator *, size_t);
    size_t (*finish)(struct allot_gc_mutator *, size_t);
    int (*leaks)(struct allot_gc_mutator *, int (*)(void *, const struct allot_gc_type *, size_t, void *), void *);
    void *(*weak)(struct allot_gc_mutator *, void *);
    void *(*weak_get)(struct allot_gc_mutator *, void *);
    void *(*ephemeron)(struct allot_gc_mutator *, void *, void *);
    void *(*ephemeron_key)(struct allot_gc_mutator *, void *);
    void *(*ephemeron_value)(struct allot_gc_mutator *, void *);
    void (*stats)(struct allot_gc *, struct allot_gc_stats *);
    int (*walk)(struct allot_gc_mutator *, int (*)(void *, const struct allot_gc_type *, size_t, void *), void *);
    bool (*check)(struct allot_gc_mutator *);
};

struct instance {
    unsigned abi;
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    void *(*memalign)(size_t, size_t);
    size_t (*usable)(const void *);
    bool (*try_expand)(void *, size_t);
    size_t (*trim)(void);
    int (*option)(const char *, const char *);
    void (*stats)(struct allot_stats *);
    size_t (*resident)(void);
    size_t (*stats_classes)(struct allot_class_stats *, size_t);
    size_t (*stats_heaps)(struct allot_heap_stats *, size_t);
    int (*stats_print)(int, bool);
    int (*walk)(int (*)(void *, size_t, void *), void *);
    bool (*check)(void);
    void (*fail_after)(long);
    bool (*thread_latency)(bool);
    int (*heap_init)(struct allot_heap *, const struct allot_heap_opts *);
    void *(*heap_alloc)(struct allot_heap *, size_t);
    void *(*heap_aligned)(struct allot_heap *, size_t, size_t);
    void (*heap_free)(struct allot_heap *, void *);
    void (*heap_free_sized)(struct allot_heap *, void *, size_t);
    int (*heap_adopt)(struct allot_heap *);
    void (*heap_reset)(struct allot_heap *);
    void (*heap_done)(struct allot_heap *);
    void (*heap_stats)(struct allot_heap *, struct allot_stats *);
    bool (*heap_check)(struct allot_heap *);
    struct allot_tag *(*tag)(const char *, size_t);
    void (*tag_soft)(struct allot_tag *, size_t, allot_tag_callback *, void *);
    struct allot_tag *(*tag_enter)(struct allot_tag *);
    size_t (*stats_tags)(struct allot_tag_stats *, size_t);
    int (*pool_init)(struct allot_pool *, size_t, const struct allot_pool_opts *);
    void *(*pool_get)(struct allot_pool *);
    void (*pool_put)(struct allot_pool *, void *);
    void (*put)(void *);
    size_t (*pool_get_many)(struct allot_pool *, void **, size_t);
    int (*pool_reserve)(struct allot_pool *, size_t);
    size_t (*pool_trim)(struct allot_pool *);
    void (*pool_done)(struct allot_pool *);
    void (*pool_stats)(struct allot_pool *, struct allot_pool_stats *);
    int (*pool_walk)(struct allot_pool *, int (*)(void *, void *), void *);
    bool (*pool_check)(struct allot_pool *);
    int (*cache_init)(struct allot_cache *, size_t, const struct allot_cache_opts *);
    void *(*cache_get)(struct allot_cache *);
    void (*cache_put)(struct allot_cache *, void *);
    int (*cache_reserve)(struct allot_cache *, size_t);
    size_t (*cache_trim)(struct allot_cache *);
    void (*cache_done)(struct allot_cache *);
    void (*cache_stats)(struct allot_cache *, struct allot_cache_stats *);
    int (*cache_walk)(struct allot_cache *, int (*)(void *, void *), void *);
    bool (*cache_check)(struct allot_cache *);
    int (*caches_walk)(int (*)(struct allot_cache *, const char *, void *), void *);
    struct instance_gc gc;
    void (*mark)(const char *);
    bool (*recording)(void);
    int (*sample_rate)(size_t);
    int (*sample_write)(int, enum allot_sample_format);
    int (*sample_walk)(int (*)(const struct allot_sample_stack *, void *), void *);
    struct allot_since *(*since)(void);
    void (*since_done)(struct allot_since *);
    int (*leaks)(const struct allot_leaks_opts *, struct allot_leaks *);
    int (*snapshot)(const char *);
    void (*know)(struct os_known *);
};

/* This copy's table; others find it under the exported name allot_instance. That name may not be used in here: where a
 * second copy is, the dynamic linker makes it mean the other's. */
extern const struct instance own_instance __attribute__((visibility("hidden")));

/* The copy in use, NULL until the first call asks: this one's own table when it is the heap. */
extern const struct instance *_Atomic instance_chosen;
const struct instance *instance_choose(void) __attribute__((cold));

/* The copy that this one is bound to, or NULL when this one is the heap. */
static inline const struct instance *instance_in_use(void)
{
    const struct instance *chosen = atomic_load_explicit(&instance_chosen, memory_order_acquire);
    if (__builtin_expect(!chosen, 0)) {
        chosen = instance_choose();
    }
    return chosen == &own_instance ? NULL : chosen;
}

/* Looks for a copy that came first; NULL when there is none, or it is this one. One of two: the drop-in comes first by
 * nature (preload/instance.c), the toolkit asks the dynamic linker (heap/bind.c). */
const struct instance *instance_find(void);

#endif
