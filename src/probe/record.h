/* probe/record.h - what a recorded process does: its threads' events, written to the collector's area (probe/ring.h).
 *
 *   static:     the area, mapped                                  the same in a child of fork
 *   forgotten:  process: its number | recorder of each thread     all zero in a child of fork, whoever forked it
 *                                     chunk, at, end, ...         so it takes a number and chunks of its own when it first writes
 *
 * A thread's events go to its own chunk: a few stores, a look at the clock, and one store that publishes. Everything else - the
 * first event, a chunk that is full, a clock whose upper half is another, stacks, a signal's handler that allocates in the
 * middle of an event - is found out by two compares and done out of line.
 *
 * Bound: an event without a stack is some 40 instructions; a chunk is taken for every few thousand of them. The clock is looked at
 * where another thread may have had the block of late, else for one event in sixteen: a look costs as much as all the rest.
 *
 * Lost: what comes while no chunk is to be had, once the thread has waited for the collector's `patience`; and what a signal's
 * handler allocates in the middle of an event. Both are counted, and said with RING_LOST. When the collector has said that it
 * ends, or its heart has not beaten for two seconds in which a chunk was wanted and there is no such process (for a minute where there
 * is one), nothing is recorded any more, and one event at least counts as lost.
 *
 * Who records (heap/recording.c, preload/recorder.c) says when a thread begins and ends. Allocates from the system only.
 */
#ifndef PROBE_RECORD_H
#define PROBE_RECORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/here.h"
#include "probe/ring.h"

struct calls;

/* A thread's. Nobody else writes to it but `owner`, who takes it over when the thread is gone. */
struct recorder {
    struct ring_chunk *chunk;    /* NULL: none */
    uint32_t at, end;            /* words of it: written, and how many there are; both 0 without one */
    uint32_t high;               /* upper half of the clock of the event before */
    bool ns;                     /* what the clock is: RING_CLOCK_NS */
    bool stacks, losing;         /* they are wanted; and no chunk was to be had when one was wanted last */
    uint8_t near;                /* so many events may yet be stamped without a look at the clock */
    uintptr_t busy;              /* the stack pointer of who is writing an event; 0: nobody */
    uint64_t last;               /* the clock of the event before, if that was stamped by recorder_clock_near */
    const _Atomic uint64_t *now; /* area.now */
    struct calls *calls;         /* NULL before its first stack */
    uint64_t lost, untold;       /* events, since the last RING_LOST; and of them not counted in the area yet */
    uint64_t sequence, beat_at;  /* of its next chunk; and when, in milliseconds, `beat` was seen first */
    uint32_t number;             /* in its process, 0: none yet */
    uint32_t area;               /* which one it writes to, of those that have been joined */
    uint32_t freed, beat;        /* what the area's were while it is losing */
    int32_t pid, tid;            /* as it sees them itself */
    _Atomic int owner;           /* its thread's id, negative when that has ended; 0: nobody's */
} __attribute__((aligned(64)));

/* Joins the collector's area at `path`, behind which may stand # and the number of the pid namespace that it is meant in: 0 or -errno.
 * -EXDEV: this is another one, with a /proc of its own where the path leads to no area; -EPROTO: there is none, or of another version;
 * -ESRCH: its collector has ended; -EBUSY: the process is recorded already. When the collector ends by itself, RECORDER_ENDED is added
 * to *bell. Who calls this sees to it that one call at a time is made of it, recorder_leave, recorder_begin and recorder_end. */
#define RECORDER_ENDED 0x10000u
int recorder_join(const char *path, enum ring_begin begin, _Atomic uint32_t *bell);

/* A line about such an error, but where the collector has gone. */
void recorder_say_refused(const char *path, int error) __attribute__((cold));

/* Nobody begins any more; the area is unmapped when the last recorder has ended. */
void recorder_leave(void);

/* The process is recorded: until recorder_leave, or the collector's end. */
extern _Atomic bool recorder_is_on;
static inline bool recorder_on(void) { return atomic_load_explicit(&recorder_is_on, memory_order_acquire); }

/* The calling thread's, NULL when memory is out; and its end, when it is not recorded any more. When the thread itself ends, what
 * it still frees is recorded: its recorder is another's once it is gone. */
struct recorder *recorder_begin(void);
void recorder_end(struct recorder *r);
void recorder_thread_ends(struct recorder *r);

/* It has written to an area that was left, of which the thread has not heard before the process was recorded again: it is to be ended,
 * as what it has of that area it would go on to fill. */
bool recorder_is_left(const struct recorder *r);

/* -- events, by the recorder's thread -- */

static inline uint64_t recorder_clock(const struct recorder *r);

/* p, which is not NULL, is about to be freed. `foreign`: perhaps another thread has made it, and of late: then the clock is read, when
 * all that was read before has been. */
static inline void recorder_free(struct recorder *r, const void *p, bool foreign);

/* p was made, by an op of RING_MALLOC, RING_CALLOC and RING_ALIGNED; NULL: could not be. `fresh`: perhaps another thread has
 * freed it, and of late; likewise. */
static inline void recorder_made(struct recorder *r, enum ring_op op, const void *p, size_t size, size_t align,
                                 bool fresh);

/* Around a realloc of a block; what is made and freed meanwhile is not to be told. `now` is NULL when it failed;
 * `foreign` as above. */
