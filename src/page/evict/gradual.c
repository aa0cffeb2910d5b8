/* page/evict/gradual.c - pages cool level by level; what is missed says how fast. See include/allot/evict.h, docs/replacement.md.
 *
 *              hot   | level 2 |  <---------------. used twice or more since it was looked at
 *                         | not used: `pace`      |
 *                         v                       |
 *                    | level 1 | -- used: again --'    -- not used -> goes, where no fresh page is due
 *                         ^ used
 *     new ---------> | level 0 | -- not used ----> goes           `fresh`: how many pages this level may have
 *                         ^
 *     ghost, long ago ----'        a ghost of at most so many evictions as there are frames comes to one level above where it was;
 *                                  but only in place of a page of the coldest level above 0 that was not used for longer
 *
 * Each level is a queue whose tail alone is looked at, so a hit is a counter and nothing more. Four rules, and what each is for:
 *
 *   small fresh queue   most pages are used once: they pass through few frames                        (S3-FIFO)
 *   contest of ages     in a loop longer than there are frames every ghost is older than what stays: so that stays, and hits (LIRS's idea)
 *   fresh adapts        pages missed soon after they left level 0 say it is too short, those that left the others, that it is too long:
 *                       so much of either list's last tenth would have hit, had it been longer        (ARC's idea, on equal windows)
 *   pace adapts         pages that cooled and are used again cooled too fast, those that go unused too slowly: four to one
 *
 * With few frames a program is about something else before a page has cooled by two levels, so there is no third.
 *
 * A ghost is three times, in 1/512 of the frames: when it was entered and when it went, in evictions, and in evictions of its list; and
 * its level. Nothing is kept of a page but this word, which lies in the page's own entry.
 */
#include "page/evict/evict.h"

enum {
    LEVELS = 3,
    LEVELS_FEW = 2, /* below so many frames: */
    FEW = 256,
    FRESH_FIRST = 26, /* of 256 */
    FRESH_LEAST = 5,
    FRESH_MOST = 230,
    PACE_FIRST = 102, /* of 1024 */
    PACE_LEAST = 10,
    PACE_MOST = 1024,
    PACE_COLD = 10,
    PACE_HOT = 40,
    TIME_BITS = 19,
    TIMES = 512, /* to as many evictions as there are frames */
};

static uint32_t part(uint32_t frames, unsigned of_256) { return (uint32_t)((uint64_t)frames * of_256 / 256); }

void gradual_init(struct evict_state *s, const struct allot_evict_opts *opts)
{
    bool few = s->frames < FEW && opts->pace[2] == 0; /* a pace of the third level's wants it */
    s->levels = (uint8_t)(opts->levels ? opts->levels : few ? LEVELS_FEW : LEVELS);
    s->unit = s->frames / TIMES ? s->frames / TIMES : 1;
    s->fresh_least = part(s->frames, opts->fresh ? opts->fresh : FRESH_LEAST);
    s->fresh_least += s->fresh_least == 0;
    s->fresh_most =
        (uint32_t)size_max(part(s->frames, opts->fresh_most ? opts->fresh_most : FRESH_MOST), s->fresh_least);
    s->fresh = (uint32_t)size_min(size_max(part(s->frames, FRESH_FIRST), s->fresh_least), s->fresh_most);
    s->pace = PACE_FIRST;
    s->adapts = true;
    for (unsigned i = 2; i < s->levels; i++) {
        s->fixed_pace[i] = opts->pace[i] * 4;
        s->adapts = s->adapts && opts->pace[i] == 0;
    }
}

/* -- ghosts: | 0 : 3 | level + 1 : 4 | left its list : 19 | entered : 19 | went : 19 | -- */

static uint32_t now(const struct evict_state *s, uint64_t count)
{
    return (uint32_t)(count / s->unit) & ((1u << TIME_BITS) - 1);
}

static uint32_t since(const struct evict_state *s, uint64_t count, uint64_t then)
{
    return (now(s, count) - (uint32_t)then) & ((1u << TIME_BITS) - 1);
}

static uint64_t ghost_of(struct evict_state *s, uint32_t frame, unsigned level)
{
    uint64_t *left = level ? &s->from_old : &s->from_fresh;
    uint64_t entered = s->evictions - (uint32_t)(s->evictions - s->entered[frame]);
    uint64_t ghost = (uint64_t)(level + 1) << (3 * TIME_BITS) | (uint64_t)now(s, *left) << (2 * TIME_BITS) |
                     (uint64_t)now(s, entered) << TIME_BITS | now(s, s->evictions);
    ++*left;
    s->evictions++;
    return ghost;
}

struct evict_judgement gradual_judge(struct evict_state *s, uint64_t coming)
{
    if (coming == 0) {
        return (struct evict_judgement){.list = 0};
    }
    unsigned level = (unsigned)(coming >> (3 * TIME_BITS)) - 1;
    uint32_t whole = s->frames / s->unit;
    if (since(s, level ? s->from_old : s->from_fresh, coming >> (2 * TIME_BITS)) <= whole / 10) {
        s->fresh += level == 0 ? s->fresh < s->fresh_most : -(s->fresh > s->fresh_least);
    }
    if (since(s, s->evictions, coming) > whole) {
        return (struct evict_judgement){.list = 0};
    }
    uint8_t list = (uint8_t)size_min(level + 1, s->levels - 1u);
    return (struct evict_judgement){.list = list, .refault = true, .age = since(s, s->evictions, coming >> TIME_BITS)};
}

