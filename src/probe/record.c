/* probe/record.c - see probe/record.h. */
#define _GNU_SOURCE
#include "probe/record.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "os/fault.h"
#include "os/memory.h"
#include "os/process.h"
#include "probe/area.h"
#include "probe/calls.h"
#include "probe/object_file.h"
#include "probe/verify.h"

enum { PATH = 4096 };

/* The most words of an event about a block; of one that tells the upper half of the clock; of one that counts what was lost. */
enum { BLOCK_WORDS = 7, CLOCK_WORDS = 4, LOST_WORDS = 5 };

uint64_t recorder_nanoseconds(void) { return os_nanoseconds(); }

uint32_t recorder_flags(void) { return recorder_on() ? joined.flags : 0; }

/* -- events: there is room, and whoever writes one is busy -- */

/* In the child that a signal's handler has forked in the middle of an event there is no chunk, from one line to the next. */
static uint32_t *next_words(struct recorder *r)
{
    static uint32_t nowhere[2 * PATH / sizeof(uint32_t)]; /* the longest event has a path */
    struct ring_chunk *chunk = r->chunk;
    return likely(chunk != NULL) ? chunk->word + r->at : nowhere;
}

static void publish(struct recorder *r, size_t words)
{
    struct ring_chunk *chunk = r->chunk;
    if (likely(chunk != NULL)) {
        r->at += (uint32_t)words;
        atomic_store_explicit(&chunk->head, r->at, memory_order_release);
    }
}

/* One that is not about a block: its words follow. */
static uint32_t *begin_other(struct recorder *r, enum ring_op op, uint64_t clock, size_t words)
{
    uint32_t *word = next_words(r);
    word[0] = (uint32_t)clock;
    word[1] = (uint32_t)words;
    word[2] = op;
    return word + 3;
}

static void put_high(struct recorder *r, uint64_t clock)
{
    r->high = (uint32_t)(clock >> 32);
    *begin_other(r, RING_CLOCK, clock, 1) = r->high;
    publish(r, CLOCK_WORDS);
}

static size_t words_of(size_t bytes) { return (bytes + 3) / 4; }

/* Text or bytes, with zeros up to whole words. */
static void put_bytes(uint32_t *word, const void *bytes, size_t length)
{
    if (length) {
        word[words_of(length) - 1] = 0;
        memcpy(word, bytes, length);
    }
}

static void put_two(uint32_t *word, uint64_t value)
{
    word[0] = (uint32_t)value;
    word[1] = (uint32_t)(value >> 32);
}

static void put_lost(struct recorder *r, uint64_t clock)
{
    put_two(begin_other(r, RING_LOST, clock, 2), r->lost);
    publish(r, LOST_WORDS);
    area_tell_lost(r);
    r->lost = 0;
}

static void put_text(struct recorder *r, enum ring_text what, const char *text, uint64_t clock)
{
    size_t length = strlen(text), words = 1 + words_of(length);
    uint32_t *word = begin_other(r, RING_TEXT, clock, words);
    word[0] = what;
    put_bytes(word + 1, text, length);
    publish(r, 3 + words);
}

/* As it is when the thread begins: the collector sees to what becomes of it, as a process may forbid itself to ask. */
static void put_name(struct recorder *r, uint64_t clock)
{
    char name[16];
    os_thread_name(name);
    put_text(r, RING_TEXT_THREAD, name, clock);
}

static void put_process(struct recorder *r, uint32_t parent, uint64_t clock)
{
    char path[PATH];
    os_program(path, sizeof path);
    size_t length = strlen(path), words = 3 + words_of(length);
    uint32_t *word = begin_other(r, RING_PROCESS, clock, words);
    word[0] = parent;
    word[1] = parent && r->stacks ? calls_nodes() : 0;
    word[2] = parent ? RING_BEGIN_FORK : joined.begin;
    put_bytes(word + 3, path, length);
    publish(r, 3 + words);
}

/* -- room -- */

/* It has not written to this area yet: also the only thread that a fork has left, of which the recorder is nobody's there. */
static bool is_new(const struct recorder *r)
{
    return r->number == 0 || r->area != atomic_load_explicit(&joined.number, memory_order_relaxed);
}

