/* cache.c - caches (allot/cache.h): a model beside a naive list, constructors that fail, memory that runs out, the lists. */
#include "common/unit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include <allot/cache.h>
#include <allot/malloc.h>

#include "common/child.h"
#include "common/random.h"

/* An object knows where it is and who it is. */
struct object {
    struct object *self;
    uint64_t number, life; /* life: how often it has been got */
    char rest[];
};

struct factory {
    uint64_t made, wrecked;
    long fails_after; /* so many more are well; negative: all */
    size_t size;
};

static int make(void *p, void *arg)
{
    struct factory *f = arg;
    struct object *o = p;
    if (f->fails_after == 0) {
        return -EAGAIN;
    }
    f->fails_after -= f->fails_after > 0;
    memset(o, 0x5a, f->size);
    o->self = o;
    o->number = ++f->made;
    o->life = 0;
    return 0;
}

static void wreck(void *p, void *arg)
{
    struct factory *f = arg;
    struct object *o = p;
    assert_ptr_equal(o->self, o);
    o->self = NULL;
    f->wrecked++;
}

static void init(struct allot_cache *cache, struct factory *f, size_t size, size_t align, unsigned flags)
{
    *f = (struct factory){.fails_after = -1, .size = size};
    struct allot_cache_opts opts = {
        .name = "tried", .align = align, .ctor = make, .dtor = wreck, .arg = f, .flags = flags};
    assert_int_equal(allot_cache_init(cache, size, &opts), 0);
}

static struct allot_cache_stats stats_of(struct allot_cache *cache)
{
    struct allot_cache_stats stats;
    allot_cache_stats(cache, &stats);
    return stats;
}

/* -- the model -- */

enum { MOST = 2000, FRONT = 64 };
static struct model {
    struct allot_cache cache;
    struct factory factory;
    size_t size, count, seen;
    unsigned flags;
    struct object *live[MOST];
    struct random random;
    struct object *front[FRONT]; /* put and not got since, the last one last */
    size_t fronts;
} m;

static int see(void *object, void *arg)
{
    struct object *o = object;
    assert_ptr_equal(o->self, o);
    ++*(size_t *)arg;
    return 0;
}

static void look(void)
{
    struct allot_cache_stats stats = stats_of(&m.cache);
    assert_int_equal(stats.use.count, m.count);
    assert_int_equal(stats.constructed, m.factory.made);
    assert_int_equal(stats.destructed, m.factory.wrecked);
    assert_int_equal(stats.slabs, stats.full + stats.partial + stats.empty);
    assert_int_equal(stats.slabs + stats.gone, stats.per_slab ? stats.made : stats.slabs + stats.gone);
    allot_cache_check(&m.cache);
    m.seen = 0;
    allot_cache_walk(&m.cache, see, &m.seen);
    assert_int_equal(m.seen, m.count);
}

static void get_one(void)
{
    struct object *o = allot_cache_get(&m.cache);
    if (!o) {
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(m.factory.fails_after, 0);
        m.factory.fails_after = -1;
        return;
    }
    if (m.fronts && !(m.flags & ALLOT_CACHE_LOWEST)) {
        assert_ptr_equal(o, m.front[--m.fronts]);
    }
    assert_ptr_equal(o->self, o);
    size_t rest = m.size - sizeof *o;
    assert_true(rest == 0 || (o->rest[0] == 0x5a && memcmp(o->rest, o->rest + 1, rest - 1) == 0));
    o->life++;
    m.live[m.count++] = o;
}

static void put_one(void)
{
    size_t i = random_below(&m.random, m.count);
    struct object *o = m.live[i];
    m.live[i] = m.live[--m.count];
    if (m.fronts == FRONT) {
        memmove(m.front, m.front + 1, (FRONT - 1) * sizeof m.front[0]);
        m.fronts--;
    }
    m.front[m.fronts++] = o;
    if (i % 2) {
        allot_put(o);
    } else {
        allot_cache_put(&m.cache, o);
    }
}