struct recorder_realloc {
    uint32_t stack;
    bool begun;
};
struct recorder_realloc recorder_realloc_begins(struct recorder *r, const void *p, bool foreign);
void recorder_realloc_ends(struct recorder *r, struct recorder_realloc of, const void *p, const void *now, size_t size);

/* The number of the calling thread's stack, for others than events: told of, as theirs. 0: stacks are not wanted, or it is not known. */
uint32_t recorder_stack(struct recorder *r);

/* Where the clocks of what follows must not be before it: its first chunk is taken; and the stacks that the process knows from before are
 * told of, as nobody does again. */
void recorder_enters(struct recorder *r);

/* A block that was live at that time; in the order of the times. */
void recorder_before(struct recorder *r, const void *p, size_t usable, uint64_t clock);

/* Of a block that is live at the process's end: a verdict of graph/, and what it retains. */
void recorder_verdict(struct recorder *r, const void *p, size_t retains, uint32_t verdict);

void recorder_text(struct recorder *r, enum ring_text what, const char *text);

/* The library has been loaded, and nothing is half done: what must not be made ready while it allocates; and the process ends as
 * it should. */
void recorder_loaded(void);
void recorder_exits(struct recorder *r);

/* What the collector wants to have done (RING_STACKS and so on). */
uint32_t recorder_flags(void);

/* -- the way that nearly every event takes -- */

/* What is neither a free nor made as most are: with a stack, for the first time, at the end of a chunk, long, nested. `far`: `foreign`
 * or `fresh`. */
void recorder_slowly(struct recorder *r, enum ring_op op, const void *p, size_t size, size_t align, bool far);

uint64_t recorder_nanoseconds(void);

static inline uint64_t recorder_clock(const struct recorder *r)
{
    return unlikely(r->ns) ? recorder_nanoseconds() : ring_counter();
}

/* Behind the thread's event before, also where the clock has not moved on since. */
static inline uint64_t recorder_later(struct recorder *r, uint64_t now)
{
    r->last = now > r->last ? now : r->last + 1;
    return r->last;
}

/* Not before the thread's events so far, nor after this one: enough where nobody else has had a hand in the block of late. */
static inline uint64_t recorder_clock_near(struct recorder *r)
{
    if (likely(r->near > 0)) {
        r->near--;
        uint64_t now = atomic_load_explicit(r->now, memory_order_relaxed);
        return recorder_later(r, now);
    }
    r->near = RING_NEAR;
    return recorder_later(r, recorder_clock(r));
}

/* What has been done since may concern blocks of others. */
static inline void recorder_look(struct recorder *r) { r->near = 0; }

/* All that was read before it has been; and what comes next needs to look at the clock again. */
static inline uint64_t recorder_clock_far(struct recorder *r)
{
    r->near = 0;
    ring_counter_fence();
    return recorder_later(r, recorder_clock(r));
}

/* For a signal's handler, what is before comes before what is after. */
static inline void in_order(void) { __asm__ volatile("" ::: "memory"); }

/* From here to recorder_publish a signal's handler finds the recorder busy. */
static inline bool recorder_enter(struct recorder *r, uint32_t words, uint64_t clock)
{
    if (unlikely(r->busy != 0)) {
        return false;
    }
    r->busy = stack_pointer();
    in_order();
    if (unlikely(r->end - r->at < words || (uint32_t)(clock >> 32) != r->high)) {
        r->busy = 0;
        return false;
    }
    return true;
}

/* Not by the child that a signal's handler has forked in the middle of an event, which is its parent's. */
static inline void recorder_publish(struct recorder *r, uint32_t words)
{
    in_order();
    if (likely(r->busy != 0)) {
        r->at += words;
        atomic_store_explicit(&r->chunk->head, r->at, memory_order_release);
        in_order();
        r->busy = 0;
    }
}

static inline void recorder_free(struct recorder *r, const void *p, bool foreign)
{
    uint64_t clock = foreign ? recorder_clock_far(r) : recorder_clock_near(r);
    if (unlikely(!recorder_enter(r, 3, clock))) {
        recorder_slowly(r, RING_FREE, p, 0, 0, true);
        return;
    }
    uint32_t *word = r->chunk->word + r->at;
    word[0] = (uint32_t)clock;
    word[1] = ring_word_1((uintptr_t)p);
    word[2] = ring_word_2(RING_FREE, (uintptr_t)p, 0);
    recorder_publish(r, 3);
}

static inline void recorder_made(struct recorder *r, enum ring_op op, const void *p, size_t size, size_t align,
                                 bool fresh)
{
    if (unlikely(r->stacks || op == RING_ALIGNED || !p || size >= RING_LONG)) {
        recorder_slowly(r, op, p, size, align, fresh);
        return;
    }
    uint64_t clock = fresh ? recorder_clock_far(r) : recorder_clock_near(r);
    if (unlikely(!recorder_enter(r, 4, clock))) {
        recorder_slowly(r, op, p, size, align, true);
        return;
    }
    uint32_t *word = r->chunk->word + r->at;
    word[0] = (uint32_t)clock;
    word[1] = ring_word_1((uintptr_t)p);
    word[2] = ring_word_2(op, (uintptr_t)p, (uint32_t)size);
    word[3] = 0;
    recorder_publish(r, 4);
}

#endif
