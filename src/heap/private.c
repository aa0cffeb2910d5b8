/* heap/private.c - first-class heaps: a heap that no thread's malloc uses. See include/allot/heap.h.
 *
 * It is the same structure as a thread's heap, with a front of its own instead of the thread's. Runs and large blocks
 * carry its id, so that reset finds them. With two_level the STL's lists stand in front, and it is their malloc.
 */
#include <errno.h>
#include <string.h>

#include <allot/heap.h>

#include "heap/hard.h"
#include "heap/heap.h"
#include "heap/instance.h"
#include "heap/recording.h"
#include "heap/tag.h"
#include "heap/two_level.h"
#include "heap/typed.h"
#include "os/fault.h"
#include "os/watch.h"
#include "span/large.h"
#include "span/run.h"

/* What allot_heap.state points to: a record that stays with its heap when that is done and serves the next. */
struct private
{
    struct front front; /* the heap's */
    struct heap *heap;
    struct allot_heap_opts opts;
    struct two_level lists; /* with opts.two_level */
};

static struct private *of(const struct allot_heap *heap)
{
    if (unlikely(!heap->state)) {
        allot_fault("use of a heap that was not initialised, or is done", "heap", heap);
    }
    return heap->state;
}

const struct heap *heap_of_private(const struct allot_heap *heap) { return of(heap)->heap; }

static void *alloc_untold(struct heap *h, size_t align, size_t size)
{
    bool zeroed;
    if (unlikely(h->tag != NULL)) {
        return tag_alloc_private(h, size, align);
    }
    if (is_hard() ? hard_slot_size(size, align) == 0 : size > SLAB_MAX || align > SLAB_MAX) {
        void *p = big_alloc(size, align, h->id, &zeroed);
        h->big += p != NULL;
        return p;
    }
    if (is_hard()) {
        return hard_alloc(h, h->id, size, align, &zeroed);
    }
    bool aligned = align > 16;
    return heap_alloc(h, h->front, aligned ? size_when_aligned(size, align) : size, aligned, &zeroed);
}

/* A block of any size of the heap itself. What the lists cut out of one is not recorded: the block is. */
static void *alloc(struct heap *h, size_t align, size_t size)
{
    void *p = alloc_untold(h, align, size);
    recording_tell_made(p, align, size);
    return p;
}

/* The STL's first level: malloc, and again as long as the handler says that it has freed something. */
static void *first_level(struct private *own, size_t align, size_t size)
{
    void *p;
    while (!(p = alloc(own->heap, align, size)) && own->opts.out_of_memory && own->opts.out_of_memory(own->opts.arg)) {
    }
    return p;
}

/* The STL asks malloc once before it looks through its lists; only then is the handler called. */
static void *chunk(void *arg, size_t size) { return alloc(((struct private *)arg)->heap, 16, size); }

/* Lists that are linked through free blocks are no good in a hardened process; there malloc alone serves. */
static bool has_lists(const struct private *own) { return own->opts.two_level && !own->opts.malloc_only && !is_hard(); }

int allot_heap_init(struct allot_heap *heap, const struct allot_heap_opts *opts)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->heap_init(heap, opts);
    }
    static const struct allot_heap_opts defaults;
    opts = opts ? opts : &defaults;
    heap->state = NULL;
    if (!opts->two_level && (opts->malloc_only || opts->out_of_memory)) {
        return -EINVAL;
    }
    int saved = errno;
    bool placed = !opts->tag || !fenced() || typed_heap(opts->tag);
    struct heap *h = placed ? heap_make_private(sizeof(struct private), false) : NULL;
    errno = saved;
    if (!h) {
        return -ENOMEM;
    }
    struct private *own = (struct private *)h->front;
    own->heap = h;
    own->opts = *opts;
    h->tag = opts->tag;
    own->lists = (struct two_level){.malloc = chunk, .arg = own};
    heap->state = own;
    return 0;
}

static void expect_mine(const struct allot_heap *heap)
{
    if (unlikely(!heap_is_mine(of(heap)->heap))) {
        allot_fault("use by a thread that has not adopted it", "heap", heap);
    }
}

