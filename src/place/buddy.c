/* place/buddy.c - blocks of 2^k units at multiples of their size: two of an order beside each other make one of the next.
 *
 *   order 3   [               ]
 *   order 2   [       ][ free ]      a request takes a block of the smallest order that has one, split in halves down to its own;
 *   order 1   [free][..]             a block that comes back merges with its buddy, the other half of what it was split from
 *
 * The buddy lies beside in the chain, so no map is kept. A threshold leaves so many blocks of an order as they are, for the next
 * request: without it a block may be merged only to be split again. O(log size), but where a request would fail and there is a
 * threshold: then everything is merged first. Offsets are aligned as they are, wherever the region begins; what is no power of two
 * of a span is cut into such blocks. (Knowlton 1965; Knuth 1, 2.5 C; lazily: Barkley and Lee 1989.)
 */
#include <errno.h>

#include "os/fault.h"
#include "place/region.h"

static unsigned order_of(const struct allot_region *r, uint64_t size)
{
    uint64_t units = size >> state_of(r)->shift;
    return units <= 1 ? 0 : log2_floor(units - 1) + 1;
}

static uint64_t size_of(const struct allot_region *r, unsigned order) { return state_of(r)->unit << order; }

static void push(struct allot_region *r, uint32_t id, unsigned order)
{
    struct region_state *s = state_of(r);
    struct region_node *n = node_of(r, id);
    uint32_t head = s->first_of[order];
    n->link[0] = NONE;
    n->link[1] = head;
    if (head != NONE) {
        node_of(r, head)->link[0] = id;
    }
    s->first_of[order] = id;
    s->orders |= (uint64_t)1 << order;
    s->in_order[order]++;
    s->holes++;
}

static void pull(struct allot_region *r, uint32_t id, unsigned order)
{
    struct region_state *s = state_of(r);
    const struct region_node *n = node_of(r, id);
    if (n->link[1] != NONE) {
        node_of(r, n->link[1])->link[0] = n->link[0];
    }
    if (n->link[0] != NONE) {
        node_of(r, n->link[0])->link[1] = n->link[1];
    } else {
        s->first_of[order] = n->link[1];
        if (n->link[1] == NONE) {
            s->orders &= ~((uint64_t)1 << order);
        }
    }
    s->in_order[order]--;
    s->holes--;
}

/* The other half of what a block was split from, when all of it is free; or NONE. */
static uint32_t free_buddy(const struct allot_region *r, uint32_t id)
{
    const struct region_node *n = node_of(r, id);
    bool low = !(n->at & n->size);
    uint32_t other = low ? n->next : n->prev;
    if (other == NONE) {
        return NONE;
    }
    const struct region_node *o = node_of(r, other);
    return is_hole(o) && o->size == n->size && o->at == (n->at ^ n->size) ? other : NONE;
}

/* Makes one block of a block that is on no list and its buddy, which is: which of the two nodes it is. */
static uint32_t join(struct allot_region *r, uint32_t id, uint32_t buddy, unsigned order)
{
    pull(r, buddy, order);
    bool low = node_of(r, id)->at < node_of(r, buddy)->at;
    uint32_t keep = low ? id : buddy, drop = low ? buddy : id;
    node_of(r, keep)->size *= 2;
    region_unchain(r, drop);
    region_drop_node(r, drop);
    return keep;
}

/* A free block, on no list yet. */
static void put(struct allot_region *r, uint32_t id)
{
    struct region_state *s = state_of(r);
    unsigned order = order_of(r, node_of(r, id)->size);
    for (uint32_t buddy; s->in_order[order] >= s->threshold && (buddy = free_buddy(r, id)) != NONE; order++) {
        id = join(r, id, buddy, order);
    }
    push(r, id, order);
}

static void merge_all(struct allot_region *r)
{
    struct region_state *s = state_of(r);
    for (unsigned order = 0; order < 63; order++) {
        for (uint32_t id = s->first_of[order]; id != NONE;) {
            uint32_t buddy = free_buddy(r, id);
            uint32_t next = node_of(r, id)->link[1];
            if (buddy != NONE) {
                next = next == buddy ? node_of(r, buddy)->link[1] : next;
                pull(r, id, order);
                push(r, join(r, id, buddy, order), order + 1);
            }
            id = next;
        }
    }
}

