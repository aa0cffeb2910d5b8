/* scope.c DEED - one crime against what an arena or an overlay has freed, or none: what valgrind and AddressSanitizer are to see. */
#include "../common/check.h"

#include <allot/arena.h>
#include <allot/overlay.h>

static struct allot_arena arena;
static struct allot_overlay overlay;
static char image[2][100];
static const struct allot_overlay_seg segs[] = {
    {.size = 64}, {.size = 100, .parent = 1, .image = image[0]}, {.size = 90, .parent = 1, .image = image[1]}};

static char *object(size_t size) { return opaque_pointer(allot_arena_alloc(&arena, size)); }

static void overrun(void)
{
    char *p = object(40);
    p[40] = 1;
}

static void overrun_to_the_next(void)
{
    char *p = object(48);
    object(48);
    p[48] = 1;
}

static void overrun_of_large(void)
{
    char *p = object(2000000);
    p[2000000] = 1;
}

static void overrun_of_aligned(void)
{
    char *p = opaque_pointer(allot_arena_aligned(&arena, 100, 256));
    p[100] = 1;
}

static void underrun_of_the_first(void)
{
    char *p = object(16);
    p[-1] = 1;
}

static void use_after_shrinking(void)
{
    char *p = object(100);
    CHECK(allot_arena_extend(&arena, p, 100, 50));
    p[50] = 1;
}

static void use_after_rewind(void)
{
    object(10);
    struct allot_arena_mark mark = allot_arena_mark(&arena);
    char *p = object(10);
    allot_arena_rewind(&arena, mark);
    p[0] = 1;
}

static void use_after_rewind_of_blocks(void)
{
    struct allot_arena_mark mark = allot_arena_mark(&arena);
    char *p = object(10);
    object(60000);
    object(60000);
    allot_arena_rewind(&arena, mark);
    p[9] = 1;
}

static void use_after_reset(void)
{
    char *p = object(10);
    allot_arena_reset(&arena, SIZE_MAX);
    p[0] = 1;
}

static void use_after_reset_of_another(void)
{
    char *p = object(10);
    object(1000);
    allot_arena_reset(&arena, SIZE_MAX);
    object(10);
    p[500] = 1;
}

static void use_after_locked_reset(void)
{
    struct allot_arena_shared shared;
    CHECK(allot_arena_shared_init(&shared, &(struct allot_arena_opts){.local = true}) == 0);
    char *p = opaque_pointer(allot_arena_shared_alloc(&shared, 100));
    allot_arena_shared_reset(&shared, SIZE_MAX);
    p[99] = 1;
}

static void uninitialised(void)
{
    memset(object(100), 1, 100);
    allot_arena_reset(&arena, SIZE_MAX);
    if (object(100)[50] == 1)
        puts("one");
}

static char *enter(unsigned seg) { return opaque_pointer(allot_overlay_enter(&overlay, seg)); }

static void use_after_leave(void)
{
    char *p = enter(1);
    allot_overlay_leave(&overlay, 1);
    p[0] = 1;
}

static void overrun_of_segment(void)
{
    char *p = enter(1);
    p[100] = 1;
}

static void use_of_absent(void)
{
    enter(2);
    char *p = overlay.area;
    p[0] = 1;
}

static void use_beside_what_is_held(void)
{
    enter(0);
    char *p = enter(1);
    allot_overlay_leave(&overlay, 1);
    enter(2);
    p[95] = 1;
}

/* The check denies again what somebody has allowed. */
static void use_after_check(void)
{
    char *p = enter(1);
    allot_overlay_leave(&overlay, 1);
    allot_unpoison(p, 100);
    allot_overlay_check(&overlay);
    p[0] = 1;
}

static void note(void *arg) { memset(arg, 3, 100); }

static void nothing(void)
{
    for (int round = 0; round < 4; round++) {
        for (size_t size = 0; size < 3000; size += 7) {
            struct allot_arena_mark mark = allot_arena_mark(&arena);
            char *p = object(size);
            memset(p, 1, size);
            if (allot_arena_extend(&arena, p, size, size * 2))
                memset(p, 2, size * 2);
            memset(opaque_pointer(allot_arena_aligned(&arena, size, 512)), 1, size);
            memset(object(size * 1000), 1, size * 1000);
            CHECK(allot_arena_defer(&arena, note, object(100)) == 0);
            if (size % 5 == 0)
                allot_arena_rewind(&arena, mark);
        }
        allot_arena_check(&arena);
        allot_arena_reset(&arena, round % 2 ? SIZE_MAX : 100000);
    }
    for (int round = 0; round < 20; round++) {
        unsigned seg = 1 + round % 2;
        memset(enter(0), 1, 64);
        char *p = enter(seg);
        CHECK(p[89] == (round < 2 ? 0 : (int)seg));
        memset(p, (int)seg, segs[seg].size);
        if (round % 3 == 0) {
            allot_overlay_leave(&overlay, seg);
            p = enter(seg);
            CHECK(p[0] == (int)seg);
        }
        allot_overlay_check(&overlay);
        CHECK(allot_overlay_save(&overlay) == 0);
        memset(p, (int)seg, segs[seg].size);
        allot_overlay_leave(&overlay, seg);
        allot_overlay_leave(&overlay, 0);
    }
    allot_overlay_done(&overlay);
    allot_arena_done(&arena);
}

static const struct {
    const char *name;
    void (*commit)(void);
} deeds[] = {
    {"overrun", overrun},
    {"overrun-to-the-next", overrun_to_the_next},
    {"overrun-of-large", overrun_of_large},
    {"overrun-of-aligned", overrun_of_aligned},
    {"underrun-of-the-first", underrun_of_the_first},
    {"use-after-shrinking", use_after_shrinking},
    {"use-after-rewind", use_after_rewind},
    {"use-after-rewind-of-blocks", use_after_rewind_of_blocks},
    {"use-after-reset", use_after_reset},
    {"use-after-reset-of-another", use_after_reset_of_another},
    {"use-after-locked-reset", use_after_locked_reset},
    {"use-after-leave", use_after_leave},
    {"overrun-of-segment", overrun_of_segment},
    {"use-of-absent", use_of_absent},
    {"use-beside-what-is-held", use_beside_what_is_held},
    {"use-after-check", use_after_check},
    {"uninitialised", uninitialised},
    {"nothing", nothing},
};

/* Without a deed: their names. */
int main(int argc, char **argv)
{
    CHECK(allot_arena_init(&arena, NULL) == 0);
    CHECK(allot_overlay_init(&overlay, NULL, 0, segs, 3, NULL) == 0);
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
        if (argc < 2) {
            puts(deeds[i].name);
        } else if (strcmp(deeds[i].name, argv[1]) == 0) {
            deeds[i].commit();
            return 0;
        }
    }
    return argc < 2 ? 0 : 2;
}
