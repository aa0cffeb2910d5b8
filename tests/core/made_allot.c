/* made_allot.c - see made_allot.h. Descriptors lie in libc's globals, all else in the stack's page, below what is in use. */
#include "core/made_allot.h"

#include <string.h>

#include "heap/describe.h"
#include "heap/site.h"
#include "snap/layout.h"

enum { DESC = 0xaa0, SITES = 0xd00 }; /* in the globals */
enum { LARGE = 0, FIRST = 0x40, TRIE = 0x80, NODES = 0x180, CHUNK = 0x1c0, LEAF = 0x1d0, KEPT = 0x1d8, ZERO = 0x200 };

static void put(struct made *made, uint64_t address, const void *record, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, (const char *)record + i, bytes - i < sizeof word ? bytes - i : sizeof word);
        made_put(made, address + i, word);
    }
}

static void *in_stack(size_t offset) { return (void *)(uintptr_t)(MADE_STACK + offset); }

static void put_heap(struct made *made)
{
    void *zero = in_stack(ZERO);
    struct core_desc d = {.magic = CORE_DESC_MAGIC,
                          .self = (const void *)(uintptr_t)(MADE_GLOBAL + DESC),
                          .version = CORE_DESC_VERSION,
                          .bytes = sizeof d,
                          .in_use = 1,
                          .layout = snap_layout(),
                          .page = zero,
                          .segments = zero,
                          .heaps = zero,
                          .epoch = zero,
                          .fronts = zero,
                          .large = in_stack(FIRST),
                          .kept = zero,
                          .kept_count = zero,
                          .deferred = zero,
                          .guards = zero,
                          .guard_count = zero,
                          .parts = zero,
                          .tags = zero,
                          .hardening = zero,
                          .secret = zero};
    struct large large = {.hidden_at = ~(uintptr_t)MADE_MAPPED, .length = MADE_PAGE, .heap = 1};
    put(made, MADE_GLOBAL + DESC, &d, sizeof d);
    put(made, MADE_STACK + LARGE, &large, sizeof large);
    made_put(made, MADE_STACK + FIRST, MADE_STACK + LARGE);
}

/* Tables of which only the one place is there that is asked for. */
static void put_sites(struct made *made)
{
    const uint64_t number = MADE_MAPPED >> SEGMENT_SHIFT;
    struct trie trie = {.nodes = MADE_SITE, .segment = {in_stack(NODES)}};
    struct trie_node node[MADE_SITE + 1] = {[1] = {0, (uint32_t)MADE_PC, (uint32_t)(MADE_PC >> 32)},
                                            [2] = {1, (uint32_t)MADE_PC + 8, (uint32_t)(MADE_PC >> 32)}};
    struct site_chunk chunk = {.large = MADE_SITE};
    struct site_desc d = {.magic = SITE_DESC_MAGIC,
                          .self = (const void *)(uintptr_t)(MADE_GLOBAL + SITES),
                          .version = 1,
                          .bytes = sizeof d,
                          .kept = in_stack(KEPT),
                          .table = (const void *)(uintptr_t)(MADE_STACK + LEAF - number / SITE_LEAF * sizeof(void *)),
                          .samples = in_stack(ZERO),
                          .stacks = in_stack(TRIE),
                          .modules = in_stack(ZERO)};
    put(made, MADE_GLOBAL + SITES, &d, sizeof d);
    put(made, MADE_STACK + TRIE, &trie, sizeof trie);
    put(made, MADE_STACK + NODES, node, sizeof node);
    put(made, MADE_STACK + CHUNK, &chunk, sizeof chunk);
    made_put(made, MADE_STACK + LEAF, MADE_STACK + CHUNK - number % SITE_LEAF * sizeof chunk);
    made_put(made, MADE_STACK + KEPT, 1);
}

void made_allot(struct made *made)
{
    put_heap(made);
    put_sites(made);
}
