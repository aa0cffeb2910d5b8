/* editor.c - a graph that is edited, with undo: what there is, what can come back and what is gone is for the collector to know.
 *
 *     document -> nodes:     a <-> edge <-> b ...            circles everywhere: a node knows its edges, an edge its two nodes
 *              -> undo:      change -> change -> ...         holds what has been removed, as long as it can come back
 *              -> redo:      change ...
 *              -> selection: weak -> node                    does not hold it: a node that cannot come back is not selected any more
 *              -> shown:     the last pictures drawn         held; each node has a weak reference to its picture beside
 *     picture: a file that is open; its finisher closes it
 *
 * Nobody frees anything, and nobody asks whether somebody else has a node yet. It runs on each of the collectors, so it keeps the rules of
 * all of them: what a function holds across an allocation is in its LOCALS, which are roots (mark, copy) that own what they refer to
 * (count), and is read from there again afterwards (copy).
 *
 * Usage: graph-editor [--mark | --copy | --count] [--stress] < commands
 *
 *     node A            edge A B          rename A B        remove A          unlink A B         undo          redo
 *     select A          selected          picture A         show              reach A B          forget        collect
 *
 * `forget` drops the history. In the end exit status 0 if nothing is left and no picture open.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <allot/gc.h>

/* -- objects -- */

struct node {
    struct node *next; /* of the document's */
    char *name;
    struct edge *out, *in; /* the first of each list */
    void *picture;         /* weak */
    int seen;              /* number of the last walk that came by */
};

struct edge {
    struct node *from, *to;
    struct edge *next_out, *next_in;
};

enum what { NODE_ADDED, NODE_REMOVED, EDGE_ADDED, EDGE_REMOVED, RENAMED };

struct change {
    struct change *before;
    void *object; /* node or edge */
    char *name;   /* RENAMED: what it was called */
    enum what what;
    int command; /* that it belongs to: what one did is undone at once */
};

struct selected {
    struct selected *next;
    void *weak;
};

struct picture {
    int file;
};

enum { SHOWN = 2 };

struct document {
    struct node *nodes;
    struct change *undo, *redo;
    struct selected *selection;
    struct picture *shown[SHOWN]; /* the last first */
};

/* Where a walk goes on. */
struct step {
    struct step *next;
    struct node *at;
};

static int pictures_open;

static void close_picture(void *object, void *arg)
{
    (void)arg;
    close(((struct picture *)object)->file);
    pictures_open--;
}

#define REF ALLOT_GC_REF
static const struct allot_gc_type node_type = {.name = "node",
                                               .size = sizeof(struct node),
                                               .refs = REF(struct node, next) | REF(struct node, name) |
                                                       REF(struct node, out) | REF(struct node, in) |
                                                       REF(struct node, picture)};
static const struct allot_gc_type edge_type = {.name = "edge",
                                               .size = sizeof(struct edge),
                                               .refs = REF(struct edge, from) | REF(struct edge, to) |
                                                       REF(struct edge, next_out) | REF(struct edge, next_in)};
static const struct allot_gc_type change_type = {.name = "change",
                                                 .size = sizeof(struct change),
                                                 .refs = REF(struct change, before) | REF(struct change, object) |
                                                         REF(struct change, name)};
static const struct allot_gc_type selected_type = {.name = "selected",
                                                   .size = sizeof(struct selected),
                                                   .refs = REF(struct selected, next) | REF(struct selected, weak)};
static const struct allot_gc_type picture_type = {
    .name = "picture", .size = sizeof(struct picture), .finish = close_picture};
static const struct allot_gc_type document_type = {
    .name = "document",
    .size = sizeof(struct document),
    .refs = REF(struct document, nodes) | REF(struct document, undo) | REF(struct document, redo) |
            REF(struct document, selection) | REF(struct document, shown[0]) | REF(struct document, shown[1])};
static const struct allot_gc_type step_type = {
    .name = "step", .size = sizeof(struct step), .refs = REF(struct step, next) | REF(struct step, at)};
static const struct allot_gc_type text_type = {.name = "text"};

static struct allot_gc heap;
static struct allot_gc_mutator me;
static struct document *document; /* a root, and owned */
static int command;               /* its number */

/* -- the rules -- */

struct locals {
    void **slot;
    size_t count;
};

static void let_go(struct locals *locals)
{
    for (size_t i = 0; i < locals->count; i++) {
        allot_gc_unref(&me, locals->slot[i]);
        locals->slot[i] = NULL;
    }
}

/* Roots of this block that own what they refer to. */
#define LOCALS(name, count)           \
    ALLOT_GC_FRAME(&me, name, count); \
    struct locals name##_owned __attribute__((cleanup(let_go), unused)) = {name.slot, (count)}