static void run_model(size_t size, size_t align, unsigned flags, size_t most)
{
    m = (struct model){.size = size, .flags = flags, .random = {size + flags}};
    init(&m.cache, &m.factory, size, align, flags);
    for (size_t step = 0, wanted = most / 2; step < 20000; step++) {
        unsigned what = (unsigned)random_below(&m.random, 1000);
        if (what == 0) {
            wanted = random_below(&m.random, most);
        } else if (what == 1) {
            look();
        } else if (what == 2) {
            allot_cache_trim(&m.cache);
            m.fronts = 0;
        } else if (what == 3 && m.factory.fails_after < 0) {
            size_t more = random_below(&m.random, most / 8 + 1);
            assert_int_equal(allot_cache_reserve(&m.cache, more), 0);
            m.fronts = flags & ALLOT_CACHE_LOWEST ? 0 : m.fronts;
        } else if (what == 4) {
            m.factory.fails_after = (long)random_below(&m.random, 10);
        } else if (m.count < most && (m.count == 0 || (what % 4 != 0) == (m.count < wanted))) {
            get_one();
        } else if (m.count) {
            put_one();
        }
    }
    while (m.count) {
        put_one();
    }
    look();
    allot_cache_done(&m.cache);
    assert_int_equal(m.factory.made, m.factory.wrecked);
}

static void model(void **state)
{
    (void)state;
    static const unsigned flags[] = {0, ALLOT_CACHE_LOCKED, ALLOT_CACHE_LOWEST, ALLOT_CACHE_COLOUR,
                                     ALLOT_CACHE_TYPE_STABLE | ALLOT_CACHE_LOCKED};
    static const struct {
        size_t size, align, most;
    } of[] = {{24, 0, MOST}, {200, 64, MOST}, {2048, 0, 500}, {3000, 1024, 300}, {30000, 0, 30}, {50000, 0, 20}};
    for (size_t f = 0; f < sizeof flags / sizeof flags[0]; f++) {
        for (size_t i = 0; i < sizeof of / sizeof of[0]; i++) {
            run_model(of[i].size, of[i].align, flags[f], of[i].most);
        }
    }
}

/* -- the lists -- */

static void lists(void **state)
{
    (void)state;
    struct allot_cache cache;
    struct factory f;
    init(&cache, &f, 4096, 0, 0);
    enum { SLABS = 3, PER = 16 };
    struct object *p[SLABS * PER];
    for (int i = 0; i < SLABS * PER; i++) {
        p[i] = allot_cache_get(&cache);
    }
    struct allot_cache_stats s = stats_of(&cache);
    assert_true(s.per_slab == PER && s.made == SLABS && s.full == SLABS && s.to_empty == 0);
    allot_cache_put(&cache, p[0]); /* a full slab is a partial one */
    s = stats_of(&cache);
    assert_true(s.full == SLABS - 1 && s.partial == 1 && s.to_partial == 1);
    for (int i = 1; i < PER; i++) {
        allot_cache_put(&cache, p[i]);
    }
    s = stats_of(&cache);
    assert_true(s.full == SLABS - 1 && s.empty == 1 && s.to_empty == 1 && s.gone == 0);
    assert_int_equal(allot_cache_trim(&cache), 65536);
    s = stats_of(&cache);
    assert_true(s.gone == 1 && s.slabs == SLABS - 1 && s.destructed == PER);
    /* A slab that is nearly empty drains: while a fuller one has room, nothing is got from it. */
    for (int i = PER; i < 2 * PER - 2; i++) {
        allot_cache_put(&cache, p[i]);
    }
    allot_cache_put(&cache, p[2 * PER]);
    allot_cache_put(&cache, p[2 * PER + 1]);
    allot_cache_trim(&cache); /* and no hints */
    void *q[3];
    for (int i = 0; i < 2; i++) {
        q[i] = allot_cache_get(&cache);
        assert_true((uintptr_t)q[i] / 65536 == (uintptr_t)p[2 * PER] / 65536);
    }
    q[2] = allot_cache_get(&cache);
    assert_true((uintptr_t)q[2] / 65536 == (uintptr_t)p[PER] / 65536);
    for (int i = 0; i < 3; i++) {
        allot_cache_put(&cache, q[i]);
    }
    allot_cache_put(&cache, p[2 * PER - 2]);
    allot_cache_put(&cache, p[2 * PER - 1]);
    for (int i = 2 * PER + 2; i < 3 * PER; i++) {
        allot_cache_put(&cache, p[i]);
    }
    allot_cache_done(&cache);
    assert_int_equal(f.made, f.wrecked);
}

