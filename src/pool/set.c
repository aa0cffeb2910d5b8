/* pool/set.c - see pool/set.h. O(1) but for a visit of each word of a bitmap when one runs out of bits, and of each slab where it
 * is said. */
#include "pool/set.h"

#include <errno.h>
#include <string.h>

#include "base/list.h"
#include "heap/heap.h"
#include "os/fault.h"
#include "os/memory.h"
#include "os/watch.h"
#include "pool/chain.h"
#include "pool/set_lists.h"
#include "span/map.h"

static uint64_t no_word;

/* -- records -- */

static struct set *unused; /* the chain's lock's */

struct set *set_alloc(void)
{
    struct set *set = unused;
    if (set) {
        unused = set->next_idle;
    } else {
        set = record_alloc(sizeof *set);
        if (set && !part_enlist(&set->part, PART_SET)) { /* the record is lost, as memory is out */
            set = NULL;
        }
    }
    if (!set) {
        errno = ENOMEM;
    }
    return set;
}

void set_free(struct set *set)
{
    set->part.name = NULL;
    set->pool = NULL;
    set->cache = NULL;
    set->next_idle = unused;
    unused = set;
    set_disown(set);
}

/* Somebody has put a slot, and nobody looks by himself. What waits for another pool has no slabs: what it is told of is others'. */
static void noticed(struct part *part)
{
    chain_lock();
    if (!atomic_load_explicit(&part->owned, memory_order_relaxed)) {
        set_drain(set_of(part), true);
    }
    chain_unlock();
}

void set_disown(struct set *set)
{
    atomic_store_explicit(&set->part.owned, false, memory_order_seq_cst);
    /* Who has told of a slab before he could see that has left it for us to take in. */
    set_drain(set, true);
}

void set_init(struct set *set, const char *kind, const char *name, size_t size, size_t align)
{
    size_t stride = align_up(size_max(size, 1), size_max(align, 16));
    memset(set, 0, offsetof(struct set, part)); /* the part may have notices by now, and keeps its id */
    set->word = &no_word;
    set->stride = (uint32_t)stride;
    set->slots = (uint16_t)slab_slots_of(stride);
    set->hints_most = HINTS;
    set->wake = set->slots < 16 ? 1 : set->slots / 16;
    set->colours = 1;
    set->keep = set->keep_least = 1;
    set->id = set->part.id;
    set->watched = os_parts_watched();
    set->part.kind = kind;
    set->part.name = name;
    set->part.size = size;
    set->part.noticed = noticed;
    atomic_store_explicit(&set->part.owned, true, memory_order_seq_cst);
}

/* -- who watches -- */

void set_watch_out(const struct set *set, void *p, bool constructed)
{
    if (unlikely(set->watched)) {
        (constructed ? os_watch_allow : os_watch_undefined)(p, set->part.size);
    }
}

void set_watch_free(const struct set *set, void *p)
{
    if (unlikely(set->watched) && !set->readable) {
        os_watch_deny(p, set->part.size);
    }
}

static void watch_slab(const struct set *set, const struct slab *s, bool begins)
{
    if (unlikely(set->watched)) {
        if (!watched()) { /* else all of the heap's segments are known */
            os_watch_roots(slab_data(s), UNIT_SIZE, begins);
        }
        (begins || watched() ? os_watch_deny : os_watch_undefined)(slab_data(s), UNIT_SIZE);
    }
}

/* -- lists -- */

void set_unlist(struct set *set, struct slab *s)
{
    list_remove(&set->list[s->level], s);
    if (!set->list[s->level]) {
        set->occupied &= ~(1u << s->level);
    }
    set->empties -= s->level == SET_EMPTY;
}