/* Splits a block that is on no list so that the part of an order that holds `at` is a block by itself: its node. */
static uint32_t split_to(struct allot_region *r, uint32_t id, unsigned order, uint64_t at)
{
    for (unsigned above = order_of(r, node_of(r, id)->size); above-- > order;) {
        uint32_t high = region_new_node(r);
        struct region_node *l = node_of(r, id), *h = node_of(r, high);
        l->size /= 2;
        h->at = l->at + l->size;
        h->size = l->size;
        h->link[0] = NONE;
        region_chain(r, high, id);
        bool in_low = at < h->at;
        push(r, in_low ? high : id, above);
        id = in_low ? id : high;
    }
    return id;
}

/* The lowest place of an order in a block within bounds. */
static bool place_in_block(const struct region_node *n, uint64_t size, const struct place_bounds *b, uint64_t *at)
{
    struct place_bounds bounds = *b;
    if (b->plain) {
        *at = n->at;
        return true;
    }
    /* A block lies at a multiple of its size: a coarser alignment than that is the caller's, with its phase. */
    if (bounds.align < size) {
        if (bounds.phase) {
            return false;
        }
        bounds.align = size;
    }
    if (bounds.phase & (size - 1)) {
        return false;
    }
    return lowest_place(n->at, node_end(n), size, &bounds, at);
}

static uint32_t find(const struct allot_region *r, unsigned order, const struct place_bounds *b, uint64_t *at)
{
    const struct region_state *s = state_of(r);
    for (uint64_t orders = order > 63 ? 0 : s->orders >> order << order; orders; orders &= orders - 1) {
        for (uint32_t id = s->first_of[lowest_bit(orders)]; id != NONE; id = node_of(r, id)->link[1]) {
            if (place_in_block(node_of(r, id), size_of(r, order), b, at)) {
                return id;
            }
        }
    }
    return NONE;
}

/* Takes the part at `at` of a block that is on its list. */
static uint32_t carve(struct allot_region *r, uint32_t id, unsigned order, uint64_t at)
{
    unsigned whole = order_of(r, node_of(r, id)->size);
    if (!region_ensure(r, whole - order, 0)) {
        return NONE;
    }
    pull(r, id, whole);
    return split_to(r, id, order, at);
}

int buddy_take(struct allot_region *r, uint64_t size, const struct place_bounds *b, uint32_t *out)
{
    struct region_state *s = state_of(r);
    unsigned order = order_of(r, size);
    uint64_t at;
    if (order > 62 - s->shift) {
        return -ENOSPC;
    }
    uint32_t id = find(r, order, b, &at);
    if (id == NONE && s->threshold) {
        merge_all(r);
        id = find(r, order, b, &at);
    }
    if (id == NONE) {
        return -ENOSPC;
    }
    id = carve(r, id, order, at);
    if (id == NONE) {
        return -ENOMEM;
    }
    region_mark_taken(node_of(r, id), 0);
    s->used += size_of(r, order);
    *out = id;
    return 0;
}

/* The longest block that begins at `at` and is not beyond `end`. */
static uint64_t block_at(uint64_t at, uint64_t end)
{
    uint64_t most = (uint64_t)1 << log2_floor(end - at);
    uint64_t aligned = at == 0 ? most : at & -at;
    return aligned < most ? aligned : most;
}

uint64_t buddy_pieces(uint64_t at, uint64_t size, uint64_t unit)
{
    uint64_t pieces = 0;
    for (uint64_t end = at + size; end - at >= unit; pieces++) {
        at += block_at(at, end);
    }
    return pieces;
}

void buddy_insert(struct allot_region *r, uint32_t id)
{
    uint64_t end = node_end(node_of(r, id));
    for (;;) {
        struct region_node *n = node_of(r, id);
        uint64_t size = block_at(n->at, end), at = n->at + size;
        uint32_t rest = NONE;
        n->size = size;
        n->link[0] = NONE;
        if (at < end) {
            rest = region_new_node(r);
            n = node_of(r, rest);
            n->at = at;
            n->size = end - at;
            n->link[0] = NODE_UNUSED; /* nobody merges with it yet */
            region_chain(r, rest, id);
        }
        put(r, id);
        if (rest == NONE) {
            return;
        }
        id = rest;
    }
}

