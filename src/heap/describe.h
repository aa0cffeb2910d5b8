/* heap/describe.h - where everything is, for who reads this process's heap from the outside: in a core, or in the image of it that
 * a forked child is (snap/walk.h).
 *
 *   core:  ... | "allot core desc\n" | self, version, layout | in_use | where the lists begin | ...
 *
 * One in each copy of the library, in memory that is written to, so that every core has it; found under the name
 * allot_core_desc, or in a stripped program by its magic and `self`, which is its own address. Only the copy that is the
 * process's heap has `in_use`. All addresses are of variables, as the process has them.
 */
#ifndef HEAP_DESCRIBE_H
#define HEAP_DESCRIBE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CORE_DESC_MAGIC   "allot core desc\n" /* 16 bytes, without the 0 */
#define CORE_DESC_VERSION 2
#define CORE_DESC_PATH    256

struct core_desc {
    char magic[16];
    const void *self;
    uint32_t version, bytes; /* of this struct */
    uint32_t abi;            /* INSTANCE_ABI */
    _Atomic uint32_t in_use;
    uint64_t layout; /* another for every other layout of what is read: see snap/layout.h */

    const void *page;       /* size_t: os_page */
    const void *segments;   /* struct segment *: the newest */
    const void *heaps;      /* struct heap *: the newest */
    const void *epoch;      /* uint32_t */
    const void *fronts;     /* struct front *: the first */
    const void *large;      /* struct large *: the first */
    const void *kept;       /* struct large_kept[]: free mappings; */
    const void *kept_count; /* size_t: how many */
    const void *deferred;   /* struct large *: free mappings too */
    const void *guards;     /* struct guard_place *[]; */
    const void *guard_count;
    const void *parts;     /* struct part ** [PARTS_ROOT] */
    const void *tags;      /* struct allot_tag ** [TAGS_ROOT] */
    const void *hardening; /* struct hardening */
    const void *secret;    /* uint64_t[2] */
    const void *known;     /* struct os_known (os/owned.h) */

    /* What who may write to this process's memory asks for. Whichever thread next needs memory that it has not at hand, or gives some
     * back, does it, and makes `answered` what `asked` was.
     *   its lower half   a snapshot: `path` first, then 1 is added. When that is answered it has begun: the file grows, and is whole when
     *                    its end is there.
     *   its upper half   a look at the control page (allot/control.h), which is made where there is none: a lease, tables.
     * Each half is written by itself, as both may be asked for at once. */
    _Atomic uint32_t asked, answered;
    int32_t error;      /* 0 or -errno: what came of the last one */
    int32_t page_error; /* likewise, of the control page */
    char path[CORE_DESC_PATH];
};

/* Defined where all that it names is known (snap/describe.c). Others know it as allot_core_desc, a name that may not be used in
 * here, as allot_instance may not (heap/instance.h). */
extern struct core_desc own_core_desc __attribute__((visibility("hidden")));

/* This copy is the process's heap from now on. */
void core_desc_begin(void) __attribute__((cold));

/* -- what the heap calls that stands above it (snap/) -- */

/* A snapshot of this process, written to a file by a child: 0 when that has begun, or -errno. With nothing half done. */
int snap_take(const char *path);

static inline bool snap_is_asked(void)
{
    return atomic_load_explicit(&own_core_desc.asked, memory_order_relaxed) !=
           atomic_load_explicit(&own_core_desc.answered, memory_order_relaxed);
}
void snap_answer(void) __attribute__((cold));

/* A verdict of each live block (enum graph_verdict), and what of a definite one goes with it: for who tells a recorder at the process's
 * end. All other threads stand while they are found, none while `visit` is called. False with memory out: of none. */
bool snap_verdicts(void (*visit)(void *arg, const void *block, uint64_t retains, unsigned verdict), void *arg);

/* The process ends, in its destructors: `leaks=exit`. */
struct snap_exit {
    bool leaks;         /* leaks=exit: they are looked for, and printed, */
    int status;         /* leaks_status=N: and when there are any this is the exit status; */
    char suppress[256]; /* leaks_suppressions=FILE */
    char file[256];     /* leaks_file=FILE: a snapshot is written instead */
};
extern struct snap_exit snap_exit;
void snap_at_exit(void) __attribute__((cold));

#endif
