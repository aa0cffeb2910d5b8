/* leaks.c - what a dead process has lost; see leaks.h. */
#include <stdlib.h>

#include "core/frames.h"
#include "core/leaks.h"
#include "core/print.h"
#include "core/types.h"

struct finder {
    const struct dead *dead;
    struct types *types;
    struct frames *frames;
    uint64_t *retained; /* of each definite one */
    char owner[96];
};

static struct leak leak_of(struct finder *f, size_t block)
{
    const struct graph_block *b = &f->dead->blocks.block[block];
    struct leak leak = {.verdict = f->dead->graph.verdict[block],
                        .count = 1,
                        .bytes = b->size,
                        .type = types_of(f->types, b),
                        .owner = core_owner(f->dead, b->owner, f->owner, sizeof f->owner),
                        .address = b->address};
    leak.retained = leak.verdict == GRAPH_DEFINITE ? f->retained[block] : 0;
    leak.frame = frames_of(f->frames, b->site, &leak.frames);
    return leak;
}

static void end(struct finder *f)
{
    free(f->retained);
    frames_end(f->frames);
    types_end(f->types);
}

static bool begin(struct finder *f, const struct dead *dead)
{
    *f = (struct finder){.dead = dead, .types = types_begin(dead), .frames = frames_begin(dead)};
    f->retained = calloc(dead->blocks.count + 1, sizeof *f->retained);
    if (!f->types || !f->frames || !f->retained) {
        end(f);
        return false;
    }
    for (size_t i = 0; i < dead->blocks.count; i++) {
        if (dead->graph.verdict[i] >= GRAPH_INDIRECT) {
            f->retained[dead->graph.leader[i]] += dead->blocks.block[i].size;
        }
    }
    return true;
}

bool dead_leaks(const struct dead *dead, struct leaks *leaks, bool all)
{
    struct finder finder;
    bool fine = begin(&finder, dead);
    if (!fine) {
        return false;
    }
    struct leak sum[GRAPH_DEFINITE + 1] = {0};
    for (size_t i = 0; fine && i < dead->blocks.count; i++) {
        enum graph_verdict verdict = dead->graph.verdict[i];
        if (all || verdict == GRAPH_DEFINITE || verdict == GRAPH_POSSIBLE) {
            struct leak leak = leak_of(&finder, i);
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
    end(&finder);
    return fine;
}
