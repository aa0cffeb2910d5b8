/* model/movable.c - any order of getting, putting, resizing, pinning, purging, compacting, saving and loading, beside a naive model: a
 * list of objects with their bytes, their pins and their addresses. Memory fails now and then.
 *
 * Usage: test-model.movable [SEED]; TEST_SCALE times as many runs.
 */
#include "common/check.h"

#include <errno.h>
#include <stdbool.h>

#include <allot/malloc.h>
#include <allot/movable.h>

#include "common/pattern.h"

enum { MOST = 6000, STEPS = 4000, SLOTS = 1 << 16, DEAD = 512 };

static uint64_t seed;
static struct allot_movable heap;
static struct allot_movable_opts opts;
static size_t reserve;

static struct object {
    allot_ref ref;
    size_t size;
    uint64_t tag;
    unsigned pins;
    bool purgeable;
    void *at;
} objects[MOST];
static size_t count, pinned;
static uint32_t index_of[SLOTS]; /* of the object with a slot, and 1 */
static allot_ref dead[DEAD];
static uint64_t tags;
static bool stepping;
static size_t told;

static size_t below(size_t bound) { return random_below(&seed, bound); }

static int rebuild(void *arg, uint64_t key, void *at, size_t size)
{
    (void)arg;
    if (below(12) == 0)
        return -EIO;
    pattern_fill(at, size, key);
    return 0;
}

static void moved(void *arg, allot_ref ref, void *from, void *to)
{
    CHECK(arg == &heap && stepping);
    struct object *o = &objects[index_of[ref.slot] - 1];
    CHECK(o->ref.gen == ref.gen && o->at == from && from != to && o->pins == 0);
    CHECK(o->purgeable || pattern_holds(to, o->size, o->tag, true));
    o->at = to;
    told++;
}

static size_t some_size(void)
{
    switch (below(24)) {
    case 0:
        return below(12);
    case 1:
        return ALLOT_MOVABLE_SMALL - 8 + below(16);
    case 2:
        return below(200000);
    case 3:
        return below(40) == 0 ? (4 << 20) - 100 + below(200) : below(5000);
    case 4:
    case 5:
        return below(3000);
    default:
        return 8 + below(500);
    }
}

/* As the heap has them. */
static size_t counted(size_t size) { return size < 3 ? 3 : size; }

static void look(struct object *o)
{
    CHECK(allot_movable_is(&heap, o->ref) && allot_movable_size(&heap, o->ref) == counted(o->size));
    errno = 0;
    void *at = allot_movable_at(&heap, o->ref);
    if (o->purgeable) {
        CHECK(at || errno == EIO || errno == ENOMEM);
        CHECK(at || o->pins == 0);
        CHECK(!o->pins || at == o->at);
        o->at = at;
    } else {
        CHECK(at && at == o->at);
    }
    CHECK(!at || pattern_holds(at, o->size, o->tag, true));
    CHECK((uintptr_t)at % (opts.align ? opts.align : 8) == 0);
}

static void get(bool purgeable)
{
    struct object *o = &objects[count];
    *o = (struct object){.size = some_size(), .tag = ++tags, .purgeable = purgeable};
    errno = 0;
    o->ref = purgeable ? allot_movable_get_purgeable(&heap, o->size, o->tag) : allot_movable_get(&heap, o->size);
    if (o->ref.gen == 0) {
        CHECK(o->ref.slot == 0 && (errno == ENOMEM || (purgeable && errno == EIO)));
        return;
    }
    CHECK(o->ref.slot < SLOTS && index_of[o->ref.slot] == 0);
    index_of[o->ref.slot] = (uint32_t)++count;
    if (!purgeable) {
        o->at = allot_movable_at(&heap, o->ref);
        pattern_fill(o->at, o->size, o->tag);
    }
    look(o);
}

