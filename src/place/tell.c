/* place/tell.c - what a region can tell of itself, and the proof that its records are right. */
#include "os/fault.h"
#include "place/region.h"

static bool touches(const struct region_node *n, const struct region_node *next) { return node_end(n) == next->at; }

static void check_index(const struct allot_region *r)
{
    switch ((enum allot_fit)state_of(r)->fit) {
    case ALLOT_FIRST:
    case ALLOT_NEXT:
        by_offset_check(r);
        break;
    case ALLOT_BEST:
    case ALLOT_NEXT_BEST:
    case ALLOT_WORST:
        by_size_check(r);
        break;
    case ALLOT_GROUPS:
        groups_check(r);
        break;
    case ALLOT_BINS:
        bins_check(r);
        break;
    case ALLOT_BUDDY:
        buddy_check(r);
        break;
    }
}

void allot_region_stats(struct allot_region *r, struct allot_region_stats *out)
{
    region_lock(r);
    const struct region_state *s = state_of(r);
    *out = (struct allot_region_stats){
        .use = {.used = s->used, .count = s->count, .held = s->held, .peak = s->peak, .refused = s->refused},
        .largest = region_largest(r),
        .holes = s->holes,
        .memory = s->foreign ? s->bytes : r->mapped[0] + r->mapped[1] + r->mapped[2]};
    region_unlock(r);
}

int allot_region_walk(struct allot_region *r, int (*visit)(struct allot_range range, bool taken, void *arg), void *arg)
{
    region_lock(r);
    int stop = 0;
    for (uint32_t id = state_of(r)->first; id != NONE && !stop; id = node_of(r, id)->next) {
        const struct region_node *n = node_of(r, id);
        if (n->link[0] == NODE_TAKEN && n->link[1] & PIECE_PART) {
            continue;
        }
        bool taken = n->link[0] == NODE_TAKEN;
        stop = visit(taken ? region_range(r, id) : (struct allot_range){n->at, n->size, UINT32_MAX}, taken, arg);
    }
    region_unlock(r);
    return stop;
}

bool allot_region_check(struct allot_region *r)
{
    region_lock(r);
    const struct region_state *s = state_of(r);
    uint64_t held = 0, used = 0, count = 0, holes = 0, chained = 0, spans = 0, unused = 0, of_spans = 0;
    uint32_t last = NONE;
    for (uint32_t id = s->first; id != NONE; last = id, id = node_of(r, id)->next) {
        const struct region_node *n = node_of(r, id);
        bool taken = n->link[0] == NODE_TAKEN;
        CHECK(id < s->fresh_nodes && n->prev == last && n->size > 0, "region", n);
        CHECK(((n->at | n->size) & (s->unit - 1)) == 0, "region", n);
        CHECK(last == NONE || node_end(node_of(r, last)) <= n->at, "region", n);
        CHECK(taken || is_hole(n), "region", n);
        CHECK(taken || s->fit == ALLOT_BUDDY || last == NONE || !is_hole(node_of(r, last)) ||
                  !touches(node_of(r, last), n),
              "region", n);
        chained++;
        held += n->size;
        used += taken ? n->size : 0;
        count += taken && !(n->link[1] & PIECE_PART);
        holes += !taken;
    }
    for (uint32_t id = s->spans; id != NONE; id = node_of(r, id)->next, spans++) {
        of_spans += node_of(r, id)->size;
    }
    for (uint32_t id = s->unused_nodes; id != NONE; id = node_of(r, id)->next, unused++) {
        CHECK(node_of(r, id)->link[0] == NODE_UNUSED, "region", node_of(r, id));
    }
    CHECK(s->last == last && held == s->held && held == of_spans && used == s->used, "region", s);
    CHECK(count == s->count && holes == s->holes && spans == s->nspans && unused == s->nunused, "region", s);
    CHECK(chained + spans + unused == s->fresh_nodes, "region", s);
    check_index(r);
    region_unlock(r);
    return true;
}
