/* heap/heap.c - heaps, their ids, and whose they are.
 *
 * A heap's record is never unmapped, since a late free may still look at its inbox. When a thread ends, its heap waits
 * idle, with all it owns, for the next thread, that takes it over as it is. Ids are never given to another heap.
 *
 * Threads that have no heap - they have not wanted much yet, or memory was out when they asked for one, or they are past
 * their end - live on the commons (heap/commons.c).
 */
#include "heap/heap.h"

#include <string.h>

#include "base/list.h"
#include "heap/checks.h"
#include "heap/crime.h"
#include "heap/describe.h"
#include "heap/guard.h"
#include "heap/hard.h"
#include "heap/options.h"
#include "heap/part.h"
#include "heap/recording.h"
#include "heap/sample.h"
#include "heap/share.h"
#include "heap/site.h"
#include "heap/tag.h"
#include "heap/typed.h"
#include "os/fault.h"
#include "os/memory.h"
#include "os/owned.h"
#include "os/process.h"
#include "os/stop.h"
#include "span/large.h"
#include "span/map.h"
#include "span/run.h"

__thread struct front front = {.heap_id = ID_NOBODY};

/* Two levels, so that a process with few heaps pays for few. */
#define TABLE_LEAF 1024
#define TABLE_ROOT 4096
static _Atomic(struct heap *) *_Atomic table[TABLE_ROOT];

static struct os_lock heaps_lock; /* the table, the chain, the idle ones */
_Atomic(struct heap *) heaps_list;
static struct heap *_Atomic idle, *_Atomic idle_tagged, *unused_private;
static uint32_t ids;
uint32_t heaps_epoch;

_Atomic uint64_t threads_so_far;
struct front *fronts_list;          /* the stats lock's */
static struct front *unused_asides; /* the heaps lock's */
static atomic_size_t alive;

struct heap *heap_by_id(uint32_t id)
{
    if (unlikely(id >= OWNER_LIMIT)) {
        return NULL;
    }
    id &= ID_NUMBER;
    _Atomic(struct heap *) *leaf = atomic_load_explicit(&table[id / TABLE_LEAF % TABLE_ROOT], memory_order_acquire);
    return leaf ? atomic_load_explicit(&leaf[id % TABLE_LEAF], memory_order_acquire) : NULL;
}

struct heap *heaps_newest(void) { return atomic_load_explicit(&heaps_list, memory_order_acquire); }

bool heap_is_lost(const struct heap *h)
{
    return atomic_load_explicit(&h->state, memory_order_relaxed) == HEAP_ACTIVE && h->epoch != heaps_epoch;
}

/* With the heaps lock held: gives the heap an id and a place in the table and the chain. */
static bool enlist(struct heap *h, uint32_t flags)
{
    uint32_t id = ids + 1;
    if (id / TABLE_LEAF >= TABLE_ROOT) {
        return false;
    }
    _Atomic(struct heap *) *leaf = table[id / TABLE_LEAF];
    if (!leaf) {
        leaf = record_alloc(TABLE_LEAF * sizeof *leaf);
        if (!leaf) {
            return false;
        }
        atomic_store_explicit(&table[id / TABLE_LEAF], leaf, memory_order_release);
    }
    ids = id;
    h->id = id | flags;
    h->older = heaps_list;
    atomic_store_explicit(&leaf[id % TABLE_LEAF], h, memory_order_release);
    atomic_store_explicit(&heaps_list, h, memory_order_release);
    return true;
}

static void set_state(struct heap *h, enum heap_state state)
{
    atomic_store_explicit(&h->state, state, memory_order_seq_cst);
}

static struct heap *make(size_t bytes, uint32_t flags)
{
    struct heap *h = record_alloc(bytes);
    if (!h || !enlist(h, flags)) {
        return NULL;
    }
    return !is_hard() || (h->hard = hard_make(h->id)) ? h : NULL;
}

/* A thread's own number for ever. */
static uint64_t number_of_thread(void)
{
    if (front.number == 0) {
        front.number = atomic_fetch_add_explicit(&threads_so_far, 1, memory_order_relaxed) + 1;
    }
    return front.number;
}