static void put(size_t i)
{
    struct object *o = &objects[i];
    if (o->pins)
        return;
    allot_movable_put(&heap, o->ref);
    index_of[o->ref.slot] = 0;
    dead[below(DEAD)] = o->ref;
    *o = objects[--count];
    if (i < count)
        index_of[o->ref.slot] = (uint32_t)i + 1;
}

static void resize(size_t i)
{
    struct object *o = &objects[i];
    size_t size = below(2) ? some_size() : o->size + below(64), both = size < o->size ? size : o->size;
    int failed = allot_movable_resize(&heap, o->ref, size);
    if (o->purgeable) {
        CHECK(failed == -EINVAL);
        return;
    }
    CHECK(failed == 0 || failed == -ENOMEM || (failed == -EBUSY && o->pins));
    if (!failed) {
        void *at = allot_movable_at(&heap, o->ref);
        CHECK(!o->pins || at == o->at);
        o->at = at;
        CHECK(pattern_holds(at, both, o->tag, false));
        o->size = size;
        pattern_fill(at, size, o->tag);
    }
    look(o);
}

static void pin(size_t i)
{
    struct object *o = &objects[i];
    errno = 0;
    void *at = allot_movable_pin(&heap, o->ref);
    if (!at) {
        CHECK((errno == ENOMEM && (o->pins == 2 || o->purgeable || o->pins > 2)) || (o->purgeable && errno == EIO));
        return;
    }
    CHECK(o->purgeable ? !o->pins || at == o->at : at == o->at);
    o->at = at;
    pinned += o->pins++ == 0;
}

static void unpin(size_t i)
{
    struct object *o = &objects[i];
    if (o->pins) {
        allot_movable_unpin(&heap, o->ref);
        pinned -= --o->pins == 0;
    }
}

static int visit(void *arg, allot_ref ref, void *at, size_t size)
{
    struct object *o = &objects[index_of[ref.slot] - 1];
    CHECK(index_of[ref.slot] && o->ref.gen == ref.gen && counted(o->size) == size);
    CHECK(at ? o->purgeable || at == o->at : o->purgeable);
    ++*(size_t *)arg;
    return 0;
}

static void look_at_all(void)
{
    size_t seen = 0, bytes = 0;
    struct allot_movable_stats s;
    allot_movable_check(&heap);
    CHECK(allot_movable_walk(&heap, visit, &seen) == 0 && seen == count);
    for (size_t i = 0; i < count; i++)
        bytes += counted(objects[i].size);
    allot_movable_stats(&heap, &s);
    CHECK(s.use.count == count && s.use.used == bytes && s.pinned == pinned && s.moves == told);
    for (size_t i = 0; i < count; i++)
        look(&objects[i]);
    for (size_t i = 0; i < DEAD; i++)
        CHECK(!allot_movable_is(&heap, dead[i]));
}

static void compact(void)
{
    stepping = true;
    struct allot_movable_stats before, after;
    allot_movable_stats(&heap, &before);
    size_t bytes = below(3) ? allot_movable_step(&heap, below(100000)) : allot_movable_step_for(&heap, below(100000));
    allot_movable_stats(&heap, &after);
    CHECK(bytes > 0 || after.moves == before.moves);
    stepping = false;
}

/* It comes to an end, and then nearly all that is held is used. */
static void settle(void)
{
    stepping = true;
    for (size_t i = 0; !opts.debug && allot_movable_step(&heap, SIZE_MAX) > 0; i++)
        CHECK(i < 10000);
    stepping = false;
}

static struct image {
    char *bytes;
    size_t used, room, cut; /* cut: reading fails there */
} image;

static int write_image(void *arg, const void *bytes, size_t length)
{
    CHECK(arg == &image);
    while (image.room - image.used < length) {
        image.room = image.room * 2 + length;
        image.bytes = realloc(image.bytes, image.room);
    }
    memcpy(image.bytes + image.used, bytes, length);
    image.used += length;
    return 0;
}

static int read_image(void *arg, void *bytes, size_t length)
{
    struct image *from = arg;
    if (from->cut < length)
        return -EIO;
    memcpy(bytes, image.bytes + image.used, length);
    image.used += length;
    from->cut -= length;
    return 0;
}

