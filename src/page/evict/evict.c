/* page/evict/evict.c - policies of replacement: what the caller sees. See page/evict/evict.h and include/allot/evict.h. */
#include "page/evict/evict.h"

#include <errno.h>
#include <string.h>

#include <allot/malloc.h>

static const char *const names[ALLOT_EVICT_POLICIES] = {
    [ALLOT_GRADUAL] = "gradual", [ALLOT_FIFO] = "fifo",      [ALLOT_LRU] = "lru", [ALLOT_CLOCK] = "clock",
    [ALLOT_SIEVE] = "sieve",     [ALLOT_S3FIFO] = "s3-fifo", [ALLOT_ARC] = "arc",
};

const char *allot_evict_name(enum allot_evict_policy policy)
{
    return policy < ALLOT_EVICT_POLICIES ? names[policy] : NULL;
}

enum allot_evict_policy allot_evict_named(const char *name)
{
    unsigned i = 0;
    while (i < ALLOT_EVICT_POLICIES && strcmp(names[i], name) != 0) {
        i++;
    }
    return i;
}

/* -- begin and end -- */

/* One piece of memory holds it all: the state, and the arrays behind it. */
static struct evict_state *make(enum allot_evict_policy policy, uint32_t frames)
{
    uint32_t ghosts = policy == ALLOT_ARC || policy == ALLOT_S3FIFO ? frames + 1 : 0;
    size_t nodes = ((size_t)frames + ghosts) * sizeof(struct evict_node);
    size_t words = (size_t)(policy == ALLOT_GRADUAL ? frames : ghosts) * sizeof(uint32_t);
    struct evict_state *s = allot_calloc(1, sizeof *s + nodes + words + 2 * (size_t)frames);
    if (!s) {
        return NULL;
    }
    s->policy = (uint8_t)policy;
    s->frames = frames;
    s->ghosts = ghosts;
    s->node = (struct evict_node *)(s + 1);
    uint32_t *word = (uint32_t *)((char *)s->node + nodes);
    *(policy == ALLOT_GRADUAL ? &s->entered : &s->life) = word;
    s->used = (uint8_t *)word + words;
    s->place = s->used + frames;
    memset(s->place, VACANT, frames);
    for (unsigned i = 0; i < LISTS; i++) {
        s->list[i] = (struct evict_list){NIL, NIL, 0};
    }
    s->ghost[0] = s->ghost[1] = s->free = (struct evict_list){NIL, NIL, 0};
    for (uint32_t i = ghosts; i-- > 0;) {
        s->life[i] = 1;
        evict_push(s, &s->free, frames + i);
    }
    return s;
}

static bool is_sound(enum allot_evict_policy policy, const struct allot_evict_opts *opts)
{
    enum { PACE_OPTION_MOST = 1 << 16 };
    static const struct allot_evict_opts none;
    bool paces = opts->pace[0] == 0 && opts->pace[1] == 0;
    for (unsigned i = 2; i < LISTS; i++) {
        paces = paces && opts->pace[i] <= PACE_OPTION_MOST;
    }
    return memcmp(opts, &none, sizeof none) == 0 ||
           (policy == ALLOT_GRADUAL && (opts->levels == 0 || opts->levels >= 2) && opts->levels <= LISTS &&
            opts->fresh <= 256 && opts->fresh_most <= 256 && paces);
}

int allot_evict_init(struct allot_evict *e, enum allot_evict_policy policy, size_t frames,
                     const struct allot_evict_opts *opts)
{
    static const struct allot_evict_opts defaults;
    opts = opts ? opts : &defaults;
    *e = (struct allot_evict){0};
    if (policy >= ALLOT_EVICT_POLICIES || frames == 0 || frames > ALLOT_EVICT_MAX || !is_sound(policy, opts)) {
        return -EINVAL;
    }
    int saved = errno;
    struct evict_state *s = make(policy, (uint32_t)frames);
    errno = saved;
    if (!s) {
        return -ENOMEM;
    }
    static const uint8_t most[ALLOT_EVICT_POLICIES] = {
        [ALLOT_CLOCK] = 1, [ALLOT_SIEVE] = 1, [ALLOT_S3FIFO] = 3, [ALLOT_GRADUAL] = 3};
    s->hand = policy == ALLOT_SIEVE ? NIL : 0;
    if (policy == ALLOT_GRADUAL) {
        gradual_init(s, opts);
    } else if (policy == ALLOT_S3FIFO) {
        s->fresh = frames < 10 ? 1 : (uint32_t)(frames / 10);
    }
    *e = (struct allot_evict){
        .state = s, .used = s->used, .most = most[policy], .ordered = policy == ALLOT_LRU || policy == ALLOT_ARC};
    return 0;
}

