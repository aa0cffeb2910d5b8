/* move/reloc.c - an area by base and limit. See include/allot/reloc.h.
 *
 *   base --> | ........................ | ....... |
 *             0                          limit     room      bytes of limit to room are zero
 *
 * Its own pages grow where they are, else the system moves them (mremap); only what the system does not move is copied.
 */
#include <allot/reloc.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "move/closed.h"
#include "os/fault.h"
#include "os/memory.h"

static void name_area(const struct allot_reloc *r, char *out, size_t size, uint64_t offset, uint64_t length)
{
    snprintf(out, size, "offset %llu, %llu bytes, limit %llu, of area \"%.39s\"", (unsigned long long)offset,
             (unsigned long long)length, (unsigned long long)r->limit, r->name ? r->name : "");
}

void allot_reloc_fault(const struct allot_reloc *r, uint64_t offset, uint64_t length)
{
    char object[192];
    name_area(r, object, sizeof object, offset, length);
    allot_fault(r->base ? "access beyond the limit" : "access to an area that was not initialised, or is done", object,
                r->base);
}

static void expect(const struct allot_reloc *r)
{
    if (!r->base) {
        allot_fault("use of an area that was not initialised, or is done", "area", r);
    }
}

static struct closed *ring(struct allot_reloc *r) { return (struct closed *)(void *)r->closed; }
_Static_assert(sizeof(struct closed) == sizeof((struct allot_reloc *)0)->closed[0], "as in the header");

static size_t pages(size_t size) { return align_up(size_max(size, 1), os_page); }

static void note(struct allot_reloc *r) { r->peak = size_max(r->peak, r->room); }

int allot_reloc_init(struct allot_reloc *r, size_t size, const struct allot_reloc_opts *opts)
{
    static const struct allot_reloc_opts defaults;
    opts = opts ? opts : &defaults;
    *r = (struct allot_reloc){0};
    if (size > PTRDIFF_MAX / 2 || (opts->memory && size > opts->memory_size)) {
        return -EINVAL;
    }
    int saved = errno;
    os_memory_init();
    struct allot_reloc now = {.limit = size, .name = opts->name, .debug = opts->debug, .own = !opts->memory};
    now.room = opts->memory ? opts->memory_size : pages(size);
    now.base = opts->memory ? opts->memory : os_map(now.room);
    errno = saved;
    if (!now.base) {
        return -ENOMEM;
    }
    if (!now.own) {
        memset(now.base, 0, now.room);
    }
    *r = now;
    note(r);
    return 0;
}

/* The place that it has left. */
static void leave(struct allot_reloc *r, char *was, size_t room, bool own)
{
    if (own && r->debug) {
        closed_add(ring(r), ALLOT_RELOC_CLOSED, &r->closed_next, was, room);
    } else if (own) {
        os_unmap(was, room);
    }
}

void allot_reloc_done(struct allot_reloc *r)
{
    expect(r);
    if (r->own) {
        os_unmap(r->base, r->room);
    }
    closed_done(ring(r), ALLOT_RELOC_CLOSED);
    *r = (struct allot_reloc){0};
}

static void settle(struct allot_reloc *r, char *base, size_t room, bool own, bool is_copy, size_t bytes)
{
    r->base = base;
    r->room = room;
    r->own = own;
    r->moves++;
    *(is_copy ? &r->copied : &r->remapped) += bytes;
    note(r);
}

/* To pages of its own with so much room, by the system's hand if that is possible. */
static int move_to_pages(struct allot_reloc *r, size_t room)
{
    size_t bytes = size_min(r->limit, room);
    char *to = os_map(room);
    if (to && r->own && !r->debug) {
        if (os_move(r->base, r->room, to, room)) {
            settle(r, to, room, true, false, bytes);
            return 0;
        }
        to = os_map(room); /* that one is lost */
    }
    if (!to) {
        r->refused++;
        return -ENOMEM;
    }
    memcpy(to, r->base, bytes);
    char *was = r->base;
    size_t was_room = r->room;
    bool was_own = r->own;
    settle(r, to, room, true, true, bytes);
    leave(r, was, was_room, was_own);
    return 0;
}

