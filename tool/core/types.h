/* core/types.h - what a block of a dead process was, as far as it tells by itself: its class by the vtable that its first word points
 * to, else a node of a list or a tree by neighbours that point back, else text, else its size. */
#ifndef ALLOT_CORE_TYPES_H
#define ALLOT_CORE_TYPES_H

#include "core/dead.h"

struct types;
struct types *types_begin(const struct dead *dead); /* NULL: out of memory */
void types_end(struct types *types);

/* Of a block, in words; good until the next call. */
const char *types_of(struct types *types, const struct graph_block *block);
/* Of an address in a module: "cache+8 in server", the variable as far as it is known. Likewise. */
const char *types_variable(struct types *types, uint64_t address);

#endif
