/* leaks.c - what a dead process has lost; see leaks.h. */
#include <stdlib.h>

#include "core/leaks.h"
#include "core/print.h"
#include "core/types.h"

static struct leak leak_of(const struct dead *dead, struct types *types, size_t block, uint64_t retained, char *owner,
                           size_t room)
{
    const struct graph_block *b = &dead->blocks.block[block];
    return (struct leak){.verdict = dead->graph.verdict[block],
                         .count = 1,
                         .bytes = b->size,
                         .retained = retained,
                         .type = types_of(types, b),
                         .owner = core_owner(dead, b->owner, owner, room),
                         .address = b->address};
}

bool dead_leaks(const struct dead *dead, struct leaks *leaks, bool all)
{
    struct types *types = types_begin(dead);
    uint64_t *retained = calloc(dead->blocks.count + 1, sizeof *retained);
    bool fine = types && retained;
    for (size_t i = 0; fine && i < dead->blocks.count; i++) {
        size_t leader = dead->graph.verdict[i] == GRAPH_INDIRECT ? dead->graph.leader[i] : i;
        retained[leader] += dead->blocks.block[i].size;
    }
    struct leak sum[GRAPH_DEFINITE + 1] = {0};
    for (size_t i = 0; fine && i < dead->blocks.count; i++) {
        enum graph_verdict verdict = dead->graph.verdict[i];
        char owner[96];
        if (all || verdict == GRAPH_DEFINITE || verdict == GRAPH_POSSIBLE) {
            struct leak leak =
                leak_of(dead, types, i, verdict == GRAPH_DEFINITE ? retained[i] : 0, owner, sizeof owner);
            fine = leaks_add(leaks, &leak);
        } else {
            sum[verdict].verdict = verdict;
            sum[verdict].count++;
            sum[verdict].bytes += dead->blocks.block[i].size;
        }
    }
    for (size_t i = 0; fine && i <= GRAPH_DEFINITE; i++) {
        fine = sum[i].count == 0 || leaks_add(leaks, &sum[i]);
    }
    free(retained);
    types_end(types);
    return fine;
}
