/* scope/arena.c - a bump arena of doubling blocks, with marks, cleanups and warm blocks. See include/allot/arena.h.
 *
 *   used -> own block --------.    spare -> block -> block
 *            | object |       |
 *            v next           | bump
 *           block  <----------'
 *            | object | object | ... at | free ... end |
 *            v next
 *           block
 *            | object | ... object | lost |
 *
 * `used` is a stack: a mark is its top, `at` and the latest cleanup, so going back is popping all three. An object of more than
 * max / 4 is pushed as a block of its own and `at` stays where it is; each block knows the one that `at` lay in when it was on top.
 *
 * The bound. What a block has left when it is abandoned is less than the object that did not fit, which lies in the next one, so
 * all that is lost is less than all that is used: held < 2 * used + the block in use + spare. A block of less than `max` is
 * followed by one of twice its length, so there are at most log2(max / first) such, and a search among the spare ones for what is
 * no own block ends after as many steps, and one for each spare own block.
 *
 * Where somebody watches, `end` is kept equal to `at`, so each object comes by allot_arena_alloc_slow, and 16 bytes that nobody
 * may touch lie before the first object of a block and behind each: the inline path knows nothing of it.
 */
#include <errno.h>

#include <allot/arena.h>
#include <allot/malloc.h>

#include "base/bits.h"
#include "os/fault.h"
#include "os/watch.h"
#include "scope/arena.h"

enum { ALIGN = ALLOT_ARENA_ALIGN, REDZONE = 16, FIRST_LEAST = 256, OWN_UNIT = 4096 };
#define FIRST    (64 * KIB)
#define MAX      (4 * MIB)
#define SIZE_TOP ((size_t)PTRDIFF_MAX / 2) /* sums of two such do not overflow */

struct allot_arena_defer {
    struct allot_arena_defer *next;
    void (*fn)(void *arg);
    void *arg;
};

static bool is_own(const struct allot_arena_block *b) { return b->bump != b; }

static size_t redzone(const struct allot_arena *a) { return a->watched ? REDZONE : 0; }

static char *block_end(const struct allot_arena_block *b) { return (char *)b + b->size; }

static char *first_object(const struct allot_arena *a, const struct allot_arena_block *b)
{
    return (char *)b + sizeof *b + redzone(a);
}

/* The one that `at` lies in. */
static struct allot_arena_block *current(const struct allot_arena *a) { return a->used ? a->used->bump : NULL; }

static size_t object_length(size_t size) { return align_up(size_max(size, 1), ALIGN); }

static void set_at(struct allot_arena *a, char *at)
{
    struct allot_arena_block *b = current(a);
    a->at = at;
    a->end = a->watched || !b ? at : block_end(b);
}

int allot_arena_init(struct allot_arena *a, const struct allot_arena_opts *opts)
{
    static const struct allot_arena_opts defaults;
    opts = opts ? opts : &defaults;
    size_t first = opts->first ? align_up(opts->first, ALIGN) : size_min(FIRST, opts->max ? opts->max : MAX);
    size_t max = opts->max ? align_down(opts->max, ALIGN) : size_max(MAX, first);
    if (first < FIRST_LEAST || first > max || first > SIZE_TOP || opts->first > SIZE_TOP) {
        return -EINVAL;
    }
    *a = (struct allot_arena){.from = opts->from,
                              .first = first,
                              .next = first,
                              .max = max,
                              .limit = opts->limit ? opts->limit : SIZE_MAX,
                              .name = opts->name,
                              .watched = os_parts_watched()};
    return 0;
}

/* -- blocks ----------------------------------------------------------------------------------------------------- */

static void *take(struct allot_arena *a, size_t bytes)
{
    void *p = NULL;
    if (bytes > a->limit - a->held) {
        errno = ENOMEM;
    } else if (a->from.ops) {
        p = allot_take(a->from, bytes, ALIGN);
    } else {
        p = allot_malloc(bytes);
    }
    if (p) {
        a->held += bytes;
        a->peak = size_max(a->peak, a->held);
    }
    return p;
}

static void give_back(struct allot_arena *a, struct allot_arena_block *b)
{
    size_t size = b->size;
    b->mark = 0;
    if (a->watched) {
        os_watch_undefined(b, size);
    }
    a->held -= size;
    if (a->from.ops) {
        allot_give(a->from, b, size, ALIGN);
    } else {
        allot_free_sized(b, size);
    }
}

