/* heap/stats.c - figures, derived when asked for: malloc and free count nothing.
 *
 * A survey visits every slab header once, and what threads have at hand. While they work it reads what they are
 * changing; a figure is then one that was true at some moment, within what they did meanwhile.
 */
#include <string.h>

#include <allot/malloc.h>

#include "heap/guard.h"
#include "heap/hard.h"
#include "heap/heap.h"
#include "heap/instance.h"
#include "heap/limit.h"
#include "heap/nothing.h"
#include "heap/part.h"
#include "heap/typed.h"
#include "os/memory.h"
#include "span/large.h"
#include "span/map.h"
#include "span/run.h"

struct survey {
    struct {
        size_t out, bytes, slabs, slots; /* bytes: of what is out */
    } class[CLASSES];
    size_t blocks, bytes; /* live, in slots */
    size_t slabs, threads;
    struct stats_tables *cells; /* NULL: they are not wanted */
    size_t place;               /* units before, in the order of segments */
};

static struct os_lock lock; /* guards the survey's marks in the heaps */

/* Bytes live in unit i of the segment at hand. */
static void survey_cell(struct survey *survey, unsigned i, size_t bytes)
{
    struct stats_tables *t = survey->cells;
    size_t at = t ? (survey->place + i - 1) / t->cell_units : 0;
    if (t && at < t->cells_most) {
        t->cell[at] += (uint32_t)bytes;
        t->cells = size_max(t->cells, at + 1);
    }
}

static void survey_slab(struct survey *survey, const struct slab *s)
{
    size_t slots = slab_nslots(s), out = size_min(slab_out(s), slots); /* more: its owner is about to change it */
    if (atomic_load_explicit(&s->pending, memory_order_relaxed)) {
        for (unsigned w = 0; w < slab_words(s); w++) {
            size_t freed = count_bits(atomic_load_explicit(unit_remote_word(&s->unit, w), memory_order_relaxed));
            out -= size_min(freed, out);
        }
    }
    unsigned c = class_untuned(s->klass % ALL_CLASSES);
    survey_cell(survey, unit_index(&s->unit), out * slab_stride(s));
    survey->class[c].out += out;
    survey->class[c].bytes += out * slab_stride(s);
    survey->class[c].slots += slots;
    survey->class[c].slabs++;
    survey->slabs++;
    struct heap *h = heap_by_id(slab_owner(s));
    if (h) {
        h->seen_live += out * slab_stride(s);
        h->seen_slabs++;
    }
}

/* A run over several units counts where it begins, and in those that follow. */
static void survey_runs(struct survey *survey, struct segment *segment)
{
    const struct run_map *map = run_map_of(segment);
    for (size_t page = RUN_FIRST_PAGE; survey->cells && page < RUN_PAGES; page++) {
        size_t length = __atomic_load_n(&map->length[page], __ATOMIC_RELAXED);
        for (size_t p = page; p < page + length && p < RUN_PAGES; p++) {
            survey_cell(survey, (unsigned)(p * RUN_PAGE / UNIT_SIZE), RUN_PAGE);
        }
        page += length ? length - 1 : 0;
    }
}

static void survey_segments(struct survey *survey)
{
    for (struct segment *segment = segments_newest(); segment; segment = segment->older, survey->place += UNITS - 1) {
        if (segment->kind == SEGMENT_RUNS) {
            survey_runs(survey, segment);
        }
        for (unsigned i = 1; i < UNITS && segment->kind == SEGMENT_UNITS; i++) {
            const struct slab *s = (struct slab *)segment_unit(segment, i);
            if (slab_owner(s) < OWNER_LIMIT && s->stride16 != 0) {
                survey_slab(survey, s);
            }
        }
    }
}

/* Takes off what is out but not live: at hand. */
static void survey_list(struct survey *survey, const struct block *b)
{
    if (!b) {
        return;
    }
    const struct slab *s = slab_of(b);
    unsigned c = class_untuned(s->klass % ALL_CLASSES);
    struct heap *owner = heap_by_id(slab_owner(s));
    size_t n = size_min(slab_follow(s, b, NULL), survey->class[c].out);
    survey->class[c].out -= n;
    survey->class[c].bytes -= size_min(n * slab_stride(s), survey->class[c].bytes);
    if (owner) {
        owner->seen_live -= size_min(n * slab_stride(s), owner->seen_live);
    }
}