void heap_know_thread(void)
{
    heap_init();
    number_of_thread();
    front.known = true;
    stats_lock();
    list_push(&fronts_list, &front);
    stats_unlock();
    atomic_fetch_add_explicit(&alive, 1, memory_order_relaxed);
    share_note();
    os_watch_thread();
}

const struct front *fronts_first(void) { return fronts_list; }

size_t threads_alive(void) { return atomic_load_explicit(&alive, memory_order_relaxed); }

/* A heap of one kind for the calling thread: one whose thread has ended, else another. */
static struct heap *take_over(struct heap *_Atomic *waiting, size_t bytes, uint32_t flags)
{
    os_lock(&heaps_lock);
    struct heap *h = *waiting;
    if (h) {
        *waiting = h->next_idle;
    } else {
        h = make(bytes, flags);
    }
    if (h) {
        h->epoch = heaps_epoch;
        h->tid = os_thread_id();
        atomic_store_explicit(&h->may_drift, true, memory_order_relaxed);
        set_state(h, HEAP_ACTIVE);
    }
    os_unlock(&heaps_lock);
    return h;
}

struct heap *heap_attach(void)
{
    if (front.heap || front.ended) {
        return front.heap;
    }
    if (!front.known) {
        heap_know_thread();
    }
    if (front.number != 1 && front.common < MODEST_BYTES && !is_hard()) {
        return NULL;
    }
    struct heap *h = take_over(&idle, sizeof *h, 0);
    if (h) {
        h->front = &front;
        memset(h->common, 0, sizeof h->common);
        front.heap = h;
        recording_settle();
    }
    return h;
}

/* A heap for tagged blocks, with what is at hand of it. */
struct tagged_heap {
    struct heap heap;
    struct front at_hand;
};

struct heap *heap_attach_tagged(void)
{
    if (front.tagged || front.ended) {
        return front.tagged;
    }
    if (!front.known) {
        heap_know_thread();
    }
    struct heap *h = take_over(&idle_tagged, sizeof(struct tagged_heap), ID_TAGGED);
    if (h) {
        struct tagged_heap *whole = (struct tagged_heap *)h;
        h->front = &whole->at_hand;
        front.tagged = h;
    }
    return h;
}

bool front_make_aside(void)
{
    if (!front.aside && !front.ended) {
        os_lock(&heaps_lock);
        struct front *aside = unused_asides;
        if (aside) {
            unused_asides = aside->next;
            aside->next = NULL;
        } else {
            aside = record_alloc(sizeof *aside);
        }
        os_unlock(&heaps_lock);
        front.aside = aside;
    }
    return front.aside;
}

void front_set_aside(void)
{
    if (!front_make_aside()) {
        heap_flush_front();
        return;
    }
    memcpy(front.aside->list, front.list, sizeof front.list);
    memcpy(front.aside->zeroed, front.zeroed, sizeof front.zeroed);
    memset(front.list, 0, sizeof front.list);
}

void front_bring_back(void)
{
    if (front.aside) {
        memcpy(front.list, front.aside->list, sizeof front.list);
        memcpy(front.zeroed, front.aside->zeroed, sizeof front.zeroed);
        memset(front.aside->list, 0, sizeof front.list);
    }
}

static void flush(struct heap *h, struct block **list)
{
    struct block *b = *list;
    *list = NULL;
    while (b) {
        struct block *next = b->next;
        struct slab *s = slab_of(b);
        if (is_common(s)) {
            commons_free(b, s);
        } else if (slab_owner(s) != h->id) {
            remote_put(b, s);
        } else if (slab_free_local(s, b)) {
            heap_settle(h, s);
        }
        b = next;
    }
}

static void flush_small(struct heap *h, struct front *f)
{
    for (unsigned i = 0; i < LISTS; i++) {
        flush(h, &f->list[i]);
    }
    f->zeroed[0] = f->zeroed[1] = 0;
}

static void flush_mid(struct heap *h)
{
    for (unsigned i = 0; i < 2 * MID_CLASSES; i++) {
        flush(h, &h->mid[i]);
    }
    h->mid_zeroed[0] = h->mid_zeroed[1] = 0;
}

