/* page/pager.h - what the parts of the pager share. See include/allot/pager.h, docs/pager.md.
 *
 *   word of a page (page/table.h), the only truth about it:
 *
 *     there:      | 1 | BUSY | DIRTY | WRITING | AHEAD | WINDOWED | 0 | hits : 9 | 0 | writers : 7 | 0 | pins : 11 | frame : 28 |
 *     not there:  | 0 : 3 | ghost (allot/evict.h) ............................................................................ |
 *
 *     ghost --claim--> BUSY, no frame --read--> there, pinned or AHEAD --pin, unpin--> ... --claim: no pins--> BUSY --> ghost
 *                           `-- fails: the ghost again                     |  ^                                 `-- write fails: there
 *                                                      claim: no writers   v  |
 *                                                                        WRITING: may be pinned, not for WRITE
 *
 * Each arrow is one compare-and-swap of the word. Who made it BUSY or WRITING has the page, until he says otherwise and raises its
 * event; nobody else's pin gets through, nor is it let go. The zeros are guards: a count that runs over shows there, and the slow
 * path sees to it. Hits are counted in the word, in the operation that pins, and added up when it leaves or they are 511; so they
 * are exact and cost nothing.
 *
 *   frame:  never used | free, on the list | in transit (`moving`) | entered in the policy
 *
 * `moving` counts frames that some thread holds in between, or is writing from: who finds no frame while there are any waits.
 *
 * Locks, the outer first: back (one who flushes, or writes by the journal: held while the store works), lock (free frames; victim
 * and its claim, claim and leave: so that no page leaves the policy twice), the policy's, the table's, ahead.
 */
#ifndef PAGE_PAGER_H
#define PAGE_PAGER_H

#include <errno.h>

#include <allot/pager.h>

#include "base/bits.h"
#include "os/event.h"
#include "os/fault.h"
#include "os/lock.h"
#include "page/table.h"

#define NO_FRAME (((uint64_t)1 << 28) - 1) /* also the mask */
#define PIN      ((uint64_t)1 << 28)
#define PINS     ((uint64_t)ALLOT_PAGER_PINS << 28)
#define WRITER   ((uint64_t)1 << 40)
#define WRITERS  ((uint64_t)ALLOT_PAGER_WRITERS << 40)
#define HIT      ((uint64_t)1 << 48)
#define HITS     ((uint64_t)511 << 48)
#define RUN_OVER ((uint64_t)1 << 39 | (uint64_t)1 << 47 | (uint64_t)1 << 57)
/* The highest bits of each: from there on the slow path counts. */
#define PINS_MANY    ((uint64_t)1 << 38)
#define WRITERS_MANY ((uint64_t)1 << 46)
#define HITS_MANY    ((uint64_t)1 << 56)
#define WINDOWED     ((uint64_t)1 << 58)
#define AHEAD        ((uint64_t)1 << 59) /* was read before it was asked for */
#define WRITING      ((uint64_t)1 << 60)
#define DIRTY        ((uint64_t)1 << 61)
#define BUSY         ((uint64_t)1 << 62)
#define RESIDENT     ((uint64_t)1 << 63)

static inline uint32_t frame_in(uint64_t word) { return (uint32_t)(word & NO_FRAME); }

/* Of a frame; `entry` is NULL while it has no page. Changed by who has the page BUSY. */
struct frame {
    _Atomic(entry *) entry;
    _Atomic uint64_t page;
};

enum {
    UNSYNCED = 1,
    FAILED = 2,
    SYNCING = 4
}; /* marks of a frame: written since the store's last sync; writing failed, it is tried no more for now; UNSYNCED when that sync began */

enum { EVENTS = 16, STREAMS = 8, BATCH = 64, READ_MOST = 256, IDLE = -1 };

/* Pages that were missed one after the other: the next one, and how many were read last. */
struct stream {
    uint64_t next;
    uint32_t window, used; /* used: the count of looks, then */
};

struct journal {
    struct allot_store store;
    size_t most;        /* pages in a batch */
    bool home_unsynced; /* that batch is needed yet */
    uint64_t torn;      /* of its pages, those whose writing home failed, perhaps in the middle: a bit each */
    char *head;         /* a page, of that batch; and one more */
};

struct window;

struct pager {
    /* What a hit reads. */
    struct table table;
    uint64_t wanted[2]; /* for READ and WRITE: the bits that say that a pin is a hit; 0 where it never is */
    struct allot_evict evict;
    char *base;
    unsigned shift; /* log2 of a page's bytes */
    bool alone;
    bool checked;
    struct frame *frame;
    size_t frames, inside; /* inside: a page's bytes - 1 */

    size_t size;
    struct allot_store store;
    size_t readahead;
    uint8_t *mark;                 /* of each frame; atomically */
    char *memory;                  /* that all of these are in */
    struct window *_Atomic window; /* windows, by next; with `lock` */

    _Alignas(64) struct os_lock lock;
    uint32_t *free, free_count;
    _Atomic uint32_t begun; /* frames that were used so far */

    _Alignas(64) struct os_lock back;
    uint32_t *order; /* frames that are written back, in order */
    bool has_journal;
    struct journal journal;
    _Atomic int wrong;       /* what writing failed with last, */
    _Atomic uint32_t failed; /* and frames that are marked so */

    struct os_lock ahead_lock;
    struct stream stream[STREAMS];
    uint32_t looks;

    _Alignas(64) _Atomic uint64_t moving; /* its lower half; the upper one counts those that have come to rest */
    struct os_event moved;
    struct os_event event[EVENTS];

