/* collected.h - what the parts about collectors share: a tree's node, one heap of each collector, Debian's libgc, and what a run cost.
 *
 * Each collector's program is written as one for that collector is: mark's stands on frames, or on its stack where it is
 * conservative; copy's on frames, and reads again what it held; count's owns what it got, and lets it go.
 *
 * libgc is opened when a run wants it, so no other run has it in its address space, and needs no header: libgc1 is enough.
 */
#ifndef COLLECTED_H
#define COLLECTED_H

#include "part.h"

#include <dlfcn.h>

#include <allot/gc.h>

struct node {
    struct node *left, *right;
    int i, j;
};

static const struct allot_gc_type node_type = {.name = "node",
                                               .size = sizeof(struct node),
                                               .refs =
                                                   ALLOT_GC_REF(struct node, left) | ALLOT_GC_REF(struct node, right)};
static const struct allot_gc_type doubles_type = {.name = "doubles"};

static struct allot_gc heap;
static struct allot_gc_mutator me;

static inline void *had(void *p)
{
    if (!p) {
        fail("out of memory");
    }
    return p;
}

static inline void begin_heap(enum allot_gc_kind kind, unsigned flags)
{
    struct allot_gc_opts opts = {.flags = flags};
    int why = allot_gc_init(&heap, kind, &opts);
    if (why || (why = allot_gc_attach(&heap, &me))) {
        fail(strerror(-why));
    }
}

static inline struct node *get_node(void) { return had(allot_gc_get(&me, &node_type, 0)); }

/* As GC_MALLOC is: it knows of no type. */
static const struct allot_gc_type words_type = {.name = "words", .flags = ALLOT_GC_MAYBE};

static struct {
    void *(*malloc)(size_t), *(*malloc_atomic)(size_t);
    size_t (*collections)(void);
} libgc;

static inline void *symbol(void *library, const char *name)
{
    void *found = dlsym(library, name);
    if (!found) {
        fail(name);
    }
    return found;
}

static inline void begin_libgc(void)
{
    void *library = dlopen("libgc.so.1", RTLD_NOW | RTLD_GLOBAL);
    if (!library) {
        fail(dlerror());
    }
    libgc.malloc = (void *(*)(size_t))symbol(library, "GC_malloc");
    libgc.malloc_atomic = (void *(*)(size_t))symbol(library, "GC_malloc_atomic");
    libgc.collections = (size_t(*)(void))symbol(library, "GC_get_gc_no");
    ((void (*)(void))symbol(library, "GC_init"))();
}

/* Whether a run of libgc's can be had; its variants are listed as missing else. */
static inline bool has_libgc(void)
{
    void *library = dlopen("libgc.so.1", RTLD_LAZY);
    if (library) {
        dlclose(library);
    }
    return library;
}

/* Nanoseconds of processor time that all threads have had: what a run costs where others run beside it. */
static inline uint64_t cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The most that was resident at once; getrusage's figure has the parent's before the exec in it. */
static inline double peak_mib(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    double kib = 0;
    while (status && fgets(line, sizeof line, status)) {
        if (sscanf(line, "VmHWM: %lf kB", &kib) == 1) {
            break;
        }
    }
    if (status) {
        fclose(status);
    }
    return kib / 1024;
}

static inline void heap_figures(void)
{
    struct allot_gc_stats stats;
    allot_gc_stats(&heap, &stats);
    figure("collections", (double)stats.collections, "");
    if (stats.young) {
        figure("young", (double)stats.young, "");
    }
    figure("longest", (double)stats.longest_ns / 1e6, "ms");
}

/* -- trees, bottom up -- */

/* Where plain pointers hold what they refer to. */
#define PLAIN_TREE(name, new_node)                                                   \
    static struct node *name##_tree(int depth)                                       \
    {                                                                                \
        if (depth <= 0) {                                                            \
            return new_node;                                                         \
        }                                                                            \
        struct node *left = name##_tree(depth - 1), *right = name##_tree(depth - 1); \
        struct node *node = new_node;                                                \
        node->left = left;                                                           \
        node->right = right;                                                         \
        return node;                                                                 \
    }                                                                                \
    struct name##_tree_is_complete

/* With frames and the barrier: mark and copy. */
static inline struct node *framed_tree(int depth)
{
    if (depth <= 0) {
        return get_node();
    }
    ALLOT_GC_FRAME(&me, frame, 2);
    frame.slot[0] = framed_tree(depth - 1);
    frame.slot[1] = framed_tree(depth - 1);
    struct node *node = get_node();
    allot_gc_write(&me, node, &node->left, frame.slot[0]);
    allot_gc_write(&me, node, &node->right, frame.slot[1]);
    return node;
}

/* With references that are owned: count. */
static inline struct node *counted_tree(int depth)
{
    if (depth <= 0) {
        return get_node();
    }
    struct node *left = counted_tree(depth - 1), *right = counted_tree(depth - 1), *node = get_node();
    allot_gc_give(&me, node, &node->left, left);
    allot_gc_give(&me, node, &node->right, right);
    return node;
}

#endif
