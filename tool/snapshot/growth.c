/* growth.c - see growth.h. Both lists of kinds are sorted and merged. What holds a kind is what leads to one of its new blocks. */
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "json.h"
#include "profile/names.h"
#include "snapshot/around.h"
#include "snapshot/growth.h"
#include "words.h"

enum { SHOWN_FRAMES = 8, LONGEST = 1024 };

struct sum {
    uint64_t blocks, bytes, leaked, leaked_bytes; /* leaked: definite and indirect ones, which are none of the others */
};

struct kind {
    const char *stack;        /* a line for each call, the innermost first; equal ones are one text; "": not known */
    const char *owner, *type; /* "" for none */
    uint64_t size;            /* 0: any, where a stack or class tells them */
    struct sum of[2];
    size_t fresh; /* a block of it that is reachable and was not there before; SIZE_MAX: none */
};

struct kinds {
    const struct snapshot *snapshot[2];
    struct snapshot_names *names[2];
    struct kind *kind;
    size_t count, room;
    char **owner[2];       /* text of each owner */
    const char **stack[2]; /* text of each frame's stack, made when it is first asked for */
    void *stacks;          /* all of those, each once */
    struct sum all[2];
};

/* -- kinds -- */

static int by_what(const void *a, const void *b)
{
    const struct kind *x = a, *y = b;
    int stack = x->stack == y->stack ? 0 : strcmp(x->stack, y->stack);
    int owner = stack ? stack : strcmp(x->owner, y->owner), type = owner ? owner : strcmp(x->type, y->type);
    return type ? type : x->size != y->size ? (x->size < y->size ? -1 : 1) : 0;
}

static uint64_t distance(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

static int by_change(uint64_t x_before, uint64_t x_after, uint64_t y_before, uint64_t y_after)
{
    uint64_t one = distance(x_before, x_after), other = distance(y_before, y_after);
    return one != other ? (one < other ? 1 : -1) : 0;
}

static uint64_t whole(const struct sum *sum) { return sum->bytes + sum->leaked_bytes; }

static int by_all(const void *a, const void *b)
{
    const struct sum *x = ((const struct kind *)a)->of, *y = ((const struct kind *)b)->of;
    int change = by_change(whole(&x[0]), whole(&x[1]), whole(&y[0]), whole(&y[1]));
    return change ? change : by_what(a, b);
}

static int by_growth(const void *a, const void *b)
{
    const struct sum *x = ((const struct kind *)a)->of, *y = ((const struct kind *)b)->of;
    int change = by_change(x[0].bytes, x[1].bytes, y[0].bytes, y[1].bytes);
    return change ? change : by_what(a, b);
}

static int by_leaks(const void *a, const void *b)
{
    const struct sum *x = ((const struct kind *)a)->of, *y = ((const struct kind *)b)->of;
    int change = by_change(x[0].leaked_bytes, x[1].leaked_bytes, y[0].leaked_bytes, y[1].leaked_bytes);
    return change ? change : by_what(a, b);
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

static void add_sum(struct sum *to, const struct sum *from)
{
    to->blocks += from->blocks;
    to->bytes += from->bytes;
    to->leaked += from->leaked;
    to->leaked_bytes += from->leaked_bytes;
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
            add_sum(&last->of[0], &now->of[0]);
            add_sum(&last->of[1], &now->of[1]);
            last->fresh = last->fresh == SIZE_MAX ? now->fresh : last->fresh;
        } else {
            k->kind[kept++] = *now;
        }
    }
    k->count = kept;
}

static bool name_owners(struct kinds *k, unsigned which)
{
    const struct graph_blocks *blocks = &k->snapshot[which]->blocks;
    k->owner[which] = calloc(blocks->owners + 1, sizeof *k->owner[which]);
    for (size_t i = 0; k->owner[which] && i < blocks->owners; i++) {
        char text[128];
        const char *name = snapshot_owner_name(&blocks->owner[i], text, sizeof text);
        k->owner[which][i] = strdup(name ? name : "");
        if (!k->owner[which][i]) {
            return false;
        }
    }
    return k->owner[which];
}

static int compare_texts(const void *a, const void *b) { return strcmp(a, b); }

/* The one copy of what a stack is in words. NULL: memory is out. */
static const char *write_stack(struct kinds *k, unsigned which, uint32_t site)
{
    static struct symbol_frame frame[SNAPSHOT_DEEPEST];
    char *text = NULL;
    size_t length, frames = snapshot_stack(k->names[which], site, frame, SNAPSHOT_DEEPEST);
    FILE *to = open_memstream(&text, &length);
    for (size_t i = 0; to && i < frames; i++) {
        names_put(to, &frame[i], 0);
        putc('\n', to);
    }
    char **known = to && fclose(to) == 0 ? tsearch(text, &k->stacks, compare_texts) : NULL;
    if (!known || *known != text) {
        free(text);
    }
    return known ? *known : NULL;
}