int buddy_claim(struct allot_region *r, uint64_t at, uint64_t size, uint32_t *out)
{
    uint64_t end = at + size, needed = 0;
    for (uint64_t to = at; to < end;) {
        uint32_t around = region_hole_at(r, to, 1);
        if (around == NONE) {
            return -ENOSPC;
        }
        to = node_end(node_of(r, around));
        needed += 2 * order_of(r, node_of(r, around)->size);
    }
    if (!region_ensure(r, needed, 0)) {
        return -ENOMEM;
    }
    uint32_t first = NONE, last = NONE;
    while (at < end) {
        uint32_t around = region_hole_at(r, at, 1);
        uint64_t piece = block_at(at, end), whole = node_of(r, around)->size;
        piece = piece < whole ? piece : whole;
        last = carve(r, around, order_of(r, piece), at);
        first = first == NONE ? last : first;
        at += piece;
    }
    /* From the last one on: those that have no first one, where a process ended here, are nobody's. */
    for (uint32_t id = last, more = 0;; id = node_of(r, id)->prev, more = PIECE_MORE) {
        state_of(r)->used += node_of(r, id)->size;
        region_mark_taken(node_of(r, id), more | (id == first ? 0 : PIECE_PART));
        if (id == first) {
            break;
        }
    }
    *out = first;
    return 0;
}

void buddy_give(struct allot_region *r, uint32_t id)
{
    for (bool more = true; more;) {
        struct region_node *n = node_of(r, id);
        uint32_t next = n->next;
        more = n->link[1] & PIECE_MORE;
        n->link[0] = NONE;
        state_of(r)->used -= n->size;
        put(r, id);
        id = next;
    }
}

int buddy_resize(struct allot_region *r, uint32_t id, uint64_t size)
{
    struct region_state *s = state_of(r);
    struct region_node *n = node_of(r, id);
    unsigned order = order_of(r, size), was = order_of(r, n->size);
    if (n->link[1] & PIECE_MORE || order > 62 - s->shift) {
        return -ENOSPC;
    }
    if (order < was) {
        if (!region_ensure(r, was - order, 0)) {
            return -ENOMEM;
        }
        s->used -= node_of(r, id)->size - size_of(r, order);
        /* The upper halves come back one by one, and nothing of them merges with what is still taken. */
        for (unsigned above = was; above-- > order;) {
            uint32_t high = region_new_node(r);
            struct region_node *h = node_of(r, high);
            n = node_of(r, id);
            h->at = n->at + n->size / 2;
            h->size = n->size / 2;
            h->link[0] = NONE;
            n->size /= 2;
            region_chain(r, high, id);
            put(r, high);
        }
        return 0;
    }
    const struct region_node *last = n;
    for (unsigned above = was; above < order; above++) {
        /* Each buddy above has to be free, as one block: they follow one another in the chain. */
        uint64_t half = size_of(r, above);
        if (n->at & half || last->next == NONE) {
            return -ENOSPC;
        }
        last = node_of(r, last->next);
        if (!is_hole(last) || last->at != n->at + half || last->size != half) {
            return -ENOSPC;
        }
    }
    for (unsigned above = was; above < order; above++) {
        uint32_t other = n->next;
        pull(r, other, above);
        n->size *= 2;
        region_unchain(r, other);
        region_drop_node(r, other);
    }
    s->used += size_of(r, order) - size_of(r, was);
    return 0;
}

uint64_t buddy_largest(const struct allot_region *r)
{
    uint64_t orders = state_of(r)->orders;
    return orders ? size_of(r, log2_floor(orders)) : 0;
}

void buddy_check(const struct allot_region *r)
{
    const struct region_state *s = state_of(r);
    uint64_t holes = 0;
    for (unsigned order = 0; order < 64; order++) {
        uint64_t here = 0;
        uint32_t last = NONE;
        for (uint32_t id = s->first_of[order]; id != NONE; last = id, id = node_of(r, id)->link[1], here++) {
            const struct region_node *n = node_of(r, id);
            CHECK(is_hole(n) && n->link[0] == last && n->size == size_of(r, order), "region", n);
            CHECK((n->at & (n->size - 1)) == 0, "region", n);
            CHECK(s->threshold || free_buddy(r, id) == NONE, "region", n);
        }
        CHECK(here == s->in_order[order] && (here > 0) == (s->orders >> order & 1), "region", s);
        holes += here;
    }
    CHECK(holes == s->holes, "region", s);
}
