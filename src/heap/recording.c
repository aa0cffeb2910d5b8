/* heap/recording.c - see heap/recording.h. */
#include "heap/recording.h"

#include <errno.h>
#include <string.h>

#include <allot/record.h>

#include "heap/describe.h"
#include "heap/fast.h"
#include "heap/hard.h"
#include "heap/instance.h"
#include "heap/share.h"
#include "os/process.h"
#include "probe/control.h"

struct record_request record_request = {.magic = REQUEST_MAGIC,
                                        .self = (uintptr_t)&record_request,
                                        .version = REQUEST_VERSION,
                                        .bytes = sizeof record_request};

static struct os_lock lock; /* for what follows, and who begins or ends */
static bool from_the_start; /* the request that is to be answered */

bool recording_ask(const char *path, bool begins)
{
    size_t length = strlen(path);
    if (length >= sizeof record_request.path) {
        return false;
    }
    os_lock(&lock);
    memcpy(record_request.path, path, length + 1);
    from_the_start = begins;
    atomic_fetch_add_explicit(&record_request.asked, 1, memory_order_release);
    os_unlock(&lock);
    return true;
}

void recording_use(void) { atomic_store_explicit(&record_request.used, 1, memory_order_relaxed); }

/* -- a thread begins and ends -- */

/* Where malloc looks for what a recorded thread has at hand when it may not take of that: never anything. */
static struct front nothing;

void recording_settle(void)
{
    bool open = !front.recorder && !is_hard() && front.heap;
    front.own_id = front.heap && !is_hard() ? front.heap->id : ID_NOBODY;
    front.heap_id = open ? front.own_id : ID_NOBODY;
    front.hard = front.recorder || front.tag || !front.heap ? NULL : front.heap->hard;
    front.served = front.aside && !front.tag && !is_hard() ? front.aside : &nothing;
}

static void begin(void)
{
    if (!front.known) {
        heap_know_thread();
    }
    if (!is_hard() && !front_make_aside()) {
        return; /* memory is out */
    }
    os_lock(&lock);
    front.recorder = recorder_on() ? recorder_begin() : NULL;
    os_unlock(&lock);
    if (front.recorder && !is_hard() && !front.tag) {
        front_set_aside();
    }
}

static void end(void)
{
    struct recorder *r = front.recorder;
    front.recorder = NULL;
    if (!is_hard() && !front.tag) {
        front_bring_back();
    }
    os_lock(&lock);
    recorder_end(r);
    os_unlock(&lock);
}

void recording_thread_ends(void)
{
    if (front.recorder) {
        recorder_thread_ends(front.recorder);
    }
}

/* -- the blocks of before -- */

struct looking {
    struct recorder *recorder;
    const void *last;
    uint64_t clock, seen; /* what is told, and the time when `last` was */
};

/* The blocks of a slab were live all together when its bits were read, which was after the last one of the slab before: so who has
 * freed one since has done so later. */
static int tell_before(void *p, size_t usable, void *arg)
{
    struct looking *at = arg;
    if (!at->last || slab_of(at->last) != slab_of(p)) {
        at->clock = at->seen;
    }
    at->last = p;
    at->seen = recorder_clock(at->recorder);
    recorder_before(at->recorder, p, usable, at->clock);
    return 0;
}

/* -- requests -- */

/* With the lock held. */
static bool answer(uint32_t asked)
{
    char path[REQUEST_PATH];
    memcpy(path, record_request.path, sizeof path);
    path[sizeof path - 1] = 0;
    bool begins = from_the_start;
    from_the_start = false;
    int error = 0;
    if (path[0]) {
        error = recorder_join(path, begins ? RING_BEGIN_EXEC : RING_BEGIN_ATTACHED, &record_request.asked);
    } else {
        recorder_leave();
    }
    if (error && begins) { /* else who has asked hears of it */
        recorder_say_refused(path, error);
    }
    record_request.error = error;
    atomic_store_explicit(&record_request.answered, asked, memory_order_release);
    struct allot_control *page = control_page();
    if (page) {
        control_answer_record(page, error);
    }
    return path[0] && error == 0 && !begins;
}

void recording_turn(void)
{
    if (front.recorder && front.recorder->busy) {
        return; /* in a signal's handler, in the middle of an event */
    }
    int saved = errno;
    bool attached = false;
    os_lock(&lock);
    uint32_t asked = atomic_load_explicit(&record_request.asked, memory_order_acquire);
    if ((uint16_t)asked != (uint16_t)atomic_load_explicit(&record_request.answered, memory_order_relaxed)) {
        attached = answer(asked);
    }
    os_unlock(&lock);
    front.heard = asked;
    if (front.recorder && (!recorder_on() || recorder_is_left(front.recorder))) {
        end();
    }
    if (!front.recorder && recorder_on() && !front.ended) {
        begin();
    }
    recording_settle();
    if (attached && front.recorder) {
        recorder_enters(front.recorder);
        struct looking at = {.recorder = front.recorder, .seen = recorder_clock(front.recorder)};
        allot_walk(tell_before, &at);
    }
    errno = saved;
}