/* Everything goes on in a heap that was loaded from an image of this one. */
static void save_and_load(void)
{
    for (size_t i = 0; i < count; i++)
        while (objects[i].pins)
            unpin(i);
    image.used = 0;
    CHECK(allot_movable_save(&heap, write_image, &image) == 0);
    allot_fail_after(-1);
    allot_movable_done(&heap);
    size_t length = image.used;
    CHECK(allot_movable_init(&heap, reserve, &opts) == 0);
    allot_movable_on_move(&heap, moved, &heap);
    if (below(2)) {
        image.used = 0;
        image.cut = below(length);
        int failed = allot_movable_load(&heap, read_image, &image);
        struct allot_movable_stats s;
        allot_movable_stats(&heap, &s);
        CHECK(failed == -EIO && s.use.count == 0);
        allot_movable_check(&heap);
    }
    image.used = 0;
    image.cut = length;
    CHECK(allot_movable_load(&heap, read_image, &image) == 0 && image.used == length);
    told = 0;
    for (size_t i = 0; i < count; i++)
        objects[i].at = objects[i].purgeable ? NULL : allot_movable_at(&heap, objects[i].ref);
}

static void step(size_t growing)
{
    size_t i = count ? below(count) : 0;
    allot_fail_after(below(20) ? -1 : (long)below(3));
    switch (count ? below(20) : 0) {
    case 0:
        get(below(4) == 0);
        break;
    case 1:
    case 2:
        resize(i);
        break;
    case 3:
        pin(i);
        break;
    case 4:
        for (size_t n = 0; n < 20; n++)
            unpin(below(count));
        break;
    case 5:
        compact();
        break;
    case 6:
        look(&objects[i]);
        CHECK(allot_movable_worth(&heap, objects[i].ref) <= 100);
        break;
    case 7:
        if (below(4) == 0)
            allot_movable_purge(&heap, below(1 << 20));
        break;
    case 8:
        if (below(10) == 0)
            allot_movable_trim(&heap);
        break;
    default:
        for (size_t n = 0; n < 8; n++)
            if (below(100) < growing && count < MOST)
                get(false);
            else if (count)
                put(below(count));
    }
    allot_fail_after(-1);
}

static void run(size_t number)
{
    snprintf(check_run, sizeof check_run, "seed %llu", (unsigned long long)seed);
    opts = (struct allot_movable_opts){.debug = number % 4 == 3,
                                       .lock = below(2),
                                       .align = below(2) ? 16 : 0,
                                       .near_slots = below(3)   ? 0
                                                     : below(2) ? 1
                                                                : UINT32_MAX,
                                       .waste = (unsigned)below(40),
                                       .limit = below(3) ? 0 : 3 << 20,
                                       .rebuild = rebuild};
    reserve = below(3) ? (size_t)256 << 20 : (size_t)8 << 20;
    count = pinned = told = 0;
    memset(index_of, 0, sizeof index_of);
    memset(dead, 0, sizeof dead);
    CHECK(allot_movable_init(&heap, reserve, &opts) == 0);
    allot_movable_on_move(&heap, moved, &heap);
    for (size_t n = 0; n < STEPS; n++) {
        snprintf(check_context, sizeof check_context, "run %zu, step %zu", number, n);
        step(n / 500 % 2 ? 30 : 75);
        if (n % 251 == 0)
            look_at_all();
        if (n % 1000 == 999)
            save_and_load();
        if (n % 700 == 699)
            settle();
    }
    for (size_t i = count; i-- > 0;) {
        while (objects[i].pins)
            unpin(i);
        if (below(8))
            put(i);
    }
    settle();
    look_at_all();
    allot_movable_done(&heap);
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    check_watch_aborts();
    for (size_t i = 0; i < 24 * test_scale(); i++) {
        seed = first + i;
        run(i);
    }
    free(image.bytes);
    return 0;
}
