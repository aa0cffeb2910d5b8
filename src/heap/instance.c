/* heap/instance.c - the table of this copy, and which copy is in use. See heap/instance.h. */
#include "heap/instance.h"

#include "os/owned.h"

const struct instance own_instance = {
    .abi = INSTANCE_ABI,
    .malloc = allot_malloc,
    .calloc = allot_calloc,
    .realloc = allot_realloc,
    .free = allot_free,
    .memalign = allot_memalign,
    .usable = allot_malloc_usable_size,
    .try_expand = allot_try_expand,
    .trim = allot_trim,
    .option = allot_option,
    .stats = allot_stats,
    .resident = allot_resident,
    .stats_classes = allot_stats_classes,
    .stats_heaps = allot_stats_heaps,
    .stats_print = allot_stats_print,
    .walk = allot_walk,
    .check = allot_check,
    .fail_after = allot_fail_after,
    .thread_latency = allot_thread_latency,
    .heap_init = allot_heap_init,
    .heap_alloc = allot_heap_alloc,
    .heap_aligned = allot_heap_aligned,
    .heap_free = allot_heap_free,
    .heap_free_sized = allot_heap_free_sized,
    .heap_adopt = allot_heap_adopt,
    .heap_reset = allot_heap_reset,
    .heap_done = allot_heap_done,
    .heap_stats = allot_heap_stats,
    .heap_check = allot_heap_check,
    .tag = allot_tag,
    .tag_soft = allot_tag_soft,
    .tag_enter = allot_tag_enter,
    .stats_tags = allot_stats_tags,
    .pool_init = allot_pool_init,
    .pool_get = allot_pool_get,
    .pool_put = allot_pool_put,
    .put = allot_put,
    .pool_get_many = allot_pool_get_many,
    .pool_reserve = allot_pool_reserve,
    .pool_trim = allot_pool_trim,
    .pool_done = allot_pool_done,
    .pool_stats = allot_pool_stats,
    .pool_walk = allot_pool_walk,
    .pool_check = allot_pool_check,
    .cache_init = allot_cache_init,
    .cache_get = allot_cache_get,
    .cache_put = allot_cache_put,
    .cache_reserve = allot_cache_reserve,
    .cache_trim = allot_cache_trim,
    .cache_done = allot_cache_done,
    .cache_stats = allot_cache_stats,
    .cache_walk = allot_cache_walk,
    .cache_check = allot_cache_check,
    .caches_walk = allot_caches_walk,
    .gc =
        {
            .init = allot_gc_init,
            .done = allot_gc_done,
            .attach = allot_gc_attach,
            .detach = allot_gc_detach,
            .poll = allot_gc_poll,
            .leave = allot_gc_leave,
            .enter = allot_gc_enter,
            .scan_stack = allot_gc_scan_stack,
            .get_slow = allot_gc_get_slow,
            .write_slow = allot_gc_write_slow,
            .give_slow = allot_gc_give_slow,
            .ref = allot_gc_ref,
            .unref = allot_gc_unref,
            .put = allot_gc_put,
            .size_of = allot_gc_size_of,
            .root = allot_gc_root,
            .unroot = allot_gc_unroot,
            .root_words = allot_gc_root_words,
            .collect = allot_gc_collect,
            .step = allot_gc_step,
            .cycles = allot_gc_cycles,
            .finish = allot_gc_finish,
            .leaks = allot_gc_leaks,
            .weak = allot_gc_weak,
            .weak_get = allot_gc_weak_get,
            .ephemeron = allot_gc_ephemeron,
            .ephemeron_key = allot_gc_ephemeron_key,
            .ephemeron_value = allot_gc_ephemeron_value,
            .stats = allot_gc_stats,
            .walk = allot_gc_walk,
            .check = allot_gc_check,
        },
    .mark = allot_mark,
    .recording = allot_recording,
    .sample_rate = allot_sample_rate,
    .sample_write = allot_sample_write,
    .sample_walk = allot_sample_walk,
    .since = allot_since,
    .since_done = allot_since_done,
    .leaks = allot_leaks,
    .snapshot = allot_snapshot,
    .know = os_known_add,
};

extern ALLOT_API const struct instance allot_instance __attribute__((alias("own_instance")));

const struct instance *_Atomic instance_chosen;

const struct instance *instance_choose(void)
{
    const struct instance *first = instance_find();
    const struct instance *none = NULL;
    first = first ? first : &own_instance;
    if (atomic_compare_exchange_strong(&instance_chosen, &none, first) && first != &own_instance) {
        first->know(&os_known);
    }
    return first;
}
