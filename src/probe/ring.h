/* probe/ring.h - what a recorded process leaves for whoever collects it: events, in memory that both have mapped.
 *
 *   area:  | header | owner of each chunk | chunk 0 | chunk 1 | ...           a file in memory; only what is written to is there
 *
 *   chunk: | process, thread, sequence, clock | head | event event event ...| nothing yet |
 *                                                ^ words written: published with each event
 *
 * A thread owns a chunk at a time and writes its events there, in 32-bit words; the collector (another process) reads them up to
 * `head` while it grows. When an event does not fit the thread says that the chunk is `done` and takes another one. A chunk is free
 * when its owner word is 0: taken by one compare-and-swap of that word by the thread, given back by the collector when it has
 * read all of a chunk that is done or whose thread is no more. So neither side can leave the area unusable wherever it is killed,
 * and what was written is read though its writer was killed.
 *
 * With no chunk free a thread waits, for `patience`; then it loses events, which it counts, and says so (RING_LOST) once it has a
 * chunk again. When the collector's heart has stopped beating meanwhile, nobody records any more.
 *
 * Clock: the processor's own counter (rdtsc, cntvct_el0) where it runs evenly, else nanoseconds; `area.clock` says which. An event
 * has its lower 32 bits; RING_CLOCK gives the whole whenever the upper ones are others than in the event before, and a chunk the
 * whole at its beginning. A free is stamped before the block is freed, an allocation after it was made, a realloc is two events in
 * a row (from before, to after): so of one address the events stand in order by clock, a free before the allocation where they are
 * equal. Where no other thread can have had a hand in a block of late its stamp may be an earlier one, between those of the thread's
 * event before and of its next: at most RING_NEAR events in a row have such a one, which is not earlier than `area.now` either. So a unit is
 * less than such a thread needs for an event: arm64's counter, some of which tick every 40 ns only, counts RING_PARTS units a tick.
 *
 * Limits: addresses of 48 bits, a multiple of 8; a thread's events are in order, those of two only by clock.
 */
#ifndef PROBE_RING_H
#define PROBE_RING_H

#include <stdatomic.h>
#include <stdint.h>

#define RING_MAGIC   "allotrng" /* 8 bytes, without the 0 */
#define RING_VERSION 1
#define RING_NEAR    15
#define RING_PARTS   (RING_NEAR + 1)
#define RING_CHUNK   (64u << 10) /* bytes, with its header */

enum ring_clock { RING_CLOCK_COUNTER = 1, RING_CLOCK_NS };

/* area.flags: what the collector wants. */
enum { RING_STACKS = 1, RING_VERIFY_STACKS = 2, RING_LEAKS_AT_EXIT = 4 };

struct ring_area {
    char magic[8];
    uint32_t version;
    uint32_t chunks; /* how many; the first begins at `first`, each RING_CHUNK long */
    uint64_t first;  /* bytes from the area's beginning, whole pages */
    uint32_t flags;
    uint32_t patience_us;       /* how long a thread waits for a chunk */
    uint32_t clock;             /* enum ring_clock: the collector's finding, for all */
    int32_t collector;          /* its pid, as it sees it itself */
    _Atomic uint32_t ended;     /* not 0: nobody collects any more */
    _Atomic uint32_t beat;      /* the collector's heart: counts up at least ten times a second */
    _Atomic uint32_t processes; /* serial numbers given so far: a process takes the next one when it begins, from 1 */
    _Atomic uint32_t freed;     /* counts chunks given back: threads that wait for one wait on it (futex, shared) */
    _Atomic uint32_t waiting;   /* how many do */
    _Atomic uint32_t
        filled; /* counts chunks that are done: the collector waits on it (futex, shared), with a time limit */
    _Atomic uint64_t lost;      /* events lost so far, of all threads */
    _Atomic uint64_t waited_ns; /* time that threads have waited for a chunk, of all */
    _Atomic uint64_t now;       /* the clock, as the collector saw it last: each round */
    uint64_t unused[3];
    _Atomic uint64_t owner[]; /* of each chunk: 0 free; else pid << 32 | tid, as the process sees them */
};

