/* page/evict/arc.c - ARC: recency and frequency, by what is missed. (Megiddo and Modha, "ARC: a self-tuning, low overhead replacement
 * cache", 2003)
 *
 *   new -> | T1: used once | -> goes -> | B1: ghosts |     comes again: T1 was too short, and gets more room
 *                  `- used                    `----.
 *          | T2: used again | -> goes -> | B2 | ---+--> T2      ...: T2 was
 *
 * |T1| + |B1| <= frames, and all four lists hold twice as many at most. A loop that is longer than there are frames is lost, as with LRU.
 */
#include "page/evict/evict.h"

enum { ONCE, AGAIN };

static double share(uint32_t other, uint32_t own) { return other > own ? (double)other / own : 1; }

struct evict_judgement arc_judge(struct evict_state *s, uint64_t coming)
{
    uint32_t once = s->ghost[ONCE].count, again = s->ghost[AGAIN].count;
    int list = evict_ghost_take(s, coming);
    if (list == ONCE) {
        s->recent += share(again, once);
        s->recent = s->recent > s->frames ? s->frames : s->recent;
    } else if (list == AGAIN) {
        s->recent -= share(once, again);
        s->recent = s->recent < 0 ? 0 : s->recent;
    }
    return (struct evict_judgement){.list = list < 0 ? ONCE : AGAIN, .refault = list >= 0, .first_ghost = list == ONCE};
}

void arc_hit(struct evict_state *s, uint32_t frame) { evict_move(s, frame, AGAIN); }

static struct evict_victim replace(struct evict_state *s, struct evict_search *search, unsigned list, bool remembered)
{
    uint32_t frame = evict_first_idle(s, &s->list[list], search);
    if (frame == NIL) {
        list = !list;
        frame = evict_first_idle(s, &s->list[list], search);
    }
    bool ghost = frame != NIL && (remembered || list == AGAIN);
    return (struct evict_victim){.frame = frame, .ghost = ghost ? evict_ghost_add(s, list, s->ghosts) : 0};
}

struct evict_victim arc_victim(struct evict_state *s, struct evict_search *search, struct evict_judgement judged)
{
    uint32_t once = s->list[ONCE].count;
    if (!judged.refault) {
        uint64_t all = (uint64_t)s->present + s->ghost[ONCE].count + s->ghost[AGAIN].count;
        if (once + s->ghost[ONCE].count >= s->frames) {
            if (s->ghost[ONCE].count == 0) {
                return replace(s, search, ONCE, false);
            }
            evict_ghost_drop_oldest(s, ONCE);
        } else if (all >= 2 * (uint64_t)s->frames && s->ghost[AGAIN].count) {
            evict_ghost_drop_oldest(s, AGAIN);
        }
    }
    bool second_ghost = judged.refault && !judged.first_ghost;
    bool from_once = once > 0 && (once > s->recent || (once == s->recent && second_ghost));
    return replace(s, search, from_once || s->list[AGAIN].count == 0 ? ONCE : AGAIN, true);
}