/* It comes due, of a full one, when it is worth a look, of another when nothing of it is out any more. */
void set_enlist(struct set *set, struct slab *s)
{
    unsigned to = set_place_of(set, s), was = s->level;
    slab_arm(s, to == SET_FULL ? set->wake : to == SET_EMPTY ? TRIP_NEVER : s->used);
    s->level = to & 127;
    list_push(&set->list[to], s);
    set->occupied |= 1u << to;
    set->empties += to == SET_EMPTY;
    set->moves.to_full += to == SET_FULL && was != SET_FULL;
    set->moves.to_empty += to == SET_EMPTY && was != SET_EMPTY;
    set->moves.to_partial += to < SET_FULL && was >= SET_FULL;
}

/* Nothing of it is hinted at any more. */
static void drop_hints(struct set *set, const struct slab *s)
{
    unsigned kept = 0, first = set->hint_at + 2u * HINTS - set->hints;
    for (unsigned i = 0; i < set->hints; i++) {
        void *p = set->hint[(first + i) % HINTS];
        if (slab_of(p) != s) {
            set->hint[(first + kept++) % HINTS] = p;
        }
    }
    set->hints = (uint16_t)kept;
    set->hint_at = (uint16_t)((first + kept) % HINTS);
}

static void destruct_all(struct set *set, struct slab *s)
{
    for (unsigned i = 0; set->destruct && i < s->fresh; i++) {
        void *p = set_slot(set, s, i);
        set_watch_out(set, p, true);
        set->destruct(set, p);
    }
}

void set_release(struct set *set, struct slab *s)
{
    drop_hints(set, s);
    destruct_all(set, s);
    watch_slab(set, s, false);
    part_give_unit(&s->unit);
    set->slabs--;
    set->moves.gone++;
}

size_t set_give_empties(struct set *set, size_t keep)
{
    size_t bytes = 0;
    struct slab *s = set->list[SET_EMPTY];
    for (struct slab *next; s && set->empties > keep; s = next) {
        next = s->next;
        set_sync(s);
        set_unlist(set, s);
        if (s->used) {
            set_enlist(set, s);
        } else {
            set_release(set, s);
            bytes += UNIT_SIZE;
        }
    }
    return bytes;
}

static void settle(struct set *set, struct slab *s, bool gives)
{
    set_sync(s);
    if (s->level == SET_CURRENT) {
        slab_arm(s, TRIP_NEVER);
        return;
    }
    unsigned free = set->slots - s->used;
    if (s->level == SET_FULL && free && free < set->wake && s->used) {
        slab_arm(s, set->wake - free);
        return;
    }
    if (s->used == 0 && gives && set->empties >= set->keep && s->level != SET_EMPTY) {
        set_give_empties(set, set->keep ? set->keep - 1 : 0);
    }
    set_unlist(set, s);
    set_enlist(set, s);
    if (gives && set->empties > set->keep) {
        set_give_empties(set, set->keep);
    }
}

void set_settle(struct set *set, struct slab *s) { settle(set, s, true); }

/* -- getting -- */

/* A word of the current slab with free slots, at or after the one in hand, cyclically. */
static bool turn(struct set *set)
{
    struct slab *s = set->current;
    unsigned words = (set->slots + 63u) / 64, from = 0;
    if (!set->lowest && set->word != &no_word) {
        from = (unsigned)((set->base - slab_data(s) - s->klass * 64u) / set->stride / 64);
    }
    for (unsigned i = 0; i < words; i++) {
        unsigned w = from + i < words ? from + i : from + i - words;
        if (*unit_free_word(&s->unit, w)) {
            set->word = unit_free_word(&s->unit, w);
            set->base = set_slot(set, s, w * 64);
            return true;
        }
    }
    return false;
}

static void set_fresh(const struct set *set, struct slab *s, unsigned fresh)
{
    size_t touched = (s->klass * 64u + fresh * (size_t)set->stride) / 16;
    s->nmarked += (uint16_t)(fresh - s->fresh);
    __atomic_store_n(&s->fresh, (uint16_t)fresh, __ATOMIC_RELAXED);
    s->unit.touched = (uint16_t)size_max(s->unit.touched, touched);
}

