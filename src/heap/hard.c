/* heap/hard.c - see heap/hard.h. O(1) but for what sealing costs; a quarantine holds back as many bytes of each class and thread
 * as it says, or one block. */
#include "heap/hard.h"

#include <errno.h>
#include <string.h>

#include "heap/checks.h"
#include "heap/crime.h"
#include "heap/nothing.h"
#include "heap/part.h"
#include "heap/share.h"
#include "heap/tag.h"
#include "heap/typed.h"
#include "os/fault.h"
#include "os/fence.h"
#include "os/memory.h"
#include "os/process.h"
#include "os/watch.h"
#include "span/map.h"

static const char *const kind = "small block";

static uint64_t no_slots;

void hard_begin(void)
{
    enum { WATCHED_REDZONE = 16, WATCHED_QUARANTINE = 256 * KIB };
    if (hardening.filled || hardening.quarantine) {
        hardening.redzone =
            size_max(hardening.redzone, SEAL_BYTES); /* seals say what is filled, and what is held back */
    }
    if (!hardening.unwatched) {
        os_watch();
    }
    if (os_watched) {
        hardening.redzone = size_max(hardening.redzone, WATCHED_REDZONE);
        hardening.quarantine = size_max(hardening.quarantine, WATCHED_QUARANTINE);
        hardening.level = (unsigned)size_min(hardening.level, 2); /* who watches knows better than fences */
    }
    slab_unlinked = hardening.level || hardening.redzone;
    if (slab_unlinked) {
        if (!os_watched) {
            crime_watch();
        }
        seal_init();
    }
    if (fenced()) {
        os_fence_init();
        segments_fenced = true;
    }
}

struct hard *hard_make(uint32_t heap)
{
    struct hard *hard = record_alloc(sizeof *hard);
    if (hard) {
        hard->id = heap;
        unsigned char key[32];
        os_secret(key, sizeof key);
        random_begin(&hard->random, key);
        for (unsigned c = 0; c < CLASSES; c++) {
            hard->hand[c] = (struct hand){.word = &no_slots, .random = random_byte(&hard->random)};
        }
    }
    return hard;
}

void hard_let_go(struct heap *h, unsigned c)
{
    h->hard->hand[c] = (struct hand){.word = &no_slots, .random = h->hard->hand[c].random};
}

/* -- taking -- */

size_t hard_slot_size(size_t size, size_t align)
{
    if (size > SLAB_MAX || align > SLAB_MAX) {
        return 0;
    }
    size += hardening.redzone;
    size = align > 16 ? size_when_aligned(size, align) : size_max(size, 1);
    return size <= SLAB_MAX ? class_size(class_of_size(size)) : 0;
}

/* How many fresh slots are opened at a time, so that one of them can be taken at random: many cost pages. */
static unsigned window(size_t stride)
{
    enum { PAGE = 4096, FEW = 4, ALL = 64 };
    return hardening.level > 1 ? ALL : (unsigned)size_max(PAGE / stride, FEW);
}

/* Free slots in hand, a bit each; 0 with memory out. */
static uint64_t __attribute__((noinline)) refill(struct heap *h, unsigned c)
{
    struct hand *hand = &h->hard->hand[c];
    struct heap_class *class = &h->classes[c];
    if (h == front.heap || h == front.tagged) { /* else the caller may hold a lock */
        share_poll();
    }
    checks_refill(h);
    if (sweep_is_due(h)) {
        heap_sweep(h);
    }
    for (bool looked = false;; looked = true) {
        struct slab *s = class->current;
        if (s) {
            heap_sync(h, s);
            slab_arm(s, TRIP_NEVER);
            uint32_t random = hardening.level > 1 ? (uint32_t)random_word(&h->hard->random) : 0;
            int filled =
                looked || !heap_should_replace(h, class) ? slab_take_hand(s, hand, window(class->stride), random) : -1;
            if (filled >= 0) {
                class->swept.filled += (unsigned)filled;
                return *hand->word & hand->allowed;
            }
        }
        if (!heap_replace_current(h, c) && !heap_begin_current(h, c)) {
            return 0;
        }
    }
}

