/* See page.h: who keeps pages, and what leaks. */
#include <stdlib.h>

#include "command.h"
#include "leaks_live.h"
#include "snapshot/ways.h"

#include "page/page.h"

#define LEAKS_MOST 1000

static int by_holes(const void *a, const void *b)
{
    const struct page_pin *x = a, *y = b;
    uint64_t of_x = x->bytes > x->used ? x->bytes - x->used : 0, of_y = y->bytes > y->used ? y->bytes - y->used : 0;
    return of_x != of_y ? (of_x < of_y ? 1 : -1) : (x->site > y->site) - (x->site < y->site);
}

static bool find_pins(struct page *page)
{
    page->pin = page->map ? malloc(((size_t)page->sites + 1) * sizeof *page->pin) : NULL;
    for (uint32_t i = 0; page->pin && i < page->sites; i++) {
        const struct page_site *s = &page->site[i];
        if (s->pin.charged > 0) {
            page->pin[page->pins++] = (struct page_pin){i, s->pin.alone, s->pin.used + s->pinned, s->pin.used};
        }
    }
    if (page->pin) {
        qsort(page->pin, page->pins, sizeof *page->pin, by_holes);
    }
    return page->pin || !page->map;
}

static int by_weight(const void *a, const void *b)
{
    const struct page_leak *x = a, *y = b;
    if (x->verdict != y->verdict) { /* the surest are the greatest */
        return x->verdict < y->verdict ? 1 : -1;
    }
    uint64_t of_x = x->retained ? x->retained : x->bytes, of_y = y->retained ? y->retained : y->bytes;
    return of_x != of_y ? (of_x < of_y ? 1 : -1) : (x->site > y->site) - (x->site < y->site);
}

static int by_site(const void *a, const void *b)
{
    const struct page_leak *x = a, *y = b;
    return x->site != y->site ? (x->site < y->site ? -1 : 1) : (int)x->verdict - (int)y->verdict;
}

/* Of a page's site that stands for several, one of each verdict. */
static void join(struct page *page)
{
    uint32_t kept = 0;
    qsort(page->leak, page->leaks, sizeof *page->leak, by_site);
    for (uint32_t i = 1; i < page->leaks; i++) {
        struct page_leak *last = &page->leak[kept], *leak = &page->leak[i];
        if (last->site == leak->site && last->verdict == leak->verdict) {
            last->blocks += leak->blocks;
            last->bytes += leak->bytes;
            last->retained += leak->retained;
            if (leak->size > last->size) {
                last->process = leak->process;
                last->address = leak->address;
                last->size = leak->size;
            }
        } else {
            page->leak[++kept] = *leak;
        }
    }
    page->leaks = page->leaks ? kept + 1 : 0;
}

/* What processes said at their ends; of those that said nothing what they did not free. */
static bool find_leaks(struct page *page)
{
    const struct profile *p = page->look.profile;
    bool *looked = calloc((size_t)p->processes + 1, sizeof *looked);
    page->leak = malloc(((size_t)p->verdicts + p->sites + 1) * sizeof *page->leak);
    if (!looked || !page->leak) {
        free(looked);
        return false;
    }
    for (uint32_t i = 0; i < p->verdicts; i++) {
        const struct profile_verdict *v = &p->verdict[i];
        looked[p->process_index[p->site[v->site].process]] = true;
        page->leak[page->leaks++] = (struct page_leak){.site = page->site_of[v->site],
                                                       .verdict = v->verdict,
                                                       .blocks = v->blocks,
                                                       .bytes = v->bytes,
                                                       .retained = v->retained,
                                                       .process = p->site[v->site].process,
                                                       .address = v->address,
                                                       .size = v->size};
    }
    for (uint32_t n = 1; n <= p->sites; n++) {
        const struct profile_site *s = &p->site[n];
        if (s->left_blocks > 0 && !looked[p->process_index[s->process]]) {
            page->leak[page->leaks++] =
                (struct page_leak){.site = page->site_of[n], .blocks = s->left_blocks, .bytes = s->left_bytes};
        }
    }
    free(looked);
    join(page);
    qsort(page->leak, page->leaks, sizeof *page->leak, by_weight);
    page->leaks = page->leaks < LEAKS_MOST ? page->leaks : LEAKS_MOST;
    return true;
}

/* -- of snapshots behind the trace -- */

bool page_ways(struct page *page)
{
    page->way = calloc((size_t)page->leaks + 1, sizeof *page->way);
    if (!page->way) {
        complain("out of memory, %s, end other programs", page->look.path);
        return false;
    }
    page->ways = page->leaks;
    for (uint32_t i = 0; i < page->leaks; i++) {
        struct page_leak *leak = &page->leak[i];
        page->way[i] = (struct way_of){.process = leak->process, .address = leak->address, .bytes = leak->bytes};
        leak->way = &page->way[i];
    }
    ways_find(page->look.path, page->look.profile, page->way, page->ways);
    return true;
}

/* -- of one snapshot -- */

struct finding {
    struct page *page;
    uint32_t room;
    bool failed;
};

static uint32_t site_of(struct page *page, const struct leak *leak)
{
    uint32_t node = leak->frames ? catalogue_stack(&page->catalogue, leak->frame, leak->frames) : PAGE_NOBODY;
    for (uint32_t i = 0; i < page->sites && node != PAGE_NOBODY; i++) {
        if (page->site[i].node == node) {
            return i;
        }
    }
    return PAGE_NOBODY;
}

static void take(void *arg, const struct leak *leak)
{
    struct finding *f = arg;
    struct page *page = f->page;
    if (f->failed || leak->count == 0) {
        return;
    }
    if (page->leaks == f->room) {
        uint32_t room = f->room ? 2 * f->room : 64;
        struct page_leak *grown = realloc(page->leak, room * sizeof *grown);
        f->failed = !grown;
        if (!grown) {
            return;
        }
        page->leak = grown;
        f->room = room;
    }
    page->leak[page->leaks++] = (struct page_leak){.site = site_of(page, leak),
                                                   .from = leak,
                                                   .verdict = leak->verdict,
                                                   .blocks = leak->count,
                                                   .bytes = leak->bytes,
                                                   .retained = leak->retained};
}

bool page_leaks(struct page *page, const char *snapshot)
{
    struct finding f = {.page = page};
    page->found = leaks_begin();
    if (page->found && !leaks_add_snapshot(page->found, snapshot, page->look.path, true)) {
        return false;
    }
    free(page->leak);
    page->leak = NULL;
    page->leaks = 0;
    if (page->found) {
        leaks_each(page->found, take, &f);
    }
    if (!page->found || f.failed) {
        complain("out of memory, %s, end other programs", snapshot);
        return false;
    }
    if (page->leaks > 0) {
        qsort(page->leak, page->leaks, sizeof *page->leak, by_weight);
    }
    page->leaks = page->leaks < LEAKS_MOST ? page->leaks : LEAKS_MOST;
    return true;
}

bool page_kept(struct page *page) { return find_pins(page) && find_leaks(page); }
