/* slab/slab.c - see slab/slab.h. Bounds: a batch costs its own length; collecting and marking cost a visit per word. */
#include "slab/slab.h"

#include <string.h>

#include "base/bits.h"
#include "os/fault.h"

/* Fresh slots are linked a page at a time, so that memory is not touched before it is wanted. */
#define FRESH_BYTES 4096

void slab_init(struct unit *unit, uint32_t owner, size_t stride, unsigned klass)
{
    struct slab *s = (struct slab *)unit;
    s->local_free = NULL;
    slab_arm(s, TRIP_NEVER);
    s->used = s->nlocal = s->nmarked = s->fresh = 0;
    s->stride16 = (uint16_t)(stride / 16);
    s->recip = (uint32_t)((((uint64_t)1 << 32) + stride - 1) / stride);
    s->klass = (uint8_t)klass;
    s->level = 0;
    s->next = s->prev = NULL;
    /* unit.touched tells of the pages, and a late notice may still hold the header in an inbox: they stay. */
    atomic_store_explicit(&unit->owner, owner, memory_order_relaxed);
}

void slab_done(struct slab *s)
{
    if (s->nmarked) {
        memset(unit_free_bits(&s->unit), 0, slab_words(s) * sizeof(uint64_t));
    }
}

static struct batch take_marked(struct slab *s)
{
    uint64_t *bits = unit_free_bits(&s->unit);
    unsigned w = 0;
    while (!bits[w]) {
        w++;
    }
    uint64_t mask = bits[w];
    bits[w] = 0;
    struct batch batch = {.count = count_bits(mask)};
    struct block **link = &batch.first;
    for (; mask; mask &= mask - 1) {
        *link = slab_slot(s, w * 64 + lowest_bit(mask));
        link = &(*link)->next;
    }
    *link = NULL;
    s->nmarked -= (uint16_t)batch.count;
    return batch;
}

static struct batch take_fresh(struct slab *s)
{
    size_t stride = slab_stride(s);
    unsigned from = s->fresh;
    unsigned count = (unsigned)size_min(size_max(FRESH_BYTES / stride, 1), slab_nslots(s) - from);
    size_t touched16 = (from + count) * (size_t)s->stride16;
    struct batch batch = {
        .first = slab_slot(s, from),
        .count = count,
        .zeroed = s->unit.touched <= from * (size_t)s->stride16,
    };
    char *at = (char *)batch.first;
    for (unsigned i = 1; i < count; i++, at += stride) {
        ((struct block *)at)->next = (struct block *)(at + stride);
    }
    ((struct block *)at)->next = NULL;
    s->fresh += (uint16_t)count;
    s->unit.touched = (uint16_t)size_max(s->unit.touched, touched16);
    return batch;
}

struct batch slab_take_unlisted(struct slab *s)
{
    struct batch batch = {0};
    if (s->nmarked) {
        batch = take_marked(s);
    } else if (s->fresh < slab_nslots(s)) {
        batch = take_fresh(s);
    }
    s->used += (uint16_t)batch.count;
    return batch;
}

unsigned slab_collect(struct slab *s)
{
    _Atomic uint64_t *remote = unit_remote_bits(&s->unit);
    uint64_t *bits = unit_free_bits(&s->unit);
    unsigned frees = slab_sync(s), collected = 0;
    for (unsigned w = 0; w < slab_words(s); w++) {
        /* Both in the one order with slab_free_remote and its notice; see heap/remote.c. */
        if (atomic_load_explicit(&remote[w], memory_order_seq_cst) == 0) {
            continue;
        }
        uint64_t mask = atomic_exchange_explicit(&remote[w], 0, memory_order_seq_cst);
        if (bits[w] & mask) {
            allot_fault("double free", "small block", slab_slot(s, w * 64 + lowest_bit(bits[w] & mask)));
        }
        bits[w] |= mask;
        collected += count_bits(mask);
    }
    if (collected > s->used) {
        allot_fault("double free", "slab", slab_data(s));
    }
    s->nmarked += (uint16_t)collected;
    s->used -= (uint16_t)collected;
    return frees + collected;
}

void slab_free_remote(struct slab *s, unsigned index)
{
    uint64_t bit = (uint64_t)1 << (index % 64);
    _Atomic uint64_t *word = &unit_remote_bits(&s->unit)[index / 64];
    if (unlikely(atomic_fetch_or_explicit(word, bit, memory_order_seq_cst) & bit)) {
        allot_fault("double free", "small block", slab_slot(s, index));
    }
}

unsigned slab_follow(const struct slab *s, const struct block *list, uint64_t *map)
{
    unsigned count = 0;
    for (const struct block *b = list; b && count < slab_nslots(s); b = b->next, count++) {
        if (slab_of(b) != s || !slab_is_slot(s, b)) {
            break;
        }
        if (map) {
            bitmap_clear(map, slab_index(s, b));
        }
    }
    return count;
}

void slab_mark_out(const struct slab *s, uint64_t *map)
{
    const uint64_t *bits = unit_free_bits(&s->unit);
    const _Atomic uint64_t *remote = unit_remote_bits(&s->unit);
    for (unsigned w = 0; w < slab_words(s); w++) {
        uint64_t taken = bitmap_word_mask(w, 0, s->fresh);
        map[w] = taken & ~bits[w] & ~atomic_load_explicit(&remote[w], memory_order_relaxed);
    }
    slab_follow(s, s->local_free, map);
}

bool slab_check(const struct slab *s)
{
    const uint64_t *bits = unit_free_bits(&s->unit);
    unsigned listed = 0, marked = 0;
    uint64_t seen[BITMAP_WORDS] = {0};
    for (const struct block *b = s->local_free; b; b = b->next) {
        CHECK(slab_of(b) == s && slab_is_slot(s, b), "free list of slab", s);
        CHECK(!bitmap_test(seen, slab_index(s, b)), "free list of slab", s);
        bitmap_set(seen, slab_index(s, b));
        listed++;
    }
    for (unsigned w = 0; w < slab_words(s); w++) {
        CHECK((bits[w] & seen[w]) == 0, "bitmap of slab", s);
        CHECK((bits[w] & ~bitmap_word_mask(w, 0, s->fresh)) == 0, "bitmap of slab", s);
        marked += count_bits(bits[w]);
    }
    CHECK(listed == s->nlocal + (unsigned)(uint16_t)(s->trip_set - s->trip), "free list of slab", s);
    CHECK(marked == s->nmarked, "bitmap of slab", s);
    CHECK(s->fresh == listed + marked + slab_out(s), "slab", s);
    CHECK(s->fresh <= slab_nslots(s), "slab", s);
    return true;
}
