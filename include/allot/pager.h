/* allot/pager.h - more data than memory: pages of a file, or of whatever else, in a fixed number of frames.
 *
 *     struct allot_store store;
 *     struct allot_pager pager;
 *     allot_store_file(&store, fd, 0);
 *     allot_pager_init(&pager, &store, &(struct allot_pager_opts){.frames = 25600});       // 100 MiB, and never more
 *
 *     struct node *node = allot_pager_pin(&pager, 17, ALLOT_PAGER_READ);                   // page 17, in memory
 *     allot_pager_unpin(&pager, node, ALLOT_PAGER_READ);                                   // may go now
 *
 *     allot_pager_sync(&pager);                                                            // all that was written is durable
 *     allot_pager_done(&pager);
 *
 * For databases, indices, graphs, big tables: what is read again and again, at random, and does not fit. Against mmap it has a
 * bound that is kept, a policy of its own instead of the system's, errors as return values instead of SIGBUS, and it says when a
 * page is on the disk. Not for what fits, nor for a file that is read once from front to back.
 *
 *   page number --multi-level table--> | resident . busy . being written . dirty | hits | writers | pins | frame |    one word each
 *                                      | not there: what the policy remembers of it |
 *
 * A pin of a page that is there finds the word, and adds to it: no lock, no list, whatever the policy (but LRU and ARC: one lock
 * each 64 pins). What is pinned stays where it is. A pin of a page that is not there takes the frame of another, which
 * allot/evict.h chooses, writes that one back if it is dirty, and reads: once, whichever threads want it. Beyond that bound nothing
 * is kept, but 8 bytes for each page that was ever asked for, and 50 for each frame.
 *
 * Pages are numbered from 0; beyond the end of a store they read as zeros. What several threads do to one page's bytes at once is
 * their own business: a pin keeps a page, it does not lock it. A page somebody writes is pinned for WRITE as long as that takes:
 * only then is it never written back half done.
 *
 * Threads: any thread, any moment, but for init, done and abandon, which are alone; with ALLOT_PAGER_ALONE one thread at a time,
 * whose pins are cheaper by their atomic operations. fork: parent and child each have the pager as it was, over one store. One of
 * them must leave it alone; that one calls allot_pager_abandon at most. Another thread's call may have been in the middle, and
 * pages it was about never come free in the child. Signals' handlers: no. (O'Neil et al., "The LRU-K page replacement algorithm",
 * 1993, has the pins; Leis et al., "Virtual-memory assisted buffer management", 2023, the state in one word.)
 */
#ifndef ALLOT_PAGER_H
#define ALLOT_PAGER_H

#include <allot/evict.h>
#include <allot/part.h>

