/* See pinned.h. */
#include <stdlib.h>
#include <sys/stat.h>

#include "verdict/pinned.h"
#include "verdict/stacks.h"
#include "verdict/table.h"

#define PAGE         ((uint64_t)4096)
#define WINDOWS      16
#define TOGETHER     32                  /* events */
#define WORTH_A_LOOK ((uint64_t)2 << 20) /* bytes at the peak */

struct heap {
    struct table blocks, pages; /* pages: those that blocks have some of */
    uint64_t whole;             /* pages that a block has all of */
    uint64_t used;              /* bytes */
};

static uint64_t held(const struct heap *h) { return (h->pages.count + h->whole) * PAGE; }

/* What a block has of its first and its last page, where it has not all of one, and how many it has all of. */
struct parts {
    uint64_t page[2], bytes[2], whole;
};
static struct parts parts_of(uint64_t address, uint64_t size)
{
    struct parts out = {.whole = 0};
    uint64_t end = address + size, first = address / PAGE, last = (end - 1) / PAGE;
    if (first == last) {
        out.page[0] = first;
        out.bytes[0] = size;
    } else {
        out.page[0] = first;
        out.bytes[0] = (first + 1) * PAGE - address;
        out.page[1] = last;
        out.bytes[1] = end - last * PAGE;
        out.whole = last - first - 1;
    }
    for (unsigned i = 0; i < 2; i++) {
        if (out.bytes[i] == PAGE) {
            out.whole++;
            out.bytes[i] = 0;
        }
    }
    return out;
}

static bool change_page(struct heap *h, uint64_t page, uint64_t bytes, bool more)
{
    if (bytes == 0) {
        return true;
    }
    if (more && !table_make_room(&h->pages)) {
        return false;
    }
    if (h->pages.slots == 0) {
        return true;
    }
    struct table_entry *e = table_find(&h->pages, page + 1);
    if (more) {
        h->pages.count += e->key == 0;
        e->key = page + 1;
        e->bytes += bytes;
    } else if (e->key) {
        e->bytes = e->bytes > bytes ? e->bytes - bytes : 0;
        if (e->bytes == 0) {
            table_drop(&h->pages, e);
        }
    }
    return true;
}

static bool change(struct heap *h, uint64_t address, uint64_t size, bool more)
{
    struct parts parts = parts_of(address, size);
    h->whole = more ? h->whole + parts.whole : h->whole - parts.whole;
    h->used = more ? h->used + size : h->used - size;
    return change_page(h, parts.page[0], parts.bytes[0], more) && change_page(h, parts.page[1], parts.bytes[1], more);
}

static void give_up(struct heap *h, uint64_t address)
{
    struct table_entry *e = h->blocks.slots ? table_find(&h->blocks, address + 1) : NULL;
    if (e && e->key) {
        change(h, address, e->bytes, false);
        table_drop(&h->blocks, e);
    }
}

static bool take(struct heap *h, const struct trace_event *event)
{
    uint64_t size = event->size ? event->size : 1;
    size = size < (uint64_t)1 << 47 ? size : (uint64_t)1 << 47;
    give_up(h, event->address); /* a trace with holes shows one over another */
    if (!table_make_room(&h->blocks)) {
        return false;
    }
    struct table_entry *e = table_find(&h->blocks, event->address + 1);
    *e = (struct table_entry){.key = event->address + 1,
                              .bytes = size,
                              .stack = event->op == TRACE_BEFORE ? PROFILE_STACK_BEFORE : event->stack};
    h->blocks.count++;
    return change(h, event->address, size, true);
}

static bool take_event(struct heap *h, const struct trace_event *event)
{
    switch (event->op) {
    case TRACE_ALLOC:
    case TRACE_BEFORE:
        return take(h, event);
    case TRACE_FREE:
        give_up(h, event->address);
        return true;
    case TRACE_REALLOC:
        give_up(h, event->old);
        return take(h, event);
    default:
        return true;
    }
}

static void end_heap(struct heap *h)
{
    table_end(&h->blocks);
    table_end(&h->pages);
}

/* -- the first time: when -- */

