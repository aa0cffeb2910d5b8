/* replay/model_compact.c - compact: blocks behind a base register each, in one piece of memory that is pushed together when holes are
 * many.
 *
 *   before   [a][   ][b][      ][c][  ][d]>      new blocks go behind the last one; nothing goes into a hole
 *   after    [a][b][c][d]>                       every block behind the first hole has moved down, and its base register with it
 *
 * When a new block would make the memory longer and holes are more than a quarter of what is in use, or it has no more than that, all is moved first:
 * so held stays under 5/4 of what is in use at that time, and a page. Bytes moved are what that costs; a program pays for it by a load
 * more at each access, and by never keeping an address. (Relocation by base register: IBM 7030, CDC 6600; sliding: Haddon and Waite 1967.)
 */
#include <errno.h>
#include <stdlib.h>

#include "base/bits.h"
#include "os/fault.h"
#include "replay/model.h"

#define RATIO 4
#define DEAD  UINT32_MAX

struct piece {
    uint64_t at, size;
    uint32_t block; /* DEAD: a hole, with what may be before the next piece */
    uint32_t align; /* log2 */
};

struct compact_model {
    struct model m;
    uint32_t *piece_of; /* of each block */
    struct piece *piece;
    uint32_t pieces, room, dead;
    uint64_t top; /* where the next block goes */
    uint64_t compactions, moves, bytes_moved, in_place, resized, copied;
};

static struct compact_model *self_of(const struct model *m) { return (struct compact_model *)(uintptr_t)m; }

static void update(struct compact_model *c)
{
    c->m.held = c->m.bound ? c->m.bound : align_up(c->top, MODEL_PAGE);
    c->m.end = c->m.held;
}

/* Dead pieces go; `slide`: and the others move down to where the one before ends. */
static void squeeze(struct compact_model *c, bool slide)
{
    uint32_t to = 0;
    uint64_t at = 0;
    for (uint32_t i = 0; i < c->pieces; i++) {
        struct piece p = c->piece[i];
        if (p.block == DEAD) {
            continue;
        }
        uint64_t place = align_up(at, (uint64_t)1 << p.align);
        bool moves = slide && place != p.at;
        p.at = moves ? place : p.at;
        at = p.at + p.size;
        c->piece[to] = p;
        c->piece_of[p.block] = to++;
        if (moves) {
            c->moves++;
            c->bytes_moved += p.size;
            if (c->m.moved) {
                c->m.moved(c->m.arg, p.block);
            }
        }
    }
    c->pieces = to;
    c->dead = 0;
    c->top = at;
}

static void compact(struct compact_model *c)
{
    squeeze(c, true);
    c->compactions++;
}

static bool make_room(struct compact_model *c)
{
    if (c->pieces < c->room) {
        return true;
    }
    if (c->dead > c->pieces / 2) {
        squeeze(c, false);
        return true;
    }
    uint32_t room = c->room ? c->room + c->room / 2 : 1024;
    struct piece *grown = room < DEAD ? realloc(c->piece, room * sizeof *grown) : NULL;
    if (grown) {
        c->piece = grown;
        c->room = room;
    }
    return grown != NULL;
}

/* Whether [at, at + size) is more than there is, or more than there should be. */
static bool too_far(const struct compact_model *c, uint64_t end)
{
    uint64_t holes = c->top - c->m.used;
    return (c->m.bound && end > c->m.bound) || (end > c->m.held && holes > c->m.used / RATIO && holes >= MODEL_PAGE);
}

/* Sees to it that there is room behind the last block: 0, -ENOSPC or -ENOMEM. */
static int prepare(struct compact_model *c, uint64_t size, uint64_t align)
{
    if (align > (uint64_t)1 << 46) {
        return -ENOSPC;
    }
    if (!make_room(c)) {
        return -ENOMEM;
    }
    if (too_far(c, align_up(c->top, align) + size) && c->top > c->m.used) {
        compact(c);
        update(c);
    }
    uint64_t end = align_up(c->top, align) + size;
    return (c->m.bound && end > c->m.bound) || end > (uint64_t)1 << 62 ? -ENOSPC : 0;
}

static void append(struct compact_model *c, uint32_t block, uint64_t size, uint64_t align)
{
    uint64_t at = align_up(c->top, align);
    c->piece_of[block] = c->pieces;
    c->piece[c->pieces++] = (struct piece){at, size, block, log2_floor(align)};
    c->top = at + size;
    c->m.used += size;
    update(c);
}

