/* slab/slab.c - see slab/slab.h. Bounds: a batch costs its own length; collecting and marking cost a visit per word. */
#include "slab/slab.h"

#include <string.h>

#include "base/bits.h"
#include "os/fault.h"
#include "os/memory.h"
#include "os/watch.h"

/* Fresh slots are linked a page at a time, so that memory is not touched before it is wanted. */
#define FRESH_BYTES 4096

static uint64_t *free_word(const struct slab *s, size_t w) { return unit_free_word(&s->unit, w); }

static _Atomic uint64_t *remote_word(const struct slab *s, size_t w) { return unit_remote_word(&s->unit, w); }

static bool is_marked(const struct slab *s, unsigned slot) { return *free_word(s, slot / 64) >> (slot % 64) & 1; }

static void mark_all(struct slab *s, size_t w, uint64_t slots)
{
    uint64_t *word = free_word(s, w);
    slab_set_free_word(word, *word | slots);
}

static void mark(struct slab *s, unsigned slot) { mark_all(s, slot / 64, (uint64_t)1 << (slot % 64)); }

static void set_fresh(struct slab *s, unsigned fresh)
{
    __atomic_store_n(&s->fresh, (uint16_t)fresh, __ATOMIC_RELAXED);
}

void slab_init(struct unit *unit, uint32_t owner, size_t stride, unsigned klass)
{
    struct slab *s = (struct slab *)unit;
    s->local_free = NULL;
    slab_arm(s, TRIP_NEVER);
    s->used = s->nlocal = s->nmarked = 0;
    set_fresh(s, 0);
    s->stride16 = (uint16_t)(stride / 16);
    s->recip = (uint32_t)((((uint64_t)1 << 32) + stride - 1) / stride);
    s->klass = (uint8_t)klass;
    s->level = s->noted = 0;
    s->unit.holes = 0;
    s->unswept = 0;
    s->next = s->prev = NULL;
    watch_deny(slab_data(s), UNIT_SIZE);
    for (unsigned w = 0; slab_unlinked && w < slab_words(s); w++) {
        if (unlikely(atomic_load_explicit(remote_word(s, w), memory_order_relaxed) != 0)) {
            allot_fault("double free", "slab", slab_data(s)); /* of the last of those that were here */
        }
    }
    /* unit.touched tells of the pages, and a late notice may still hold the header in an inbox: they stay. */
    atomic_store_explicit(&unit->owner, owner, memory_order_relaxed);
}

void slab_done(struct slab *s)
{
    for (unsigned w = 0; (s->nmarked || slab_unlinked) && w < slab_words(s); w++) {
        slab_set_free_word(free_word(s, w), 0);
    }
}

/* The pages of the unit that `count` slots from one on lie on, a bit each. */
static unsigned pages_of(const struct slab *s, unsigned from, unsigned count)
{
    size_t first = from * slab_stride(s) / os_page, last = ((from + count) * slab_stride(s) - 1) / os_page;
    return (2u << last) - (1u << first);
}

/* Of the marked slots of a word, those that lie on none of `pages`. */
static uint64_t marked_off(const struct slab *s, unsigned w, unsigned pages)
{
    uint64_t mask = *free_word(s, w);
    unsigned all = pages_of(s, w * 64, (unsigned)size_min(64, slab_nslots(s) - w * 64));
    if (!(all & pages)) {
        return mask;
    }
    for (uint64_t left = (all & ~pages) ? mask : 0; left; left &= left - 1) {
        unsigned i = lowest_bit(left);
        mask &= ~((uint64_t)((pages_of(s, w * 64 + i, 1) & pages) != 0) << i);
    }
    return (all & ~pages) ? mask : 0;
}

/* Of a mask of slots, those in the group of the first; a group of 64 or more holds them all. */
static uint64_t first_group(uint64_t mask, unsigned group)
{
    return group < 64 ? mask & (((uint64_t)1 << group) - 1) << (lowest_bit(mask) & ~(group - 1)) : mask;
}

