/* pool/single.c - see pool/single.h. */
#include "pool/single.h"
#include "os/watch.h"

#include <errno.h>
#include <string.h>

#include <allot/malloc.h>

#include "os/fault.h"
#include "os/memory.h"
#include "os/watch.h"

void singles_init(struct singles *all, size_t size, size_t align, size_t keep)
{
    *all = (struct singles){.each = align_up(size_max(size, 1), os_page), .align = align, .keep = keep};
}

/* Where p is, or would be. */
static size_t find(const struct singles *all, const void *p)
{
    size_t from = 0, to = all->count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if ((uintptr_t)all->one[middle].at < (uintptr_t)p) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

static bool make_room(struct singles *all)
{
    if (all->count < all->room) {
        return true;
    }
    size_t room = size_max(2 * all->room, 16);
    struct single *one = allot_realloc(all->one, room * sizeof *one);
    all->one = one ? one : all->one;
    char **free = one ? allot_realloc(all->free, room * sizeof *free) : NULL;
    all->free = free ? free : all->free;
    all->room = free ? room : all->room;
    return free;
}

/* Whoever has the pages next may use them all: what a cache remembers of its objects lies behind them, and is denied. */
static void give_pages(const struct singles *all, const struct set *set, char *p)
{
    if (unlikely(set->watched)) {
        os_watch_undefined(p, all->each);
    }
    part_give_pages(p);
}

/* Another one, constructed, which is not out; or what is wrong. */
static int make(struct singles *all, struct set *set)
{
    if (!make_room(all)) {
        return ENOMEM;
    }
    char *p = part_take_pages(&set->part, all->each, all->align);
    if (!p) {
        return ENOMEM;
    }
    set_watch_out(set, p, false);
    int wrong = set->construct ? set->construct(set, p) : 0;
    if (wrong) {
        give_pages(all, set, p);
        return wrong;
    }
    size_t i = find(all, p);
    memmove(&all->one[i + 1], &all->one[i], (all->count - i) * sizeof *all->one);
    all->one[i] = (struct single){.at = p};
    all->count++;
    all->most = size_max(all->most, all->count);
    memmove(all->free + 1, all->free, all->free_count++ * sizeof *all->free); /* the last to be got */
    all->free[0] = p;
    set_watch_free(set, p);
    set->moves.made++;
    return 0;
}

/* One that is not out, and is on the list no more, goes. */
static void unmake(struct singles *all, struct set *set, char *p)
{
    set_watch_out(set, p, true);
    if (set->destruct) {
        set->destruct(set, p);
    }
    size_t i = find(all, p);
    all->count--;
    memmove(&all->one[i], &all->one[i + 1], (all->count - i) * sizeof *all->one);
    give_pages(all, set, p);
    set->moves.gone++;
}

static size_t lowest_free(const struct singles *all)
{
    size_t best = 0;
    for (size_t i = 1; i < all->free_count; i++) {
        best = (uintptr_t)all->free[i] < (uintptr_t)all->free[best] ? i : best;
    }
    return best;
}

void *single_take(struct singles *all, struct set *set, bool lowest)
{
    int wrong = all->free_count ? 0 : make(all, set);
    if (wrong) {
        set->refused++;
        errno = wrong;
        return NULL;
    }
    size_t i = lowest ? lowest_free(all) : all->free_count - 1;
    char *p = all->free[i];
    all->free_count--;
    memmove(all->free + i, all->free + i + 1, (all->free_count - i) * sizeof *all->free);
    all->one[find(all, p)].out = true;
    return p;
}

void single_put(struct singles *all, struct set *set, void *p)
{
    size_t i = find(all, p);
    if (i == all->count || all->one[i].at != p) {
        part_fault("put of what is no object", &set->part, p);
    }
    if (!all->one[i].out) {
        part_fault("double free", &set->part, p);
    }
    all->one[i].out = false;
    set_watch_free(set, p);
    if (all->free_count < all->keep) {
        all->free[all->free_count++] = p;
    } else {
        unmake(all, set, p);
    }
}

int singles_reserve(struct singles *all, struct set *set, size_t objects)
{
    while (all->free_count < objects) {
        int wrong = make(all, set);
        if (wrong) {
            return wrong;
        }
    }
    all->keep = size_max(all->keep, objects);
    return 0;
}

size_t singles_trim(struct singles *all, struct set *set, size_t keep)
{
    size_t bytes = 0;
    for (; all->free_count > keep; bytes += all->each) {
        unmake(all, set, all->free[--all->free_count]);
    }
    return bytes;
}

bool single_is_out(const struct singles *all, const void *p)
{
    size_t i = find(all, p);
    return i < all->count && all->one[i].at == p && all->one[i].out;
}

size_t singles_count(const struct singles *all) { return all->count - all->free_count; }

int singles_walk(const struct singles *all, int (*visit)(void *object, void *arg), void *arg)
{
    for (size_t i = 0; i < all->count; i++) {
        int stop = all->one[i].out ? visit(all->one[i].at, arg) : 0;
        if (stop) {
            return stop;
        }
    }
    return 0;
}

void singles_done(struct singles *all, struct set *set)
{
    singles_trim(all, set, 0);
    allot_free(all->one);
    allot_free(all->free);
    all->one = NULL;
    all->free = NULL;
    all->room = 0;
}

bool singles_check(const struct singles *all, const struct set *set)
{
    size_t out = 0;
    for (size_t i = 0; i < all->count; i++) {
        CHECK(i == 0 || all->one[i - 1].at < all->one[i].at, "table of objects", all);
        CHECK(part_of(all->one[i].at) == &set->part, "object", all->one[i].at);
        out += all->one[i].out;
    }
    for (size_t i = 0; i < all->free_count; i++) {
        size_t at = find(all, all->free[i]);
        CHECK(at < all->count && all->one[at].at == all->free[i] && !all->one[at].out, "free object", all->free[i]);
    }
    CHECK(all->count == out + all->free_count && all->count <= all->room, "table of objects", all);
    return true;
}
