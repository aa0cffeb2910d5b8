/* pool.c - pools (allot/pool.h): a model of each mode and size beside a naive list, memory that runs out at every request, forks,
 * and the heap that they share memory with. What is no proper use of them is pool_crimes.c's.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>

#include <allot/heap.h>

#include "common/random.h"
#include "unit/pool.h"

/* -- the model -- */

enum { MOST = 3000 };
struct model {
    struct allot_pool pool;
    size_t size, align, count;
    unsigned char *live[MOST];
    struct random random;
    size_t seen;
};

/* Of a long one, both ends. */
static size_t next_byte(const struct model *m, size_t i)
{
    enum { END = 200 };
    return i == END && m->size > 2 * END ? m->size - END : i + 1;
}

/* Each object holds its own address, over and over, so that no two can overlap. */
static void fill(const struct model *m, unsigned char *p)
{
    for (size_t i = 0; i < m->size; i = next_byte(m, i)) {
        p[i] = (unsigned char)((uintptr_t)p >> (i % 6 * 8)) ^ (unsigned char)i;
    }
}

static void expect_filled(const struct model *m, const unsigned char *p)
{
    for (size_t i = 0; i < m->size; i = next_byte(m, i)) {
        assert_int_equal(p[i], ((uintptr_t)p >> (i % 6 * 8) ^ i) & 255);
    }
}

static int see(void *object, void *arg)
{
    struct model *m = arg;
    expect_filled(m, object);
    m->seen++;
    return 0;
}

static void get_one(struct model *m)
{
    unsigned char *p = allot_pool_get(&m->pool);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % m->align, 0);
    fill(m, p);
    m->live[m->count++] = p;
}

static void put_one(struct model *m)
{
    size_t i = random_below(&m->random, m->count);
    unsigned char *p = m->live[i];
    expect_filled(m, p);
    m->live[i] = m->live[--m->count];
    if (random_below(&m->random, 2)) {
        allot_put(p);
    } else {
        allot_pool_put(&m->pool, p);
    }
}

static void look(struct model *m)
{
    struct allot_pool_stats stats;
    allot_pool_stats(&m->pool, &stats);
    assert_int_equal(stats.use.count, m->count);
    assert_int_equal(stats.use.used, m->count * m->size);
    assert_true(stats.use.held >= m->count * m->size && stats.use.peak >= stats.use.held);
    assert_int_equal(stats.slabs, stats.full + stats.partial + stats.empty);
    allot_pool_check(&m->pool);
    m->seen = 0;
    assert_int_equal(allot_pool_walk(&m->pool, see, m), 0);
    assert_int_equal(m->seen, m->count);
}

static void run_model(size_t size, size_t align, enum allot_pool_mode mode, size_t most, size_t steps)
{
    static struct model m;
    m = (struct model){.size = size, .align = align ? align : 16};
    m.random.state = size * 31 + mode;
    init(&m.pool, size, align, mode);
    size_t wanted = most / 2;
    for (size_t step = 0; step < steps; step++) {
        unsigned what = (unsigned)random_below(&m.random, 1000);
        if (what == 0) {
            wanted = random_below(&m.random, most);
        } else if (what == 1) {
            look(&m);
        } else if (what == 2) {
            allot_pool_trim(&m.pool);
            allot_pool_check(&m.pool);
        } else if (what == 3) {
            assert_int_equal(allot_pool_reserve(&m.pool, random_below(&m.random, most / 4 + 1)), 0);
        } else if (m.count < most && (m.count == 0 || (what % 4 != 0) == (m.count < wanted))) {
            get_one(&m);
        } else {
            put_one(&m);
        }
    }
    while (m.count) {
        put_one(&m);
    }
    look(&m);
    allot_pool_done(&m.pool);
}

static void model(void **state)
{
    (void)state;
    static const struct {
        size_t size, align, most;
    } of[] = {{1, 0, MOST},   {8, 0, MOST},       {16, 0, MOST},   {24, 64, MOST}, {64, 0, MOST},
              {100, 0, MOST}, {512, 4096, 300},   {2000, 0, 500},  {20000, 0, 40}, {32768, 0, 40},
              {32769, 0, 20}, {100000, 4096, 10}, {5, 1 << 16, 5}, {3 << 20, 0, 3}};
    EACH_MODE(mode)
    {
        for (size_t i = 0; i < sizeof of / sizeof of[0]; i++) {
            run_model(of[i].size, of[i].align, mode, of[i].most, of[i].most < 100 ? 3000 : 20000);
        }
    }
}

