/* leaks/planted_parts.c - planted leaks in arenas, pools, caches, heaps and tags, and of what only these hold: see leaks/plant.h. */
#include "leaks/plant.h"

#include <stdlib.h>
#include <string.h>

#include <allot/arena.h>
#include <allot/cache.h>
#include <allot/heap.h>
#include <allot/pool.h>
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
    allot_arena_init(&arena, NULL);
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

int main(int argc, char **argv)
{
    use_pools();
    use_arenas();
    use_heaps();
    scrub();
    finish(argc > 1 ? argv[1] : "exit", NULL);
}