void heap_flush_front(void)
{
    if (is_hard()) {
        if (front.heap) {
            hard_flush(front.heap);
        }
        return;
    }
    flush_small(front.heap, &front);
    if (front.heap) {
        flush_mid(front.heap);
    }
    if (front.aside) {
        flush_small(front.heap, front.aside);
    }
    if (front.tagged) {
        flush_small(front.tagged, front.tagged->front);
        flush_mid(front.tagged);
    }
}

/* A heap of the calling thread's, which has nothing of it at hand any more, waits for another. */
static void leave(struct heap *h, struct heap *_Atomic *waiting)
{
    adrift_take_back(h, true);
    remote_drain(h, SIZE_MAX);
    heap_retire_current(h);
    if (CHECKS_ARE_ON) {
        heap_check(h);
    }
    os_lock(&heaps_lock);
    if (!(h->id & ID_TAGGED)) {
        h->front = NULL;
    }
    h->tid = 0;
    h->next_idle = *waiting;
    *waiting = h;
    set_state(h, HEAP_IDLE);
    /* Who published a free before it could see the heap idle has left it for us to take in. */
    remote_drain(h, SIZE_MAX);
    os_unlock(&heaps_lock);
}

static void give_aside_back(void)
{
    struct front *aside = front.aside;
    if (aside) {
        front.aside = NULL;
        os_lock(&heaps_lock);
        aside->next = unused_asides;
        unused_asides = aside;
        os_unlock(&heaps_lock);
    }
}

/* The calling thread is past its end: its heaps go to whoever comes next. */
static void thread_ends(void)
{
    struct heap *h = front.heap, *tagged = front.tagged;
    if (!front.known) { /* it is watched for others' sake */
        return;
    }
    front.ended = true;
    front.tag = NULL;
    in_haste = false;
    heap_flush_front();
    stats_lock(); /* a survey may be looking at what this thread has at hand */
    list_remove(&fronts_list, &front);
    stats_unlock();
    atomic_fetch_sub_explicit(&alive, 1, memory_order_relaxed);
    share_note();
    give_aside_back();
    front.heap = front.tagged = NULL;
    recording_settle();
    recording_thread_ends();
    site_thread_ends();
    if (h) {
        leave(h, &idle);
    }
    if (tagged) {
        leave(tagged, &idle_tagged);
    }
}

/* -- heaps without a thread -- */

/* Looks at a few, and does not wait: there are fresh units. */
struct slab *heap_inherit(struct heap *h, unsigned c)
{
    enum { FEW = 4 };
    if (h != front.heap || !atomic_load_explicit(&idle, memory_order_relaxed) || !os_try_lock(&heaps_lock)) {
        return NULL;
    }
    struct slab *s = NULL;
    struct heap *of = idle;
    for (unsigned looked = 0; of && !s && looked < FEW; looked++) {
        struct heap_class *class = &of->classes[c];
        bool fits = c < CLASSES || class->stride == h->classes[c].stride;
        s = fits && any_with_room(class) ? heap_pick(of, class) : NULL;
        if (s) {
            heap_hand_over(of, h, s);
        }
        of = of->next_idle;
    }
    os_unlock(&heaps_lock);
    return s;
}

struct heap *heap_make_private(size_t bytes, bool for_good)
{
    heap_init();
    os_lock(&heaps_lock);
    struct heap *h = for_good ? NULL : unused_private;
    if (h) {
        unused_private = h->next_idle;
    } else {
        struct front *at_hand = record_alloc(bytes);
        h = at_hand ? make(sizeof *h, ID_PRIVATE) : NULL;
        if (h) {
            h->front = at_hand;
        }
    }
    if (h) {
        h->big = 0;
        heap_make_mine(h);
        set_state(h, HEAP_PRIVATE);
    }
    os_unlock(&heaps_lock);
    return h;
}

void heap_free_private(struct heap *h)
{
    os_lock(&heaps_lock);
    /* The state stays: a late notice finds a heap without slabs, and passes on. */
    atomic_store_explicit(&h->user, 0, memory_order_relaxed);
    h->next_idle = unused_private;
    unused_private = h;
    os_unlock(&heaps_lock);
}

void heap_make_mine(struct heap *h) { atomic_store_explicit(&h->user, number_of_thread(), memory_order_relaxed); }