void *allot_heap_alloc(struct allot_heap *heap, size_t size)
{
    const struct instance *first = instance_in_use();
    if (unlikely(first)) {
        return first->heap_alloc(heap, size);
    }
    expect_mine(heap);
    struct private *own = of(heap);
    if (!own->opts.two_level) {
        return alloc(own->heap, 16, size);
    }
    size = size_max(size, 1);
    if (!has_lists(own) || size > TWO_LEVEL_MAX) {
        return first_level(own, 16, size);
    }
    void *p;
    while (!(p = two_level_alloc(&own->lists, size)) && own->opts.out_of_memory &&
           own->opts.out_of_memory(own->opts.arg)) {
    }
    if (!p) {
        errno = ENOMEM;
    }
    return p;
}

void *allot_heap_aligned(struct allot_heap *heap, size_t align, size_t size)
{
    const struct instance *first = instance_in_use();
    if (unlikely(first)) {
        return first->heap_aligned(heap, align, size);
    }
    expect_mine(heap);
    if (!is_power_of_2(align)) {
        errno = EINVAL;
        return NULL;
    }
    if (size > PTRDIFF_MAX || align > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    struct private *own = of(heap);
    if (has_lists(own) && size <= TWO_LEVEL_MAX) {
        if (align <= TWO_LEVEL_STEP) {
            return allot_heap_alloc(heap, size);
        }
        errno = EINVAL;
        return NULL;
    }
    return first_level(own, align, size);
}

void allot_heap_free(struct allot_heap *heap, void *p)
{
    const struct instance *first = instance_in_use();
    if (unlikely(first)) {
        first->heap_free(heap, p);
        return;
    }
    if (!p) {
        return;
    }
    struct private *own = of(heap);
    if (has_lists(own)) {
        allot_fault("free without a size, which a two-level heap does not record", "block", p);
    }
    allot_free(p);
}

void allot_heap_free_sized(struct allot_heap *heap, void *p, size_t size)
{
    const struct instance *first = instance_in_use();
    if (unlikely(first)) {
        first->heap_free_sized(heap, p, size);
        return;
    }
    if (!p) {
        return;
    }
    struct private *own = of(heap);
    size = size_max(size, 1);
    if (has_lists(own) && size <= TWO_LEVEL_MAX) {
        (heap_is_mine(own->heap) ? two_level_free : two_level_return)(&own->lists, p, size);
    } else {
        allot_free(p);
    }
}

int allot_heap_adopt(struct allot_heap *heap)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->heap_adopt(heap);
    }
    heap_make_mine(of(heap)->heap);
    return 0;
}

/* -- what a heap holds -- */

static void walk_slabs(const struct heap *h, void (*visit)(const struct slab *s, void *arg), void *arg)
{
    for (unsigned c = 0; c < ALL_CLASSES; c++) {
        const struct heap_class *class = &h->classes[c];
        if (class->current) {
            visit(class->current, arg);
        }
        for (unsigned l = 0; l <= LEVELS; l++) {
            for (const struct slab *s = class->list[l]; s; s = s->next) {
                visit(s, arg);
            }
        }
    }
}

/* Visits others' too. */
static void walk_big(const struct heap *h, int (*visit)(void *p, size_t bytes, uint32_t heap, void *arg), void *arg)
{
    runs_lock();
    for (struct segment *segment = segments_newest(); segment && h->big; segment = segment->older) {
        if (segment->kind == SEGMENT_RUNS) {
            runs_walk(segment, visit, arg);
        }
    }
    runs_unlock();
    large_lock();
    large_walk(visit, arg);
    large_unlock();
}

/* -- the end -- */

static int wipe_big(void *p, size_t bytes, uint32_t heap, void *arg)
{
    const struct heap *h = arg;
    if (heap == h->id) {
        big_wipe(p, bytes);
    }
    return 0;
}

