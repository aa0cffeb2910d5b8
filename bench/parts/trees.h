/* trees.h - how programs of binary trees make and drop them, on malloc and on each collector: written for that one.
 *
 * malloc frees by hand. libgc, and mark where it takes the stack and every word for what may be a reference, need nothing but plain
 * pointers. Mark and copy stand on frames and the barrier, and read again what they held after whatever may collect. Count owns
 * what it got.
 */
#ifndef TREES_H
#define TREES_H

#include "collected.h"

/* A collector's own way. A tree is held in *root while it lives: of `kept`, which is a root where that matters. */
struct way {
    void (*begin)(void);
    void (*top_down)(int depth, struct node **root); /* a node, then its children */
    void (*bottom_up)(int depth, struct node **root);
    void (*drop)(struct node **root);
    double *(*doubles)(size_t count);
    void (*figures)(void); /* that it has of itself */
};

static struct node *kept[2];
static double *kept_array;

/* -- malloc and free -- */

static struct node *malloc_node(struct node *left, struct node *right)
{
    struct node *node = had(malloc(sizeof *node));
    *node = (struct node){left, right, 0, 0};
    return node;
}

static void malloc_children(struct node *node, int depth)
{
    if (depth > 0) {
        node->left = malloc_node(NULL, NULL);
        node->right = malloc_node(NULL, NULL);
        malloc_children(node->left, depth - 1);
        malloc_children(node->right, depth - 1);
    }
}

static struct node *malloc_tree(int depth)
{
    if (depth <= 0) {
        return malloc_node(NULL, NULL);
    }
    struct node *left = malloc_tree(depth - 1), *right = malloc_tree(depth - 1);
    return malloc_node(left, right);
}

static void malloc_top_down(int depth, struct node **root)
{
    *root = malloc_node(NULL, NULL);
    malloc_children(*root, depth);
}

static void malloc_bottom_up(int depth, struct node **root) { *root = malloc_tree(depth); }

static void free_tree(struct node *tree)
{
    if (tree) {
        free_tree(tree->left);
        free_tree(tree->right);
        free(tree);
    }
}

static void malloc_drop(struct node **root)
{
    free_tree(*root);
    *root = NULL;
}

static double *malloc_doubles(size_t count) { return had(malloc(count * sizeof(double))); }

static void begin_nothing(void) {}

static const struct way malloc_way = {begin_nothing, malloc_top_down, malloc_bottom_up,
                                      malloc_drop,   malloc_doubles,  begin_nothing};

/* -- what a stack and plain pointers hold: libgc, and mark when it is conservative -- */

#define CONSERVATIVE(name, new_node, new_doubles)                                               \
    static void name##_children(struct node *node, int depth)                                   \
    {                                                                                           \
        if (depth > 0) {                                                                        \
            node->left = new_node;                                                              \
            node->right = new_node;                                                             \
            name##_children(node->left, depth - 1);                                             \
            name##_children(node->right, depth - 1);                                            \
        }                                                                                       \
    }                                                                                           \
    PLAIN_TREE(name, new_node);                                                                 \
    static void name##_top_down(int depth, struct node **root)                                  \
    {                                                                                           \
        *root = new_node;                                                                       \
        name##_children(*root, depth);                                                          \
    }                                                                                           \
    static void name##_bottom_up(int depth, struct node **root) { *root = name##_tree(depth); } \
    static double *name##_doubles(size_t count) { return new_doubles; }                         \
    struct name##_is_complete

static void forget(struct node **root) { *root = NULL; }

CONSERVATIVE(boehm, had(libgc.malloc(sizeof(struct node))), had(libgc.malloc_atomic(count * sizeof(double))));
CONSERVATIVE(words, had(allot_gc_get(&me, &words_type, sizeof(struct node))),
             had(allot_gc_get(&me, &doubles_type, count * sizeof(double))));

static void libgc_figures(void) { figure("collections", (double)libgc.collections(), ""); }

static const struct way libgc_way = {begin_libgc, boehm_top_down, boehm_bottom_up,
                                     forget,      boehm_doubles,  libgc_figures};

