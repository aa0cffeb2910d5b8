/* See rows.h. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <allot/malloc.h>

#include "control.h"
#include "top/rows.h"
#include "words.h"

const char *const rows_names[ROWS_VIEWS] = {"sites", "classes", "threads", "tags"};
const char *const rows_sorts[ROWS_SORTS] = {"live", "rate", "blocks", "total", "since"};

struct rows_text rows_rate_bytes(double rate)
{
    struct rows_text out = {"-"};
    if (rate >= 0) {
        snprintf(out.text, sizeof out.text, "%.24s/s", words_bytes(rate < 1e18 ? (uint64_t)rate : (uint64_t)1e18).text);
    }
    return out;
}

struct rows_text rows_rate_count(double rate)
{
    struct rows_text out = {"-"};
    if (rate >= 0) {
        const char *unit = rate >= 1e6 ? " M" : rate >= 1e4 ? " k" : "";
        double value = rate >= 1e6 ? rate / 1e6 : rate >= 1e4 ? rate / 1e3 : rate;
        snprintf(out.text, sizeof out.text, "%.*f%s/s", *unit && value < 100 ? 1 : 0, value, unit);
    }
    return out;
}

static void put_name(struct rows_row *row, const char *name)
{
    FILE *to = fmemopen(row->name, sizeof row->name, "w");
    row->name[0] = 0;
    if (to) {
        words_put(to, name, sizeof row->name / 4);
        fclose(to);
    }
    row->name[sizeof row->name - 1] = 0;
}

static size_t limit(uint64_t count, size_t most) { return count < most ? (size_t)count : most; }

/* -- sites: stacks whose place is the same are one -- */

struct spot {
    const char *label;
    struct allot_control_site sum;
    double rate;
    int64_t since;
    uint64_t widest;
    uint32_t site;
};

struct spots {
    struct spot spot[ALLOT_CONTROL_SITES];
    size_t count;
};

static void add_site(struct spots *spots, const struct feed_site *site, uint32_t index, const char *label)
{
    size_t i = 0;
    while (i < spots->count && strcmp(spots->spot[i].label, label) != 0) {
        i++;
    }
    struct spot *s = &spots->spot[i];
    if (i == spots->count) {
        *s = (struct spot){.label = label, .rate = -1, .site = index};
        spots->count++;
    }
    s->sum.live_bytes += site->is.live_bytes;
    s->sum.live_blocks += site->is.live_blocks;
    s->sum.alloc_bytes += site->is.alloc_bytes;
    s->sum.alloc_blocks += site->is.alloc_blocks;
    s->sum.samples += site->is.samples;
    s->since = (int64_t)((uint64_t)s->since + (uint64_t)site->since);
    s->rate = site->bytes_rate < 0 ? s->rate : (s->rate < 0 ? 0 : s->rate) + site->bytes_rate;
    if (site->is.live_bytes > s->widest) {
        s->widest = site->is.live_bytes;
        s->site = index;
    }
}

static double figure(const struct spot *s, enum rows_sort sort)
{
    switch (sort) {
    case ROWS_RATE:
        return s->rate;
    case ROWS_BLOCKS:
        return (double)s->sum.live_blocks;
    case ROWS_TOTAL:
        return (double)s->sum.alloc_bytes;
    case ROWS_SINCE:
        return (double)s->since;
    default:
        return (double)s->sum.live_bytes;
    }
}

static int compare_spots(const void *a, const void *b, void *arg)
{
    const struct spot *x = a, *y = b;
    enum rows_sort sort = *(enum rows_sort *)arg;
    double one = figure(x, sort), other = figure(y, sort);
    return one != other                               ? (one < other ? 1 : -1)
           : x->sum.alloc_bytes != y->sum.alloc_bytes ? (x->sum.alloc_bytes < y->sum.alloc_bytes ? 1 : -1)
                                                      : strcmp(x->label, y->label);
}

static void find_spots(struct spots *spots, struct feed *f, struct places *places, enum rows_sort sort)
{
    spots->count = 0;
    for (size_t i = 0; i < f->sites; i++) {
        add_site(spots, &f->site[i], (uint32_t)i, places_of(places, &f->site[i].is)->label);
    }
    qsort_r(spots->spot, spots->count, sizeof *spots->spot, compare_spots, &sort);
}

static void put_spot(struct rows_row *row, const struct spot *s, bool narrow, bool marked)
{
    int at = snprintf(row->figures, sizeof row->figures, "%10s %10s %12s %10s", words_bytes(s->sum.live_bytes).text,
                      words_count(s->sum.live_blocks).text, rows_rate_bytes(s->rate).text,
                      words_bytes(s->sum.alloc_bytes).text);
    if (!narrow) {
        at += snprintf(row->figures + at, sizeof row->figures - (size_t)at, " %7" PRIu64, s->sum.samples);
    }
    if (marked) {
        uint64_t change = s->since < 0 ? -(uint64_t)s->since : (uint64_t)s->since;
        snprintf(row->figures + at, sizeof row->figures - (size_t)at, " %11s",
                 s->since < 0 ? words_change(change, 0).text : words_change(0, change).text);
    }
    put_name(row, s->label);
    row->site = s->site;
}

