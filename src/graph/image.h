/* graph/image.h - the memory that is looked at: this process's own, or that of a dead one.
 *
 * Everything that walks blocks or looks for pointers reads through an image, by the addresses that the memory has in its own
 * process. In one's own process that costs nothing: an address is a pointer.
 */
#ifndef GRAPH_IMAGE_H
#define GRAPH_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a piece of memory is, as far as leaks are concerned. */
enum image_kind {
    IMAGE_HEAP,      /* the heap's own: blocks and records; not a root */
    IMAGE_GLOBALS,   /* .data and .bss of an object */
    IMAGE_STACK,     /* a thread's, from its stack pointer (less its red zone) to its end */
    IMAGE_REGISTERS, /* a thread's */
    IMAGE_TLS,       /* a thread's: static and dynamic */
    IMAGE_OTHER,     /* writable, and nobody's that we know: a root as well, told apart */
    IMAGE_CONSTANT,  /* of an object, not writable: no root; where vtables lie */
    IMAGE_HELD, /* words made up by who made the image, each of which holds the block it lies in, as if it were its beginning: what
                   the C library keeps by a pointer into its middle, as dtvs. `from` says nothing; first, as registers */
    IMAGE_RELRO, /* written while its object was loaded, constant since: a root, and where vtables lie */
};

struct image_range {
    uintptr_t from, to; /* addresses in their process */
    const void *bytes;  /* where they can be read here; of one's own process the same as `from` */
    enum image_kind kind;
    int tid;          /* of a thread's; 0: nobody's */
    const char *name; /* of a mapping's file, or NULL */
};

struct image {
    const struct image_range *range; /* by `from`, none overlaps another but registers, which come first */
    size_t ranges;
    bool own; /* this process: any address may be read as it is */
    /* Where so many bytes at an address can be read here; NULL: they are not in the image. */
    const void *(*at)(const struct image *image, uintptr_t address, size_t bytes);
    /* The first address from that one on of which something is in the image; UINTPTR_MAX: nothing. NULL: that is not known. */
    uintptr_t (*next)(const struct image *image, uintptr_t address);
};

/* The same, NULL as well: of one's own memory at no cost. */
static inline const void *image_at(const struct image *image, uintptr_t address, size_t bytes)
{
    return image->own ? (const void *)address : image->at(image, address, bytes);
}

#endif
