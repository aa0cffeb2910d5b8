/* snapshot_fuzz.c - libFuzzer reads snapshots: any bytes are refused with one line that names the byte, or give a graph that can be asked
 * whatever is asked. */
#include <stdlib.h>
#include <string.h>

#include "snapshot/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All that the other readers rely on. */
static void ask_all(const struct snapshot *s)
{
    size_t way[64], root = 0, names = 0;
    uint64_t *retained = graph_retained(&s->graph);
    struct graph_edges back;
    for (size_t i = 0; i < s->blocks.count && i < 64; i++) {
        size_t length = graph_path(&s->graph, i, way, 64, &root);
        if (length && length != SIZE_MAX && (way[length - 1] >= s->blocks.count || root >= s->graph.roots)) {
            abort();
        }
        if (graph_block_at(&s->blocks, s->blocks.block[i].address) != i || s->graph.verdict[i] > GRAPH_DEFINITE) {
            abort();
        }
        snapshot_vtable(s, i);
        size_t frames = 0;
        for (const struct snap_frame *f = snapshot_frame(s, s->blocks.block[i].site); f;
             f = snapshot_frame(s, f->caller)) {
            if (++frames > s->frames || f->object > s->objects) {
                abort();
            }
        }
    }
    for (size_t i = 0; i < s->mappings; i++) {
        names += strlen(s->names + s->mapping[i].name);
    }
    for (size_t i = 0; i < s->objects; i++) {
        names += strlen(s->names + s->object[i].name) +
                 s->object[i].build_id[s->object[i].build_id_bytes - !!s->object[i].build_id_bytes];
    }
    for (size_t i = 0; i < s->descriptors; i++) {
        names += strlen(s->names + s->descriptor[i].name);
    }
    for (size_t i = 0; i < s->blocks.owners; i++) {
        names += s->blocks.owner[i].name ? strlen(s->blocks.owner[i].name) : 0;
    }
    if (names > SIZE_MAX / 2) {
        abort();
    }
    if (graph_turn_edges(&s->graph.edges, &back)) {
        graph_free_edges(&back);
    }
    if (retained) {
        graph_free_retained(retained, &s->graph);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct snapshot s;
    struct snapshot_error error = {""};
    if (snapshot_read(&s, data, size, &error)) {
        ask_all(&s);
        snapshot_close(&s);
    } else if (error.line[0] == 0) {
        abort();
    }
    return 0;
}
