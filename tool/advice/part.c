/* See part.h. */
#include <stdlib.h>
#include <string.h>

#include <allot/arena.h>

#include "advice/part.h"

#define ARENA_BLOCK ((size_t)64 << 10)
#define LARGEST     ((uint64_t)1 << 40)

struct kept { /* a buffer; free ones of a place are a stack */
    uint64_t room;
    uint32_t under; /* index and 1; 0: the last */
    unsigned place;
};

struct part {
    enum advice_kind kind;
    uint64_t held, calls, live;
    struct allot_arena arena;
    uint32_t *buffer; /* by block: index of what it was given, and 1 */
    struct kept *kept;
    uint32_t kepts, room, top[ADVICE_SITES];
};

struct part *part_begin(const struct candidate *c, const struct ops *ops)
{
    struct part *p = calloc(1, sizeof *p);
    const struct allot_arena_opts blocks = {.first = ARENA_BLOCK, .max = ARENA_BLOCK};
    if (!p) {
        return NULL;
    }
    p->kind = c->kind;
    if (c->kind == ADVICE_ARENA) {
        allot_arena_init(&p->arena, &blocks);
        return p;
    }
    p->buffer = calloc((size_t)ops->blocks + 1, sizeof *p->buffer);
    if (!p->buffer) {
        part_end(p);
        return NULL;
    }
    return p;
}

void part_end(struct part *p)
{
    if (p && p->kind == ADVICE_ARENA) {
        allot_arena_done(&p->arena);
    }
    if (p) {
        free(p->buffer);
        free(p->kept);
        free(p);
    }
}

/* -- kept buffers -- */

static uint64_t to_16(uint64_t bytes) { return (bytes + 15) & ~(uint64_t)15; }

static struct kept *new_buffer(struct part *p, unsigned place)
{
    if (p->kepts == p->room) {
        uint32_t room = p->room ? 2 * p->room : 64;
        struct kept *grown = realloc(p->kept, room * sizeof *grown);
        if (!grown) {
            return NULL;
        }
        p->kept = grown;
        p->room = room;
    }
    p->kept[p->kepts] = (struct kept){.place = place};
    return &p->kept[p->kepts++];
}

static void make_longer(struct part *p, struct kept *k, uint64_t size)
{
    if (k->room < size || k->room == 0) {
        p->held += to_16(size ? size : 1) - k->room;
        k->room = to_16(size ? size : 1);
        p->calls++;
    }
}

static bool take_kept(struct part *p, unsigned place, uint32_t block, uint64_t size)
{
    struct kept *k = p->top[place] ? &p->kept[p->top[place] - 1] : new_buffer(p, place);
    if (!k) {
        return false;
    }
    if (p->top[place]) {
        p->top[place] = k->under;
    }
    make_longer(p, k, size);
    p->buffer[block] = (uint32_t)(k - p->kept) + 1;
    return true;
}

/* -- all of them -- */

bool part_take(struct part *p, unsigned place, uint32_t block, uint64_t size, uint32_t align)
{
    size = size ? size : 1;
    if (size > LARGEST) {
        return false;
    }
    if (p->kind != ADVICE_ARENA) {
        return take_kept(p, place, block, size);
    }
    if (!(align > 4 ? allot_arena_aligned(&p->arena, size, (size_t)1 << align) : allot_arena_alloc(&p->arena, size))) {
        return false;
    }
    p->live++;
    p->calls++;
    p->held = p->arena.held;
    return true;
}

bool part_resize(struct part *p, uint32_t block, uint64_t was, uint64_t size)
{
    if (p->kind == ADVICE_ARENA) { /* another behind it: where it was is lost until the reset */
        bool good = size <= was || (size <= LARGEST && allot_arena_alloc(&p->arena, size));
        p->calls++;
        p->held = p->arena.held;
        return good;
    }
    make_longer(p, &p->kept[p->buffer[block] - 1], size);
    return true;
}

void part_give(struct part *p, uint32_t block, bool left)
{
    if (p->kind == ADVICE_ARENA) {
        if (--p->live == 0) {
            allot_arena_reset(&p->arena, 0);
            p->held = p->arena.held;
            p->calls += !left;
        }
    } else {
        struct kept *k = &p->kept[p->buffer[block] - 1];
        k->under = p->top[k->place];
        p->top[k->place] = p->buffer[block];
    }
}

uint64_t part_held(const struct part *p) { return p->held; }

uint64_t part_calls(const struct part *p) { return p->calls; }
