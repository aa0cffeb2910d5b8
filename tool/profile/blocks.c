/* See blocks.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "blocks.h"
#include "cold.h"

#define SLOTS_LEAST  128
#define DOUBLED_MOST ((size_t)1 << 20) /* slots: larger tables grow by a half, and by an eighth where memory is short */
#define WIDES_LEAST  16
#define GIVE_BACK    ((size_t)2 << 20) /* bytes: a huge page */
#define TO_DISK      1024              /* blocks that go together */

#define SITE_BITS   19
#define SITE_MASK   (((uint64_t)1 << SITE_BITS) - 1)
#define TIME_BITS   38
#define SIZE_BITS   16
#define THREAD_BITS 9
#define WIDE        ((uint64_t)1)

static size_t bytes_of(size_t slots) { return slots * sizeof(struct block_slot); }
static bool is_empty(const struct block_slot *slot) { return (slot->key & SITE_MASK) == 0; }

void blocks_begin(struct blocks *blocks, struct blocks_budget *budget)
{
    *blocks = (struct blocks){.budget = budget, .next = budget->first, .link = &budget->first};
    if (blocks->next) {
        blocks->next->link = &blocks->next;
    }
    budget->first = blocks;
}

static void drop_slots(struct blocks *blocks)
{
    if (blocks->slots) {
        munmap(blocks->slot, bytes_of(blocks->slots));
    }
    free(blocks->wide);
    blocks->budget->used -= bytes_of(blocks->slots) + blocks->wide_room * sizeof *blocks->wide;
    blocks->slot = NULL;
    blocks->wide = NULL;
    blocks->slots = blocks->count = blocks->wides = blocks->wide_room = blocks->wide_free = 0;
}

void blocks_end(struct blocks *blocks)
{
    drop_slots(blocks);
    blocks->budget->used -= cold_memory(blocks->cold);
    cold_end(blocks->cold);
    blocks->cold = NULL;
    *blocks->link = blocks->next;
    if (blocks->next) {
        blocks->next->link = blocks->link;
    }
    blocks->budget = NULL;
}

/* -- what a slot says -- */

static const struct block *wide_of(const struct blocks *blocks, const struct block_slot *slot)
{
    return slot->rest & WIDE ? &blocks->wide[slot->rest >> 1] : NULL;
}

#define IN_KEY ((((uint64_t)1 << 48) - 1) & ~(uint64_t)7) /* of an address */

/* The key without its low bits says an address but for some bits, which are 0 where they do not stand elsewhere. */
static bool is_of(const struct blocks *blocks, const struct block_slot *slot, uint64_t key, uint64_t address)
{
    if ((slot->key ^ key) >> SITE_BITS) {
        return false;
    }
    const struct block *wide = wide_of(blocks, slot);
    return wide ? wide->address == address : (address & ~IN_KEY) == 0;
}

static uint64_t full_key(const struct blocks *blocks, const struct block_slot *slot)
{
    const struct block *wide = wide_of(blocks, slot);
    return wide ? blocks_key(wide->address) : slot->key & ~SITE_MASK;
}

static uint64_t address_of(uint64_t key)
{
    /* By the inverse of what blocks_key multiplies with, modulo 2^40. */
    return (((key >> 24) * 0x4c19bc067fu) & (((uint64_t)1 << 40) - 1)) << 8 | (key >> 16 & 0xf8);
}

static struct block read_slot(const struct blocks *blocks, const struct block_slot *slot)
{
    const struct block *wide = wide_of(blocks, slot);
    if (wide) {
        return *wide;
    }
    unsigned shift = blocks->budget->shift;
    uint64_t time = slot->rest >> (SIZE_BITS + THREAD_BITS + 1) << shift;
    return (struct block){
        .address = address_of(slot->key),
        .time = time | ((uint64_t)1 << shift) >> 1, /* the middle of what is left out */
        .size = slot->rest >> (THREAD_BITS + 1) & ((1u << SIZE_BITS) - 1),
        .thread = (uint32_t)(slot->rest >> 1) & ((1u << THREAD_BITS) - 1),
        .site = (uint32_t)(slot->key & SITE_MASK),
    };
}

static bool fits(const struct block *block)
{
    return (block->address & ~IN_KEY) == 0 && block->site <= SITE_MASK && block->size >> SIZE_BITS == 0 &&
           block->thread >> THREAD_BITS == 0;
}

static void forget_wide(struct blocks *blocks, const struct block_slot *slot)
{
    if (slot->rest & WIDE) {
        size_t at = slot->rest >> 1;
        blocks->wide[at].address = blocks->wide_free;
        blocks->wide_free = at + 1;
    }
}