/* The lowest free address is next, of all slabs. */
static void lowest(void **state)
{
    (void)state;
    enum { COUNT = 400 };
    static void *p[COUNT];
    static bool out[COUNT];
    struct allot_cache cache;
    struct factory f;
    struct random random = {5};
    init(&cache, &f, 1000, 0, ALLOT_CACHE_LOWEST);
    for (int i = 0; i < COUNT; i++) {
        p[i] = allot_cache_get(&cache);
        out[i] = true;
    }
    for (int i = 0; i < COUNT; i++) { /* sorted */
        for (int j = i; j > 0 && p[j] < p[j - 1]; j--) {
            void *other = p[j];
            p[j] = p[j - 1];
            p[j - 1] = other;
        }
    }
    for (int step = 0; step < 20000; step++) {
        int i = (int)random_below(&random, COUNT);
        if (out[i]) {
            allot_cache_put(&cache, p[i]);
            out[i] = false;
        } else {
            int first = 0;
            while (out[first]) {
                first++;
            }
            assert_ptr_equal(allot_cache_get(&cache), p[first]);
            out[first] = true;
        }
    }
    allot_cache_check(&cache);
    for (int i = 0; i < COUNT; i++) {
        if (out[i]) {
            allot_cache_put(&cache, p[i]);
        }
    }
    allot_cache_done(&cache);
}

/* Slot 0 of slabs begins at places 64 bytes apart. */
static void colours(void **state)
{
    (void)state;
    for (int asked = 0; asked < 2; asked++) {
        struct allot_cache cache;
        struct factory f;
        unsigned flags = asked ? ALLOT_CACHE_COLOUR : 0;
        init(&cache, &f, asked ? 2048 : 2000, 0, flags);
        struct allot_cache_stats s = stats_of(&cache);
        assert_true(s.colours > 8);
        uint64_t seen = 0;
        enum { COUNT = 300 };
        static void *p[COUNT];
        for (int i = 0; i < COUNT; i++) {
            p[i] = allot_cache_get(&cache);
            uintptr_t at = (uintptr_t)p[i] % 65536;
            if (i % s.per_slab == 0) {
                seen |= (uint64_t)1 << at / 64;
            }
        }
        s = stats_of(&cache);
        assert_int_equal(__builtin_popcountll(seen), s.slabs < s.colours ? s.slabs : s.colours);
        allot_cache_check(&cache);
        for (int i = 0; i < COUNT; i++) {
            allot_cache_put(&cache, p[i]);
        }
        allot_cache_done(&cache);
        assert_int_equal(f.made, f.wrecked);
    }
    struct allot_cache cache;
    struct factory f;
    init(&cache, &f, 2048, 0, 0); /* no room, and none made */
    assert_true(stats_of(&cache).colours == 1 && stats_of(&cache).per_slab == 32);
    allot_cache_done(&cache);
}

static void reserved(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    static void *p[COUNT];
    for (size_t size = 100; size < 60000; size *= 20) {
        struct allot_cache cache;
        struct factory f;
        init(&cache, &f, size, 0, 0);
        int count = size < 10000 ? COUNT : 10;
        void *out = allot_cache_get(&cache);
        assert_int_equal(allot_cache_reserve(&cache, count), 0);
        uint64_t made = f.made;
        assert_true(made >= (uint64_t)count + 1 && made <= (uint64_t)count + 1 + 32);
        f.fails_after = 0;
        allot_fail_after(0);
        for (int i = 0; i < count; i++) {
            p[i] = allot_cache_get(&cache);
        }
        allot_fail_after(-1);
        for (int i = 0; i < count; i++) {
            assert_non_null(p[i]);
            allot_cache_put(&cache, p[i]);
        }
        assert_int_equal(f.made, made);
        allot_cache_trim(&cache);
        f.fails_after = 3;
        assert_int_equal(allot_cache_reserve(&cache, 2 * count), -EAGAIN);
        allot_cache_check(&cache);
        allot_cache_put(&cache, out);
        allot_cache_done(&cache);
        assert_int_equal(f.made, f.wrecked);
    }
}

static void type_stable(void **state)
{
    (void)state;
    struct allot_cache cache;
    struct factory f;
    init(&cache, &f, 500, 0, ALLOT_CACHE_TYPE_STABLE);
    enum { COUNT = 1000 };
    static struct object *p[COUNT];
    for (int i = 0; i < COUNT; i++) {
        p[i] = allot_cache_get(&cache);
    }
    for (int i = 0; i < COUNT; i++) {
        allot_cache_put(&cache, p[i]);
    }
    assert_int_equal(allot_cache_trim(&cache), 0);
    for (int i = 0; i < COUNT; i++) {
        assert_ptr_equal(p[i]->self, p[i]);
    }
    assert_int_equal(f.wrecked, 0);
    allot_cache_done(&cache);
    assert_int_equal(f.wrecked, f.made);
}

/* After nine of ten have been put at random, what is left resident is what slabs with an object take, and little more. */
static size_t resident_kib(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    size_t kib = 0;
    while (fgets(line, sizeof line, file)) {
        sscanf(line, "VmRSS: %zu", &kib);
    }
    fclose(file);
    return kib;
}

