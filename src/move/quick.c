/* move/quick.c - the blocks that came free last, of each length up to 520 bytes some, before they are holes. See move/movable.h.
 *
 *   of[units]: | block | block | block |       a stack; to their chunk they are taken, and no slot leads to them
 *
 * What is put and got again, of about the same lengths, merges with nobody and is cut from nothing: each of that would be a miss, for the
 * hole before, the block behind, and the neighbours of both in their lists. (Weinstock and Wulf, "Quick Fit", 1988.) They are given to
 * their chunk before another one is made for want of room, before that chunk's groups move, and when a step has nothing else to do. Not in
 * debug mode, nor where somebody watches: what was put is not to come back so soon.
 */
#include "move/movable.h"

bool quick_put(struct movable *h, char *p)
{
    struct quick *q = &h->quick;
    uint32_t units = units_of(h, p);
    if (units >= q->units || q->count[units] == QUICK_DEPTH) {
        return false;
    }
    struct chunk *chunk = &h->chunk[chunk_of(h, p)];
    chunk->quick += units;
    chunk->changed = true;
    q->of[units][q->count[units]++] = p;
    q->total++;
    return true;
}

void quick_pop(struct movable *h, uint32_t units)
{
    struct quick *q = &h->quick;
    h->chunk[chunk_of(h, q->of[units][--q->count[units]])].quick -= units;
    q->total--;
}

/* Those of a chunk, or all. */
static bool give(struct movable *h, uint32_t c)
{
    struct quick *q = &h->quick;
    uint32_t before = q->total;
    for (uint32_t units = 0; q->total && units < q->units; units++) {
        unsigned keep = 0;
        for (unsigned i = 0; i < q->count[units]; i++) {
            char *p = q->of[units][i];
            if (c != NO_CHUNK && chunk_of(h, p) != c) {
                q->of[units][keep++] = p;
                continue;
            }
            q->total--;
            h->chunk[chunk_of(h, p)].quick -= units;
            block_give(h, p);
        }
        q->count[units] = (uint8_t)keep;
    }
    return q->total < before;
}

bool quick_give_of(struct movable *h, uint32_t c) { return h->quick.total && give(h, c); }
bool quick_give_all(struct movable *h) { return h->quick.total && give(h, NO_CHUNK); }