static struct evict_state *of(const struct allot_evict *e)
{
    if (unlikely(!e->state)) {
        allot_fault("use of a policy that was not initialised, or is done", "evict", e);
    }
    return e->state;
}

void allot_evict_done(struct allot_evict *e)
{
    allot_free(of(e));
    *e = (struct allot_evict){0};
}

static uint32_t frame_of(const struct evict_state *s, size_t frame, bool vacant)
{
    if (unlikely(frame >= s->frames || !(s->place[frame] & VACANT) == vacant)) {
        allot_fault(vacant ? "page entered in a frame that is taken, or is none"
                           : "page leaves a frame that is free, or is none",
                    "frame", (const void *)frame);
    }
    return (uint32_t)frame;
}

/* -- hits of which the order matters -- */

static void take_notes(struct evict_state *s)
{
    uint32_t end = atomic_load_explicit(&s->noted, memory_order_acquire);
    if (end - s->taken_note > NOTES) {
        s->taken_note = end - NOTES;
    }
    for (; s->taken_note != end; s->taken_note++) {
        uint32_t frame = atomic_exchange_explicit(&s->note[s->taken_note % NOTES], 0, memory_order_acquire) - 1;
        if (frame < s->frames && !(s->place[frame] & VACANT)) {
            s->hits_noted++;
            if (s->policy == ALLOT_ARC) {
                arc_hit(s, frame);
            } else {
                evict_move(s, frame, 0);
            }
        }
    }
}

void allot_evict_note(struct allot_evict *e, size_t frame)
{
    struct evict_state *s = of(e);
    uint32_t n = atomic_fetch_add_explicit(&s->noted, 1, memory_order_relaxed);
    atomic_store_explicit(&s->note[n % NOTES], (uint32_t)frame + 1, memory_order_release);
    if (n % NOTES == NOTES - 1) {
        os_lock(&s->lock);
        take_notes(s);
        os_unlock(&s->lock);
    }
}

/* -- pages that come and go -- */

static struct evict_judgement judge(struct evict_state *s, uint64_t coming)
{
    struct evict_judgement judged = {0};
    if (s->policy == ALLOT_S3FIFO) {
        judged = s3fifo_judge(s, coming);
    } else if (s->policy == ALLOT_ARC) {
        judged = arc_judge(s, coming);
    } else if (s->policy == ALLOT_GRADUAL) {
        judged = gradual_judge(s, coming);
    }
    s->refaults += judged.refault;
    return judged;
}

static struct evict_victim find_victim(struct evict_state *s, struct evict_search *search,
                                       struct evict_judgement *judged)
{
    switch ((enum allot_evict_policy)s->policy) {
    case ALLOT_GRADUAL:
        return gradual_victim(s, search, judged);
    case ALLOT_FIFO:
        return fifo_victim(s, search);
    case ALLOT_LRU:
        return lru_victim(s, search);
    case ALLOT_CLOCK:
        return clock_victim(s, search);
    case ALLOT_SIEVE:
        return sieve_victim(s, search);
    case ALLOT_S3FIFO:
        return s3fifo_victim(s, search);
    case ALLOT_ARC:
        return arc_victim(s, search, *judged);
    case ALLOT_EVICT_POLICIES:
        break;
    }
    __builtin_unreachable();
}

static void vacate(struct evict_state *s, uint32_t frame)
{
    if (s->policy == ALLOT_SIEVE) {
        sieve_leave(s, frame);
    }
    if (s->policy != ALLOT_CLOCK) {
        evict_remove(s, &s->list[s->place[frame] & PLACE], frame);
    }
    s->place[frame] = VACANT;
    s->present--;
    s->gone++;
}

