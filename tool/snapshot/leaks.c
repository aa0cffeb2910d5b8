/* leaks.c - see leaks.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "snapshot/leaks.h"

/* What is only pointed to belongs to this, and is good until the next call. */
static struct leak leak_of(const struct snapshot *s, struct snapshot_names *names, struct recorded *recorded, size_t i,
                           const uint64_t *led)
{
    static struct symbol_frame frame[SNAPSHOT_DEEPEST];
    static char owner[128];
    const struct graph_block *b = &s->blocks.block[i];
    enum graph_verdict verdict = (enum graph_verdict)s->graph.verdict[i];
    size_t frames = b->site ? snapshot_stack(names, b->site, frame, SNAPSHOT_DEEPEST) : 0;
    if (frames == 0 && recorded) {
        frames = recorded_stack(recorded, b->address, frame, SNAPSHOT_DEEPEST);
    }
    return (struct leak){.verdict = verdict,
                         .count = 1,
                         .bytes = b->size,
                         .retained = verdict == GRAPH_DEFINITE ? led[i] : 0,
                         .type = snapshot_type(names, i),
                         .owner = snapshot_owner(s, i, owner, sizeof owner),
                         .frame = frame,
                         .frames = frames,
                         .address = b->address};
}

bool snapshot_leaks(const struct snapshot *s, struct leaks *leaks, struct recorded *recorded, bool all)
{
    struct snapshot_names *names = snapshot_names_begin(s);
    uint64_t *led = calloc(s->blocks.count + 1, sizeof *led);
    bool done = names && led;
    for (size_t i = 0; done && i < s->blocks.count; i++) {
        bool lost = s->graph.verdict[i] >= GRAPH_INDIRECT;
        led[lost ? s->graph.leader[i] : i] += s->blocks.block[i].size;
    }
    struct leak sum[GRAPH_DEFINITE + 1] = {0};
    for (size_t i = 0; done && i < s->blocks.count; i++) {
        enum graph_verdict verdict = (enum graph_verdict)s->graph.verdict[i];
        if (all || verdict == GRAPH_DEFINITE || verdict == GRAPH_POSSIBLE) {
            struct leak leak = leak_of(s, names, recorded, i, led);
            done = leaks_add(leaks, &leak);
        } else {
            sum[verdict].verdict = verdict;
            sum[verdict].count++;
            sum[verdict].bytes += s->blocks.block[i].size;
        }
    }
    for (size_t i = 0; done && i <= GRAPH_DEFINITE; i++) {
        done = sum[i].count == 0 || leaks_add(leaks, &sum[i]);
    }
    free(led);
    snapshot_names_end(names);
    return done;
}

/* -- who holds them -- */

enum { WAYS = 64, HOPS = 12, LONGEST = 4096 };

struct ways {
    const struct snapshot *s;
    struct snapshot_names *names;
};

/* The last of them is the block itself: its group says what it is. */
static void put_hops(const struct ways *w, FILE *to, const size_t *block, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (length > HOPS && i == HOPS / 2) {
            fprintf(to, " -> %zu more", length - HOPS);
            i += length - HOPS;
        }
        const struct graph_block *b = &w->s->blocks.block[block[i]];
        const char *type = snapshot_type(w->names, block[i]);
        fprintf(to, " -> 0x%" PRIxPTR " %zu bytes%s%s", b->address, (size_t)b->size, type ? ", " : "",
                type ? type : "");
    }
}

char *snapshot_way(const struct snapshot *s, struct snapshot_names *names, size_t at)
{
    static size_t block[LONGEST];
    const struct ways w = {s, names};
    size_t root = 0, bytes, length;
    char from[512] = "lost", *line = NULL;
    if (s->graph.verdict[at] == GRAPH_INDIRECT && s->graph.leader[at] != at) {
        block[0] = s->graph.leader[at];
        block[1] = at;
        length = 2;
    } else {
        length = graph_path(&s->graph, at, block, LONGEST, &root);
        if (length == 0 || length == SIZE_MAX) {
            return NULL;
        }
        snapshot_beginning(names, root, block[0], from, sizeof from);
    }
    FILE *to = open_memstream(&line, &bytes);
    if (to) {
        fputs(from, to);
        put_hops(&w, to, block, length);
        if (fclose(to) != 0) {
            free(line);
            line = NULL;
        }
    }
    return line;
}

static char *way_to(void *arg, uintptr_t address)
{
    const struct ways *w = arg;
    size_t at = graph_block_at(&w->s->blocks, address);
    return at == GRAPH_NONE ? NULL : snapshot_way(w->s, w->names, at);
}

bool snapshot_ways(const struct snapshot *s, struct leaks *leaks)
{
    struct ways w = {s, snapshot_names_begin(s)};
    if (w.names) {
        leaks_hold(leaks, WAYS, way_to, &w);
    }
    snapshot_names_end(w.names);
    return w.names;
}

const char *snapshot_note(const struct snapshot *s)
{
    return s->header.flags & SNAP_SOME_UNSTOPPED
               ? "Some threads did not stop: their stacks were looked at as a whole, their registers not."
               : NULL;
}