/* The slot owns the reference that the caller had. */
static void *take(void **slot, void *object)
{
    allot_gc_unref(&me, *slot);
    return *slot = object;
}

static void *make(const struct allot_gc_type *type, size_t extra)
{
    void *object = allot_gc_get(&me, type, extra);
    if (!object) {
        fprintf(stderr, "out of memory\n");
        exit(2);
    }
    return object;
}

#define SET(object, member, value) allot_gc_write(&me, (object), &(object)->member, (value))

/* -- the graph -- */

static struct node *find(const char *name)
{
    struct node *node = document->nodes;
    while (node && strcmp(node->name, name) != 0) {
        node = node->next;
    }
    return node;
}

static struct edge *find_edge(const struct node *from, const struct node *to)
{
    struct edge *edge = from->out;
    while (edge && edge->to != to) {
        edge = edge->next_out;
    }
    return edge;
}

static void link_node(struct node *node)
{
    SET(node, next, document->nodes);
    SET(document, nodes, node);
}

static void unlink_node(struct node *node)
{
    if (document->nodes == node) {
        SET(document, nodes, node->next);
    } else {
        struct node *before = document->nodes;
        while (before->next != node) {
            before = before->next;
        }
        SET(before, next, node->next);
    }
    SET(node, next, NULL);
}

static void link_edge(struct edge *edge)
{
    SET(edge, next_out, edge->from->out);
    SET(edge->from, out, edge);
    SET(edge, next_in, edge->to->in);
    SET(edge->to, in, edge);
}

static void unlink_edge(struct edge *edge)
{
    if (edge->from->out == edge) {
        SET(edge->from, out, edge->next_out);
    } else {
        struct edge *before = edge->from->out;
        while (before->next_out != edge) {
            before = before->next_out;
        }
        SET(before, next_out, edge->next_out);
    }
    if (edge->to->in == edge) {
        SET(edge->to, in, edge->next_in);
    } else {
        struct edge *before = edge->to->in;
        while (before->next_in != edge) {
            before = before->next_in;
        }
        SET(before, next_in, edge->next_in);
    }
    SET(edge, next_out, NULL);
    SET(edge, next_in, NULL);
}

/* -- history -- */

/* Notes in the list that begins in *list, a member of the document, what has been done to `object`, which the caller holds. */
static void note(struct change **list, enum what what, void *object, char *name, int of)
{
    LOCALS(held, 2);
    held.slot[0] = allot_gc_ref(&me, object);
    held.slot[1] = allot_gc_ref(&me, name);
    size_t member = (size_t)((char *)list - (char *)document);
    struct change *change = make(&change_type, 0);
    list = (struct change **)((char *)document + member);
    SET(change, object, held.slot[0]);
    SET(change, name, held.slot[1]);
    SET(change, before, *list);
    change->what = what;
    change->command = of;
    allot_gc_give(&me, document, list, change);
}

static void did(enum what what, void *object, char *name)
{
    note(&document->undo, what, object, name, command);
    SET(document, redo, NULL);
}

/* Does the opposite of the change, and notes that in `list`. */
static void revert(struct change *change, bool undo)
{
    static const enum what opposite[] = {NODE_REMOVED, NODE_ADDED, EDGE_REMOVED, EDGE_ADDED, RENAMED};
    LOCALS(held, 2);
    held.slot[0] = allot_gc_ref(&me, change->object);
    held.slot[1] = NULL;
    enum what what = change->what;
    int of = change->command;
    switch (what) {
    case NODE_ADDED:
        unlink_node(change->object);
        break;
    case NODE_REMOVED:
        link_node(change->object);
        break;
    case EDGE_ADDED:
        unlink_edge(change->object);
        break;
    case EDGE_REMOVED:
        link_edge(change->object);
        break;
    case RENAMED: {
        struct node *node = change->object;
        held.slot[1] = allot_gc_ref(&me, node->name);
        SET(node, name, change->name);
    }
    }
    note(undo ? &document->redo : &document->undo, opposite[what], held.slot[0], held.slot[1], of);
}

/* All that the last command did, or that the last undo undid. */
static bool go_back(bool undo)
{
    struct change *last = undo ? document->undo : document->redo;
    int of = last ? last->command : 0;
    bool any = last;
    while (last && last->command == of) {
        LOCALS(held, 1);
        held.slot[0] = allot_gc_ref(&me, last);
        if (undo) {
            SET(document, undo, last->before);
        } else {
            SET(document, redo, last->before);
        }
        revert(held.slot[0], undo);
        last = undo ? document->undo : document->redo;
    }
    return any;
}

/* -- commands: each returns what is wrong with it, or NULL -- */

/* To be stored, or let go. */
static char *text(const char *from)
{
    size_t size = strlen(from) + 1;
    return memcpy(make(&text_type, size), from, size);
}