void heap_collect_ownerless(struct heap *h)
{
    if (likely(atomic_load_explicit(&h->state, memory_order_seq_cst) != HEAP_IDLE)) {
        return;
    }
    os_lock(&heaps_lock);
    if (atomic_load_explicit(&h->state, memory_order_relaxed) == HEAP_IDLE) {
        remote_drain(h, drain_steps());
    }
    os_unlock(&heaps_lock);
}

/* With the heaps lock held: all that wait in a list. */
static size_t trim_waiting(struct heap *h)
{
    size_t bytes = 0;
    for (; h; h = h->next_idle) {
        remote_drain(h, SIZE_MAX);
        bytes += heap_sweep_all(h);
    }
    return bytes;
}

size_t heaps_trim(void)
{
    os_lock(&heaps_lock);
    size_t bytes = trim_waiting(idle) + trim_waiting(idle_tagged);
    os_unlock(&heaps_lock);
    for (struct heap *h = heaps_newest(); h; h = h->older) {
        bool active = atomic_load_explicit(&h->state, memory_order_relaxed) == HEAP_ACTIVE;
        bytes += active && h != front.heap && h != front.tagged ? adrift_trim(h) : 0;
    }
    return bytes;
}

/* -- the process -- */

static void before_fork(void)
{
    recording_lock();
    share_lock();
    tags_lock();
    adrift_lock();
    stats_lock();
    commons_lock();
    sample_lock();
    typed_lock();
    os_lock(&heaps_lock);
    parts_lock();
    guard_lock();
    runs_lock();
    large_lock();
    segments_lock();
    record_lock();
    os_owned_lock();
}

static void after_fork_in_parent(void)
{
    os_owned_unlock();
    record_unlock();
    segments_unlock();
    large_unlock();
    runs_unlock();
    guard_unlock();
    parts_unlock();
    os_unlock(&heaps_lock);
    typed_unlock();
    sample_unlock();
    commons_unlock();
    stats_unlock();
    adrift_unlock();
    tags_unlock();
    share_unlock();
    recording_unlock();
}

static void come_along(struct heap *h)
{
    if (h) {
        h->epoch = heaps_epoch;
        h->tid = os_thread_id();
    }
}

/* Constant work, however many threads and blocks there were: the heaps of the threads that stayed behind are left
 * alone, since they may have been caught in the middle of a change. */
static void after_fork_in_child(void)
{
    heaps_epoch++;
    come_along(front.heap);
    come_along(front.tagged);
    fronts_list = NULL;
    atomic_store_explicit(&alive, front.known, memory_order_relaxed);
    if (front.known) {
        list_push(&fronts_list, &front);
    }
    os_owned_lock_reset();
    record_lock_reset();
    segments_lock_reset();
    large_lock_reset();
    runs_lock_reset();
    guard_lock_reset();
    parts_lock_reset();
    os_lock_reset(&heaps_lock);
    typed_lock_reset();
    commons_lock_reset();
    sample_lock_reset();
    stats_lock_reset();
    adrift_lock_reset();
    tags_lock_reset();
    share_lock_reset();
    recording_lock_reset();
    os_stop_reset();
}

void heap_init(void)
{
    static _Atomic bool done;
    static struct os_lock lock;
    if (likely(atomic_load_explicit(&done, memory_order_acquire))) {
        return;
    }
    os_lock(&lock);
    if (!atomic_load_explicit(&done, memory_order_relaxed)) {
        os_memory_init();
        crime_init();
        recording_use();
        options_init();
        os_lock(&heaps_lock);
        for (unsigned i = 0; i < COMMONS; i++) {
            set_state(commons_heap(i), HEAP_SHARED);
            enlist(commons_heap(i), 0);
        }
        for (unsigned i = 0; i < SAMPLE_HEAPS; i++) {
            set_state(sample_heap(i), HEAP_SHARED);
            enlist(sample_heap(i), i ? ID_TAGGED : 0);
        }
        os_unlock(&heaps_lock);
        core_desc_begin();
        os_on_thread_exit(OS_FLOOR_HEAP, thread_ends);
        /* Registering may allocate; that finds the work above done. */
        atomic_store_explicit(&done, true, memory_order_release);
        os_unlock(&lock);
        os_on_fork(OS_FLOOR_HEAP, (struct os_fork_steps){before_fork, after_fork_in_parent, after_fork_in_child});
        return;
    }
    os_unlock(&lock);
}
