/* heap/sample.c - see heap/sample.h. A sample costs its stack and two looks into tables, some microsecond in all, under one lock:
 * at a mean of 512 KiB a thread that has a GiB a second comes by 2000 times.
 *
 *   hash of an address --> samples[], chained            hash of a stack's number --> stacks[], chained
 *
 * A bucket of samples that is empty is seen without the lock; so a big block that is not sampled costs a look as a rule.
 *
 * The peak: each stack keeps what was live of it then, which is copied when it first changes after. So a new one is a number
 * counted up, however many stacks there are.
 */
#include "heap/sample.h"

#include "heap/choice.h"
#include "heap/hard.h"
#include "heap/lease.h"
#include "heap/share.h"
#include "heap/site.h"
#include "heap/tag.h"
#include "os/fault.h"
#include "os/noscan.h"
#include "os/process.h"
#include "probe/usdt.h"
#include "span/map.h"

USDT_SEMAPHORE(otel_memory, alloc);
USDT_SEMAPHORE(otel_memory, free);

enum { STACK_BITS = 14 };

static struct os_lock lock; /* all that follows, and the heaps */
static struct heap heaps[SAMPLE_HEAPS];
struct sample *_Atomic samples[1 << SAMPLE_BITS];
static struct sample_stack *stacks[1 << STACK_BITS];
static struct sample_stack *_Atomic newest;
static struct sample *unused;
static char *room, *room_end; /* for more of both */
static struct sample_sum live, had,
    most; /* of all stacks; when the bytes were most, which was the time of this number: */
static uint64_t peak;
struct sample_total sample_total;
atomic_bool sample_any;

struct heap *sample_heap(unsigned index) { return &heaps[index]; }

bool sample_set(size_t mean)
{
    if (is_hard()) {
        return mean == 0;
    }
    if (mean) {
        atomic_store(&sample_any, true);
    }
    choice_set_sample(mean);
    return true;
}

/* -- the tables; with the lock held -- */

/* Of memory that no leak check looks at: a sample has its block's address. NULL when memory is out. */
static void *make(size_t bytes)
{
    enum { CHUNK = 64 * 1024 };
    if ((size_t)(room_end - room) < bytes) {
        char *chunk = os_map_noscan(CHUNK);
        if (!chunk) {
            return NULL;
        }
        room = chunk;
        room_end = chunk + CHUNK;
    }
    room += bytes;
    return room - bytes;
}

static struct sample *_Atomic *bucket_of(const void *p) { return &samples[sample_hash((uintptr_t)p)]; }

static void put(struct sample *sample)
{
    struct sample *_Atomic *bucket = bucket_of(sample->block);
    sample->next = *bucket;
    atomic_store_explicit(bucket, sample, memory_order_relaxed);
}

static struct sample *take(const void *p)
{
    struct sample *_Atomic *bucket = bucket_of(p);
    struct sample *one = *bucket, *before = NULL;
    for (; one && one->block != p; one = one->next) {
        before = one;
    }
    if (one && before) {
        before->next = one->next;
    } else if (one) {
        atomic_store_explicit(bucket, one->next, memory_order_relaxed);
    }
    return one;
}

static bool may_be_sampled(const void *p) { return atomic_load_explicit(bucket_of(p), memory_order_relaxed) != NULL; }

static struct sample_stack *stack_of(uint32_t number)
{
    struct sample_stack **bucket = &stacks[number * 0x9e3779b1u >> (32 - STACK_BITS)];
    struct sample_stack *one = *bucket;
    while (one && one->number != number) {
        one = one->next;
    }
    if (!one && (one = make(sizeof *one))) {
        one->number = number;
        one->shortest = UINT64_MAX;
        one->peak = peak;
        one->next = *bucket;
        *bucket = one;
        one->older = newest;
        atomic_store_explicit(&newest, one, memory_order_release);
    }
    return one;
}

static struct sample *new_sample(void)
{
    struct sample *one = unused;
    if (one) {
        unused = one->next;
        return one;
    }
    return make(sizeof *one);
}

/* -- sums -- */

static void add(struct sample_sum *sum, const struct sample *sample, double sign)
{
    sum->blocks += sign * sample->weight;
    sum->bytes += sign * sample->weight * (double)sample->bytes;
}

/* Not less than nothing, as a difference of sums may be. */
static uint64_t whole(double x) { return x > 0 ? (uint64_t)x : 0; }

static struct sample_sum live_of(const struct sample_stack *stack)
{
    return (struct sample_sum){stack->had.blocks - stack->freed.blocks, stack->had.bytes - stack->freed.bytes};
}

