/* gc/copy_slots.c - slots of objects that refer into a unit which is to be evacuated.
 *
 *   unit --slots--> | next | count | serial, slot | serial, slot | ... |       chunks, until the unit is evacuated or given up
 *
 * A slot is noted as marking finds it, and when it comes into being later: in a copy, or in an object that has been written to. It may
 * be noted twice, and refer elsewhere by the time it is looked at. The unit that it lies in may have been evacuated, and taken for
 * copies again: then its serial is another. Memory that is out, or more slots than a pause can follow, save the unit. O(1) a slot.
 */
#include "gc/copy_parts.h"
#include "gc/copy_trace.h"
#include "os/memory.h"
#include "span/map.h"

enum {
    CHUNK_BYTES = 512,
    CHUNK = CHUNK_BYTES / 8 - 2,
    BLOCK = 64 * 1024,           /* bytes of which chunks are cut */
    NOTED_MOST = 16 * 1024,      /* of a unit */
    SERIAL_LARGE = COPY_SERIALS, /* in a large object, which stays */
    SERIAL_SHIFT = 48
};

struct copy_slots {
    struct copy_slots *next;
    uint64_t count;
    uint64_t at[CHUNK];
};

static bool cut_block(struct gc *gc)
{
    struct copy *c = &gc->copy;
    struct gc_table *blocks = &c->slot_blocks;
    if (!gc_table_reserve(gc, blocks, blocks->count + 1, sizeof(void *)) || !gc_hold_bytes(gc, BLOCK)) {
        return false;
    }
    struct copy_slots *block = os_map(BLOCK);
    if (!block) {
        gc_let_bytes_go(gc, BLOCK);
        return false;
    }
    ((void **)blocks->at)[blocks->count++] = block;
    for (size_t i = 0; i < BLOCK / sizeof *block; i++) {
        block[i].next = c->unused_slots;
        c->unused_slots = &block[i];
    }
    return true;
}

static struct copy_slots *take_chunk(struct gc *gc)
{
    struct copy *c = &gc->copy;
    if (!c->unused_slots && !cut_block(gc)) {
        return NULL;
    }
    struct copy_slots *chunk = c->unused_slots;
    c->unused_slots = chunk->next;
    return chunk;
}

static void give_chunks(struct gc *gc, struct copy_unit *u)
{
    for (struct copy_slots *chunk = u->slots, *next; chunk; chunk = next) {
        next = chunk->next;
        chunk->next = gc->copy.unused_slots;
        gc->copy.unused_slots = chunk;
    }
    u->slots = NULL;
    u->noted = 0;
}

void copy_record(struct gc *gc, struct copy_unit *u, void **slot, bool large)
{
    struct copy_slots *chunk = u->slots;
    if (!chunk || chunk->count == CHUNK) {
        struct copy_slots *more = u->noted < NOTED_MOST ? take_chunk(gc) : NULL;
        if (!more) {
            give_chunks(gc, u);
            u->wanted = 0;
            return;
        }
        more->next = chunk;
        more->count = 0;
        u->slots = chunk = more;
    }
    uint64_t serial = large ? SERIAL_LARGE : copy_unit_of(slot)->serial;
    chunk->at[chunk->count++] = serial << SERIAL_SHIFT | (uint64_t)(uintptr_t)slot;
    u->noted++;
}

static bool is_slot_still(const struct gc *gc, const void *slot, uint64_t serial)
{
    if (serial == SERIAL_LARGE) {
        return true;
    }
    const struct copy_unit *u = copy_unit_of(slot);
    return unit_owner(&u->unit) == gc->part.id && u->is == COPY_OLD && u->serial == serial;
}

void copy_each_slot(struct gc *gc, struct copy_unit *u, void (*reach)(struct gc *gc, void **slot, bool large))
{
    for (struct copy_slots *chunk = u->slots; chunk; chunk = chunk->next) {
        for (size_t i = 0; i < chunk->count; i++) {
            void **slot = (void **)(uintptr_t)(chunk->at[i] & (((uint64_t)1 << SERIAL_SHIFT) - 1));
            uint64_t serial = chunk->at[i] >> SERIAL_SHIFT;
            if (is_slot_still(gc, slot, serial)) {
                reach(gc, slot, serial == SERIAL_LARGE);
            }
        }
        gc->copy.visited += chunk->count;
    }
    give_chunks(gc, u);
}

bool copy_is_noted(const struct gc *gc, const struct copy_unit *u, void *const *slot)
{
    for (const struct copy_slots *chunk = u->slots; chunk; chunk = chunk->next) {
        for (size_t i = 0; i < chunk->count; i++) {
            uint64_t serial = chunk->at[i] >> SERIAL_SHIFT;
            if (chunk->at[i] << (64 - SERIAL_SHIFT) == (uint64_t)(uintptr_t)slot << (64 - SERIAL_SHIFT) &&
                is_slot_still(gc, slot, serial)) {
                return true;
            }
        }
    }
    return false;
}

void copy_drop_slots(struct gc *gc)
{
    struct copy *c = &gc->copy;
    void **block = c->slot_blocks.at;
    for (size_t i = 0; i < c->slot_blocks.count; i++) {
        os_unmap(block[i], BLOCK);
        gc_let_bytes_go(gc, BLOCK);
    }
    gc_table_free(gc, &c->slot_blocks, sizeof(void *));
    c->unused_slots = NULL;
}
