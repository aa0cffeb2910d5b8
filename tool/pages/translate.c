/* See translate.h. */
#include <stdlib.h>
#include <string.h>

#include "pages/translate.h"

unsigned translate_address_bits(const struct translate_shape *shape)
{
    unsigned bits = shape->page_shift;
    for (unsigned l = 0; l < shape->levels; l++) {
        bits += shape->bits[l];
    }
    return bits;
}

/* -- the table: a node is an array of numbers of nodes, 0: none; a leaf needs no array, as a page is walked to first only once -- */

#define BYTES_MOST ((size_t)2 << 30) /* addresses that have nothing to do with each other want a node each */

struct nodes {
    uint32_t **at; /* of each node */
    size_t count, room, bytes;
};

static uint32_t node_add(struct nodes *nodes, unsigned bits)
{
    if (nodes->count == nodes->room) {
        size_t room = nodes->room ? 2 * nodes->room : 64;
        uint32_t **at = realloc(nodes->at, room * sizeof *at);
        if (!at) {
            return 0;
        }
        nodes->at = at;
        nodes->room = room;
    }
    size_t bytes = bits ? sizeof(uint32_t) << bits : 0;
    uint32_t *node = bits && bytes <= BYTES_MOST - nodes->bytes ? calloc(1, bytes) : NULL;
    if (bits && !node) {
        return 0;
    }
    nodes->bytes += bytes;
    nodes->at[nodes->count] = node;
    return (uint32_t)nodes->count++;
}

/* Walks to the page of that number for the first time, and makes what is missing. How many entries that read; 0: out of memory. */
static unsigned first_walk(struct translate_table *table, struct nodes *nodes, uint64_t number)
{
    const struct translate_shape *shape = &table->shape;
    unsigned left = translate_address_bits(shape) - shape->page_shift, reads = 1;
    uint32_t node = 0;
    bool made = false;
    for (unsigned l = 0; l + 1 < shape->levels; l++) {
        left -= shape->bits[l];
        uint32_t *entry = &nodes->at[node][number >> left & (((uint64_t)1 << shape->bits[l]) - 1)];
        if (!*entry) {
            bool leaf = l + 2 == shape->levels;
            *entry = node_add(nodes, leaf ? 0 : shape->bits[l + 1]);
            table->nodes[l + 1]++;
            made = true;
        }
        node = *entry;
        if (!node) {
            return 0;
        }
        reads += !made;
    }
    return reads;
}

bool translate_table(struct translate_table *table, const struct refs *refs, const struct translate_shape *shape)
{
    struct nodes nodes = {0};
    *table = (struct translate_table){.shape = *shape, .first = malloc(refs->ids.count + 1)};
    table->nodes[0] = 1;
    node_add(&nodes, shape->levels > 1 ? shape->bits[0] : 0);
    bool made = table->first && nodes.count == 1;
    for (uint32_t page = 0; page < refs->ids.count && made; page++) {
        table->first[page] = (uint8_t)first_walk(table, &nodes, refs->ids.number[page]);
        made = table->first[page] > 0;
    }
    for (size_t i = 0; i < nodes.count; i++) {
        free(nodes.at[i]);
    }
    free(nodes.at);
    for (unsigned l = 0; l < shape->levels; l++) {
        table->bytes += table->nodes[l] << shape->bits[l] << 3;
    }
    if (!made) {
        translate_table_end(table);
    }
    return made;
}

void translate_table_end(struct translate_table *table)
{
    free(table->first);
    *table = (struct translate_table){0};
}

/* -- the TLB -- */

bool tlb_begin(struct tlb *tlb, const struct translate_shape *shape)
{
    *tlb = (struct tlb){.sets = shape->entries / shape->ways, .ways = shape->ways};
    tlb->page = calloc(shape->entries, sizeof *tlb->page);
    return tlb->page;
}

void tlb_end(struct tlb *tlb)
{
    free(tlb->page);
    *tlb = (struct tlb){0};
}

void tlb_drop(struct tlb *tlb, uint32_t page, uint64_t number)
{
    uint32_t *set = tlb->page + (number & (tlb->sets - 1)) * tlb->ways, i = 0;
    while (i < tlb->ways && set[i] != page + 1) {
        i++;
    }
    if (i < tlb->ways) {
        memmove(set + i, set + i + 1, (tlb->ways - 1 - i) * sizeof *set);
        set[tlb->ways - 1] = 0;
    }
}
