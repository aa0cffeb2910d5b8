/* movable.c DEED - one crime against what a movable heap has free, or none: what valgrind and AddressSanitizer are to see. Deeds whose
 * names begin with "well" are no crimes.
 */
#include "../common/check.h"

#include <stdbool.h>
#include <sys/mman.h>

#include <allot/movable.h>

#include "deeds.h"

enum { SIZE = 41, MANY = 4000 };

static struct allot_movable heap;
static allot_ref refs[MANY];

static void init(const struct allot_movable_opts *opts)
{
    CHECK(allot_movable_init(&heap, (size_t)256 << 20, opts) == 0);
}

static char *at(allot_ref ref) { return opaque_pointer(allot_movable_at(&heap, ref)); }

static allot_ref get(size_t size)
{
    allot_ref ref = allot_movable_get(&heap, size);
    CHECK(ref.gen);
    return ref;
}

/* One of many, all of which have a value. */
static allot_ref one(size_t size)
{
    init(NULL);
    for (int i = 0; i < 3; i++) {
        refs[i] = get(size);
        memset(at(refs[i]), i, size);
    }
    return refs[1];
}

static int build(void *arg, uint64_t key, void *p, size_t size)
{
    memset(p, (int)key, size);
    return arg ? -1 : 0;
}

static void settle(void)
{
    while (allot_movable_step(&heap, 1 << 20) > 0) {
    }
}

static void overrun(void) { at(one(SIZE))[SIZE] = 1; }
static void overrun_into_header(void) { at(one(42))[42] = 1; }
static void underrun(void) { at(one(SIZE))[-1] = 1; }
static void overrun_in_zone(void) { at(one(20001))[20001] = 1; }
static void underrun_in_zone(void) { at(one(20001))[-1] = 1; }
static void overrun_of_pages(void) { at(one(5 << 20))[5 << 20] = 1; }

static void use_after_put(void)
{
    char *p = at(one(SIZE));
    allot_movable_put(&heap, refs[1]);
    p[3] = 1;
}

static void use_after_last_put(void)
{
    char *p = at(one(SIZE));
    for (int i = 0; i < 3; i++) {
        allot_movable_put(&heap, refs[i]);
    }
    p[3] = 1;
}

static void use_after_put_in_zone(void)
{
    char *p = at(one(20000));
    allot_movable_put(&heap, refs[1]);
    p[19999] = 1;
}

static void use_after_purge(void)
{
    init(&(struct allot_movable_opts){.rebuild = build});
    char *p = at(allot_movable_get_purgeable(&heap, 10000, 1));
    allot_movable_purge(&heap, SIZE_MAX);
    p[3] = 1;
}

static void use_after_shrinking(void)
{
    char *p = at(one(200));
    CHECK(allot_movable_resize(&heap, refs[1], 99) == 0 && at(refs[1]) == p);
    p[99] = 1;
}

/* What is kept is an address of a heap that is compacted, not in debug mode. */
static void use_after_step(void)
{
    static char *was[MANY];
    init(NULL);
    for (int i = 0; i < MANY; i++) {
        refs[i] = get(300);
        was[i] = at(refs[i]);
    }
    for (int i = 0; i < MANY; i++) {
        if (i % 4) {
            allot_movable_put(&heap, refs[i]);
        }
    }
    settle();
    int i = MANY - 4;
    CHECK(at(refs[i]) != was[i]);
    was[i][299] = 1;
}

static void uninitialised(void)
{
    allot_ref ref = one(SIZE);
    allot_movable_put(&heap, ref);
    ref = get(SIZE);
    if (at(ref)[7]) {
        printf("%d\n", at(ref)[7]);
    }
}

/* Half of each object has a value, which goes with it wherever it goes. */
static void expect(int i, size_t size)
{
    const char *p = at(refs[i]);
    CHECK(allot_movable_size(&heap, refs[i]) == size && (p[0] ^ (char)i) == 0 && (p[size / 2 - 1] ^ (char)i) == 0);
}

static size_t size_of(int i) { return (size_t)(i % 100 == 7 ? 10000 + i : i % 1000 == 8 ? 5 << 20 : 20 + i % 500); }

