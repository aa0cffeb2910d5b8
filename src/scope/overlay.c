/* scope/overlay.c - entering and leaving the segments of an overlay. See include/allot/overlay.h.
 *
 *   a segment:   absent --enter: load--> held --leave--> present, not held --enter--> held
 *                  ^                                          |
 *                  `---- another takes the place: save -------'
 *
 * Two relations, a bitmap for each segment, decide all: those it never lives with, one of which being held refuses it; and of these
 * those whose places its own meets, which go when it comes. What is present never overlaps, and what is held is present.
 */
#include <errno.h>
#include <string.h>

#include <allot/malloc.h>

#include "base/bits.h"
#include "os/fault.h"
#include "os/owned.h"
#include "os/watch.h"
#include "scope/overlay.h"

struct allot_overlay_place {
    size_t at, size; /* bytes; the size as it was rounded up */
    size_t held;     /* how many times it was entered and not left */
};

static char *place_of(const struct allot_overlay *o, size_t i) { return o->area + o->place[i].at; }

static const char *name_of(const struct allot_overlay *o, size_t i)
{
    return o->segs[i].name ? o->segs[i].name : "overlay segment";
}

static bool overlap(const struct allot_overlay *o, size_t i, size_t j)
{
    const struct allot_overlay_place *a = &o->place[i], *b = &o->place[j];
    return a->at < b->at + b->size && b->at < a->at + a->size;
}

/* -- the state's memory: all of it in one block, which begins with the places -- */

static size_t state_bytes(size_t n, size_t words)
{
    return n * sizeof(struct allot_overlay_place) + (2 * n * words + 2 * words) * sizeof(uint64_t);
}

static void read_graph(struct allot_overlay *o, const struct overlay_graph *g)
{
    for (size_t i = 0; i < o->n; i++) {
        uint64_t *excludes = overlay_row(o->excludes, o->words, i), *displaces = overlay_row(o->displaces, o->words, i);
        const uint64_t *together = overlay_row(g->together, g->words, i);
        for (size_t w = 0; w < o->words; w++) {
            excludes[w] = ~together[w] & bitmap_word_mask(w, 0, o->n);
        }
        bitmap_clear(excludes, i);
        for (size_t j = bitmap_next_set(excludes, 0, o->n); j < o->n; j = bitmap_next_set(excludes, j + 1, o->n)) {
            if (overlap(o, i, j)) {
                bitmap_set(displaces, j);
            }
        }
    }
}

static int fill(struct allot_overlay *o, void *area, size_t size, const struct overlay_graph *g)
{
    o->place = allot_calloc(1, state_bytes(o->n, o->words));
    size_t *at = o->place ? allot_malloc(o->n * sizeof *at) : NULL;
    int failed = at ? overlay_lay_out(g, at, &o->layout) : -ENOMEM;
    for (size_t i = 0; i < o->n && !failed; i++) {
        o->place[i] = (struct allot_overlay_place){.at = at[i], .size = g->size[i]};
    }
    allot_free(at);
    if (failed) {
        return failed;
    }
    o->excludes = (uint64_t *)(o->place + o->n);
    o->displaces = o->excludes + o->n * o->words;
    o->held = o->displaces + o->n * o->words;
    o->present = o->held + o->words;
    read_graph(o, g);
    o->own = !area;
    o->area = area ? area : allot_aligned_alloc(g->align, o->layout.area);
    if (!o->area) {
        return -ENOMEM;
    }
    return !o->own && size < o->layout.area ? -ENOSPC : 0;
}

int allot_overlay_init(struct allot_overlay *o, void *area, size_t size, const struct allot_overlay_seg *segs, size_t n,
                       const struct allot_overlay_opts *opts)
{
    struct overlay_graph g;
    int failed = overlay_graph_init(&g, segs, n, opts);
    if (failed) {
        return failed;
    }
    *o =
        (struct allot_overlay){.segs = segs, .n = n, .words = g.words, .align = g.align, .watched = os_parts_watched()};
    failed = (uintptr_t)area % g.align ? -EINVAL : fill(o, area, size, &g);
    overlay_graph_done(&g);
    if (failed) {
        allot_free(o->place);
        *o = (struct allot_overlay){0};
        return failed;
    }
    os_owned_add(o->place, OS_OWNED_OVERLAY, opts ? opts->name : NULL, (uintptr_t)o->area, o->layout.area);
    if (o->watched) {
        os_watch_deny(o->area, o->layout.area);
    }
    return 0;
}

