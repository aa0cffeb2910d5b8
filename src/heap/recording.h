/* heap/recording.h - who is recorded (probe/record.h): this process, and which of its threads.
 *
 *   front (thread-local)                          aside
 *   list[]: empty while it is recorded            list[]: what it has at hand
 *   heap_id: ID_NOBODY                            own_id: its heap's
 *   recorder --> its events                       served --> aside, or nothing: in a tag, hardened
 *
 * The fast paths know nothing of it: malloc finds an empty list, and free an owner that is not the thread's id. What is
 * made and freed on the slow path is told to the recorder, and is served from the same lists and slabs as ever.
 *
 * Recording is asked for: by the option `record`, on the control page, or by another process (probe/request.h); it
 * is the same whoever asks. Each thread has the number of the last request that it has heard of, and looks when it is on a
 * slow path: there it begins or ends. One that finds out in the midst of something only sees to it that its next free is a slow one.
 * A thread that frees but its own blocks hears of it as soon as one of their slabs is looked at, a quarter of it at the latest.
 *
 * When a process is recorded from the start, every block is. In one that was attached to:
 *   exact     what threads have allocated and freed since they have heard of it; the blocks of before, where all threads stood
 *             still until they heard of it.
 *   not       what others do between the request and their next slow path: what they allocate then may be missing, or stand among
 *             the blocks of before; what they free may stay. So a free of a block that nobody has seen, and an allocation of
 *             an address that is live, may come; the later event is right.
 */
#ifndef HEAP_RECORDING_H
#define HEAP_RECORDING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "heap/heap.h"
#include "probe/record.h"
#include "probe/request.h"

extern struct record_request record_request __attribute__((visibility("hidden")));

/* Files a request, from within: false for a path that is too long. `begins`: with the process. */
bool recording_ask(const char *path, bool begins);
void recording_use(void); /* this copy is the heap */

static inline bool recording_is_due(void)
{
    return unlikely(atomic_load_explicit(&record_request.asked, memory_order_relaxed) != front.heard);
}

/* The calling thread, with nothing half done, has heard of it: begins or ends. */
void recording_turn(void) __attribute__((cold));

/* In the midst of something. */
static inline void recording_notice(void)
{
    if (recording_is_due() && !front.recorder) {
        front.heap_id = ID_NOBODY;
        front.hard = NULL;
    }
}

/* On a slow path, with nothing half done: the thread is recorded. */
static inline bool is_recorded(void)
{
    if (unlikely(!front.known)) {
        heap_init();
    }
    if (recording_is_due()) {
        recording_turn();
    }
    return front.recorder != NULL;
}

/* The family, for a thread that is recorded. */
void *recorded_malloc(size_t size);
void *recorded_calloc(size_t total);
void *recorded_aligned(size_t align, size_t size);
void *recorded_realloc(void *p, size_t size);
bool recorded_expand(void *p, size_t size);
void recorded_free(void *p);

/* Tells of a block that a first-class heap has made, or is about to free with all others. */
static inline void recording_tell_made(const void *p, size_t align, size_t size)
{
    if (unlikely(!is_open(front.heap_id)) && is_recorded()) {
        recorder_made(front.recorder, align > 16 ? RING_ALIGNED : RING_MALLOC, p, size, align, true);
    }
}

static inline void recording_tell_free(const void *p)
{
    if (unlikely(front.recorder != NULL)) {
        recorder_free(front.recorder, p, true);
    }
}

/* The calling thread has got a heap, has entered a tag or left it: its lists are where they should be for a recorded one. */
void recording_settle(void);
void recording_thread_ends(void);

void recording_lock(void);
void recording_unlock(void);
void recording_lock_reset(void);

/* -- malloc.c: what these stand before, told to nobody -- */

void *untold_take(size_t size, size_t align, bool *zeroed);
void *untold_zero(void *p, size_t total, bool zeroed); /* what calloc gives, out of that */
void *untold_malloc(size_t size);
void *untold_realloc(void *p, size_t size);
bool untold_expand(void *p, size_t size);
void untold_free(void *p);

#endif