/* There is a place in `wide` where one is needed (make_wide). */
static void write_slot(struct blocks *blocks, struct block_slot *slot, uint64_t key, const struct block *block)
{
    if (fits(block)) {
        slot->key = (key & ~SITE_MASK) | block->site;
        slot->rest = block->time >> blocks->budget->shift << (SIZE_BITS + THREAD_BITS + 1) |
                     block->size << (THREAD_BITS + 1) | (uint64_t)block->thread << 1;
        return;
    }
    size_t at = blocks->wide_free ? blocks->wide_free - 1 : blocks->wides++;
    if (blocks->wide_free) {
        blocks->wide_free = (size_t)blocks->wide[at].address;
    }
    blocks->wide[at] = *block;
    slot->key = (key & ~SITE_MASK) | 1;
    slot->rest = (uint64_t)at << 1 | WIDE;
}

/* Times from now on need a bit more: those in slots lose their lowest. */
static void widen_times(struct blocks_budget *budget)
{
    budget->shift++;
    for (struct blocks *blocks = budget->first; blocks; blocks = blocks->next) {
        for (size_t i = 0; i < blocks->slots; i++) {
            struct block_slot *slot = &blocks->slot[i];
            if (!is_empty(slot) && !(slot->rest & WIDE)) {
                uint64_t low = ((uint64_t)1 << (SIZE_BITS + THREAD_BITS + 1)) - 1;
                slot->rest = (slot->rest >> 1 & ~low) | (slot->rest & low);
            }
        }
    }
}

/* -- slots -- */

/* The slot of that address, or the empty one where it would stand. */
static struct block_slot *slot_of(const struct blocks *blocks, uint64_t key, uint64_t address)
{
    for (size_t i = blocks_home(blocks, key);; i = i + 1 < blocks->slots ? i + 1 : 0) {
        struct block_slot *slot = &blocks->slot[i];
        if (is_empty(slot) || is_of(blocks, slot, key, address)) {
            return slot;
        }
    }
}

static struct block_slot *empty_slot(const struct blocks *blocks, uint64_t key)
{
    size_t i = blocks_home(blocks, key);
    while (!is_empty(&blocks->slot[i])) {
        i = i + 1 < blocks->slots ? i + 1 : 0;
    }
    return &blocks->slot[i];
}

uint32_t blocks_guess_site(const struct blocks *blocks, uint64_t address)
{
    uint64_t key = blocks_key(address);
    size_t at = blocks->slots ? blocks_home(blocks, key) : 0, end = at + 8 < blocks->slots ? at + 8 : blocks->slots;
    for (; at < end && !is_empty(&blocks->slot[at]); at++) {
        if ((blocks->slot[at].key ^ key) >> SITE_BITS == 0) {
            return (uint32_t)(blocks->slot[at].key & SITE_MASK);
        }
    }
    return 0;
}

/* Address space in whole huge pages, where it is more than one: a look at random then costs one miss and not two. */
static struct block_slot *map_slots(size_t slots)
{
    size_t bytes = bytes_of(slots), more = bytes >= GIVE_BACK ? GIVE_BACK : 0;
    char *all = mmap(NULL, bytes + more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED) {
        return NULL;
    }
    if (more) {
        size_t before = -(uintptr_t)all & (GIVE_BACK - 1);
        if (before) {
            munmap(all, before);
        }
        munmap(all + before + bytes, more - before);
        all += before;
        madvise(all, bytes, MADV_HUGEPAGE);
    }
    return (struct block_slot *)all;
}

/* Both tables are gone through once, from one end to the other, and what is behind in the old one is given back at once: together
 * they never take more than the new one will. */
static bool resize(struct blocks *blocks, size_t slots)
{
    struct blocks old = *blocks;
    struct block_slot *slot = map_slots(slots);
    if (!slot) {
        blocks->budget->error = ENOMEM;
        return false;
    }
    blocks->slot = slot;
    blocks->slots = slots;
    for (size_t i = 0, step = GIVE_BACK / sizeof *slot; i < old.slots; i++) {
        if (!is_empty(&old.slot[i])) {
            *empty_slot(blocks, old.slot[i].key) = old.slot[i];
        }
        if ((i + 1) % step == 0) {
            madvise(&old.slot[i + 1 - step], GIVE_BACK, MADV_DONTNEED);
        }
    }
    if (old.slots) {
        munmap(old.slot, bytes_of(old.slots));
    }
    blocks->budget->used += bytes_of(slots) - bytes_of(old.slots);
    return true;
}

static int by_key(const struct blocks *blocks, const struct block_slot *a, const struct block_slot *b)
{
    uint64_t one = full_key(blocks, a), other = full_key(blocks, b);
    return (one > other) - (one < other);
}

