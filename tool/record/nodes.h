/* nodes.h - the tree of stacks of all recorded processes together, as the file has it.
 *
 *   process: pc 0x55..1234 --its modules--> (module, offset) = frame 17 --parent 40--> node 41
 *            its node 12   ---------------------- map --------------------------------> node 41
 *
 * The same program that runs a hundred times has its nodes once: frames are known by module and offset, nodes by parent and frame.
 * What is new is kept till it is written, before the events that need it. A forked child's map begins where its parent's was then.
 *
 * Memory: 20 bytes a node and 40 a frame; at most FILE_NODES_MOST of each, then a stack is known to its last known node only.
 */
#ifndef ALLOT_RECORD_NODES_H
#define ALLOT_RECORD_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/writer.h"

#define NODES_UNKNOWN UINT32_MAX

struct nodes;
struct nodes *nodes_new(void);
void nodes_free(struct nodes *nodes);

/* A process's own numbers, and where its objects lie. */
struct node_map;
struct node_map *node_map_new(struct node_map *parent,
                              uint32_t inherited); /* holds on to the parent's; NULL: no memory */
void node_map_drop(struct node_map *map);

struct module_seen {
    uint64_t start, end, bias;
    const unsigned char *build_id;
    size_t build_id_bytes;
    const char *path;
    size_t path_bytes;
};
/* False: no memory; in all that follows too. */
bool nodes_module(struct nodes *nodes, struct node_map *map, const struct module_seen *module);
bool nodes_add(struct nodes *nodes, struct node_map *map, uint32_t id, uint32_t parent, uint64_t pc);

/* The file's number of a process's; NODES_UNKNOWN: not told yet. */
uint32_t node_map_inherited(const struct node_map *map, uint32_t id);
struct node_map {
    struct node_map *parent;
    uint32_t references, inherited;
    uint32_t count, room;
    uint32_t *node;        /* of inherited + 1 and so on; NODES_UNKNOWN: not told yet */
    struct placed *placed; /* where modules lie */
    uint32_t places, place_room;
    struct pc_slot *pc;
    uint32_t pcs, pc_mask;
};
static inline uint32_t node_map_find(const struct node_map *map, uint32_t id)
{
    if (id > map->inherited) {
        return id - map->inherited <= map->count ? map->node[id - map->inherited - 1] : NODES_UNKNOWN;
    }
    return id ? node_map_inherited(map->parent, id) : 0;
}

/* How many there are, with nobody. */
uint32_t nodes_count(const struct nodes *nodes);
/* Bytes of what is new; and writes that, if anything is. */
size_t nodes_pending(const struct nodes *nodes);
void nodes_write(struct nodes *nodes, struct writer *writer, uint64_t since);

#endif
