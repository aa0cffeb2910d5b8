/* ask.c - questions about one block of a dead process; see ask.h. Each needs all edges, which are made when asked. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "core/ask.h"
#include "core/print.h"
#include "core/types.h"
#include "json.h"
#include "words.h"

enum { SHOWN = 64, LONGEST_PATH = 4096 };

/* One line about a block. */
static void put_block(const struct dead *dead, struct types *types, size_t block, const char *how)
{
    const struct graph_block *b = &dead->blocks.block[block];
    printf("  %s0x%" PRIxPTR "  %s, %s, ", how, b->address, words_bytes(b->size).text,
           core_verdict(dead->graph.verdict[block]));
    words_put(stdout, types_of(types, b), 80);
    putchar('\n');
}

static void json_block(struct json *j, const char *key, const struct dead *dead, struct types *types, size_t block)
{
    const struct graph_block *b = &dead->blocks.block[block];
    char address[32];
    snprintf(address, sizeof address, "0x%" PRIxPTR, b->address);
    json_object(j, key);
    json_text(j, "address", address);
    json_number(j, "bytes", b->size);
    json_text(j, "verdict", core_verdict(dead->graph.verdict[block]));
    json_text(j, "type", types_of(types, b));
    json_end(j);
}

/* Where a root is: "cache+8 in server", "stack of thread 4711 at 0x...", "a register of thread 4711". */
static void root_text(const struct dead *dead, struct types *types, const struct graph_root *root, char *out,
                      size_t room)
{
    const struct image_range *r = &dead->graph.range[root->range];
    const char *variable = r->kind == IMAGE_GLOBALS ? types_variable(types, root->address) : NULL;
    switch (r->kind) {
    case IMAGE_REGISTERS:
        snprintf(out, room, "a register of thread %d", r->tid);
        return;
    case IMAGE_STACK:
        snprintf(out, room, "stack of thread %d at 0x%" PRIx64, r->tid, root->address);
        return;
    case IMAGE_TLS:
        snprintf(out, room, "thread-local memory of thread %d at 0x%" PRIx64, r->tid, root->address);
        return;
    case IMAGE_HELD:
        snprintf(out, room, "the loader: a constant of its own, or a thread's table of thread-local memory");
        return;
    default:
        if (variable) {
            snprintf(out, room, "%s at 0x%" PRIx64, variable, root->address);
        } else {
            snprintf(out, room, "%s at 0x%" PRIx64, r->name ? r->name : "memory that nobody explains", root->address);
        }
    }
}

/* -- who -- */

static void say_more(size_t shown, size_t all)
{
    if (all > shown) {
        printf("  and %zu more\n", all - shown);
    }
}

static void list_edges(const struct graph_edges *edges, const struct dead *dead, struct types *types, size_t block,
                       const char *head, const char *key, struct json *j)
{
    uint64_t from = edges->first[block], to = edges->first[block + 1];
    size_t shown = 0;
    if (j) {
        json_array(j, key);
    } else {
        printf("%s:%s\n", head, from == to ? " none" : "");
    }
    for (uint64_t i = from; i < to; i++, shown++) {
        if (j) {
            json_block(j, NULL, dead, types, edges->to[i] >> 1);
        } else if (shown < SHOWN) {
            put_block(dead, types, edges->to[i] >> 1, edges->to[i] & GRAPH_MIDDLE ? "into its middle " : "");
        }
    }
    if (j) {
        json_end(j);
    } else {
        say_more(SHOWN, shown);
    }
}

static void list_roots(const struct dead *dead, struct types *types, size_t block, struct json *j)
{
    size_t shown = 0;
    char text[512];
    if (j) {
        json_array(j, "roots");
    }
    for (size_t i = 0; i < dead->graph.roots; i++) {
        if (dead->graph.root[i].block != block) {
            continue;
        }
        root_text(dead, types, &dead->graph.root[i], text, sizeof text);
        if (j) {
            json_text(j, NULL, text);
        } else if (shown < SHOWN) {
            printf("  %s", dead->graph.root[i].middle ? "into its middle " : "");
            words_put(stdout, text, 0);
            putchar('\n');
        }
        shown++;
    }
    if (j) {
        json_end(j);
    } else {
        say_more(SHOWN, shown);
    }
}

static int who(struct dead *dead, struct types *types, size_t block, struct json *j)
{
    struct graph_edges back = {0};
    if (!graph_turn_edges(&dead->graph.edges, &back)) {
        return -1;
    }
    list_edges(&back, dead, types, block, "pointed to by", "in", j);
    list_roots(dead, types, block, j);
    list_edges(&dead->graph.edges, dead, types, block, "points to", "out", j);
    graph_free_edges(&back);
    return 0;
}

/* -- how -- */

static int path(struct dead *dead, struct types *types, size_t block, struct json *j)
{
    static size_t way[LONGEST_PATH];
    size_t root = 0, length = graph_path(&dead->graph, block, way, LONGEST_PATH, &root);
    char text[512] = "";
    if (length == SIZE_MAX) {
        return -1;
    }
    if (length > 0 && root == GRAPH_NONE) {
        char owner[96];
        const char *whose = core_owner(dead, dead->blocks.block[way[0]].owner, owner, sizeof owner);
        snprintf(text, sizeof text, "its own heap, %s", whose);
    } else if (length > 0) {
        root_text(dead, types, &dead->graph.root[root], text, sizeof text);
    }
    if (j) {
        json_text(j, "root", length ? text : NULL);
        json_array(j, "path");
        for (size_t i = 0; i < length; i++) {
            json_block(j, NULL, dead, types, way[i]);
        }
        json_end(j);
    } else if (length == 0) {
        puts("nothing leads to it");
    } else {
        printf("from ");
        words_put(stdout, text, 0);
        puts(":");
        for (size_t i = 0; i < length; i++) {
            put_block(dead, types, way[i], "-> ");
        }
    }
    return 0;
}

/* -- what -- */

static int retained(struct dead *dead, size_t block, struct json *j)
{
    uint64_t *bytes = graph_retained(&dead->graph);
    if (!bytes) {
        return -1;
    }
    if (j) {
        json_number(j, "retained", bytes[block]);
    } else {
        printf("would go with it, itself included: %s\n", words_bytes(bytes[block]).text);
    }
    graph_free_retained(bytes, &dead->graph);
    return 0;
}

int ask_answer(const struct ask *ask, struct dead *dead, bool json, void (*told)(const char *what))
{
    size_t block = graph_find(&dead->graph, ask->address);
    if (block == GRAPH_NONE) {
        told(NULL);
        complain("no live block there, 0x%" PRIx64 ", see allot core --list for those that are", ask->address);
        return 1;
    }
    told("making the graph");
    struct types *types = types_begin(dead);
    if (!types || !graph_make_edges(&dead->graph)) {
        types_end(types);
        return -1;
    }
    told(NULL);
    struct json j;
    if (json) {
        json_begin(&j, stdout);
        json_object(&j, NULL);
        json_block(&j, "block", dead, types, block);
    } else {
        put_block(dead, types, block, "");
    }
    int status = ask->what == ASK_WHO    ? who(dead, types, block, json ? &j : NULL)
                 : ask->what == ASK_PATH ? path(dead, types, block, json ? &j : NULL)
                                         : retained(dead, block, json ? &j : NULL);
    if (json && status == 0) {
        json_end(&j);
        putchar('\n');
    }
    types_end(types);
    return status;
}
