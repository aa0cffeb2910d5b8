/* replay/model_pages.c - pages and segments: memory in frames of 4 KiB that need not lie side by side.
 *
 *   pages      block 7: pages 12 13 14  -> page table -> frames 3 9 4        each block has whole pages of its own
 *
 *   segments   site 5: segment table -> segment's page table -> frames       blocks of a site lie in its segment, first fit, many to a page;
 *              [a][b][  ][c]...                                              a page has a frame while a block lies on it
 *
 * There are no holes between frames, so held is what is in use, rounded to pages: with pages each block's, with segments what blocks
 * leave of theirs. A block that grows beyond its place is mapped elsewhere, with pages, and copied, with segments.
 *
 * Every page of a block is touched once when it is allocated, and its first when it is freed: these are the translations. What is
 * not in a buffer of 64 is walked for through the tables. The machine has 256 GiB: beyond, requests are refused. (Kilburn et al.,
 * "One-level storage system", 1962; segments over pages: Daley and Dennis, "Virtual memory ... in MULTICS", 1968.)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay/paging.h"
#include "replay/range.h"

enum { PAGES, SEGMENTS };

#define SEGMENTS_MOST 1024 /* sites share beyond that */
#define TABLE_ENTRIES 512

/* A space of addresses with a page table. */
struct space {
    struct range range;
    uint32_t *frame;  /* of each page; FRAME_NONE: it has none */
    uint32_t *blocks; /* that lie on it */
    uint64_t room;    /* pages */
};

/* Where a block is. */
struct place {
    uint32_t space, id; /* id: of its range there */
};

struct paged_model {
    struct model m;
    struct place *place; /* of each block */
    struct space *space; /* pages: one; segments: by site */
    uint32_t spaces;
    struct paging frames;
    struct tlb tlb;
    uint64_t most; /* frames that were taken */
    uint64_t in_place, remapped, moved, copied;
};

static struct paged_model *self_of(const struct model *m) { return (struct paged_model *)(uintptr_t)m; }

static void update(struct paged_model *p)
{
    p->m.held = p->frames.taken * FRAME_BYTES;
    p->most = p->frames.taken > p->most ? p->frames.taken : p->most;
}

/* -- frames of pages -- */

struct span {
    uint64_t first, end; /* pages */
};

static struct span pages_of(struct allot_range range)
{
    return (struct span){range.at / FRAME_BYTES, (range.at + range.size - 1) / FRAME_BYTES + 1};
}

static uint64_t key_of(const struct paged_model *p, const struct space *space, uint64_t page)
{
    return (uint64_t)(space - p->space) << 44 | page;
}

static int make_room(struct space *space, uint64_t pages)
{
    if (pages <= space->room) {
        return 0;
    }
    uint64_t room = space->room ? space->room : 64;
    while (room < pages) {
        room *= 2;
    }
    uint32_t *frame = realloc(space->frame, room * sizeof *frame);
    space->frame = frame ? frame : space->frame;
    uint32_t *blocks = realloc(space->blocks, room * sizeof *blocks);
    space->blocks = blocks ? blocks : space->blocks;
    if (!frame || !blocks) {
        return -ENOMEM;
    }
    memset(frame + space->room, 0xff, (room - space->room) * sizeof *frame);
    memset(blocks + space->room, 0, (room - space->room) * sizeof *blocks);
    space->room = room;
    return 0;
}

/* One block more lies on these pages: 0; or -ENOSPC, -ENOMEM and nothing has changed. */
static int cover(struct paged_model *p, struct space *space, struct span pages)
{
    uint64_t wanted = 0, left = p->frames.most - p->frames.taken;
    if (pages.end - pages.first > p->frames.most || pages.end > 4 * FRAMES_MOST) {
        return -ENOSPC;
    }
    int failed = make_room(space, pages.end);
    for (uint64_t page = pages.first; page < pages.end && !failed; page++) {
        wanted += space->blocks[page] == 0;
    }
    if (failed || wanted > left) {
        return failed ? failed : -ENOSPC;
    }
    for (uint64_t page = pages.first; page < pages.end; page++) {
        if (space->blocks[page]++ == 0) {
            space->frame[page] = paging_take(&p->frames);
        }
        tlb_touch(&p->tlb, key_of(p, space, page));
    }
    return 0;
}

static void uncover(struct paged_model *p, struct space *space, struct span pages)
{
    for (uint64_t page = pages.first; page < pages.end; page++) {
        if (--space->blocks[page] == 0) {
            paging_give(&p->frames, space->frame[page]);
            space->frame[page] = FRAME_NONE;
            tlb_forget(&p->tlb, key_of(p, space, page));
        }
    }
}

/* -- blocks -- */