/* Takes slots that are marked off the bitmap, of one word: such as no page has to be made for, else those of one page. */
static uint64_t choose_marked(struct slab *s, unsigned group, unsigned *word)
{
    unsigned words = slab_words(s), w = 0;
    uint64_t mask = 0;
    while (w < words && !(mask = marked_off(s, w, s->unit.holes))) {
        w++;
    }
    if (!mask) {
        for (w = 0; !*free_word(s, w);) {
            w++;
        }
        uint64_t all = *free_word(s, w);
        mask = all & ~marked_off(s, w, pages_of(s, w * 64 + lowest_bit(all), 1));
    }
    mask = first_group(mask, group);
    slab_set_free_word(free_word(s, w), *free_word(s, w) & ~mask);
    *word = w;
    return mask;
}

/* A list of the slots of word w in `mask`. */
static struct batch list_of(const struct slab *s, size_t w, uint64_t mask)
{
    struct batch batch = {.count = count_bits(mask)};
    struct block **link = &batch.first;
    for (; mask; mask &= mask - 1) {
        *link = slab_slot(s, (unsigned)w * 64 + lowest_bit(mask));
        watch_allow(*link, slab_stride(s));
        link = &(*link)->next;
    }
    *link = NULL;
    return batch;
}

/* The pages of the unit under slots of word w. */
static unsigned pages_under(const struct slab *s, unsigned w, uint64_t slots)
{
    unsigned pages = 0;
    for (; slots; slots &= slots - 1) {
        pages |= pages_of(s, w * 64 + lowest_bit(slots), 1);
    }
    return pages;
}

static struct batch take_marked(struct slab *s, unsigned group)
{
    unsigned w;
    uint64_t mask = choose_marked(s, group, &w);
    unsigned pages = pages_under(s, w, s->unit.holes ? mask : 0);
    struct batch batch = list_of(s, w, mask);
    batch.filled = count_bits(pages & s->unit.holes);
    s->unit.holes &= (uint16_t)~pages;
    s->nmarked -= (uint16_t)batch.count;
    return batch;
}

static struct batch take_fresh(struct slab *s, unsigned group)
{
    size_t stride = slab_stride(s);
    unsigned from = s->fresh;
    unsigned count = (unsigned)size_min(size_max(FRESH_BYTES / stride, 1), slab_nslots(s) - from);
    count = (unsigned)size_min(count, group - from % group);
    size_t touched16 = (from + count) * (size_t)s->stride16;
    struct batch batch = {
        .first = slab_slot(s, from),
        .count = count,
        .zeroed = s->unit.touched <= from * (size_t)s->stride16,
    };
    char *at = (char *)batch.first;
    watch_allow(at, count * stride);
    for (unsigned i = 1; i < count; i++, at += stride) {
        ((struct block *)at)->next = (struct block *)(at + stride);
    }
    ((struct block *)at)->next = NULL;
    set_fresh(s, from + count);
    if (unlikely(s->unit.holes)) {
        unsigned pages = pages_of(s, from, count);
        batch.filled = count_bits(s->unit.holes & pages);
        s->unit.holes &= (uint16_t)~pages;
    }
    s->unit.touched = (uint16_t)size_max(s->unit.touched, touched16);
    return batch;
}

struct batch slab_take_unlisted(struct slab *s, unsigned group)
{
    struct batch batch = {0};
    if (s->nmarked) {
        batch = take_marked(s, group);
    } else if (s->fresh < slab_nslots(s)) {
        batch = take_fresh(s, group);
    }
    s->used += (uint16_t)batch.count;
    return batch;
}

/* -- slots that are never linked -- */

bool slab_unlinked;

static void hold(struct hand *hand, struct slab *s, unsigned w, uint64_t free, uint64_t allowed)
{
    hand->word = free_word(s, w);
    hand->remote = remote_word(s, w);
    hand->allowed = allowed;
    hand->from = (uint8_t)lowest_bit(free);
    hand->many = (uint8_t)(log2_floor(free) + 1 - hand->from);
    hand->before = (char *)slab_slot(s, w * 64) - HAND_BEFORE;
    hand->at = (uint16_t)w;
}

uint64_t slab_turn_hand(struct hand *hand)
{
    struct slab *s = hand->slab;
    unsigned words = hand->left ? slab_words(s) : 0;
    for (unsigned w = hand->at; hand->left > 0;) {
        hand->left--;
        w = w + 1 < words ? w + 1 : 0;
        uint64_t free = likely(s->unit.holes == 0) ? *free_word(s, w) : marked_off(s, w, s->unit.holes);
        if (free) {
            hold(hand, s, w, free, s->unit.holes ? free : ~(uint64_t)0);
            return free;
        }
    }
    return 0;
}

