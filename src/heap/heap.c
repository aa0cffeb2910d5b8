/* heap/heap.c - heaps, their ids, and whose they are.
 *
 * A heap's record is never unmapped, since a late free may still look at its inbox. When a thread ends, its heap waits
 * idle, with all it owns, for the next thread, that takes it over as it is. Ids are never given to another heap.
 *
 * Threads that have no heap - memory was out when they asked for one, or they are past their end - share one, under a
 * lock.
 */
#include "heap/heap.h"

#include <string.h>

#include "heap/options.h"
#include "os/fault.h"
#include "os/memory.h"
#include "os/process.h"
#include "span/large.h"
#include "span/map.h"
#include "span/run.h"

__thread struct front front;

/* Two levels, so that a process with few heaps pays for few. */
#define TABLE_LEAF 1024
#define TABLE_ROOT 4096
static _Atomic(struct heap *) *_Atomic table[TABLE_ROOT];

static struct os_lock heaps_lock; /* the table, the chain, the idle ones */
static _Atomic(struct heap *) newest;
static struct heap *idle, *unused_private;
static uint32_t ids;
static uint32_t epoch;

static struct os_lock shared_lock;
static struct front shared_front;
static struct heap shared;

struct heap *heap_by_id(uint32_t id)
{
    id &= ~ID_PRIVATE;
    _Atomic(struct heap *) *leaf = atomic_load_explicit(&table[id / TABLE_LEAF % TABLE_ROOT], memory_order_acquire);
    return leaf ? atomic_load_explicit(&leaf[id % TABLE_LEAF], memory_order_acquire) : NULL;
}

struct heap *heaps_newest(void) { return atomic_load_explicit(&newest, memory_order_acquire); }

bool heap_is_lost(const struct heap *h)
{
    return atomic_load_explicit(&h->state, memory_order_relaxed) == HEAP_ACTIVE && h->epoch != epoch;
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
    h->older = newest;
    atomic_store_explicit(&leaf[id % TABLE_LEAF], h, memory_order_release);
    atomic_store_explicit(&newest, h, memory_order_release);
    return true;
}

static void set_state(struct heap *h, enum heap_state state)
{
    atomic_store_explicit(&h->state, state, memory_order_seq_cst);
}

static struct heap *make(uint32_t flags)
{
    struct heap *h = record_alloc(sizeof *h);
    return h && enlist(h, flags) ? h : NULL;
}

struct heap *heap_attach(void)
{
    if (front.heap || front.ended) {
        return front.heap;
    }
    heap_init();
    os_lock(&heaps_lock);
    struct heap *h = idle;
    if (h) {
        idle = h->next_idle;
    } else {
        h = make(0);
    }
    if (h) {
        h->epoch = epoch;
        h->tid = os_thread_id();
        h->front = &front;
        set_state(h, HEAP_ACTIVE);
    }
    os_unlock(&heaps_lock);
    if (h) {
        front.heap = h;
        front.heap_id = h->id;
        os_watch_thread();
    }
    return h;
}

void heap_flush_front(struct heap *h)
{
    for (unsigned i = 0; i < LISTS + MID_CLASSES; i++) {
        struct block **list = i < LISTS ? &h->front->list[i] : &h->mid[i - LISTS];
        struct block *b = *list;
        *list = NULL;
        while (b) {
            struct block *next = b->next;
            struct slab *s = slab_of(b);
            if (slab_free_local(s, b)) {
                heap_settle(h, s);
            }
            b = next;
        }
    }
    h->front->zeroed[0] = h->front->zeroed[1] = 0;
    h->mid_zeroed = 0;
}

/* The calling thread is past its end: its heap goes to whoever comes next. */
static void thread_ends(void)
{
    struct heap *h = front.heap;
    front.ended = true;
    if (!h) {
        return;
    }
    heap_flush_front(h);
    remote_drain(h, SIZE_MAX);
    heap_retire_current(h);
    front.heap = NULL;
    front.heap_id = 0;
    in_haste = false;
    stats_lock(); /* a survey may be looking at what this thread has at hand */
    os_lock(&heaps_lock);
    h->front = NULL;
    h->tid = 0;
    h->next_idle = idle;
    idle = h;
    set_state(h, HEAP_IDLE);
    /* Who published a free before it could see the heap idle has left it for us to take in. */
    remote_drain(h, SIZE_MAX);
    os_unlock(&heaps_lock);
    stats_unlock();
}

/* -- heaps without a thread -- */

struct heap *shared_heap_lock(void)
{
    heap_init();
    os_lock(&shared_lock);
    return shared.id ? &shared : NULL;
}

void shared_heap_unlock(void) { os_unlock(&shared_lock); }

struct heap *heap_make_private(size_t bytes)
{
    heap_init();
    os_lock(&heaps_lock);
    struct heap *h = unused_private;
    if (h) {
        unused_private = h->next_idle;
    } else {
        struct front *at_hand = record_alloc(bytes);
        h = at_hand ? make(ID_PRIVATE) : NULL;
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

void heap_make_mine(struct heap *h)
{
    static _Atomic uint64_t numbers;
    if (front.number == 0) {
        front.number = atomic_fetch_add_explicit(&numbers, 1, memory_order_relaxed) + 1;
    }
    atomic_store_explicit(&h->user, front.number, memory_order_relaxed);
}

void heap_collect_ownerless(struct heap *h)
{
    uint32_t state = atomic_load_explicit(&h->state, memory_order_seq_cst);
    if (likely(state == HEAP_ACTIVE || state == HEAP_PRIVATE)) {
        return;
    }
    struct os_lock *lock = state == HEAP_SHARED ? &shared_lock : &heaps_lock;
    os_lock(lock);
    if (atomic_load_explicit(&h->state, memory_order_relaxed) == state) {
        remote_drain(h, drain_steps());
    }
    os_unlock(lock);
}

/* -- the process -- */

static void before_fork(void)
{
    stats_lock();
    os_lock(&shared_lock);
    os_lock(&heaps_lock);
    runs_lock();
    large_lock();
    segments_lock();
    record_lock();
}

static void after_fork_in_parent(void)
{
    record_unlock();
    segments_unlock();
    large_unlock();
    runs_unlock();
    os_unlock(&heaps_lock);
    os_unlock(&shared_lock);
    stats_unlock();
}

/* Constant work, however many threads and blocks there were: the heaps of the threads that stayed behind are left
 * alone, since they may have been caught in the middle of a change. */
static void after_fork_in_child(void)
{
    epoch++;
    if (front.heap) {
        front.heap->epoch = epoch;
        front.heap->tid = os_thread_id();
    }
    record_lock_reset();
    segments_lock_reset();
    large_lock_reset();
    runs_lock_reset();
    os_lock_reset(&heaps_lock);
    os_lock_reset(&shared_lock);
    stats_lock_reset();
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
        options_init();
        shared.front = &shared_front;
        set_state(&shared, HEAP_SHARED);
        os_lock(&heaps_lock);
        enlist(&shared, 0);
        os_unlock(&heaps_lock);
        os_on_thread_exit(thread_ends);
        /* Registering may allocate; that finds the work above done. */
        atomic_store_explicit(&done, true, memory_order_release);
        os_unlock(&lock);
        os_on_fork((struct os_fork_steps){before_fork, after_fork_in_parent, after_fork_in_child});
        return;
    }
    os_unlock(&lock);
}