#ifdef __cplusplus
extern "C" {
#endif

/* -- stores: where the pages are when they are not in memory -- */

/* One transfer of neighbours: pages [page, page + count), each `size` bytes, from or to memory that need not be. */
struct allot_store_io {
    uint64_t page;
    void *const *at; /* count of them */
    size_t count;
    int result; /* out: 0 or -errno */
};

/* Each returns 0 or -errno, and does all or fails; a part that was done all the same does no harm. Called by many threads at once,
 * never twice at once for one page, but that it may be read for `sync`. They may not call the pager. */
struct allot_store {
    /* What is beyond the end is zeros. */
    int (*read)(void *self, uint64_t page, size_t size, void *const *into, size_t count);
    /* NULL: the store cannot be written. */
    int (*write)(void *self, uint64_t page, size_t size, void *const *from, size_t count);
    /* All that was written before is durable: it is there after the machine has lost power. NULL: always so. */
    int (*sync)(void *self);
    /* Several transfers, in whatever order or at once; the results are in them. NULL: one after the other. */
    void (*many)(void *self, struct allot_store_io *io, size_t count, size_t size, bool write);
    void *self;
};

/* A file, or block device: from its byte 0. The descriptor stays the caller's, and open. Several transfers at once go by io_uring
 * where the system has it, others, and all elsewhere, by pread and pwrite; sync is fdatasync. `how`: 0, or what follows. 0, or
 * -ENOMEM. A system without io_uring is no error. */
enum { ALLOT_STORE_PLAIN = 1 /* no io_uring */ };
ALLOT_API int allot_store_file(struct allot_store *store, int fd, unsigned how);

/* Memory, which grows by the page: for tests, and for what is to be counted. -ENOSPC beyond `most` bytes; 0: no bound. */
ALLOT_API int allot_store_memory(struct allot_store *store, size_t most);

/* Of the two above; when no pager has it any more. A store of the caller's own is the caller's to end. */
ALLOT_API void allot_store_done(struct allot_store *store);

/* -- the pager -- */

struct allot_pager {
    void *state; /* all private */
};

enum {
    ALLOT_PAGER_ALONE = 1, /* one thread at a time */
    ALLOT_PAGER_CHECKED =
        2, /* the last 8 bytes of each page are the pager's: a checksum of its number and contents, written with
                                it and verified when it is read. A page of zeros is one that was never written */
};

#define ALLOT_PAGER_FRAMES    ((size_t)1024)
#define ALLOT_PAGER_READAHEAD ((size_t)32)
#define ALLOT_PAGER_PAGES     ((uint64_t)1 << 50) /* numbers are below */
#define ALLOT_PAGER_PINS      2047                /* of one page at once, */
#define ALLOT_PAGER_WRITERS   127                 /* and of these for WRITE */

struct allot_pager_opts {
    size_t page;                          /* bytes: a power of two from 512 to 65536; 0: 4096 */
    size_t frames;                        /* so many pages at most are in memory; 0: ALLOT_PAGER_FRAMES */
    enum allot_evict_policy policy;       /* 0: ALLOT_GRADUAL */
    const struct allot_evict_opts *evict; /* its options, or NULL */
    unsigned how;                         /* ALLOT_PAGER_... */
    size_t readahead;                     /* pages read at once at most where pages are missed one after the other; 0:
                                            ALLOT_PAGER_READAHEAD, 1: none are read that nobody asked for */
    const struct allot_store *journal;    /* against torn writes; NULL: none. Another store, of `journal_pages` */
    size_t journal_pages;                 /* 2 or more; 0: 65 */
};

/* Prepares a pager over a store; both structs are copied, what `self` names is not. 0; -ENOMEM; -EINVAL for options that are none.
 * With a journal: pages whose writing was cut short, by a crash or the end of power, are made whole first; then also what its or
 * the store's functions return. A store that has been written with a journal is opened with it next time. Cost: address space for
 * the frames, which are memory from their first use on. */
ALLOT_API int allot_pager_init(struct allot_pager *pager, const struct allot_store *store,
                               const struct allot_pager_opts *opts);

enum {
    ALLOT_PAGER_READ = 0,
    ALLOT_PAGER_WRITE =
        1, /* the page is dirty from now on, until it has been written back, which it is not while pinned so */
    ALLOT_PAGER_FRESH = 3, /* WRITE, and the page is not read where it is not in memory: zeros */
    ALLOT_PAGER_COLD = 4,  /* in passing: it is no reason to keep it */
    ALLOT_PAGER_TRY = 8,   /* only if that can be had at once */
};

/* The page, in memory, until it is unpinned as often as it was pinned; NULL with errno:
 *   EAGAIN     TRY: it is not there, or is being read or written back just now
 *   ENOBUFS    every frame is pinned
 *   ENOMEM     no memory for its entry in the table
 *   EOVERFLOW  it is pinned, or pinned for WRITE, too often; or there is no such number
 *   EROFS      WRITE, and the store cannot be written
 *   EBADMSG    its checksum is wrong: allot_pager_stats has the number
 *   what the store says, EIO mostly; where it is a write of others that fails, only when there is no other frame to be had.
 * Cost: there already: a look into the table, an atomic operation, and allot_evict_hit; else the store's, and some 200 ns. It waits
 * for another thread's reading or writing of that page, and WRITE for its writing back. */
ALLOT_API void *allot_pager_pin(struct allot_pager *pager, uint64_t page, unsigned how);

/* The end of a pin: `at` and READ or WRITE (of FRESH too) as it was had. Of what is not pinned, or not so, ends the process. Cost:
 * an atomic operation. */
ALLOT_API void allot_pager_unpin(struct allot_pager *pager, void *at, unsigned how);

/* The number of the frame that a pinned page is in, for what the caller keeps beside it; below `frames`. */
ALLOT_API size_t allot_pager_frame(const struct allot_pager *pager, const void *at);

/* Reads those of [page, page + count) that are not there, many at once, as long as there are frames that are not pinned: at most
 * half of them. 0, or what was wrong first; then some may be there. */
ALLOT_API int allot_pager_prefetch(struct allot_pager *pager, uint64_t page, size_t count);

/* Writes every dirty page back, in order of number, neighbours together. What fails stays as it is, dirty, and the rest is written.
 * 0; what was wrong first; -EBUSY: pages pinned for WRITE were left out, all others are written. Then nothing need be durable yet;
 * after sync that returns 0, all is that was unpinned before: whatever happens to the machine from then on, each page is as it was
 * then or newer; and whole, where there is a journal or the store writes all of a page or none. When the store's sync fails, what
 * was written since the last and is in memory is dirty again. Cost: a look at each frame, and the store's. */
ALLOT_API int allot_pager_flush(struct allot_pager *pager);
ALLOT_API int allot_pager_sync(struct allot_pager *pager);

/* Forgets pages [page, page + count): what was not written back is lost, and they are read anew. -EBUSY for those that are pinned,
 * which stay; all others go. Cost: a look at each page or, where there are fewer, frame. */
ALLOT_API int allot_pager_drop(struct allot_pager *pager, uint64_t page, uint64_t count);

/* Makes a page that is pinned, once, another one: it is dirty, and the one that has that number is forgotten. The former number is
 * read anew, from the store. -EBUSY: either is pinned otherwise, written back just now, or in a window. -ENOMEM, -EOVERFLOW,
 * -EROFS. Then nothing has changed. */
ALLOT_API int allot_pager_rename(struct allot_pager *pager, void *at, uint64_t page);

/* A window: pages [page, page + count) as plain memory, read when they are first touched, in the same frames, by the same policy,
 * and no more memory than these. They are dirty once they are stored to; flush writes a page as it is between two stores. Pins go
 * on: of a page in a window they return its address there. It may be longer than there is memory. NULL with errno: ENOTSUP where the
 * system has no userfaultfd or does not let us, with ALLOT_PAGER_ALONE or _CHECKED, or where a page is not a multiple of the system's;
 * ENOMEM; EOVERFLOW; EBUSY where another window has a page of it, or one is pinned. Pages that are in memory move there, dirty as they are; one that another thread
 * pins just then moves when it is touched, which waits for the end of that pin. Why a pin would fail is SIGBUS to who touches. Any
 * thread may touch; in the child of a fork the window is not there. unmap: pages stay, dirty as they are; pinned ones end the process.
 * Cost: a thread, and for each touch of a page that is not there, and the first store to one that is clean, two switches of threads,
 * some 10 us. */
ALLOT_API void *allot_pager_map(struct allot_pager *pager, uint64_t page, size_t count);
ALLOT_API void allot_pager_unmap(struct allot_pager *pager, void *window);

/* Writes back what is dirty, as flush does, and gives all back. 0; or what flush says: then the pager is as it was. Pinned pages,
 * and windows, end the process: "done while pages are pinned". */
ALLOT_API int allot_pager_done(struct allot_pager *pager);

/* Gives all back as it is: what is dirty is lost, pins and all are void. */
ALLOT_API void allot_pager_abandon(struct allot_pager *pager);

struct allot_pager_stats {
    struct allot_use use; /* `used` bytes of pinned pages, `count` pages; `held` frames that were used so far, table and
                             records; `refused` pins that failed, TRY's EAGAIN apart */
    size_t page, frames;  /* bytes; and how many there may be */
    size_t resident, dirty, windowed; /* pages */
    uint64_t hits, misses;            /* pins that found their page there, and that did not */
    uint64_t refaults;                /* misses of pages that went not long ago, as the policy sees it */
    uint64_t ahead, ahead_used;       /* pages read before they were asked for; and of these, asked for then */
    uint64_t evicted, written;        /* pages */
    uint64_t reads, writes, syncs;    /* calls of the store's functions; many: each transfer */
    uint64_t read_errors, write_errors, sync_errors; /* pages, pages, calls */
    uint64_t wrong_sums, wrong_page;                 /* pages with a wrong checksum, and the last one's number */
    uint64_t recovered;                              /* pages that init made whole from the journal */
    uint64_t touches;                                /* of windows: faults that were served */
    uint64_t waits;                                  /* for other threads' reading and writing */
};

/* Cost: a look at each frame. What other threads do meanwhile may be in it or not. */
ALLOT_API void allot_pager_stats(struct allot_pager *pager, struct allot_pager_stats *out);

/* Proves the equations between table, frames and policy; no other thread is in a call. Cost: a look at each frame and entry. */
ALLOT_API bool allot_pager_check(struct allot_pager *pager);

#ifdef __cplusplus
}
#endif

#endif
