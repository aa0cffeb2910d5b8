/* place/by_offset.c - holes in order of offset: first fit and next fit.
 *
 *                        [ .  .  . ]                 a block tells of each child where its holes begin and how long its longest is
 *            [ . . . . . ]  [ . . . ]  [ . . . . ]
 *   leaves:  holes in order ..........................
 *
 * A B+ tree whose blocks hold 24 entries: the lowest hole of at least some size is found by going down to the first child that
 * has one. Blocks beside each other under one parent hold more than three quarters of a block together, or are merged, so n holes
 * need at most by_offset_blocks(n) blocks: these are there before a hole can come to be, so that giving back never fails. O(log n).
 *
 * A hole knows its leaf (link[0]), a block its parent; only an insertion goes down by offset. (Bayer and McCreight 1972; the longest of each subtree: Stephenson, "Fast fits", 1983.)
 */
#include <string.h>

#include "os/fault.h"
#include "place/region.h"

#define MERGED_MOST (FANOUT * 3 / 4)

uint64_t by_offset_blocks(uint64_t holes) { return holes / 6 + 8; }

static uint32_t new_block(struct allot_region *r, uint32_t level)
{
    struct region_state *s = state_of(r);
    uint32_t id = s->unused_blocks;
    if (id != NONE) {
        s->unused_blocks = block_of(r, id)->next;
    } else {
        CHECK(s->fresh_blocks < s->most_blocks, "region", s);
        id = s->fresh_blocks++;
    }
    struct region_block *b = block_of(r, id);
    b->count = 0;
    b->parent = NONE;
    b->level = level;
    return id;
}

static void drop_block(struct allot_region *r, uint32_t id)
{
    struct region_state *s = state_of(r);
    block_of(r, id)->next = s->unused_blocks;
    s->unused_blocks = id;
}

static uint64_t longest(const struct region_block *b)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        most = b->size[i] > most ? b->size[i] : most;
    }
    return most;
}

static uint32_t position(const struct region_block *b, uint32_t id)
{
    uint32_t i = 0;
    while (i < b->count && b->id[i] != id) {
        i++;
    }
    CHECK(i < b->count, "region", b);
    return i;
}

/* Entry i is so long now; its ancestors hear of it. */
static void set_size(struct allot_region *r, uint32_t id, uint32_t i, uint64_t size)
{
    struct region_block *b = block_of(r, id);
    for (;;) {
        uint64_t was = b->size[i];
        b->size[i] = size;
        if (b->parent == NONE) {
            return;
        }
        struct region_block *parent = block_of(r, b->parent);
        uint32_t at = position(parent, id);
        uint64_t most = parent->size[at];
        if (size < was) {
            if (was < most) {
                return;
            }
            size = longest(b);
        }
        if (size == most || (size < most && was < most)) {
            return;
        }
        id = b->parent;
        b = parent;
        i = at;
    }
}

/* Entry i begins there now; its ancestors hear of it when it is the first. */
static void set_at(struct allot_region *r, uint32_t id, uint32_t i, uint64_t at)
{
    struct region_block *b = block_of(r, id);
    b->at[i] = at;
    while (i == 0 && b->parent != NONE) {
        struct region_block *parent = block_of(r, b->parent);
        i = position(parent, id);
        parent->at[i] = at;
        id = b->parent;
        b = parent;
    }
}