static void survey_front(struct survey *survey, const struct front *f)
{
    for (unsigned i = 0; i < LISTS; i++) {
        survey_list(survey, f->list[i]);
    }
}

/* Takes off what is out but held back. */
static void survey_waiting(struct survey *survey, const struct heap *h)
{
    for (unsigned c = 0; c < CLASSES; c++) {
        const struct waiting *q = &h->hard->waiting[c];
        for (unsigned i = 0; q->ring && i < q->most; i++) {
            const void *p = __atomic_load_n(&q->ring[i], __ATOMIC_RELAXED);
            if (p && survey->class[c].out) {
                struct heap *owner = heap_by_id(slab_owner(slab_of(p)));
                survey->class[c].out--;
                survey->class[c].bytes -= class_size(c);
                owner->seen_live -= size_min(class_size(c), owner->seen_live);
            }
        }
    }
}

static void survey_heap(struct survey *survey, const struct heap *h)
{
    if (h->hard) {
        survey_waiting(survey, h);
        return;
    }
    for (unsigned i = 0; i < 2 * MID_CLASSES; i++) {
        survey_list(survey, h->mid[i]);
    }
    bool private = atomic_load_explicit(&h->state, memory_order_relaxed) == HEAP_PRIVATE;
    if (private || ((h->id & ID_TAGGED) && h->front)) {
        survey_front(survey, h->front);
    }
}

/* With the lock held. */
static void survey_all(struct survey *survey, struct stats_tables *cells)
{
    memset(survey, 0, sizeof *survey);
    survey->cells = cells;
    for (struct heap *h = heaps_newest(); h; h = h->older) {
        h->seen_live = h->seen_slabs = 0;
    }
    survey_segments(survey);
    for (const struct front *f = fronts_first(); f; f = f->next) {
        survey_front(survey, f);
        if (f->aside) {
            survey_front(survey, f->aside);
        }
        survey->threads++;
    }
    for (struct heap *h = heaps_newest(); h; h = h->older) {
        if (!heap_is_lost(h)) {
            survey_heap(survey, h);
        }
    }
    for (unsigned c = 0; c < CLASSES; c++) {
        survey->blocks += survey->class[c].out;
        survey->bytes += survey->class[c].bytes;
    }
    survey->blocks += nothing_count();
}

static size_t hugetlb_segments(void)
{
    size_t segments = 0;
    for (const struct segment *segment = segments_newest(); segment; segment = segment->older) {
        segments += segment->hugetlb;
    }
    return segments;
}

static struct allot_stats totals(const struct survey *survey)
{
    struct run_totals runs = runs_totals();
    struct large_totals large = large_totals();
    struct guard_totals guarded = guard_totals();
    struct part_totals parts = part_totals(); /* are no blocks */
    runs.bytes -= size_min(parts.runs_bytes, runs.bytes);
    runs.runs -= size_min(parts.runs, runs.runs);
    size_t data_large = large.bytes;
    large.bytes -= size_min(parts.large_bytes, large.bytes);
    large.blocks -= size_min(parts.large, large.blocks);
    size_t live = survey->bytes + runs.bytes + large.bytes + guarded.bytes;
    size_t mapped = os_mapped(), data = segments_count() * (SEGMENT_SIZE - UNIT_SIZE) + data_large + large.kept;
    return (struct allot_stats){
        .live = live,
        .blocks = survey->blocks + runs.runs + large.blocks + guarded.blocks,
        .peak = size_max(bytes_peak(), live),
        .mapped = mapped,
        .held = atomic_load_explicit(&limit_held, memory_order_relaxed),
        .kept = segments_kept() + runs_kept() + large.kept,
        .given_back = os_given_back(),
        .runs = runs.bytes,
        .run_blocks = runs.runs,
        .large = large.bytes,
        .large_blocks = large.blocks,
        .metadata = mapped - size_min(data, mapped),
        .segments = segments_count(),
        .threads = survey->threads,
        .hugetlb = hugetlb_segments() * SEGMENT_SIZE + large.hugetlb,
    };
}

