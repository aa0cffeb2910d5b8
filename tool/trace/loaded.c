/* See loaded.h. */
#include <stdlib.h>

#include "trace/loaded.h"

void loaded_done(struct loaded *loaded)
{
    for (unsigned i = 0; i < LOADED_LEVELS; i++) {
        free(loaded->level[i].piece);
    }
    *loaded = (struct loaded){0};
}

static void put(struct loaded_level *out, uint64_t start, uint64_t end, uint32_t object)
{
    if (start < end) {
        out->piece[out->pieces++] = (struct loaded_piece){start, end, object};
    }
}

/* Newer pieces, and of older ones what is not under them. False: no memory. */
static bool lay_over(const struct loaded_level *newer, const struct loaded_level *older, struct loaded_level *out)
{
    uint64_t covered = 0; /* up to the end of the newer ones that have been put */
    uint32_t n = 0;
    /* Each piece of the newer ones cuts one older in two at most. */
    *out = (struct loaded_level){reallocarray(NULL, (size_t)newer->pieces * 2 + older->pieces, sizeof *out->piece), 0};
    if (!out->piece) {
        return false;
    }
    for (uint32_t i = 0; i < older->pieces; i++) {
        const struct loaded_piece *old = &older->piece[i];
        uint64_t from = old->start > covered ? old->start : covered;
        for (; n < newer->pieces && newer->piece[n].start < old->end; n++) {
            const struct loaded_piece *over = &newer->piece[n];
            put(out, from, over->start, old->object);
            put(out, over->start, over->end, over->object);
            covered = over->end;
            from = from > covered ? from : covered;
        }
        put(out, from, old->end, old->object);
    }
    for (; n < newer->pieces; n++) {
        out->piece[out->pieces++] = newer->piece[n];
    }
    return true;
}

bool loaded_add(struct loaded *loaded, uint64_t start, uint64_t end, uint32_t object)
{
    struct loaded_level carried = {malloc(sizeof *carried.piece), 0}, both;
    unsigned level = 0;
    if (!carried.piece) {
        return false;
    }
    put(&carried, start, end, object);
    for (; carried.pieces && level < LOADED_LEVELS && loaded->level[level].pieces; level++) {
        bool done = lay_over(&carried, &loaded->level[level], &both);
        free(carried.piece);
        carried = both;
        if (!done) {
            return false;
        }
    }
    if (!carried.pieces || level == LOADED_LEVELS) {
        free(carried.piece);
        return !carried.pieces;
    }
    for (unsigned i = 0; i < level; i++) {
        free(loaded->level[i].piece);
        loaded->level[i] = (struct loaded_level){0};
    }
    loaded->level[level] = carried;
    return true;
}

uint32_t loaded_find(const struct loaded *loaded, uint64_t address)
{
    for (unsigned i = 0; i < LOADED_LEVELS; i++) {
        const struct loaded_level *level = &loaded->level[i];
        uint32_t low = 0, high = level->pieces; /* the first piece that ends behind the address is among [low, high] */
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (level->piece[middle].end > address) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        if (low < level->pieces && level->piece[low].start <= address) {
            return level->piece[low].object;
        }
    }
    return LOADED_NONE;
}
