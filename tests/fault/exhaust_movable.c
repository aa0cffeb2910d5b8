/* fault/exhaust_movable.c - memory ends at every possible moment of movable heaps and areas that are relocated: for n = 0, 1, 2, ... the
 * system grants n more requests and none after, while a script runs that uses every function. Each failure is the ordinary return,
 * and leaves all as it was; when memory is back the same call works. The last n is the one at which nothing fails.
 */
#include "common/check.h"

#include <errno.h>
#include <stdbool.h>

#include <allot/malloc.h>
#include <allot/movable.h>
#include <allot/reloc.h>

#include "common/pattern.h"

enum { OBJECTS = 4000 };

static struct allot_movable heap;
static struct {
    allot_ref ref;
    size_t size;
    bool is_purgeable;
} objects[OBJECTS];
static size_t count, failures;
static bool failed_once;

static void memory_is_back(void)
{
    failures++;
    failed_once = true;
    allot_fail_after(-1);
}

static int rebuild(void *arg, uint64_t key, void *at, size_t size)
{
    (void)arg;
    pattern_fill(at, size, key);
    return 0;
}

static void verify(void)
{
    allot_movable_check(&heap);
    for (size_t i = 0; i < count; i++) {
        if (!objects[i].is_purgeable)
            CHECK(pattern_holds(allot_movable_at(&heap, objects[i].ref), objects[i].size, i, true));
    }
}

static void get(size_t size, bool is_purgeable)
{
    errno = 0;
    allot_ref ref = is_purgeable ? allot_movable_get_purgeable(&heap, size, count) : allot_movable_get(&heap, size);
    if (ref.gen == 0) {
        CHECK(errno == ENOMEM);
        memory_is_back();
        verify();
        ref = is_purgeable ? allot_movable_get_purgeable(&heap, size, count) : allot_movable_get(&heap, size);
        CHECK(ref.gen != 0);
    }
    pattern_fill(allot_movable_at(&heap, ref), size, count);
    objects[count].ref = ref;
    objects[count].is_purgeable = is_purgeable;
    objects[count++].size = size;
}

static void resize(size_t i, size_t size)
{
    int failed = allot_movable_resize(&heap, objects[i].ref, size);
    if (failed) {
        CHECK(failed == -ENOMEM);
        memory_is_back();
        verify();
        CHECK(allot_movable_resize(&heap, objects[i].ref, size) == 0);
    }
    size_t both = size < objects[i].size ? size : objects[i].size;
    CHECK(pattern_holds(allot_movable_at(&heap, objects[i].ref), both, i, false));
    objects[i].size = size;
    pattern_fill(allot_movable_at(&heap, objects[i].ref), size, i);
}

static void pin(size_t i)
{
    errno = 0;
    if (!allot_movable_pin(&heap, objects[i].ref)) {
        CHECK(errno == ENOMEM);
        memory_is_back();
        verify();
        CHECK(allot_movable_pin(&heap, objects[i].ref));
    }
}

static struct {
    char bytes[4 << 20];
    size_t used;
} image;

static int write_image(void *arg, const void *bytes, size_t length)
{
    (void)arg;
    CHECK(length <= sizeof image.bytes - image.used);
    memcpy(image.bytes + image.used, bytes, length);
    image.used += length;
    return 0;
}

static int read_image(void *arg, void *bytes, size_t length)
{
    (void)arg;
    memcpy(bytes, image.bytes + image.used, length);
    image.used += length;
    return 0;
}

static void init(const struct allot_movable_opts *opts)
{
    int failed = allot_movable_init(&heap, 64 << 20, opts);
    if (failed) {
        CHECK(failed == -ENOMEM && !heap.state);
        memory_is_back();
        CHECK(allot_movable_init(&heap, 64 << 20, opts) == 0);
    }
}

static void verify_none(void)
{
    struct allot_movable_stats s;
    allot_movable_stats(&heap, &s);
    CHECK(s.use.count == 0 && s.use.used == 0);
    allot_movable_check(&heap);
}

