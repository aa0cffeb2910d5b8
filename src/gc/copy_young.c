/* gc/copy_young.c - collections of the young: see gc/copy.h.
 *
 *   roots, remembered --> young --> copy --> young --> copy ...            all that are reached become old; the rest costs nothing
 *   pinned:   | object | dead | object |   -->   old | object | gap | object |
 *
 * All survivors are promoted at once, so nothing is to be remembered afterwards. Finishable objects count as reachable here, and so does
 * what weak references and ephemerons of survivors refer to: whole collections and cycles decide about these. Cost: a visit of what lives,
 * of the roots, of what has been written to, and of what is weak and young.
 */
#include "gc/copy_parts.h"
#include "gc/copy_trace.h"

void copy_settle_unit(struct gc *gc, struct copy_unit *u)
{
    uint64_t watch = u->is == COPY_STAYS ? gc->copy.watch : 0; /* of others some are remembered */
    size_t live = 0, objects = 0;
    char *gap = NULL, *block, *next;
    for (block = copy_first(u); block < u->end && copy_header(block); block = next) {
        uint64_t header = copy_header(block);
        next = block + copy_block_bytes(header);
        if (!(header & COPY_MOVED) && gc_type(header) && copy_is_marked(u, block + ALLOT_GC_HEADER)) {
            header |= watch;
            memcpy(block, &header, sizeof header);
            live += (size_t)(next - block);
            objects++;
            gap = NULL;
        } else {
            gap = gap ? gap : block;
            uint64_t length = (size_t)(next - gap) / GC_GRAIN;
            memcpy(gap, &length, sizeof length);
        }
    }
    u->end = block; /* behind it a hole is zero */
    copy_clear_marks(u);
    u->live16 = (uint16_t)(live / GC_GRAIN);
    u->objects = (uint16_t)objects;
    u->again = u->pinned = false;
}

/* -- finishable, weak -- */

static void note_table(void *object)
{
    if (!copy_is_large(object)) {
        copy_unit_of(object)->tabled = true;
        copy_unit_of(object)->wanted = 0;
    }
}

void copy_note_tables(struct gc *gc)
{
    struct copy *c = &gc->copy;
    struct gc_finishable *f = gc->finishables.at;
    for (; c->finishables < gc->finishables.count; c->finishables++) {
        note_table(f[c->finishables].object);
    }
    for (; c->weak < gc->weak.count; c->weak++) {
        note_table(((void **)gc->weak.at)[c->weak]);
    }
    for (; c->ephemerons < gc->ephemeron.count; c->ephemerons++) {
        note_table(((void **)gc->ephemeron.at)[c->ephemerons]);
    }
}

/* What survivors among the young of a table refer to, which are moved to its front part: whether there were more. */
static bool reach_from_table(struct gc *gc, struct gc_table *table, size_t *old, size_t slots)
{
    void ***all = table->at;
    bool more = false;
    for (size_t i = *old; i < table->count; i++) {
        if (copy_reached(gc, all[i])) {
            copy_reach_root(gc, (void **)&all[i]);
            for (size_t k = 0; k < slots; k++) {
                copy_reach_slot(gc, &all[i][k], false);
            }
            note_table(all[i]);
            void **survivor = all[i];
            all[i] = all[*old];
            all[(*old)++] = survivor;
            more = true;
        }
    }
    return more;
}

static void reach_from_tables(struct gc *gc)
{
    struct copy *c = &gc->copy;
    struct gc_finishable *f = gc->finishables.at;
    for (size_t i = c->finishables; i < gc->finishables.count; i++) {
        copy_reach_root(gc, &f[i].object);
    }
    for (bool more = true; more;) {
        copy_follow_all(gc);
        more = reach_from_table(gc, &gc->weak, &c->weak, 1);
        more |= reach_from_table(gc, &gc->ephemeron, &c->ephemerons, 2);
    }
    gc->weak.count = c->weak;
    gc->ephemeron.count = c->ephemerons;
    copy_note_tables(gc);
}

/* -- the whole of it -- */

size_t copy_end_young_units(struct gc *gc)
{
    struct copy *c = &gc->copy;
    size_t stay = 0;
    for (struct copy_unit *u = c->young, *next; u; u = next) {
        next = u->next;
        if (u->is == COPY_STAYS) {
            bool pinned = u->pinned;
            copy_settle_unit(gc, u);
            stay += u->live16 * GC_GRAIN;
            uint16_t objects = u->objects;
            copy_begin_old(gc, u);
            u->objects = objects;
            copy_want(c, u, !pinned);
        } else {
            copy_give_unit(gc, u);
        }
    }
    c->young = NULL;
    copy_close_young(gc);
    return stay;
}

void copy_young(struct gc *gc)
{
    struct copy *c = &gc->copy;
    size_t young = c->young_bytes;
    c->of_young = true;
    copy_begin_copies(gc, false);
    copy_pin(gc, false);
    copy_reach_roots(gc);
    copy_look_at_remembered(gc);
    reach_from_tables(gc);
    size_t live = copy_end_copies(gc) + copy_end_young_units(gc);
    c->of_young = false;
    c->again &= c->phase == COPY_MARKING;
    c->survived = live;
    c->promoted += live;
    gc->stats.young++;
    copy_set_used(gc, gc->used - (young - size_min(young, live)));
}