/* -- what is said of single calls -- */

static void options(void **state)
{
    (void)state;
    struct allot_pool pool;
    assert_int_equal(allot_pool_init(&pool, 10, &(struct allot_pool_opts){.align = 3}), -EINVAL);
    assert_int_equal(allot_pool_init(&pool, SIZE_MAX, NULL), -EINVAL);
    assert_int_equal(allot_pool_init(&pool, PTRDIFF_MAX, NULL), -EINVAL);
    assert_int_equal(allot_pool_init(&pool, 10, &(struct allot_pool_opts){.mode = 7}), -EINVAL);
    assert_int_equal(allot_pool_init(&pool, 0, NULL), 0);
    void *p = allot_pool_get(&pool), *q = allot_pool_get(&pool);
    assert_true(p && q && p != q);
    allot_put(p);
    allot_put(q);
    allot_put(NULL);
    allot_pool_put(&pool, NULL);
    allot_pool_done(&pool);
    assert_int_equal(allot_pool_init(&pool, (size_t)1 << 50, NULL), 0);
    errno = 0;
    assert_null(allot_pool_get(&pool));
    assert_int_equal(errno, ENOMEM);
    struct allot_pool_stats stats;
    allot_pool_stats(&pool, &stats);
    assert_int_equal(stats.use.refused, 1);
    allot_pool_done(&pool);
}

/* The last 64 that were put come first, the last one first; behind them, in order of address. */
static void order(void **state)
{
    (void)state;
    enum { COUNT = 200, FRONT = 64 };
    struct allot_pool pool;
    void *p[COUNT], *q[COUNT];
    init(&pool, 48, 0, ALLOT_POOL_PRIVATE);
    for (int i = 0; i < COUNT; i++) {
        p[i] = allot_pool_get(&pool);
        assert_true(i == 0 || (char *)p[i] == (char *)p[i - 1] + 48);
    }
    for (int i = 0; i < COUNT; i++) {
        allot_pool_put(&pool, p[i * 7 % COUNT]);
    }
    for (int i = 0; i < COUNT; i++) {
        q[i] = allot_pool_get(&pool);
        assert_true(i >= FRONT || q[i] == p[(COUNT - 1 - i) * 7 % COUNT]);
    }
    size_t falls = 0;
    for (int i = FRONT + 1; i < COUNT; i++) {
        falls += q[i] < q[i - 1];
    }
    assert_true(falls <= 1);
    for (int i = 0; i < COUNT; i++) {
        allot_pool_put(&pool, q[i]);
    }
    allot_pool_done(&pool);
}

static size_t held(struct allot_pool *pool)
{
    struct allot_pool_stats stats;
    allot_pool_stats(pool, &stats);
    return stats.use.held;
}

/* What is empty goes back by itself but for a slab; by trim, all of it, and pages within slabs. */
static void gives_back(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static char *p[COUNT];
    EACH_MODE(mode)
    {
        struct allot_pool pool;
        struct allot_stats before, now;
        allot_trim();
        allot_stats(&before);
        init(&pool, 1000, 0, mode);
        for (int i = 0; i < COUNT; i++) {
            p[i] = allot_pool_get(&pool);
            memset(p[i], 1, 1000);
        }
        allot_stats(&now);
        assert_true(now.held >= before.held + COUNT * 1000);
        assert_true(now.blocks <= before.blocks + 2);
        for (int i = 0; i < COUNT; i++) {
            if (i % 640 != 0) {
                allot_put(p[i]);
            }
        }
        assert_true(held(&pool) <= (COUNT / 640 + 3) * (size_t)65536);
        size_t resident = allot_resident();
        assert_true(allot_pool_trim(&pool) > 0);
        assert_true(allot_resident() < resident);
        size_t slabs = held(&pool) / 65536;
        assert_true(slabs <= COUNT / 640 + 1);
        for (int i = 0; i < COUNT; i += 640) {
            for (int b = 0; b < 1000; b++) {
                assert_int_equal(p[i][b], 1);
            }
            allot_put(p[i]);
        }
        allot_pool_trim(&pool);
        assert_int_equal(held(&pool), 0);
        allot_pool_done(&pool);
        allot_stats(&now);
        assert_true(now.held <= before.held + 65536 * 2);
    }
    allot_check();
}

