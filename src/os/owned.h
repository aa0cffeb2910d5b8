/* os/owned.h - memory that one of allot's parts manages for the program, whoever it has it from: for who tells whose a block is.
 *
 *   os_owned --> ~address, bytes, kind, name -> ...        a piece each
 *      | next: of another copy of the library in this process
 *      `--> ...
 *
 * An overlay's area is a block of malloc's, or the program's own memory; a region with a name places things in such. Neither says
 * so itself, as an arena's blocks do. Pieces come and go with their parts, which is seldom: under a lock, O(pieces) to go. They lie in
 * memory that no leak check looks at (os/noscan.h). Not for what has an owner in the heap's own records: pools, caches, heaps, tags.
 */
#ifndef OS_OWNED_H
#define OS_OWNED_H

#include <stddef.h>
#include <stdint.h>

struct noscan;

enum os_owned_kind { OS_OWNED_REGION, OS_OWNED_OVERLAY };

struct os_owned {
    struct os_owned *next;
    const void *part; /* by which it goes again: an address that no other part has meanwhile */
    const char *name; /* the program's; or NULL */
    uintptr_t hidden; /* ~address */
    size_t bytes;
    uint32_t kind;
};

/* What a copy of the library knows, and the others after it, in the copy that is the process's heap. Such a copy goes with its library:
 * who follows `next` looks whether what it leads to is one, by its magic and `self`, its own address. */
#define OS_KNOWN_MAGIC "allot known\n\n\n\n\n" /* 16 bytes, without the 0 */
struct os_known {
    char magic[16];
    const void *self;
    struct os_known *next;
    struct os_owned *owned;
    const struct noscan *noscan;
    const void *movables; /* where the first of its movable heaps is (move/movable.h); NULL: it never had any */
};
extern struct os_known os_known __attribute__((visibility("hidden")));

/* Another copy, which is bound to this one (heap/instance.h). */
void os_known_add(struct os_known *other);

/* Without memory for it nobody hears of it. */
void os_owned_add(const void *part, enum os_owned_kind kind, const char *name, uintptr_t at, size_t bytes);
/* All of a part's. */
void os_owned_remove(const void *part);

void os_owned_lock(void);
void os_owned_unlock(void);
/* In the child of a fork. */
void os_owned_lock_reset(void);

#endif