static inline void *take(struct hard *hard, struct hand *hand, uint64_t free)
{
    return slab_take_by_hand(hand, free, random_byte(&hard->random));
}

static void *__attribute__((noinline)) take_more(struct heap *h, unsigned c)
{
    struct hand *hand = &h->hard->hand[c];
    uint64_t free = *hand->word & hand->allowed;
    free = free ? free : slab_turn_hand(hand);
    free = free ? free : refill(h, c);
    return likely(free != 0) ? take(h->hard, hand, free) : NULL;
}

void *hard_malloc(size_t size)
{
    struct hard *hard = front.hard;
    bool zeroed;
    if (unlikely(size - 1 >= SMALL_MAX - SEAL_BYTES || hardening.redzone > SEAL_BYTES)) {
        return hard_alloc(front.heap, 0, size, 1, &zeroed);
    }
    unsigned c = (unsigned)((size + hardening.redzone - 1) / 16);
    struct hand *hand = &hard->hand[c];
    uint64_t free = *hand->word & hand->allowed;
    void *p = likely(free != 0) ? take(hard, hand, free) : take_more(front.heap, c);
    if (sealed() && likely(p != NULL)) {
        slab_fetch_next(hand);
        seal_begin(p, class_size(c), size, kind);
    }
    return likely(p != NULL) ? p : hard_alloc(front.heap, 0, size, 1, &zeroed);
}

/* For a thread without a heap. */
static void *take_common(size_t slot)
{
    bool zeroed;
    struct block *b = commons_alloc(slot, NULL, &zeroed);
    return b && sealed() ? memset(b, 0, slab_stride(slab_of(b))) : b;
}

void *hard_alloc(struct heap *h, uint32_t id, size_t size, size_t align, bool *zeroed)
{
    size_t slot = hard_slot_size(size, align);
    if (unlikely(size == 0) && fenced() && align <= 16 && id == 0) {
        void *nothing = nothing_alloc();
        *zeroed = true;
        if (nothing) {
            return nothing;
        }
    }
    if (unlikely(slot == 0)) {
        return big_alloc(size, align, id, zeroed);
    }
    unsigned c = class_of_size(slot);
    void *p = likely(h != NULL) ? take_more(h, c) : take_common(slot);
    if (unlikely(!p) && h) { /* what waits may serve */
        hard_flush(h);
        p = take_more(h, c);
    }
    *zeroed = sealed() && !hardening.filled;
    if (unlikely(!p)) {
        errno = ENOMEM;
    } else if (sealed()) {
        seal_begin(p, slab_stride(slab_of(p)), size, kind);
    }
    return p;
}

/* -- giving -- */

static void __attribute__((noinline, cold, noreturn))
no_live_slot(const struct slab *s, const void *p, const char *crime)
{
    if (slab_was_taken(s, slab_index(s, p)) && slab_slot(s, slab_index(s, p)) == (const void *)p) {
        allot_fault_block(crime == fault_free_of_none ? "double free" : crime, kind, slab_stride(s), p);
    }
    allot_fault(crime, "address", p);
}

/* Faults, naming the crime, unless p is a live slot; returns its number. */
static inline unsigned expect_live(const struct slab *s, const void *p, const char *crime)
{
    unsigned i = slab_index(s, p);
    bool slot = slab_was_taken(s, i) && ((uintptr_t)p & (UNIT_SIZE - 1)) == i * slab_stride(s);
    if (unlikely(!slot || slab_is_free(s, i))) {
        no_live_slot(s, p, crime);
    }
    return i;
}

/* The heap that owns a slab, when the calling thread may use it as its own. */
static struct heap *mine(uint32_t owner)
{
    if (likely(front.heap != NULL && front.heap->id == owner)) {
        return front.heap;
    }
    if (front.tagged && front.tagged->id == owner) {
        return front.tagged;
    }
    struct heap *h = owner & ID_PRIVATE ? heap_by_id(owner) : NULL;
    return h && heap_is_mine(h) ? h : NULL;
}