static void put(struct compact_model *c, uint32_t piece)
{
    c->m.used -= c->piece[piece].size;
    c->piece[piece].block = DEAD;
    c->dead++;
    while (c->pieces && c->piece[c->pieces - 1].block == DEAD) {
        c->pieces--;
        c->dead--;
    }
    c->top = c->pieces ? c->piece[c->pieces - 1].at + c->piece[c->pieces - 1].size : 0;
    update(c);
}

static int compact_alloc(struct model *m, uint32_t block, uint64_t size, const struct op *op)
{
    struct compact_model *c = self_of(m);
    size = align_up(size, MODEL_ALIGN);
    int failed = prepare(c, size, model_align(op));
    if (!failed) {
        append(c, block, size, model_align(op));
    }
    return failed;
}

static void compact_free(struct model *m, uint32_t block, uint64_t was, const struct op *op)
{
    (void)was;
    (void)op;
    put(self_of(m), self_of(m)->piece_of[block]);
}

/* The last one grows where it is, each shrinks there. */
static int compact_resize(struct model *m, uint32_t block, uint64_t was, uint64_t size, const struct op *op)
{
    (void)op;
    struct compact_model *c = self_of(m);
    uint64_t now = align_up(size, MODEL_ALIGN);
    struct piece *p = &c->piece[c->piece_of[block]];
    bool last = c->piece_of[block] == c->pieces - 1;
    if (now <= p->size || (last && !too_far(c, p->at + now))) {
        c->m.used += now - p->size;
        p->size = now;
        c->top = last ? p->at + now : c->top;
        c->in_place++;
        update(c);
        return 0;
    }
    int failed = prepare(c, now, MODEL_ALIGN);
    if (failed) {
        return failed;
    }
    uint32_t old = c->piece_of[block];
    append(c, block, now, MODEL_ALIGN);
    put(c, old);
    c->resized++;
    c->copied += was < size ? was : size;
    return 0;
}

static int compact_begin(struct model *m)
{
    struct compact_model *c = self_of(m);
    c->piece_of = model_array(m, sizeof *c->piece_of);
    if (!c->piece_of) {
        return -ENOMEM;
    }
    update(c);
    return 0;
}

static void compact_end(struct model *m)
{
    free(self_of(m)->piece_of);
    free(self_of(m)->piece);
}

static void compact_look(struct model *m, struct replay_moment *out)
{
    const struct compact_model *c = self_of(m);
    out->largest_hole = m->held - m->used; /* once all is pushed together */
    out->metadata = c->pieces * (uint64_t)(sizeof *c->piece + sizeof *c->piece_of);
}

static void compact_where(struct model *m, uint32_t block, uint64_t *start, uint64_t *size)
{
    const struct compact_model *c = self_of(m);
    *start = c->piece[c->piece_of[block]].at;
    *size = c->piece[c->piece_of[block]].size;
}

static void compact_count(const struct model *m, struct replay_result *out)
{
    const struct compact_model *c = self_of(m);
    model_count(out, "compactions", c->compactions);
    model_count(out, "blocks moved", c->moves);
    model_count(out, "bytes moved", c->bytes_moved);
    model_count(out, "resized in place", c->in_place);
    model_count(out, "resized by moving", c->resized);
    model_count(out, "bytes copied", c->copied);
}

/* Pieces lie one behind another, and what lives adds up. */
static void compact_check(struct model *m)
{
    const struct compact_model *c = self_of(m);
    uint64_t used = 0, at = 0;
    uint32_t dead = 0;
    for (uint32_t i = 0; i < c->pieces; i++) {
        const struct piece *p = &c->piece[i];
        CHECK(p->at >= at, "compacted heap", p);
        at = p->at + p->size;
        used += p->block == DEAD ? 0 : p->size;
        dead += p->block == DEAD;
    }
    CHECK(at == c->top && used == m->used && dead == c->dead, "compacted heap", c);
}

const struct model_kind model_compact = {.name = "compact",
                                         .bytes = sizeof(struct compact_model),
                                         .has_range = true,
                                         .begin = compact_begin,
                                         .end = compact_end,
                                         .alloc = compact_alloc,
                                         .resize = compact_resize,
                                         .free = compact_free,
                                         .look = compact_look,
                                         .where = compact_where,
                                         .count = compact_count,
                                         .check = compact_check};
