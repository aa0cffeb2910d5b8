/* snap/owners.h - whose blocks are: the owners of a block list, each once, while it is made.
 *
 *   part's number, tag's index, heap's number ---> index of the owner + 1, or 0: not seen yet
 */
#ifndef SNAP_OWNERS_H
#define SNAP_OWNERS_H

#include "graph/graph.h"
#include "heap/heap.h"
#include "pool/set.h"
#include "snap/read.h"

struct owners {
    struct reader *reader;
    struct graph_blocks *out;
    uint32_t *part, *tag, *heap; /* sparse: what nobody asks for costs nothing */
    uint32_t named;              /* the last one that has no number: an arena, a region, an overlay; 0: none yet */
    bool no_memory;
    uintptr_t
        *table; /* blocks that are tables of pools with single objects: allot's own, and no blocks to anybody else */
    size_t tables, table_room;
    struct owned_type {
        const struct allot_gc_type *type;
        uint32_t id, owner;
    } * type; /* that objects have been seen of, in each heap */
    size_t types, type_room, last_type;
    struct part_view {
        const struct set *set; /* NULL: there is none */
        uint32_t id, owner;
    } last; /* the part asked for last */
};

bool owners_begin(struct owners *o, struct reader *r, struct graph_blocks *out);
void owners_end(struct owners *o);

uint32_t owner_of_arena(struct owners *o, const char *name);
uint32_t owner_of_owned(struct owners *o, enum graph_owner_kind kind, const char *name);
uint32_t owner_of_tag(struct owners *o, uint32_t index);
uint32_t owner_of_heap(struct owners *o, uint32_t id, const struct heap *h);

/* Of a type's objects in a heap. */
struct allot_gc_type;
uint32_t owner_of_type(struct owners *o, uint32_t id, enum graph_owner_kind kind, const char *heap,
                       const struct allot_gc_type *type);

struct part_view part_view(struct owners *o, uint32_t id);
void owners_free_names(struct graph_names *names); /* one piece of them */
bool is_own_table(const struct owners *o, uintptr_t at);
/* Of one whose objects have pages of their own: whether the one there is out. */
bool part_single_is_out(struct owners *o, const struct part_view *part, uintptr_t at);

#endif
