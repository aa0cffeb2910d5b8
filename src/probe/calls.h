/* probe/calls.h - the stack of the calling thread as a number: the same for the same calls, in this process, for ever.
 *
 *   tree of stacks:  0 <- main <- load <- parse       a node is (parent, return address); a stack is its innermost node's number
 *                              <- save
 *
 * For every allocation of a recorded program, so fast before all: by rules (probe/rule.h), and by what the thread's last stack was.
 * Of that the frames that are still there are not walked again: where a frame has the same place, return address and frame pointer
 * as one of last time, all that lie beyond it are looked at in their places only, and when they are as they were, so is the rest.
 *
 * Allocates from the system only, and takes no lock. Any thread, at any time but in a signal's handler that interrupted this.
 */
#ifndef PROBE_CALLS_H
#define PROBE_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/object.h"

/* A stack of more frames than CALLS_DEEPEST has its CALLS_KEPT innermost ones, and beyond them one whose pc is CALLS_ELIDED; so has
 * one that the tree of stacks has no room for (of CALLS_NODES nodes, or of memory) in place of its innermost ones. */
enum { CALLS_DEEPEST = 16384, CALLS_KEPT = 1024, CALLS_NODES = 8 << 20, CALLS_ELIDED = 1 };

/* Who is told of each new node, and of each object in which a stack lies, before a number that needs it is given to anybody else than
 * the calling thread. Chosen once. */
struct calls_told {
    void (*node)(uint32_t id, uint32_t parent, uintptr_t pc);
    void (*object)(const struct object *object);
};

/* A thread's memory of its last stack. All zero at first. */
struct calls;
struct calls *calls_begin(void); /* NULL when memory is out */
void calls_end(struct calls *calls);

void calls_tell(const struct calls_told *told);

/* Tells of all that had been told before: to who is told now. Of what comes meanwhile is told as ever. */
void calls_tell_again(void);

/* The number of the calling thread's stack, its frames in the library itself left out, where that is not linked into the program; 0
 * when nothing is known of it, or memory is out. */
uint32_t calls_here(struct calls *calls);

/* How many nodes there are: a forked child has them all, under the same numbers, and goes on from there. */
uint32_t calls_nodes(void);
void calls_node(uint32_t id, uint32_t *parent, uintptr_t *pc);
/* Whether what a node lies in has not been unloaded since: else its address is nobody's, or another's. */
bool calls_is_loaded(uint32_t id);
/* The frames of a stack, innermost first: how many were written, `most` at most. */
size_t calls_frames(uint32_t id, uintptr_t *pcs, size_t most);

#endif