static void set_in(struct recorder *r)
{
    r->chunk = NULL;
    r->at = r->end = 0;
    r->near = 0;
    r->last = 0;
    r->now = &joined.area->now;
    r->sequence = 0;
    r->pid = os_process_id();
    r->tid = os_thread_id();
    r->ns = joined.clock == RING_CLOCK_NS;
    r->stacks = joined.flags & RING_STACKS;
    r->area = atomic_load_explicit(&joined.number, memory_order_relaxed);
    r->number = atomic_fetch_add_explicit(&recorded->threads, 1, memory_order_relaxed) + 1;
}

/* A chunk of the thread's own, of which the header and what comes first in it are written: of the process, of the thread. */
static bool take_chunk(struct recorder *r, uint64_t clock, bool for_long)
{
    area_let_go(r);
    struct ring_chunk *chunk = area_take(r, (uint64_t)(uint32_t)r->pid << 32 | (uint32_t)r->tid, for_long);
    if (!chunk) {
        return false;
    }
    uint32_t serial = atomic_load_explicit(&recorded->serial, memory_order_acquire), parent = 0;
    bool begins = serial == 0;
    if (begins) {
        os_lock(&recorded->lock);
        serial = atomic_load_explicit(&recorded->serial, memory_order_relaxed);
        begins = serial == 0;
        if (begins) {
            serial = atomic_fetch_add(&joined.area->processes, 1) + 1;
            parent = atomic_exchange(&joined.serial, serial);
        } else {
            os_unlock(&recorded->lock);
        }
    }
    clock = begins ? recorder_clock(r) : clock;
    chunk->thread = r->number;
    chunk->pid = r->pid;
    chunk->tid = r->tid;
    chunk->sequence = r->sequence++;
    chunk->clock = clock;
    atomic_store_explicit(&chunk->head, 0, memory_order_relaxed);
    atomic_store_explicit(&chunk->done, 0, memory_order_relaxed);
    __atomic_store_n(&chunk->process, serial, __ATOMIC_RELEASE);
    r->chunk = chunk;
    r->at = 0;
    r->end = RING_WORDS;
    r->high = (uint32_t)(clock >> 32);
    if (begins) {
        put_process(r, parent, clock);
        atomic_store_explicit(&recorded->serial, serial, memory_order_release);
        os_unlock(&recorded->lock);
    }
    if (r->lost) {
        put_lost(r, clock);
    }
    if (r->sequence == 1) {
        put_name(r, clock);
    }
    return true;
}

/* Room for an event of that time, which is looked at again where only now it is known by which clock. False: it is lost. `for_long`:
 * it must not be, so we wait as long as there is a collector. */
static bool make_room(struct recorder *r, size_t words, uint64_t *clock, bool for_long)
{
    if (atomic_load_explicit(&r->owner, memory_order_relaxed) == 0) {
        atomic_store(&r->owner,
                     os_thread_id()); /* before the next line: who unmaps the area looks the other way round */
    }
    if (!atomic_load(&recorder_is_on)) {
        return false;
    }
    if (unlikely(is_new(r))) {
        set_in(r);
        *clock = recorder_clock_far(r);
    }
    if (r->end - r->at < words + CLOCK_WORDS && !take_chunk(r, *clock, for_long)) {
        return false;
    }
    if (r->high != (uint32_t)(*clock >> 32)) {
        put_high(r, *clock);
        return area_is_collected();
    }
    return true;
}

/* Words of a block's event. */
static void put_block(struct recorder *r, enum ring_op op, const void *p, size_t size, uint32_t stack, size_t align,
                      uint64_t clock)
{
    uint32_t *word = next_words(r), *at = word + 3;
    word[0] = (uint32_t)clock;
    word[1] = ring_word_1((uintptr_t)p);
    word[2] = ring_word_2(op, (uintptr_t)p, size < RING_LONG ? (uint32_t)size : RING_LONG);
    if (size >= RING_LONG) {
        put_two(at, size);
        at += 2;
    }
    if (op != RING_FREE && op != RING_REALLOC_FROM && op != RING_BEFORE) {
        *at++ = stack;
    }
    if (op == RING_ALIGNED) {
        *at++ = log2_floor(align);
    }
    publish(r, (size_t)(at - word));
}

/* -- stacks -- */

static __thread struct recorder *whose; /* who asks for a stack */

static void tell_node(uint32_t id, uint32_t parent, uintptr_t pc)
{
    enum { WORDS = 4 };
    struct recorder *r = whose;
    uint64_t clock = r ? recorder_clock(r) : 0;
    if (r && make_room(r, 3 + WORDS, &clock, true)) {
        uint32_t *word = begin_other(r, RING_NODE, clock, WORDS);
        word[0] = id;
        word[1] = parent;
        put_two(word + 2, pc);
        publish(r, 3 + WORDS);
    }
}