/* After reserve the next so many gets make no request to the system, not even one that is refused. */
static void reserved(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static void *p[COUNT];
    EACH_MODE(mode)
    {
        for (size_t size = 40; size < 100000; size *= 30) {
            struct allot_pool pool;
            int count = size < 10000 ? COUNT : 20;
            init(&pool, size, 0, mode);
            void *out = allot_pool_get(&pool);
            assert_int_equal(allot_pool_reserve(&pool, count), 0);
            allot_fail_after(0);
            size_t given_back, mapped;
            struct allot_stats stats;
            allot_stats(&stats);
            given_back = stats.given_back, mapped = stats.mapped;
            bool all = true;
            for (int i = 0; i < count; i++) {
                p[i] = allot_pool_get(&pool);
                all &= p[i] != NULL;
            }
            allot_stats(&stats);
            allot_fail_after(-1);
            assert_true(all);
            assert_true(stats.given_back == given_back && stats.mapped == mapped);
            for (int i = 0; i < count; i++) {
                allot_put(p[i]);
            }
            size_t before = held(&pool);
            for (int i = 0; i < count; i++) { /* and it stays so */
                p[i] = allot_pool_get(&pool);
            }
            assert_int_equal(held(&pool), before);
            for (int i = 0; i < count; i++) {
                allot_put(p[i]);
            }
            allot_put(out);
            allot_pool_trim(&pool);
            assert_int_equal(held(&pool), 0);
            allot_pool_done(&pool);
        }
    }
}

/* -- memory that runs out -- */

/* Everything that a pool does, with its requests to the system refused after `n`; true when none was. Whatever fails leaves the pool
 * as it was. In a child, where no unit is free yet. */
struct exhaustion {
    enum allot_pool_mode mode;
    size_t size;
    long after;
};

static void *thread_gets(void *arg)
{
    void *p = allot_pool_get(arg);
    allot_put(p);
    return NULL;
}

/* Nothing is left of what has been asked for: whatever wants memory now makes a request. */
static void use_up(void)
{
    struct allot_pool pool;
    allot_fail_after(0);
    for (size_t size = 2 << 20; size >= 16; size /= 2) {
        while (allot_malloc(size)) {
        }
    }
    while (allot_pool_init(&pool, 100, NULL) == 0) {
    }
}

static void exhaust_child(void *arg)
{
    const struct exhaustion *e = arg;
    enum { COUNT = 300 };
    static void *p[COUNT];
    struct allot_pool pool;
    size_t failed = 0, count = 0;
    use_up();
    allot_fail_after(e->after);
    int made = allot_pool_init(&pool, e->size, &(struct allot_pool_opts){.mode = e->mode});
    if (made == 0) {
        for (int i = 0; i < COUNT; i++) {
            errno = 0;
            p[count] = allot_pool_get(&pool);
            if (!p[count]) {
                failed++;
                if (errno != ENOMEM) {
                    _exit(3);
                }
            } else {
                memset(p[count++], 1, e->size);
            }
            allot_pool_check(&pool);
        }
        int reserved = allot_pool_reserve(&pool, COUNT);
        if (reserved != 0 && reserved != -ENOMEM) {
            _exit(4);
        }
        failed += reserved != 0;
        allot_pool_check(&pool);
        thread_gets(&pool);
        while (count) {
            allot_pool_put(&pool, p[--count]);
        }
        allot_pool_trim(&pool);
        allot_pool_check(&pool);
        allot_pool_done(&pool);
    } else if (made != -ENOMEM) {
        _exit(5);
    }
    allot_fail_after(-1);
    _exit(failed || made ? 1 : 2);
}

static void exhaustion(void **state)
{
    (void)state;
    EACH_MODE(mode)
    {
        for (size_t size = 3000; size <= 90000; size *= 30) {
            for (long after = 0;; after++) {
                struct exhaustion e = {mode, size, after};
                struct child_end end = child_run(exhaust_child, &e);
                assert_true(WIFEXITED(end.status));
                assert_in_range(WEXITSTATUS(end.status), 1, 2);
                if (WEXITSTATUS(end.status) == 2) {
                    assert_true(after > 0);
                    break;
                }
            }
        }
    }
}