/* The last entry that begins at or before `at`, or the first. */
static uint32_t entry_before(const struct region_block *b, uint64_t at)
{
    uint32_t low = 0, high = b->count;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (b->at[middle] <= at) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint32_t leaf_of(const struct allot_region *r, uint64_t at)
{
    uint32_t id = state_of(r)->root;
    const struct region_block *b;
    while ((b = block_of(r, id))->level > 0) {
        id = b->id[entry_before(b, at)];
    }
    return id;
}

/* Whoever it is that stands in entry i of a block has to know. */
static void tell_entry(struct allot_region *r, uint32_t id, uint32_t i)
{
    const struct region_block *b = block_of(r, id);
    if (b->level == 0) {
        node_of(r, b->id[i])->link[0] = id;
    } else {
        block_of(r, b->id[i])->parent = id;
    }
}

static void move_entries(struct allot_region *r, uint32_t from, uint32_t first, uint32_t count, uint32_t to,
                         uint32_t at)
{
    struct region_block *f = block_of(r, from), *t = block_of(r, to);
    memmove(t->at + at, f->at + first, count * sizeof t->at[0]);
    memmove(t->size + at, f->size + first, count * sizeof t->size[0]);
    memmove(t->id + at, f->id + first, count * sizeof t->id[0]);
    if (from != to) {
        for (uint32_t i = at; i < at + count; i++) {
            tell_entry(r, to, i);
        }
    }
}

static void add_entry(struct allot_region *r, uint32_t id, uint32_t i, uint64_t at, uint64_t size, uint32_t entry);

static void split(struct allot_region *r, uint32_t id)
{
    struct region_block *b = block_of(r, id);
    if (b->parent == NONE) {
        uint32_t root = new_block(r, b->level + 1);
        state_of(r)->root = root;
        add_entry(r, root, 0, b->at[0], longest(b), id);
    }
    uint32_t half = FANOUT / 2, other = new_block(r, b->level);
    struct region_block *o = block_of(r, other);
    move_entries(r, id, half, FANOUT - half, other, 0);
    b->count = half;
    o->count = FANOUT - half;
    uint32_t parent = b->parent, at = position(block_of(r, parent), id);
    block_of(r, parent)->size[at] = longest(b); /* together they are as long as before, so nobody above hears of it */
    add_entry(r, parent, at + 1, o->at[0], longest(o), other);
}

static void add_entry(struct allot_region *r, uint32_t id, uint32_t i, uint64_t at, uint64_t size, uint32_t entry)
{
    if (block_of(r, id)->count == FANOUT) {
        split(r, id);
        struct region_block *b = block_of(r, id);
        if (i > b->count) {
            i -= b->count;
            struct region_block *parent = block_of(r, b->parent);
            id = parent->id[position(parent, id) + 1];
        }
    }
    struct region_block *b = block_of(r, id);
    move_entries(r, id, i, b->count - i, id, i + 1);
    b->count++;
    b->size[i] = 0;
    b->id[i] = entry;
    tell_entry(r, id, i);
    set_at(r, id, i, at);
    set_size(r, id, i, size);
}

static void remove_entry(struct allot_region *r, uint32_t id, uint32_t i);

/* Merges entry i + 1 of a parent into entry i, if both are small. */
static bool merge(struct allot_region *r, uint32_t parent, uint32_t i)
{
    struct region_block *p = block_of(r, parent);
    uint32_t left = p->id[i], right = p->id[i + 1];
    struct region_block *l = block_of(r, left), *o = block_of(r, right);
    if (l->count + o->count > MERGED_MOST) {
        return false;
    }
    move_entries(r, right, 0, o->count, left, l->count);
    l->count += o->count;
    p->size[i] = p->size[i] > p->size[i + 1] ? p->size[i] : p->size[i + 1];
    drop_block(r, right);
    remove_entry(r, parent, i + 1);
    return true;
}

static void remove_entry(struct allot_region *r, uint32_t id, uint32_t i)
{
    struct region_block *b = block_of(r, id);
    set_size(r, id, i, 0);
    move_entries(r, id, i + 1, b->count - i - 1, id, i);
    b->count--;
    if (i == 0 && b->count > 0) {
        set_at(r, id, 0, b->at[0]);
    }
    if (b->parent == NONE) {
        if (b->level > 0 && b->count == 1) {
            state_of(r)->root = b->id[0];
            block_of(r, b->id[0])->parent = NONE;
            drop_block(r, id);
        }
        return;
    }
    uint32_t parent = b->parent, at = position(block_of(r, parent), id);
    if (b->count == 0) {
        drop_block(r, id);
        remove_entry(r, parent, at);
    } else if (b->count <= MERGED_MOST) {
        if (at > 0 && merge(r, parent, at - 1)) {
            return;
        }
        if (at + 1 < block_of(r, parent)->count) {
            merge(r, parent, at);
        }
    }
}

void by_offset_insert(struct allot_region *r, uint32_t id)
{
    struct region_state *s = state_of(r);
    const struct region_node *n = node_of(r, id);
    if (s->root == NONE) {
        s->root = new_block(r, 0);
    }
    uint32_t leaf = leaf_of(r, n->at);
    const struct region_block *b = block_of(r, leaf);
    uint32_t i = b->count == 0 ? 0 : entry_before(b, n->at);
    add_entry(r, leaf, i + (b->count > 0 && b->at[i] < n->at), n->at, n->size, id);
}

void by_offset_remove(struct allot_region *r, uint32_t id)
{
    uint32_t leaf = node_of(r, id)->link[0];
    remove_entry(r, leaf, position(block_of(r, leaf), id));
}

/* Its range has other ends, between the same neighbours. */
void by_offset_change(struct allot_region *r, uint32_t id, uint64_t at, uint64_t size)
{
    struct region_node *n = node_of(r, id);
    uint32_t leaf = n->link[0], i = position(block_of(r, leaf), id);
    n->at = at;
    n->size = size;
    set_at(r, leaf, i, at);
    set_size(r, leaf, i, size);
}

/* The first hole under a block that begins at `from` or later and has so much; NONE when there is none. */
static uint32_t first_of(const struct allot_region *r, uint32_t id, uint64_t from, uint64_t size)
{
    const struct region_block *b = block_of(r, id);
    uint32_t i = from ? entry_before(b, from) : 0;
    for (; i < b->count; i++) {
        if (b->size[i] < size) {
            continue;
        }
        if (b->level > 0) {
            uint32_t found = first_of(r, b->id[i], from, size);
            if (found != NONE) {
                return found;
            }
        } else if (b->at[i] >= from) {
            return b->id[i];
        }
    }
    return NONE;
}

uint32_t by_offset_lowest(const struct allot_region *r, uint64_t size)
{
    uint32_t id = state_of(r)->root;
    while (id != NONE) {
        const struct region_block *b = block_of(r, id);
        uint32_t i = 0;
        while (i < b->count && b->size[i] < size) {
            i++;
        }
        id = i < b->count ? b->id[i] : NONE;
        if (b->level == 0) {
            break;
        }
    }
    return id;
}

uint64_t by_offset_largest(const struct allot_region *r)
{
    uint32_t root = state_of(r)->root;
    return root == NONE ? 0 : longest(block_of(r, root));
}

uint32_t by_offset_before(const struct allot_region *r, uint64_t at)
{
    uint32_t id = state_of(r)->root;
    if (id == NONE || block_of(r, id)->count == 0) {
        return NONE;
    }
    const struct region_block *b = block_of(r, leaf_of(r, at));
    uint32_t i = entry_before(b, at);
    return b->at[i] <= at ? b->id[i] : NONE;
}

static uint32_t find_from(const struct allot_region *r, uint64_t size, const struct place_bounds *b, uint64_t *at)
{
    uint32_t id = b->min ? by_offset_before(r, b->min) : NONE;
    if (id != NONE && place_in_hole(node_of(r, id), size, b, at)) {
        return id;
    }
    for (uint64_t from = b->min; (id = first_of(r, state_of(r)->root, from, size)) != NONE;
         from = node_of(r, id)->at + 1) {
        if (node_of(r, id)->at >= b->max) {
            return NONE;
        }
        if (place_in_hole(node_of(r, id), size, b, at)) {
            return id;
        }
    }
    return NONE;
}

uint32_t by_offset_find(struct allot_region *r, uint64_t size, const struct place_bounds *b, uint64_t *at)
{
    struct region_state *s = state_of(r);
    bool next = s->fit == ALLOT_NEXT;
    if (b->plain && !next) {
        uint32_t id = by_offset_lowest(r, size);
        *at = id == NONE ? 0 : node_of(r, id)->at;
        return id;
    }
    if (size > by_offset_largest(r)) {
        return NONE;
    }
    struct place_bounds bounds = *b;
    bounds.plain = false;
    if (next && s->cursor > b->min) {
        bounds.min = s->cursor;
        uint32_t id = find_from(r, size, &bounds, at);
        if (id != NONE) {
            return id;
        }
        bounds.min = b->min;
    }
    return find_from(r, size, &bounds, at);
}

static uint64_t check_block(const struct allot_region *r, uint32_t id, uint32_t parent, uint64_t first, uint64_t *last)
{
    const struct region_block *b = block_of(r, id);
    uint64_t holes = 0;
    CHECK(b->parent == parent && b->count <= FANOUT, "region", b);
    CHECK(b->count > 0 || (parent == NONE && b->level == 0), "region", b);
    for (uint32_t i = 0; i < b->count; i++) {
        CHECK(i == 0 ? b->at[0] == first : b->at[i] > b->at[i - 1], "region", b);
        if (b->level > 0) {
            const struct region_block *child = block_of(r, b->id[i]);
            CHECK(child->level == b->level - 1 && b->size[i] == longest(child), "region", b);
            CHECK(i == 0 || b->at[i] > *last, "region", b);
            holes += check_block(r, b->id[i], id, b->at[i], last);
            continue;
        }
        const struct region_node *n = node_of(r, b->id[i]);
        CHECK(is_hole(n) && n->link[0] == id && n->at == b->at[i] && n->size == b->size[i], "region", n);
        *last = n->at;
        holes++;
    }
    return holes;
}

void by_offset_check(const struct allot_region *r)
{
    const struct region_state *s = state_of(r);
    uint64_t last = 0;
    uint64_t holes = s->root == NONE ? 0 : check_block(r, s->root, NONE, block_of(r, s->root)->at[0], &last);
    CHECK(holes == s->holes, "region", s);
    uint64_t unused = 0;
    for (uint32_t id = s->unused_blocks; id != NONE; id = block_of(r, id)->next) {
        unused++;
    }
    CHECK(s->fresh_blocks - unused <= by_offset_blocks(holes), "region", s);
}