static const char *stack_of(struct kinds *k, unsigned which, uint32_t site)
{
    const struct snap_frame *frame = snapshot_frame(k->snapshot[which], site);
    const char **text = frame ? &k->stack[which][frame - k->snapshot[which]->frame] : NULL;
    if (text && !*text) {
        *text = write_stack(k, which, site);
    }
    return text ? *text : "";
}

/* It is reachable, and another block or none was there before. */
static bool is_fresh(const struct kinds *k, const struct graph_block *b, uint8_t verdict)
{
    size_t before = verdict == GRAPH_REACHABLE ? graph_block_at(&k->snapshot[0]->blocks, b->address) : 0;
    return verdict == GRAPH_REACHABLE &&
           (before == GRAPH_NONE || k->snapshot[0]->blocks.block[before].address != b->address);
}

static bool add_all(struct kinds *k, unsigned which)
{
    enum { FOLD = 1 << 16 };
    const struct snapshot *s = k->snapshot[which];
    k->stack[which] = calloc(s->frames + 1, sizeof *k->stack[which]);
    for (size_t i = 0; k->stack[which] && i < s->blocks.count; i++) {
        const struct graph_block *b = &s->blocks.block[i];
        const char *type = snapshot_type(k->names[which], i), *stack = stack_of(k, which, b->site);
        uint8_t verdict = s->graph.verdict[i];
        struct kind kind = {.stack = stack,
                            .owner = k->owner[which][b->owner],
                            .type = type ? type : "",
                            .size = (stack && *stack) || type ? 0 : b->size,
                            .fresh = which && is_fresh(k, b, verdict) ? i : SIZE_MAX};
        kind.of[which] = verdict >= GRAPH_INDIRECT ? (struct sum){.leaked = 1, .leaked_bytes = b->size}
                                                   : (struct sum){.blocks = 1, .bytes = b->size};
        add_sum(&k->all[which], &kind.of[which]);
        if (k->count == k->room && k->count >= FOLD) {
            merge(k);
        }
        if (!stack || !push(k, &kind)) {
            return false;
        }
    }
    merge(k);
    return k->stack[which];
}

/* What leads to one of the blocks that have come, in words; "": nothing that lasts. False: memory is out. */
static bool find_holder(const struct kinds *k, const struct kind *kind, char *out, size_t room)
{
    static size_t way[LONGEST];
    size_t root = 0, length = 0;
    *out = 0;
    if (kind->fresh != SIZE_MAX && kind->of[1].bytes > kind->of[0].bytes) {
        length = graph_path(&k->snapshot[1]->graph, kind->fresh, way, LONGEST, &root);
    }
    if (length && length != SIZE_MAX) {
        snapshot_beginning(k->names[1], root, way[0], out, room);
    }
    return length != SIZE_MAX;
}

/* -- in words -- */

static void put_what(const struct kind *k)
{
    fputs(": ", stdout);
    words_put(stdout, *k->type ? k->type : *k->owner ? k->owner : "malloc", 100);
    if (*k->type && *k->owner) {
        fputs(", ", stdout);
        words_put(stdout, k->owner, 60);
    }
    if (k->size) {
        printf(" of %" PRIu64 " bytes", k->size);
    }
    putchar('\n');
}

static void put_lines(const char *stack)
{
    unsigned shown = 0;
    while (*stack && shown++ < SHOWN_FRAMES) {
        size_t length = strcspn(stack, "\n");
        printf("      %.*s\n", (int)length, stack);
        stack += length + (stack[length] == '\n');
    }
    if (*stack) {
        puts("      ...");
    }
}

static void put_sum(const char *what, uint64_t bytes_before, uint64_t bytes, uint64_t blocks_before, uint64_t blocks)
{
    printf("%s%s", what, words_change(bytes_before, bytes).text);
    printf(" in %+" PRId64 " blocks", (int64_t)(blocks - blocks_before));
}

/* What is reachable and has changed, or what leaked: in order, `top` at most. False: memory is out. */
static bool put_kinds(struct kinds *k, bool leaked, size_t top)
{
    size_t said = 0, more = 0;
    if (k->count) {
        qsort(k->kind, k->count, sizeof *k->kind, leaked ? by_leaks : by_growth);
    }
    for (size_t i = 0; i < k->count; i++) {
        const struct kind *one = &k->kind[i];
        const struct sum *a = &one->of[0], *b = &one->of[1];
        char holder[512] = "";
        if (leaked ? a->leaked_bytes == b->leaked_bytes : a->bytes == b->bytes) {
            continue;
        }
        if (top && said == top) {
            more++;
            continue;
        }
        if (said++ == 0) {
            puts(leaked ? "leaked since, nobody points to them:" : "still reachable, and more or less than before:");
        }
        if (leaked) {
            put_sum("  ", a->leaked_bytes, b->leaked_bytes, a->leaked, b->leaked);
        } else {
            put_sum("  ", a->bytes, b->bytes, a->blocks, b->blocks);
        }
        put_what(one);
        if (!leaked && !find_holder(k, one, holder, sizeof holder)) {
            return false;
        }
        if (*holder) {
            fputs("    held by ", stdout);
            words_put(stdout, holder, 100);
            putchar('\n');
        }
        put_lines(one->stack);
    }
    if (more) {
        printf("  and %zu kind%s more\n", more, words_s(more));
    }
    return true;
}

