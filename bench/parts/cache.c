/* cache.c - objects of 2 KiB that are dear to make: a mutex, and a table of which each word is computed from the one before.
 *
 *   object    ns of one got or made, its first word written, and put or freed; one at a time, a million
 *   of_1000   the same with 1000 out, of which a random one is replaced each time
 *   zeroed    as object, but all that has to be made is zero bytes
 *   resident  90 % of 4000 objects of 16 KiB freed at random, then trimmed: what is resident over the slabs that hold an object
 */
#include "part.h"

#include <pthread.h>

#include <allot/cache.h>

enum { SIZE = 2048, TIMES = 200000, OUT = 1000 };

struct conn {
    pthread_mutex_t lock;
    uint32_t table[(SIZE - sizeof(pthread_mutex_t)) / sizeof(uint32_t)];
};

static int construct(void *p, void *arg)
{
    (void)arg;
    struct conn *c = p;
    pthread_mutex_init(&c->lock, NULL);
    uint32_t word = 1;
    for (size_t i = 0; i < COUNT(c->table); i++) {
        c->table[i] = word = word * 1664525 + 1013904223;
    }
    return 0;
}

static void destruct(void *p, void *arg)
{
    (void)arg;
    pthread_mutex_destroy(&((struct conn *)p)->lock);
}

static int zero(void *p, void *arg)
{
    (void)arg;
    memset(p, 0, SIZE);
    return 0;
}

static void touch(struct conn *c)
{
    pthread_mutex_lock(&c->lock);
    used(c);
    pthread_mutex_unlock(&c->lock);
}

#define TIME_ONE(name, get, put)                  \
    do {                                          \
        uint64_t best = UINT64_MAX;               \
        for (int round = 0; round < 5; round++) { \
            uint64_t start = now();               \
            for (int i = 0; i < TIMES; i++) {     \
                struct conn *c = get;             \
                used(c);                          \
                put;                              \
            }                                     \
            uint64_t taken = now() - start;       \
            best = taken < best ? taken : best;   \
        }                                         \
        figure(name, (double)best / TIMES, "ns"); \
    } while (0)

#define TIME_MANY(name, get, put)                                     \
    do {                                                              \
        static struct conn *out[OUT];                                 \
        uint64_t seed = 3, best = UINT64_MAX;                         \
        for (int i = 0; i < OUT; i++) {                               \
            out[i] = get;                                             \
        }                                                             \
        for (int round = 0; round < 5; round++) {                     \
            uint64_t start = now();                                   \
            for (int i = 0; i < TIMES; i++) {                         \
                struct conn **at = &out[below(&seed, OUT)], *c = *at; \
                put;                                                  \
                *at = c = get;                                        \
                touch(c);                                             \
            }                                                         \
            uint64_t taken = now() - start;                           \
            best = taken < best ? taken : best;                       \
        }                                                             \
        for (int i = 0; i < OUT; i++) {                               \
            struct conn *c = out[i];                                  \
            put;                                                      \
        }                                                             \
        figure(name, (double)best / TIMES, "ns");                     \
    } while (0)

static struct conn *made(void)
{
    struct conn *c = malloc(sizeof *c);
    construct(c, NULL);
    return c;
}

static void unmade(struct conn *c)
{
    destruct(c, NULL);
    free(c);
}

static struct conn *zeroed(void)
{
    struct conn *c = malloc(sizeof *c);
    zero(c, NULL);
    used(c);
    return c;
}

static void with_malloc(void)
{
    TIME_ONE("object", made(), unmade(c));
    TIME_MANY("of_1000", made(), unmade(c));
    TIME_ONE("zeroed", zeroed(), free(c));
}

static struct allot_cache begun(const struct allot_cache_opts *opts, size_t size)
{
    struct allot_cache cache;
    if (allot_cache_init(&cache, size, opts) != 0) {
        fail("no cache");
    }
    return cache;
}

static void with_cache(unsigned flags)
{
    struct allot_cache cache =
        begun(&(struct allot_cache_opts){.ctor = construct, .dtor = destruct, .flags = flags}, SIZE);
    TIME_ONE("object", allot_cache_get(&cache), allot_cache_put(&cache, c));
    TIME_MANY("of_1000", allot_cache_get(&cache), allot_cache_put(&cache, c));
    allot_cache_done(&cache);
    cache = begun(&(struct allot_cache_opts){.ctor = zero, .flags = flags}, SIZE);
    TIME_ONE("zeroed", allot_cache_get(&cache), allot_cache_put(&cache, c));
    allot_cache_done(&cache);
}

static void allot(void) { with_cache(0); }

static void allot_locked(void) { with_cache(ALLOT_CACHE_LOCKED); }

static void allot_coloured(void) { with_cache(ALLOT_CACHE_COLOUR); }

static double resident(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    double kib = 0;
    while (file && fgets(line, sizeof line, file)) {
        sscanf(line, "VmRSS: %lf", &kib);
    }
    if (file) {
        fclose(file);
    }
    return kib * 1024;
}

static int fill(void *p, void *arg)
{
    memset(p, 1, *(size_t *)arg);
    return 0;
}

static void survivors(void)
{
    enum { COUNT_ALL = 4000, LARGE = 16384 };
    static void *p[COUNT_ALL];
    size_t size = LARGE;
    uint64_t seed = 5;
    struct allot_cache cache = begun(&(struct allot_cache_opts){.ctor = fill, .arg = &size}, LARGE);
    double before = resident();
    for (int i = 0; i < COUNT_ALL; i++) {
        p[i] = allot_cache_get(&cache);
    }
    for (size_t i = COUNT_ALL - 1; i > 0; i--) {
        size_t j = below(&seed, i + 1);
        void *other = p[i];
        p[i] = p[j];
        p[j] = other;
    }
    for (int i = COUNT_ALL / 10; i < COUNT_ALL; i++) {
        allot_cache_put(&cache, p[i]);
    }
    allot_cache_trim(&cache);
    struct allot_cache_stats s;
    allot_cache_stats(&cache, &s);
    figure("resident", (resident() - before) / ((double)(s.full + s.partial) * 65536), "times");
    figure("slabs", (double)(s.full + s.partial), "with_an_object");
}

int main(int argc, char **argv)
{
    static const struct variant variants[] = {
        {"bare", "malloc, the construction, and free", with_malloc},
        {"allot", "allot_cache", allot},
        {"allot-locked", "allot_cache, locked", allot_locked},
        {"allot-coloured", "allot_cache, with room made for colours", allot_coloured},
        {"allot-survivors", "allot_cache: what is left resident", survivors},
        {"*malloc", "the same as bare", with_malloc},
    };
    static const char *const demands[] = {"object allot <= 0.05 bare", "resident allot-survivors <= 1.15"};
    return part_main(argc, argv, variants, COUNT(variants), demands, COUNT(demands));
}
