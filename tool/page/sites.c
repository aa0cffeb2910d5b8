/* See page.h: which sites a page has, and what they are. */
#include <stdlib.h>
#include <string.h>

#include "page/hash.h"
#include "page/page.h"

#define NONE UINT32_MAX

struct ranked {
    uint32_t site;
    double weight; /* sum of its shares of what a reader may look for */
};

static double share(uint64_t part, uint64_t whole) { return whole ? (double)part / (double)whole : 0; }

static int by_weight(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return x->weight != y->weight ? (x->weight < y->weight ? 1 : -1) : (x->site > y->site) - (x->site < y->site);
}

/* Those that did something, what matters most first. */
static struct ranked *rank(const struct profile *p, uint32_t *count)
{
    struct ranked *ranked = malloc(((size_t)p->sites + 1) * sizeof *ranked);
    *count = 0;
    for (uint32_t n = 1; ranked && n <= p->sites; n++) {
        const struct profile_site *s = &p->site[n];
        if (s->allocs + s->before_blocks > 0) {
            ranked[(*count)++] = (struct ranked){
                n, share(s->peak_bytes, p->peak_bytes) + share(s->left_bytes, p->left_bytes) +
                       share(s->allocs, p->allocs) + share(s->bytes, p->bytes) + share(s->temporary, p->temporary) +
                       share(s->reallocs, p->reallocs) + share(s->slack, p->slack) +
                       share(profile_growth(p, s), p->peak_bytes) + (s->verdict ? 0.001 : 0)};
        }
    }
    if (ranked) {
        qsort(ranked, *count, sizeof *ranked, by_weight);
    }
    return ranked;
}

/* -- those that are too many -- */

static uint32_t depth_of(const struct trace_node *node, uint32_t nodes, uint32_t stack)
{
    uint32_t depth = 0;
    for (; stack && stack < nodes; stack = node[stack].parent) {
        depth++;
    }
    return depth;
}

/* Of a stack its outermost calls; the stack itself where it is not deeper or stands for others. */
static uint32_t outermost(const struct trace_node *node, uint32_t nodes, uint32_t stack, uint32_t depth)
{
    if (depth == 0) {
        return PROFILE_STACK_OTHER;
    }
    for (uint32_t is = depth_of(node, nodes, stack); is > depth; is--) {
        stack = node[stack].parent;
    }
    return stack;
}

/* Site of the page by process and stack, made where there is none; NONE: there are PAGE_OTHERS already. */
static uint32_t other_of(struct page *page, uint32_t *index, size_t room, uint32_t first, uint32_t process,
                         uint32_t stack)
{
    size_t i = page_hash((uint64_t)process << 32 | stack) & (room - 1);
    for (; index[i]; i = (i + 1) & (room - 1)) {
        const struct page_site *s = &page->site[index[i] - 1];
        if (s->process == process && s->stack == stack) {
            return index[i] - 1;
        }
    }
    if (page->sites - first == PAGE_OTHERS) {
        return NONE;
    }
    page->site[page->sites] = (struct page_site){.process = process, .stack = stack, .sum.life_least = UINT64_MAX};
    index[i] = ++page->sites;
    return page->sites - 1;
}

/* Joins them by their outermost calls, so many that they are few enough. */
static bool join_others(struct page *page, const struct ranked *ranked, uint32_t count)
{
    static const uint32_t depths[] = {24, 12, 6, 3, 1, 0};
    const struct profile *p = page->look.profile;
    uint32_t nodes, first = page->sites;
    const struct trace_node *node = trace_nodes(page->look.trace, &nodes);
    size_t room = 4 * PAGE_OTHERS;
    uint32_t *index = malloc(room * sizeof *index);
    for (size_t d = 0; index && d < sizeof depths / sizeof depths[0]; d++) {
        bool one_process = depths[d] == 0; /* where even the processes are too many, all is one */
        uint32_t i = 0;
        memset(index, 0, room * sizeof *index);
        page->sites = first;
        for (; i < count; i++) {
            const struct profile_site *s = &p->site[ranked[i].site];
            uint32_t other = other_of(page, index, room, first, one_process ? 0 : s->process,
                                      outermost(node, nodes, s->stack, depths[d]));
            if (other == NONE) {
                break;
            }
            page->site_of[ranked[i].site] = other;
        }
        if (i == count) {
            break;
        }
    }
    free(index);
    return index != NULL;
}

