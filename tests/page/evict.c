/* page/evict.c - the contract of policies of replacement (allot/evict.h): beside naive ones that are lists of pages, frames that are busy
 * and that leave, several threads, memory out, crimes.
 */
#include "common/unit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include <allot/evict.h>
#include <allot/malloc.h>

#include "common/child.h"
#include "common/random.h"

/* -- naive policies: frames in an array, the next to go last -- */

enum { FRAMES = 24, PAGES = 90 };
#define NOWHERE SIZE_MAX

struct naive {
    enum allot_evict_policy policy;
    size_t count, hand; /* SIEVE's, how many from the end it is, or NOWHERE: at the end */
    struct {
        size_t frame;
        bool used;
    } at[FRAMES];
};

static void naive_insert(struct naive *n, size_t frame, bool last)
{
    size_t where = last ? n->count : 0;
    memmove(&n->at[where + 1], &n->at[where], (n->count - where) * sizeof n->at[0]);
    n->at[where].frame = frame;
    n->at[where].used = false;
    n->hand += last && n->hand != NOWHERE;
    n->count++;
}

static size_t naive_find(const struct naive *n, size_t frame)
{
    size_t i = 0;
    while (n->at[i].frame != frame) {
        i++;
    }
    return i;
}

static void naive_remove(struct naive *n, size_t i)
{
    size_t behind = n->count - 1 - i;
    n->count--;
    memmove(&n->at[i], &n->at[i + 1], behind * sizeof n->at[0]);
    n->hand -= n->hand != NOWHERE && behind < n->hand;
    n->hand = n->hand >= n->count ? NOWHERE : n->hand;
}

static void naive_hit(struct naive *n, size_t frame)
{
    size_t i = naive_find(n, frame);
    n->at[i].used = true;
    if (n->policy == ALLOT_LRU) {
        naive_remove(n, i);
        naive_insert(n, frame, false);
    }
}

static size_t naive_victim(struct naive *n, const bool *busy)
{
    for (size_t looks = 0; looks < 4 * FRAMES; looks++) {
        n->hand = n->policy == ALLOT_SIEVE && n->hand == NOWHERE ? 0 : n->hand;
        size_t i = n->count - 1 - (n->policy == ALLOT_SIEVE ? n->hand : n->policy == ALLOT_CLOCK ? 0 : looks);
        size_t frame = n->at[i].frame;
        bool passes = n->policy == ALLOT_SIEVE || n->policy == ALLOT_CLOCK;
        if (!busy[frame] && !(passes && n->at[i].used)) {
            naive_remove(n, i);
            return frame;
        }
        bool used = n->at[i].used && busy[frame];
        if (n->policy == ALLOT_CLOCK) {
            naive_remove(n, i);
            naive_insert(n, frame, false);
            n->at[0].used = used;
        } else if (n->policy == ALLOT_SIEVE) {
            n->at[i].used = used;
            n->hand = n->hand + 1 == n->count ? 0 : n->hand + 1;
        } else if (looks + 1 == n->count) {
            break;
        }
    }
    return SIZE_MAX;
}

struct world {
    struct allot_evict e;
    struct naive naive;
    bool compared;
    bool busy[FRAMES], there[FRAMES];
    size_t page[FRAMES], frame[PAGES]; /* frame: FRAMES: not there */
    uint64_t ghost[PAGES];
    size_t present;
};

static bool is_busy(size_t frame, void *arg) { return ((bool *)arg)[frame]; }

static size_t free_frame(const struct world *w)
{
    size_t i = 0;
    while (w->there[i]) {
        i++;
    }
    return i;
}

static void leave(struct world *w, size_t frame)
{
    w->there[frame] = false;
    w->frame[w->page[frame]] = FRAMES;
    w->present--;
}

static void reference(struct world *w, size_t page, unsigned how)
{
    size_t frame = w->frame[page];
    if (frame < FRAMES) {
        allot_evict_hit(&w->e, frame);
        if (w->compared) {
            naive_hit(&w->naive, frame);
        }
        return;
    }
    if (w->present < FRAMES) {
        frame = free_frame(w);
    } else {
        uint64_t ghost = ~(uint64_t)0;
        frame = allot_evict_victim(&w->e, w->ghost[page], &ghost, is_busy, w->busy);
        if (w->compared) {
            assert_int_equal(frame, naive_victim(&w->naive, w->busy));
        }
        if (frame == SIZE_MAX) {
            for (size_t i = 0; i < FRAMES; i++) {
                assert_true(w->busy[i]);
            }
            assert_true(ghost == ~(uint64_t)0);
            return;
        }
        assert_true(frame < FRAMES && w->there[frame] && !w->busy[frame]);
        assert_true(ghost >> 61 == 0);
        w->ghost[w->page[frame]] = ghost;
        leave(w, frame);
    }
    allot_evict_enter(&w->e, frame, w->ghost[page], how);
    if (w->compared) {
        naive_insert(&w->naive, frame, how & ALLOT_EVICT_COLD);
    }
    w->there[frame] = true;
    w->page[frame] = page;
    w->frame[page] = frame;
    w->present++;
}

