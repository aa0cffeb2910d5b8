/* scope/overlay.h - what lives together, and where it is to lie: the layout of an overlay. */
#ifndef SCOPE_OVERLAY_H
#define SCOPE_OVERLAY_H

#include <allot/overlay.h>

/* Segments and who lives with whom. */
struct overlay_graph {
    size_t n, words;
    size_t align;       /* of places, in bytes */
    size_t *size;       /* of each segment in bytes, a multiple of `align`, more than 0 */
    uint64_t *together; /* a bitmap for each, of `words`: those that may live with it; never itself. Symmetric */
    size_t total;       /* the sum of sizes */
};

static inline uint64_t *overlay_row(uint64_t *rows, size_t words, size_t i) { return rows + i * words; }

/* 0, -EINVAL or -ENOMEM. */
int overlay_graph_init(struct overlay_graph *g, const struct allot_overlay_seg *segs, size_t n,
                       const struct allot_overlay_opts *opts);
void overlay_graph_done(struct overlay_graph *g);

/* The offset of each; 0 or -ENOMEM. */
int overlay_lay_out(const struct overlay_graph *g, size_t *at, struct allot_overlay_layout *out);

#endif