/* -- what they are -- */

static const uint32_t verdict_bits[] = {[GRAPH_UNKNOWN] = 0,  [GRAPH_REACHABLE] = 8, [GRAPH_THREAD_ONLY] = 16,
                                        [GRAPH_POSSIBLE] = 4, [GRAPH_INDIRECT] = 2,  [GRAPH_DEFINITE] = 1};

static void add(struct page *page, struct page_site *s, uint32_t number)
{
    const struct profile *p = page->look.profile;
    const struct course_site *c = &page->course.site[number];
    profile_add(&s->sum, &p->site[number]);
    s->moved += c->moved;
    if (c->oldest_known && c->ended - c->oldest > s->oldest && c->ended > c->oldest) {
        s->oldest = c->ended - c->oldest;
    }
    if (page->map && number < page->map->pins) {
        const struct heap_map_pin *pin = &page->map->pin[number];
        s->pin.charged += pin->charged;
        s->pin.used += pin->used;
        s->pin.alone += pin->alone;
    }
    for (uint32_t v = p->site[number].verdict; v; v = p->verdict[v - 1].next) {
        const struct profile_verdict *of = &p->verdict[v - 1];
        s->verdicts |= verdict_bits[of->verdict];
        s->lost_bytes += of->verdict == GRAPH_DEFINITE || of->verdict == GRAPH_INDIRECT ? of->bytes : 0;
    }
}

static bool name(struct page *page, struct page_site *s)
{
    static struct symbol_frame frame[NAMES_DEEPEST];
    size_t frames = names_stack(page->look.names, s->stack, frame, NAMES_DEEPEST);
    s->node = catalogue_stack(&page->catalogue, frame, frames);
    s->place = frames ? catalogue_frame(&page->catalogue, &frame[names_place(frame, frames)]) : 0;
    return s->node != NONE && s->place != NONE;
}

bool page_sites(struct page *page)
{
    const struct profile *p = page->look.profile;
    uint32_t count;
    struct ranked *ranked = rank(p, &count);
    uint32_t own = count <= PAGE_SITES + PAGE_OTHERS ? count : PAGE_SITES;
    page->site = ranked ? malloc(((size_t)own + PAGE_OTHERS) * sizeof *page->site) : NULL;
    page->site_of = page->site ? malloc(((size_t)p->sites + 1) * sizeof *page->site_of) : NULL;
    bool good = page->site_of != NULL;
    if (good) {
        memset(page->site_of, 0xff, ((size_t)p->sites + 1) * sizeof *page->site_of);
        for (uint32_t i = 0; i < own; i++) {
            const struct profile_site *s = &p->site[ranked[i].site];
            page->site_of[ranked[i].site] = i;
            page->site[i] = (struct page_site){.process = s->process, .stack = s->stack, .sum.life_least = UINT64_MAX};
        }
        page->sites = own;
        good = own == count || join_others(page, ranked + own, count - own);
    }
    for (uint32_t i = 0; good && i < count; i++) {
        add(page, &page->site[page->site_of[ranked[i].site]], ranked[i].site);
    }
    for (uint32_t i = 0; good && i < page->sites; i++) {
        struct page_site *s = &page->site[i];
        s->pinned = s->pin.charged > s->pin.used ? s->pin.charged - s->pin.used : 0;
        s->growth = profile_growth(p, &s->sum);
        good = name(page, s);
    }
    free(ranked);
    return good;
}