/* -- coming and going ------------------------------------------------------------------------------------------- */

static void allow(const struct allot_overlay *o, size_t i)
{
    if (o->watched) {
        os_watch_allow(place_of(o, i), o->segs[i].size);
    }
}

static void deny(const struct allot_overlay *o, size_t i)
{
    if (o->watched) {
        os_watch_deny(place_of(o, i), o->place[i].size);
    }
}

/* 0 or -errno. It may be touched meanwhile. */
static int save(struct allot_overlay *o, size_t i)
{
    const struct allot_overlay_seg *seg = &o->segs[i];
    if (seg->image ? seg->constant : !seg->save) {
        return 0;
    }
    int failed = 0;
    if (seg->image) {
        memcpy(seg->image, place_of(o, i), seg->size);
    } else {
        failed = seg->save(seg->arg, place_of(o, i), seg->size);
    }
    o->saves += !failed;
    return failed;
}

static int load(struct allot_overlay *o, size_t i)
{
    const struct allot_overlay_seg *seg = &o->segs[i];
    if (!seg->image && !seg->load) {
        if (o->watched) {
            os_watch_undefined(place_of(o, i), seg->size);
        }
        return 0;
    }
    allow(o, i);
    int failed = 0;
    if (seg->image) {
        memcpy(place_of(o, i), seg->image, seg->size);
    } else {
        failed = seg->load(seg->arg, place_of(o, i), seg->size);
    }
    o->loads += !failed;
    if (failed) {
        deny(o, i);
    }
    return failed;
}

/* Saves it, if it may not be touched now. */
static int save_absent(struct allot_overlay *o, size_t i)
{
    allow(o, i);
    int failed = save(o, i);
    deny(o, i);
    return failed;
}

/* Makes it present: 0 or -errno. */
static int bring(struct allot_overlay *o, size_t i)
{
    const uint64_t *displaces = overlay_row(o->displaces, o->words, i);
    for (size_t w = 0; w < o->words; w++) {
        for (uint64_t go = displaces[w] & o->present[w]; go != 0; go &= go - 1) {
            size_t j = w * 64 + lowest_bit(go);
            int failed = save_absent(o, j);
            if (failed) {
                return failed;
            }
            bitmap_clear(o->present, j);
        }
    }
    int failed = load(o, i);
    if (!failed) {
        bitmap_set(o->present, i);
    }
    return failed;
}

static bool any_common(const uint64_t *a, const uint64_t *b, size_t words)
{
    uint64_t common = 0;
    for (size_t w = 0; w < words; w++) {
        common |= a[w] & b[w];
    }
    return common != 0;
}

void *allot_overlay_enter(struct allot_overlay *o, unsigned i)
{
    if (i >= o->n) {
        allot_fault("enter of what is no segment", "overlay", o);
    }
    struct allot_overlay_place *place = &o->place[i];
    if (place->held == 0) {
        int failed = any_common(overlay_row(o->excludes, o->words, i), o->held, o->words) ? -EBUSY : 0;
        if (!failed && bitmap_test(o->present, i)) {
            allow(o, i);
        } else if (!failed) {
            failed = bring(o, i);
        }
        if (failed) {
            o->refused++;
            errno = -failed;
            return NULL;
        }
        bitmap_set(o->held, i);
    }
    place->held++;
    return place_of(o, i);
}

