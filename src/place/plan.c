/* place/plan.c - compaction, as a plan of moves: which ranges to move where, so that a long hole comes to be.
 *
 *   before   [a][   ][b][      ][c][  ][d][ ]          the window where least is taken: from a's end to c's begin
 *            ...|------ want ------|...........
 *   after    [a][                 ][c][b][d][ ]        b moved to the tightest hole outside
 *
 * A window slid over the ranges costs what is taken of it. What is in the cheapest one goes to the holes outside, the longest first
 * into the tightest: these are a region of their own while it is planned, by best fit. For the longest range that finds none a
 * window of its length is sought outside in the same way; the plan after this one has that hole. What may not move is a wall.
 *
 * It ends: what goes out of the cheapest window makes it cheaper by as much, and no other by more; and where only a hole for its
 * longest range is made, that range goes out with the next plan.
 */
#include <errno.h>

#include "os/memory.h"
#include "place/region.h"

struct piece {
    uint64_t at, size;
    uint32_t id;
    bool taken, wall;
    struct allot_bounds bounds;
};

/* Pieces [first, end), of which the last may reach beyond what is wanted. */
struct window {
    size_t first, end;
    uint64_t from, to; /* offsets */
};

struct plan {
    struct allot_region *region;
    const struct allot_plan_opts *opts;
    struct allot_move *moves;
    size_t max, count;
    uint64_t moved;
    struct piece *pieces; /* every range */
    size_t npieces;
    uint32_t *order; /* of a window's taken pieces, the longest first */
};

static bool lies_in(const struct piece *piece, const struct window *w)
{
    return piece->at < w->to && piece->at + piece->size > w->from;
}

/* Where so much in a row costs least, outside of another one; false when nowhere. */
static bool cheapest(const struct plan *p, uint64_t want, const struct window *without, struct window *out)
{
    uint64_t length = 0, cost = 0, least = UINT64_MAX;
    for (size_t i = 0, j = 0; i < p->npieces; i++) {
        const struct piece *first = &p->pieces[i];
        for (; j < p->npieces && length < want; j++) {
            const struct piece *next = &p->pieces[j];
            if (next->wall || lies_in(next, without) || next->at != first->at + length) {
                break;
            }
            length += next->size;
            cost += next->taken ? next->size : 0;
        }
        if (length >= want) {
            if (cost < least) {
                least = cost;
                *out = (struct window){i, j, first->at, first->at + want};
            }
            length -= first->size;
            cost -= first->taken ? first->size : 0;
            continue;
        }
        /* No window reaches over what stopped this one. */
        bool gap = j > i && j < p->npieces && p->pieces[j].at != first->at + length;
        i = gap ? j - 1 : j;
        j = i + 1;
        length = cost = 0;
    }
    return least != UINT64_MAX;
}

static bool shorter(const struct plan *p, uint32_t a, uint32_t b) { return p->pieces[a].size < p->pieces[b].size; }

/* Heapsort, the longest first. (Williams 1964.) */
static void sift(const struct plan *p, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        child += child + 1 < count && shorter(p, p->order[child + 1], p->order[child]);
        uint32_t above = p->order[at], below = p->order[child];
        if (!shorter(p, below, above)) {
            return;
        }
        p->order[at] = below;
        p->order[child] = above;
    }
}

static size_t longest_first(const struct plan *p, const struct window *w)
{
    size_t count = 0;
    for (size_t i = w->first; i < w->end; i++) {
        if (p->pieces[i].taken) {
            p->order[count++] = (uint32_t)i;
        }
    }
    for (size_t i = count / 2; i-- > 0;) {
        sift(p, i, count);
    }
    for (size_t left = count; left-- > 1;) {
        uint32_t first = p->order[0];
        p->order[0] = p->order[left];
        p->order[left] = first;
        sift(p, 0, left);
    }
    return count;
}

/* The holes outside of both windows, as a region. */
static int holes_outside(const struct plan *p, const struct window *a, const struct window *b, struct allot_region *out)
{
    struct allot_region_opts opts = {.fit = ALLOT_BEST, .unit = state_of(p->region)->unit};
    int failed = allot_region_init(out, 0, 0, &opts);
    for (size_t i = 0; i < p->npieces && !failed; i++) {
        const struct piece *piece = &p->pieces[i];
        if (piece->taken) {
            continue;
        }
        /* What of it is in a window is at one of its ends. */
        uint64_t from = piece->at, to = from + piece->size;
        const struct window *windows[] = {a, b};
        for (int w = 0; w < 2; w++) {
            if (from < windows[w]->to && to > windows[w]->from) {
                from = to > windows[w]->to ? windows[w]->to : to;
            }
        }
        if (from < to) {
            failed = allot_region_add(out, from, to - from);
        }
    }
    return failed;
}