static inline bool turn_is_due(void)
{
    if (recording_is_due()) {
        recording_turn();
        return true;
    }
    return false;
}

/* -- the family -- */

static void *__attribute__((noinline)) malloc_more(size_t size)
{
    bool zeroed;
    void *p = untold_take(size, 1, &zeroed);
    recorder_made(front.recorder, RING_MALLOC, p, size, 1, true);
    return p;
}

/* What is at hand for so many bytes; NULL: nothing, or it is a larger one. */
static inline struct block *pop(size_t size, bool *zeroed)
{
    if (unlikely(size > SMALL_MAX)) {
        return NULL;
    }
    struct at_hand at = at_hand_small(front.served, size);
    struct block *b = *at.list;
    if (likely(b != NULL)) {
        *at.list = b->next;
        *zeroed = *at.zeroed & at.bit;
        __builtin_prefetch(b->next);
    }
    return b;
}

void *recorded_malloc(size_t size)
{
    bool zeroed;
    if (unlikely(turn_is_due())) {
        return fast_malloc(size);
    }
    struct block *b = pop(size, &zeroed);
    if (unlikely(!b)) {
        return malloc_more(size);
    }
    recorder_made(front.recorder, RING_MALLOC, b, size, 1, false);
    return b;
}

/* Its slab is the thread's, which alone has had it, but where others help themselves (heap/adrift.c). */
static inline bool is_own(const void *p) { return likely(!begins_large(p) && slab_owner(slab_of(p)) == front.own_id); }

static inline bool is_lent(void) { return atomic_load_explicit(&front.heap->lent, memory_order_relaxed); }

void recorded_free(void *p)
{
    if (unlikely(turn_is_due())) {
        fast_free(p);
        return;
    }
    if (unlikely(!p)) {
        return;
    }
    if (is_own(p)) {
        struct slab *s = slab_of(p);
        recorder_free(front.recorder, p, is_lent());
        if (unlikely(slab_free_local(s, p))) {
            heap_trip(front.heap, s);
            recorder_look(front.recorder);
        }
        return;
    }
    recorder_free(front.recorder, p, true);
    untold_free(p);
}

void *recorded_calloc(size_t total)
{
    bool zeroed, at_hand = true;
    void *p = pop(total, &zeroed);
    if (unlikely(!p)) {
        p = untold_take(total, 1, &zeroed);
        at_hand = false;
    }
    recorder_made(front.recorder, RING_CALLOC, p, total, 1, !at_hand);
    return p ? untold_zero(p, total, zeroed) : NULL;
}

void *recorded_aligned(size_t align, size_t size)
{
    bool zeroed;
    void *p = untold_take(size, align, &zeroed);
    recorder_made(front.recorder, RING_ALIGNED, p, size, align, true);
    return p;
}

void *recorded_realloc(void *p, size_t size)
{
    struct recorder_realloc of = recorder_realloc_begins(front.recorder, p, !is_own(p) || is_lent());
    void *now = untold_realloc(p, size);
    recorder_realloc_ends(front.recorder, of, p, now, size);
    return now;
}

bool recorded_expand(void *p, size_t size)
{
    bool done = untold_expand(p, size);
    if (done) {
        recorder_realloc_ends(front.recorder, recorder_realloc_begins(front.recorder, p, true), p, p, size);
    }
    return done;
}

/* -- for the program -- */

void allot_mark(const char *name)
{
    const struct instance *first = instance_in_use();
    if (first) {
        first->mark(name);
    } else if (is_recorded()) {
        recorder_text(front.recorder, RING_TEXT_MARK, name);
    }
}

bool allot_recording(void)
{
    const struct instance *first = instance_in_use();
    return first ? first->recording() : is_recorded() || recorder_on();
}

/* A process that will be recorded is so from here on at the latest. */
__attribute__((constructor)) static void make_ready(void)
{
    char text[1024];
    if (os_getenv("ALLOT_OPTIONS", text, sizeof text) > 0 && strstr(text, "record=") && !instance_in_use() &&
        is_recorded()) {
        recorder_loaded();
    }
}

static void tell_verdict(void *arg, const void *block, uint64_t retains, unsigned verdict)
{
    recorder_verdict(arg, block, retains, verdict);
}

/* The process ends as it should; what others free after this is recorded yet. */
__attribute__((destructor)) static void say_exit(void)
{
    if (recorder_on() && is_recorded()) {
        if (recorder_flags() & RING_LEAKS_AT_EXIT) {
            snap_verdicts(tell_verdict, front.recorder);
        }
        recorder_exits(front.recorder);
    }
}

void recording_lock(void) { os_lock(&lock); }

void recording_unlock(void) { os_unlock(&lock); }

void recording_lock_reset(void) { os_lock_reset(&lock); }