static uint64_t unit_of(const struct paged_model *p) { return p->m.kind->option == PAGES ? FRAME_BYTES : MODEL_ALIGN; }

static int find_space(struct paged_model *p, const struct op *op, uint32_t *out)
{
    *out = p->m.kind->option == PAGES ? 0 : op->site % SEGMENTS_MOST;
    struct space *space = &p->space[*out];
    if (space->range.region.state) {
        return 0;
    }
    int failed =
        range_begin(&space->range, ALLOT_FIRST, unit_of(p), p->m.kind->option == PAGES ? p->m.ops->peak_live : 0, 0);
    p->spaces += !failed;
    return failed;
}

static int get(struct paged_model *p, uint64_t size, const struct op *op, struct place *out)
{
    struct allot_range range;
    if (size > p->frames.most * FRAME_BYTES || op->align > 32) {
        return -ENOSPC;
    }
    int failed = find_space(p, op, &out->space);
    if (failed) {
        return failed;
    }
    struct space *space = &p->space[out->space];
    if ((failed = range_take(&space->range, size, model_align(op), &range)) == 0) {
        out->id = range.id;
        failed = cover(p, space, pages_of(range));
        if (failed) {
            range_give(&space->range, &range);
        } else {
            p->m.used += range.size;
        }
    }
    return failed;
}

static void put(struct paged_model *p, struct place place)
{
    struct space *space = &p->space[place.space];
    struct allot_range range = range_of(&space->range, place.id);
    struct span pages = pages_of(range);
    tlb_touch(&p->tlb, key_of(p, space, pages.first));
    uncover(p, space, pages);
    p->m.used -= range.size;
    range_give(&space->range, &range);
}

static int paged_alloc(struct model *m, uint32_t block, uint64_t size, const struct op *op)
{
    struct paged_model *p = self_of(m);
    int failed = get(p, size, op, &p->place[block]);
    update(p);
    return failed;
}

static void paged_free(struct model *m, uint32_t block, uint64_t was, const struct op *op)
{
    (void)was;
    (void)op;
    struct paged_model *p = self_of(m);
    put(p, p->place[block]);
    update(p);
}

static const void *paged_known(const struct model *m, uint32_t block, unsigned step)
{
    const struct paged_model *p = self_of(m);
    const struct place *place = &p->place[block];
    return step == 0 ? (const void *)place : range_known(&p->space[place->space].range, place->id, step - 1);
}

/* Where it is, if addresses behind it are free: what is new is covered, what is not wanted any more is not. */
static int resize_in_place(struct paged_model *p, struct place place, uint64_t size)
{
    struct space *space = &p->space[place.space];
    struct allot_range range = range_of(&space->range, place.id), was = range;
    int failed = size > p->frames.most * FRAME_BYTES ? -ENOSPC : range_resize(&space->range, &range, size);
    if (failed) {
        return failed;
    }
    struct span before = pages_of(was), now = pages_of(range);
    if (now.end > before.end) {
        failed = cover(p, space, (struct span){before.end, now.end});
    } else {
        uncover(p, space, (struct span){now.end, before.end});
    }
    if (failed) {
        range_resize(&space->range, &range, was.size);
        return failed;
    }
    p->m.used += range.size - was.size;
    return 0;
}

/* A block of whole pages moves by its entries: the frames stay, those that it has too few are taken. */
static int remap(struct paged_model *p, struct place *place, uint64_t size)
{
    struct space *space = &p->space[place->space];
    struct allot_range from = range_of(&space->range, place->id), to;
    uint64_t have = from.size / FRAME_BYTES;
    int failed = range_take(&space->range, size, FRAME_BYTES, &to);
    if (failed) {
        return failed;
    }
    struct span now = pages_of(to), before = pages_of(from);
    failed = cover(p, space, (struct span){now.first + have, now.end});
    if (failed) {
        range_give(&space->range, &to);
        return failed;
    }
    for (uint64_t i = 0; i < have; i++) {
        space->frame[now.first + i] = space->frame[before.first + i];
        space->blocks[now.first + i] = 1;
        space->frame[before.first + i] = FRAME_NONE;
        space->blocks[before.first + i] = 0;
        tlb_forget(&p->tlb, key_of(p, space, before.first + i));
    }
    range_give(&space->range, &from);
    place->id = to.id;
    p->m.used += to.size - from.size;
    p->remapped++;
    return 0;
}

static int paged_resize(struct model *m, uint32_t block, uint64_t was, uint64_t size, const struct op *op)
{
    struct paged_model *p = self_of(m);
    struct place place = p->place[block];
    int failed = resize_in_place(p, place, size);
    if (!failed) {
        p->in_place++;
    } else if (failed == -ENOSPC && m->kind->option == PAGES) {
        failed = remap(p, &p->place[block], size);
    } else if (failed == -ENOSPC && (failed = get(p, size, op, &p->place[block])) == 0) {
        put(p, place);
        p->moved++;
        p->copied += was < size ? was : size;
    }
    if (failed) {
        p->place[block] = place;
    }
    update(p);
    return failed;
}