struct ring_chunk {
    uint32_t process; /* serial number; 0: not written yet */
    uint32_t thread;  /* number of the thread in its process, from 1, never given twice */
    int32_t pid, tid;
    uint64_t sequence;     /* of the thread's chunks, from 0 */
    uint64_t clock;        /* the whole, at its beginning */
    _Atomic uint32_t head; /* words written (release) */
    _Atomic uint32_t done; /* nothing more will be */
    uint32_t unused[6];
    uint32_t word[];
};
#define RING_WORDS ((RING_CHUNK - sizeof(struct ring_chunk)) / sizeof(uint32_t))

/* Events about blocks. Three words: clock; address bits 3 to 34; op | size << 4 | address bits 35 to 47 << 19. A size of
 * RING_LONG stands for one in two more words (low, high), which come right after these three. Then, in this order, what the op has. */
enum ring_op {
    RING_NONE,
    RING_MALLOC,       /* + stack. malloc and operator new */
    RING_CALLOC,       /* + stack */
    RING_ALIGNED,      /* + stack, log2 of the alignment: aligned_alloc and its kin */
    RING_FREE,         /* nothing more; size 0 */
    RING_REALLOC_FROM, /* nothing more; size 0: realloc gives up this block, stamped before */
    RING_REALLOC_TO, /* + stack: and has this one, stamped after; right behind RING_REALLOC_FROM. A realloc of NULL is RING_MALLOC,
                          one to 0 bytes that frees RING_FREE; one that fails is two events with the same address and no size change
                          known: RING_REALLOC_TO with the address of before and RING_FAILED behind it */
    RING_FAILED, /* + stack: an allocation of that size gave NULL; address 0 */
    RING_BEFORE, /* a block that was live when recording began in a process that was attached to; with its usable size */
    RING_VERDICT, /* + verdict (graph/), of a block that is live at the process's exit; size: what it retains, 0: itself */

    /* Others: clock; how many words follow; op. Then these words. Text is padded with zeros to whole words. */
    RING_CLOCK, /* high half of the clock from here on */
    RING_NODE, /* id, parent, pc (low, high): a node of the process's tree of stacks; parent 0: none, the outermost call. Ids count
                     from 1. In the file before any event of the same thread that needs it; another thread's may come earlier */
    RING_MODULE, /* start, end, bias (low, high each), bytes of build-id, build-id, path: an object that stacks lie in, from here on */
    RING_TEXT, /* what it is (enum ring_text), text */
    RING_PROCESS, /* the first event of a process: parent's serial or 0; nodes that the parent had made when this one was forked off
                     (their ids mean the same here), 0 after exec; enum ring_begin; then path of its program */
    RING_LOST, /* so many events of this thread were lost before this one (low, high) */
};
#define RING_LONG 0x7fffu

enum ring_text {
    RING_TEXT_THREAD = 1 /* its name */,
    RING_TEXT_MARK /* allot_mark: a moment named */,
    RING_TEXT_EXIT /* the process ends by exit */
};
enum ring_begin { RING_BEGIN_EXEC = 1, RING_BEGIN_FORK, RING_BEGIN_ATTACHED };

static inline uint32_t ring_word_1(uint64_t address) { return (uint32_t)(address >> 3); }

static inline uint32_t ring_word_2(enum ring_op op, uint64_t address, uint32_t size)
{
    return (uint32_t)op | size << 4 | (uint32_t)(address >> 35) << 19;
}

static inline enum ring_op ring_op(uint32_t word_2) { return (enum ring_op)(word_2 & 15); }
static inline uint32_t ring_size(uint32_t word_2) { return word_2 >> 4 & RING_LONG; }
static inline uint64_t ring_address(uint32_t word_1, uint32_t word_2)
{
    return (uint64_t)word_1 << 3 | (uint64_t)(word_2 >> 19) << 35;
}

/* The processor's own counter; it may be read before what stands before it, or after what stands behind it. */
static inline uint64_t ring_counter(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t now;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(now));
    return now * RING_PARTS;
#else
    return 0;
#endif
}

/* All loads before it have been done. */
static inline void ring_counter_fence(void)
{
#if defined(__x86_64__)
    __builtin_ia32_lfence();
#elif defined(__aarch64__)
    __asm__ volatile("dsb ishld\n\tisb" ::: "memory");
#endif
}

#endif
