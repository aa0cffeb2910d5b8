/* glibc_kept.c - chunks that look used and are not: each thread's tcache and each arena's fast bins keep them for the next malloc.
 *
 *   tcache, a block of its own:  | 64 counts | 64 lists |      block -> block -> block
 *   since 2.42:                  | 76 counts | 76 lists |      of how many more there may be; the last twelve: of a power of two each
 *   arena, until 2.42:           | ... | 10 fast bins | ...    chunk -> chunk
 *
 * Since 2.32 a link is not an address: it is the address, xor where the link itself is, shifted by 12. Which of the two a core has is
 * told by which of them leads to chunks of the right size. A tcache is known by itself, as nothing else is like it: lists of just as
 * many chunks, of just the size, as it says.
 */
#include <stdlib.h>
#include <string.h>

#include "core/glibc.h"

enum { BINS = 64, LARGE_BINS = 12, COUNT_BYTES = 2, LARGE_SHIFT = 10 };

static uint64_t size_at(const struct glibc *g, uint64_t block)
{
    return block % CHUNK_ALIGN == 0 && block >= CHUNK_HEAD ? core_word(g->core, block - 8) & ~(uint64_t)CHUNK_FLAGS : 0;
}

/* Whether a chunk of that size, or that a list is for, could have its payload there. */
static bool is_chunk(const struct glibc *g, uint64_t block, uint64_t size) { return size_at(g, block) == size; }

static bool is_of_bin(const struct glibc *g, uint64_t block, unsigned bin)
{
    uint64_t size = size_at(g, block);
    return bin < BINS ? size == CHUNK_LEAST + CHUNK_ALIGN * bin
                      : size >= CHUNK_LEAST + CHUNK_ALIGN * BINS && size >> (LARGE_SHIFT + bin - BINS) == 1;
}

static uint64_t decode(const struct core *core, uint64_t link, bool mangled)
{
    uint64_t word = core_word(core, link);
    return mangled ? word ^ link >> 12 : word;
}

static unsigned bins_of(const struct glibc_cache *cache) { return BINS + (cache->larger ? LARGE_BINS : 0); }

static unsigned says(const struct core *core, const struct glibc_cache *cache, unsigned bin)
{
    uint16_t n = 0;
    const void *at = core_at(core, cache->at + bin * COUNT_BYTES, sizeof n);
    if (at) {
        memcpy(&n, at, sizeof n);
    }
    return n;
}

static unsigned count_of(const struct core *core, const struct glibc_cache *cache, unsigned bin)
{
    return cache->larger ? cache->most - says(core, cache, bin) : says(core, cache, bin);
}

static uint64_t first_of(const struct core *core, const struct glibc_cache *cache, unsigned bin)
{
    return core_word(core, cache->at + bins_of(cache) * COUNT_BYTES + 8 * bin);
}

/* By its counts and the first of each list. Of one list at least there is none, so that what that may have is what all may. */
static bool is_cache(const struct glibc *g, struct glibc_cache *cache)
{
    bool any = false;
    for (unsigned bin = 0; bin < bins_of(cache); bin++) {
        unsigned n = says(g->core, cache, bin);
        cache->most = n > cache->most ? n : cache->most;
    }
    for (unsigned bin = 0; bin < bins_of(cache); bin++) {
        uint64_t first = first_of(g->core, cache, bin);
        unsigned n = count_of(g->core, cache, bin);
        if ((n == 0) != (first == 0) || (n > 0 && !is_of_bin(g, first, bin))) {
            return false;
        }
        any |= n > 0;
    }
    return any;
}

/* For and against mangled links, of the second block of each list, and of the end that the last one has. */
static void vote(const struct glibc *g, const struct glibc_cache *cache, int *mangled)
{
    for (unsigned bin = 0; bin < bins_of(cache); bin++) {
        uint64_t first = first_of(g->core, cache, bin);
        if (count_of(g->core, cache, bin) > 1) {
            *mangled +=
                is_of_bin(g, decode(g->core, first, true), bin) - is_of_bin(g, decode(g->core, first, false), bin);
        } else if (first) {
            *mangled += (decode(g->core, first, true) == 0) - (decode(g->core, first, false) == 0);
        }
    }
}