/* Slots of word w, for which pages have to be made again. */
static int hold_filled(struct hand *hand, struct slab *s, unsigned w, uint64_t slots)
{
    unsigned pages = pages_under(s, w, s->unit.holes ? slots : 0);
    int filled = (int)count_bits(s->unit.holes & pages);
    s->unit.holes &= (uint16_t)~pages;
    hold(hand, s, w, slots, slots);
    hand->left = 0;
    return filled;
}

/* Fresh slots become marked ones. */
static int hold_fresh(struct hand *hand, struct slab *s, unsigned window)
{
    unsigned from = s->fresh, w = from / 64;
    size_t to = size_min(size_min(from + window, slab_nslots(s)), (w + 1) * 64);
    uint64_t slots = bitmap_word_mask(w, from, to);
    mark_all(s, w, slots);
    s->nmarked += (uint16_t)(to - from);
    set_fresh(s, (unsigned)to);
    s->unit.touched = (uint16_t)size_max(s->unit.touched, to * s->stride16);
    int filled = hold_filled(hand, s, w, slots);
    hand->allowed = s->unit.holes ? slots : ~(uint64_t)0;
    return filled;
}

int slab_take_hand(struct slab *s, struct hand *hand, unsigned window, uint32_t random)
{
    unsigned words = slab_words(s);
    *hand = (struct hand){
        .slab = s, .at = (uint16_t)((uint64_t)random * words >> 32), .left = (uint16_t)words, .random = hand->random};
    if (s->nmarked && slab_turn_hand(hand)) {
        return 0;
    }
    for (unsigned w = 0; s->nmarked && w < words; w++) {
        uint64_t marked = *free_word(s, w);
        if (marked) {
            return hold_filled(hand, s, w, marked & ~marked_off(s, w, pages_of(s, w * 64 + lowest_bit(marked), 1)));
        }
    }
    return s->fresh < slab_nslots(s) ? hold_fresh(hand, s, window) : -1;
}

void slab_mark_free(struct slab *s, const void *p)
{
    unsigned i = slab_index(s, p);
    if (i >= s->fresh || !slab_is_slot(s, p) || is_marked(s, i) || s->used == 0) {
        allot_fault("double free", "small block", p);
    }
    mark(s, i);
    s->nmarked++;
    s->used--;
    s->unswept = (uint8_t)size_min(s->unswept + 1u, UINT8_MAX);
}

int slab_collect(struct slab *s)
{
    int frees = slab_sync(s);
    unsigned collected = 0;
    for (unsigned w = 0; w < slab_words(s); w++) {
        /* Both in the one order with slab_free_remote and its notice; see heap/remote.c. */
        _Atomic uint64_t *remote = remote_word(s, w);
        uint64_t mask = atomic_load_explicit(remote, memory_order_seq_cst);
        if (mask == 0) {
            continue;
        }
        uint64_t free = *free_word(s, w), twice = mask & (free | ~bitmap_word_mask(w, 0, s->fresh));
        if (unlikely(twice)) {
            allot_fault("double free", "small block", slab_slot(s, w * 64 + lowest_bit(twice)));
        }
        /* Free at any moment, so that nobody finds it live; but what others have claimed meanwhile is not ours. */
        mark_all(s, w, mask);
        mask &= atomic_fetch_and_explicit(remote, ~mask, memory_order_seq_cst);
        slab_set_free_word(free_word(s, w), free | mask);
        collected += count_bits(mask);
    }
    if (collected > s->used) {
        allot_fault("double free", "slab", slab_data(s));
    }
    s->nmarked += (uint16_t)collected;
    s->unswept = (uint8_t)size_min(s->unswept + collected, UINT8_MAX);
    s->used -= (uint16_t)collected;
    return frees + (int)collected;
}