static size_t list_classes(const struct survey *survey, struct allot_class_stats *out, size_t max)
{
    size_t n = 0;
    for (unsigned c = 0; c < CLASSES; c++) {
        if (survey->class[c].slabs == 0) {
            continue;
        }
        if (n < max) {
            out[n] = (struct allot_class_stats){
                .size = class_size(c),
                .blocks = survey->class[c].out,
                .free = survey->class[c].slots - survey->class[c].out,
                .slabs = survey->class[c].slabs,
            };
        }
        n++;
    }
    return n;
}

static enum allot_heap_kind kind_of(const struct heap *h)
{
    switch ((enum heap_state)atomic_load_explicit(&h->state, memory_order_relaxed)) {
    case HEAP_IDLE:
        return ALLOT_HEAP_WAITING;
    case HEAP_SHARED:
        return ALLOT_HEAP_SHARED;
    case HEAP_PRIVATE:
        return typed_is_own(h) ? ALLOT_HEAP_TAGGED : ALLOT_HEAP_PRIVATE;
    case HEAP_ACTIVE:
        break;
    }
    return heap_is_lost(h) ? ALLOT_HEAP_LOST : h->id & ID_TAGGED ? ALLOT_HEAP_TAGGED : ALLOT_HEAP_THREAD;
}

static size_t least_held(const struct allot_heap_stats *heap, size_t n)
{
    size_t least = 0;
    for (size_t i = 1; i < n; i++) {
        least = heap[i].held < heap[least].held ? i : least;
    }
    return least;
}

/* With the lock held, since the marks are read. */
static size_t list_heaps(struct allot_heap_stats *out, size_t max)
{
    size_t n = 0;
    for (struct heap *h = heaps_newest(); h; h = h->older) {
        if (h->seen_slabs == 0) {
            continue;
        }
        struct allot_heap_stats row = {
            .id = h->id & ID_NUMBER,
            .kind = kind_of(h),
            .live = h->seen_live,
            .held = h->seen_slabs * UNIT_SIZE,
            .slabs = h->seen_slabs,
        };
        row.tid = row.kind <= ALLOT_HEAP_TAGGED ? h->tid : 0;
        size_t at = n < max || max == 0 ? n : least_held(out, max);
        if (n < max || (max && row.held > out[at].held)) {
            out[at] = row;
        }
        n++;
    }
    return n;
}

void allot_stats(struct allot_stats *out)
{
    const struct instance *first = instance_in_use();
    if (first) {
        first->stats(out);
        return;
    }
    struct survey survey;
    os_lock(&lock);
    survey_all(&survey, NULL);
    os_unlock(&lock);
    *out = totals(&survey);
}

size_t allot_stats_classes(struct allot_class_stats *out, size_t max)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->stats_classes(out, max);
    }
    struct survey survey;
    os_lock(&lock);
    survey_all(&survey, NULL);
    os_unlock(&lock);
    return list_classes(&survey, out, max);
}

size_t allot_stats_heaps(struct allot_heap_stats *out, size_t max)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->stats_heaps(out, max);
    }
    struct survey survey;
    os_lock(&lock);
    survey_all(&survey, NULL);
    size_t n = list_heaps(out, max);
    os_unlock(&lock);
    return n;
}

bool stats_try(struct stats_tables *out)
{
    struct survey survey;
    if (!os_try_lock(&lock)) {
        return false;
    }
    out->cells = 0;
    for (out->cell_units = 1; segments_count() * (UNITS - 1) > out->cells_most * out->cell_units;) {
        out->cell_units *= 2;
    }
    if (out->cells_most) {
        memset(out->cell, 0, out->cells_most * sizeof *out->cell);
    }
    survey_all(&survey, out->cells_most ? out : NULL);
    out->heaps = list_heaps(out->heap, out->heaps_most);
    os_unlock(&lock);
    out->all = totals(&survey);
    out->classes = list_classes(&survey, out->class, out->classes_most);
    return true;
}

size_t allot_resident(void)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->resident();
    }
    size_t bytes = 0;
    for (struct segment *segment = segments_newest(); segment; segment = segment->older) {
        bytes += os_resident(segment, SEGMENT_SIZE);
    }
    return bytes + large_resident();
}

void stats_lock(void) { os_lock(&lock); }

void stats_unlock(void) { os_unlock(&lock); }

void stats_lock_reset(void) { os_lock_reset(&lock); }