struct moment {
    int64_t beyond; /* held - 2 * used */
    uint64_t event, time;
};

struct course {
    struct moment least[WINDOWS]; /* of each window */
    uint64_t used[WINDOWS];       /* the least, of each */
    unsigned window;              /* the last that was reached */
    bool any;
};

static unsigned window_of(const struct profile *p, uint64_t time)
{
    uint64_t length = (p->end - p->begin) / WINDOWS + 1;
    return (unsigned)((time - p->begin) / length);
}

/* What is so now, as it was since the event before. */
static void look_now(struct course *c, const struct profile *p, const struct heap *h, uint64_t event, uint64_t time)
{
    struct moment now = {(int64_t)held(h) - 2 * (int64_t)h->used, event, time};
    if (time < p->begin || time > p->end) {
        return;
    }
    unsigned window = window_of(p, time);
    if (!c->any) {
        c->any = true;
        c->window = window;
        c->least[window] = now;
        c->used[window] = h->used;
    }
    while (c->window < window) {
        c->least[++c->window] = now;
        c->used[c->window] = h->used;
    }
    c->used[window] = h->used < c->used[window] ? h->used : c->used[window];
    if (now.beyond < c->least[window].beyond) {
        c->least[window] = now;
    }
}

/* An event touches memory all over the tables: what some of them will touch is on its way before the first is taken. */
static void ask_for(const struct heap *h, const struct trace_event *event, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t address = event[i].op == TRACE_REALLOC ? event[i].old : event[i].address;
        table_prefetch(&h->blocks, address + 1);
        table_prefetch(&h->pages, address / PAGE + 1);
    }
}

struct reading {
    const struct look *look;
    uint32_t process;
    uint64_t until, event; /* to stop behind; the last that was taken */
    struct heap *heap;
    struct course *course; /* or NULL */
};

/* 1: go on; 0: what follows does not count; -1: too many blocks. */
static int take_some(struct reading *r, const struct trace_event *event, size_t count)
{
    const struct profile *p = r->look->profile;
    ask_for(r->heap, event, count);
    for (size_t i = 0; i < count; i++) {
        r->event++;
        if (event[i].process != r->process) {
            continue;
        }
        if (event[i].op == TRACE_EXIT) {
            return 0;
        }
        uint64_t time = p->timed ? event[i].time : r->event;
        if (r->course) {
            look_now(r->course, p, r->heap, r->event - 1, time); /* as it was up to here */
        }
        if (!take_event(r->heap, &event[i])) {
            return -1;
        }
        if (r->course) {
            look_now(r->course, p, r->heap, r->event, time);
        }
    }
    return 1;
}

/* 1: all was read that was wanted; 0: too many blocks; -1: it is broken. */
static int read_on(struct reading *r, struct trace *trace, struct trace_error *error)
{
    struct trace_event event[TOGETHER];
    int next = 1, went = 1;
    while (next > 0 && went > 0 && r->event < r->until) {
        size_t count = 0;
        while (count < TOGETHER && r->event + count < r->until &&
               (next = trace_next(trace, &event[count], error)) > 0) {
            count++;
        }
        went = take_some(r, event, count);
        look_again(r->look, trace, r->event);
    }
    return next < 0 ? -1 : went >= 0;
}

/* -- the second time: whose -- */

static void charge(const struct heap *h, const struct stacks *stacks, struct pinned_by *by, uint64_t *widest)
{
    for (size_t i = 0; i < h->blocks.slots; i++) {
        const struct table_entry *e = &h->blocks.entry[i];
        if (!e->key) {
            continue;
        }
        struct parts parts = parts_of(e->key - 1, e->bytes);
        uint64_t charged = parts.whole * PAGE;
        for (unsigned k = 0; k < 2; k++) {
            const struct table_entry *page = parts.bytes[k] ? table_find(&h->pages, parts.page[k] + 1) : NULL;
            charged += page && page->bytes ? parts.bytes[k] * PAGE / page->bytes : 0;
        }
        struct stacks_of of = stacks_find(stacks, e->stack);
        struct pinned_by *b = &by[of.group];
        b->group = of.group;
        b->blocks++;
        b->used += e->bytes;
        b->charged += charged;
        widest[of.site] += charged;
        b->site = !b->site || widest[of.site] > widest[b->site] ? of.site : b->site;
    }
}

