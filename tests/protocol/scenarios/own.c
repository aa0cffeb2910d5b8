/* own.c - first-class heaps: one thread's, while others free what is in it. */
#include "scenarios.h"

#include <allot/heap.h>
#include <allot/malloc.h>
#include <allot/tag.h>

#include "heap/heap.h"

static struct allot_tag *tag; /* of `own`, when it has one */
static struct allot_heap own;
static struct heap *own_heap;
static _Atomic bool adopted;

static void *get_own(size_t size)
{
    uintptr_t *p = allot_heap_alloc(&own, size);
    EXPECT(p != NULL);
    p[1] = (uintptr_t)p;
    return p;
}

static void make_own(size_t size, unsigned blocks)
{
    EXPECT(allot_heap_init(&own, &(struct allot_heap_opts){.tag = tag}) == 0);
    own_heap = heaps_newest();
    for (unsigned i = 0; i < blocks; i++) {
        block[i] = get_own(size);
    }
}

static void own_begins(void)
{
    threads_with_heaps(3);
    make_own(SIZE, 3);
}

static void use_own(void)
{
    put(get_own(SIZE));
    remote_drain(own_heap, SIZE_MAX);
}

/* What was freed is free, before all is. */
static void own_ends(void)
{
    allot_heap_adopt(&own);
    for (unsigned i = 0; i < BLOCKS; i++) {
        put_block(i);
    }
    struct allot_stats stats;
    remote_drain(own_heap, SIZE_MAX);
    allot_heap_stats(&own, &stats);
    EXPECT(stats.live == 0 && allot_heap_check(&own));
    allot_heap_done(&own);
    all_is_free();
}

/* -- and is reset, once its owner has seen that what the others free is free: one notice may have told of both, and the other
 * be on its way yet, for a unit that somebody else has by then -- */

static void reset_begins(void)
{
    threads_with_heaps(3);
    blocks_of(2, 2, 2, HALF); /* no first slab, so it takes what was used before */
    act_as(0);
    make_own(HALF, 2);
    allot_trim();
    one_other_unit_is_free();
}

static bool only_mine_is_left(void)
{
    remote_drain(own_heap, SIZE_MAX);
    put(atomic_exchange(&handed[0], NULL));
    return own_heap->out < HALF;
}

static void reset_own(void)
{
    if (only_mine_is_left()) {
        allot_heap_reset(&own);
        EXPECT(!tag || allot_tag_used(tag) == 0);
    }
}

static void charged_begins(void)
{
    threads_with_heaps(2);
    tag = allot_tag("heap", SIZE_MAX);
    make_own(HALF, 1);
    get_own(SIZE);
}

/* A notice in the inbox of a heap that is done waits for the next one of its record. */
static void reset_ends(void)
{
    put_block(0);
    put_block(1);
    allot_heap_done(&own);
    put(atomic_exchange(&handed[0], NULL));
    put_block(2);
    put_block(3);
    all_drain();
    for (struct heap *h = heaps_newest(); h; h = h->older) {
        if (h->id & ID_PRIVATE) {
            remote_forget(h);
        }
    }
    all_is_free();
}

/* -- and is adopted by another; who had it frees in it when it has seen that -- */

static void hand_over_own(void)
{
    put(get_own(SIZE));
    atomic_exchange(&handed[0], &own);
    if (atomic_load(&adopted)) {
        put_block(1);
    }
}

static void adopt_own(void)
{
    if (atomic_exchange(&handed[0], NULL)) {
        allot_heap_adopt(&own);
        atomic_exchange(&adopted, true);
        put(get_own(SIZE));
        put_block(2);
    }
}

static void adopt_ends(void)
{
    atomic_store(&handed[0], NULL);
    own_ends();
}

/* clang-format off */
const struct scenario own_scenarios[] = {
    {"own", own_begins, {use_own, free_0_and_2, free_1}, own_ends, NULL, false},
    {"own-charged", charged_begins, {reset_own, free_0}, reset_ends, NULL, false},
    {"own-adopt", own_begins, {hand_over_own, adopt_own, free_0}, adopt_ends, NULL, false},
    /* for `make soak` */
    {"own-reset", reset_begins, {reset_own, free_0, free_1_and_hand_out}, reset_ends, NULL, false},
    {.name = NULL},
};
/* clang-format on */
