/* page/evict/simple.c - FIFO, LRU, Clock and SIEVE: one queue, no ghosts. See include/allot/evict.h.
 *
 *   FIFO, LRU    new, used -> | head ........ tail | -> goes      LRU: what is used goes to the head again
 *   CLOCK        | 0 1 . 1 0 0 1 . |   the hand goes round by number, clears what is set, and stops where nothing is; what comes
 *                       ^ hand         takes that place, so it is the last that the hand comes to
 *   SIEVE        | head .. 1 0 <- hand 1 .. tail |  the hand clears from the tail to the head and begins again; what comes is put at
 *                                                   the head, so what stays sorts itself behind the hand
 *
 * FIFO and Clock go bad with loops that are longer than there are frames, LRU worst of all.
 */
#include "page/evict/evict.h"

struct evict_victim fifo_victim(struct evict_state *s, struct evict_search *search)
{
    return (struct evict_victim){.frame = evict_first_idle(s, &s->list[0], search)};
}

struct evict_victim lru_victim(struct evict_state *s, struct evict_search *search) { return fifo_victim(s, search); }

static uint32_t after(const struct evict_state *s, uint32_t frame) { return frame + 1 == s->frames ? 0 : frame + 1; }

struct evict_victim clock_victim(struct evict_state *s, struct evict_search *search)
{
    for (; evict_look(search); s->hand = after(s, s->hand)) {
        uint32_t frame = s->hand;
        if ((s->place[frame] & VACANT) || evict_is_busy(search, frame)) {
            continue;
        }
        if (!evict_used(s, frame)) {
            s->hand = after(s, frame);
            return (struct evict_victim){.frame = frame};
        }
        evict_set_used(s, frame, 0);
    }
    for (uint32_t frame = 0; frame < s->frames; frame++) {
        if (!(s->place[frame] & VACANT) && !evict_is_busy(search, frame)) {
            return (struct evict_victim){.frame = frame};
        }
    }
    return (struct evict_victim){.frame = NIL};
}

struct evict_victim sieve_victim(struct evict_state *s, struct evict_search *search)
{
    uint32_t frame = s->hand == NIL ? s->list[0].tail : s->hand;
    while (frame != NIL && evict_look(search)) {
        if (!evict_is_busy(search, frame)) {
            if (!evict_used(s, frame)) {
                s->hand = frame;
                return (struct evict_victim){.frame = frame};
            }
            evict_set_used(s, frame, 0);
        }
        frame = s->node[frame].prev == NIL ? s->list[0].tail : s->node[frame].prev;
    }
    return fifo_victim(s, search);
}

void sieve_leave(struct evict_state *s, uint32_t frame)
{
    if (s->hand == frame) {
        s->hand = s->node[frame].prev;
    }
}
