/* model/arena.c - any order of allocating, extending, marking, going back, deferring and resetting, beside a naive model: a list of
 * objects with their bytes, a stack of marks, a list of cleanups. Where memory comes from fails now and then.
 *
 * Usage: test-model.arena [SEED]; TEST_SCALE times as many runs.
 */
#include "common/check.h"

#include <stdbool.h>

#include <allot/arena.h>

#include "common/pattern.h"
#include "common/upstream.h"

enum { MOST = 3000, MARKS = 40, STEPS = 3000 };

static uint64_t seed;
static struct upstream upstream;

static struct object {
    unsigned char *p;
    size_t size;
    bool may_be_own; /* in a block of its own, if it did not fit the other */
} objects[MOST];
static size_t count;

/* What was there at each mark, and the cleanups that are to run, by number. */
static struct moment {
    struct allot_arena_mark mark;
    size_t objects, cleanups, used;
} marks[MARKS];
static size_t marks_count;
static size_t cleanups, expected; /* that have not run; the number of the next one to run and 1 */
static bool last_is_old;          /* a mark was made since the object before `at`, or the arena went back to one */

static size_t below(size_t bound) { return random_below(&seed, bound); }

static void clean(void *arg)
{
    CHECK((size_t)(uintptr_t)arg == expected);
    expected--;
    /* Nothing is gone yet. */
    for (size_t i = count > 5 ? count - 5 : 0; i < count; i++)
        CHECK(pattern_holds(objects[i].p, objects[i].size, (uintptr_t)objects[i].p, true));
}

static size_t some_size(const struct allot_arena *a)
{
    switch (below(8)) {
    case 0:
        return below(3);
    case 1:
        return below(a->max);
    case 2:
        return a->max / 4 - 32 + below(64);
    default:
        return below(300);
    }
}

static size_t rounded(size_t size) { return size ? (size + 15) / 16 * 16 : 16; }

static void keep(const struct allot_arena *a, void *p, size_t size, size_t align)
{
    if (!p) {
        CHECK(errno == ENOMEM);
        return;
    }
    CHECK((uintptr_t)p % align == 0);
    pattern_fill(p, size, (uintptr_t)p);
    objects[count++] = (struct object){p, size, rounded(size) + (align > 16 ? align - 16 : 0) > a->max / 4};
    if ((char *)p + rounded(size) == a->at)
        last_is_old = false;
}

static void extend(struct allot_arena *a, size_t i)
{
    struct object *o = &objects[i];
    size_t old = o->size, now = below(4) ? below(600) : below(2 * a->max);
    bool bumped = o->p + rounded(old) == (unsigned char *)a->at && !last_is_old;
    char *at = a->at, *end = a->end;
    bool done = allot_arena_extend(a, o->p, old, now);
    if (!a->watched) {
        bool fits = rounded(now) <= rounded(old) || (bumped && rounded(now) <= (size_t)(end - (char *)o->p));
        CHECK(done || !fits);
        CHECK(!done || fits || o->may_be_own);
        CHECK(a->at == at || (bumped && a->at == (char *)o->p + rounded(now)));
    }
    if (done) {
        CHECK(pattern_holds(o->p, old < now ? old : now, (uintptr_t)o->p, now < old ? false : true));
        o->size = now;
        pattern_fill(o->p, now, (uintptr_t)o->p);
    }
}

static size_t used(const struct allot_arena *a)
{
    struct allot_arena_stats s;
    allot_arena_stats(a, &s);
    CHECK(s.use.held == upstream.bytes && s.deferred == cleanups);
    return s.use.used;
}

static void back_to(struct allot_arena *a, size_t m)
{
    expected = cleanups;
    allot_arena_rewind(a, marks[m].mark);
    CHECK(expected == marks[m].cleanups);
    cleanups = marks[m].cleanups;
    count = marks[m].objects;
    marks_count = m + 1;
    last_is_old = true;
    CHECK(a->at == marks[m].mark.at);
    CHECK(used(a) == marks[m].used);
}

static void reset(struct allot_arena *a)
{
    size_t keep_bytes = below(3) ? SIZE_MAX : below(4 * a->max);
    expected = cleanups;
    allot_arena_reset(a, keep_bytes);
    CHECK(expected == 0);
    cleanups = count = marks_count = 0;
    CHECK(used(a) == 0 && upstream.bytes <= keep_bytes);
}

static void step(struct allot_arena *a)
{
    upstream.fail_after = below(10) ? -1 : (long)below(2);
    switch (below(16)) {
    case 0:
        if (marks_count < MARKS) {
            marks[marks_count++] = (struct moment){allot_arena_mark(a), count, cleanups, used(a)};
            last_is_old = true;
        }
        break;
    case 1:
        if (marks_count > 0)
            back_to(a, marks_count - 1 - below(marks_count < 3 ? marks_count : 3));
        break;
    case 2: {
        int failed = allot_arena_defer(a, clean, (void *)(uintptr_t)(cleanups + 1));
        CHECK(failed == 0 || failed == -ENOMEM);
        if (!failed) {
            cleanups++;
            last_is_old = true; /* the cleanup lies behind it */
        }
        break;
    }
    case 3:
    case 4:
    case 5:
        if (count > 0)
            extend(a, below(3) ? count - 1 : below(count));
        break;
    case 6: {
        size_t size = some_size(a), align = (size_t)1 << below(14);
        keep(a, allot_arena_aligned(a, size, align), size, align);
        break;
    }
    case 7:
        if (below(40) == 0)
            reset(a);
        break;
    default: {
        size_t size = some_size(a);
        keep(a, allot_arena_alloc(a, size), size, 16);
    }
    }
    if (count == MOST)
        reset(a);
    allot_arena_check(a);
}

/* No two meet: each has a pattern of its own, and all hold. */
static void verify_all(void)
{
    for (size_t i = 0; i < count; i++)
        CHECK(pattern_holds(objects[i].p, objects[i].size, (uintptr_t)objects[i].p, true));
}

static void run(void)
{
    size_t first = 256 + below(2000), limit = below(3) ? 0 : 20000 + below(1000000);
    upstream = (struct upstream){.fail_after = -1, .can_resize = below(2), .room = below(2) * 100000};
    struct allot_arena a;
    CHECK(allot_arena_init(&a, &(struct allot_arena_opts){.first = first,
                                                          .max = first + below(60000),
                                                          .limit = limit,
                                                          .from = upstream_allocator(&upstream)}) == 0);
    count = marks_count = cleanups = 0;
    for (unsigned i = 0; i < STEPS; i++) {
        snprintf(check_context, sizeof check_context, "step %u", i);
        step(&a);
        CHECK(!limit || upstream.bytes <= limit);
        if (i % 64 == 0)
            verify_all();
    }
    expected = cleanups;
    allot_arena_done(&a);
    CHECK(expected == 0 && upstream.live == 0 && upstream.bytes == 0);
}

int main(int argc, char **argv)
{
    check_watch_aborts();
    uint64_t from = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    unsigned runs = argc > 1 ? 1 : 60 * test_scale();
    for (unsigned i = 0; i < runs; i++) {
        seed = from + i;
        snprintf(check_run, sizeof check_run, "seed %llu", (unsigned long long)seed);
        run();
    }
    printf("%u runs of %d steps\n", runs, STEPS);
    return 0;
}