void slab_fold(struct slab *const *slabs, size_t count)
{
    const struct block *at[FOLD_MOST];
    unsigned left[FOLD_MOST], most = 0;
    for (size_t i = 0; i < count; i++) {
        struct slab *s = slabs[i];
        at[i] = s->local_free;
        left[i] = s->nlocal;
        most = left[i] > most ? left[i] : most;
        s->nmarked += s->nlocal;
        s->nlocal = 0;
        s->local_free = NULL;
    }
    for (unsigned step = 0; step < most; step++) {
        for (size_t i = 0; i < count; i++) {
            if (step < left[i]) {
                unsigned slot = slab_index(slabs[i], at[i]);
                if (is_marked(slabs[i], slot)) {
                    allot_fault("double free", "small block", at[i]);
                }
                mark(slabs[i], slot);
                at[i] = at[i]->next;
                __builtin_prefetch(at[i]);
            }
        }
    }
}

/* No slot on the page is listed or out. */
static bool page_is_free(const struct slab *s, unsigned page)
{
    size_t from = slab_index(s, slab_data(s) + page * os_page),
           to = slab_index(s, slab_data(s) + (page + 1) * os_page - 1) + 1;
    to = size_min(to, s->fresh);
    for (size_t w = from / 64; w * 64 < to; w++) {
        if (bitmap_word_mask(w, from, to) & ~*free_word(s, w)) {
            return false;
        }
    }
    return true;
}

unsigned slab_free_pages(const struct slab *s)
{
    unsigned written = (unsigned)((s->unit.touched * (size_t)16 + os_page - 1) / os_page), pages = 0;
    if (segment_of(s)->hugetlb) {
        return 0;
    }
    for (unsigned p = 0; p < written; p++) {
        pages |= (unsigned)(!(s->unit.holes >> p & 1) && page_is_free(s, p)) << p;
    }
    return pages;
}

uint64_t slab_set_remote(struct slab *s, size_t w, uint64_t bit)
{
    _Atomic uint64_t *word = remote_word(s, w);
    return atomic_fetch_or_explicit(word, bit, memory_order_seq_cst);
}

size_t slab_free_remote(struct slab *s, unsigned index)
{
    enum { NEIGHBOURS = 16, PAGE = 4096 };
    size_t stride = slab_stride(s);
    uint64_t bit = (uint64_t)1 << (index % 64);
    uint64_t before = slab_set_remote(s, index / 64, bit);
    if (unlikely(before & bit)) {
        allot_fault("double free", "small block", slab_slot(s, index));
    }
    return stride >= PAGE ? stride : count_bits(before | bit) % NEIGHBOURS == 0 ? NEIGHBOURS * stride : 0;
}

/* Slots [from, to), of a slab that is known by its `recip` only. */
struct slots {
    size_t from, to;
};

/* Those that lie on pages [first, end), wholly or in part. */
static struct slots slots_on(uint32_t recip, size_t first, size_t end)
{
    size_t from = first * os_page * recip >> 32, to = ((end * os_page - 1) * recip >> 32) + 1;
    return (struct slots){from, size_min(to, size_min(recip >> (32 - UNIT_SHIFT), BITMAP_WORDS * 64))};
}

static bool all_remote(const struct slab *s, struct slots slots)
{
    for (size_t w = slots.from / 64; w * 64 < slots.to; w++) {
        uint64_t wanted = bitmap_word_mask(w, slots.from, slots.to);
        if (wanted & ~atomic_load_explicit(remote_word(s, w), memory_order_relaxed)) {
            return false;
        }
    }
    return slots.from < slots.to;
}

static void put_back(struct slab *s, struct slots slots)
{
    for (size_t w = slots.from / 64; w * 64 < slots.to; w++) {
        uint64_t mask = bitmap_word_mask(w, slots.from, slots.to);
        if (atomic_fetch_or_explicit(remote_word(s, w), mask, memory_order_seq_cst) & mask) {
            allot_fault("double free", "slab", slab_data(s));
        }
    }
}

/* All or none: what the owner has collected meanwhile is his. */
static bool claim(struct slab *s, struct slots slots)
{
    for (size_t w = slots.from / 64; w * 64 < slots.to; w++) {
        uint64_t mask = bitmap_word_mask(w, slots.from, slots.to);
        _Atomic uint64_t *remote = remote_word(s, w);
        uint64_t got = atomic_fetch_and_explicit(remote, ~mask, memory_order_seq_cst) & mask;
        if (got != mask) {
            atomic_fetch_or_explicit(remote, got, memory_order_seq_cst);
            put_back(s, (struct slots){slots.from, size_max(w * 64, slots.from)});
            return false;
        }
    }
    return true;
}