/* What is live of a stack is about to change. */
static void keep_peak(struct sample_stack *stack)
{
    if (stack->peak != peak) {
        stack->at_peak = live_of(stack);
        stack->peak = peak;
    }
}

static void tell_total(void)
{
    atomic_store_explicit(&sample_total.blocks, (uint64_t)had.blocks, memory_order_relaxed);
    atomic_store_explicit(&sample_total.bytes, (uint64_t)had.bytes, memory_order_relaxed);
    atomic_store_explicit(&sample_total.freed_blocks, whole(had.blocks - live.blocks), memory_order_relaxed);
    atomic_store_explicit(&sample_total.freed_bytes, whole(had.bytes - live.bytes), memory_order_relaxed);
}

static void count_begin(const struct sample *sample)
{
    struct sample_stack *stack = sample->stack;
    keep_peak(stack);
    stack->samples++;
    stack->live++;
    add(&stack->had, sample, 1);
    add(&live, sample, 1);
    add(&had, sample, 1);
    atomic_store_explicit(&sample_total.samples, sample_total.samples + 1, memory_order_relaxed);
    tell_total();
    if (live.bytes > most.bytes) {
        most = live;
        peak++;
    }
}

static void count_end(const struct sample *sample)
{
    struct sample_stack *stack = sample->stack;
    uint64_t lasted = os_nanoseconds() - sample->began;
    keep_peak(stack);
    stack->live--;
    add(&stack->freed, sample, 1);
    add(&live, sample, -1);
    tell_total();
    stack->lifetime += sample->weight * (double)lasted;
    stack->lifetime_squared += sample->weight * (double)lasted * (double)lasted;
    stack->shortest = lasted < stack->shortest ? lasted : stack->shortest;
    stack->longest = lasted > stack->longest ? lasted : stack->longest;
    stack->same_thread += sample->thread == os_thread_id() ? sample->weight : 0;
}

struct sample_stack sample_look(const struct sample_stack *stack)
{
    os_lock(&lock);
    struct sample_stack now = *stack;
    if (now.peak != peak) {
        now.at_peak = live_of(stack);
    }
    os_unlock(&lock);
    return now;
}

/* What a stack has to be listed by: its part of what lives and of what is new. */
static double weight_of(const struct sample_listed *one, const struct sample_sum *living, double new)
{
    return (living->bytes > 0 ? one->live.bytes / living->bytes : 0) + (new > 0 ? one->recent / new : 0);
}

size_t sample_list(struct sample_listed *out, size_t most_listed, size_t *all)
{
    static double before; /* of all, when they were listed last */
    size_t n = 0, least = 0;
    os_lock(&lock);
    struct sample_sum living = live, whole_had = had;
    os_unlock(&lock);
    double new = whole_had.bytes - before;
    before = whole_had.bytes;
    *all = 0;
    for (struct sample_stack *s = atomic_load_explicit(&newest, memory_order_acquire); s; s = s->older, ++*all) {
        os_lock(&lock);
        struct sample_stack now = *s;
        s->listed = now.had.bytes;
        os_unlock(&lock);
        struct sample_listed one = {now.number, now.samples, now.had, live_of(&now), now.had.bytes - now.listed};
        one.live = now.live ? one.live : (struct sample_sum){0, 0};
        if (n < most_listed) {
            out[n++] = one;
        } else if (weight_of(&one, &living, new) > weight_of(&out[least], &living, new)) {
            out[least] = one;
        } else {
            continue;
        }
        for (size_t i = least = 0; i < n; i++) {
            least = weight_of(&out[i], &living, new) < weight_of(&out[least], &living, new) ? i : least;
        }
    }
    return n;
}

const struct sample_stack *sample_stacks(void) { return atomic_load_explicit(&newest, memory_order_acquire); }

/* -- a block's life -- */

/* False when memory is out: the block is one like others then. With the lock held. */
static bool begin(const void *p, size_t bytes, double chance, uint32_t stack)
{
    struct sample_stack *of = stack_of(stack);
    struct sample *one = of ? new_sample() : NULL;
    if (!one) {
        return false;
    }
    *one = (struct sample){.block = p,
                           .bytes = bytes,
                           .weight = 1 / chance,
                           .began = os_nanoseconds(),
                           .thread = os_thread_id(),
                           .stack = of};
    put(one);
    count_begin(one);
    return true;
}

static void tell_alloc(const void *p, size_t bytes, double chance)
{
    if (USDT_WANTED(otel_memory, alloc)) {
        USDT_3(otel_memory, alloc, (uintptr_t)p, bytes, (uint64_t)((double)bytes / chance));
    }
}

