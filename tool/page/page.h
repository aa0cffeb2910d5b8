/* page/page.h - all that a report shows of a trace, gathered: what the page, --view and its JSON are made of.
 *
 *   file --plan--> intervals, extents --profile, course, map--> figures --sites--> sites of the page, series --> writers
 *
 * A site of the page is a stack in a process, as the profile's; of more than PAGE_SITES those that matter least are one with all others that
 * were called from the same place further out, so that sums are what they were.
 *
 *     sums over the page's sites = the profile's; sums over a site's series = the site's
 *
 * Memory: the profile's (its live table in less: PAGE_BLOCKS) and what is beside it (course.h, plan.h, map.h: 150 MiB at most), so 512 MiB in all;
 * series PAGE_ENTRIES of 40 bytes: of sites that matter less several intervals are one where there would be more.
 */
#ifndef ALLOT_PAGE_PAGE_H
#define ALLOT_PAGE_PAGE_H

#include "look.h"
#include "page/catalogue.h"
#include "page/course.h"

#define PAGE_SITES   12288 /* that stand for themselves */
#define PAGE_NOBODY  UINT32_MAX
#define PAGE_OTHERS  4096 /* that stand for several */
#define PAGE_ENTRIES (1u << 20)
#define PAGE_BLOCKS  ((size_t)280 << 20)

struct page_site {
    uint32_t node, place, process; /* place: a frame */
    uint32_t stack;                /* of the trace */
    struct profile_site sum;
    uint64_t moved, oldest, growth, pinned, lost_bytes;
    struct heap_map_pin pin;
    uint32_t verdicts; /* bits, as data.ts has them */
};

struct page_entry {
    uint32_t interval, allocs, temporary;
    uint64_t live_bytes, live_blocks, bytes;
};

struct page_thread {
    uint32_t process, number;
    const char *name;
    uint64_t allocs, bytes, frees, freed_others;
};
struct page_thread_entry {
    uint32_t thread, interval, allocs, frees;
};

struct page_pin { /* pages that a site keeps from going back, at map->pin_interval */
    uint32_t site;
    uint64_t pages; /* that nobody else has blocks in */
    uint64_t bytes, used;
};

struct page_leak {
    uint32_t site;              /* PAGE_NOBODY: none of the page's */
    const struct leak *from;    /* what a snapshot knows of it: path, type, stack; NULL: it is the trace's, and: */
    const struct way_of *way;   /* who points to one of them, and its type; NULL: not known */
    enum graph_verdict verdict; /* GRAPH_UNKNOWN: never freed, and nobody looked */
    uint64_t blocks, bytes, retained;
    uint32_t process; /* of the largest one, which has: */
    uint64_t address, size;
};

struct leak;
struct leaks;
struct way_of;
struct page_diff;
struct page_replayed;

struct page {
    struct look look;
    struct plan plan;
    struct map *map; /* NULL: no addresses */
    struct course course;
    struct catalogue catalogue;
    struct page_site *site;
    uint32_t sites;
    uint32_t *site_of; /* of the profile's sites; UINT32_MAX: of none, it did nothing */
    uint32_t *start;   /* sites + 1: of entries */
    struct page_entry *entry;
    struct page_thread *thread;
    uint32_t threads;
    struct page_thread_entry *thread_entry;
    uint32_t thread_entries;
    struct page_pin *pin; /* worst first */
    uint32_t pins;
    struct page_leak *leak; /* worst first */
    uint32_t leaks;
    struct leaks *found; /* the snapshot's that they are of; or NULL */
    struct way_of *way;  /* of the first `ways` leaks, by the snapshots behind the trace; or NULL */
    uint32_t ways;
    struct page_diff *diff;         /* page/diff.h; NULL: none was asked for */
    struct page_replayed *replayed; /* page/replayed.h; NULL: it was not */
};

/* False: it is complained. */
bool page_read(struct page *page, const char *path, const struct profile_wanted *wanted);
void page_end(struct page *page);

/* What is wanted of advice (page/replayed.h). */
struct replayed_advice {
    bool no;          /* none is wanted */
    const char *base; /* the model that stands for malloc; NULL: "allot" */
};

/* Who points to what was live at processes' ends, by the snapshots that stand behind the trace, if any. False: it is complained. */
bool page_ways(struct page *page);
/* What leaks is what a snapshot of the same process says, with paths. False: it is complained. */
bool page_leaks(struct page *page, const char *snapshot);

/* -- parts, for page.c; false: out of memory -- */
bool page_sites(struct page *page);  /* sites, their stacks */
bool page_series(struct page *page); /* of sites and threads */
bool page_kept(struct page *page);   /* pins and leaks */

#endif
