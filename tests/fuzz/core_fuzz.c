/* core_fuzz.c - libFuzzer on the reader of core files and the walks of heaps: a whole core, or changes to one made by hand
 * (core/made.h, core/made_allot.h), each an offset, a count and that many bytes; a count of 0 cuts the file there. */
#include <stdlib.h>
#include <string.h>

#include "../core/made_allot.h"
#include "core/dead.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const unsigned char *core, size_t bytes)
{
    struct dead dead;
    struct core_error error;
    unsigned char *copy = malloc(bytes + 1); /* so that a read beyond its end is seen */
    if (!copy) {
        return;
    }
    memcpy(copy, core, bytes);
    if (dead_open_memory(&dead, copy, bytes, &error)) {
        if (dead_mark(&dead) && graph_make_edges(&dead.graph)) {
            graph_free_retained(graph_retained(&dead.graph), &dead.graph);
        }
        for (size_t i = 0; i < dead.blocks.count; i++) {
            uint32_t site = dead.blocks.block[i].site;
            uint64_t pc;
            bool loaded;
            while (core_site_frame(&dead.sites, site, &site, &pc, &loaded)) {
            }
        }
        dead_close(&dead);
    }
    free(copy);
}

static void make(struct made *made)
{
    made_begin(made);
    uint64_t cache = made_chunk(made, 0x290), kept = made_chunk(made, 48), other = made_chunk(made, 48);
    uint64_t fast = made_chunk(made, 64), free_one = made_free(made, 1024), last = made_chunk(made, 64);
    made_put(made, cache, (uint64_t)2 << 16);
    made_put(made, cache + 128 + 8, kept);
    made_put(made, kept, other ^ kept >> 12);
    made_put(made, other, other >> 12);
    made_put(made, MADE_ARENA + 16 + 16, fast - 16);
    made_put(made, fast, fast >> 12);
    made_put(made, MADE_ROOT, last);
    made_put(made, last, free_one);
    made_allot(made);
    made_end(made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct made made;
    if (size >= 4 && memcmp(data, "\177ELF", 4) == 0) {
        look(data, size);
        return 0;
    }
    make(&made);
    while (size >= 3) {
        size_t at = (data[0] | data[1] << 8) % made.bytes, count = data[2];
        data += 3, size -= 3;
        if (count == 0) {
            made.bytes = at + 1;
        }
        count = count < size ? count : size;
        count = count < made.bytes - at ? count : made.bytes - at;
        memcpy(made.file + at, data, count);
        data += count, size -= count;
    }
    look(made.file, made.bytes);
    return 0;
}