static bool put_text(struct kinds *k, size_t top)
{
    const struct snapshot *a = k->snapshot[0], *b = k->snapshot[1];
    put_sum("in use: ", k->all[0].bytes, k->all[1].bytes, k->all[0].blocks, k->all[1].blocks);
    putchar('\n');
    put_sum("leaked: ", k->all[0].leaked_bytes, k->all[1].leaked_bytes, k->all[0].leaked, k->all[1].leaked);
    putchar('\n');
    printf("threads: %+" PRId64 ", their stacks %s\n", (int64_t)(b->threads - a->threads),
           words_change(around_stacks(a), around_stacks(b)).text);
    printf("descriptors: %+" PRId64 "\n", (int64_t)(b->descriptors - a->descriptors));
    return put_kinds(k, true, top) && put_kinds(k, false, top) && around_put(a, b, top, NULL);
}

static void json_pair(struct json *j, const char *key, uint64_t before, uint64_t after)
{
    json_array(j, key);
    json_number(j, NULL, before);
    json_number(j, NULL, after);
    json_end(j);
}

static void json_stack(struct json *j, const char *stack)
{
    json_array(j, "stack");
    while (*stack) {
        char line[1024];
        size_t length = strcspn(stack, "\n");
        snprintf(line, sizeof line, "%.*s", (int)(length < sizeof line ? length : sizeof line - 1), stack);
        json_text(j, NULL, line);
        stack += length + (stack[length] == '\n');
    }
    json_end(j);
}

static bool json_kind(struct json *j, const struct kinds *k, const struct kind *one)
{
    char holder[512];
    bool done = find_holder(k, one, holder, sizeof holder);
    json_object(j, NULL);
    json_text(j, "owner", *one->owner ? one->owner : NULL);
    json_text(j, "type", *one->type ? one->type : NULL);
    json_number(j, "size", one->size);
    json_pair(j, "bytes", one->of[0].bytes, one->of[1].bytes);
    json_pair(j, "blocks", one->of[0].blocks, one->of[1].blocks);
    json_pair(j, "leaked_bytes", one->of[0].leaked_bytes, one->of[1].leaked_bytes);
    json_pair(j, "leaked", one->of[0].leaked, one->of[1].leaked);
    json_text(j, "held_by", *holder ? holder : NULL);
    json_stack(j, one->stack);
    json_end(j);
    return done;
}

/* Kinds by how much they changed, leaked or not; those that are as they were are not there. */
static bool put_json(struct kinds *k, size_t top)
{
    const struct snapshot *a = k->snapshot[0], *b = k->snapshot[1];
    struct json j;
    bool done = true;
    size_t said = 0;
    json_begin(&j, stdout);
    json_object(&j, NULL);
    json_pair(&j, "bytes", k->all[0].bytes, k->all[1].bytes);
    json_pair(&j, "blocks", k->all[0].blocks, k->all[1].blocks);
    json_pair(&j, "leaked_bytes", k->all[0].leaked_bytes, k->all[1].leaked_bytes);
    json_pair(&j, "leaked", k->all[0].leaked, k->all[1].leaked);
    json_pair(&j, "threads", a->threads, b->threads);
    json_pair(&j, "stack_bytes", around_stacks(a), around_stacks(b));
    json_pair(&j, "descriptors", a->descriptors, b->descriptors);
    json_array(&j, "kinds");
    if (k->count) {
        qsort(k->kind, k->count, sizeof *k->kind, by_all);
    }
    for (size_t i = 0; done && i < k->count && (top == 0 || said < top); i++) {
        if (memcmp(&k->kind[i].of[0], &k->kind[i].of[1], sizeof k->kind[i].of[0]) != 0) {
            done = json_kind(&j, k, &k->kind[i]);
            said++;
        }
    }
    json_end(&j);
    done = done && around_put(a, b, top, &j);
    json_end(&j);
    putchar('\n');
    return done;
}

bool snapshot_growth(const struct snapshot *before, const struct snapshot *after, size_t top, bool json)
{
    struct kinds k = {.snapshot = {before, after},
                      .names = {snapshot_names_begin(before), snapshot_names_begin(after)}};
    bool done = k.names[0] && k.names[1] && name_owners(&k, 0) && name_owners(&k, 1) && add_all(&k, 0) &&
                add_all(&k, 1) && (json ? put_json : put_text)(&k, top);
    for (unsigned s = 0; s < 2; s++) {
        for (size_t i = 0; k.owner[s] && i < k.snapshot[s]->blocks.owners; i++) {
            free(k.owner[s][i]);
        }
        free(k.owner[s]);
        free(k.stack[s]);
        snapshot_names_end(k.names[s]);
    }
    tdestroy(k.stacks, free);
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