static void unwatch_slab(const struct slab *s, void *arg)
{
    (void)arg;
    uint64_t live[BITMAP_WORDS];
    heap_mark_live(s, live);
    for (unsigned w = 0; w < slab_words(s); w++) {
        for (uint64_t bits = live[w]; bits; bits &= bits - 1) {
            seal_unwatch(slab_slot(s, w * 64 + lowest_bit(bits)), slab_stride(s));
        }
    }
}

static void tell_slab(const struct slab *s, void *arg)
{
    (void)arg;
    uint64_t live[BITMAP_WORDS];
    heap_mark_live(s, live);
    for (unsigned w = 0; w < slab_words(s); w++) {
        for (uint64_t bits = live[w]; bits; bits &= bits - 1) {
            recording_tell_free(slab_slot(s, w * 64 + lowest_bit(bits)));
        }
    }
}

static int tell_big(void *p, size_t bytes, uint32_t heap, void *arg)
{
    (void)bytes;
    const struct heap *h = arg;
    if (heap == h->id) {
        recording_tell_free(p);
    }
    return 0;
}

static void release_everything(struct heap *h)
{
    if (front.recorder) {
        walk_slabs(h, tell_slab, NULL);
        walk_big(h, tell_big, h);
    }
    if (watched()) {
        walk_slabs(h, unwatch_slab, NULL);
    }
    if (sealed()) {
        walk_big(h, wipe_big, h);
    }
    remote_forget(h);
    memset(h->front, 0, sizeof *h->front);
    memset(h->mid, 0, sizeof h->mid);
    h->mid_zeroed[0] = h->mid_zeroed[1] = 0;
    heap_release_all(h);
    if (h->big) {
        big_free_all(h->id);
        h->big = 0;
    }
    if (h->tag) {
        tag_give(h->tag, atomic_exchange_explicit(&h->charged, 0, memory_order_relaxed));
    }
}

void allot_heap_reset(struct allot_heap *heap)
{
    const struct instance *first = instance_in_use();
    if (first) {
        first->heap_reset(heap);
        return;
    }
    expect_mine(heap);
    struct private *own = of(heap);
    release_everything(own->heap);
    own->lists = (struct two_level){.malloc = chunk, .arg = own};
}

void allot_heap_done(struct allot_heap *heap)
{
    const struct instance *first = instance_in_use();
    if (first) {
        first->heap_done(heap);
        return;
    }
    expect_mine(heap);
    struct heap *h = of(heap)->heap;
    release_everything(h);
    heap_free_private(h);
    heap->state = NULL;
}

/* -- figures -- */

struct big_sum {
    uint32_t id;
    struct allot_stats *out;
};

static int add_big(void *p, size_t bytes, uint32_t heap, void *arg)
{
    struct big_sum *sum = arg;
    if (heap == sum->id) {
        bool large = begins_large(p);
        sum->out->live += bytes;
        sum->out->mapped += bytes;
        sum->out->blocks++;
        *(large ? &sum->out->large : &sum->out->runs) += bytes;
        *(large ? &sum->out->large_blocks : &sum->out->run_blocks) += 1;
    }
    return 0;
}

static void add_slab(const struct slab *s, void *arg)
{
    struct allot_stats *out = arg;
    uint64_t live[BITMAP_WORDS];
    heap_mark_live(s, live);
    size_t blocks = 0;
    for (unsigned w = 0; w < slab_words(s); w++) {
        blocks += count_bits(live[w]);
    }
    out->blocks += blocks;
    out->live += blocks * slab_stride(s);
    out->mapped += UNIT_SIZE;
}

void allot_heap_stats(struct allot_heap *heap, struct allot_stats *out)
{
    const struct instance *first = instance_in_use();
    if (first) {
        first->heap_stats(heap, out);
        return;
    }
    expect_mine(heap);
    const struct heap *h = of(heap)->heap;
    *out = (struct allot_stats){0};
    walk_slabs(h, add_slab, out);
    walk_big(h, add_big, &(struct big_sum){h->id, out});
}

bool allot_heap_check(struct allot_heap *heap)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->heap_check(heap);
    }
    expect_mine(heap);
    heap_check(of(heap)->heap);
    return !has_lists(of(heap)) || two_level_check(&of(heap)->lists);
}