/* -- beginning, end, and what is told -- */

static void paged_end(struct model *m)
{
    struct paged_model *p = self_of(m);
    for (uint32_t i = 0; i < SEGMENTS_MOST && p->space; i++) {
        range_end(&p->space[i].range);
        free(p->space[i].frame);
        free(p->space[i].blocks);
    }
    free(p->space);
    free(p->place);
    paging_end(&p->frames);
}

static int paged_begin(struct model *m)
{
    struct paged_model *p = self_of(m);
    p->place = model_array(m, sizeof *p->place);
    p->space = calloc(SEGMENTS_MOST, sizeof *p->space);
    if (!p->place || !p->space || paging_begin(&p->frames, m->bound ? m->bound / FRAME_BYTES : FRAMES_MOST) != 0) {
        free(p->place);
        free(p->space);
        return -ENOMEM;
    }
    return 0;
}

/* Entries of 8 bytes: tables of 512 for pages, and the tables above; of a segment as many as it is long, and 16 bytes for itself. */
static void paged_look(struct model *m, struct replay_moment *out)
{
    const struct paged_model *p = self_of(m);
    for (uint32_t i = 0; i < SEGMENTS_MOST; i++) {
        if (!p->space[i].range.region.state) {
            continue;
        }
        uint64_t pages = p->space[i].range.top / FRAME_BYTES;
        if (m->kind->option == SEGMENTS) {
            out->metadata += 16 + 8 * pages;
        }
        for (uint64_t entries = pages; m->kind->option == PAGES && entries > 1;) {
            entries = (entries + TABLE_ENTRIES - 1) / TABLE_ENTRIES;
            out->metadata += entries * FRAME_BYTES;
        }
        out->metadata += range_metadata(&p->space[i].range);
    }
}

static void paged_where(struct model *m, uint32_t block, uint64_t *start, uint64_t *size)
{
    const struct paged_model *p = self_of(m);
    struct allot_range range = range_of(&p->space[p->place[block].space].range, p->place[block].id);
    *start = range.at;
    *size = range.size;
}

/* Where it lies in frames: those side by side as one. */
static void paged_pieces(struct model *m, uint32_t block, model_visit *visit, void *arg)
{
    const struct paged_model *p = self_of(m);
    const struct space *space = &p->space[p->place[block].space];
    struct allot_range range = range_of(&space->range, p->place[block].id);
    uint64_t start = 0, length = 0;
    for (uint64_t at = range.at, end = range.at + range.size; at < end;) {
        uint64_t next = (at / FRAME_BYTES + 1) * FRAME_BYTES, until = next < end ? next : end;
        uint64_t real = space->frame[at / FRAME_BYTES] * (uint64_t)FRAME_BYTES + at % FRAME_BYTES;
        if (length && real != start + length) {
            visit(arg, start, length);
            length = 0;
        }
        start = length ? start : real;
        length += until - at;
        at = until;
    }
    visit(arg, start, length);
}

static void paged_count(const struct model *m, struct replay_result *out)
{
    const struct paged_model *p = self_of(m);
    model_count(out, "translations", p->tlb.translations);
    model_count(out, "walks", p->tlb.walks);
    model_count(out, "frames at most", p->most);
    if (m->kind->option == SEGMENTS) {
        model_count(out, "segments", p->spaces);
    }
    model_count(out, "resized in place", p->in_place);
    model_count(out, "resized by moving", p->moved + p->remapped);
    model_count(out, "bytes copied", p->copied);
}

static void paged_check(struct model *m)
{
    const struct paged_model *p = self_of(m);
    for (uint32_t i = 0; i < SEGMENTS_MOST; i++) {
        if (p->space[i].range.region.state) {
            allot_region_check(&p->space[i].range.region);
        }
    }
}

#define PAGED_MODEL(variable, text, which)                                   \
    const struct model_kind variable = {.name = text,                        \
                                        .bytes = sizeof(struct paged_model), \
                                        .has_range = true,                   \
                                        .option = which,                     \
                                        .begin = paged_begin,                \
                                        .end = paged_end,                    \
                                        .alloc = paged_alloc,                \
                                        .resize = paged_resize,              \
                                        .free = paged_free,                  \
                                        .known = paged_known,                \
                                        .look = paged_look,                  \
                                        .where = paged_where,                \
                                        .pieces = paged_pieces,              \
                                        .count = paged_count,                \
                                        .check = paged_check}

PAGED_MODEL(model_pages, "pages", PAGES);
PAGED_MODEL(model_segments, "segments", SEGMENTS);
