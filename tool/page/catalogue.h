/* page/catalogue.h - texts, frames and stacks of a page, each once: what the columns of its data point into.
 *
 *   text[0] is ""      frame: function, file, line, module (texts)      node[0] is nobody, a node's parent stands before it
 *
 * What has no function is called by its module and offset, "libfoo.so+0x1234". Other texts are pointed to, not copied: they stay as long
 * as the symbols that they come from. Nodes at most CATALOGUE_NODES, 16 MiB with their
 * index: the stacks that come later end where theirs are known.
 */
#ifndef ALLOT_PAGE_CATALOGUE_H
#define ALLOT_PAGE_CATALOGUE_H

#include <stddef.h>
#include <stdint.h>

#include "symbols.h"

#define CATALOGUE_NODES (1u << 19)

struct catalogue_frame {
    uint32_t function, file, line, module;
};
struct catalogue_node {
    uint32_t parent, frame;
};

struct catalogue_index { /* open addressing: numbers and 1 */
    uint32_t *slot;
    size_t slots, used;
};

struct catalogue {
    const char **text;
    struct catalogue_frame *frame;
    struct catalogue_node *node;
    uint32_t texts, frames, nodes, text_room, frame_room, node_room;
    char **own; /* texts that are ours */
    uint32_t owns, own_room;
    struct catalogue_index text_index, frame_index, node_index;
};

/* False: out of memory. */
bool catalogue_begin(struct catalogue *catalogue);
void catalogue_end(struct catalogue *catalogue);

/* Each UINT32_MAX: out of memory. NULL is "". */
uint32_t catalogue_text(struct catalogue *catalogue, const char *text);
uint32_t catalogue_frame(struct catalogue *catalogue, const struct symbol_frame *frame);
/* Of a stack, innermost frame first. */
uint32_t catalogue_stack(struct catalogue *catalogue, const struct symbol_frame *frame, size_t count);

#endif
