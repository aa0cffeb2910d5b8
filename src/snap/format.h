/* snap/format.h - a snapshot's file: header, then sections until the one that ends it. All little-endian; docs/format.md. */
#ifndef SNAP_FORMAT_H
#define SNAP_FORMAT_H

#include <stdint.h>

#define SNAP_MAGIC   "allotsnp" /* 8 bytes, without the 0 */
#define SNAP_VERSION 2

enum { SNAP_AT_EXIT = 1, SNAP_SOME_UNSTOPPED = 2 }; /* header.flags */

struct snap_header {
    char magic[8];
    uint32_t version, flags;
    uint64_t time; /* nanoseconds since 1970 */
    int32_t pid;   /* as the process sees it */
    uint32_t page;
    uint64_t missing; /* pieces of the heap that could not be read */
    uint64_t unused[3];
};

enum snap_section {
    SNAP_NAMES = 1,   /* text, each ended by a 0, the first is empty: others name an offset here */
    SNAP_COMMAND,     /* words of the command line, each ended by a 0 */
    SNAP_MAPPINGS,    /* snap_mapping, by address */
    SNAP_RANGES,      /* snap_range: the roots; registers first, then by address */
    SNAP_THREADS,     /* snap_thread */
    SNAP_DESCRIPTORS, /* snap_descriptor */
    SNAP_OWNERS,      /* snap_owner; the first is the general heap */
    SNAP_BLOCKS,      /* snap_block, by address, none overlaps another */
    SNAP_TYPES,       /* snap_type, by block */
    SNAP_ROOTS,       /* snap_root */
    SNAP_COUNTS,      /* uint32_t for each block: how many edges it has */
    SNAP_EDGES,   /* uint32_t each, of the first block, the second ...: block * 2, + 1 when it points into its middle */
    SNAP_OBJECTS, /* snap_object: files that code lies in, by address */
    SNAP_FRAMES,  /* snap_frame, by number: the stacks that blocks have as their site */
    SNAP_END,     /* nothing: the file is whole */
};

struct snap_part {
    uint32_t section, unused;
    uint64_t bytes; /* that follow; then zeros up to a multiple of 8 */
};

struct snap_mapping {
    uint64_t from, to, offset;
    uint32_t flags, name; /* 1 read, 2 write, 4 execute, 8 shared */
};

struct snap_range {
    uint64_t from, to;
    uint32_t kind; /* enum image_kind */
    int32_t tid;
    uint32_t name, unused;
};

struct snap_thread {
    int32_t tid;
    uint32_t flags;     /* 1: it stood still */
    uint64_t sp, stack; /* where its stack is in use from; and bytes of it that are; 0: not known */
    char name[16];
};

struct snap_descriptor {
    int32_t fd;
    uint32_t name;
};

struct snap_owner {
    uint32_t kind, name; /* enum graph_owner_kind */
    uint64_t object_bytes;
};

struct snap_block {
    uint64_t address, size;
    uint32_t site, owner; /* site: the number of its stack's innermost frame; 0: not known */
};

struct snap_type {
    uint64_t vtable;
    uint32_t block, unused;
};

struct snap_root {
    uint64_t address; /* where the word is; 0: in a register, or made up for what the C library holds */
    uint32_t block;
    uint32_t range; /* * 2, + 1 when it points into the middle */
};

#define SNAP_BUILD_ID 20

/* What is loaded: the program, libraries. `bias`: what is to be taken off an address in it to have the one that its file has. */
struct snap_object {
    uint64_t from, to, bias;
    uint32_t name, build_id_bytes; /* 0: it has none */
    uint8_t build_id[SNAP_BUILD_ID];
    uint32_t unused;
};

#define SNAP_ELIDED 1 /* as pc: callers beyond here were left out */

/* A call in a stack. Numbers are the process's, the same in all its snapshots; a caller's is less than its own. */
struct snap_frame {
    uint32_t number, caller; /* 0: nobody called, as far as is known */
    uint64_t pc;             /* that the call returns to */
    uint32_t object;         /* its index + 1; 0: it lies in none, or in one that has been unloaded */
    uint32_t unused;
};

#endif
