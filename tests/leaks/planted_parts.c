/* leaks/planted_parts.c - planted leaks in arenas, pools, caches, heaps and tags, and of what only these hold: see leaks/plant.h. */
#include "leaks/plant.h"

#include <stdlib.h>
#include <string.h>

#include <allot/arena.h>
#include <allot/cache.h>
#include <allot/gc.h>
#include <allot/heap.h>
#include <allot/movable.h>
#include <allot/overlay.h>
#include <allot/pool.h>
#include <allot/region.h>
#include <allot/tag.h>

struct node {
    struct node *next;
    char rest[40];
};

static struct node *of(const char *verdict, void *p)
{
    memset(p, 1, sizeof(struct node));
    ((struct node *)p)->next = NULL;
    return expect(verdict, p, sizeof(struct node));
}

static void *plant_allot(const char *verdict, size_t size)
{
    void *p = allot_malloc(size);
    memset(p, 1, size);
    return expect(verdict, p, size);
}

static struct node *block(const char *verdict) { return of(verdict, allot_malloc(sizeof(struct node))); }

/* Objects of pools and caches are blocks: those that somebody holds hold others, and the others are lost. */
static struct allot_pool pool, local, wide;
static struct allot_cache cache;
static struct node *volatile object, *volatile cached, *volatile single;

static __attribute__((noinline)) void use_pools(void)
{
    allot_pool_init(&pool, sizeof(struct node), &(struct allot_pool_opts){.name = "planted"});
    allot_pool_init(&local, sizeof(struct node), &(struct allot_pool_opts){.name = "local", .mode = ALLOT_POOL_LOCAL});
    allot_pool_init(&wide, 100000, &(struct allot_pool_opts){.name = "wide"});
    allot_cache_init(&cache, sizeof(struct node), &(struct allot_cache_opts){.name = "cached"});
    object = of("reachable", allot_pool_get(&pool));
    object->next = block("reachable"); /* held by a pool's object only */
    struct node *lost = of("definite", allot_pool_get(&pool));
    lost->next = of("indirect", allot_pool_get(&pool));
    lost->next->next = block("indirect");
    of("definite", allot_pool_get(&local));
    cached = of("reachable", allot_cache_get(&cache));
    cached->next = block("reachable");
    of("definite", allot_cache_get(&cache));
    single = allot_pool_get(&wide);
    memset(single, 1, 100000);
    expect("reachable", single, 100000);
    single->next = block("reachable");
    struct node *wide_lost = allot_pool_get(&wide);
    memset(wide_lost, 1, 100000);
    expect("definite", wide_lost, 100000);
    /* What was put, and holds what it held: nothing. */
    struct node *gone = allot_pool_get(&pool);
    memset(gone, 1, sizeof *gone);
    gone->next = block("definite");
    allot_pool_put(&pool, gone);
}

static struct allot_arena arena;

/* Not known to be new: what is written there stays. */
static __attribute__((noinline)) struct node *in_arena(struct allot_arena *a)
{
    struct node *inside = allot_arena_alloc(a, sizeof *inside);
    memset(inside, 1, sizeof *inside);
    __asm__ volatile("" : "+r"(inside)::"memory");
    return inside;
}

static __attribute__((noinline)) void use_arenas(void)
{
    allot_arena_init(&arena, &(struct allot_arena_opts){.name = "scratch"});
    struct node *inside = in_arena(&arena);
    inside->next = block("reachable"); /* held by an arena's memory only */
    struct allot_arena *lost =
        allot_malloc(sizeof *lost); /* an arena that nobody knows any more, with all that it holds */
    allot_arena_init(lost, NULL);
    expect("definite", lost, sizeof *lost);
    inside = in_arena(lost);
    inside->next = block("indirect");
    expect("indirect", lost->used, 64 << 10);
}

/* A block of malloc's in which a region places things: held by who points to one of them, lost with the last one. */
static struct allot_region region, lost_region;
static struct node *volatile placed;

static __attribute__((noinline)) struct node *place(struct allot_region *r, const char *name, const char *verdict)
{
    enum { BYTES = 1 << 18 };
    struct allot_range range;
    char *host = plant_allot(verdict, BYTES);
    allot_region_init(r, (uintptr_t)host, BYTES, &(struct allot_region_opts){.unit = 64, .name = name});
    for (int i = 0; i < 10; i++) {
        allot_region_take(r, 1000, 64, &range);
    }
    struct node *inside = (struct node *)range.at;
    memset(inside, 1, sizeof *inside);
    return inside;
}

static __attribute__((noinline)) void use_regions(void)
{
    placed = place(&region, "placed", "reachable");
    placed->next = block("reachable");
    place(&lost_region, "lost", "definite")->next = block("indirect");
}

/* The area of an overlay is a block, which it holds. */
static struct allot_overlay overlay;

static __attribute__((noinline)) struct node *lay(struct allot_overlay *o, const char *name)
{
    static const struct allot_overlay_seg segs[] = {{.name = "one", .size = 5000}, {.name = "other", .size = 6000}};
    allot_overlay_init(o, NULL, 0, segs, 2, &(struct allot_overlay_opts){.name = name});
    struct node *inside = allot_overlay_enter(o, 1);
    memset(inside, 1, sizeof *inside);
    return inside;
}