static int by_holes(const void *a, const void *b)
{
    const struct pinned_by *x = a, *y = b;
    uint64_t of_x = x->charged > x->used ? x->charged - x->used : 0,
             of_y = y->charged > y->used ? y->charged - y->used : 0;
    return of_x != of_y ? (of_x < of_y ? 1 : -1) : (x->group > y->group) - (x->group < y->group);
}

static int judge(const struct look *look, const struct heap *h, struct pinned *out)
{
    struct stacks stacks;
    struct pinned_by *by = calloc((size_t)look->groups + 1, sizeof *by);
    uint64_t *widest = calloc((size_t)look->profile->sites + 1, sizeof *widest);
    int found = by && widest && stacks_begin(&stacks, look, out->process) ? 1 : -1;
    if (found > 0) {
        charge(h, &stacks, by, widest);
        stacks_end(&stacks);
        qsort(by, look->groups, sizeof *by, by_holes);
        out->page_bytes = PAGE;
        out->held = held(h);
        out->used = h->used;
        out->blocks = h->blocks.count;
        while (out->count < PINNED_SITES && out->count < look->groups && by[out->count].charged > by[out->count].used) {
            out->by[out->count] = by[out->count];
            out->count++;
        }
    }
    free(by);
    free(widest);
    return found;
}

/* -- both -- */

/* The process that held most, where it held much, and for a window's length less than half of it later: pages that stay are behind a
 * burst. 0: there is none. */
static uint32_t process_worth_it(const struct profile *p)
{
    const struct profile_process *most = NULL;
    const struct timeline *t = &p->timeline;
    uint32_t low = 0;
    for (uint32_t i = 0; i < p->processes; i++) {
        most = !most || p->process[i]->peak_bytes > most->peak_bytes ? p->process[i] : most;
    }
    for (uint32_t i = 0; i < t->count; i++) {
        bool later = t->begin + (i + 1) * t->length > p->peak_time;
        low += later && t->point[i].live_bytes <= p->peak_bytes / 2;
    }
    return most && most->peak_bytes >= WORTH_A_LOOK && low >= t->count / WINDOWS ? most->number : 0;
}

/* The trace from its beginning, up to an event. As read_on. */
static int read_again(const struct look *look, uint32_t process, uint64_t until, struct heap *h, struct course *c,
                      struct trace_error *error)
{
    struct stat is;
    if (stat(look->path, &is) != 0 || !S_ISREG(is.st_mode)) { /* what came through a pipe is gone */
        return 0;
    }
    struct trace *trace = trace_open(look->path, error);
    struct reading reading = {.look = look, .process = process, .until = until, .heap = h, .course = c};
    int went = trace ? read_on(&reading, trace, error) : -1;
    if (trace) {
        trace_close(trace);
    }
    look_progress_end();
    return went;
}

int pinned_find(const struct look *look, struct pinned *out, struct trace_error *error)
{
    const struct profile *p = look->profile;
    const struct trace_about *about = trace_about(look->trace);
    struct heap heap = {.used = 0};
    struct course course = {.window = 0};
    const struct moment *most = NULL;
    *out = (struct pinned){.process = about->has_addresses && !about->is_profile ? process_worth_it(p) : 0};
    if (!out->process) {
        return 0;
    }
    int went = read_again(look, out->process, UINT64_MAX, &heap, &course, error);
    end_heap(&heap);
    for (unsigned i = 1; went > 0 && i < course.window; i++) {
        bool stays = course.used[i + 1] >= course.used[i] / 4 * 3; /* else it is going, and its pages with it */
        most = stays && course.least[i].beyond > (most ? most->beyond : 0) ? &course.least[i] : most;
    }
    if (!most) {
        return went < 0 ? -1 : 0;
    }
    heap = (struct heap){.used = 0};
    out->time = most->time;
    went = read_again(look, out->process, most->event, &heap, NULL, error);
    went = went > 0 ? judge(look, &heap, out) : went;
    end_heap(&heap);
    return went;
}