static void put_sites(struct rows *rows, struct feed *f, struct places *places, enum rows_sort sort, bool narrow)
{
    static struct spots spots;
    uint64_t live;
    bool marked = feed_is_marked(f, &live);
    find_spots(&spots, f, places, sort);
    snprintf(rows->heading, sizeof rows->heading, "%10s %10s %12s %10s%s%s  where", "live", "blocks", "rate", "total",
             narrow ? "" : " samples", marked ? "  since mark" : "");
    for (size_t i = 0; i < spots.count; i++) {
        put_spot(&rows->row[rows->count++], &spots.spot[i], narrow, marked);
    }
    rows->all = f->page.tables.sites > f->sites ? f->page.tables.sites - f->sites + spots.count : spots.count;
}

/* -- classes, threads, tags -- */

static int compare_classes(const void *a, const void *b, void *arg)
{
    const struct allot_control_class *x = a, *y = b;
    bool blocks = *(enum rows_sort *)arg == ROWS_BLOCKS;
    uint64_t one = blocks ? x->blocks : x->blocks * x->size, other = blocks ? y->blocks : y->blocks * y->size;
    return one != other ? (one < other ? 1 : -1) : (x->size > y->size) - (x->size < y->size);
}

static void put_classes(struct rows *rows, const struct feed *f, enum rows_sort sort)
{
    const struct allot_control_tables *t = &f->page.tables;
    struct allot_control_class class[ALLOT_CONTROL_CLASSES];
    size_t count = limit(t->classes, ALLOT_CONTROL_CLASSES);
    memcpy(class, t->of_class, sizeof class);
    qsort_r(class, count, sizeof *class, compare_classes, &sort);
    snprintf(rows->heading, sizeof rows->heading, "%11s %10s %10s %8s %5s  size of blocks", "live", "blocks", "free",
             "slabs", "full");
    for (size_t i = 0; i < count && rows->count < ROWS_MOST - 2; i++) {
        const struct allot_control_class *c = &class[i];
        if (c->blocks == 0) {
            continue;
        }
        struct rows_row *row = &rows->row[rows->count++];
        int at = snprintf(row->figures, sizeof row->figures, "%11s %10s", words_bytes(c->size * c->blocks).text,
                          words_count(c->blocks).text);
        snprintf(row->figures + at, sizeof row->figures - (size_t)at, " %10s %8" PRIu64 " %5s",
                 words_count(c->free).text, c->slabs, words_percent(c->blocks, c->blocks + c->free).text);
        snprintf(row->name, sizeof row->name, "%" PRIu64, c->size);
    }
    struct {
        const char *name;
        uint64_t bytes, blocks;
    } others[] = {{"runs of pages, 32 KiB to 2 MiB", t->runs, t->run_blocks},
                  {"mapped, larger", t->large, t->large_blocks}};
    for (size_t i = 0; i < 2; i++) {
        if (others[i].blocks) {
            struct rows_row *row = &rows->row[rows->count++];
            snprintf(row->figures, sizeof row->figures, "%11s %10s %10s %8s %5s", words_bytes(others[i].bytes).text,
                     words_count(others[i].blocks).text, "", "", "");
            snprintf(row->name, sizeof row->name, "%s", others[i].name);
        }
    }
    rows->all = rows->count;
}

static const char *kind_name(uint64_t kind)
{
    static const char *const names[] = {
        [ALLOT_HEAP_THREAD] = "thread",   [ALLOT_HEAP_TAGGED] = "tagged", [ALLOT_HEAP_SHARED] = "shared",
        [ALLOT_HEAP_WAITING] = "waiting", [ALLOT_HEAP_LOST] = "lost",     [ALLOT_HEAP_PRIVATE] = "private"};
    return kind < sizeof names / sizeof names[0] && names[kind] ? names[kind] : "?";
}

static void thread_name(const struct feed *f, int tid, char out[64])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/comm", (int)f->pid, tid);
    FILE *from = fopen(path, "re");
    out[0] = 0;
    if (from) {
        if (fgets(out, 64, from)) {
            out[strcspn(out, "\n")] = 0;
        }
        fclose(from);
    }
}

static int compare_heaps(const void *a, const void *b)
{
    const struct allot_control_heap *x = a, *y = b;
    return x->live != y->live ? (x->live < y->live ? 1 : -1) : (x->id > y->id) - (x->id < y->id);
}