static bool give_spare_back(struct allot_arena *a)
{
    bool any = a->spare;
    while (a->spare) {
        struct allot_arena_block *b = a->spare;
        a->spare = b->next;
        give_back(a, b);
    }
    return any;
}

/* Own blocks for what is to have one, and only for that: rounds that are alike then find each the one it had. */
static struct allot_arena_block *take_spare(struct allot_arena *a, size_t least, bool own)
{
    for (struct allot_arena_block **link = &a->spare; *link; link = &(*link)->next) {
        struct allot_arena_block *b = *link;
        if (b->size >= least && is_own(b) == own) {
            *link = b->next;
            return b;
        }
    }
    return NULL;
}

/* One of `least` bytes or more: as long as they are to be by now, or as the limit and what there is allow. */
static struct allot_arena_block *take_new(struct allot_arena *a, size_t least, bool own)
{
    size_t size = own ? align_up(least, OWN_UNIT) : a->next;
    while (size < least) {
        size *= 2;
    }
    size_t room = align_down(a->limit - a->held, ALIGN);
    struct allot_arena_block *b = take(a, size_max(least, size_min(size, room)));
    if (b) {
        b->size = size_max(least, size_min(size, room));
    } else if (give_spare_back(a) || least < size) {
        b = take(a, least);
        if (b) {
            b->size = least;
        }
    }
    if (b && !own) {
        a->next = size > a->max / 2 ? a->max : size * 2;
    }
    return b;
}

/* Pushes a block with room for `need` bytes, and makes it the one that `at` lies in unless it is to be an own one. NULL with ENOMEM. */
static struct allot_arena_block *push(struct allot_arena *a, size_t need, bool own)
{
    size_t least = sizeof(struct allot_arena_block) + need + 2 * redzone(a);
    struct allot_arena_block *b = take_spare(a, least, own), *was = current(a);
    if (!b) {
        b = take_new(a, least, own);
        if (!b) {
            a->refused++;
            return NULL;
        }
        b->mark = arena_mark_of(b);
        b->name = a->name;
        if (a->watched) {
            os_watch_deny(b + 1, b->size - sizeof *b);
        }
    }
    b->bump = own ? was : b;
    b->next = a->used;
    b->at = first_object(a, b);
    if (was) {
        was->at = a->at;
    }
    a->used = b;
    if (!own) {
        set_at(a, b->at);
    }
    return b;
}

/* -- objects ---------------------------------------------------------------------------------------------------- */

/* At `p`, in a block: whose objects end behind it then. */
static char *place(struct allot_arena *a, char *p, size_t size)
{
    if (a->watched) {
        os_watch_undefined(p, size);
    }
    return p + object_length(size) + redzone(a);
}

static char *aligned_to(char *p, size_t align) { return p + (-(uintptr_t)p & (align - 1)); }

/* `align` is a power of two of at least 16. */
static void *allocate(struct allot_arena *a, size_t size, size_t align)
{
    if (unlikely(a->max == 0)) {
        allot_fault("allocation after done", "arena", a);
    }
    if (size > SIZE_TOP || align > SIZE_TOP) {
        a->refused++;
        errno = ENOMEM;
        return NULL;
    }
    size_t length = object_length(size);
    struct allot_arena_block *b = current(a);
    if (b) {
        char *p = aligned_to(a->at, align);
        /* The address may lie beyond the end, so it is the distances that are compared. */
        size_t skipped = (size_t)(p - a->at), room = (size_t)(block_end(b) - a->at);
        if (skipped <= room && length + redzone(a) <= room - skipped) {
            set_at(a, place(a, p, size));
            return p;
        }
    }
    size_t need = length + (align - ALIGN);
    bool own = need > a->max / 4;
    b = push(a, need, own);
    if (!b) {
        return NULL;
    }
    char *p = aligned_to(b->at, align);
    b->at = place(a, p, size);
    if (!own) {
        set_at(a, b->at);
    }
    return p;
}

void *allot_arena_alloc_slow(struct allot_arena *a, size_t size) { return allocate(a, size, ALIGN); }

void *allot_arena_aligned(struct allot_arena *a, size_t size, size_t align)
{
    if (!is_power_of_2(align)) {
        a->refused++;
        errno = EINVAL;
        return NULL;
    }
    return allocate(a, size, size_max(align, ALIGN));
}

