/* scenarios.h - the heap's protocols between threads, each with as few threads, slabs and blocks as show all it can do: what
 * the scenarios share.
 *
 * Blocks are of SIZE bytes or OTHER, which are less than a page, so that nobody counts what is adrift; or of HALF, of which a
 * slab has two, and each free is counted: where adrift_least is small, pages go back with it. At the end of each execution
 * every block has been freed and every thread that still is one has drained: then no heap may have a slab or a slot left. That
 * no slot is handed out twice, and none is used by two, is what writing to each block shows: it would be a race. */
#ifndef PROTOCOL_SCENARIOS_H
#define PROTOCOL_SCENARIOS_H

#include <stdatomic.h>

#include "explore.h"

/* By what they are about, each group in a file of its own; one without a name is behind the last. */
extern const struct scenario free_scenarios[], fork_scenarios[], tag_scenarios[], own_scenarios[], adrift_scenarios[],
    unit_scenarios[], hard_scenarios[], pool_scenarios[];

enum { SIZE = 3000, OTHER = 3500, HALF = 30000, BLOCKS = 10 };

extern void *block[BLOCKS];
extern _Atomic(void *) handed[2]; /* from one thread to another */
extern bool is_child;             /* of a fork */
extern void *twice;               /* one block that is freed by two */

#define EXPECT(condition)                                    \
    do {                                                     \
        if (!(condition)) {                                  \
            explore_fault("not so at the end: " #condition); \
        }                                                    \
    } while (0)

void *get(size_t size);
void *try_to_get(size_t size); /* or NULL */
void put(void *block_or_null);
void put_block(unsigned i);

/* -- beginnings -- */

/* The running thread gets a heap, as if it had had what it may have of the commons. */
void attach(void);

/* Threads 0 to count - 1 have heaps. */
void threads_with_heaps(unsigned count);

void blocks_of(unsigned thread, unsigned from, unsigned count, size_t size);

/* So that who needs a unit may get one that somebody else gave back. */
void one_other_unit_is_free(void);

/* -- what threads do -- */

void free_0(void);
void free_1(void);
void free_2(void);
void free_0_and_1(void);
void free_0_and_2(void);
void free_1_and_hand_out(void);
void free_twice(void);
void drain(void);
void go_on(void); /* after a fork, in both */

/* -- ends -- */

void all_drain(void);
void all_is_free(void);

#endif
