/* gc/copy_check.c - the objects of the copying collector's units, and the proof of its equations:
 *
 *   units of the heap = young + old + spare + shut                 blocks of a unit lie without rests from its beginning to its end
 *   references to the young lie in roots, in the young, or in old objects that are not WATCHED (remembered), or large (slot by slot)
 *   after marking, each into a wanted unit has been noted, unless what it lies in has been written to since
 *   marks are zero but in MARKING
 */
#include "gc/copy_parts.h"
#include "gc/copy_trace.h"
#include "os/fault.h"

static int walk_unit(struct gc *gc, struct copy_unit *u, gc_walk_visit *visit, void *arg)
{
    copy_each_block(u, block, header)
    {
        void *object = block + ALLOT_GC_HEADER;
        int end = gc_type(header) ? visit(object, gc_type(header), copy_size(gc, object), arg) : 0;
        if (end) {
            return end;
        }
    }
    return 0;
}

int copy_walk(struct gc *gc, gc_walk_visit *visit, void *arg)
{
    copy_end_sweep(gc);
    struct copy_unit *lists[] = {gc->copy.old, gc->copy.young};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (struct copy_unit *u = lists[i]; u; u = u->next) {
            int end = walk_unit(gc, u, visit, arg);
            if (end) {
                return end;
            }
        }
    }
    return 0;
}

/* -- proof -- */

static void prove_slot(struct allot_gc_visit *visit, void **slot)
{
    const struct copy_visit *v = (struct copy_visit *)visit;
    const struct copy *c = &v->gc->copy;
    if (!*slot || copy_is_large(*slot)) {
        return;
    }
    const struct copy_unit *u = copy_unit_of(*slot);
    CHECK(u->is == COPY_OLD, "reference of an old object that is not remembered", slot);
    CHECK(c->phase != COPY_EVACUATING || u->wanted != c->cycle || copy_is_noted(v->gc, u, slot),
          "slots that were noted", slot);
}

static void prove_word(struct allot_gc_visit *visit, uintptr_t word)
{
    (void)visit;
    (void)word;
}

static void prove_blocks(struct gc *gc, const struct copy_unit *u)
{
    struct copy_visit visit = {.visit = {.slot = prove_slot}, .gc = gc};
    size_t objects = 0;
    CHECK(u->end >= copy_first(u) && u->end <= copy_last(u), "unit of a heap", u);
    char *end = copy_first(u);
    copy_each_block(u, block, header)
    {
        end = block + copy_block_bytes(header);
        CHECK((header & GC_LENGTH) && !(header & (COPY_MOVED | GC_LARGE)) && end <= u->end, "header of object", block);
        const struct allot_gc_type *type = gc_type(header);
        objects += type != NULL;
        if (type && u->is == COPY_OLD && (header & gc->copy.watch)) {
            gc_visit_object(&visit.visit, block + ALLOT_GC_HEADER, type, copy_block_bytes(header) - ALLOT_GC_HEADER,
                            prove_slot, prove_word);
        }
        CHECK(!type || u->is == COPY_OLD || !(header & ALLOT_GC_WATCHED), "header of young object", block);
        CHECK(!type || u->maybe == ((type->flags & ALLOT_GC_MAYBE) != 0), "unit of a heap", u);
    }
    CHECK(end == u->end || u->is == COPY_FROM, "blocks of a unit", u);
    CHECK(u->is != COPY_OLD || u->objects == COPY_UNKNOWN || u->objects == objects, "objects of a unit", u);
}

static size_t prove_list(struct gc *gc, const struct copy_unit *list, enum copy_is is)
{
    size_t n = 0;
    for (const struct copy_unit *u = list; u; u = u->next, n++) {
        CHECK(unit_owner(&u->unit) == gc->part.id && u->is == is && !u->pinned, "unit of a heap", u);
        CHECK(!u->next || u->next->prev == u, "list of units", u);
        if (gc->copy.phase != COPY_MARKING) {
            CHECK(!u->black && !u->again, "unit of a heap", u);
            for (size_t w = 0; w < COPY_WORDS; w++) {
                CHECK(*copy_marks(u, w) == 0, "marks of a unit", u);
            }
        }
        prove_blocks(gc, u);
    }
    return n;
}

static size_t count(const struct copy_unit *u)
{
    size_t n = 0;
    for (; u; u = u->next, n++) {
        CHECK(u->is == COPY_NONE, "unit of a heap that is free", u);
    }
    return n;
}

void copy_check(struct gc *gc)
{
    struct copy *c = &gc->copy;
    copy_end_sweep(gc);
    copy_forget_starts(gc);
    size_t spares = count(c->spare), shuts = count(c->shut);
    CHECK(spares == c->spares && shuts == c->shuts, "units of a heap that are free", gc);
    CHECK(prove_list(gc, c->young, COPY_FROM) + prove_list(gc, c->old, COPY_OLD) + spares + shuts == gc->units,
          "units of a heap", gc);
    CHECK(c->phase == COPY_MARKING || (c->work.count == 0 && !c->again), "worklist of a heap", gc);
    CHECK(!c->whole, "heap", gc);
    if (gc_is(gc, ALLOT_GC_PLAIN)) {
        CHECK(c->watch == 0 && c->phase == COPY_IDLE, "heap", gc);
    }
}