static void vote_fast(const struct glibc *g, uint64_t arena, int *mangled)
{
    for (unsigned bin = 0; bin < ARENA_FAST_COUNT; bin++) {
        uint64_t chunk = core_word(g->core, arena + ARENA_FASTBINS + 8 * bin), link = chunk + CHUNK_HEAD;
        for (int way = 0; chunk && way < 2; way++) {
            uint64_t next = decode(g->core, link, way);
            bool fits = next == 0 || is_chunk(g, next + CHUNK_HEAD, CHUNK_LEAST + CHUNK_ALIGN * bin);
            *mangled += way ? fits : -fits;
        }
    }
}

static bool keep(struct glibc *g, uint64_t block, uint64_t size, struct glibc_sum *sum)
{
    sum->blocks++;
    sum->bytes += size;
    return glibc_push(g, &g->kept, &g->kepts, &g->kept_room, block);
}

static void read_cache(struct glibc *g, const struct glibc_cache *cache, bool mangled)
{
    for (unsigned bin = 0; bin < bins_of(cache); bin++) {
        uint64_t block = first_of(g->core, cache, bin);
        for (unsigned n = count_of(g->core, cache, bin); n > 0; n--) {
            if (!is_of_bin(g, block, bin)) {
                glibc_damaged(g, cache->at, "tcache whose list %u leads to %#llx", bin, (unsigned long long)block);
                break;
            }
            if (!keep(g, block, size_at(g, block), &g->report->tcache)) {
                return;
            }
            block = decode(g->core, block, mangled);
        }
    }
}

static void read_fast(struct glibc *g, uint64_t arena, bool mangled, size_t most)
{
    for (unsigned bin = 0; bin < ARENA_FAST_COUNT; bin++) {
        uint64_t chunk = core_word(g->core, arena + ARENA_FASTBINS + 8 * bin), size = CHUNK_LEAST + CHUNK_ALIGN * bin;
        for (; chunk != 0; chunk = decode(g->core, chunk + CHUNK_HEAD, mangled)) {
            if (!is_chunk(g, chunk + CHUNK_HEAD, size) || g->kepts > most) {
                glibc_damaged(g, arena, "fast bin for %u bytes that leads to %#llx",
                              CHUNK_LEAST - 8 + CHUNK_ALIGN * bin, (unsigned long long)chunk);
                break;
            }
            if (!keep(g, chunk + CHUNK_HEAD, size, &g->report->fast)) {
                return;
            }
        }
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Takes the kept ones off the list; those that are not on it, or twice kept, are damage. */
static void take_out(struct glibc *g)
{
    struct graph_block *block = g->blocks->block;
    size_t left = 0, k = 0;
    if (g->kepts > 1) {
        qsort(g->kept, g->kepts, sizeof *g->kept, compare);
    }
    for (size_t i = 0; i < g->blocks->count; i++) {
        for (; k < g->kepts && g->kept[k] < block[i].address; k++) {
            glibc_damaged(g, g->kept[k],
                          k > 0 && g->kept[k] == g->kept[k - 1] ? "block that was freed twice"
                                                                : "free block that is no chunk");
        }
        if (k < g->kepts && g->kept[k] == block[i].address) {
            g->report->used.blocks--;
            g->report->used.bytes -= block[i].size + 8;
            k++;
        } else {
            block[left++] = block[i];
        }
    }
    for (; k < g->kepts; k++) {
        glibc_damaged(g, g->kept[k],
                      k > 0 && g->kept[k] == g->kept[k - 1] ? "block that was freed twice"
                                                            : "free block that is no chunk");
    }
    g->blocks->count = left;
}

void glibc_take_out_kept(struct glibc *g)
{
    int mangled = 0;
    size_t caches = 0, most = g->blocks->count;
    for (size_t i = 0; i < g->caches; i++) {
        if (is_cache(g, &g->cache[i])) {
            vote(g, &g->cache[i], &mangled);
            g->cache[caches++] = g->cache[i];
        }
    }
    const size_t with_fast = g->bins == ARENA_BINS_FAST ? g->arenas : 0;
    for (size_t i = 0; i < with_fast; i++) {
        vote_fast(g, g->arena[i], &mangled);
    }
    for (size_t i = 0; i < caches && !g->out_of_memory; i++) {
        read_cache(g, &g->cache[i], mangled > 0);
    }
    for (size_t i = 0; i < with_fast && !g->out_of_memory; i++) {
        read_fast(g, g->arena[i], mangled > 0, most);
    }
    if (!g->out_of_memory) {
        take_out(g);
    }
}
