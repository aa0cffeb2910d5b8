/* snap/layout.h - a number that is another for every other layout of what a walk reads (snap/walk.c): who reads a heap of another
 * version says so, rather than nonsense. */
#ifndef SNAP_LAYOUT_H
#define SNAP_LAYOUT_H

#include "gc/gc.h"
#include "heap/guard.h"
#include "heap/hard.h"
#include "heap/heap.h"
#include "heap/part.h"
#include "heap/sample.h"
#include "heap/seal.h"
#include "heap/site.h"
#include "heap/tag.h"
#include "move/movable.h"
#include "os/noscan.h"
#include "os/owned.h"
#include "pool/cache.h"
#include "pool/pool.h"
#include "probe/module.h"
#include "probe/trie.h"
#include "scope/arena.h"
#include "span/fenced.h"
#include "span/large.h"
#include "span/run.h"

/* Steps of a polynomial in an odd number: all are known when this is compiled. */
#define LAYOUT_STEP(before, value) (((before) ^ (uint64_t)(value)) * 0x9e3779b97f4a7c15u)
#define LAYOUT_OF_1(before, a)     LAYOUT_STEP(LAYOUT_STEP(before, sizeof(struct a)), _Alignof(struct a))
#define LAYOUT_OF_2(before, a, m)  LAYOUT_STEP(before, offsetof(struct a, m))

static inline uint64_t layout_of_slabs(uint64_t h)
{
    h = LAYOUT_OF_1(h, segment), h = LAYOUT_OF_2(h, segment, kind), h = LAYOUT_OF_2(h, segment, older);
    h = LAYOUT_OF_1(h, slab), h = LAYOUT_OF_2(h, slab, local_free), h = LAYOUT_OF_2(h, slab, fresh);
    h = LAYOUT_OF_2(h, slab, stride16), h = LAYOUT_OF_2(h, slab, recip), h = LAYOUT_OF_2(h, slab, klass);
    h = LAYOUT_STEP(LAYOUT_STEP(LAYOUT_STEP(h, SEGMENT_SHIFT), UNIT_SHIFT), BITMAP_WORDS);
    h = LAYOUT_OF_1(h, run_map), h = LAYOUT_OF_2(h, run_map, length), h = LAYOUT_OF_2(h, run_map, heap);
    h = LAYOUT_OF_1(h, large), h = LAYOUT_OF_2(h, large, length), h = LAYOUT_OF_2(h, large, next);
    h = LAYOUT_OF_1(h, large_kept), h = LAYOUT_OF_1(h, fence), h = LAYOUT_OF_2(h, fence, asked);
    return h;
}

static inline uint64_t layout_of_heaps(uint64_t h)
{
    h = LAYOUT_OF_1(h, heap), h = LAYOUT_OF_2(h, heap, state), h = LAYOUT_OF_2(h, heap, epoch);
    h = LAYOUT_OF_2(h, heap, front), h = LAYOUT_OF_2(h, heap, lent), h = LAYOUT_OF_2(h, heap, mid);
    h = LAYOUT_OF_2(h, heap, tag), h = LAYOUT_OF_2(h, heap, older);
    h = LAYOUT_OF_1(h, front), h = LAYOUT_OF_2(h, front, list), h = LAYOUT_OF_2(h, front, aside);
    h = LAYOUT_OF_2(h, front, next);
    h = LAYOUT_STEP(LAYOUT_STEP(LAYOUT_STEP(h, SMALL_CLASSES), MID_CLASSES), LISTS);
    h = LAYOUT_OF_1(h, guard_place), h = LAYOUT_OF_2(h, guard_place, live), h = LAYOUT_OF_2(h, guard_place, size);
    h = LAYOUT_OF_1(h, hard), h = LAYOUT_OF_1(h, hardening), h = LAYOUT_OF_2(h, hardening, redzone);
    h = LAYOUT_OF_1(h, allot_tag), h = LAYOUT_OF_2(h, allot_tag, index), h = LAYOUT_OF_2(h, allot_tag, typed);
    h = LAYOUT_OF_2(h, allot_tag, name);
    return h;
}