/* All blocks to the front of the slots, in the order of their keys. They nearly are: a block is out of place only by its way from
 * home, and at the front by those that came around the end, which are put into `wrapped`. */
static size_t sort(struct blocks *blocks, struct block_slot *wrapped, size_t around)
{
    struct block_slot *b = blocks->slot;
    size_t n = 0;
    for (size_t i = 0; i < around; i++) {
        wrapped[i] = b[i];
    }
    for (size_t i = around; i < blocks->slots; i++) {
        if (!is_empty(&b[i])) {
            b[n++] = b[i];
        }
    }
    for (size_t i = 0; i < around; i++) {
        b[n++] = wrapped[i];
    }
    for (size_t i = 1; i < n; i++) {
        struct block_slot moving = b[i];
        size_t to = i;
        for (; to > 0 && by_key(blocks, &b[to - 1], &moving) > 0; to--) {
            b[to] = b[to - 1];
        }
        b[to] = moving;
    }
    return n;
}

static int put_to_disk(struct blocks *blocks)
{
    size_t around = 0;
    while (around < blocks->slots && !is_empty(&blocks->slot[around]) &&
           blocks_home(blocks, blocks->slot[around].key) > around) {
        around++;
    }
    struct block_slot *wrapped = malloc((around + 1) * sizeof *wrapped);
    if (!wrapped) {
        return ENOMEM;
    }
    size_t n = sort(blocks, wrapped, around);
    free(wrapped);
    struct cold_run *run = cold_begin(n, blocks->budget->folder);
    int error = run ? 0 : errno;
    for (size_t i = 0; i < n && !error;) {
        struct block together[TO_DISK];
        size_t count = 0;
        while (count < TO_DISK && i < n) {
            together[count++] = read_slot(blocks, &blocks->slot[i++]);
        }
        error = cold_append(run, together, count);
    }
    if (error) {
        cold_end(run);
        return error;
    }
    blocks->budget->spilled += n;
    blocks->budget->used -= cold_memory(blocks->cold);
    error = cold_put(&blocks->cold, run, blocks->budget->folder);
    blocks->budget->used += cold_memory(blocks->cold);
    return error;
}

/* The table with most blocks that has memory to give; `asks`, which wants some, has none while it is empty. */
static struct blocks *fullest(const struct blocks_budget *budget, const struct blocks *asks)
{
    struct blocks *found = NULL;
    for (struct blocks *b = budget->first; b; b = b->next) {
        if (b->slots && (b != asks || b->count) && (!found || b->count > found->count)) {
            found = b;
        }
    }
    return found;
}

static bool spill(struct blocks *blocks)
{
    int error = blocks->count ? put_to_disk(blocks) : 0;
    blocks->budget->error = error;
    drop_slots(blocks);
    return error == 0;
}

/* Bytes that tables may still take; negative: that they took too many. */
static int64_t left_of(const struct blocks_budget *budget)
{
    size_t most = budget->most > budget->others ? budget->most - budget->others : 0;
    most = most > budget->most / 8 ? most : budget->most / 8;
    return (int64_t)most - (int64_t)budget->used;
}

/* A table half as large again would leave half of what tables may take. */
static bool is_plenty(const struct blocks *blocks)
{
    return (int64_t)(blocks->budget->used + 2 * bytes_of(blocks->slots / 2)) <= left_of(blocks->budget);
}

/* Blocks of the same 256 bytes have one home, so looks get long long before there is no room: 7 of 8 is for who has nothing else. */
static bool is_full(const struct blocks *blocks)
{
    return blocks->count >= blocks->slots - blocks->slots / 8 ||
           (blocks->count >= blocks->slots / 2 && is_plenty(blocks));
}

bool blocks_beside(struct blocks_budget *budget, size_t others)
{
    budget->others = others;
    for (struct blocks *victim; left_of(budget) < 0 && (victim = fullest(budget, NULL));) {
        if (!spill(victim)) {
            return false;
        }
    }
    return true;
}

/* -- room for one block more: each of these two makes some, or a step towards it -- */

static bool grow_slots(struct blocks *blocks)
{
    size_t had = blocks->slots, slots = had < SLOTS_LEAST ? SLOTS_LEAST : had < DOUBLED_MOST ? 2 * had : had + had / 8;
    slots = had >= DOUBLED_MOST && is_plenty(blocks) ? had + had / 2 : slots;
    int64_t left = left_of(blocks->budget) / (int64_t)sizeof *blocks->slot;
    if ((int64_t)(slots - had) > left) {
        struct blocks *victim = fullest(blocks->budget, blocks);
        if (had && left >= (int64_t)had / 32) {
            slots = had + (size_t)left;
        } else if (victim) {
            return spill(victim);
        }
    }
    return resize(blocks, slots);
}

