/* allot/snapshot.h - what this process has leaked, and pictures of its heap.
 *
 *     struct allot_leaks found;
 *     struct allot_since *since = allot_since();         // what lives now is not of interest
 *     serve_a_request();
 *     if (allot_leaks(&(struct allot_leaks_opts){.print = true, .since = since}, &found) == 0 && found.definite.blocks) ...
 *     allot_snapshot("/tmp/server.snap");                // for `allot snap`, `allot diff`
 *
 * Both look at all of this process's memory for words that are addresses of live blocks, as a collector does, from its roots:
 * globals, stacks and registers of all threads, thread-local storage, any other writable memory. Blocks are allot's: of malloc
 * where it stands in for it, of heaps, tags, arenas, pools, caches and movable heaps, whose objects their heap holds. Verdicts
 * (docs/leaks.md):
 *
 *   reachable     a pointer to its beginning leads there from a global, thread-local or other lasting memory
 *   thread-only   only from a thread's stack or registers: in use just now
 *   possible      only into its middle, or from a block that is but possible
 *   definite      from nowhere, nor from another leak
 *   indirect      only from definite ones: it goes with one of them
 *
 * Other threads stand still meanwhile: for a leak check all of it, some 1 GB a second; for a snapshot as long as a fork takes. They
 * are stopped by a real-time signal that nobody uses; system calls that wait may return EINTR. Any thread; not in a signal's
 * handler. Linux, x86-64 and arm64.
 */
#ifndef ALLOT_SNAPSHOT_H
#define ALLOT_SNAPSHOT_H

#include <allot/malloc.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A moment: what lived then. */
struct allot_since;

/* Now. NULL with ENOMEM. A block that is freed later and its place given to another counts as of then. 8 bytes a block. */
ALLOT_API struct allot_since *allot_since(void);
ALLOT_API void allot_since_done(struct allot_since *since);

struct allot_leaks_opts {
    bool print;                      /* on standard error: sums, and leaks by where they come from */
    bool quiet_if_none;              /* nothing then, when there is no definite or possible one */
    const struct allot_since *since; /* only blocks that did not live then; NULL: all */
    const char *suppressions;        /* a file of `leak:PATTERN` lines as LeakSanitizer has them, or NULL */
};

struct allot_leaks_sum {
    uint64_t blocks, bytes;
};

struct allot_leaks {
    struct allot_leaks_sum definite, indirect, possible, reachable, thread_only;
    struct allot_leaks_sum suppressed; /* definite and possible ones that are, which are not in the others */
    unsigned unstopped; /* threads that did not stop: their stacks were looked at as a whole, their registers not */
};

/* 0 or -errno: -ENOMEM; -EBUSY: there is no signal left; what else the system says. `opts` NULL: nothing is printed. */
ALLOT_API int allot_leaks(const struct allot_leaks_opts *opts, struct allot_leaks *out);

/* Writes a picture of the heap, as of now, to a file: made or cut off there. Returns when it is written; 0 or -errno, and then
 * the file is gone. */
ALLOT_API int allot_snapshot(const char *path);

#ifdef __cplusplus
}
#endif

#endif