/* Frames leave only where the naive one knows the order: Clock's is by number. */
static void try(enum allot_evict_policy policy, bool with_busy, bool with_leave, uint64_t seed)
{
    struct world w = {.naive = {.policy = policy, .hand = NOWHERE},
                      .compared = policy != ALLOT_S3FIFO && policy != ALLOT_ARC && policy != ALLOT_GRADUAL &&
                                  !(policy == ALLOT_CLOCK && with_leave)};
    struct random r = {seed};
    assert_int_equal(allot_evict_init(&w.e, policy, FRAMES, NULL), 0);
    for (size_t i = 0; i < PAGES; i++) {
        w.frame[i] = FRAMES;
    }
    for (size_t step = 0; step < 20000; step++) {
        uint64_t what = random_below(&r, 100);
        size_t frame = random_below(&r, FRAMES);
        if (with_busy && what < 10) {
            w.busy[frame] = step % 5000 < 50 || !w.busy[frame];
        } else if (with_leave && what < 13 && w.there[frame]) {
            allot_evict_leave(&w.e, frame);
            if (w.compared) {
                naive_remove(&w.naive, naive_find(&w.naive, frame));
            }
            w.ghost[w.page[frame]] = 0;
            leave(&w, frame);
        } else {
            size_t page = random_below(&r, 1 + random_below(&r, PAGES));
            reference(&w, page, with_leave && policy != ALLOT_CLOCK && what > 90 ? ALLOT_EVICT_COLD : 0);
        }
        if (step % 64 == 0) {
            allot_evict_check(&w.e);
        }
    }
    struct allot_evict_stats stats;
    allot_evict_stats(&w.e, &stats);
    assert_int_equal(stats.present, w.present);
    assert_int_equal(stats.entered - stats.gone, w.present);
    allot_evict_done(&w.e);
}

static void model(void **state)
{
    (void)state;
    for (unsigned policy = 0; policy < ALLOT_EVICT_POLICIES; policy++) {
        for (uint64_t seed = 1; seed <= 8; seed++) {
            try(policy, false, false, seed);
            try(policy, true, false, seed);
            try(policy, true, true, seed);
        }
    }
}

/* What is read in passing goes first, what is used stays. */
static void cold(void **state)
{
    (void)state;
    for (unsigned policy = 0; policy < ALLOT_EVICT_POLICIES; policy++) {
        if (policy == ALLOT_CLOCK) {
            continue;
        }
        struct allot_evict e;
        assert_int_equal(allot_evict_init(&e, policy, 40, NULL), 0);
        for (size_t i = 0; i < 40; i++) {
            allot_evict_enter(&e, i, 0, i == 29 ? ALLOT_EVICT_COLD : 0);
        }
        uint64_t ghost;
        assert_int_equal(allot_evict_victim(&e, 0, &ghost, NULL, NULL), 29);
        allot_evict_done(&e);
    }
}

static void names(void **state)
{
    (void)state;
    for (unsigned policy = 0; policy < ALLOT_EVICT_POLICIES; policy++) {
        assert_int_equal(allot_evict_named(allot_evict_name(policy)), policy);
    }
    assert_null(allot_evict_name(ALLOT_EVICT_POLICIES));
    assert_int_equal(allot_evict_named("LRU"), ALLOT_EVICT_POLICIES);
}

static void refusals(void **state)
{
    (void)state;
    struct allot_evict e;
    assert_int_equal(allot_evict_init(&e, ALLOT_EVICT_POLICIES, 10, NULL), -EINVAL);
    assert_int_equal(allot_evict_init(&e, ALLOT_LRU, 0, NULL), -EINVAL);
    assert_int_equal(allot_evict_init(&e, ALLOT_LRU, ALLOT_EVICT_MAX + 1, NULL), -EINVAL);
    assert_int_equal(allot_evict_init(&e, ALLOT_GRADUAL, 10, &(struct allot_evict_opts){.levels = 9}), -EINVAL);
    assert_int_equal(allot_evict_init(&e, ALLOT_GRADUAL, 10, &(struct allot_evict_opts){.levels = 1}), -EINVAL);
    assert_int_equal(allot_evict_init(&e, ALLOT_LRU, 10, &(struct allot_evict_opts){.levels = 3}), -EINVAL);
    assert_int_equal(allot_evict_init(&e, ALLOT_GRADUAL, 10, &(struct allot_evict_opts){.pace = {0, 1}}), -EINVAL);
    assert_int_equal(allot_evict_init(&e, ALLOT_GRADUAL, 10, &(struct allot_evict_opts){.pace = {0, 0, 65537}}), -EINVAL);
    /* A count of frames that no memory is large enough for is refused, and errno left alone. */
    allot_fail_after(0);
    errno = 7;
    assert_int_equal(allot_evict_init(&e, ALLOT_ARC, ALLOT_EVICT_MAX, NULL), -ENOMEM);
    assert_int_equal(errno, 7);
    allot_fail_after(-1);
    assert_int_equal(allot_evict_init(&e, ALLOT_ARC, 1000, NULL), 0);
    allot_evict_done(&e);
}