static bool grow_wide(struct blocks *blocks)
{
    struct blocks_budget *budget = blocks->budget;
    size_t room = blocks->wide_room ? blocks->wide_room + blocks->wide_room / 2 : WIDES_LEAST;
    size_t more = (room - blocks->wide_room) * sizeof *blocks->wide;
    struct blocks *victim = left_of(budget) < (int64_t)more ? fullest(budget, blocks) : NULL;
    if (victim) {
        return spill(victim);
    }
    struct block *grown = realloc(blocks->wide, room * sizeof *grown);
    if (!grown) {
        budget->error = ENOMEM;
        return false;
    }
    blocks->wide = grown;
    blocks->wide_room = room;
    budget->used += more;
    return true;
}

static bool make_room_for(struct blocks *blocks, const struct block *block)
{
    while (block->time >> blocks->budget->shift >> TIME_BITS) {
        widen_times(blocks->budget);
    }
    for (;;) {
        bool wide_is_full = blocks->wides == blocks->wide_room && !blocks->wide_free;
        if (is_full(blocks)) {
            if (!grow_slots(blocks)) {
                return false;
            }
        } else if (wide_is_full && !fits(block)) {
            if (!grow_wide(blocks)) {
                return false;
            }
        } else {
            return true;
        }
    }
}

/* -- blocks -- */

int blocks_put(struct blocks *blocks, const struct block *block, struct block *old)
{
    if (!make_room_for(blocks, block)) {
        return -1;
    }
    uint64_t key = blocks_key(block->address);
    struct block_slot *slot = slot_of(blocks, key, block->address);
    bool is_new = is_empty(slot);
    if (!is_new) {
        *old = read_slot(blocks, slot);
        forget_wide(blocks, slot);
    }
    write_slot(blocks, slot, key, block);
    blocks->count += is_new;
    return is_new;
}

/* Those behind come forward as far as their homes allow, so that no search ends too early. */
static void empty(struct blocks *blocks, struct block_slot *slot)
{
    size_t slots = blocks->slots, hole = (size_t)(slot - blocks->slot);
    for (size_t i = hole + 1 < slots ? hole + 1 : 0; !is_empty(&blocks->slot[i]); i = i + 1 < slots ? i + 1 : 0) {
        size_t home = blocks_home(blocks, blocks->slot[i].key);
        size_t from_home = i >= home ? i - home : i + slots - home, from_hole = i >= hole ? i - hole : i + slots - hole;
        if (from_home >= from_hole) {
            blocks->slot[hole] = blocks->slot[i];
            hole = i;
        }
    }
    blocks->slot[hole].key = 0;
    blocks->count--;
}

static int search(struct blocks *blocks, uint64_t address, struct block *out, bool take)
{
    struct block_slot *slot = blocks->slots ? slot_of(blocks, blocks_key(address), address) : NULL;
    if (slot && !is_empty(slot)) {
        *out = read_slot(blocks, slot);
        if (take) {
            forget_wide(blocks, slot);
            empty(blocks, slot);
        }
        return 1;
    }
    int found = blocks->cold ? cold_find(blocks->cold, address, out, take) : 0;
    if (found < 0) {
        blocks->budget->error = -found;
        return -1;
    }
    return found;
}

int blocks_take(struct blocks *blocks, uint64_t address, struct block *out)
{
    return search(blocks, address, out, true);
}

int blocks_find(struct blocks *blocks, uint64_t address, struct block *out)
{
    return search(blocks, address, out, false);
}

struct visiting {
    struct blocks *blocks;
    bool (*visit)(void *arg, const struct block *block);
    void *arg;
};

/* One on disk is no more where another has its address. */
static bool visit_cold(void *arg, const struct block *block)
{
    struct visiting *v = arg;
    struct block_slot *slot = v->blocks->slots ? slot_of(v->blocks, blocks_key(block->address), block->address) : NULL;
    return (slot && !is_empty(slot)) || v->visit(v->arg, block);
}

int blocks_each(struct blocks *blocks, bool (*visit)(void *arg, const struct block *block), void *arg)
{
    for (size_t i = 0; i < blocks->slots; i++) {
        if (!is_empty(&blocks->slot[i])) {
            struct block block = read_slot(blocks, &blocks->slot[i]);
            if (!visit(arg, &block)) {
                return 0;
            }
        }
    }
    if (!blocks->cold) {
        return 1;
    }
    struct visiting visiting = {blocks, visit, arg};
    blocks->budget->used -= cold_memory(blocks->cold);
    int error = cold_each(&blocks->cold, blocks->budget->folder, visit_cold, &visiting);
    blocks->budget->used += cold_memory(blocks->cold);
    blocks->budget->error = error > 0 ? error : blocks->budget->error;
    return error > 0 ? -1 : error == 0;
}
