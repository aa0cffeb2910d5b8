/* adrift.c - pages of free slots, which others claim and purge as soon as there are any: the owner finds them free, or not
 * yet. */
#include "scenarios.h"

#include <allot/malloc.h>

#include "heap/heap.h"
#include "system.h"

static void adrift_begins(void)
{
    adrift_least = adrift_slots_least = 1;
    threads_with_heaps(3);
    blocks_of(0, 0, 2, HALF);
}

static void use_half(void) { put(get(HALF)); }

/* Block 0 has been freed, and its slab is in the inbox. */
static struct heap *others;

static void noticed_begins(void)
{
    threads_with_heaps(3);
    others = front.heap;
    blocks_of(0, 0, 2, HALF);
    act_as(1);
    put_block(0);
    adrift_least = adrift_slots_least = 1;
}

/* And thread 2, all of whose slabs are full, would have to take a fresh unit. */
static void loose_begins(void)
{
    noticed_begins();
    blocks_of(2, 2, 8, HALF);
    adrift_trim(others);
}

static void sleep_on(void) {}
static void trim_others(void) { adrift_trim(others); }

static void drain_and_use(void)
{
    drain();
    use_half();
}

static void fork_and_go_on(void)
{
    is_child = system_fork();
    go_on();
}

static void adrift_fork_ends(void)
{
    if (!is_child) {
        all_is_free();
        return;
    }
    put_block(1);
    allot_trim();
    EXPECT(front.heap->slabs == 0);
    allot_check();
}

/* clang-format off */
const struct scenario adrift_scenarios[] = {
    {"adrift", adrift_begins, {drain, free_0_and_1}, all_is_free, NULL, false},
    {"adrift-trim", noticed_begins, {sleep_on, free_1, trim_others}, all_is_free, NULL, false},
    {"adrift-end", adrift_begins, {system_thread_ends, free_0_and_1}, all_is_free, NULL, false},
    {"adrift-fork", noticed_begins, {fork_and_go_on, trim_others}, adrift_fork_ends, NULL, false},
    {"loose", loose_begins, {drain, sleep_on, use_half}, all_is_free, NULL, false},
    {"loose-end", loose_begins, {system_thread_ends, sleep_on, use_half}, all_is_free, NULL, false},
    /* the same with more, for `make soak` */
    {"adrift-more", adrift_begins, {drain_and_use, free_0_and_1}, all_is_free, NULL, false},
    {"loose-free", loose_begins, {sleep_on, free_1, use_half}, all_is_free, NULL, false},
    {.name = NULL},
};
/* clang-format on */
