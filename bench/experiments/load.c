/* load.c - single-threaded loads for the prototype heap: load NAME [SCALE]
 *
 * Prints one line: ns per malloc+free pair (CPU time of the thread), RSS and live bytes at the peak in KiB, and the
 * heap's slow-path counts over the timed part. A block's first word is written after malloc and read before free, as
 * programs do; a load named "dead-..." does not read it before free, the best case for a front that does not touch a
 * block either.
 */
#include "load.h"

#include <string.h>
#include <sys/mman.h>

static uint64_t rng = 88172645463325252ull;
static size_t tables;

/* Tables of the load's own, outside the heap under test. */
static void *table(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (p == MAP_FAILED)
        exit(1);
    tables += (n + 4095) & ~4095ul;
    return p;
}

static bool read_last = true;
static uint64_t wrong;

static inline void give(void *p)
{
    if (read_last)
        wrong |= look(p);
    x_free(p);
}

static double start;
static struct front_stats before;

static void begin(void)
{
    before = x_stats();
    start = now();
}

static void end(double pairs, uint64_t live)
{
    double ns = (now() - start) / pairs;
    struct front_stats s = x_stats();
    if (wrong)
        abort();
    printf("ns=%.3f rss=%lu live=%lu refills=%.5f picks=%.6f trips=%.6f flushes=%.6f slabs=%lu\n", ns,
           resident_kib() - tables / 1024, (unsigned long)(live / 1024), (double)(s.refills - before.refills) / pairs,
           (double)(s.picks - before.picks) / pairs, (double)(s.trips - before.trips) / pairs,
           (double)(s.flushes - before.flushes) / pairs, (unsigned long)s.slabs);
}

static void pair(uint64_t n)
{
    begin();
    for (uint64_t i = 0; i < n; i++)
        x_free(x_malloc(64));
    end((double)n, 0);
}

static void cycle(uint64_t n)
{
    begin();
    for (uint64_t i = 0; i < n; i++)
        x_free(x_malloc(16 + (i & 31) * 16));
    end((double)n, 0);
}

/* `batch` blocks of 64 bytes, freed in order 'l'ast in first out, 'f'irst in first out, or at 'r'andom. */
static void batch(uint64_t n, unsigned size, char order)
{
    void **p = table(size * sizeof *p);
    unsigned *to = table(size * sizeof *to);
    for (unsigned i = 0; i < size; i++)
        to[i] = order == 'l' ? size - 1 - i : i;
    for (unsigned i = size; order == 'r' && i > 1; i--) {
        unsigned j = (unsigned)(next_random(&rng) % i), t = to[i - 1];
        to[i - 1] = to[j];
        to[j] = t;
    }
    uint64_t rounds = n / size;
    begin();
    for (uint64_t r = 0; r < rounds; r++) {
        for (unsigned i = 0; i < size; i++)
            p[i] = take(64);
        for (unsigned i = 0; i < size; i++)
            give(p[to[i]]);
    }
    end((double)rounds * size, 0);
}

struct held {
    void *p;
    unsigned size;
};

/* A working set of `count` blocks of mixed sizes, then `n` replacements at random after a third as many to age it. */
static void replace(uint64_t n, uint64_t count)
{
    struct held *h = table(count * sizeof *h);
    uint64_t live = 0;
    for (uint64_t i = 0; i < count; i++) {
        h[i].size = mixed_size(next_random(&rng));
        live += h[i].size;
        h[i].p = take(h[i].size);
    }
    for (int timed = 0; timed < 2; timed++) {
        if (timed)
            begin();
        for (uint64_t i = 0; i < (timed ? n : n / 3); i++) {
            uint64_t r = next_random(&rng);
            struct held *x = &h[(uint32_t)r * count >> 32];
            give(x->p);
            live -= x->size;
            x->size = mixed_size(r);
            live += x->size;
            x->p = take(x->size);
        }
    }
    end((double)n, live);
}