/* Fresh slots of one word become free ones. */
static void open_fresh(struct set *set, struct slab *s)
{
    unsigned from = s->fresh, to = (unsigned)size_min((from / 64 + 1) * 64, set->slots);
    uint64_t *word = unit_free_word(&s->unit, from / 64);
    set_fresh(set, s, to);
    slab_set_free_word(word, *word | bitmap_word_mask(from / 64, from, to));
}

void *set_construct_next(struct set *set, struct slab *s)
{
    void *p = set_slot(set, s, s->fresh);
    set_watch_out(set, p, false);
    int wrong = set->construct(set, p);
    if (wrong) {
        set_watch_free(set, p);
        errno = wrong;
        return NULL;
    }
    set_fresh(set, s, s->fresh + 1u);
    s->trip++;
    return p;
}

struct slab *set_begin_slab(struct set *set)
{
    enum { FEW = 4, PAGE = 4096 };
    bool fills = UNIT_SIZE - set->slots * (size_t)set->stride < PAGE;
    struct unit *unit = part_take_unit(set->slabs == 0 ? UNIT_FEW : set->slabs >= FEW && fills ? UNIT_ALL : UNIT_SOME);
    if (!unit) {
        return NULL;
    }
    struct slab *s = (struct slab *)unit;
    slab_init(unit, set->part.id, set->stride, (unsigned)set->colour * set->colour_step);
    set->colour = (uint8_t)((set->colour + 1u) % set->colours);
    s->level = SET_CURRENT;
    watch_slab(set, s, true);
    set->slabs++;
    set->most = size_max(set->most, set->slabs);
    set->moves.made++;
    return s;
}

void set_let_go(struct set *set)
{
    struct slab *s = set->current;
    set->word = &no_word;
    set->current = NULL;
    if (s) {
        set_sync(s);
        set_enlist(set, s);
    }
}

void set_retire(struct set *set)
{
    set->hints = 0;
    set_let_go(set);
}

static void begin_current(struct slab *s)
{
    s->level = SET_CURRENT;
    slab_arm(s, TRIP_NEVER);
}

static struct slab *lowest_of(struct set *set)
{
    struct slab *best = NULL;
    for (unsigned l = 0; l < SET_LISTS; l++) {
        for (struct slab *s = l != SET_FULL ? set->list[l] : NULL, *next; s; s = next) {
            next = s->next;
            best = !best || slab_data(s) < slab_data(best) ? s : best;
        }
    }
    return best;
}

/* The fullest slab with room, else an empty one, off its list; NULL when there is none. */
static struct slab *set_pick(struct set *set)
{
    for (;;) {
        uint32_t partial = set->occupied & ((1u << SET_FULL) - 1);
        struct slab *s = set->lowest ? lowest_of(set) : set->list[partial ? log2_floor(partial) : SET_EMPTY];
        if (!s) {
            return NULL;
        }
        unsigned was = s->level;
        set_sync(s);
        set_unlist(set, s);
        unsigned is = set_place_of(set, s);
        if (set->lowest ? is != SET_FULL : is == was || (is > was && is < SET_FULL)) {
            begin_current(s);
            return s;
        }
        set_enlist(set, s);
    }
}

/* An object of the current slab; fresh ones not while others have room, rather than touch what has not been, unless `picked`. */
static void *take_current(struct set *set, bool picked, bool *wrong)
{
    struct slab *s = set->current;
    if (!s) {
        return NULL;
    }
    set_sync(s);
    slab_arm(s, TRIP_NEVER);
    if (s->nmarked && turn(set)) {
        return set_take(set, true);
    }
    bool others = !picked && !set->lowest && (set->occupied & ((1u << SET_FULL) - 1)) != 0;
    if (s->fresh == set->slots || others) {
        return NULL;
    }
    if (set->construct) {
        void *p = set_construct_next(set, s);
        *wrong = !p;
        return p;
    }
    open_fresh(set, s);
    return turn(set) ? set_take(set, true) : NULL;
}

