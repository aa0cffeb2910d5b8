/* move/tell.c - what a movable heap tells of itself and of its objects, and the proof of its equations. See move/movable.h. */
#include "move/movable.h"

void allot_movable_on_move(struct allot_movable *heap, void (*moved)(void *arg, allot_ref ref, void *from, void *to),
                           void *arg)
{
    struct movable *h = movable_of(heap);
    movable_lock(h);
    h->moved_to = moved;
    h->moved_arg = arg;
    movable_unlock(h);
}

void allot_movable_stats(struct allot_movable *heap, struct allot_movable_stats *out)
{
    struct movable *h = movable_of(heap);
    movable_lock(h);
    *out = (struct allot_movable_stats){
        .use = {.used = h->used, .count = h->count, .refused = h->refused},
        .slots = (uint64_t)h->groups * GROUP_SLOTS,
        .chunks = h->chunks_used,
        .pinned = h->pinned,
        .large = h->far_count,
        .purgeable = h->purgeable,
        .purged = h->purged,
        .steps = h->steps,
        .moves = h->moves,
        .moved = h->moved,
        .returned = h->returned,
        .rebuilt = h->rebuilt,
    };
    for (uint32_t c = 0; c < h->chunks; c++) {
        out->use.held += align_up((size_t)h->chunk[c].high * 8, os_page);
    }
    size_t pages = align_up((size_t)h->groups * GROUP_SLOTS * sizeof *h->entry, os_page) / os_page;
    for (size_t i = 0; i < align_up(pages, 64) / 64; i++) {
        out->use.held += count_bits(h->tables_touched[i]) * os_page;
    }
    out->use.held += h->near_slots ? align_up(h->groups * GROUP_SLOTS * sizeof *h->near_at, os_page) : 0;
    out->use.held += far_touched(h) + h->groups * (sizeof *h->group + sizeof *h->base) + h->chunks * sizeof *h->chunk;
    out->use.peak = h->peak;
    movable_unlock(h);
}

/* -- objects -- */

int movable_walk(struct movable *h, int (*visit)(void *arg, allot_ref ref, void *at, size_t size), void *arg)
{
    int stop = 0;
    for (uint32_t n = 0; n < h->groups && !stop; n++) {
        for (uint32_t slot = n * GROUP_SLOTS; h->group[n].used && slot < (n + 1) * GROUP_SLOTS && !stop; slot++) {
            if (h->entry[slot]) {
                char *p = slot_at(h, slot), *at = is_far(p) ? far_at(h, p)->at : p;
                stop = visit(arg, (allot_ref){slot, slot_gen(h, slot)}, at, movable_size_of(h, p));
            }
        }
    }
    return stop;
}

struct visiting {
    struct movable *h;
    int (*visit)(void *arg, allot_ref ref, void *at, size_t size);
    void *arg;
};

static int visit_one(void *arg, allot_ref ref, void *at, size_t size)
{
    const struct visiting *v = arg;
    movable_asks(v->h, true);
    int stop = v->visit(v->arg, ref, at, size);
    movable_asks(v->h, false);
    return stop;
}

int allot_movable_walk(struct allot_movable *heap, int (*visit)(void *arg, allot_ref ref, void *at, size_t size),
                       void *arg)
{
    struct movable *h = movable_of(heap);
    movable_lock(h);
    int stop = movable_walk(h, visit_one, &(struct visiting){h, visit, arg});
    movable_unlock(h);
    return stop;
}

/* -- proof -- */

static int sum(void *arg, allot_ref ref, void *at, size_t size)
{
    uint64_t *sums = arg;
    (void)ref;
    (void)at;
    sums[0]++;
    sums[1] += size;
    return 0;
}

bool allot_movable_check(struct allot_movable *heap)
{
    struct movable *h = movable_of(heap);
    movable_lock(h);
    uint64_t sums[2] = {0}, blocks = 0, used = 0;
    quick_give_all(h);
    slots_check(h);
    for (uint32_t c = 0; c < h->chunks; c++) {
        if (h->chunk[c].state == CHUNK_USED) {
            uint32_t some;
            chunk_check(h, c, &some);
            blocks += some;
            used++;
            CHECK(some > 0, "chunk of a movable heap", chunk_at(h, c));
        }
    }
    movable_walk(h, sum, sums);
    CHECK(used == h->chunks_used && blocks == h->count, "movable heap", h);
    CHECK(sums[0] == h->count && sums[1] == h->used, "movable heap", h);
    far_check(h);
    movable_unlock(h);
    return true;
}