/* Plans moves of what is in a window to the holes outside of it and another one. `all`: all of it or nothing. Returns 0 or -ENOMEM;
 * *left is the longest range that found no hole, or 0. */
static int empty(struct plan *p, const struct window *w, const struct window *other, bool all, uint64_t *left)
{
    struct allot_region outside;
    int failed = holes_outside(p, w, other, &outside);
    size_t count = failed ? 0 : longest_first(p, w), before = p->count;
    uint64_t moved = p->moved;
    *left = 0;
    for (size_t i = 0; i < count; i++) {
        const struct piece *piece = &p->pieces[p->order[i]];
        struct allot_range to;
        if (p->count == p->max || (p->opts->most && p->moved > 0 && p->moved + piece->size > p->opts->most)) {
            break;
        }
        int missed = allot_region_take_in(&outside, piece->size, &piece->bounds, &to);
        failed = missed == -ENOMEM ? missed : failed;
        if (missed) {
            *left = *left ? *left : piece->size;
            continue;
        }
        p->moves[p->count++] = (struct allot_move){{piece->at, piece->size, piece->id}, to};
        p->moved += piece->size;
    }
    if (!failed || outside.state) {
        allot_region_done(&outside);
    }
    if (failed || (all && *left)) {
        p->count = before;
        p->moved = moved;
    }
    return failed;
}

static void collect(struct plan *p)
{
    const struct allot_region *r = p->region;
    for (uint32_t id = state_of(r)->first; id != NONE; id = node_of(r, id)->next) {
        const struct region_node *n = node_of(r, id);
        struct piece *piece = &p->pieces[p->npieces++];
        *piece = (struct piece){.at = n->at, .size = n->size, .id = id, .taken = n->link[0] == NODE_TAKEN};
        piece->wall = piece->taken && p->opts->may_move &&
                      !p->opts->may_move(p->opts->arg, (struct allot_range){n->at, n->size, id}, &piece->bounds);
    }
}

static int plan(struct plan *p, uint64_t want)
{
    static const struct window none;
    struct window main, second;
    uint64_t left, none_left;
    collect(p);
    if (!cheapest(p, want, &none, &main)) {
        return 0;
    }
    int failed = empty(p, &main, &none, false, &left);
    if (!failed && left && p->count == 0 && cheapest(p, left, &main, &second)) {
        failed = empty(p, &second, &main, true, &none_left);
    }
    return failed;
}

/* Takes the places; with any that cannot be had none is. */
static int take_places(struct plan *p)
{
    for (size_t i = 0; i < p->count; i++) {
        struct allot_range *to = &p->moves[i].to;
        int failed = region_claim(p->region, to->at, to->size, to);
        if (failed) {
            while (i-- > 0) {
                region_give(p->region, &p->moves[i].to);
            }
            return failed;
        }
    }
    return (int)p->count;
}

int allot_region_plan(struct allot_region *r, const struct allot_plan_opts *opts, struct allot_move *moves, size_t max)
{
    static const struct allot_plan_opts defaults;
    region_lock(r);
    const struct region_state *s = state_of(r);
    struct plan p = {
        .region = r, .opts = opts ? opts : &defaults, .moves = moves, .max = max < INT32_MAX ? max : INT32_MAX};
    uint64_t free = s->held - s->used, want = p.opts->want ? align_up(p.opts->want, s->unit) : free / 10 * 9;
    want = align_down(want, s->unit);
    int done = 0;
    if (s->fit == ALLOT_BUDDY) {
        done = -EINVAL;
    } else if (want > region_largest(r) && want <= free && max > 0) {
        size_t ranges = s->count + s->holes, bytes = ranges * (sizeof *p.pieces + sizeof *p.order);
        p.pieces = os_map(bytes);
        if (p.pieces) {
            p.order = (uint32_t *)(p.pieces + ranges);
            done = plan(&p, want);
            done = done ? done : take_places(&p);
            os_unmap(p.pieces, bytes);
        } else {
            done = -ENOMEM;
        }
    }
    region_unlock(r);
    return done;
}

void allot_region_commit(struct allot_region *r, const struct allot_move *move) { allot_region_give(r, &move->from); }

void allot_region_abort(struct allot_region *r, const struct allot_move *move) { allot_region_give(r, &move->to); }