/* The block is the latest own one, and as long as it is `p` alone lies in it. It may become longer where it is. */
static bool extend_own(struct allot_arena *a, struct allot_arena_block *b, char *p, size_t now)
{
    size_t least = (size_t)(p - (char *)b) + object_length(now) + redzone(a), was = b->size;
    if (least > was) {
        size_t size = align_up(least, OWN_UNIT);
        if (size - was > a->limit - a->held) {
            return false;
        }
        bool longer = a->from.ops ? allot_resize(a->from, b, was, size, ALIGN) : allot_try_expand(b, size);
        if (!longer) {
            return false;
        }
        b->size = size;
        a->held += size - was;
        a->peak = size_max(a->peak, a->held);
        if (a->watched) {
            os_watch_deny((char *)b + was, size - was);
        }
    }
    b->at = p + object_length(now) + redzone(a);
    return true;
}

static bool make_room(struct allot_arena *a, char *p, size_t old, size_t now)
{
    char *end = p + object_length(old) + redzone(a);
    struct allot_arena_block *top = a->used;
    if (top && top != a->fence_used && is_own(top) && end == top->at) {
        return now < old ? (top->at = p + object_length(now) + redzone(a), true) : extend_own(a, top, p, now);
    }
    if (end != a->at || a->at == a->fence) {
        return object_length(now) <= object_length(old);
    }
    size_t room = (size_t)(block_end(current(a)) - p);
    if (object_length(now) + redzone(a) > room) {
        return false;
    }
    set_at(a, p + object_length(now) + redzone(a));
    return true;
}

bool allot_arena_extend(struct allot_arena *a, void *object, size_t old, size_t now)
{
    char *p = object;
    if (now > SIZE_TOP || !make_room(a, p, old, now)) {
        return false;
    }
    if (a->watched) {
        if (now > old) {
            os_watch_undefined(p + old, now - old);
        } else {
            os_watch_deny(p + now, old - now);
        }
    }
    return true;
}

/* -- going back ------------------------------------------------------------------------------------------------- */

struct allot_arena_mark allot_arena_mark(struct allot_arena *a)
{
    a->fence = a->at;
    a->fence_used = a->used;
    return (struct allot_arena_mark){a->at, a->used, a->defers};
}

int allot_arena_defer(struct allot_arena *a, void (*fn)(void *), void *arg)
{
    struct allot_arena_defer *d = allot_arena_alloc(a, sizeof *d);
    if (!d) {
        return -ENOMEM;
    }
    *d = (struct allot_arena_defer){a->defers, fn, arg};
    a->defers = d;
    return 0;
}

static void __attribute__((noreturn, cold)) mark_is_gone(const struct allot_arena *a)
{
    allot_fault("rewind to a mark that is gone", "arena", a);
}

/* A mark's place is in use: it may be the one that was meant. */
static void look_at(const struct allot_arena *a, struct allot_arena_mark m)
{
    const struct allot_arena_block *b = a->used;
    const struct allot_arena_defer *d = a->defers;
    while (b != m.used) {
        if (!b) {
            mark_is_gone(a);
        }
        b = b->next;
    }
    while (d != m.defers) {
        if (!d) {
            mark_is_gone(a);
        }
        d = d->next;
    }
    b = b ? b->bump : NULL;
    const char *end = b && b == current(a) ? a->at : b ? b->at : NULL;
    if (m.at > end || (b ? m.at < first_object(a, b) : m.at != NULL)) {
        mark_is_gone(a);
    }
}

static void run_defers(struct allot_arena *a, const struct allot_arena_defer *until)
{
    while (a->defers != until) {
        struct allot_arena_defer *d = a->defers;
        if (!d) {
            mark_is_gone(a);
        }
        a->defers = d->next;
        d->fn(d->arg);
    }
}

/* Takes the latest block off: a warm one stays, with all of it free. */
static void pop(struct allot_arena *a)
{
    struct allot_arena_block *b = a->used;
    a->used = b->next;
    if (a->watched) {
        os_watch_deny(b + 1, b->size - sizeof *b);
    }
    b->next = a->spare;
    a->spare = b;
}