    struct {
        _Atomic uint64_t hits, misses, refused, ahead, ahead_used, evicted, written, reads, writes, syncs, read_errors,
            write_errors, sync_errors, wrong_sums, wrong_page, recovered, touches, waits;
    } count;
};

#define tally(p, what, n) atomic_fetch_add_explicit(&(p)->count.what, (n), memory_order_relaxed)

struct pager *pager_of(const struct allot_pager *pager);

static inline char *frame_at(const struct pager *p, uint32_t frame) { return p->base + ((size_t)frame << p->shift); }

/* Where the page is: in its frame, or a window. */
char *page_at(const struct pager *p, uint32_t frame, uint64_t word);

static inline struct os_event *event_of(struct pager *p, const entry *at)
{
    return &p->event[(uintptr_t)at / sizeof *at % EVENTS];
}

/* The word changes and whoever waits for it hears of it. */
static inline void entry_store(struct pager *p, entry *at, uint64_t word)
{
    atomic_store(at, word);
    os_event_raise(event_of(p, at));
}

/* Sleeps while any of these bits is set. */
void entry_wait(struct pager *p, entry *at, uint64_t bits);

static inline void moving_more(struct pager *p) { atomic_fetch_add(&p->moving, 1); }

static inline void moving_less(struct pager *p)
{
    atomic_fetch_add(&p->moving, ((uint64_t)1 << 32) - 1);
    os_event_raise(&p->moved);
}

/* What a store's function says. */
static inline int store_result(int said) { return said > 0 ? -EIO : said; }

/* -- frames: page/frames.c -- */

/* A frame for a page whose ghost is `coming`: free, or that of another page, which is written back if need be. It is moving then.
 * `waits`: for those that are, when there is no other. 0, -ENOBUFS, or what writing failed with. */
int frame_take(struct pager *p, uint64_t coming, bool waits, uint32_t *frame);
void frame_give(struct pager *p, uint32_t frame);
/* The page in that frame is no more, whose word was `was` when it was claimed; the frame stays moving. */
void frame_forget(struct pager *p, uint32_t frame, uint64_t was);

static inline bool marked(const struct pager *p, uint32_t frame, uint8_t mark)
{
    return __atomic_load_n(&p->mark[frame], __ATOMIC_RELAXED) & mark;
}
void mark_set(struct pager *p, uint32_t frame, uint8_t mark);
void mark_clear(struct pager *p, uint32_t frame, uint8_t mark);
void marks_clear(struct pager *p, uint8_t mark);

/* -- pages that come: page/come.c -- */

/* A page that is claimed, and what it comes with. */
struct coming {
    entry *at;
    uint64_t ghost, page;
    uint32_t frame;
};

/* Brings in a page that is claimed, whose word `ghost` was, pinned by `add`: 0, or what is wrong. */
int page_bring(struct pager *p, entry *at, uint64_t ghost, uint64_t page, unsigned how, uint64_t add);

/* How many pages are read at once where that one is missed; and how many it was then. */
size_t ahead_window(struct pager *p, uint64_t page);
void ahead_had(struct pager *p, uint64_t page, size_t count);

/* -- writing back: page/back.c -- */

/* One page that is written: claimed, WRITING or BUSY. */
struct back_item {
    uint64_t page;
    uint32_t frame;
    int result;
};

/* A page that is BUSY, and dirty, for which a frame is wanted; and neighbours of it that are dirty, or whatever goes into the
 * journal with it. 0, or what was wrong with it: then it is marked FAILED. */
int back_write_victim(struct pager *p, uint32_t frame);
int back_flush(struct pager *p);
int back_sync_store(struct pager *p);

/* -- the journal: page/journal.c. With `back` -- */

int journal_init(struct pager *p, const struct allot_store *store, size_t pages);
/* Those pages are in the journal, and durable there; n is at most `most`. 0 or what is wrong. */
int journal_put(struct pager *p, const struct back_item *items, size_t n, void *const *at);
/* What has become of the batch's pages at home. */
void journal_note(struct pager *p, const struct back_item *items, size_t n);
/* All of the batch is home, but perhaps not durable there; those items are the caller's, claimed. 0 or what is wrong. */
int journal_mend(struct pager *p, const struct back_item *items, size_t n);
/* Nothing in it is needed any more: the store was synced. */
int journal_void(struct pager *p);
void journal_done(struct pager *p);

/* -- checksums -- */

bool page_is_whole(const struct pager *p, uint64_t page, const char *at);
void page_seal(const struct pager *p, uint64_t page, char *at);
uint64_t page_sum(uint64_t page, const void *at, size_t size);

/* -- windows: page/window.c. A page that is in one lies there, and its frame is not memory -- */

bool window_has(const struct pager *p, uint64_t page);
char *window_at(const struct pager *p, uint64_t page);
/* The page that an address in a window is of; or UINT64_MAX. */
uint64_t window_page(const struct pager *p, const char *at);
/* A page that has been read, at `from`, goes there if a window has it, and `bits` says so: 0 or -errno. */
int window_place(struct pager *p, uint64_t page, char *from, bool dirty, uint64_t *bits);
/* A store to the page is an event from now on: it waits while the page is WRITING or BUSY, and makes it dirty. */
void window_freeze(struct pager *p, uint64_t page);
/* The page is not there any more; its frame is memory again when it is touched. */
void window_forget(struct pager *p, uint64_t page);
void windows_abandon(struct pager *p);

#endif