static inline uint64_t layout_of_parts(uint64_t h)
{
    h = LAYOUT_OF_1(h, part), h = LAYOUT_OF_2(h, part, kind), h = LAYOUT_OF_2(h, part, name);
    h = LAYOUT_OF_2(h, part, size);
    h = LAYOUT_OF_1(h, set), h = LAYOUT_OF_2(h, set, stride), h = LAYOUT_OF_2(h, set, slots);
    h = LAYOUT_OF_2(h, set, pool), h = LAYOUT_OF_2(h, set, cache), h = LAYOUT_OF_2(h, set, part);
    h = LAYOUT_OF_1(h, pool), h = LAYOUT_OF_2(h, pool, set), h = LAYOUT_OF_2(h, pool, singles);
    h = LAYOUT_OF_1(h, cache), h = LAYOUT_OF_2(h, cache, singles), h = LAYOUT_OF_2(h, cache, size);
    h = LAYOUT_OF_1(h, singles), h = LAYOUT_OF_1(h, single);
    h = LAYOUT_OF_1(h, noscan), h = LAYOUT_OF_1(h, noscan_table), h = LAYOUT_OF_1(h, noscan_place);
    h = LAYOUT_OF_1(h, os_known), h = LAYOUT_OF_1(h, os_owned), h = LAYOUT_OF_2(h, os_owned, hidden),
    h = LAYOUT_OF_2(h, os_owned, kind);
    h = LAYOUT_OF_1(h, allot_arena_block), h = LAYOUT_OF_2(h, allot_arena_block, mark);
    h = LAYOUT_OF_2(h, allot_arena_block, name);
    return h;
}

static inline uint64_t layout_of_collected(uint64_t h)
{
    h = LAYOUT_OF_1(h, gc), h = LAYOUT_OF_2(h, gc, kind), h = LAYOUT_OF_2(h, gc, opts), h = LAYOUT_OF_2(h, gc, mark);
    h = LAYOUT_OF_1(h, mark), h = LAYOUT_OF_2(h, mark, cycle), h = LAYOUT_OF_1(h, mark_unit);
    h = LAYOUT_OF_2(h, mark_unit, stride16), h = LAYOUT_OF_2(h, mark_unit, cycle);
    h = LAYOUT_OF_1(h, copy), h = LAYOUT_OF_1(h, copy_unit), h = LAYOUT_OF_2(h, copy_unit, end);
    h = LAYOUT_OF_1(h, count), h = LAYOUT_OF_1(h, count_unit), h = LAYOUT_OF_2(h, count_unit, stride16);
    h = LAYOUT_OF_2(h, count_unit, lead), h = LAYOUT_OF_1(h, gc_table), h = LAYOUT_OF_1(h, worklist);
    h = LAYOUT_OF_1(h, large_object), h = LAYOUT_OF_2(h, large_object, size), h = LAYOUT_OF_1(h, allot_gc_type);
    return h;
}

/* What leads to a block's stack (heap/site.h). */
static inline uint64_t layout_of_stacks(uint64_t h)
{
    h = LAYOUT_OF_1(h, site_chunk), h = LAYOUT_STEP(LAYOUT_STEP(h, SITE_LEAF), SITE_SLOTS);
    h = LAYOUT_OF_1(h, sample), h = LAYOUT_OF_2(h, sample, block), h = LAYOUT_OF_2(h, sample, stack);
    h = LAYOUT_OF_2(h, sample_stack, number), h = LAYOUT_STEP(h, SAMPLE_BITS);
    h = LAYOUT_OF_1(h, trie), h = LAYOUT_OF_1(h, trie_node), h = LAYOUT_STEP(h, TRIE_FIRST_BITS);
    h = LAYOUT_OF_1(h, module), h = LAYOUT_OF_2(h, module, number), h = LAYOUT_OF_2(h, module, next);
    return h;
}

static inline uint64_t layout_of_movables(uint64_t h)
{
    h = LAYOUT_OF_1(h, movable), h = LAYOUT_OF_2(h, movable, next), h = LAYOUT_OF_2(h, movable, opts);
    h = LAYOUT_OF_2(h, movable, entry), h = LAYOUT_OF_2(h, movable, groups), h = LAYOUT_OF_2(h, movable, far_leaf);
    h = LAYOUT_OF_2(h, movable, base), h = LAYOUT_OF_2(h, movable, group), h = LAYOUT_OF_2(h, movable, fars);
    h = LAYOUT_OF_1(h, group), h = LAYOUT_OF_2(h, group, used);
    h = LAYOUT_OF_1(h, far), h = LAYOUT_OF_2(h, far, size);
    h = LAYOUT_STEP(LAYOUT_STEP(LAYOUT_STEP(h, GROUP_SLOTS), FAR_LEAF), META_UNITS);
    return h;
}

static inline uint64_t snap_layout(void)
{
    uint64_t heaps = layout_of_parts(layout_of_heaps(layout_of_slabs(1)));
    return layout_of_movables(layout_of_stacks(layout_of_collected(heaps)));
}

#endif
