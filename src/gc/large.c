/* gc/large.c - objects with pages of their own. See gc.h.
 *
 *   large:  | record * | record * | ...   by address           record --at--> | record * | header | object ....... |
 *
 * Found from an object by the word before its header, from any address by a search in the table: O(log n). One that comes or goes
 * moves what is behind it in the table: not for many thousands.
 */
#include <errno.h>
#include <string.h>

#include <allot/malloc.h>

#include "gc/gc.h"
#include "span/map.h"

enum { BEFORE = 2 * sizeof(uint64_t) };

/* How many begin at or below the address. */
static size_t find(const struct gc *gc, uintptr_t address)
{
    size_t from = 0, to = gc->large.count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if ((uintptr_t)large_nth(gc, middle)->at <= address) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

struct large_object *large_at(const struct gc *gc, uintptr_t address)
{
    size_t i = find(gc, address);
    struct large_object *l = i ? large_nth(gc, i - 1) : NULL;
    return l && address - (uintptr_t)l->at < l->pages ? l : NULL;
}

static struct large_object *alloc(struct gc *gc)
{
    struct large_object *l = gc->unused_large;
    if (l) {
        gc->unused_large = l->next;
    } else {
        l = record_alloc(sizeof *l);
    }
    return l;
}

static void forget(struct gc *gc, struct large_object *l)
{
    l->next = gc->unused_large;
    gc->unused_large = l;
}

void *large_take(struct gc *gc, const struct allot_gc_type *type, size_t size, uint64_t fresh)
{
    int saved = errno;
    struct large_object *l = alloc(gc);
    if (!l) {
        errno = saved;
        return NULL;
    }
    bool fits = gc_fits(gc, size + BEFORE) && gc_table_reserve(gc, &gc->large, gc->large.count + 1, sizeof l);
    char *at = fits ? part_take_zero_pages(&gc->part, size + BEFORE, 16) : NULL;
    errno = saved;
    if (!at) {
        forget(gc, l);
        return NULL;
    }
    *l = (struct large_object){.at = at, .size = size, .pages = part_pages(at)};
    struct large_object **all = gc->large.at;
    size_t i = find(gc, (uintptr_t)at);
    memmove(all + i + 1, all + i, (gc->large.count++ - i) * sizeof *all);
    all[i] = l;
    gc_count_pages(gc, l->pages, true);
    gc_note_range(gc, at, l->pages);
    *(struct large_object **)(void *)at = l;
    void *object = at + BEFORE;
    *gc_header(object) = (uint64_t)(uintptr_t)type << 16 | fresh | GC_LARGE;
    gc->since += l->pages;
    gc->used += l->size;
    gc->allocated += l->size;
    return object;
}

void large_end(struct gc *gc, struct large_object *l)
{
    gc_count_pages(gc, l->pages, false);
    part_give_pages(l->at);
    forget(gc, l);
}

void large_give(struct gc *gc, struct large_object *l)
{
    struct large_object **all = gc->large.at;
    size_t i = find(gc, (uintptr_t)l->at);
    memmove(all + i - 1, all + i, (gc->large.count-- - i) * sizeof *all);
    large_end(gc, l);
}

void large_sweep(struct gc *gc, bool (*goes)(struct gc *gc, struct large_object *large))
{
    struct large_object **all = gc->large.at;
    size_t kept = 0;
    for (size_t i = 0; i < gc->large.count; i++) {
        if (goes(gc, all[i])) {
            all[i]->next = gc->dead_large;
            gc->dead_large = all[i];
        } else {
            all[kept++] = all[i];
        }
    }
    gc->large.count = kept;
}
