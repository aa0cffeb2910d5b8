/* heap/malloc.c - the family: allot_malloc, allot_free and their kin over the calling thread's heap.
 *
 * A thread without a heap takes from the commons; what it frees goes the way of any foreign block.
 */
#include <errno.h>
#include <string.h>

#include <allot/malloc.h>

#include "heap/fast.h"
#include "heap/hard.h"
#include "heap/instance.h"
#include "heap/nothing.h"
#include "heap/part.h"
#include "heap/recording.h"
#include "heap/sample.h"
#include "heap/share.h"
#include "heap/site.h"
#include "heap/tag.h"
#include "heap/typed.h"
#include "os/fault.h"
#include "os/memory.h"
#include "os/watch.h"
#include "span/large.h"
#include "span/run.h"

/* Past its end a thread has nobody to give back what it has at hand. */
static void *alloc_without_heap(struct front *lists, size_t size, bool *zeroed)
{
    if (size <= SMALL_MAX && !front.ended) {
        return heap_alloc_small(NULL, lists, size, zeroed);
    }
    void *p = heap_alloc_little(size, NULL, zeroed);
    site_note_slot(p, *zeroed);
    return p;
}

void *untold_take(size_t size, size_t align, bool *zeroed)
{
    if (unlikely(front.tag != NULL)) {
        return tag_alloc(size, align, zeroed);
    }
    struct heap *h = likely(front.heap != NULL) ? front.heap : heap_attach();
    struct front *lists = front.recorder ? front.aside : &front;
    if (is_hard()) {
        return hard_alloc(h, 0, size, align, zeroed);
    }
    if (unlikely(size > SLAB_MAX || align > SLAB_MAX)) {
        return big_alloc(size, align, 0, zeroed);
    }
    size = align > 16 ? size_when_aligned(size, align) : size;
    return likely(h != NULL) ? heap_alloc(h, lists, size, align > 16, zeroed) : alloc_without_heap(lists, size, zeroed);
}

void *slow_malloc(size_t size)
{
    bool zeroed;
    if (likely(is_open(front.heap_id) && size <= SLAB_MAX && !front.tag)) { /* a copy that forwards never has a heap */
        return heap_alloc(front.heap, &front, size, false, &zeroed);
    }
    if (front.recorder) {
        return recorded_malloc(size);
    }
    if (front.hard) {
        return hard_malloc(size);
    }
    const struct instance *first = front.tag ? NULL : instance_in_use(); /* nor a tag */
    if (unlikely(first != NULL)) {
        return first->malloc(size);
    }
    return is_recorded() ? recorded_malloc(size) : untold_take(size, 1, &zeroed);
}

void untold_free(void *p)
{
    if (is_hard()) {
        hard_free(p);
    } else if (is_big(p)) {
        big_free(p);
    } else {
        remote_free(p, slab_of(p));
    }
}

void slow_free(void *p)
{
    if (front.recorder) {
        recorded_free(p);
        return;
    }
    if (front.hard) {
        hard_free(p);
        return;
    }
    if (!p) {
        return;
    }
    const struct instance *first = instance_in_use();
    if (unlikely(first)) {
        first->free(p);
    } else if (is_recorded()) {
        recorded_free(p);
    } else if (!begins_large(p) && slab_owner(slab_of(p)) == front.heap_id) {
        fast_free(p);
    } else {
        untold_free(p);
    }
}

void *allot_malloc(size_t size) { return fast_malloc(size); }

void allot_free(void *p) { fast_free(p); }

void *untold_zero(void *p, size_t total, bool zeroed)
{
    if (!zeroed) {
        return memset(p, 0, total);
    }
    watch_defined(p, total);
    if (total <= SLAB_MAX && !is_hard()) {
        ((struct block *)p)->next = NULL; /* the link is all that was written there */
    }
    return p;
}