static void heaps(bool debug)
{
    struct allot_movable_opts opts = {.rebuild = rebuild, .debug = debug};
    count = 0;
    init(&opts);
    for (size_t i = 0; i < 3000; i++)
        get(100 + i % 300, false);
    for (size_t i = 0; i < 40; i++)
        get(10000 + i * 1000, i % 4 == 0);
    get(5 << 20, false);
    resize(3000 + 1, 70000);
    resize(5, 100000);
    resize(5, 6 << 20);
    resize(3040, 9 << 20);
    for (size_t i = 0; i < 9; i++)
        pin(i / 3);
    allot_movable_purge(&heap, SIZE_MAX);
    CHECK(allot_movable_at(&heap, objects[3000].ref) || errno == ENOMEM);
    for (size_t i = 10, n = 0; n < 2990; n++) {
        if (n % 4) {
            allot_movable_put(&heap, objects[i].ref);
            objects[i] = objects[--count];
            if (i < count && !objects[i].is_purgeable)
                pattern_fill(allot_movable_at(&heap, objects[i].ref), objects[i].size, i);
        } else {
            i++;
        }
    }
    for (size_t n = 0; n < (debug ? 2 : 1000) && allot_movable_step(&heap, 100000) > 0; n++)
        allot_movable_check(&heap);
    allot_movable_trim(&heap);
    for (size_t i = 0; i < 9; i++)
        allot_movable_unpin(&heap, objects[i / 3].ref);
    allot_movable_step_for(&heap, 1000000);
    verify();
    resize(5, 100);
    for (size_t i = 0; i < count; i++) {
        if (objects[i].size > 1 << 20)
            resize(i, 500);
    }
    image.used = 0;
    CHECK(allot_movable_save(&heap, write_image, NULL) == 0);
    allot_movable_done(&heap);
    init(&opts);
    image.used = 0;
    int failed = allot_movable_load(&heap, read_image, NULL);
    if (failed) {
        CHECK(failed == -ENOMEM);
        memory_is_back();
        verify_none();
        image.used = 0;
        CHECK(allot_movable_load(&heap, read_image, NULL) == 0);
    }
    verify();
    allot_movable_done(&heap);
}

/* -- areas -- */

static struct allot_reloc area;

static void try_area(int (*call)(void))
{
    int failed = call();
    if (failed) {
        CHECK(failed == -ENOMEM);
        memory_is_back();
        if (area.base) {
            allot_reloc_check(&area);
            CHECK(pattern_holds(area.base, area.limit < 5000 ? area.limit : 5000, 1, false));
        }
        CHECK(call() == 0);
    }
}

static size_t area_size;
static int begin_area(void) { return allot_reloc_init(&area, area_size, NULL); }
static int begin_debug(void) { return allot_reloc_init(&area, area_size, &(struct allot_reloc_opts){.debug = true}); }
static int resize_area(void) { return allot_reloc_resize(&area, area_size); }
static int move_area(void) { return allot_reloc_move(&area); }
static int load_area(void)
{
    image.used = 0;
    return allot_reloc_load(&area, read_image, NULL, NULL);
}

static void areas(void)
{
    static char memory[10000];
    for (int debug = 0; debug < 2; debug++) {
        area_size = 5000;
        try_area(debug ? begin_debug : begin_area);
        pattern_fill(allot_reloc_at(&area, 0, 5000), 5000, 1);
        area_size = 1 << 20;
        try_area(resize_area);
        try_area(move_area);
        allot_reloc_chance(&area);
        area_size = 8000;
        try_area(resize_area);
        CHECK(allot_reloc_move_to(&area, memory, sizeof memory) == 0);
        area_size = 20000;
        try_area(resize_area);
        image.used = 0;
        CHECK(allot_reloc_save(&area, write_image, NULL) == 0);
        allot_reloc_done(&area);
        try_area(load_area);
        CHECK(area.limit == 20000 && pattern_holds(area.base, 5000, 1, true));
        allot_reloc_check(&area);
        allot_reloc_done(&area);
    }
}

int main(void)
{
    check_watch_aborts();
    for (int script = 0; script < 3; script++) {
        failed_once = true;
        for (long n = 0; failed_once; n++) {
            snprintf(check_context, sizeof check_context, "script %d, %ld requests", script, n);
            failed_once = false;
            allot_fail_after(n);
            if (script < 2)
                heaps(script == 1);
            else
                areas();
            allot_fail_after(-1);
        }
    }
    CHECK(failures > 20);
    return 0;
}
