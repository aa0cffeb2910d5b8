/* probe/area.c - see probe/area.h. A recorder is found by a look at each, a chunk likewise: the lowest that is free, as it is the likeliest
 * to be in a cache yet. */
#include "probe/area.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "os/noscan.h"
#include "os/process.h"
#include "os/shared.h"
#include "probe/calls.h"
#include "probe/request.h"

/* How long a heart may be silent, in milliseconds. */
/* A collector that is there may have to wait for a processor. */
enum { HEART_MS = 2000, STALLED_MS = 60000 };

_Atomic bool recorder_is_on;

struct joined joined;
struct recorded *recorded;

/* -- recorders: block b has FIRST << b of them -- */

enum { FIRST = 16, BLOCKS = 16 };
static struct recorder *_Atomic block[BLOCKS];

static struct recorder *block_of(unsigned b)
{
    struct recorder *of = atomic_load_explicit(&block[b], memory_order_acquire), *none = NULL;
    if (!of) {
        size_t bytes = ((size_t)FIRST << b) * sizeof *of;
        of = os_map_forgotten_noscan(bytes);
        if (of && !atomic_compare_exchange_strong(&block[b], &none, of)) {
            os_unmap_noscan(of, bytes);
            of = none;
        }
    }
    return of;
}

void area_forget_stack(struct recorder *r)
{
    if (r->calls) {
        calls_end(r->calls);
        r->calls = NULL;
    }
}

/* Its thread has ended, and gone. */
static bool is_left(int owner, int tid) { return owner < 0 && (-owner == tid || os_thread_is_gone(-owner)); }

static bool take_over(struct recorder *r, int tid)
{
    int owner = atomic_load_explicit(&r->owner, memory_order_relaxed);
    return (owner == 0 || is_left(owner, tid)) && atomic_compare_exchange_strong(&r->owner, &owner, tid);
}

struct recorder *recorder_begin(void)
{
    int tid = os_thread_id();
    for (unsigned b = 0; b < BLOCKS; b++) {
        struct recorder *of = block_of(b);
        for (unsigned i = 0; of && i < (unsigned)FIRST << b; i++) {
            if (take_over(&of[i], tid)) {
                area_forget_stack(&of[i]);
                memset(&of[i], 0, offsetof(struct recorder, owner));
                return &of[i];
            }
        }
    }
    return NULL;
}

static bool anybody_records(void)
{
    for (unsigned b = 0; b < BLOCKS; b++) {
        struct recorder *of = atomic_load_explicit(&block[b], memory_order_acquire);
        for (unsigned i = 0; of && i < (unsigned)FIRST << b; i++) {
            int owner = atomic_load(&of[i].owner);
            if (owner != 0 && !is_left(owner, 0)) {
                return true;
            }
        }
    }
    return false;
}

/* -- what was lost -- */

void area_tell_lost(struct recorder *r)
{
    atomic_fetch_add_explicit(&joined.area->lost, r->untold, memory_order_relaxed);
    r->untold = 0;
}

void area_lose(struct recorder *r)
{
    enum { AT_ONCE = 64 };
    r->lost++;
    if (++r->untold == AT_ONCE && recorder_on()) {
        area_tell_lost(r);
    }
}

/* -- the collector's end -- */

static void is_over(void)
{
    if (atomic_exchange(&recorder_is_on, false)) {
        atomic_fetch_add(joined.bell, RECORDER_ENDED);
    }
}

/* Whether anybody collects yet. */
bool area_is_collected(void)
{
    if (atomic_load_explicit(&joined.area->ended, memory_order_relaxed)) {
        is_over();
    }
    return recorder_on();
}

static bool heart_beats(struct recorder *r)
{
    uint32_t beat = atomic_load_explicit(&joined.area->beat, memory_order_relaxed);
    uint64_t now = os_milliseconds();
    if (beat != r->beat || r->beat_at == 0) {
        r->beat = beat;
        r->beat_at = now;
    } else if (now - r->beat_at > (os_process_lives(joined.area->collector) ? STALLED_MS : HEART_MS)) {
        r->untold++; /* what is not recorded from here on, at least */
        area_tell_lost(r);
        is_over();
    }
    return area_is_collected();
}

/* -- chunks -- */

void area_let_go(struct recorder *r)
{
    if (r->chunk) {
        atomic_store_explicit(&r->chunk->done, 1, memory_order_release);
        atomic_fetch_add_explicit(&joined.area->filled, 1, memory_order_release);
        os_wake_shared(&joined.area->filled);
        r->chunk = NULL;
        r->at = r->end = 0;
    }
}