/* Words that were never ghosts, or long ago, do no harm. */
static void strange_ghosts(void **state)
{
    (void)state;
    for (unsigned policy = 0; policy < ALLOT_EVICT_POLICIES; policy++) {
        struct random r = {policy + 5};
        struct allot_evict e;
        assert_int_equal(allot_evict_init(&e, policy, FRAMES, NULL), 0);
        for (size_t i = 0; i < 5000; i++) {
            uint64_t ghost, coming = random_next(&r) >> (3 + random_below(&r, 61));
            size_t frame = i < FRAMES ? i : allot_evict_victim(&e, coming, &ghost, NULL, NULL);
            allot_evict_enter(&e, frame, coming, 0);
            allot_evict_hit(&e, random_below(&r, i < FRAMES ? i + 1 : FRAMES));
            allot_evict_check(&e);
        }
        allot_evict_done(&e);
    }
}

/* -- several threads use pages while others let them go -- */

static struct allot_evict shared;
static atomic_bool over;

static void *uses(void *arg)
{
    struct random r = {(uintptr_t)arg};
    while (!atomic_load(&over)) {
        allot_evict_hit(&shared, random_below(&r, FRAMES));
    }
    return NULL;
}

static void *lets_go(void *arg)
{
    (void)arg;
    uint64_t page[PAGES] = {0};
    for (size_t i = 0; i < 50000; i++) {
        uint64_t ghost;
        size_t frame = allot_evict_victim(&shared, page[i % PAGES], &ghost, NULL, NULL);
        if (frame != SIZE_MAX) {
            allot_evict_enter(&shared, frame, page[i % PAGES], 0);
            page[(i + 7) % PAGES] = ghost;
        }
    }
    return NULL;
}

static void threads(void **state)
{
    (void)state;
    for (unsigned policy = 0; policy < ALLOT_EVICT_POLICIES; policy++) {
        assert_int_equal(allot_evict_init(&shared, policy, FRAMES, NULL), 0);
        for (size_t i = 0; i < FRAMES; i++) {
            allot_evict_enter(&shared, i, 0, 0);
        }
        atomic_store(&over, false);
        pthread_t user[2], other[2];
        for (uintptr_t i = 0; i < 2; i++) {
            assert_int_equal(pthread_create(&user[i], NULL, uses, (void *)(i + 1)), 0);
            assert_int_equal(pthread_create(&other[i], NULL, lets_go, NULL), 0);
        }
        for (size_t i = 0; i < 2; i++) {
            pthread_join(other[i], NULL);
        }
        atomic_store(&over, true);
        for (size_t i = 0; i < 2; i++) {
            pthread_join(user[i], NULL);
        }
        allot_evict_check(&shared);
        struct allot_evict_stats stats;
        allot_evict_stats(&shared, &stats);
        assert_int_equal(stats.present, FRAMES);
        allot_evict_done(&shared);
    }
}

/* -- crimes -- */

static void enters_twice(void *arg)
{
    allot_evict_enter(arg, 3, 0, 0);
    allot_evict_enter(arg, 3, 0, 0);
}
static void enters_beyond(void *arg) { allot_evict_enter(arg, FRAMES, 0, 0); }
static void leaves_free(void *arg) { allot_evict_leave(arg, 3); }
static void uses_done(void *arg)
{
    allot_evict_done(arg);
    allot_evict_leave(arg, 3);
}

static void crimes(void **state)
{
    (void)state;
    static const struct {
        void (*crime)(void *arg);
        const char *line;
    } known[] = {
        {enters_twice, "allot: page entered in a frame that is taken, or is none: frame at 0x3\n"},
        {enters_beyond, "allot: page entered in a frame that is taken, or is none: frame at 0x18\n"},
        {leaves_free, "allot: page leaves a frame that is free, or is none: frame at 0x3\n"},
        {uses_done, "allot: use of a policy that was not initialised, or is done: evict at 0x"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct allot_evict e;
        assert_int_equal(allot_evict_init(&e, ALLOT_GRADUAL, FRAMES, NULL), 0);
        struct child_end end = child_run(known[i].crime, &e);
        assert_true(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT);
        assert_non_null(strstr(end.text, known[i].line));
        allot_evict_done(&e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model),    cmocka_unit_test(cold),           cmocka_unit_test(names),
        cmocka_unit_test(refusals), cmocka_unit_test(strange_ghosts), cmocka_unit_test(threads),
        cmocka_unit_test(crimes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