static void tell_free(const void *p)
{
    if (USDT_WANTED(otel_memory, free)) {
        USDT_1(otel_memory, free, (uintptr_t)p);
    }
}

/* With the lock held: the record goes back. */
static void finish(struct sample *sample)
{
    count_end(sample);
    sample->next = unused;
    unused = sample;
}

/* The slot as well. */
static void give_back(void *p, struct slab *s)
{
    os_lock(&lock);
    struct heap *h = &heaps[(slab_owner(s) & ID_NUMBER) - COMMONS - 1];
    if (unlikely(slab_owner(s) != h->id)) { /* two have freed its last block */
        allot_fault("double free", "small block", p);
    }
    struct sample *sample = take(p);
    if (sample) {
        finish(sample);
    }
    slab_mark_free(s, p);
    heap_count(h, s, -1);
    if (s->used == 0 || s->level == LEVEL_FULL) {
        heap_settle(h, s);
    }
    os_unlock(&lock);
}

/* Who has others look on does not see that they are gone but here, where it would go on for them. */
static void look_at_lease(void)
{
    if (unlikely(atomic_load_explicit(&lease_until, memory_order_relaxed) != 0)) {
        share_look_at_lease();
    }
}

void *sample_alloc(uint32_t flags, size_t size, double chance, bool *zeroed)
{
    struct heap *h = &heaps[flags & ID_TAGGED ? 1 : 0];
    size_t asked = size - (flags & ID_TAGGED ? TAG_WORD : 0);
    uint32_t stack = site_here();
    struct block *rest = NULL;
    os_lock(&lock);
    struct block *p = heap_refill(h, class_of_size(size_max(size, 1)), 1, &rest, zeroed);
    bool sampled = p && begin(p, asked, chance, stack);
    os_unlock(&lock);
    if (p && !sampled) {
        give_back(p, slab_of(p));
        return NULL;
    }
    if (p) {
        tell_alloc(p, asked, chance);
        look_at_lease();
    }
    return p;
}

void sample_free(void *p, struct slab *s)
{
    tell_free(p);
    tag_free(slab_owner(s), p, slab_stride(s));
    give_back(p, s);
}

void sample_big(const void *p, size_t size, uint32_t heap_id)
{
    double chance;
    size_t bytes = size_max(size, 1);
    if (!choice_one(heap_id, bytes, &chance)) {
        return;
    }
    uint32_t stack = site_here();
    size_t asked = size - (heap_id & ID_TAGGED ? TAG_WORD : 0);
    os_lock(&lock);
    bool sampled = begin(p, asked, chance, stack);
    os_unlock(&lock);
    if (sampled) {
        tell_alloc(p, asked, chance);
        look_at_lease();
    }
}

struct sample *sample_lift_big(const void *p)
{
    if (!may_be_sampled(p)) {
        return NULL;
    }
    os_lock(&lock);
    struct sample *sample = take(p);
    os_unlock(&lock);
    return sample;
}

static void end_big(struct sample *sample)
{
    tell_free(sample->block);
    os_lock(&lock);
    finish(sample);
    os_unlock(&lock);
}

void sample_forget_big(const void *p)
{
    struct sample *sample = sample_lift_big(p);
    if (sample) {
        end_big(sample);
    }
}

void sample_resized(struct sample *sample, const void *p, bool done, size_t size, uint32_t heap_id)
{
    if (!done) {
        if (sample) {
            os_lock(&lock);
            put(sample);
            os_unlock(&lock);
        }
        return;
    }
    if (sample) {
        end_big(sample);
    }
    sample_big(p, size, heap_id);
}

uint32_t sample_stack_of_locked(const void *p)
{
    const struct sample *one = *bucket_of(p);
    while (one && one->block != p) {
        one = one->next;
    }
    return one ? one->stack->number : 0;
}

uint32_t sample_stack_of(const void *p)
{
    uint32_t number = 0;
    if (may_be_sampled(p)) {
        os_lock(&lock);
        number = sample_stack_of_locked(p);
        os_unlock(&lock);
    }
    return number;
}

size_t sample_trim(void)
{
    size_t bytes = 0;
    os_lock(&lock);
    for (unsigned i = 0; i < SAMPLE_HEAPS; i++) {
        heap_retire_current(&heaps[i]);
        bytes += heap_sweep_all(&heaps[i]);
    }
    os_unlock(&lock);
    return bytes;
}

void sample_lock(void) { os_lock(&lock); }

void sample_unlock(void) { os_unlock(&lock); }

void sample_lock_reset(void) { os_lock_reset(&lock); }
