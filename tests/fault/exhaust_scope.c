/* fault/exhaust_scope.c - memory ends at every possible moment of arenas and overlays: for n = 0, 1, 2, ... the heap below grants n
 * more requests and none after, while a script runs that uses every function. Each failure is NULL or the return with ENOMEM, and
 * leaves all as it was; when memory is back the same call works. The last n is the one at which nothing fails.
 */
#include "common/check.h"

#include <allot/arena.h>
#include <allot/malloc.h>
#include <allot/overlay.h>

#include "common/pattern.h"
#include "common/requests.h"

REQUESTS(void *, allot_malloc, (size_t size), (size), NULL)
REQUESTS(void *, allot_calloc, (size_t n, size_t size), (n, size), NULL)
REQUESTS(void *, allot_aligned_alloc, (size_t align, size_t size), (align, size), NULL)
REQUESTS(bool, allot_try_expand, (void *p, size_t size), (p, size), false)

/* -- arenas: every object holds its pattern to the end -- */

enum { OBJECTS = 64 };
static struct {
    void *p;
    size_t size;
} objects[OBJECTS];
static size_t count;

static void verify(void)
{
    for (size_t i = 0; i < count; i++)
        CHECK(pattern_holds(objects[i].p, objects[i].size, (uintptr_t)objects[i].p, true));
}

static void keep(void *p, size_t size)
{
    CHECK(count < OBJECTS);
    pattern_fill(p, size, (uintptr_t)p);
    objects[count].p = p;
    objects[count++].size = size;
    verify();
}

#define TRY(p, size, call)               \
    do {                                 \
        void *p;                         \
        REQUESTS_TRY(p, call, verify()); \
        keep(p, size);                   \
    } while (0)
#define TRY_INT(call) REQUESTS_TRY_INT(call, verify())

static unsigned cleaned;
static void clean(void *arg)
{
    (void)arg;
    verify();
    cleaned++;
}

static void private_arena(void)
{
    struct allot_arena a;
    struct allot_allocator from = allot_arena_allocator(&a);
    cleaned = 0;
    CHECK(allot_arena_init(&a, &(struct allot_arena_opts){.first = 512, .max = 8192}) == 0);
    TRY_INT(allot_arena_defer(&a, clean, NULL));
    TRY(p, 300, allot_arena_alloc(&a, 300));
    TRY(p, 300, allot_arena_alloc(&a, 300));
    TRY(p, 1000, allot_arena_aligned(&a, 1000, 4096));
    struct allot_arena_mark mark = allot_arena_mark(&a);
    size_t kept = count;
    for (int i = 0; i < 10; i++)
        TRY(p, 1500, allot_arena_alloc(&a, 1500));
    TRY(p, 100000, allot_arena_alloc(&a, 100000));
    size_t last = count - 1;
    bool longer = allot_arena_extend(&a, objects[last].p, 100000, 200000);
    verify();
    if (longer) {
        objects[last].size = 200000;
        pattern_fill(objects[last].p, 200000, (uintptr_t)objects[last].p);
    } else {
        requests_failed += requests_left == 0;
    }
    TRY_INT(allot_arena_defer(&a, clean, NULL));
    allot_arena_check(&a);
    allot_arena_rewind(&a, mark);
    CHECK(cleaned == 1);
    count = kept;
    verify();
    TRY(p, 500, allot_take(from, 500, 16));
    TRY(p, 5000, allot_take(from, 5000, 1024));
    allot_arena_check(&a);
    allot_arena_reset(&a, 1000);
    CHECK(cleaned == 2);
    count = 0;
    TRY(p, 700, allot_arena_alloc(&a, 700));
    count = 0;
    allot_arena_done(&a);
}

static void shared_arena(bool local)
{
    struct allot_arena_shared s;
    struct allot_allocator from = allot_arena_shared_allocator(&s);
    CHECK(allot_arena_shared_init(&s, &(struct allot_arena_opts){.first = 512, .max = 8192, .local = local}) == 0);
    for (int round = 0; round < 2; round++) {
        cleaned = 0;
        for (int i = 0; i < 12; i++)
            TRY(p, 200, allot_arena_shared_alloc(&s, 200));
        TRY(p, 3000, allot_arena_shared_alloc(&s, 3000));
        TRY(p, 70000, allot_arena_shared_alloc(&s, 70000));
        TRY(p, 300, allot_arena_shared_aligned(&s, 300, 256));
        TRY(p, 300, allot_take(from, 300, 32));
        TRY_INT(allot_arena_shared_defer(&s, clean, NULL));
        allot_arena_shared_check(&s);
        allot_arena_shared_reset(&s, round ? 0 : 2000);
        CHECK(cleaned == 1);
        count = 0;
    }
    allot_arena_shared_done(&s);
}

/* -- overlays -- */

static void overlay(void)
{
    static char images[3][100];
    const struct allot_overlay_seg segs[] = {{.size = 100, .image = images[0]},
                                             {.size = 100, .image = images[1], .parent = 1},
                                             {.size = 50, .image = images[2], .parent = 1}};
    struct allot_overlay_layout layout;
    TRY_INT(allot_overlay_plan(segs, 3, NULL, NULL, &layout));
    CHECK(layout.area == 224);
    static _Alignas(16) char area[224];
    for (int own = 0; own < 2; own++) {
        struct allot_overlay o;
        TRY_INT(allot_overlay_init(&o, own ? NULL : area, own ? 0 : sizeof area, segs, 3, NULL));
        /* Nothing of what follows takes memory. */
        size_t before = requests_made;
        for (unsigned i = 0; i < 3; i++) {
            CHECK(allot_overlay_enter(&o, i));
            allot_overlay_leave(&o, i);
        }
        CHECK(allot_overlay_save(&o) == 0 && allot_overlay_check(&o) && requests_made == before);
        allot_overlay_done(&o);
    }
}

static size_t live(void)
{
    struct allot_stats stats;
    allot_stats(&stats);
    return stats.blocks;
}

int main(void)
{
    static void (*const scripts[])(void) = {private_arena, overlay};
    size_t before = live(), total = 0;
    long n = 0;
    for (size_t i = 0; i < 4; i++) {
        for (n = 0;; n++) {
            snprintf(check_run, sizeof check_run, "script %zu, %ld requests granted", i, n);
            requests_failed = count = 0;
            requests_grant(n);
            if (i < 2)
                scripts[i]();
            else
                shared_arena(i == 3);
            CHECK(live() == before);
            total += requests_failed;
            if (requests_failed == 0)
                break;
        }
        printf("script %zu: nothing fails with %ld requests\n", i, n);
        CHECK(n >= 5);
    }
    printf("%zu failures\n", total);
    return 0;
}