void allot_overlay_leave(struct allot_overlay *o, unsigned i)
{
    if (i >= o->n) {
        allot_fault("leave of what is no segment", "overlay", o);
    }
    if (o->place[i].held == 0) {
        allot_fault("leave of a segment that is not held", name_of(o, i), place_of(o, i));
    }
    if (--o->place[i].held == 0) {
        bitmap_clear(o->held, i);
        deny(o, i);
    }
}

int allot_overlay_save(struct allot_overlay *o)
{
    int first = 0;
    for (size_t i = bitmap_next_set(o->present, 0, o->n); i < o->n; i = bitmap_next_set(o->present, i + 1, o->n)) {
        int failed = bitmap_test(o->held, i) ? save(o, i) : save_absent(o, i);
        first = first ? first : failed;
    }
    return first;
}

void allot_overlay_done(struct allot_overlay *o)
{
    for (size_t i = 0; i < o->n; i++) {
        if (o->place[i].held != 0) {
            allot_fault("done of an overlay with a segment held", name_of(o, i), place_of(o, i));
        }
    }
    if (o->watched && o->area) {
        os_watch_undefined(o->area, o->layout.area);
    }
    if (o->own) {
        allot_free(o->area);
    }
    os_owned_remove(o->place);
    allot_free(o->place);
    *o = (struct allot_overlay){0};
}

/* -- what it can tell ------------------------------------------------------------------------------------------- */

void allot_overlay_stats(const struct allot_overlay *o, struct allot_overlay_stats *out)
{
    *out = (struct allot_overlay_stats){.layout = o->layout, .loads = o->loads, .saves = o->saves};
    for (size_t i = 0; i < o->n; i++) {
        bool held = bitmap_test(o->held, i);
        out->use.count += held;
        out->use.used += held ? o->place[i].size : 0;
        out->present += bitmap_test(o->present, i) ? o->place[i].size : 0;
    }
    out->use.held = out->use.peak = o->layout.area + state_bytes(o->n, o->words);
    out->use.refused = o->refused;
}

/* Denies what no held segment lies in: from one of them on to the next. */
static void deny_the_rest(const struct allot_overlay *o)
{
    size_t at = 0;
    while (at < o->layout.area) {
        size_t next = o->n, begins = o->layout.area;
        for (size_t i = bitmap_next_set(o->held, 0, o->n); i < o->n; i = bitmap_next_set(o->held, i + 1, o->n)) {
            if (o->place[i].at >= at && o->place[i].at < begins) {
                next = i;
                begins = o->place[i].at;
            }
        }
        os_watch_deny(o->area + at, begins - at);
        at = next < o->n ? begins + o->place[next].size : begins;
    }
}

bool allot_overlay_check(const struct allot_overlay *o)
{
    CHECK(o->layout.clique <= o->layout.area && o->layout.area <= o->layout.total, "overlay", o);
    for (size_t i = 0; i < o->n; i++) {
        const struct allot_overlay_place *p = &o->place[i];
        const uint64_t *excludes = overlay_row(o->excludes, o->words, i);
        const uint64_t *displaces = overlay_row(o->displaces, o->words, i);
        bool held = bitmap_test(o->held, i), present = bitmap_test(o->present, i);
        CHECK(p->at % o->align == 0 && p->at + p->size <= o->layout.area, name_of(o, i), place_of(o, i));
        CHECK(held == (p->held > 0) && (!held || present), name_of(o, i), place_of(o, i));
        CHECK(!held || !any_common(excludes, o->held, o->words), name_of(o, i), place_of(o, i));
        CHECK(!present || !any_common(displaces, o->present, o->words), name_of(o, i), place_of(o, i));
        for (size_t j = 0; j < i; j++) {
            bool apart = !overlap(o, i, j), excluded = bitmap_test(excludes, j);
            CHECK(excluded == bitmap_test(overlay_row(o->excludes, o->words, j), i), name_of(o, i), place_of(o, i));
            CHECK(apart || excluded, name_of(o, i), place_of(o, i));
            CHECK(bitmap_test(displaces, j) == (excluded && !apart), name_of(o, i), place_of(o, i));
        }
    }
    if (o->watched) {
        deny_the_rest(o);
    }
    return true;
}