void allot_arena_rewind(struct allot_arena *a, struct allot_arena_mark m)
{
    look_at(a, m);
    run_defers(a, m.defers);
    look_at(a, m); /* a cleanup may have gone back itself */
    struct allot_arena_block *b = current(a);
    if (b) {
        b->at = a->at;
    }
    while (a->used != m.used) {
        b = a->used;
        bool own = is_own(b);
        pop(a);
        if (own) {
            a->spare = b->next;
            give_back(a, b);
        }
    }
    b = current(a);
    if (b && a->watched) {
        os_watch_deny(m.at, (size_t)(b->at - m.at));
    }
    set_at(a, m.at);
    a->fence = m.at;
    a->fence_used = m.used;
}

void allot_arena_reset(struct allot_arena *a, size_t keep)
{
    run_defers(a, NULL);
    while (a->used) {
        pop(a);
    }
    set_at(a, NULL);
    a->fence = NULL;
    a->fence_used = NULL;
    a->next = a->first;
    struct allot_arena_block **link = &a->spare;
    while (*link) {
        struct allot_arena_block *b = *link;
        if (b->size <= keep) {
            keep -= b->size;
            a->next = size_max(a->next, b->size > a->max / 2 ? a->max : b->size * 2);
            link = &b->next;
        } else {
            *link = b->next;
            give_back(a, b);
        }
    }
}

void allot_arena_done(struct allot_arena *a)
{
    allot_arena_reset(a, 0);
    *a = (struct allot_arena){0};
}

/* -- what it can tell ------------------------------------------------------------------------------------------- */

void allot_arena_stats(const struct allot_arena *a, struct allot_arena_stats *out)
{
    *out = (struct allot_arena_stats){.use = {.held = a->held, .peak = a->peak, .refused = a->refused}};
    for (const struct allot_arena_block *b = a->used; b; b = b->next) {
        bool bumped = b == current(a);
        const char *end = bumped ? a->at : b->at;
        out->use.count++;
        out->use.used += (size_t)(end - first_object(a, b));
        out->lost += bumped ? 0 : (size_t)(block_end(b) - end);
    }
    for (const struct allot_arena_block *b = a->spare; b; b = b->next) {
        out->spare += b->size;
    }
    for (const struct allot_arena_defer *d = a->defers; d; d = d->next) {
        out->deferred++;
    }
}

/* Whether a cleanup is an object of one of the blocks from `b` on; that block. */
static const struct allot_arena_block *block_of(const struct allot_arena *a, const struct allot_arena_block *b,
                                                const void *p)
{
    const char *at = p;
    while (b && !(at >= first_object(a, b) && at < (b == current(a) ? a->at : b->at))) {
        b = b->next;
    }
    return b;
}

bool allot_arena_check(const struct allot_arena *a)
{
    size_t held = 0;
    const struct allot_arena_block *bump = current(a);
    CHECK(a->held <= a->limit && a->held <= a->peak, "arena", a);
    CHECK(!bump ? !a->at : a->at >= first_object(a, bump) && a->at <= block_end(bump), "arena", a);
    CHECK(a->end == (a->watched || !bump ? a->at : block_end(bump)) && (uintptr_t)a->at % ALIGN == 0, "arena", a);
    CHECK(a->next >= a->first && a->next <= a->max, "arena", a);
    for (const struct allot_arena_block *b = a->used; b; b = b->next) {
        const struct allot_arena_block *below = b->next ? b->next->bump : NULL;
        CHECK(b->bump == b || b->bump == below, "arena block", b);
        CHECK(b == bump || (b->at >= first_object(a, b) && b->at <= block_end(b)), "arena block", b);
        held += b->size;
    }
    for (const struct allot_arena_block *b = a->spare; b; b = b->next) {
        held += b->size;
    }
    CHECK(held == a->held, "arena", a);
    const struct allot_arena_block *b = a->used;
    for (const struct allot_arena_defer *d = a->defers; d; d = d->next) {
        b = block_of(a, a->used, d);
        CHECK(b, "arena cleanup", d);
        CHECK((uintptr_t)d % ALIGN == 0 && d->fn, "arena cleanup", d);
    }
    return true;
}

static void *take_of_arena(void *self, size_t size, size_t align)
{
    return align <= ALIGN ? allot_arena_alloc(self, size) : allot_arena_aligned(self, size, align);
}

static bool resize_of_arena(void *self, void *p, size_t old, size_t now, size_t align)
{
    (void)align;
    return allot_arena_extend(self, p, old, now);
}

struct allot_allocator allot_arena_allocator(struct allot_arena *a)
{
    static const struct allot_allocator_ops ops = {.take = take_of_arena, .resize = resize_of_arena};
    return (struct allot_allocator){&ops, a};
}