static __attribute__((noinline)) void use_overlays(void)
{
    lay(&overlay, "phases")->next = block("reachable");
    expect("reachable", overlay.area, overlay.layout.area);
    struct allot_overlay *lost = allot_malloc(sizeof *lost);
    lay(lost, "lost")->next = block("indirect");
    expect("definite", lost, sizeof *lost);
    expect("indirect", lost->place, sizeof *lost->excludes);
    expect("indirect", lost->area, lost->layout.area);
}

static struct allot_heap heap;
static struct node *volatile of_heap, *volatile of_tag;

static __attribute__((noinline)) void use_heaps(void)
{
    allot_heap_init(&heap, NULL);
    of_heap = of("reachable", allot_heap_alloc(&heap, sizeof(struct node)));
    of_heap->next = block("reachable");
    struct node *lost = of("definite", allot_heap_alloc(&heap, sizeof(struct node)));
    lost->next = of("indirect", allot_heap_alloc(&heap, sizeof(struct node)));
    struct allot_tag *before = allot_tag_enter(allot_tag("planted", SIZE_MAX));
    of_tag = block("reachable");
    of_tag->next = block("reachable");
    block("definite")->next = block("indirect");
    allot_tag_enter(before);
}

/* What is collected is held by its heap, reachable or not, and holds others; where nothing goes by itself objects are lost as blocks are. */
static struct allot_gc collected, by_hand;
static struct allot_gc_mutator in_collected, in_by_hand;
static const struct allot_gc_type gc_node = {.name = "node", .size = sizeof(struct node)};
static void *gc_root;
static struct node *volatile gc_held;

static __attribute__((noinline)) void use_collected(void)
{
    allot_gc_init(&collected, ALLOT_GC_MARK, &(struct allot_gc_opts){.name = "tree"});
    allot_gc_attach(&collected, &in_collected);
    allot_gc_root(&collected, &gc_root, 1);
    for (int i = 0; i < 3; i++) {
        struct node *garbage = of("reachable", allot_gc_get(&in_collected, &gc_node, 0));
        garbage->next = block("reachable");
    }
    gc_root = of("reachable", allot_gc_get(&in_collected, &gc_node, 0));
    ((struct node *)gc_root)->next = block("reachable");
    struct node *big = allot_gc_get(&in_collected, &gc_node, 100000);
    memset(big, 1, 100000);
    big->next = block("reachable");
    expect("reachable", big, 100000);

    allot_gc_init(&by_hand, ALLOT_GC_MARK, &(struct allot_gc_opts){.name = "list", .flags = ALLOT_GC_EXPLICIT});
    allot_gc_attach(&by_hand, &in_by_hand);
    gc_held = of("reachable", allot_gc_get(&in_by_hand, &gc_node, 0));
    gc_held->next = of("reachable", allot_gc_get(&in_by_hand, &gc_node, 0));
    gc_held->next->next = block("reachable");
    struct node *lost = of("definite", allot_gc_get(&in_by_hand, &gc_node, 0));
    lost->next = of("indirect", allot_gc_get(&in_by_hand, &gc_node, 0));
    lost->next->next = block("indirect");
    struct node *circle = of("circle-90", allot_gc_get(&in_by_hand, &gc_node, 0));
    circle->next = of("circle-90", allot_gc_get(&in_by_hand, &gc_node, 0));
    circle->next->next = circle;
    struct node *gone = allot_gc_get(&in_by_hand, &gc_node, 0);
    gone->next = block("definite");
    allot_gc_put(&in_by_hand, gone);
    big = allot_gc_get(&in_by_hand, &gc_node, 100000);
    memset(big, 1, 100000);
    expect("definite", big, 100000);
}

/* A movable heap's objects are held by it, and hold others; what has been given up holds nothing, though its bytes may still be there. */
static struct allot_movable movable;

static void *movable_object(size_t size)
{
    allot_ref ref = allot_movable_get(&movable, size);
    void **object = allot_movable_at(&movable, ref);
    memset(object, 1, size);
    object[size / 16] = block("reachable");
    return expect("reachable", object, size);
}

static void gone_object(size_t size)
{
    allot_ref ref = allot_movable_get(&movable, size);
    void **object = allot_movable_at(&movable, ref);
    object[size / 16] = block("definite");
    allot_movable_put(&movable, ref);
}

static __attribute__((noinline)) void use_movable(void)
{
    static const size_t sizes[] = {48, 480, 100000, 6 << 20};
    allot_movable_init(&movable, 0, &(struct allot_movable_opts){.name = "documents"});
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        movable_object(sizes[i]);
        gone_object(sizes[i]);
    }
    movable_object(480); /* beside what has gone */
}

int main(int argc, char **argv)
{
    use_pools();
    use_arenas();
    use_regions();
    use_overlays();
    use_heaps();
    use_collected();
    use_movable();
    scrub();
    finish(argc > 1 ? argv[1] : "exit", NULL);
}
