/* heap/part.c - see heap/part.h. O(1), but for what a run or a large block costs. */
#include "heap/part.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "heap/hard.h"
#include "heap/heap.h"
#include "heap/limit.h"
#include "os/fault.h"
#include "os/watch.h"
#include "span/large.h"
#include "span/map.h"
#include "span/run.h"

/* Two levels, as of heaps. */
_Atomic(struct part *) *_Atomic parts_table[PARTS_ROOT];
static struct os_lock lock; /* the table's writers */
static uint32_t count[PART_SORTS];

_Atomic bool parts_any;

bool part_enlist(struct part *part, enum part_sort sort)
{
    os_lock(&lock);
    bool is_room = count[sort] < PARTS_SETS;
    uint32_t n = count[sort] + (sort == PART_SET ? 0 : PARTS_SETS);
    _Atomic(struct part *) *leaf = is_room ? parts_table[n / PARTS_LEAF] : NULL;
    if (!leaf && is_room && (leaf = record_alloc(PARTS_LEAF * sizeof *leaf))) {
        atomic_store_explicit(&parts_table[n / PARTS_LEAF], leaf, memory_order_release);
    }
    if (leaf) {
        count[sort]++;
        part->id = OWNER_LIMIT + n;
        atomic_store_explicit(&leaf[n % PARTS_LEAF], part, memory_order_release);
        atomic_store_explicit(&parts_any, true, memory_order_relaxed);
    }
    os_unlock(&lock);
    return leaf;
}

struct part *part_of(const void *p)
{
    uint32_t owner = begins_large(p) ? large_heap(p) : atomic_load_explicit(&unit_of(p)->owner, memory_order_acquire);
    if (owner == OWNER_RUN) {
        owner = run_heap(p);
    }
    return is_part(owner) ? part_by_id(owner) : NULL;
}

void part_fault(const char *crime, const struct part *part, const void *p)
{
    char object[160], bytes[40] = "";
    if (is_set(part->id)) {
        snprintf(bytes, sizeof bytes, " of %zu bytes", part->size);
    }
    snprintf(object, sizeof object, "object%s of %s \"%s\"", bytes, part->kind,
             part->name ? part->name : "that is done");
    allot_fault(crime, object, p);
}

void part_expect_none(const char *crime, const void *p)
{
    bool ours = p && map_get(p) != NULL && (begins_large(p) || map_get(p) == MAP_SEGMENT);
    const struct part *part = ours ? part_of(p) : NULL;
    if (part) {
        part_fault(crime, part, p);
    }
}

/* -- slots that others put -- */

void part_tell(struct part *part, struct slab *s)
{
    if (remote_notice(&part->inbox, s) && !atomic_load_explicit(&part->owned, memory_order_seq_cst)) {
        part->noticed(part);
    }
}

void part_noticed(uint32_t id, struct slab *s)
{
    struct part *part = part_by_id(id);
    if (part) {
        remote_notice(&part->inbox, s);
    }
}

struct slab *part_next_noticed(struct part *part, bool *emptied)
{
    for (;;) {
        if (!part->undrained && !*emptied && atomic_load_explicit(&part->inbox, memory_order_seq_cst)) {
            part->undrained = atomic_exchange_explicit(&part->inbox, NULL, memory_order_seq_cst);
            *emptied = true;
        }
        struct slab *s = part->undrained;
        if (!s) {
            return NULL;
        }
        part->undrained = s->inbox_next;
        atomic_exchange_explicit(&s->pending, 0, memory_order_seq_cst);
        if (slab_owner(s) == part->id) {
            return s;
        }
        remote_pass_on(s);
    }
}

/* -- memory -- */

struct unit *part_take_unit(enum unit_use use)
{
    if (!limit_take(UNIT_SIZE)) {
        errno = ENOMEM;
        return NULL;
    }
    catch_up();
    struct unit *unit = unit_take(use);
    if (!unit && big_give_up() > 0) {
        unit = unit_take(use);
    }
    if (!unit) {
        limit_give(UNIT_SIZE);
        errno = ENOMEM;
    }
    return unit;
}

void part_give_unit(struct unit *unit)
{
    if (sealed()) { /* what nobody has is zero there */
        hard_let_slab_go((struct slab *)unit, true);
    }
    slab_done((struct slab *)unit);
    unit_give(unit);
    limit_give(UNIT_SIZE);
}

static atomic_size_t runs, runs_bytes, large, large_bytes;

static void count_pages(const void *p, size_t bytes, size_t one) /* more, or less as what wraps */
{
    atomic_fetch_add_explicit(begins_large(p) ? &large : &runs, one, memory_order_relaxed);
    atomic_fetch_add_explicit(begins_large(p) ? &large_bytes : &runs_bytes, bytes, memory_order_relaxed);
}

static void *take_pages(const struct part *part, size_t bytes, size_t align, bool zero)
{
    size_t pages = align_up(bytes, RUN_PAGE);
    bool zeroed = false;
    if (bytes > PTRDIFF_MAX || !limit_take(pages)) {
        errno = ENOMEM;
        return NULL;
    }
    void *p = bytes <= RUN_MAX && align <= RUN_MAX_ALIGN ? run_alloc(bytes, align, part->id, &zeroed) : NULL;
    p = p ? p : large_alloc(bytes, align, part->id, &zeroed);
    size_t got = p ? block_size(p) : 0;
    limit_adjust(pages, got);
    if (p) {
        count_pages(p, got, 1);
    }
    if (p && zero && !zeroed) {
        memset(p, 0, bytes);
    }
    return p;
}

void *part_take_pages(const struct part *part, size_t bytes, size_t align)
{
    return take_pages(part, bytes, align, false);
}

void *part_take_zero_pages(const struct part *part, size_t bytes, size_t align)
{
    return take_pages(part, bytes, align, true);
}

size_t part_pages(const void *p) { return block_size(p); }

void part_give_pages(void *p)
{
    bool is_large = begins_large(p);
    size_t bytes = block_size(p);
    if (sealed()) {
        watch_allow(p, bytes);
        big_zero(p, bytes);
        watch_deny(p, bytes);
    }
    count_pages(p, -bytes, (size_t)-1);
    limit_give(is_large ? large_free(p) : run_free(p));
}

struct part_totals part_totals(void)
{
    return (struct part_totals){
        .runs = atomic_load_explicit(&runs, memory_order_relaxed),
        .runs_bytes = atomic_load_explicit(&runs_bytes, memory_order_relaxed),
        .large = atomic_load_explicit(&large, memory_order_relaxed),
        .large_bytes = atomic_load_explicit(&large_bytes, memory_order_relaxed),
    };
}

void parts_lock(void) { os_lock(&lock); }

void parts_unlock(void) { os_unlock(&lock); }

void parts_lock_reset(void) { os_lock_reset(&lock); }