static void put_threads(struct rows *rows, const struct feed *f)
{
    const struct allot_control_tables *t = &f->page.tables;
    struct allot_control_heap heap[ALLOT_CONTROL_HEAPS];
    size_t count = limit(t->heaps, ALLOT_CONTROL_HEAPS);
    memcpy(heap, t->of_heap, sizeof heap);
    qsort(heap, count, sizeof *heap, compare_heaps);
    snprintf(rows->heading, sizeof rows->heading, "%11s %11s %8s %8s %8s  thread", "live", "held", "slabs", "kind",
             "id");
    for (size_t i = 0; i < count; i++) {
        const struct allot_control_heap *h = &heap[i];
        struct rows_row *row = &rows->row[rows->count++];
        char tid[16] = "-", name[64] = "";
        if (h->tid) {
            snprintf(tid, sizeof tid, "%d", h->tid);
            thread_name(f, h->tid, name);
        }
        int at = snprintf(row->figures, sizeof row->figures, "%11s %11s", words_bytes(h->live).text,
                          words_bytes(h->held).text);
        snprintf(row->figures + at, sizeof row->figures - (size_t)at, " %8" PRIu64 " %8s %8s", h->slabs,
                 kind_name(h->kind), tid);
        put_name(row, name);
    }
    rows->all = t->heaps;
}

static int compare_tags(const void *a, const void *b)
{
    const struct allot_control_tag *x = a, *y = b;
    return x->used != y->used ? (x->used < y->used ? 1 : -1) : strcmp(x->name, y->name);
}

static void put_tags(struct rows *rows, const struct feed *f)
{
    const struct allot_control_tables *t = &f->page.tables;
    static struct allot_control_tag tag[ALLOT_CONTROL_TAGS];
    size_t count = limit(t->tags, ALLOT_CONTROL_TAGS);
    memcpy(tag, t->of_tag, sizeof tag);
    qsort(tag, count, sizeof *tag, compare_tags);
    snprintf(rows->heading, sizeof rows->heading, "%11s %11s %10s  tag", "used", "limit", "refused");
    for (size_t i = 0; i < count; i++) {
        struct rows_row *row = &rows->row[rows->count++];
        snprintf(row->figures, sizeof row->figures, "%11s %11s %10" PRIu64, words_bytes(tag[i].used).text,
                 tag[i].limit == UINT64_MAX ? "none" : words_bytes(tag[i].limit).text, tag[i].refused);
        put_name(row, tag[i].name);
    }
    rows->all = t->tags;
}

void rows_make(struct rows *rows, struct feed *f, struct places *places, enum rows_view view, enum rows_sort sort,
               bool narrow)
{
    rows->count = 0;
    switch (view) {
    case ROWS_CLASSES:
        put_classes(rows, f, sort);
        break;
    case ROWS_THREADS:
        put_threads(rows, f);
        break;
    case ROWS_TAGS:
        put_tags(rows, f);
        break;
    default:
        put_sites(rows, f, places, sort, narrow);
    }
}

/* -- as JSON -- */

void rows_tell(struct json *j, struct feed *f, struct places *places, size_t most)
{
    static struct spots spots;
    const struct allot_control_tables *t = &f->page.tables;
    find_spots(&spots, f, places, ROWS_LIVE);
    json_array(j, "sites");
    for (size_t i = 0; i < spots.count && (most == 0 || i < most); i++) {
        const struct spot *s = &spots.spot[i];
        json_object(j, NULL);
        json_text(j, "where", s->label);
        json_number(j, "live", s->sum.live_bytes);
        json_number(j, "blocks", s->sum.live_blocks);
        json_real(j, "rate", s->rate < 0 ? NAN : s->rate);
        json_number(j, "total", s->sum.alloc_bytes);
        json_number(j, "samples", s->sum.samples);
        json_end(j);
    }
    json_end(j);
    json_array(j, "classes");
    for (size_t i = 0; i < limit(t->classes, ALLOT_CONTROL_CLASSES); i++) {
        json_object(j, NULL);
        json_number(j, "size", t->of_class[i].size);
        json_number(j, "blocks", t->of_class[i].blocks);
        json_number(j, "free", t->of_class[i].free);
        json_number(j, "slabs", t->of_class[i].slabs);
        json_end(j);
    }
    json_end(j);
    json_array(j, "heaps");
    for (size_t i = 0; i < limit(t->heaps, ALLOT_CONTROL_HEAPS); i++) {
        json_object(j, NULL);
        json_number(j, "id", t->of_heap[i].id);
        json_signed(j, "tid", t->of_heap[i].tid);
        json_text(j, "kind", kind_name(t->of_heap[i].kind));
        json_number(j, "live", t->of_heap[i].live);
        json_number(j, "held", t->of_heap[i].held);
        json_end(j);
    }
    json_end(j);
    json_array(j, "tags");
    for (size_t i = 0; i < limit(t->tags, ALLOT_CONTROL_TAGS); i++) {
        json_object(j, NULL);
        json_text(j, "name", t->of_tag[i].name);
        json_number(j, "used", t->of_tag[i].used);
        json_number(j, "refused", t->of_tag[i].refused);
        json_end(j);
    }
    json_end(j);
    json_array(j, "strip");
    for (size_t i = limit(t->cells, ALLOT_CONTROL_CELLS); i-- > 0;) {
        json_number(j, NULL, t->cell[i]);
    }
    json_end(j);
}
