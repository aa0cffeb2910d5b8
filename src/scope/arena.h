/* scope/arena.h - a block of an arena inside, for scope/arena.c; and for who finds one among the heap's blocks (snap/walk.h): it
 * says itself that it is one. */
#ifndef SCOPE_ARENA_H
#define SCOPE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include <allot/arena.h>

struct allot_arena_block {
    struct allot_arena_block *next;
    struct allot_arena_block *bump; /* this one; or, of an own block, the one that `at` lay in then, NULL: none */
    char *at;                       /* where its objects end; not kept up to date while the arena's `at` lies in it */
    size_t size;                    /* in bytes, all of it */
    uintptr_t mark;                 /* arena_mark_of(this), until it goes back to where it came from */
    const char *name;               /* the arena's, or NULL */
};

_Static_assert(sizeof(struct allot_arena_block) % ALLOT_ARENA_ALIGN == 0, "the first object is aligned");

static inline uintptr_t arena_mark_of(const void *block) { return (uintptr_t)block ^ (uintptr_t)0x9d3c5e7a41b86f27; }

#endif
