/* preload/blocks.h - which blocks of another malloc's are live, where it is to be known at the end who points to them.
 *
 *   hash of the address --> one of 64 parts: lock, | address, size | address, size | ...  open addressing, 3/4 full at most
 *
 * A block is in the table from when the other malloc has given it until it is given back, so an address is there once. 16 bytes a
 * place, in memory that holds nothing (os/noscan.h); O(1). Any thread. What a signal's handler does in the middle of a change is not
 * seen. Not for programs that are only recorded: a call costs 10 ns more, and a wait for memory where there are
 * millions.
 */
#ifndef PRELOAD_BLOCKS_H
#define PRELOAD_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>

#include "graph/graph.h"

void blocks_add(const void *p, size_t size);
/* Its size; SIZE_MAX: it was not there. */
size_t blocks_remove(const void *p);

/* Nobody changes anything in between. And in the child of a fork that was made then. */
void blocks_lock(void);
void blocks_unlock(void);
void blocks_lock_reset(void);

/* All of them, between these two: memory for os_unmap_noscan of blocks_list_bytes. False: memory was or is out, some are missing. */
bool blocks_list(struct graph_block **block, size_t *count);
static inline size_t blocks_list_bytes(size_t count) { return (count + 1) * sizeof(struct graph_block); }

#endif
