/* frees.c - blocks freed by others, beside an owner that allocates, drains or ends. */
#include "scenarios.h"

#include <allot/malloc.h>

#include "heap/heap.h"
#include "system.h"

/* -- each takes in what it can of the other's -- */

static void free_begins(void)
{
    threads_with_heaps(3);
    blocks_of(0, 0, 3, SIZE);
}

static void free_1_and_2(void)
{
    put_block(1);
    put_block(2);
}

static void use(void) { put(get(SIZE)); }
static void use_twice(void)
{
    void *p = get(SIZE);
    put(get(SIZE));
    put(p);
}

/* -- two slabs, so that the inbox is a list -- */

static void inbox_begins(void)
{
    threads_with_heaps(3);
    blocks_of(0, 0, 2, SIZE);
    blocks_of(0, 2, 2, OTHER);
}

static void drain_twice(void)
{
    drain();
    drain();
}

static void free_1_and_3(void)
{
    put_block(1);
    put_block(3);
}

/* -- a notice that comes late: its slab has been released, and is another heap's by now -- */

static void late_begins(void)
{
    threads_with_heaps(3);
    blocks_of(0, 0, 2, HALF);
    blocks_of(2, 2, 2, HALF); /* no first slab, so it takes what was used before */
    act_as(0);
    allot_trim();
    one_other_unit_is_free();
}

static void drain_and_free_handed(void)
{
    drain();
    put(atomic_exchange(&handed[0], NULL));
}

static void adopt_and_free_handed(void)
{
    attach();
    put(atomic_exchange(&handed[0], NULL));
}

static void hand_out_and_end(void)
{
    free_1_and_hand_out();
    put_block(2);
    put_block(3);
    system_thread_ends();
}

static void late_ends(void)
{
    act_as(2);
    /* A notice passed on to a heap without a thread waits for the next one to take it over, or to free there. */
    if (!front.heap) {
        put(atomic_exchange(&handed[0], NULL));
        all_drain();
        act_as(3);
        attach();
    }
    all_is_free();
}

/* -- a thread ends: what others free is taken in without it, or by who takes over -- */

static void adopt_begins(void)
{
    threads_with_heaps(2);
    blocks_of(0, 0, 3, SIZE);
}

static void adopt_and_free_2(void)
{
    attach();
    void *p = get(SIZE);
    put_block(2);
    put(p);
}

/* -- what all share, under locks: a thread without a heap any more has nothing else -- */

static void commons_begin(void)
{
    threads_with_heaps(3);
    system_thread_ends();
    blocks_of(0, 0, 3, SIZE);
}

/* -- one block freed by two -- */

static void double_begins(void)
{
    free_begins();
    twice = block[0];
}

static void double_ends(void)
{
    put_block(1);
    put_block(2);
    all_drain();
}

/* clang-format off */
const struct scenario free_scenarios[] = {
    {"free", free_begins, {use_twice, free_0_and_2, free_1}, all_is_free, NULL, false},
    {"drain", free_begins, {drain_twice, free_0, free_1_and_2}, all_is_free, NULL, false},
    {"inbox", inbox_begins, {drain, free_0_and_2, free_1_and_3}, all_is_free, NULL, false},
    {"late", late_begins, {drain_and_free_handed, free_0, free_1_and_hand_out}, late_ends, NULL, false},
    {"late-end", late_begins, {drain_and_free_handed, free_0, hand_out_and_end}, late_ends, NULL, false},
    {"end", free_begins, {system_thread_ends, free_0_and_2, free_1}, all_is_free, NULL, false},
    {"adopt", adopt_begins, {system_thread_ends, free_0, adopt_and_free_2}, all_is_free, NULL, false},
    {"commons", commons_begin, {use, free_0, free_1}, all_is_free, NULL, false},
    {"double-free", double_begins, {drain, free_twice, free_twice}, double_ends, &twice, false},
    /* the same with more, for `make soak` */
    {"free-more", free_begins, {use_twice, free_0, free_1, free_2}, all_is_free, NULL, false},
    {"inbox-more", inbox_begins, {drain_twice, free_0_and_2, free_1_and_3}, all_is_free, NULL, false},
    {"late-more", late_begins, {drain_and_free_handed, free_0, free_1_and_hand_out, adopt_and_free_handed}, late_ends, NULL, false},
    {"end-more", free_begins, {system_thread_ends, free_0, free_1, free_2}, all_is_free, NULL, false},
    {"adopt-more", adopt_begins, {system_thread_ends, free_0_and_1, adopt_and_free_2}, all_is_free, NULL, false},
    {.name = NULL},
};
/* clang-format on */