unsigned slab_claim_pages(struct slab *s)
{
    unsigned pages = 0, count = (unsigned)(UNIT_SIZE / os_page);
    uint32_t recip = *(volatile uint32_t *)&s->recip;
    if (segment_of(s)->hugetlb) {
        return 0;
    }
    for (unsigned first = 0, end; first < count; first = end + 1) {
        end = first;
        while (end < count && all_remote(s, slots_on(recip, end, end + 1))) {
            end++;
        }
        struct slots slots = slots_on(recip, first, end);
        if (end == first || !claim(s, slots)) {
            continue;
        }
        /* With slots that are out the slab stays what it is from here on. Which may not be what it was. */
        if (*(volatile uint32_t *)&s->recip != recip) {
            put_back(s, slots);
            break;
        }
        pages |= (1u << end) - (1u << first);
    }
    return pages;
}

void slab_unclaim_pages(struct slab *s, unsigned pages)
{
    while (pages) {
        unsigned first = lowest_bit(pages), end = first + lowest_bit(~((uint64_t)pages >> first));
        put_back(s, slots_on(s->recip, first, end));
        pages &= ~((1u << end) - (1u << first));
    }
}

struct batch slab_claim_slots(struct slab *s, uint32_t owner, unsigned klass, bool *more)
{
    uint32_t recip = *(volatile uint32_t *)&s->recip;
    struct slots all = slots_on(recip, 0, UNIT_SIZE / os_page);
    struct batch batch = {0};
    for (size_t w = 0; w * 64 < all.to && slab_owner(s) == owner; w++) {
        _Atomic uint64_t *remote = remote_word(s, w);
        if (atomic_load_explicit(remote, memory_order_relaxed) == 0) {
            continue;
        }
        if (batch.count) {
            *more = true;
            break;
        }
        uint64_t mask = atomic_exchange_explicit(remote, 0, memory_order_seq_cst);
        if (mask && (slab_owner(s) != owner || s->klass != klass || s->recip != recip)) {
            atomic_fetch_or_explicit(remote, mask, memory_order_seq_cst);
            break;
        }
        batch = list_of(s, w, mask);
    }
    return batch;
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
    for (unsigned w = 0; w < slab_words(s); w++) {
        uint64_t taken = bitmap_word_mask(w, 0, s->fresh);
        map[w] = taken & ~*free_word(s, w) & ~atomic_load_explicit(remote_word(s, w), memory_order_relaxed);
    }
    slab_follow(s, s->local_free, map);
}

bool slab_check(const struct slab *s)
{
    unsigned listed = 0, marked = 0;
    uint64_t seen[BITMAP_WORDS] = {0};
    for (const struct block *b = s->local_free; b; b = b->next) {
        CHECK(slab_of(b) == s && slab_is_slot(s, b), "free list of slab", s);
        CHECK(!bitmap_test(seen, slab_index(s, b)), "free list of slab", s);
        bitmap_set(seen, slab_index(s, b));
        listed++;
    }
    for (unsigned w = 0; w < slab_words(s); w++) {
        uint64_t bits = *free_word(s, w);
        CHECK((bits & seen[w]) == 0, "bitmap of slab", s);
        CHECK((bits & ~bitmap_word_mask(w, 0, s->fresh)) == 0, "bitmap of slab", s);
        marked += count_bits(bits);
    }
    for (unsigned p = 0; p < UNIT_SIZE / os_page; p++) {
        CHECK(!(s->unit.holes >> p & 1) || page_is_free(s, p), "holes of slab", s);
    }
    unsigned since = (unsigned)(s->trip_set - s->trip);
    CHECK(listed == s->nlocal + (slab_unlinked ? 0 : since), "free list of slab", s);
    CHECK(marked == s->nmarked + (slab_unlinked ? since : 0), "bitmap of slab", s);
    CHECK(s->fresh == listed + marked + slab_out(s), "slab", s);
    CHECK(s->fresh <= slab_nslots(s), "slab", s);
    return true;
}
