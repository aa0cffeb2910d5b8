/* gc/table.h - an array that grows, in pages from the system: no block of malloc's, so that no list of blocks shows it, and a
 * collector may use it wherever it is called from.
 *
 * Growth doubles: O(1) an item, amortised. Bytes count to the heap's. The heap's lock.
 */
#ifndef GC_TABLE_H
#define GC_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct gc;

struct gc_table {
    void *at;
    size_t count; /* the user's: items that are in use */
    size_t room;  /* items */
};

/* Room for `count` items of `each` bytes. False, and as it was: the heap's limit, or memory out. A table of no heap's, NULL,
 * counts to none. */
bool gc_table_reserve(struct gc *gc, struct gc_table *table, size_t count, size_t each);
void gc_table_free(struct gc *gc, struct gc_table *table, size_t each);

#endif
