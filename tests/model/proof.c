/* proof.c - the heap's own account against the oracle's. */
#include "state.h"

#include "../common/check.h"

enum { FOREIGN_MOST = 4096 };

#define SEGMENT ((uintptr_t)4 << 20)

/* Blocks of libc and cmocka that were there before the run, when they share the heap. */
static void *foreign[FOREIGN_MOST];
static size_t foreign_count;

struct tally {
    uintptr_t last;
    size_t blocks, bytes;     /* all that were walked */
    size_t known, foreigners; /* of them: the oracle's, those in `foreign` */
};

static int remember(void *block, size_t usable, void *arg)
{
    (void)usable, (void)arg;
    CHECK(foreign_count < FOREIGN_MOST);
    foreign[foreign_count++] = block;
    return 0;
}

static bool is_foreign(const void *block)
{
    for (size_t i = 0; i < foreign_count; i++) {
        if (foreign[i] == block)
            return true;
    }
    return false;
}

static int compare(void *block, size_t usable, void *arg)
{
    struct tally *tally = arg;
    tally->blocks++;
    tally->bytes += usable;
    if ((uintptr_t)block / SEGMENT == tally->last / SEGMENT)
        CHECK((uintptr_t)block > tally->last);
    tally->last = (uintptr_t)block;

    int64_t number = oracle_find(&model.oracle, block);
    if (number >= 0) {
        const struct block *expected = &model.oracle.block[number];
        if (expected->origin == FROM_LISTS)
            CHECK(usable >= expected->asked);
        else
            CHECK(usable == expected->usable);
        tally->known += expected->origin != FROM_LISTS;
    } else if (is_foreign(block)) {
        tally->foreigners++;
    } else if (model.flags & MODEL_EXACT) {
        /* Only a chunk of a two_level heap may be news. */
        CHECK(model.heap_live[MODEL_HEAPS_MOST - 1] && "allot_walk lists a block that is not live");
        CHECK(!oracle_covers(&model.oracle, block, usable, FROM_MALLOC));
    }
    return 0;
}

void model_begin_proof(void)
{
    foreign_count = 0;
    if (toolkit.walk)
        CHECK(toolkit.walk(remember, NULL) == 0);
}

static size_t walkable(void)
{
    size_t n = 0;
    for (uint32_t i = 0; i < model.oracle.count; i++)
        n += model.oracle.block[i].origin != FROM_LISTS;
    return n;
}

static void prove_heap(unsigned i)
{
    struct allot_stats stats;
    toolkit.heap_stats(model_heap(i), &stats);
    CHECK(toolkit.heap_check(&model.heap[i]));
    if (i == MODEL_HEAPS_MOST - 1)
        return; /* two_level: nothing records its blocks */
    size_t blocks = 0, live = 0;
    for (uint32_t n = 0; n < model.oracle.count; n++) {
        const struct block *block = &model.oracle.block[n];
        if (block->origin == FROM_HEAP && block->heap == i) {
            blocks++;
            live += block->usable;
        }
    }
    CHECK(stats.blocks == blocks);
    CHECK(exact_sizes() ? stats.live >= live : stats.live == live);
}

void model_prove(void)
{
    oracle_verify_all(&model.oracle);
    toolkit_check();
    if (!toolkit.walk)
        return;

    struct tally tally = {0};
    CHECK(toolkit.walk(compare, &tally) == 0);
    CHECK(tally.known == walkable());
    if (model.flags & MODEL_EXACT)
        CHECK(tally.foreigners == foreign_count);

    struct allot_stats stats;
    toolkit.stats(&stats);
    CHECK(stats.blocks == tally.blocks);
    CHECK(exact_sizes() ? stats.live >= tally.bytes : stats.live == tally.bytes);
    CHECK(stats.mapped >= stats.live);
    CHECK(stats.mapped >= toolkit.resident());
    for (unsigned i = 0; i < MODEL_HEAPS_MOST; i++) {
        if (model.heap_live[i])
            prove_heap(i);
    }
}
