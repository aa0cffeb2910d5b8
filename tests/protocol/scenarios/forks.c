/* forks.c - a fork, at any moment: the child goes on, and lacks at most what was being freed. What another thread may have
 * been in the middle of writing would be a race for the child to touch. */
#include "scenarios.h"

#include <allot/malloc.h>

#include "heap/heap.h"
#include "system.h"

static void fork_begins(void)
{
    threads_with_heaps(3);
    blocks_of(0, 0, 3, SIZE);
    blocks_of(1, 3, 1, SIZE);
}

static void fork_and_free(void)
{
    is_child = system_fork();
    go_on();
    put_block(0);
}

static void free_and_go_on(void)
{
    put_block(1);
    put(get(HALF));
    put_block(3);
}

static void free_and_fork(void)
{
    put_block(1);
    is_child = system_fork();
    go_on();
    put_block(3);
}

static void use_and_free(void)
{
    put(get(HALF));
    put_block(0);
}

static void fork_ends(void)
{
    if (!is_child) {
        all_is_free();
        return;
    }
    allot_trim();
    EXPECT(front.heap->slabs <= 1);
    allot_check();
}

/* clang-format off */
const struct scenario fork_scenarios[] = {
    {"fork", fork_begins, {fork_and_free, free_and_go_on}, fork_ends, NULL, false},
    {"fork-freeing", fork_begins, {use_and_free, free_and_fork}, fork_ends, NULL, false},
    /* the same with more, for `make soak` */
    {"fork-more", fork_begins, {fork_and_free, free_and_go_on, free_2}, fork_ends, NULL, false},
    {.name = NULL},
};
/* clang-format on */