/* A limit refuses each unit in turn, whatever is kept: the nth get that wants one fails, and all goes on when it is lifted. */
static void limited(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    static void *p[COUNT];
    EACH_MODE(mode)
    {
        for (size_t size = 1000; size <= 40000; size *= 40) {
            for (int units = 0; units < 6; units++) {
                struct allot_pool pool;
                struct allot_stats stats;
                char text[32];
                init(&pool, size, 0, mode);
                allot_put(allot_pool_get(&pool)); /* a thread's share and its table are no units */
                allot_pool_trim(&pool);
                allot_stats(&stats);
                snprintf(text, sizeof text, "%zu", stats.held + units * (size_t)65536 + 100);
                assert_int_equal(allot_option("limit", text), 0);
                size_t count = 0;
                while (count < COUNT && (p[count] = allot_pool_get(&pool))) {
                    count++;
                }
                assert_true(count < COUNT && errno == ENOMEM);
                assert_int_equal(allot_pool_reserve(&pool, 100000), -ENOMEM);
                allot_pool_check(&pool);
                assert_int_equal(allot_option("limit", "none"), 0);
                void *more = allot_pool_get(&pool);
                assert_non_null(more);
                allot_put(more);
                while (count) {
                    allot_put(p[--count]);
                }
                allot_pool_done(&pool);
            }
        }
    }
}

/* -- the heap beside it -- */

static int count_block(void *p, size_t size, void *arg)
{
    (void)p;
    (void)size;
    ++*(size_t *)arg;
    return 0;
}

static void no_blocks(void **state)
{
    (void)state;
    struct allot_stats before, now;
    size_t blocks = 0, blocks_now = 0;
    struct allot_pool small, big, huge;
    void *p[3];
    init(&small, 100, 0, ALLOT_POOL_PRIVATE);
    init(&big, 100000, 0, ALLOT_POOL_PRIVATE);
    init(&huge, 5 << 20, 0, ALLOT_POOL_PRIVATE);
    allot_put(allot_pool_get(&big)); /* its tables are blocks */
    allot_put(allot_pool_get(&huge));
    allot_stats(&before);
    allot_walk(count_block, &blocks);
    p[0] = allot_pool_get(&small), p[1] = allot_pool_get(&big), p[2] = allot_pool_get(&huge);
    allot_stats(&now);
    allot_walk(count_block, &blocks_now);
    assert_int_equal(blocks, blocks_now);
    assert_int_equal(before.blocks, now.blocks);
    assert_int_equal(before.run_blocks, now.run_blocks);
    assert_int_equal(before.large_blocks, now.large_blocks);
    assert_true(now.live <= before.live);
    assert_true(now.held >= before.held + 65536);
    assert_true(getenv("ALLOT_OPTIONS") || allot_malloc_usable_size(p[0]) == 0); /* hardened: a crime */
    assert_true(allot_check());
    for (int i = 0; i < 3; i++) {
        allot_put(p[i]);
    }
    allot_pool_done(&small);
    allot_pool_done(&big);
    allot_pool_done(&huge);
    assert_true(allot_check());
}

/* -- forks and threads' ends -- */

static void in_child(void *arg)
{
    struct allot_pool *pool = arg;
    void *p[100];
    for (int i = 0; i < 100; i++) {
        p[i] = allot_pool_get(pool);
        memset(p[i], i, 200);
    }
    for (int i = 0; i < 100; i++) {
        allot_put(p[i]);
    }
    allot_pool_check(pool);
    allot_pool_trim(pool);
}

struct meeting {
    struct allot_pool *pool;
    void *object;
    pthread_barrier_t barrier;
};

static void *get_and_wait(void *arg)
{
    struct meeting *m = arg;
    m->object = allot_pool_get(m->pool);
    pthread_barrier_wait(&m->barrier);
    pthread_barrier_wait(&m->barrier);
    return NULL;
}

static void forks(void **state)
{
    (void)state;
    for (int m = ALLOT_POOL_LOCKED; m <= ALLOT_POOL_LOCAL; m++) {
        struct allot_pool pool;
        init(&pool, 200, 0, m);
        void *mine = allot_pool_get(&pool);
        struct meeting meeting = {.pool = &pool};
        pthread_barrier_init(&meeting.barrier, NULL, 2);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, get_and_wait, &meeting), 0);
        pthread_barrier_wait(&meeting.barrier);
        struct child_end end = child_run(in_child, &pool);
        assert_int_equal(end.status, 0);
        pthread_barrier_wait(&meeting.barrier);
        pthread_join(thread, NULL);
        allot_put(meeting.object);
        allot_put(mine);
        allot_pool_check(&pool);
        allot_pool_done(&pool);
        pthread_barrier_destroy(&meeting.barrier);
    }
}

struct batch {
    struct allot_pool *pool;
    int count;
    void *object[3000];
};