static void shrinks(void **state)
{
    (void)state;
    enum { COUNT = 40000 };
    static void *p[COUNT];
    struct allot_cache cache;
    struct factory f;
    struct random random = {9};
    init(&cache, &f, 16000, 0, 0);
    size_t before = resident_kib();
    for (int i = 0; i < COUNT / 10; i++) {
        p[i] = allot_cache_get(&cache);
    }
    size_t peak = resident_kib();
    for (int i = COUNT / 10 - 1; i > 0; i--) {
        int j = (int)random_below(&random, (uint64_t)i + 1);
        void *other = p[i];
        p[i] = p[j];
        p[j] = other;
    }
    for (int i = COUNT / 100; i < COUNT / 10; i++) {
        allot_cache_put(&cache, p[i]);
    }
    allot_cache_trim(&cache);
    struct allot_cache_stats s = stats_of(&cache);
    size_t after = resident_kib(), least = (s.full + s.partial) * 64;
    assert_int_equal(s.empty, 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(peak > before + COUNT / 10 * 15);
    assert_true((after - before) * 100 <= least * 115 + 100 * 1024);
#endif
    (void)peak, (void)before, (void)after, (void)least;
    for (int i = 0; i < COUNT / 100; i++) {
        allot_cache_put(&cache, p[i]);
    }
    allot_cache_done(&cache);
}

/* -- all of them -- */

static int name_of(struct allot_cache *cache, const char *name, void *arg)
{
    char *text = arg;
    struct allot_cache_stats s;
    allot_cache_stats(cache, &s);
    allot_cache_check(cache);
    sprintf(text + strlen(text), "%s:%d ", name, (int)s.use.count);
    return strcmp(name, "stop") == 0 ? 17 : 0;
}

static void chain(void **state)
{
    (void)state;
    static const char *const names[] = {"inodes", "dentries", "stop",
                                        "a name that is longer than the thirty-nine bytes that are kept"};
    struct allot_cache cache[4];
    char text[256] = "";
    for (int i = 0; i < 4; i++) {
        assert_int_equal(allot_cache_init(&cache[i], 100, &(struct allot_cache_opts){.name = names[i]}), 0);
    }
    void *p = allot_cache_get(&cache[1]);
    assert_int_equal(allot_caches_walk(name_of, text), 17);
    assert_string_equal(text, "inodes:0 dentries:1 stop:0 ");
    allot_cache_put(&cache[1], p);
    allot_cache_done(&cache[2]);
    text[0] = 0;
    assert_int_equal(allot_caches_walk(name_of, text), 0);
    assert_string_equal(text, "inodes:0 dentries:0 a name that is longer than the thirty-n:0 ");
    allot_cache_done(&cache[0]);
    allot_cache_done(&cache[1]);
    allot_cache_done(&cache[3]);
}

/* -- crimes -- */

static unsigned char mask[300];
static struct crime {
    struct allot_cache cache;
    unsigned char *object;
    int kind;
} c;

static void commit(void *arg)
{
    (void)arg;
    unsigned char *volatile p = c.object;
    switch (c.kind) {
    case 0:
        allot_cache_put(&c.cache, p);
        allot_cache_put(&c.cache, p);
        break;
    case 1:
        p[33] ^= 4;
        allot_put(p);
        break;
    case 2:
        allot_put(p);
        allot_unpoison(p, 300);
        p[34] ^= 4;
        allot_cache_get(&c.cache);
        break;
    case 3:
        allot_free(p);
        break;
    case 4:
        allot_cache_done(&c.cache);
        break;
    case 5:
        allot_put(p + 1);
        break;
    case 6: /* what the mask leaves out may differ */
        p[35] ^= 4;
        p[33] ^= 2;
        allot_put(p);
        break;
    }
}

static int count_up(void *p, void *arg)
{
    memset(p, ++*(int *)arg, 300);
    return 0;
}

static void crimes(void **state)
{
    (void)state;
    static const char *const lines[] = {"double free",
                                        "not as constructed, byte 33",
                                        "write to a free object, byte 34",
                                        "free of what is no live block",
                                        "done while objects are in use",
                                        "put of what is no object"};
    for (int flags = 0; flags <= ALLOT_CACHE_LOCKED; flags++) {
        int number = 0;
        mask[33] = 4, mask[34] = 255;
        struct allot_cache_opts opts = {
            .name = "masked", .ctor = count_up, .arg = &number, .mask = mask, .flags = (unsigned)flags};
        assert_int_equal(allot_cache_init(&c.cache, 300, &opts), 0);
        c.object = allot_cache_get(&c.cache);
        for (c.kind = 0; c.kind < 7; c.kind++) {
            struct child_end end = child_run(commit, NULL);
            char expected[160] = "";
            if (c.kind < 6) {
                snprintf(expected, sizeof expected, "allot: %s: object of 300 bytes of cache \"masked\" at %p\n",
                         lines[c.kind], (void *)(c.object + (c.kind == 5)));
            }
            end.text[end.text[0] ? strcspn(end.text, "\n") + 1 : 0] = 0;
            assert_string_equal(end.text, expected);
            assert_true(c.kind < 6 ? WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT : end.status == 0);
        }
        allot_put(c.object);
        allot_cache_done(&c.cache);
    }
}

/* -- memory that runs out; threads -- */

struct exhaustion {
    size_t size;
    long after, fails_after;
    unsigned flags;
};

/* Nothing is left of what has been asked for: whatever wants memory now makes a request. */
static void use_up(void)
{
    struct allot_cache cache;
    allot_fail_after(0);
    for (size_t size = 2 << 20; size >= 16; size /= 2) {
        while (allot_malloc(size)) {
        }
    }
    while (allot_cache_init(&cache, 100, NULL) == 0) {
    }
}

static void exhaust_child(void *arg)
{
    const struct exhaustion *e = arg;
    enum { COUNT = 100 };
    static void *p[COUNT];
    struct allot_cache cache;
    struct factory f = {.fails_after = e->fails_after, .size = e->size};
    struct allot_cache_opts opts = {
        .ctor = make, .dtor = wreck, .arg = &f, .mask = calloc(1, e->size), .flags = e->flags};
    size_t failed = 0, count = 0;
    use_up();
    allot_fail_after(e->after);
    int made = allot_cache_init(&cache, e->size, &opts);
    if (made == 0) {
        for (int i = 0; i < COUNT; i++) {
            errno = 0;
            p[count] = allot_cache_get(&cache);
            bool wrong = !p[count] && errno != ENOMEM && (errno != EAGAIN || f.fails_after != 0);
            failed += !p[count];
            count += p[count] != NULL;
            if (wrong) {
                _exit(3);
            }
            allot_cache_check(&cache);
        }
        int reserved = allot_cache_reserve(&cache, COUNT);
        failed += reserved != 0;
        allot_cache_check(&cache);
        while (count) {
            allot_put(p[--count]);
        }
        allot_cache_done(&cache);
    } else if (made != -ENOMEM) {
        _exit(5);
    }
    allot_fail_after(-1);
    if (f.made != f.wrecked) {
        _exit(6);
    }
    _exit(failed || made ? 1 : 2);
}

static void exhaustion(void **state)
{
    (void)state;
    for (size_t size = 2000; size < 100000; size *= 30) {
        for (int of_ctor = 0; of_ctor < 2; of_ctor++) {
            for (long after = 0;; after += of_ctor ? 7 : 1) {
                struct exhaustion e = {size, of_ctor ? -1 : after, of_ctor ? after : -1,
                                       after % 2 ? ALLOT_CACHE_LOCKED : 0};
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

static void *in_threads(void *arg)
{
    struct allot_cache *cache = arg;
    struct random random = {(uintptr_t)&random};
    struct object *p[50] = {0};
    for (int i = 0; i < 20000; i++) {
        size_t at = random_below(&random, 50);
        if (p[at]) {
            allot_cache_put(cache, p[at]);
            p[at] = NULL;
        } else {
            p[at] = allot_cache_get(cache);
            p[at]->life++;
        }
        if (i % 4000 == 0) {
            allot_cache_trim(cache);
            allot_cache_check(cache);
        }
    }
    for (int i = 0; i < 50; i++) {
        allot_cache_put(cache, p[i]);
    }
    return NULL;
}

static void threads(void **state)
{
    (void)state;
    struct allot_cache cache;
    struct factory f;
    pthread_t thread[4];
    init(&cache, &f, 1000, 0, ALLOT_CACHE_LOCKED);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, in_threads, &cache), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], NULL);
    }
    allot_cache_check(&cache);
    allot_cache_done(&cache);
    assert_int_equal(f.made, f.wrecked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model),    cmocka_unit_test(lists),       cmocka_unit_test(lowest),  cmocka_unit_test(colours),
        cmocka_unit_test(reserved), cmocka_unit_test(type_stable), cmocka_unit_test(shrinks), cmocka_unit_test(chain),
        cmocka_unit_test(crimes),   cmocka_unit_test(exhaustion),  cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
