/* tables.h - what stacks are made of, for readers of formats: nodes, frames, modules and texts, numbered as they come.
 *
 * Only grows. Texts are kept once each and stay where they are until the end. All zero at first. Out of memory is an ordinary
 * answer (TABLES_FULL, NULL), after which everything is as before.
 */
#ifndef ALLOT_TRACE_TABLES_H
#define ALLOT_TRACE_TABLES_H

#include "trace/trace.h"

#define TABLES_FULL UINT32_MAX

struct text_block;
struct text_slot;
struct tables {
    struct trace_node *node; /* [0] is nobody */
    struct trace_frame *frame;
    struct trace_module *module;
    uint32_t nodes, frames, modules; /* nodes counts node 0, once there is another */
    uint32_t node_room, frame_room, module_room;
    struct text_block *texts; /* newest first */
    size_t text_bytes;        /* of all blocks */
    struct text_slot *text;   /* hash of them, at most half full */
    uint32_t text_mask, text_count;
    uint32_t *same; /* hash of frames that were asked for once: number + 1; 0: empty. At most half full */
    uint32_t same_mask, same_count;
    uint32_t *named; /* by a text's number: the module of that path alone, plus 1 */
    uint32_t named_room;
};

void tables_done(struct tables *tables);
/* All has been read: what only serves to find what is there already is given back. */
void tables_settle(struct tables *tables);
/* Their numbers, or TABLES_FULL. The node's parent and frame must be there. */
uint32_t tables_node(struct tables *tables, uint32_t parent, uint32_t frame);
uint32_t tables_frame(struct tables *tables, const struct trace_frame *frame);
/* The frame that is equal in all, texts by their pointers; made when there is none. */
uint32_t tables_frame_once(struct tables *tables, const struct trace_frame *frame);
uint32_t tables_module(struct tables *tables, const struct trace_module *module);
/* The module of which nothing but its path is known, made when there is none. */
uint32_t tables_module_named(struct tables *tables, const char *path, size_t length);
/* The text, terminated and without zeros in it, and the same pointer for the same text. `number`, if given: which text it is, from 1
 * in the order they came. */
const char *tables_text(struct tables *tables, const char *text, size_t length, uint32_t *number);

/* The element of an array by numbers that grow, which is 0 where nothing was put yet. NULL: no memory. */
uint32_t *tables_slot(uint32_t **array, uint32_t *room, uint32_t number);

/* Bytes that they take. */
size_t tables_memory(const struct tables *tables);
const struct trace_node *tables_nodes(const struct tables *tables, uint32_t *count);
const struct trace_frame *tables_frames(const struct tables *tables, uint32_t *count);
const struct trace_module *tables_modules(const struct tables *tables, uint32_t *count);

#endif
