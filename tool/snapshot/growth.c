/* growth.c - see growth.h. Both lists of kinds are sorted and merged. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "json.h"
#include "snapshot/growth.h"
#include "words.h"

struct sum {
    uint64_t blocks, bytes, leaked, leaked_bytes; /* leaked: definite and indirect ones, which are none of the others */
};

struct kind {
    uint32_t site;
    const char *owner, *type; /* "" for none */
    uint64_t size;            /* 0: any, where a site or class tells them */
    struct sum of[2];
};

struct kinds {
    struct kind *kind;
    size_t count, room;
    char **owner[2]; /* text of each owner */
};

static int by_what(const void *a, const void *b)
{
    const struct kind *x = a, *y = b;
    int owner = strcmp(x->owner, y->owner), type = strcmp(x->type, y->type);
    return x->site != y->site   ? (x->site < y->site ? -1 : 1)
           : owner              ? owner
           : type               ? type
           : x->size != y->size ? (x->size < y->size ? -1 : 1)
                                : 0;
}

static uint64_t distance(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

static int by_growth(const void *a, const void *b)
{
    const struct kind *x = a, *y = b;
    uint64_t one = distance(x->of[0].bytes + x->of[0].leaked_bytes, x->of[1].bytes + x->of[1].leaked_bytes);
    uint64_t other = distance(y->of[0].bytes + y->of[0].leaked_bytes, y->of[1].bytes + y->of[1].leaked_bytes);
    return one != other ? (one < other ? 1 : -1) : by_what(a, b);
}

static bool push(struct kinds *k, const struct kind *kind)
{
    if (k->count == k->room) {
        size_t room = k->room ? 2 * k->room : 1024;
        struct kind *more = realloc(k->kind, room * sizeof *more);
        if (!more) {
            return false;
        }
        k->kind = more;
        k->room = room;
    }
    k->kind[k->count++] = *kind;
    return true;
}

/* Of the same kind to one. */
static void merge(struct kinds *k)
{
    size_t kept = 0;
    if (k->count) {
        qsort(k->kind, k->count, sizeof *k->kind, by_what);
    }
    for (size_t i = 0; i < k->count; i++) {
        struct kind *last = kept ? &k->kind[kept - 1] : NULL, *now = &k->kind[i];
        if (last && by_what(last, now) == 0) {
            for (unsigned s = 0; s < 2; s++) {
                last->of[s].blocks += now->of[s].blocks;
                last->of[s].bytes += now->of[s].bytes;
                last->of[s].leaked += now->of[s].leaked;
                last->of[s].leaked_bytes += now->of[s].leaked_bytes;
            }
        } else {
            k->kind[kept++] = *now;
        }
    }
    k->count = kept;
}

static bool name_owners(struct kinds *k, const struct snapshot *s, unsigned which)
{
    static const char *const kinds[] = {"", "heap", "tag", "arena", "pool", "cache", "region"};
    k->owner[which] = calloc(s->blocks.owners + 1, sizeof *k->owner[which]);
    for (size_t i = 0; k->owner[which] && i < s->blocks.owners; i++) {
        const struct graph_owner *o = &s->blocks.owner[i];
        char text[128];
        snprintf(text, sizeof text, o->name ? "%s \"%s\"" : "%s", kinds[o->kind], o->name);
        k->owner[which][i] = strdup(text);
        if (!k->owner[which][i]) {
            return false;
        }
    }
    return k->owner[which];
}

static bool add_all(struct kinds *k, const struct snapshot *s, struct snapshot_names *names, unsigned which)
{
    enum { FOLD = 1 << 16 };
    for (size_t i = 0; i < s->blocks.count; i++) {
        const struct graph_block *b = &s->blocks.block[i];
        const char *type = snapshot_type(names, i);
        bool leaked = s->graph.verdict[i] >= GRAPH_INDIRECT;
        struct kind kind = {.site = b->site,
                            .owner = k->owner[which][b->owner],
                            .type = type ? type : "",
                            .size = b->site || type ? 0 : b->size};
        kind.of[which] =
            leaked ? (struct sum){.leaked = 1, .leaked_bytes = b->size} : (struct sum){.blocks = 1, .bytes = b->size};
        if (k->count == k->room && k->count >= FOLD) {
            merge(k);
        }
        if (!push(k, &kind)) {
            return false;
        }
    }
    merge(k);
    return true;
}

/* -- in words -- */

static uint64_t stacks(const struct snapshot *s)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < s->threads; i++) {
        bytes += s->thread[i].stack;
    }
    return bytes;
}

static void put_kind(const struct kind *k)
{
    printf("  %s", words_change(k->of[0].bytes, k->of[1].bytes).text);
    printf(" in %+" PRId64 " blocks", (int64_t)(k->of[1].blocks - k->of[0].blocks));
    if (k->of[1].leaked != k->of[0].leaked) {
        printf(", leaked %s", words_change(k->of[0].leaked_bytes, k->of[1].leaked_bytes).text);
        printf(" in %+" PRId64, (int64_t)(k->of[1].leaked - k->of[0].leaked));
    }
    fputs(": ", stdout);
    words_put(stdout, *k->type ? k->type : *k->owner ? k->owner : "malloc", 100);
    if (*k->type && *k->owner) {
        fputs(", ", stdout);
        words_put(stdout, k->owner, 60);
    }
    if (k->size) {
        printf(" of %" PRIu64 " bytes", k->size);
    }
    if (k->site) {
        printf(", stack %" PRIu32, k->site);
    }
    putchar('\n');
}