/* The slot, of any heap, is free from now on. */
static void __attribute__((noinline)) release_any(struct slab *s, void *p)
{
    uint32_t owner = atomic_load_explicit(&s->unit.owner, memory_order_acquire);
    struct heap *h = mine(owner);
    if (likely(h != NULL)) {
        if (slab_free_by_hand(s, slab_index(s, p))) {
            heap_trip(h, s);
        }
    } else if (is_common(s)) {
        commons_free(p, s);
    } else if (owner & ID_PRIVATE && typed_is_own(heap_by_id(owner))) {
        typed_free(s, p);
    } else {
        remote_put(p, s);
    }
}

static inline void release(struct heap *h, struct slab *s, void *p)
{
    if (unlikely(slab_owner(s) != h->id)) {
        release_any(s, p);
    } else if (unlikely(slab_free_by_hand(s, slab_index(s, p)))) {
        heap_trip(h, s);
    }
}

static bool __attribute__((noinline, cold)) make_ring(struct waiting *q, size_t stride)
{
    enum { MOST = 4096 };
    q->most = (uint32_t)size_min(size_max(hardening.quarantine / stride, 1), MOST);
    q->ring = record_alloc(q->most * sizeof *q->ring);
    return q->ring;
}

/* Puts p to those that wait; returns the one that has waited longest, or NULL. */
static inline void *wait(struct hard *hard, const struct slab *s, void *p)
{
    struct waiting *q = &hard->waiting[s->klass];
    if (unlikely(!q->ring) && !make_ring(q, slab_stride(s))) {
        return p;
    }
    void *longest = q->ring[q->next];
    q->ring[q->next] = p;
    q->next = q->next + 1 == q->most ? 0 : q->next + 1;
    return longest;
}

void hard_flush(struct heap *h)
{
    for (unsigned c = 0; c < CLASSES; c++) {
        struct waiting *q = &h->hard->waiting[c];
        for (unsigned i = 0; q->ring && i < q->most; i++) {
            void *p = q->ring[i];
            q->ring[i] = NULL;
            if (p) {
                release(h, slab_of(p), p);
            }
        }
    }
}

void hard_let_slab_go(struct slab *s, bool live)
{
    if (live) {
        watch_allow(slab_data(s), UNIT_SIZE);
        memset(slab_data(s), 0, s->unit.touched * (size_t)16);
        watch_deny(slab_data(s), UNIT_SIZE);
        return;
    }
    size_t stride = slab_stride(s);
    for (unsigned i = 0; i < s->fresh; i++) {
        if (!(s->unit.holes >> (((i + 1) * stride - 1) / os_page) & 1)) {
            seal_remove(slab_slot(s, i), stride, kind);
        }
    }
}

void hard_forget(struct heap *h)
{
    for (unsigned c = 0; c < CLASSES; c++) {
        struct waiting *q = &h->hard->waiting[c];
        if (q->ring) {
            memset(q->ring, 0, q->most * sizeof *q->ring);
        }
        hard_let_go(h, c);
    }
}

/* The block is free once others have been after it. */
static inline void give_up(struct heap *h, struct slab *s, void *p)
{
    if (likely(hardening.quarantine != 0)) {
        p = wait(h->hard, s, p);
        s = slab_of(p);
    }
    if (likely(p != NULL)) {
        release(h, s, p);
    }
}

/* Whoever writes before p overwrites the seal of the slot before it; the commons', which no heap wipes, may have none. */
static inline void expect_front(const struct slab *s, unsigned i, const void *p)
{
    size_t stride = slab_stride(s);
    if (fenced() && i > 0 && unlikely(!seal_may_be((const char *)p - stride, stride))) {
        allot_fault_block("start of a block overwritten", kind, stride, p);
    }
}