static void *get_many(void *arg)
{
    struct batch *b = arg;
    for (int i = 0; i < b->count; i++) {
        b->object[i] = allot_pool_get(b->pool);
        assert_non_null(b->object[i]);
        memset(b->object[i], 7, 20);
    }
    return NULL;
}

static void *put_many(void *arg)
{
    struct batch *b = arg;
    for (int i = 0; i < b->count; i++) {
        allot_put(b->object[i]);
    }
    return NULL;
}

static void in_thread(void *(*code)(void *), void *arg)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, code, arg), 0);
    pthread_join(thread, NULL);
}

/* What a thread leaves is gone on with: put by others, it goes back; got from, before anything fresh. */
static void adoption(void **state)
{
    (void)state;
    static struct batch a, b;
    struct allot_pool pool;
    init(&pool, 100, 0, ALLOT_POOL_LOCAL);
    allot_put(allot_pool_get(&pool)); /* has a share of its own, with a slab */
    allot_pool_trim(&pool);
    a = (struct batch){.pool = &pool, .count = 3000};
    in_thread(get_many, &a);
    size_t before = held(&pool);
    for (int i = 0; i < 3000; i += 2) {
        allot_put(a.object[i]);
    }
    b = (struct batch){.pool = &pool, .count = 1500};
    in_thread(get_many, &b); /* takes the share over */
    assert_int_equal(held(&pool), before);
    struct allot_pool_stats stats;
    allot_pool_stats(&pool, &stats);
    assert_int_equal(stats.shares, 2);
    in_thread(put_many, &b);
    size_t left = held(&pool);
    void *mine = allot_pool_get(&pool);
    assert_int_equal(held(&pool), left);
    allot_pool_stats(&pool, &stats);
    assert_int_equal(stats.shares, 2);
    allot_put(mine);
    for (int i = 1; i < 3000; i += 2) {
        allot_put(a.object[i]);
    }
    allot_pool_check(&pool);
    assert_true(held(&pool) <= 3 * (size_t)65536);
    allot_pool_trim(&pool);
    assert_int_equal(held(&pool), 0);
    allot_pool_done(&pool);
}

static pthread_key_t key;
static struct allot_pool *of_key;
static void *got_late;

static void late_destructor(void *value)
{
    static _Thread_local int round;
    if (++round < 4) {
        pthread_setspecific(key, value);
        return;
    }
    got_late = allot_pool_get(of_key);
    void *other_one = allot_pool_get(of_key);
    allot_put(other_one);
}

static void *ends_late(void *arg)
{
    allot_put(allot_pool_get(arg));
    pthread_setspecific(key, arg);
    return NULL;
}

/* A thread past its end is served as well, in the last round of destructors. */
static void past_the_end(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__ /* its own state of a thread is gone by then */
    skip();
#endif
    struct allot_pool pool;
    init(&pool, 100, 0, ALLOT_POOL_LOCAL);
    of_key = &pool;
    assert_int_equal(pthread_key_create(&key, late_destructor), 0);
    in_thread(ends_late, &pool);
    assert_non_null(got_late);
    allot_put(got_late);
    allot_pool_check(&pool);
    allot_pool_done(&pool);
    pthread_key_delete(key);
}

/* Records of pools that are done serve others, and nothing of the old ones is taken for theirs. */
static void again(void **state)
{
    (void)state;
    static struct batch b;
    for (int i = 0; i < 200; i++) {
        struct allot_pool pool[3];
        for (int j = 0; j < 3; j++) {
            init(&pool[j], 20 + 50 * j, 0, modes[(i + j) % 3]);
        }
        for (int j = 0; j < 3; j++) {
            b = (struct batch){.pool = &pool[j], .count = i};
            get_many(&b);
            in_thread(put_many, &b);
        }
        for (int j = 0; j < 3; j++) {
            allot_pool_check(&pool[j]);
            allot_pool_done(&pool[j]);
        }
    }
    struct allot_stats stats;
    allot_trim();
    allot_stats(&stats);
    assert_true(stats.held < 64 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model),        cmocka_unit_test(options),    cmocka_unit_test(order),
        cmocka_unit_test(gives_back),   cmocka_unit_test(reserved),   cmocka_unit_test(limited),
        cmocka_unit_test(no_blocks),    cmocka_unit_test(forks),      cmocka_unit_test(adoption),
        cmocka_unit_test(past_the_end), cmocka_unit_test(exhaustion), cmocka_unit_test(again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