void *allot_calloc(size_t n, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(n, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    if (unlikely(!is_open(front.heap_id))) {
        const struct instance *first = instance_in_use();
        if (unlikely(first)) {
            return first->calloc(n, size);
        }
        if (is_recorded()) {
            return recorded_calloc(total);
        }
    }
    bool zeroed;
    void *p = untold_take(total, 1, &zeroed);
    return likely(p != NULL) ? untold_zero(p, total, zeroed) : NULL;
}

void allot_free_sized(void *p, size_t size) { allot_free_aligned_sized(p, 1, size); }

void allot_free_aligned_sized(void *p, size_t align, size_t size)
{
    if (is_hard() && p) {
        hard_expect_size(p, align, size);
    }
    fast_free(p);
}

/* `align` is a power of two. */
static void *take_aligned(size_t align, size_t size)
{
    if (align <= 16) {
        return fast_malloc(size);
    }
    bool zeroed;
    if (likely(size <= SLAB_MAX && align <= SLAB_MAX && is_open(front.heap_id) && !front.tag)) {
        return heap_alloc(front.heap, &front, size_when_aligned(size, align), true, &zeroed);
    }
    if (size > PTRDIFF_MAX || align > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    const struct instance *first = instance_in_use();
    if (unlikely(first)) {
        return first->memalign(align, size);
    }
    return is_recorded() ? recorded_aligned(align, size) : untold_take(size, align, &zeroed);
}

void *allot_aligned_alloc(size_t align, size_t size)
{
    if (!is_power_of_2(align)) {
        errno = EINVAL;
        return NULL;
    }
    return take_aligned(align, size);
}

int allot_posix_memalign(void **out, size_t align, size_t size)
{
    if (!is_power_of_2(align) || align % sizeof(void *) != 0) {
        return EINVAL;
    }
    int saved = errno;
    void *p = take_aligned(align, size);
    errno = saved;
    if (!p) {
        return ENOMEM;
    }
    *out = p;
    return 0;
}

void *allot_memalign(size_t align, size_t size)
{
    if (align > SIZE_MAX / 2 + 1) {
        errno = EINVAL;
        return NULL;
    }
    if (!is_power_of_2(align)) {
        align = align == 0 ? 1 : (size_t)2 << log2_floor(align);
    }
    return take_aligned(align, size);
}

void *allot_valloc(size_t size)
{
    os_memory_init();
    return take_aligned(os_page, size);
}

void *allot_pvalloc(size_t size)
{
    os_memory_init();
    if (size > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    return take_aligned(os_page, align_up(size, os_page));
}

size_t allot_malloc_usable_size(const void *p)
{
    const struct instance *first = instance_in_use();
    if (unlikely(first)) {
        return first->usable(p);
    }
    return !p ? 0 : is_hard() ? hard_usable(p, "size of what is no live block") : block_usable(p);
}

bool untold_expand(void *p, size_t size)
{
    static const char crime[] = "expansion of what is no live block";
    size_t usable = is_hard() ? hard_usable(p, crime) : block_usable(p);
    if (unlikely(usable == 0 && !is_hard())) {
        block_is_none(crime, p);
    }
    if (unlikely(parts_exist()) && is_big(p)) {
        part_expect_none(crime, p);
    }
    return size <= usable || (is_hard() && !is_big(p) && hard_resize(p, size)) ||
           (is_big(p) && size <= PTRDIFF_MAX && big_resize(p, size));
}

bool allot_try_expand(void *p, size_t size)
{
    const struct instance *first = instance_in_use();
    if (unlikely(first)) {
        return first->try_expand(p, size);
    }
    return is_recorded() ? recorded_expand(p, size) : untold_expand(p, size);
}

void *untold_malloc(size_t size)
{
    bool zeroed;
    return unlikely(front.recorder != NULL) ? untold_take(size, 1, &zeroed) : fast_malloc(size);
}

static void *move(void *p, size_t old, size_t size)
{
    void *moved = unlikely(tags_exist()) && !is_nothing(p) ? tag_alloc_like(p, size) : untold_malloc(size);
    if (!moved) {
        return NULL;
    }
    memcpy(moved, p, size_min(old, size));
    if (unlikely(front.recorder != NULL)) {
        untold_free(p);
    } else {
        fast_free(p);
    }
    return moved;
}

static void *realloc_big(void *p, size_t old, size_t size)
{
    bool is_large = begins_large(p);
    /* A large block stays one down to half the longest run; a run stays one down to the longest slot. */
    if (size > (is_large ? RUN_MAX / 2 : SLAB_MAX) && big_resize(p, size)) {
        return p;
    }
    if (is_large && size > RUN_MAX) {
        void *moved = big_move(p, size);
        if (moved) {
            return moved;
        }
    }
    return move(p, old, size);
}

void *untold_realloc(void *p, size_t size)
{
    if (unlikely(size > PTRDIFF_MAX)) {
        errno = ENOMEM;
        return NULL;
    }
    static const char crime[] = "realloc of what is no live block";
    size_t old = is_hard() ? hard_usable(p, crime) : block_usable(p);
    if (unlikely(old == 0 && !is_hard())) {
        block_is_none(crime, p);
    }
    if (unlikely(is_big(p))) {
        if (unlikely(parts_exist())) {
            part_expect_none(crime, p);
        }
        void *now = realloc_big(p, old, size);
        /* A block that was to shrink can stay as it is. */
        return now || size > old ? now : p;
    }
    if (is_hard() ? hard_resize(p, size) : size <= old && (size >= old / 2 || old <= 16)) {
        return p;
    }
    void *now = move(p, old, size);
    return now || size > old ? now : p;
}

void *allot_realloc(void *p, size_t size)
{
    if (!p) {
        return fast_malloc(size);
    }
    if (size == 0) {
        fast_free(p);
        return NULL;
    }
    if (unlikely(!is_open(front.heap_id))) {
        const struct instance *first = instance_in_use();
        if (unlikely(first)) {
            return first->realloc(p, size);
        }
        if (is_recorded()) {
            return recorded_realloc(p, size);
        }
    }
    return untold_realloc(p, size);
}

void *allot_reallocarray(void *p, size_t n, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(n, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return allot_realloc(p, total);
}

static size_t trim_own(struct heap *h)
{
    if (!h) {
        return 0;
    }
    remote_drain(h, SIZE_MAX);
    heap_retire_current(h);
    return heap_sweep_all(h);
}

size_t allot_trim(void)
{
    const struct instance *first = instance_in_use();
    if (unlikely(first)) {
        return first->trim();
    }
    heap_init();
    heap_flush_front();
    size_t bytes = trim_own(front.heap) + trim_own(front.tagged);
    bytes += commons_trim() + sample_trim() + heaps_trim() + typed_trim() + big_give_up();
    bytes += segments_trim();
    share_note();
    share_poll();
    return bytes;
}

bool allot_thread_latency(bool on)
{
    const struct instance *first = instance_in_use();
    if (unlikely(first)) {
        return first->thread_latency(on);
    }
    bool was = in_haste;
    in_haste = on;
    return was;
}

void allot_fail_after(long n)
{
    const struct instance *first = instance_in_use();
    if (unlikely(first)) {
        first->fail_after(n);
    } else {
        os_fail_after(n);
    }
}