static struct ring_chunk *find_free(uint64_t owner)
{
    struct ring_area *area = joined.area;
    for (uint32_t i = 0; i < joined.chunks; i++) {
        uint64_t nobody = 0;
        if (atomic_load_explicit(&area->owner[i], memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong_explicit(&area->owner[i], &nobody, owner, memory_order_acquire,
                                                    memory_order_relaxed)) {
            return (struct ring_chunk *)((char *)area + joined.first + (size_t)i * RING_CHUNK);
        }
    }
    return NULL;
}

/* Waits for one, not for longer than the patience that there is; nor, once that was over, at all until one has been given back. */
struct ring_chunk *area_take(struct recorder *r, uint64_t owner, bool for_long)
{
    enum { LOOK_NS = 50000000, LOOK_EVENTS = 256 };
    struct ring_area *area = joined.area;
    if (r->losing && !for_long && atomic_load_explicit(&area->freed, memory_order_relaxed) == r->freed) {
        if (r->lost % LOOK_EVENTS == 0) {
            heart_beats(r);
        }
        return NULL;
    }
    struct ring_chunk *chunk = NULL;
    uint64_t began = 0, waited = 0, patience = r->losing && !for_long ? 0 : area->patience_us * (uint64_t)1000;
    while (area_is_collected()) {
        r->freed = atomic_load_explicit(&area->freed, memory_order_acquire);
        chunk = find_free(owner);
        uint64_t now = chunk && !began ? 0 : os_nanoseconds();
        began = began ? began : now;
        waited = now - began;
        if (chunk || (waited >= patience && !for_long) || !heart_beats(r)) {
            break;
        }
        uint64_t left = for_long ? LOOK_NS : patience - waited;
        atomic_fetch_add(&area->waiting, 1);
        os_wait_shared(&area->freed, r->freed, left < LOOK_NS ? left : LOOK_NS);
        atomic_fetch_sub(&area->waiting, 1);
    }
    if (waited) {
        atomic_fetch_add_explicit(&area->waited_ns, waited, memory_order_relaxed);
    }
    r->losing = !chunk;
    r->beat_at = 0;
    return chunk;
}

/* -- joining -- */

static bool is_area(const struct ring_area *area, size_t length)
{
    return memcmp(area->magic, RING_MAGIC, sizeof area->magic) == 0 && area->version == RING_VERSION &&
           area->chunks > 0 && area->first >= sizeof *area + area->chunks * sizeof area->owner[0] &&
           area->first % 64 == 0 && area->first < length && (length - area->first) / RING_CHUNK >= area->chunks;
}

/* Where somebody has not heard of the end yet it stays mapped. */
void area_unmap_unused(void)
{
    if (joined.area && !recorder_on() && !anybody_records()) {
        os_noscan_end(joined.area);
        os_leave(joined.area, joined.length);
        joined.area = NULL;
    }
}

/* What stands at the path here is not what it stood for where it was written. */
static bool is_elsewhere(const char *path)
{
    const char *number = strchr(path, '#');
    uint64_t here = number ? os_pid_namespace() : 0;
    return here && here != strtoull(number + 1, NULL, 10);
}

int area_join(const char *path, enum ring_begin begin, _Atomic uint32_t *bell)
{
    char file[REQUEST_PATH];
    size_t bytes = strcspn(path, "#");
    if (recorder_on() && area_is_collected()) { /* a collector may have ended that nobody has heard of yet */
        return -EBUSY;
    }
    if (!recorded && !(recorded = os_map_forgotten_noscan(sizeof *recorded))) {
        return -ENOMEM;
    }
    if (bytes >= sizeof file) {
        return -ENAMETOOLONG;
    }
    memcpy(file, path, bytes);
    file[bytes] = 0;
    size_t length;
    struct ring_area *area = os_join(file, sizeof *area, &length);
    if (!area) {
        int error = -errno;
        return is_elsewhere(path) ? -EXDEV : error;
    }
    bool known = is_area(area, length);
    if (!known && is_elsewhere(path)) {
        os_leave(area, length);
        return -EXDEV;
    }
    if (!known || atomic_load_explicit(&area->ended, memory_order_relaxed)) {
        os_leave(area, length);
        return known ? -ESRCH : -EPROTO;
    }
    area_unmap_unused();
    os_noscan_begin(area, length);
    joined.area = area;
    joined.length = length;
    joined.chunks = area->chunks;
    joined.flags = area->flags;
    joined.clock = area->clock;
    joined.first = area->first;
    joined.begin = begin;
    joined.bell = bell;
    atomic_store(&joined.serial, 0);
    atomic_store(&recorded->serial, 0);
    atomic_store(&recorded->threads, 0);
    atomic_fetch_add(&joined.number, 1);
    atomic_store_explicit(&recorder_is_on, true, memory_order_release);
    return 0;
}