/* -- pages that stay -- */

static void requeue(struct evict_state *s, uint32_t frame, uint8_t level)
{
    s->entered[frame] = (uint32_t)s->evictions;
    evict_move(s, frame, level);
}

/* What has become of a page that cooled. */
static void learn(struct evict_state *s, uint32_t frame, bool used)
{
    if (s->place[frame] & COOLED) {
        s->place[frame] &= (uint8_t)~COOLED;
        s->pace = used ? (uint32_t)size_max(s->pace, PACE_LEAST + PACE_HOT) - PACE_HOT
                       : (uint32_t)size_min(s->pace + PACE_COLD, PACE_MOST);
    }
}

/* A page at the tail of a level above 0 has been used: it goes to its head, or to the next. */
static void keep(struct evict_state *s, uint32_t frame, uint8_t used, uint8_t left)
{
    uint8_t level = s->place[frame] & PLACE;
    evict_set_used(s, frame, left);
    requeue(s, frame, used >= 2 && level + 1 < s->levels ? level + 1 : level);
}

static unsigned coldest(const struct evict_state *s)
{
    unsigned level = 1;
    while (level < s->levels && s->list[level].count == 0) {
        level++;
    }
    return level < s->levels ? level : 0;
}

/* A ghost would come to a level above 0, whose pages have all the room they may: it takes that of a page that is not used and was entered
 * before it, or comes to level 0. */
static uint32_t contest(struct evict_state *s, struct evict_search *search, struct evict_judgement *judged)
{
    unsigned level = coldest(s);
    uint32_t frame = s->list[level].tail;
    uint8_t used = level && !evict_is_busy(search, frame) ? evict_used(s, frame) : 0;
    bool older = level && judged->age <= (uint32_t)(s->evictions - s->entered[frame]) / s->unit;
    if (used) {
        learn(s, frame, true);
        keep(s, frame, used, used > 1 ? used / 2 : 0);
    } else if (older && !evict_is_busy(search, frame)) {
        learn(s, frame, false);
        return frame;
    }
    judged->list = 0;
    return NIL;
}

/* -- the page that goes -- */

static uint32_t choose(struct evict_state *s, struct evict_search *search)
{
    while (evict_look(search)) {
        unsigned level = s->list[0].count > s->fresh ? 0 : coldest(s);
        uint32_t frame = s->list[level].tail;
        if (frame == NIL) {
            return NIL;
        }
        uint8_t used = evict_used(s, frame);
        if (evict_is_busy(search, frame)) {
            evict_move(s, frame, (uint8_t)level);
        } else if (level == 0 && used) {
            evict_set_used(s, frame, 0);
            requeue(s, frame, 1);
        } else {
            learn(s, frame, used);
            if (!used) {
                return frame;
            }
            keep(s, frame, used, used > 1 ? used / 2 : 0);
        }
    }
    for (unsigned level = 0; level < s->levels; level++) {
        uint32_t frame = evict_first_idle(s, &s->list[level], search);
        if (frame != NIL) {
            return frame;
        }
    }
    return NIL;
}

struct evict_victim gradual_victim(struct evict_state *s, struct evict_search *search, struct evict_judgement *judged)
{
    uint32_t frame = NIL;
    if (judged->list > 0 && s->present - s->list[0].count >= s->frames - s->fresh) {
        frame = contest(s, search, judged);
    }
    frame = frame == NIL ? choose(s, search) : frame;
    if (frame == NIL) {
        return (struct evict_victim){.frame = NIL};
    }
    return (struct evict_victim){.frame = frame, .ghost = ghost_of(s, frame, s->place[frame] & PLACE)};
}

static void cool(struct evict_state *s, uint8_t level)
{
    uint32_t frame = s->list[level].tail;
    if (frame == NIL) {
        return;
    }
    uint8_t used = evict_used(s, frame);
    learn(s, frame, used);
    if (used) {
        keep(s, frame, used, 0);
    } else {
        requeue(s, frame, level - 1);
        s->place[frame] |= COOLED;
    }
}

void gradual_enter(struct evict_state *s, uint32_t frame, uint8_t level, bool cold)
{
    /* With a fixed pace each level has its own, and `cooling` counts the pages that have entered. */
    uint32_t before = s->cooling;
    s->cooling += s->adapts ? s->pace : 1024;
    for (uint8_t i = 2; i < s->levels; i++) {
        uint64_t from = s->adapts ? before : (uint64_t)before / 1024 * s->fixed_pace[i];
        uint64_t to = s->adapts ? s->cooling : (uint64_t)s->cooling / 1024 * s->fixed_pace[i];
        for (uint64_t n = to / 1024 - from / 1024; n > 0; n--) {
            cool(s, i);
        }
    }
    s->cooling %= 1u << 20;
    s->entered[frame] = (uint32_t)s->evictions;
    s->place[frame] = level;
    if (cold) {
        evict_push_tail(s, &s->list[level], frame);
    } else {
        evict_push(s, &s->list[level], frame);
    }
}
