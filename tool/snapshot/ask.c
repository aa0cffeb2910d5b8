/* ask.c - see ask.h. */
#include <inttypes.h>
#include <stdio.h>

#include "command.h"
#include "json.h"
#include "profile/names.h"
#include "snapshot/ask.h"
#include "words.h"

enum { SHOWN = 64, LONGEST = 4096 };

struct asking {
    const struct snapshot *s;
    struct snapshot_names *names;
    struct json *json; /* NULL: text */
};

const char *snapshot_verdict(unsigned verdict)
{
    static const char *const names[] = {"unknown", "reachable", "thread-only", "possible", "indirect", "definite"};
    return names[verdict];
}

/* Where a block was allocated, as far as that is known. */
static void put_stack(const struct asking *a, size_t block)
{
    static struct symbol_frame frame[SNAPSHOT_DEEPEST];
    size_t frames = snapshot_stack(a->names, a->s->blocks.block[block].site, frame, SNAPSHOT_DEEPEST);
    if (a->json) {
        names_json(a->json, "frames", frame, frames);
        return;
    }
    for (size_t i = 0; i < frames && i < SHOWN; i++) {
        fputs("      ", stdout);
        names_put(stdout, &frame[i], 110);
        putchar('\n');
    }
}

/* `key`: it is the one that was asked about, and its stack is told. */
static void put_block(const struct asking *a, const char *key, size_t block, const char *how)
{
    const struct graph_block *b = &a->s->blocks.block[block];
    char owner[128], address[24];
    const char *type = snapshot_type(a->names, block), *of = snapshot_owner(a->s, block, owner, sizeof owner);
    snprintf(address, sizeof address, "0x%" PRIxPTR, b->address);
    if (a->json) {
        json_object(a->json, key);
        json_text(a->json, "address", address);
        json_number(a->json, "bytes", b->size);
        json_text(a->json, "verdict", snapshot_verdict(a->s->graph.verdict[block]));
        json_text(a->json, "owner", of);
        json_text(a->json, "type", type);
        json_number(a->json, "site", b->site);
        if (key) {
            put_stack(a, block);
        }
        json_end(a->json);
        return;
    }
    printf("  %s%s  %" PRIu64 " bytes, %s", how, address, b->size, snapshot_verdict(a->s->graph.verdict[block]));
    if (of) {
        fputs(", ", stdout);
        words_put(stdout, of, 60);
    }
    if (type) {
        fputs(", ", stdout);
        words_put(stdout, type, 80);
    }
    putchar('\n');
    if (key) {
        put_stack(a, block);
    }
}

static void list_edges(const struct asking *a, const struct graph_edges *e, size_t block, const char *head,
                       const char *key)
{
    uint64_t from = e->first[block], to = e->first[block + 1];
    if (a->json) {
        json_array(a->json, key);
    } else {
        printf("%s:%s\n", head, from == to ? " nobody" : "");
    }
    for (uint64_t k = from; k < to && (a->json || k - from < SHOWN); k++) {
        put_block(a, NULL, e->to[k] / 2, e->to[k] & GRAPH_MIDDLE ? "(middle) " : "");
    }
    if (a->json) {
        json_end(a->json);
    } else if (to - from > SHOWN) {
        printf("  and %" PRIu64 " others\n", to - from - SHOWN);
    }
}

static void list_roots(const struct asking *a, size_t block)
{
    const struct graph *g = &a->s->graph;
    char text[512];
    if (a->json) {
        json_array(a->json, "roots");
    }
    for (size_t i = 0, shown = 0; i < g->roots; i++) {
        if (g->root[i].block != block || (shown++ >= SHOWN && !a->json)) {
            continue;
        }
        snapshot_root(a->names, &g->root[i], text, sizeof text);
        if (a->json) {
            json_text(a->json, NULL, text);
        } else {
            printf("  %s", g->root[i].middle ? "(middle) " : "");
            words_put(stdout, text, 0);
            putchar('\n');
        }
    }
    if (a->json) {
        json_end(a->json);
    }
}

static bool who(const struct asking *a, size_t block)
{
    struct graph_edges back;
    if (!graph_turn_edges(&a->s->graph.edges, &back)) {
        return false;
    }
    list_edges(a, &back, block, "who points to it", "in");
    list_roots(a, block);
    list_edges(a, &a->s->graph.edges, block, "to whom it points", "out");
    graph_free_edges(&back);
    return true;
}

static bool path(const struct asking *a, size_t block)
{
    static size_t way[LONGEST];
    size_t root = 0, length = graph_path(&a->s->graph, block, way, LONGEST, &root);
    char text[512] = "";
    if (length == SIZE_MAX) {
        return false;
    }
    if (length) {
        snapshot_beginning(a->names, root, way[0], text, sizeof text);
    }
    if (a->json) {
        json_text(a->json, "root", length ? text : NULL);
        json_array(a->json, "path");
    } else if (length) {
        fputs("from ", stdout);
        words_put(stdout, text, 0);
        puts(":");
    } else {
        puts("nothing leads there");
    }
    for (size_t i = 0; i < length; i++) {
        put_block(a, NULL, way[i], "-> ");
    }
    if (a->json) {
        json_end(a->json);
    }
    return true;
}

static bool retained(const struct asking *a, size_t block)
{
    uint64_t *bytes = graph_retained(&a->s->graph);
    if (bytes && a->json) {
        json_number(a->json, "retained", bytes[block]);
    } else if (bytes) {
        printf("would go with it, itself included: %" PRIu64 " bytes (%s)\n", bytes[block],
               words_bytes(bytes[block]).text);
    }
    if (bytes) {
        graph_free_retained(bytes, &a->s->graph);
    }
    return bytes;
}

static bool list(const struct asking *a)
{
    if (a->json) {
        json_array(a->json, "blocks");
    }
    for (size_t i = 0; i < a->s->blocks.count; i++) {
        put_block(a, NULL, i, "");
    }
    if (a->json) {
        json_end(a->json);
    }
    return true;
}

static int answer(const struct asking *a, enum snapshot_question what, uint64_t address)
{
    size_t block = what == ASK_SNAP_LIST ? 0 : graph_block_at(&a->s->blocks, address);
    if (block == GRAPH_NONE) {
        complain("no live block there, 0x%" PRIx64 ", see allot snap --list for those that are", address);
        return 1;
    }
    if (a->json) {
        json_begin(a->json, stdout);
        json_object(a->json, NULL);
    }
    if (what != ASK_SNAP_LIST) {
        put_block(a, "block", block, "");
    }
    bool done = what == ASK_SNAP_WHO    ? who(a, block)
                : what == ASK_SNAP_PATH ? path(a, block)
                : what == ASK_SNAP_LIST ? list(a)
                                        : retained(a, block);
    if (a->json && done) {
        json_end(a->json);
        putchar('\n');
    }
    return done ? 0 : -1;
}

int snapshot_ask(const struct snapshot *s, enum snapshot_question what, uint64_t address, bool json)
{
    struct json j;
    struct asking a = {.s = s, .names = snapshot_names_begin(s), .json = json ? &j : NULL};
    int status = a.names ? answer(&a, what, address) : -1;
    snapshot_names_end(a.names);
    return status;
}