static void tell_object(const struct object *object)
{
    struct recorder *r = whose;
    uint64_t clock = r ? recorder_clock(r) : 0;
    unsigned char id[64];
    char path[PATH];
    size_t bytes = object_build_id(object, id, sizeof id);
    object_path(object, path, sizeof path);
    size_t length = strlen(path), words = 7 + words_of(bytes) + words_of(length);
    if (r && make_room(r, 3 + words, &clock, true)) {
        uint32_t *word = begin_other(r, RING_MODULE, clock, words);
        put_two(word, object->start);
        put_two(word + 2, object->end);
        put_two(word + 4, object_bias(object));
        word[6] = (uint32_t)bytes;
        put_bytes(word + 7, id, bytes);
        put_bytes(word + 7 + words_of(bytes), path, length);
        publish(r, 3 + words);
    }
}

/* The stack of who asks, told of before its number is used. */
static uint32_t stack_of(struct recorder *r)
{
    bool room = !is_new(r) && r->end - r->at >= BLOCK_WORDS + CLOCK_WORDS;
    uint64_t clock = likely(room) ? 0 : recorder_clock(r);
    if ((unlikely(!room) && !make_room(r, BLOCK_WORDS, &clock, false)) || !r->stacks) {
        return 0;
    }
    r->calls = r->calls ? r->calls : calls_begin();
    whose = r;
    uint32_t stack = r->calls ? calls_here(r->calls) : 0;
    if (unlikely(joined.flags & RING_VERIFY_STACKS) && r->calls) {
        verify_stack(stack);
    }
    whose = NULL;
    return stack;
}

/* -- one at a time -- */

/* False: a signal's handler, or what it jumped out of, is in the middle of an event. The latter is known by its stack, of which our
 * caller uses what it had: nobody will go on there. */
static bool begin_event(struct recorder *r)
{
    uintptr_t here = stack_pointer();
    if (unlikely(r->busy != 0)) {
        stack_t other;
        bool aside = sigaltstack(NULL, &other) == 0 && (other.ss_flags & SS_ONSTACK);
        if (aside || here <= r->busy) {
            area_lose(r);
            return false;
        }
        whose = NULL;
        r->calls = NULL; /* it may be half changed: left as it is, for good */
    }
    r->busy = here;
    in_order();
    return true;
}

static void end_event(struct recorder *r)
{
    in_order();
    r->busy = 0;
}

void recorder_slowly(struct recorder *r, enum ring_op op, const void *p, size_t size, size_t align, bool far)
{
    int saved = errno;
    if (!begin_event(r)) {
        return;
    }
    bool gives = op == RING_FREE;
    uint32_t stack = gives ? 0 : stack_of(r);
    uint64_t clock = far || is_new(r) ? recorder_clock_far(r) : recorder_clock_near(r);
    if (make_room(r, BLOCK_WORDS, &clock, false)) {
        put_block(r, gives || p ? op : RING_FAILED, p, size, stack, align, clock);
    } else {
        area_lose(r);
    }
    end_event(r);
    errno = saved;
}

struct recorder_realloc recorder_realloc_begins(struct recorder *r, const void *p, bool foreign)
{
    struct recorder_realloc of = {0};
    int saved = errno;
    if (begin_event(r)) {
        of.stack = stack_of(r);
        uint64_t clock = foreign || is_new(r) ? recorder_clock_far(r) : recorder_clock_near(r);
        of.begun = make_room(r, 3 * (BLOCK_WORDS + CLOCK_WORDS), &clock, false);
        if (of.begun) {
            put_block(r, RING_REALLOC_FROM, p, 0, 0, 0, clock);
        } else {
            area_lose(r);
            end_event(r);
        }
    }
    errno = saved;
    return of;
}

void recorder_realloc_ends(struct recorder *r, struct recorder_realloc of, const void *p, const void *now, size_t size)
{
    if (!of.begun) {
        return;
    }
    int saved = errno;
    uint64_t clock = now != p ? recorder_clock_far(r) : recorder_clock_near(r);
    if (make_room(r, 2 * BLOCK_WORDS, &clock, false)) {
        put_block(r, RING_REALLOC_TO, now ? now : p, now ? size : 0, of.stack, 0, clock);
        if (!now) {
            put_block(r, RING_FAILED, NULL, size, of.stack, 0, clock);
        }
    }
    end_event(r);
    errno = saved;
}

