/* gc/leaks.c - of a heap where nothing goes by itself: what should have gone, found by the collector's own marking.
 *
 *   all units --sorted by address, through their links--> | unit | unit | unit |
 *   large objects, by address                              ----> merged ------> unmarked objects, in order of address
 *
 * O(units log units + objects). No memory.
 */
#include "gc/gc.h"

/* Merges runs of 1, 2, 4 ... units, until one is left. (Knuth, TAOCP 3, 5.2.4.) */
static struct mark_unit *merge(struct mark_unit *one, struct mark_unit *other)
{
    struct mark_unit *first = NULL, **end = &first;
    while (one && other) {
        struct mark_unit **lower = (uintptr_t)one < (uintptr_t)other ? &one : &other;
        *end = *lower;
        end = &(*lower)->all_next;
        *lower = *end;
    }
    *end = one ? one : other;
    return first;
}

static void sort_units(struct mark *own)
{
    struct mark_unit *run[64] = {0}; /* run[i]: none, or 2^i units, sorted */
    for (struct mark_unit *u = own->all, *next; u; u = next) {
        next = u->all_next;
        u->all_next = NULL;
        unsigned i = 0;
        for (; run[i]; i++) {
            u = merge(run[i], u);
            run[i] = NULL;
        }
        run[i] = u;
    }
    own->all = NULL;
    for (unsigned i = 0; i < 64; i++) {
        own->all = merge(run[i], own->all);
    }
    struct mark_unit *prev = NULL;
    for (struct mark_unit *u = own->all; u; prev = u, u = u->all_next) {
        u->all_prev = prev;
    }
}

struct visit {
    struct gc *gc;
    gc_walk_visit *visit;
    void *arg;
    size_t large; /* the next one */
};

static int visit_large_below(struct visit *v, uintptr_t address)
{
    int end = 0;
    for (; v->large < large_count(v->gc) && !end; v->large++) {
        const struct large_object *l = large_nth(v->gc, v->large);
        void *object = l->at + 2 * sizeof(uint64_t);
        if ((uintptr_t)object > address) {
            break;
        }
        end = l->marked ? 0 : v->visit(object, gc_type(*gc_header(object)), l->size, v->arg);
    }
    return end;
}

static int visit_object(void *object, const struct allot_gc_type *type, size_t size, void *arg)
{
    struct visit *v = arg;
    int end = visit_large_below(v, (uintptr_t)object);
    return end || mark_reached(v->gc, object) ? end : v->visit(object, type, size, v->arg);
}

int mark_leaks(struct gc *gc, gc_walk_visit *visit, void *arg)
{
    struct visit v = {gc, visit, arg, 0};
    mark_reachable(gc);
    sort_units(&gc->mark);
    int end = mark_walk(gc, visit_object, &v);
    end = end ? end : visit_large_below(&v, UINTPTR_MAX);
    mark_unmark_all(gc);
    return end;
}