/* Fills `count` blocks, frees all in random order, and so on; the fill of never-used memory is not timed. */
static void refill_all(uint64_t count, unsigned rounds)
{
    void **p = table(count * sizeof *p);
    for (uint64_t i = 0; i < count; i++)
        p[i] = take(mixed_size(next_random(&rng)));
    for (uint64_t i = count; i > 1; i--) {
        uint64_t j = next_random(&rng) % i;
        void *t = p[i - 1];
        p[i - 1] = p[j];
        p[j] = t;
    }
    begin();
    for (unsigned r = 0; r < rounds; r++) {
        for (uint64_t i = 0; i < count; i++)
            give(p[i]);
        for (uint64_t i = 0; i < count; i++)
            p[i] = take(mixed_size(next_random(&rng)));
    }
    end((double)count * rounds, 0);
}

/* A small program: `per_class` blocks in each of 20 common sizes, half of them freed. Time and RSS from its first
 * malloc. */
static void small(uint64_t per_class)
{
    begin();
    uint64_t live = 0;
    void *p;
    for (uint64_t i = 0; i < per_class; i++)
        for (unsigned k = 1; k <= 20; k++) {
            live += k * 16;
            p = take(k * 16);
            if (i & 1) {
                give(p);
                live -= k * 16;
            }
        }
    end((double)per_class * 20, live);
}

/* Fill, then a random 7 of 8 freed, then grown again with other sizes: what fragmentation costs. */
static void waves(uint64_t count)
{
    struct held *h = table(count * sizeof *h);
    uint64_t live = 0, pairs = 0;
    begin();
    for (unsigned round = 0; round < 6; round++) {
        for (uint64_t i = 0; i < count; i++) {
            uint64_t r = next_random(&rng);
            if (h[i].p) {
                if (r % 8 == 0)
                    continue;
                live -= h[i].size;
                give(h[i].p);
                h[i].p = NULL;
            }
        }
        for (uint64_t i = 0; i < count; i++) {
            if (h[i].p)
                continue;
            h[i].size = round & 1 ? 16 + (unsigned)(next_random(&rng) % 128) : mixed_size(next_random(&rng));
            live += h[i].size;
            h[i].p = take(h[i].size);
            pairs++;
        }
    }
    end((double)pairs, live);
}

static void none(uint64_t n)
{
    begin();
    for (uint64_t i = 0; i < n; i++)
        __asm__ volatile("");
    end((double)n, 0);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    double scale = argc > 2 ? atof(argv[2]) : 1;
    uint64_t million = (uint64_t)(1e6 * scale);
    if (strncmp(name, "dead-", 5) == 0) {
        read_last = false;
        name += 5;
    }
    if (!strcmp(name, "none"))
        none(100 * million);
    else if (!strcmp(name, "pair"))
        pair(100 * million);
    else if (!strcmp(name, "cycle"))
        cycle(100 * million);
    else if (!strcmp(name, "lifo100"))
        batch(60 * million, 100, 'l');
    else if (!strcmp(name, "fifo100"))
        batch(60 * million, 100, 'f');
    else if (!strcmp(name, "lifo10k"))
        batch(40 * million, 10000, 'l');
    else if (!strcmp(name, "fifo10k"))
        batch(40 * million, 10000, 'f');
    else if (!strcmp(name, "random10k"))
        batch(40 * million, 10000, 'r');
    else if (!strcmp(name, "replace1k"))
        replace(20 * million, 1000);
    else if (!strcmp(name, "replace10k"))
        replace(20 * million, 10000);
    else if (!strcmp(name, "replace100k"))
        replace(10 * million, 100000);
    else if (!strcmp(name, "replace1M"))
        replace(6 * million, 1000000);
    else if (!strcmp(name, "cold"))
        replace(5 * million, 8000000);
    else if (!strcmp(name, "coldall"))
        refill_all(8000000, 1);
    else if (!strcmp(name, "small"))
        small(20);
    else if (!strcmp(name, "middle"))
        small(1000);
    else if (!strcmp(name, "waves"))
        waves(1 * million);
    else
        return 2;
    return 0;
}