static void begin_rooted(enum allot_gc_kind kind, unsigned flags)
{
    begin_heap(kind, flags);
    if (allot_gc_root(&heap, kept, COUNT(kept)) || allot_gc_root(&heap, &kept_array, 1)) {
        fail("no room for roots");
    }
}

static void begin_words(void)
{
    begin_rooted(ALLOT_GC_MARK, ALLOT_GC_CONSERVATIVE | ALLOT_GC_INTERIOR | ALLOT_GC_PLAIN);
}

static const struct way words_way = {begin_words, words_top_down, words_bottom_up, forget, words_doubles, heap_figures};

/* -- frames and the barrier: mark and copy -- */

static void framed_children(struct node *node, int depth)
{
    if (depth > 0) {
        ALLOT_GC_FRAME(&me, frame, 1);
        frame.slot[0] = node;
        struct node *child = get_node();
        node = frame.slot[0];
        allot_gc_write(&me, node, &node->left, child);
        child = get_node();
        node = frame.slot[0];
        allot_gc_write(&me, node, &node->right, child);
        framed_children(node->left, depth - 1);
        node = frame.slot[0];
        framed_children(node->right, depth - 1);
    }
}

static void framed_top_down(int depth, struct node **root)
{
    *root = get_node();
    framed_children(*root, depth);
}

static void framed_bottom_up(int depth, struct node **root) { *root = framed_tree(depth); }

static double *get_doubles(size_t count) { return had(allot_gc_get(&me, &doubles_type, count * sizeof(double))); }

static void begin_mark(void) { begin_rooted(ALLOT_GC_MARK, 0); }
static void begin_copy(void) { begin_rooted(ALLOT_GC_COPY, 0); }

static const struct way mark_way = {begin_mark, framed_top_down, framed_bottom_up, forget, get_doubles, heap_figures};
static const struct way copy_way = {begin_copy, framed_top_down, framed_bottom_up, forget, get_doubles, heap_figures};

/* -- references that are owned: count -- */

static void counted_children(struct node *node, int depth)
{
    if (depth > 0) {
        allot_gc_give(&me, node, &node->left, get_node());
        allot_gc_give(&me, node, &node->right, get_node());
        counted_children(node->left, depth - 1);
        counted_children(node->right, depth - 1);
    }
}

static void counted_top_down(int depth, struct node **root)
{
    *root = get_node();
    counted_children(*root, depth);
}

static void counted_bottom_up(int depth, struct node **root) { *root = counted_tree(depth); }

static void counted_drop(struct node **root)
{
    allot_gc_unref(&me, *root);
    *root = NULL;
}

static void begin_count(void) { begin_heap(ALLOT_GC_COUNT, 0); }

static const struct way count_way = {begin_count,  counted_top_down, counted_bottom_up,
                                     counted_drop, get_doubles,      heap_figures};

/* -- the program -- */

static void (*trees_run)(const struct way *way);

static void run_libgc(void) { trees_run(&libgc_way); }
static void run_malloc(void) { trees_run(&malloc_way); }
static void run_mark(void) { trees_run(&mark_way); }
static void run_words(void) { trees_run(&words_way); }
static void run_copy(void) { trees_run(&copy_way); }
static void run_count(void) { trees_run(&count_way); }

/* `run` begins the way, makes the trees and prints what it took. */
static inline int trees_main(int argc, char **argv, void (*run)(const struct way *way), const char *const *demands,
                             size_t demand_count)
{
    const struct variant variants[] = {
        {"libgc", "Debian's libgc, GC_MALLOC (libgc1)", has_libgc() ? run_libgc : NULL},
        {"malloc", "the system's malloc, and free by hand", run_malloc},
        {"allot-mark", "mark, frames and typed nodes", run_mark},
        {"allot-mark-words", "mark as libgc is: the stack and all words may be references, which are stored plainly",
         run_words},
        {"allot-copy", "copy, frames and typed nodes", run_copy},
        {"allot-count", "count", run_count},
    };
    trees_run = run;
    return part_main(argc, argv, variants, COUNT(variants), demands, demand_count);
}

#endif