void recorder_enters(struct recorder *r)
{
    if (begin_event(r)) {
        uint64_t clock = recorder_clock(r);
        make_room(r, 0, &clock, true);
        if (r->stacks) {
            whose = r;
            calls_tell_again();
            whose = NULL;
        }
        end_event(r);
    }
}

uint32_t recorder_stack(struct recorder *r)
{
    uint32_t stack = 0;
    if (!r->busy && begin_event(r)) {
        uint64_t clock = recorder_clock(r);
        make_room(r, 0, &clock, false); /* what is wanted is known then */
        stack = stack_of(r);
        end_event(r);
    }
    return stack;
}

void recorder_before(struct recorder *r, const void *p, size_t usable, uint64_t clock)
{
    if (begin_event(r)) {
        if (make_room(r, BLOCK_WORDS, &clock, true)) {
            put_block(r, RING_BEFORE, p, usable, 0, 0, clock);
        }
        end_event(r);
    }
}

void recorder_verdict(struct recorder *r, const void *p, size_t retains, uint32_t verdict)
{
    if (begin_event(r)) {
        uint64_t clock = recorder_clock(r);
        if (make_room(r, BLOCK_WORDS, &clock, true)) {
            put_block(r, RING_VERDICT, p, retains, verdict, 0, clock);
        }
        end_event(r);
    }
}

void recorder_loaded(void)
{
    if (recorder_flags() & RING_VERIFY_STACKS) {
        verify_begin();
    }
}

void recorder_exits(struct recorder *r)
{
    recorder_text(r, RING_TEXT_EXIT, "");
    if (recorder_flags() & RING_VERIFY_STACKS) {
        verify_end();
    }
}

void recorder_text(struct recorder *r, enum ring_text what, const char *text)
{
    enum { MOST = 1023 };
    char cut[MOST + 1];
    int saved = errno;
    if (begin_event(r)) {
        size_t length = strnlen(text, MOST);
        memcpy(cut, text, length);
        cut[length] = 0;
        uint64_t clock = recorder_clock(r);
        if (make_room(r, 4 + words_of(length), &clock, false)) {
            put_text(r, what, cut, clock);
        } else {
            area_lose(r);
        }
        end_event(r);
    }
    errno = saved;
}

/* -- beginning and end -- */

int recorder_join(const char *path, enum ring_begin begin, _Atomic uint32_t *bell)
{
    static const struct calls_told told = {tell_node, tell_object};
    calls_tell(&told);
    return area_join(path, begin, bell);
}

/* A collector that is gone has ended as it may, and programs that were started under it go on. */
void recorder_say_refused(const char *path, int error)
{
    char program[PATH];
    os_program(program, sizeof program);
    if (error == -EXDEV) {
        os_say("%.200s (%d): its pid namespace has a /proc of its own, without the recorder: nothing of it is "
               "recorded, and it goes on; "
               "run allot record in there, or allot record -p from outside",
               program, os_process_id());
        return;
    }
    bool without_proc = error == -ENOENT && !program[0];
    if ((error != -ENOENT && error != -ESRCH) || without_proc) {
        os_say("record=%.*s: %s (error %d); nothing is recorded, and the program goes on", (int)strcspn(path, "#"),
               path,
               error == -EBUSY    ? "it is recorded already"
               : error == -EPROTO ? "no area of a collector of this version"
               : error == -EACCES ? "it may not be opened"
               : without_proc     ? "there is no /proc here"
                                  : "it cannot be joined",
               -error);
    }
}

bool recorder_is_left(const struct recorder *r) { return r->number != 0 && is_new(r); }

void recorder_leave(void)
{
    atomic_store(&recorder_is_on, false);
    area_unmap_unused();
}

void recorder_thread_ends(struct recorder *r)
{
    if (recorder_on() && !is_new(r) && begin_event(r)) {
        area_let_go(r);
        end_event(r);
    }
    area_forget_stack(r);
    atomic_store_explicit(&r->owner, -os_thread_id(), memory_order_release);
}

void recorder_end(struct recorder *r)
{
    if (r->chunk && !is_new(r)) {
        area_let_go(r);
    }
    area_forget_stack(r);
    atomic_store(&r->owner, 0);
    area_unmap_unused();
}