static void live(bool debug, unsigned align)
{
    init(&(struct allot_movable_opts){.debug = debug, .align = align, .rebuild = build});
    for (int i = 0; i < MANY; i++) {
        refs[i] = get(size_of(i));
        memset(at(refs[i]), i, size_of(i) / 2);
    }
    char *pin = opaque_pointer(allot_movable_pin(&heap, refs[4]));
    for (int i = 0; i < MANY; i++) {
        if (i % 4 && i % 100 != 7) {
            allot_movable_put(&heap, refs[i]);
        }
    }
    for (int n = 0; n < (debug ? 3 : 100) && allot_movable_step(&heap, 1 << 16) > 0; n++) {
        allot_movable_check(&heap);
    }
    CHECK(pin == at(refs[4]));
    allot_movable_unpin(&heap, refs[4]);
    for (int i = 0; i < MANY; i++) {
        if (i % 4 == 0 || i % 100 == 7) {
            expect(i, size_of(i));
            size_t more = size_of(i) * 3 / 2;
            CHECK(allot_movable_resize(&heap, refs[i], more) == 0);
            memset(at(refs[i]), i, more);
            CHECK(allot_movable_resize(&heap, refs[i], size_of(i)) == 0);
            expect(i, size_of(i));
            CHECK(allot_movable_resize(&heap, refs[i], 20 + (size_t)i % 7) == 0);
            expect(i, 20 + (size_t)i % 7);
        }
    }
    allot_ref purgeable = allot_movable_get_purgeable(&heap, 20000, 1);
    allot_movable_purge(&heap, SIZE_MAX);
    CHECK(at(purgeable)[19999] == 1);
    allot_movable_trim(&heap);
    allot_movable_check(&heap);
    void *chunks = at(refs[0]);
    allot_movable_done(&heap);
    /* Whoever has those addresses next may use them. */
    char *p = mmap((void *)((uintptr_t)chunks & ~(uintptr_t)0x7ffff), 1 << 19, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    memset(opaque_pointer(p), 1, 1 << 19);
}

static void well_used(void)
{
    live(false, 8);
    live(false, 16);
}

static void well_used_in_debug_mode(void) { live(true, 8); }

/* Whoever has the pages next that an object has left may use them. */
static void well_shrunk(void)
{
    char *p = at(one(12 << 20));
    CHECK(allot_movable_resize(&heap, refs[1], 5 << 20) == 0 && at(refs[1]) == p);
    char *next = mmap((void *)(((uintptr_t)p & ~(uintptr_t)0xfff) + (6 << 20)), 4 << 20, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(next != MAP_FAILED);
    memset(opaque_pointer(next), 1, 4 << 20);
    allot_movable_done(&heap);
}

static int visit(void *arg, allot_ref ref, void *p, size_t size)
{
    (void)ref;
    *(size_t *)arg += size + (size_t)(*(char *)p & 1);
    return 0;
}

static struct {
    char bytes[1 << 20];
    size_t used;
} image;

static int write_image(void *arg, const void *bytes, size_t length)
{
    memcpy(image.bytes + image.used, bytes, length);
    image.used += length;
    return arg ? -1 : 0;
}

static int read_image(void *arg, void *bytes, size_t length)
{
    memcpy(bytes, image.bytes + image.used, length);
    image.used += length;
    return arg ? -1 : 0;
}

static void well_saved(void)
{
    init(NULL);
    for (int i = 0; i < 300; i++) {
        size_t size = i % 100 == 7 ? 10000 : 20 + (size_t)i;
        refs[i] = get(size);
        memset(at(refs[i]), i, size);
    }
    CHECK(allot_movable_save(&heap, write_image, NULL) == 0);
    allot_movable_done(&heap);
    image.used = 0;
    init(NULL);
    CHECK(allot_movable_load(&heap, read_image, NULL) == 0);
    for (int i = 0; i < 300; i++) {
        expect(i, i % 100 == 7 ? 10000 : 20 + (size_t)i);
    }
    size_t sum = 0;
    CHECK(allot_movable_walk(&heap, visit, &sum) == 0 && sum > 0);
    allot_movable_done(&heap);
}

static const struct deed deeds[] = {
    DEED(overrun),         DEED(overrun_into_header), DEED(underrun),
    DEED(overrun_in_zone), DEED(underrun_in_zone),    DEED(overrun_of_pages),
    DEED(use_after_put),   DEED(use_after_last_put),  DEED(use_after_put_in_zone),
    DEED(use_after_purge), DEED(use_after_shrinking), DEED(use_after_step),
    DEED(uninitialised),   DEED(well_used),           DEED(well_used_in_debug_mode),
    DEED(well_saved),      DEED(well_shrunk),
};

int main(int argc, char **argv) { return deeds_main(argc, argv, deeds, sizeof deeds / sizeof *deeds); }