size_t set_take_many(struct set *set, void **objects, size_t count)
{
    size_t got = 0;
    while (got < count && set->hints) {
        objects[got++] = set_take(set, true);
    }
    uint64_t free = *set->word, left = free;
    for (; got < count && left; left &= left - 1) {
        objects[got++] = set->base + lowest_bit(left) * (size_t)set->stride;
    }
    if (left != free) {
        slab_set_free_word(set->word, left);
        set->current->trip += (int)count_bits(free ^ left);
    }
    return got;
}

void *set_take_more(struct set *set)
{
    bool wrong = false;
    void *p = take_current(set, false, &wrong);
    if (!p && !wrong) {
        set_drain(set, !set->reserved);
        p = take_current(set, false, &wrong);
    }
    while (!p && !wrong) {
        set_let_go(set);
        set->current = set_pick(set);
        if (!set->current && set->inherit) {
            set->current = set->inherit(set);
        }
        if (!set->current && !(set->current = set_begin_slab(set))) {
            set->refused++;
            return NULL;
        }
        p = take_current(set, true, &wrong);
    }
    set->refused += wrong;
    return p;
}

/* -- putting -- */

void set_refuse(const struct set *set, const struct slab *s, const void *p)
{
    bool is_slot;
    set_slot_of(s, p, true, &is_slot);
    part_fault(is_slot ? "double free" : "put of what is no object", &set->part, p);
}

void set_prefer(struct set *set, struct slab *s, const void *p)
{
    struct slab *current = set->current;
    if (current && slab_data(s) > slab_data(current)) {
        return;
    }
    if (s != current) {
        set_let_go(set);
        set_sync(s);
        set_unlist(set, s);
        begin_current(s);
        set->current = s;
    }
    if (set->word == &no_word || (const char *)p < set->base) {
        bool is_slot;
        unsigned slot = set_slot_of(s, p, true, &is_slot);
        set->word = unit_words_of_slot(&s->unit, slot).free;
        set->base = set_slot(set, s, slot & ~63u);
    }
}

size_t set_put_remote_many(struct set *set, struct slab *s, void *const *objects, size_t count)
{
    bool is_slot;
    size_t done = 0, w = set_slot_of(s, objects[0], false, &is_slot) / 64;
    uint64_t bits = 0;
    for (; done < count && slab_of(objects[done]) == s; done++) {
        unsigned slot = set_slot_of(s, objects[done], false, &is_slot);
        uint64_t bit = (uint64_t)1 << (slot % 64);
        if (unlikely(!is_slot || (slot / 64 == w && (bits & bit)))) {
            set_refuse(set, s, objects[done]);
        }
        if (slot / 64 != w) {
            break;
        }
        bits |= bit;
    }
    uint64_t free = __atomic_load_n(unit_free_word(&s->unit, w), __ATOMIC_RELAXED);
    uint64_t twice = bits & (slab_set_remote(s, w, bits) | free);
    if (unlikely(twice)) {
        set_refuse(set, s, set_slot(set, s, (unsigned)w * 64 + lowest_bit(twice)));
    }
    part_has_put(&set->part, s);
    return done;
}

void set_drain(struct set *set, bool gives)
{
    bool emptied = false;
    for (struct slab *s; (s = part_next_noticed(&set->part, &emptied));) {
        set_sync(s);
        slab_collect(s);
        settle(set, s, gives);
    }
}

struct slab *set_take_over(struct set *from, struct set *to)
{
    struct slab *s = set_pick(from);
    if (s) {
        from->slabs--;
        to->slabs++;
        to->most = size_max(to->most, to->slabs);
        /* Who puts a slot of it may not have heard of that set otherwise. */
        atomic_store_explicit(&s->unit.owner, to->part.id, memory_order_release);
    }
    return s;
}
