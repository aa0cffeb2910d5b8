/* probe/object.h - what is loaded: the object that an address lies in, what it says of itself, and its name.
 *
 * Takes no lock and allocates nothing: glibc's _dl_find_object where there is one (2.35 and later), else the list that libc
 * keeps for debuggers, which only dlclose shortens. dl_iterate_phdr is not asked, since a thread may be inside dlopen, with
 * libc's lock, when it allocates or crashes. Objects are what their program headers say; only what these say is mapped is read.
 *
 * Objects stay that were there before main, as far as that can be told without asking libc: in its list, those up to its loader.
 * musl unloads none at all.
 */
#ifndef PROBE_OBJECT_H
#define PROBE_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/cfi.h"

struct object {
    uintptr_t start, end; /* what it spans; or, where others lie between its parts, the part in question */
    uintptr_t head;       /* its ELF header */
    uintptr_t map;        /* its struct link_map, 0 where it has none */
    uint64_t
        mark; /* of this object at this address: another one that was loaded there later has another. 0: it stays */
};

/* An object's build id tells it from any other: its first 8 bytes, 0 without one; then the length of the file, as its header tells
 * where its section headers are, has to do. */
static inline uint64_t object_mark(uintptr_t head, uint64_t id, uint64_t length)
{
    return ((id ^ length) * 0x9e3779b97f4a7c15u ^ head) * 0xbf58476d1ce4e5b9u;
}

/* False when no object lies there. */
bool object_find(uintptr_t address, struct object *object);

/* Whether it is still there, and not another one in its place. */
bool object_is_still(const struct object *object);

/* The program itself. */
bool object_is_program(const struct object *object);

/* Where its call frame information is; false when it has none. */
bool object_image(const struct object *object, struct cfi_image *image);

/* The beginning of the function that others may link to, and `address` lies in; 0 when there is none. The name is cut to
 * `size`. */
uintptr_t object_function(const struct object *object, uintptr_t address, char *name, size_t size);

/* The last component of its file's name, cut to `size`. */
void object_name(const struct object *object, char *name, size_t size);

/* What must be taken off an address of it to get the one in its file. */
uintptr_t object_bias(const struct object *object);

#endif