static const char *do_node(const char *name)
{
    if (find(name)) {
        return "there is one";
    }
    LOCALS(held, 1);
    struct node *node = take(&held.slot[0], make(&node_type, 0));
    char *copy = text(name);
    node = held.slot[0];
    allot_gc_give(&me, node, &node->name, copy);
    link_node(node);
    did(NODE_ADDED, node, NULL);
    return NULL;
}

static const char *do_edge(const char *from, const char *to)
{
    struct node *a = find(from), *b = find(to);
    if (!a || !b) {
        return "there is no such node";
    }
    if (find_edge(a, b)) {
        return "there is one";
    }
    LOCALS(held, 1);
    struct edge *edge = take(&held.slot[0], make(&edge_type, 0));
    SET(edge, from, find(from)); /* they may have moved */
    SET(edge, to, find(to));
    link_edge(edge);
    did(EDGE_ADDED, edge, NULL);
    return NULL;
}

static const char *do_unlink(const char *from, const char *to)
{
    struct node *a = find(from), *b = find(to);
    struct edge *edge = a && b ? find_edge(a, b) : NULL;
    if (!edge) {
        return "there is no such edge";
    }
    LOCALS(held, 1);
    held.slot[0] = allot_gc_ref(&me, edge);
    unlink_edge(edge);
    did(EDGE_REMOVED, edge, NULL);
    return NULL;
}

static const char *do_remove(const char *name)
{
    struct node *node = find(name);
    if (!node) {
        return "there is no such node";
    }
    LOCALS(held, 2);
    held.slot[0] = allot_gc_ref(&me, node);
    while (node->out || node->in) {
        struct edge *edge = node->out ? node->out : node->in;
        take(&held.slot[1], allot_gc_ref(&me, edge));
        unlink_edge(edge);
        did(EDGE_REMOVED, edge, NULL);
        node = held.slot[0];
    }
    unlink_node(node);
    did(NODE_REMOVED, node, NULL);
    return NULL;
}

static const char *do_rename(const char *from, const char *to)
{
    struct node *node = find(from);
    if (!node || find(to)) {
        return node ? "there is one" : "there is no such node";
    }
    LOCALS(held, 2);
    held.slot[0] = allot_gc_ref(&me, node->name);
    take(&held.slot[1], text(to));
    node = find(from);
    SET(node, name, held.slot[1]);
    did(RENAMED, node, held.slot[0]);
    return NULL;
}

static const char *do_select(const char *name)
{
    if (!find(name)) {
        return "there is no such node";
    }
    LOCALS(held, 1);
    struct selected *selected = take(&held.slot[0], make(&selected_type, 0));
    void *weak = allot_gc_weak(&me, find(name));
    if (!weak) {
        return "memory is out";
    }
    selected = held.slot[0];
    allot_gc_give(&me, selected, &selected->weak, weak);
    SET(selected, next, document->selection);
    SET(document, selection, selected);
    return NULL;
}

/* Those that are there, or can come back. */
static void do_selected(void)
{
    fputs("selected", stdout);
    for (struct selected *at = document->selection; at; at = at->next) {
        struct node *node = allot_gc_weak_get(&me, at->weak);
        if (node) {
            printf(" %s", node->name);
            allot_gc_unref(&me, node);
        }
    }
    putchar('\n');
}

static const char *do_picture(const char *name)
{
    struct node *node = find(name);
    if (!node) {
        return "there is no such node";
    }
    LOCALS(held, 1);
    take(&held.slot[0], node->picture ? allot_gc_weak_get(&me, node->picture) : NULL);
    printf("%s is %s\n", name, held.slot[0] ? "drawn already" : "drawn");
    if (!held.slot[0]) {
        struct picture *picture = take(&held.slot[0], make(&picture_type, 0));
        picture->file = memfd_create("picture", MFD_CLOEXEC);
        pictures_open++;
        if (picture->file < 0 || write(picture->file, name, strlen(name)) < 0) {
            return strerror(errno);
        }
        void *weak = allot_gc_weak(&me, picture);
        if (!weak) {
            return "memory is out";
        }
        node = find(name);
        SET(node, picture, weak);
        allot_gc_unref(&me, weak);
    }
    if (document->shown[0] != held.slot[0]) {
        SET(document, shown[1], document->shown[0]);
        SET(document, shown[0], held.slot[0]);
    }
    return NULL;
}

static void do_show(void)
{
    for (const struct node *node = document->nodes; node; node = node->next) {
        printf("%s:", node->name);
        for (const struct edge *edge = node->out; edge; edge = edge->next_out) {
            printf(" %s", edge->to->name);
        }
        putchar('\n');
    }
}