size_t allot_evict_victim(struct allot_evict *e, uint64_t coming, uint64_t *ghost,
                          bool (*busy)(size_t frame, void *arg), void *arg)
{
    struct evict_state *s = of(e);
    os_lock(&s->lock);
    take_notes(s);
    struct evict_judgement judged = judge(s, coming);
    struct evict_search search = {.busy = busy, .arg = arg, .looks = 8 * (uint64_t)s->frames + 64};
    struct evict_victim victim = find_victim(s, &search, &judged);
    if (victim.frame != NIL) {
        vacate(s, victim.frame);
        s->place[victim.frame] = VACANT | JUDGED | judged.list;
        *ghost = victim.ghost;
    }
    os_unlock(&s->lock);
    return victim.frame == NIL ? SIZE_MAX : victim.frame;
}

void allot_evict_enter(struct allot_evict *e, size_t at, uint64_t coming, unsigned how)
{
    struct evict_state *s = of(e);
    os_lock(&s->lock);
    uint32_t frame = frame_of(s, at, true);
    take_notes(s);
    uint8_t list = s->place[frame] & JUDGED ? s->place[frame] & PLACE : judge(s, coming).list;
    evict_set_used(s, frame, 0);
    s->present++;
    s->entered_count++;
    if (s->policy == ALLOT_GRADUAL) {
        gradual_enter(s, frame, list, how & ALLOT_EVICT_COLD);
    } else {
        s->place[frame] = list;
        if (s->policy != ALLOT_CLOCK) {
            (how & ALLOT_EVICT_COLD ? evict_push_tail : evict_push)(s, &s->list[list], frame);
        }
    }
    os_unlock(&s->lock);
}

void allot_evict_leave(struct allot_evict *e, size_t at)
{
    struct evict_state *s = of(e);
    os_lock(&s->lock);
    take_notes(s);
    vacate(s, frame_of(s, at, false));
    os_unlock(&s->lock);
}

/* -- what there is -- */

void allot_evict_stats(struct allot_evict *e, struct allot_evict_stats *out)
{
    struct evict_state *s = of(e);
    os_lock(&s->lock);
    *out = (struct allot_evict_stats){
        .frames = s->frames,
        .present = s->present,
        .hits_noted = s->hits_noted,
        .entered = s->entered_count,
        .gone = s->gone,
        .refaults = s->refaults,
        .fresh = s->policy == ALLOT_ARC ? (size_t)s->recent : s->fresh,
        .pace = s->pace / 4,
    };
    for (unsigned i = 0; i < LISTS; i++) {
        out->level[i] = s->list[i].count;
    }
    os_unlock(&s->lock);
}

static uint32_t check_list(const struct evict_state *s, const struct evict_list *list, unsigned which, bool frames)
{
    uint32_t count = 0, before = NIL;
    for (uint32_t node = list->head; node != NIL; node = s->node[node].next) {
        CHECK(frames ? node < s->frames && (s->place[node] & ~COOLED) == which
                     : node >= s->frames && node < s->frames + s->ghosts,
              "evict", s);
        CHECK(s->node[node].prev == before && count < list->count, "evict", s);
        before = node;
        count++;
    }
    CHECK(list->tail == before && count == list->count, "evict", s);
    return count;
}

bool allot_evict_check(struct allot_evict *e)
{
    struct evict_state *s = of(e);
    os_lock(&s->lock);
    uint32_t listed = 0, taken = 0, ghosts = 0;
    for (unsigned i = 0; i < LISTS; i++) {
        listed += check_list(s, &s->list[i], i, true);
    }
    for (uint32_t i = 0; i < s->frames; i++) {
        taken += !(s->place[i] & VACANT);
    }
    ghosts = check_list(s, &s->ghost[0], 0, false) + check_list(s, &s->ghost[1], 0, false) +
             check_list(s, &s->free, 0, false);
    CHECK(taken == s->present && s->present == s->entered_count - s->gone, "evict", s);
    CHECK(ghosts == s->ghosts, "evict", s);
    CHECK(s->policy == ALLOT_CLOCK || listed == taken, "evict", s);
    os_unlock(&s->lock);
    return true;
}
