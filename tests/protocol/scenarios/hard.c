/* hard.c - hardened heaps, whose free slots are bits only: others free beside an owner that takes and frees by hand, and one
 * block is freed by two. Of that the process dies: by one of the two, or when the owner takes in or takes the slot again. What
 * may not be is that the slot goes out again though both frees are known to be done; nor that anything else is refused. */
#include "scenarios.h"

#include <allot/malloc.h>

#include "heap/hard.h"
#include "heap/heap.h"
#include "system.h"

/* As the options would have, before the first thread has a heap. */
static void hardened_threads(void)
{
    harden(1);
    hard_begin();
    threads_with_heaps(3);
}

static void hard_begins(void)
{
    hardened_threads();
    blocks_of(0, 0, 3, SIZE);
}

static void use(void) { put(get(SIZE)); }

static void drain_and_use(void)
{
    drain();
    use();
}

static void free_1_and_use(void)
{
    put_block(1);
    use();
}

static void free_1_and_2(void)
{
    put_block(1);
    put_block(2);
}

static void adopt_and_free_2(void)
{
    attach();
    void *p = get(SIZE);
    put_block(2);
    put(p);
}

/* -- one block freed by two, of a slab of two slots -- */

static _Atomic unsigned frees_done;

static void double_begins(void)
{
    hardened_threads();
    blocks_of(0, 0, 2, HALF);
    twice = block[0];
    block[0] = NULL;
}

static void free_it(void)
{
    free_twice();
    atomic_fetch_add(&frees_done, 1);
}

/* Once it has seen that both frees are done, the owner does not get the block. */
static void take(void)
{
    bool both = atomic_load(&frees_done) == 2;
    block[0] = get(HALF);
    EXPECT(!(both && block[0] == twice));
}

static void drain_and_take(void)
{
    drain();
    take();
}

static void free_drain_and_take(void)
{
    free_it();
    drain_and_take();
}

static void free_and_take(void)
{
    free_it();
    take();
}

/* -- and meanwhile all of its slab goes, and is one of another class. Who has looked before, and frees after that, is found when
 * the slot at that place is taken in or would go out, which is another block's. (When it has gone out before, nobody can tell:
 * docs/proof.md.) -- */

enum { THIRD = 20000, THIRD_SLOT = 20480 };
static void *another;

static void no_unit_is_free(void)
{
    act_as(0);
    allot_trim();
    while (segments_newest()->free) {
        unit_take(UNIT_SOME);
    }
}

/* When its slab is gone. */
static void drain_and_use_unit(size_t size)
{
    drain();
    if (segments_newest()->free) {
        front.hard->hand[class_of_size(size)].random = 0; /* the first slot, which is not at that place */
        block[0] = get(size);
        drain();
        heap_check(front.heap);
    }
}

static void late_begins(void)
{
    hardened_threads();
    blocks_of(0, 0, 2, HALF);
    no_unit_is_free();
    twice = block[1];
    block[1] = NULL;
    put_block(0);
}

static void free_and_use_unit(void)
{
    free_it();
    drain_and_use_unit(THIRD);
}

/* Where the slot that it would be has not gone out before. */
static void late_ends(void)
{
    EXPECT(!block[0] || unit_of(block[0]) != unit_of(twice) || (uintptr_t)block[0] % UNIT_SIZE != THIRD_SLOT);
    block[1] = get(THIRD);
    block[2] = get(THIRD);
    all_is_free();
}

/* Its place is beyond what has been opened of the next slab. */
static void fresh_begins(void)
{
    hardened_threads();
    blocks_of(0, 0, 5, SIZE);
    no_unit_is_free();
    twice = block[0];
    for (unsigned i = 1; i < 5; i++) {
        twice = block[i] > twice ? block[i] : twice;
    }
    for (unsigned i = 0; i < 5; i++) {
        if (block[i] == twice) {
            block[i] = NULL;
        }
        put_block(i);
    }
}

static void free_and_use_fresh(void)
{
    free_it();
    drain_and_use_unit(OTHER);
}

static void fresh_ends(void)
{
    block[1] = get(OTHER);
    all_is_free();
}

/* -- and meanwhile somebody else has claimed its page, to give it back -- */

static struct heap *others;

static void noticed_begins(void)
{
    double_begins();
    others = front.heap;
    act_as(1);
    free_it();
}

static void trim_others(void) { adrift_trim(others); }

/* What was in the block that the second free was of may be gone. */
static void adrift_ends(void)
{
    allot_free(block[0]);
    block[0] = NULL;
    all_is_free();
}

/* -- in what all share, of which whoever frees takes a lock -- */

static void common_begins(void)
{
    hardened_threads();
    system_thread_ends();
    blocks_of(0, 0, 3, HALF);
    twice = block[0];
    block[0] = NULL;
}

/* And nothing else is in its slab, which goes: the third block is in the next. */
static void common_last_begins(void)
{
    common_begins();
    put_block(1);
}

/* clang-format off */
const struct scenario hard_scenarios[] = {
    {"hard-free", hard_begins, {use, free_0, free_1}, all_is_free, NULL, false},
    {"hard-drain", hard_begins, {drain_and_use, free_0, free_1}, all_is_free, NULL, false},
    {"hard-own", hard_begins, {free_1_and_use, free_0_and_2}, all_is_free, NULL, false},
    {"hard-end", hard_begins, {system_thread_ends, free_0_and_2}, all_is_free, NULL, false},
    {"hard-adopt", hard_begins, {system_thread_ends, free_0, adopt_and_free_2}, all_is_free, NULL, false},
    {"hard-double", double_begins, {drain_and_take, free_it, free_it}, all_is_free, &twice, false},
    {"hard-double-own", double_begins, {free_and_take, free_it}, all_is_free, &twice, false},
    {"hard-double-drain", double_begins, {free_drain_and_take, free_it}, all_is_free, &twice, false},
    {"hard-double-late", late_begins, {free_and_use_unit, free_it}, late_ends, &another, false},
    {"hard-double-fresh", fresh_begins, {free_and_use_fresh, free_it}, fresh_ends, &another, false},
    {"hard-double-claimed", noticed_begins, {drain_and_take, free_it, trim_others}, adrift_ends, &twice, false},
    {"hard-double-common", common_begins, {take, free_it, free_it}, all_is_free, &twice, false},
    {"hard-double-common-last", common_last_begins, {take, free_it, free_it}, all_is_free, &twice, false},
    /* the same with more, for `make soak` */
    {"hard-free-more", hard_begins, {use, free_0_and_2, free_1}, all_is_free, NULL, false},
    {"hard-drain-more", hard_begins, {drain_and_use, free_0, free_1_and_2}, all_is_free, NULL, false},
    {"hard-end-more", hard_begins, {system_thread_ends, free_0_and_2, free_1}, all_is_free, NULL, false},
    {.name = NULL},
};
/* clang-format on */