/* Breadth first. */
static const char *do_reach(const char *from, const char *to)
{
    static int walk;
    if (!find(from) || !find(to)) {
        return "there is no such node";
    }
    LOCALS(held, 2); /* the first step of the walk that is not done, and the last */
    struct step *first = take(&held.slot[0], make(&step_type, 0));
    SET(first, at, find(from));
    take(&held.slot[1], allot_gc_ref(&me, first));
    first->at->seen = ++walk;
    for (size_t steps = 0; (first = held.slot[0]); steps++) {
        if (strcmp(first->at->name, to) == 0) {
            printf("%s reaches %s, %zu looked at before\n", from, to, steps);
            return NULL;
        }
        for (struct edge *edge = first->at->out; edge; edge = edge->next_out) {
            if (edge->to->seen != walk) {
                edge->to->seen = walk;
                LOCALS(here, 1);
                here.slot[0] = allot_gc_ref(&me, edge);
                struct step *step = make(&step_type, 0), *last = held.slot[1];
                edge = here.slot[0];
                SET(step, at, edge->to);
                SET(last, next, step);
                take(&held.slot[1], step);
            }
        }
        first = held.slot[0];
        take(&held.slot[0], allot_gc_ref(&me, first->next));
    }
    printf("%s does not reach %s\n", from, to);
    return NULL;
}

static const char *do_collect(void)
{
    allot_gc_collect(&me);
    printf("%d pictures open\n", pictures_open);
    return NULL;
}

static const char *obey(const char *verb, const char *a, const char *b)
{
    int names = b ? 2 : a ? 1 : 0;
#define IS(word, wants) (strcmp(verb, word) == 0 && names == (wants))
    if (IS("node", 1)) {
        return do_node(a);
    }
    if (IS("edge", 2)) {
        return do_edge(a, b);
    }
    if (IS("unlink", 2)) {
        return do_unlink(a, b);
    }
    if (IS("remove", 1)) {
        return do_remove(a);
    }
    if (IS("rename", 2)) {
        return do_rename(a, b);
    }
    if (IS("undo", 0) || IS("redo", 0)) {
        return go_back(*verb == 'u') ? NULL : "there is nothing more";
    }
    if (IS("select", 1)) {
        return do_select(a);
    }
    if (IS("picture", 1)) {
        return do_picture(a);
    }
    if (IS("reach", 2)) {
        return do_reach(a, b);
    }
    if (IS("collect", 0)) {
        return do_collect();
    }
    if (IS("forget", 0)) {
        SET(document, undo, NULL);
        SET(document, redo, NULL);
        return NULL;
    }
    if (IS("show", 0)) {
        return do_show(), NULL;
    }
    if (IS("selected", 0)) {
        return do_selected(), NULL;
    }
    return "there is no such command";
}

int main(int argc, char **argv)
{
    enum allot_gc_kind kind = ALLOT_GC_COPY;
    struct allot_gc_opts opts = {.name = "graph"};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--stress") == 0) {
            opts.flags |= ALLOT_GC_STRESS;
        } else if (strcmp(argv[i], "--mark") == 0) {
            kind = ALLOT_GC_MARK;
        } else if (strcmp(argv[i], "--count") == 0) {
            kind = ALLOT_GC_COUNT;
        } else if (strcmp(argv[i], "--copy") != 0) {
            fprintf(stderr, "usage: graph-editor [--mark | --copy | --count] [--stress] < commands\n");
            return 2;
        }
    }
    int why = allot_gc_init(&heap, kind, &opts);
    if (why || (why = allot_gc_attach(&heap, &me)) || (why = allot_gc_root(&heap, &document, 1))) {
        fprintf(stderr, "graph-editor: %s\n", strerror(-why));
        return 2;
    }
    document = make(&document_type, 0);

    char line[256];
    while (fgets(line, sizeof line, stdin)) {
        char *rest, *verb = strtok_r(line, " \n", &rest);
        char *a = verb ? strtok_r(NULL, " \n", &rest) : NULL, *b = a ? strtok_r(NULL, " \n", &rest) : NULL;
        command++;
        const char *wrong = verb ? obey(verb, a, b) : NULL;
        if (wrong) {
            printf("%s%s%s: %s\n", verb, a ? " " : "", a ? a : "", wrong);
        }
    }

    allot_gc_unref(&me, document);
    document = NULL;
    allot_gc_collect(&me); /* closes the last pictures, */
    allot_gc_collect(&me); /* which go with this one */
    struct allot_gc_stats left;
    allot_gc_stats(&heap, &left);
    if (left.use.count || pictures_open) {
        fprintf(stderr, "%" PRIu64 " objects are left, %d pictures open\n", left.use.count, pictures_open);
        return 3;
    }
    allot_gc_detach(&me);
    allot_gc_done(&heap);
    return 0;
}