static void __attribute__((noinline)) free_any(void *p, struct slab *s)
{
    uint32_t owner = atomic_load_explicit(&s->unit.owner, memory_order_acquire); /* as heap_hand_over has released it */
    const struct heap *h = map_get(p) == MAP_SEGMENT ? heap_by_id(owner) : NULL;
    if (unlikely(!h)) {
        allot_fault(fault_free_of_none, "address", p);
    }
    unsigned i = expect_live(s, p, fault_free_of_none);
    if (!is_common(s)) {
        expect_front(s, i, p);
    }
    if (owner & (ID_PRIVATE | ID_TAGGED)) {
        tag_free(owner, p, slab_stride(s));
    }
    if (sealed()) {
        seal_end(p, slab_stride(s), kind);
    }
    if (front.heap && (!(owner & ID_PRIVATE) || typed_is_own(h))) { /* a first-class heap may go, with all that waits */
        give_up(front.heap, s, p);
    } else {
        release_any(s, p);
    }
    share_poll();
}

void hard_free(void *p)
{
    struct slab *s = slab_of(p);
    struct hard *hard = front.hard;
    if (begins_large(p)) {
        if (p) {
            big_free(p);
        }
    } else if (likely(hard != NULL && slab_owner(s) == hard->id)) {
        unsigned i = expect_live(s, p, fault_free_of_none);
        expect_front(s, i, p);
        if (sealed()) {
            seal_end(p, slab_stride(s), kind);
            give_up(front.heap, s, p);
        } else if (unlikely(slab_free_by_hand(s, i))) {
            heap_trip(front.heap, s);
        }
    } else if (slab_owner(s) >= OWNER_LIMIT) {
        big_free(p);
    } else {
        free_any(p, s);
    }
}

/* -- live blocks -- */

size_t hard_usable(const void *p, const char *crime)
{
    if (unlikely(!begins_large(p) && map_get(p) != MAP_SEGMENT)) {
        allot_fault(crime, "address", p);
    }
    if (fenced() && is_nothing(p)) {
        nothing_expect_live(p, crime);
        return 0;
    }
    size_t room = block_size(p);
    if (is_big(p)) {
        if (room == 0) {
            block_is_none(crime, p);
        }
        if (unlikely(parts_exist())) {
            part_expect_none(crime, p);
        }
    } else {
        const struct slab *s = slab_of(p);
        if (unlikely(!heap_by_id(slab_owner(s)))) {
            allot_fault(crime, "address", p);
        }
        expect_live(s, p, crime);
        if (sealed()) {
            seal_size(p, room, crime, kind);
        }
    }
    return block_usable(p);
}

bool hard_resize(void *p, size_t size)
{
    const struct slab *s = slab_of(p);
    if (hard_slot_size(size, 1) != slab_stride(s) || slab_owner(s) & ID_TAGGED) {
        return false;
    }
    if (sealed()) {
        seal_resize(p, slab_stride(s), size, kind);
    }
    return true;
}

void hard_expect_align(const void *p, size_t align)
{
    size_t usable = hard_usable(p, fault_free_of_none);
    if (unlikely((uintptr_t)p & (align - 1))) {
        allot_fault_block("free with another alignment than it has", block_kind(p), usable, p);
    }
}

/* Without seals a size is known by the slot that it takes. C++ libraries ask for 1 byte where 0 are wanted. */
static bool is_size(const void *p, size_t align, size_t size, size_t usable)
{
    if (sealed()) {
        return usable == size || (size == 0 && usable == 1);
    }
    size_t word = tag_word(block_heap(p)), slot = hard_slot_size(size + word, align);
    return is_big(p) ? slot == 0 && size <= usable : slot == usable + word;
}

void hard_expect_size(const void *p, size_t align, size_t size)
{
    size_t usable = hard_usable(p, fault_free_of_none);
    hard_expect_align(p, align);
    if (unlikely(!is_size(p, align, size, usable))) {
        allot_fault_block("free with another size than it has", block_kind(p), usable, p);
    }
}