int allot_reloc_resize(struct allot_reloc *r, size_t size)
{
    expect(r);
    int saved = errno, failed = 0;
    if (size > PTRDIFF_MAX / 2) {
        r->refused++;
        return -ENOMEM;
    }
    bool fits = r->own ? pages(size) == r->room : size <= r->room;
    if (!fits && !r->debug && r->own && os_resize(r->base, r->room, pages(size))) {
        r->room = pages(size);
        note(r);
    } else if (!fits || r->debug) {
        failed = move_to_pages(r, pages(size));
        failed = failed && fits ? 0 : failed; /* it need not have moved */
    }
    if (!failed && size < r->limit) {
        memset(r->base + size, 0, size_min(r->limit, r->room) - size);
    }
    r->limit = failed ? r->limit : size;
    errno = saved;
    return failed;
}

int allot_reloc_move(struct allot_reloc *r)
{
    expect(r);
    int saved = errno, failed = move_to_pages(r, pages(r->limit));
    errno = saved;
    return failed;
}

void allot_reloc_chance(struct allot_reloc *r)
{
    expect(r);
    if (r->debug) {
        allot_reloc_move(r);
    }
}

int allot_reloc_move_to(struct allot_reloc *r, void *memory, size_t memory_size)
{
    expect(r);
    if (memory_size < r->limit) {
        return -ENOSPC;
    }
    char *was = r->base;
    size_t was_room = r->room;
    bool was_own = r->own;
    memmove(memory, was, r->limit);
    memset((char *)memory + r->limit, 0, memory_size - r->limit);
    settle(r, memory, memory_size, false, true, r->limit);
    leave(r, was, was_room, was_own);
    return 0;
}

void allot_reloc_stats(const struct allot_reloc *r, struct allot_reloc_stats *out)
{
    expect(r);
    *out = (struct allot_reloc_stats){
        .use = {.used = r->limit, .count = 1, .held = r->room, .peak = r->peak, .refused = r->refused},
        .moves = r->moves,
        .copied = r->copied,
        .remapped = r->remapped,
    };
}

bool allot_reloc_check(const struct allot_reloc *r)
{
    expect(r);
    CHECK(r->limit <= r->room && r->room <= r->peak, "area", r->base);
    CHECK(!r->own || (r->room == pages(r->limit) && (uintptr_t)r->base % os_page == 0), "area", r->base);
    for (size_t i = r->limit; i < r->room; i++) {
        CHECK(r->base[i] == 0, "area: a byte beyond its limit", r->base + i);
    }
    return true;
}

/* -- to a file and back: head, bytes -- */

#define RELOC_MAGIC "allot area 1\n\n\n\n" /* 16 bytes, without the 0 */
struct reloc_head {
    char magic[16];
    uint64_t size;
};

int allot_reloc_save(struct allot_reloc *r, int (*write)(void *arg, const void *bytes, size_t length), void *arg)
{
    allot_reloc_chance(r);
    struct reloc_head head = {.size = r->limit};
    memcpy(head.magic, RELOC_MAGIC, sizeof head.magic);
    int failed = write(arg, &head, sizeof head);
    return failed || !r->limit ? failed : write(arg, r->base, r->limit);
}

int allot_reloc_load(struct allot_reloc *r, int (*read)(void *arg, void *bytes, size_t length), void *arg,
                     const struct allot_reloc_opts *opts)
{
    struct reloc_head head;
    *r = (struct allot_reloc){0};
    int failed = read(arg, &head, sizeof head);
    if (failed) {
        return failed;
    }
    if (memcmp(head.magic, RELOC_MAGIC, sizeof head.magic) != 0) {
        return -EINVAL;
    }
    failed = allot_reloc_init(r, head.size, opts);
    if (failed) {
        return failed;
    }
    failed = head.size ? read(arg, r->base, head.size) : 0;
    if (failed) {
        allot_reloc_done(r);
    }
    return failed;
}
