/* scope/arena_shared.c - one arena for all threads: under a lock, or with chunks of each thread's own. See include/allot/arena.h.
 *
 *   arena:  | chunk of thread 1: record, objects ... at | free end |  | chunk of thread 2 ... |  | large object |
 *                 ^                                                        ^
 *   thread 1:  lanes[round % LANES] = {round, chunk}         thread 2:  lanes[...] = {round, chunk}
 *
 * A thread keeps the chunks of the arenas that it used last in storage of its own, known by the arena's round: a number that no
 * other arena has, nor this one after a reset. So what a reset has freed is never found again, and nobody has to be told of it.
 * When another arena has taken the place the thread finds its chunk in the arena's list, by its own number, under the lock.
 *
 * Where somebody watches, all is locked: the arena tells them of each object.
 */
#include <errno.h>
#include <stdatomic.h>

#include <allot/arena.h>

#include "base/bits.h"
#include "os/fault.h"
#include "os/lock.h"

enum { LANES = 4, LINE = 64, CHUNK_FIRST = 1024, CHUNK_MAX = 65536 };

/* What a thread has to allocate from in one arena. Its thread's alone, but for `next` and `thread`, which are the lock's. */
struct allot_arena_chunk {
    struct allot_arena_chunk *next;
    uint64_t thread;
    char *at, *end; /* [at, end) is free; multiples of 16 */
    size_t size;    /* of the next one, in bytes */
};

struct lane {
    uint64_t round;
    struct allot_arena_chunk *chunk;
};

static _Thread_local struct {
    uint64_t number; /* of this thread, 0: not known yet */
    struct lane lane[LANES];
} self;

/* A number that no other call gets, in no other copy of this code either: it begins with an address of its own. Never 0. */
static uint64_t fresh_number(void)
{
    static _Atomic uint64_t count;
    return ((uint64_t)(uintptr_t)&count << 16) + 1 + atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
}

_Static_assert(sizeof(struct os_lock) == sizeof(int), "a lock is the int of the public struct");

static void lock(struct allot_arena_shared *s) { os_lock((struct os_lock *)&s->lock); }
static void unlock(struct allot_arena_shared *s) { os_unlock((struct os_lock *)&s->lock); }

int allot_arena_shared_init(struct allot_arena_shared *s, const struct allot_arena_opts *opts)
{
    *s = (struct allot_arena_shared){0};
    int failed = allot_arena_init(&s->arena, opts);
    if (!failed) {
        s->local = opts && opts->local && !s->arena.watched;
        s->round = fresh_number();
    }
    return failed;
}

static void *__attribute__((noinline)) allocate_locked(struct allot_arena_shared *s, size_t size, size_t align)
{
    lock(s);
    void *p =
        align <= ALLOT_ARENA_ALIGN ? allot_arena_alloc(&s->arena, size) : allot_arena_aligned(&s->arena, size, align);
    unlock(s);
    return p;
}

/* This thread's chunk, perhaps an empty one; NULL with ENOMEM. The lock is held. */
static struct allot_arena_chunk *find_chunk(struct allot_arena_shared *s)
{
    self.number = self.number ? self.number : fresh_number();
    struct allot_arena_chunk *c = s->chunk;
    while (c && c->thread != self.number) {
        c = c->next;
    }
    if (!c) {
        c = allot_arena_aligned(&s->arena, LINE, LINE);
        if (!c) {
            return NULL;
        }
        *c = (struct allot_arena_chunk){.next = s->chunk, .thread = self.number, .size = CHUNK_FIRST};
        s->chunk = c;
    }
    self.lane[s->round % LANES] = (struct lane){s->round, c};
    return c;
}

/* The record has a line of its own, and chunks are whole lines: no two threads write to one. */
_Static_assert(sizeof(struct allot_arena_chunk) <= LINE, "a record is one line");

static void *__attribute__((noinline)) allocate_more(struct allot_arena_shared *s, size_t size)
{
    lock(s);
    struct allot_arena_chunk *c = find_chunk(s);
    void *p = NULL;
    if (c && size <= (size_t)(c->end - c->at)) {
        p = c->at; /* it was another arena that had taken the place */
        c->at += align_up(size, ALLOT_ARENA_ALIGN);
    } else if (c) {
        bool alone = size > c->size / 4;
        p = allot_arena_aligned(&s->arena, alone ? align_up(size, LINE) : c->size, LINE);
        if (p && !alone) {
            c->at = (char *)p + align_up(size, ALLOT_ARENA_ALIGN);
            c->end = (char *)p + c->size;
        }
        c->size = p ? size_min(c->size * 2, CHUNK_MAX) : c->size;
    }
    unlock(s);
    return p;
}

void *allot_arena_shared_alloc(struct allot_arena_shared *s, size_t size)
{
    if (!s->local) {
        return allocate_locked(s, size, ALLOT_ARENA_ALIGN);
    }
    if (unlikely(size > CHUNK_MAX)) {
        return allocate_locked(s, size, LINE);
    }
    size += size == 0;
    struct lane lane = self.lane[s->round % LANES];
    if (unlikely(lane.round != s->round || size > (size_t)(lane.chunk->end - lane.chunk->at))) {
        return allocate_more(s, size);
    }
    char *p = lane.chunk->at;
    lane.chunk->at = p + align_up(size, ALLOT_ARENA_ALIGN);
    return p;
}

void *allot_arena_shared_aligned(struct allot_arena_shared *s, size_t size, size_t align)
{
    if (align <= ALLOT_ARENA_ALIGN && is_power_of_2(align)) {
        return allot_arena_shared_alloc(s, size);
    }
    return allocate_locked(s, size, align);
}

int allot_arena_shared_defer(struct allot_arena_shared *s, void (*fn)(void *), void *arg)
{
    lock(s);
    int failed = allot_arena_defer(&s->arena, fn, arg);
    unlock(s);
    return failed;
}

/* Not under the lock: cleanups may allocate. */
void allot_arena_shared_reset(struct allot_arena_shared *s, size_t keep)
{
    allot_arena_reset(&s->arena, keep);
    s->chunk = NULL;
    s->round = fresh_number();
}

void allot_arena_shared_done(struct allot_arena_shared *s)
{
    allot_arena_done(&s->arena);
    *s = (struct allot_arena_shared){0};
}

void allot_arena_shared_stats(struct allot_arena_shared *s, struct allot_arena_stats *out)
{
    lock(s);
    allot_arena_stats(&s->arena, out);
    unlock(s);
}

bool allot_arena_shared_check(struct allot_arena_shared *s)
{
    lock(s);
    allot_arena_check(&s->arena);
    for (const struct allot_arena_chunk *c = s->chunk; c; c = c->next) {
        CHECK(s->local && c->thread && (uintptr_t)c % LINE == 0, "chunk of an arena", c);
        CHECK(c->size >= CHUNK_FIRST && c->size <= CHUNK_MAX, "chunk of an arena", c);
    }
    unlock(s);
    return true;
}

static void *take_of_shared(void *self_, size_t size, size_t align)
{
    return allot_arena_shared_aligned(self_, size, align);
}

struct allot_allocator allot_arena_shared_allocator(struct allot_arena_shared *s)
{
    static const struct allot_allocator_ops ops = {.take = take_of_shared};
    return (struct allot_allocator){&ops, s};
}