static void json_pair(struct json *j, const char *key, uint64_t before, uint64_t after)
{
    json_array(j, key);
    json_number(j, NULL, before);
    json_number(j, NULL, after);
    json_end(j);
}

static void put_json(const struct kinds *k, const struct snapshot *a, const struct snapshot *b, const struct sum all[2],
                     size_t top)
{
    struct json j;
    json_begin(&j, stdout);
    json_object(&j, NULL);
    json_pair(&j, "bytes", all[0].bytes, all[1].bytes);
    json_pair(&j, "blocks", all[0].blocks, all[1].blocks);
    json_pair(&j, "leaked_bytes", all[0].leaked_bytes, all[1].leaked_bytes);
    json_pair(&j, "leaked", all[0].leaked, all[1].leaked);
    json_pair(&j, "threads", a->threads, b->threads);
    json_pair(&j, "stack_bytes", stacks(a), stacks(b));
    json_pair(&j, "descriptors", a->descriptors, b->descriptors);
    json_array(&j, "kinds");
    for (size_t i = 0; i < k->count && (top == 0 || i < top); i++) {
        const struct kind *one = &k->kind[i];
        json_object(&j, NULL);
        json_number(&j, "site", one->site);
        json_text(&j, "owner", *one->owner ? one->owner : NULL);
        json_text(&j, "type", *one->type ? one->type : NULL);
        json_number(&j, "size", one->size);
        json_pair(&j, "bytes", one->of[0].bytes, one->of[1].bytes);
        json_pair(&j, "blocks", one->of[0].blocks, one->of[1].blocks);
        json_pair(&j, "leaked_bytes", one->of[0].leaked_bytes, one->of[1].leaked_bytes);
        json_pair(&j, "leaked", one->of[0].leaked, one->of[1].leaked);
        json_end(&j);
    }
    json_end(&j);
    json_end(&j);
    putchar('\n');
}

static void put_text(const struct kinds *k, const struct snapshot *a, const struct snapshot *b, const struct sum all[2],
                     size_t top)
{
    printf("in use: %s", words_change(all[0].bytes, all[1].bytes).text);
    printf(" in %+" PRId64 " blocks\n", (int64_t)(all[1].blocks - all[0].blocks));
    printf("leaked: %s", words_change(all[0].leaked_bytes, all[1].leaked_bytes).text);
    printf(" in %+" PRId64 " blocks\n", (int64_t)(all[1].leaked - all[0].leaked));
    printf("threads: %+" PRId64 ", their stacks %s\n", (int64_t)(b->threads - a->threads),
           words_change(stacks(a), stacks(b)).text);
    printf("descriptors: %+" PRId64 "\n", (int64_t)(b->descriptors - a->descriptors));
    puts("by kind, what changed most:");
    for (size_t i = 0; i < k->count && (top == 0 || i < top); i++) {
        const struct kind *one = &k->kind[i];
        if (memcmp(&one->of[0], &one->of[1], sizeof one->of[0]) != 0) {
            put_kind(one);
        }
    }
}

bool snapshot_growth(const struct snapshot *before, const struct snapshot *after, size_t top, bool json)
{
    struct kinds k = {0};
    struct snapshot_names *names[2] = {snapshot_names_begin(before), snapshot_names_begin(after)};
    bool done = names[0] && names[1] && name_owners(&k, before, 0) && name_owners(&k, after, 1) &&
                add_all(&k, before, names[0], 0) && add_all(&k, after, names[1], 1);
    if (done) {
        struct sum all[2] = {{0}, {0}};
        for (size_t i = 0; i < k.count; i++) {
            for (unsigned s = 0; s < 2; s++) {
                all[s].blocks += k.kind[i].of[s].blocks;
                all[s].bytes += k.kind[i].of[s].bytes;
                all[s].leaked += k.kind[i].of[s].leaked;
                all[s].leaked_bytes += k.kind[i].of[s].leaked_bytes;
            }
        }
        if (k.count) {
            qsort(k.kind, k.count, sizeof *k.kind, by_growth);
        }
        (json ? put_json : put_text)(&k, before, after, all, top);
    }
    for (unsigned s = 0; s < 2; s++) {
        const struct snapshot *of = s ? after : before;
        for (size_t i = 0; k.owner[s] && i < of->blocks.owners; i++) {
            free(k.owner[s][i]);
        }
        free(k.owner[s]);
        snapshot_names_end(names[s]);
    }
    free(k.kind);
    return done;
}

int snapshot_growth_of(const char *const path[2], size_t top, bool json)
{
    struct snapshot s[2];
    struct snapshot_error error;
    unsigned open = 0;
    while (open < 2 && snapshot_open(&s[open], path[open], &error)) {
        open++;
    }
    bool done = open == 2 && snapshot_growth(&s[0], &s[1], top, json);
    if (open < 2) {
        complain("%s: %s", path[open], error.line);
    } else if (!done) {
        complain("no memory, for what has grown, give it more");
    }
    while (open > 0) {
        snapshot_close(&s[--open]);
    }
    return done ? 0 : 1;
}
