/* graph/heuristic.c - pointers into the middle of a block that are as good as one to its beginning. The rules are memcheck's
 * (mc_leakcheck.c); where a block's size is not known to the byte, what rounding may have added is allowed for.
 *
 *   std::string before C++11   | length | capacity | references | text ...        text is pointed to
 *   an array of 64-bit length  | length | data ...                                 data
 *   new T[n]                   | n      | T | T ...                                 the first T, which has a destructor
 *   a second base class        | vtable ... | vtable ...                            what has the second vtable
 *
 * And one of our own: what is placed in a region's memory is pointed to, wherever it lies there.
 */
#include "graph/graph.h"

#include "base/bits.h"

/* A size class is at most an eighth longer than what was asked for, or 16 bytes; whole pages above 32 KiB. */
static bool fits(uint64_t wanted, uint64_t size)
{
    uint64_t slack = size > 32768 ? 4096 : size_max(16, size / 8);
    return wanted <= size && size - wanted <= slack;
}

/* Ranges are by address, but for the first ones. */
static bool is_constant(const struct image *image, uintptr_t address)
{
    size_t from = 0, to = image->ranges;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const struct image_range *r = &image->range[middle];
        if (r->kind == IMAGE_REGISTERS || r->kind == IMAGE_HELD || r->to <= address) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    const struct image_range *r = &image->range[from];
    return from < image->ranges && (r->kind == IMAGE_CONSTANT || r->kind == IMAGE_RELRO) && r->from <= address;
}

uintptr_t graph_vtable(const struct image *image, uintptr_t word, size_t offset)
{
    if (word % 8 != 0 || word < 4096 || !is_constant(image, word) || !is_constant(image, word - 16)) {
        return 0;
    }
    const int64_t *before = image_at(image, word - 16, 16);
    uintptr_t type = before ? (uintptr_t)before[1] : 0;
    bool whole = before && before[0] == -(int64_t)offset && (type == 0 || (type % 8 == 0 && is_constant(image, type)));
    const uintptr_t *first = whole ? image_at(image, word, sizeof *first) : NULL;
    return first && (*first == 0 || is_constant(image, *first)) ? word : 0;
}

bool graph_is_beginning(const struct graph *g, size_t block, uintptr_t address)
{
    const struct graph_block *b = &g->blocks->block[block];
    size_t offset = address - b->address;
    if (g->blocks->owner[b->owner].kind == GRAPH_REGION) {
        return true;
    }
    if (b->address % 8 != 0 || offset % 8 != 0 || b->size < 16) { /* of small objects, side by side */
        return false;
    }
    const uint64_t *head = image_at(g->image, b->address, 16);
    if (!head) {
        return false;
    }
    if (offset == 24 && b->size > 24 && head[0] <= head[1] && head[1] < b->size && fits(24 + head[1] + 1, b->size)) {
        return true;
    }
    if (offset == 8 && head[0] != 0 && head[0] <= b->size) {
        uint64_t each = (b->size - 8) / head[0];
        if (fits(8 + head[0], b->size) || (each >= 8 && fits(8 + each / 8 * 8 * head[0], b->size))) {
            return true;
        }
    }
    const uintptr_t *other =
        offset + 8 <= b->size && graph_vtable(g->image, head[0], 0) ? image_at(g->image, address, 8) : NULL;
    return other && graph_vtable(g->image, *other, offset);
}
