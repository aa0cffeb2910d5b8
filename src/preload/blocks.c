/* preload/blocks.c - see preload/blocks.h. Linear probing; what follows a place that becomes free moves up. */
#include "preload/blocks.h"

#include <stdint.h>

#include "base/bits.h"
#include "os/lock.h"
#include "os/noscan.h"

enum { PARTS = 64, PART_BITS = 6, FIRST_PLACES = 1024 };

struct place {
    uintptr_t address; /* 0: free */
    size_t size;
};

static struct part {
    _Alignas(64) struct os_lock lock;
    struct place *place;
    size_t places, count; /* places: a power of two, or 0 */
} parts[PARTS];

static _Atomic bool some_missing;
static __thread bool busy; /* so that a signal's handler does not wait for its own thread */

static uint64_t hash_of(uintptr_t address) { return (address >> 4) * 0x9e3779b97f4a7c15u; }

static struct part *part_of(uintptr_t address) { return &parts[hash_of(address) >> (64 - PART_BITS)]; }

static size_t home(const struct part *part, uintptr_t address)
{
    return (size_t)(hash_of(address) >> 16) & (part->places - 1);
}

static struct place *find(const struct part *part, uintptr_t address)
{
    size_t i = home(part, address);
    while (part->place[i].address && part->place[i].address != address) {
        i = (i + 1) & (part->places - 1);
    }
    return &part->place[i];
}

static bool double_room(struct part *part)
{
    struct part more = *part;
    more.places = part->places ? 2 * part->places : FIRST_PLACES;
    more.place = os_map_noscan(more.places * sizeof *more.place);
    if (!more.place) {
        return false;
    }
    for (size_t i = 0; i < part->places; i++) {
        if (part->place[i].address) {
            *find(&more, part->place[i].address) = part->place[i];
        }
    }
    if (part->place) {
        os_unmap_noscan(part->place, part->places * sizeof *part->place);
    }
    part->place = more.place;
    part->places = more.places;
    return true;
}

static struct part *enter(uintptr_t address)
{
    if (busy) {
        return NULL;
    }
    busy = true;
    atomic_signal_fence(memory_order_seq_cst);
    struct part *part = part_of(address);
    os_lock(&part->lock);
    return part;
}

static void leave(struct part *part)
{
    os_unlock(&part->lock);
    atomic_signal_fence(memory_order_seq_cst);
    busy = false;
}

void blocks_add(const void *p, size_t size)
{
    struct part *part = p ? enter((uintptr_t)p) : NULL;
    if (!part) {
        return;
    }
    if (part->count + 1 > part->places / 4 * 3 && !double_room(part)) {
        atomic_store_explicit(&some_missing, true, memory_order_relaxed);
    } else {
        struct place *place = find(part, (uintptr_t)p);
        part->count += place->address == 0;
        *place = (struct place){(uintptr_t)p, size};
    }
    leave(part);
}

/* What stands behind may be here only because this place was taken. */
static void make_free(struct part *part, size_t i)
{
    size_t mask = part->places - 1;
    for (size_t next = (i + 1) & mask; part->place[next].address; next = (next + 1) & mask) {
        if (((next - home(part, part->place[next].address)) & mask) >= ((next - i) & mask)) {
            part->place[i] = part->place[next];
            i = next;
        }
    }
    part->place[i] = (struct place){0};
    part->count--;
}

size_t blocks_remove(const void *p)
{
    size_t size = SIZE_MAX;
    struct part *part = p ? enter((uintptr_t)p) : NULL;
    if (!part) {
        return size;
    }
    struct place *place = part->places ? find(part, (uintptr_t)p) : NULL;
    if (place && place->address) {
        size = place->size;
        make_free(part, (size_t)(place - part->place));
    }
    leave(part);
    return size;
}

void blocks_lock(void)
{
    busy = true;
    for (unsigned i = 0; i < PARTS; i++) {
        os_lock(&parts[i].lock);
    }
}

void blocks_unlock(void)
{
    for (unsigned i = 0; i < PARTS; i++) {
        os_unlock(&parts[i].lock);
    }
    busy = false;
}

void blocks_lock_reset(void)
{
    for (unsigned i = 0; i < PARTS; i++) {
        os_lock_reset(&parts[i].lock);
    }
    busy = false;
}

bool blocks_list(struct graph_block **block, size_t *count)
{
    size_t all = 0, n = 0;
    for (unsigned i = 0; i < PARTS; i++) {
        all += parts[i].count;
    }
    struct graph_block *out = os_map_noscan(blocks_list_bytes(all));
    for (unsigned i = 0; out && i < PARTS; i++) {
        for (size_t k = 0; k < parts[i].places; k++) {
            const struct place *p = &parts[i].place[k];
            if (p->address) {
                out[n++] = (struct graph_block){.address = p->address, .size = p->size};
            }
        }
    }
    *block = out;
    *count = n;
    return out && !atomic_load_explicit(&some_missing, memory_order_relaxed);
}
