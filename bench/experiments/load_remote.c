/* load_remote.c - loads of two threads for remote.c: load_remote NAME [SCALE]
 *
 * Batches of blocks pass from one thread to the other through a queue. Only the loops of malloc and of free are timed,
 * in CPU time of their thread, so waiting, and a neighbour on a core, do not count. Every block is written after malloc
 * and read before free.
 *
 *   pipe       one thread allocates 64-byte blocks, the other frees each batch in order
 *   mixed      the same with mixed sizes
 *   shuffled   the same as mixed, each batch freed in random order
 *   scattered  mixed; the other thread keeps 200 000 blocks and frees a random one of them for each that comes
 *   swap       both allocate mixed sizes, and free what the other allocated
 *   shared     a third thread allocated 64-byte blocks; both free every second one of them, at the same time
 */
#include "load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { BATCH = 1024, DEPTH = 16, KEPT = 200000 };

struct batch {
    uint64_t *block[BATCH];
};

/* One writer, one reader. */
struct queue {
    _Atomic unsigned long written __attribute__((aligned(64)));
    _Atomic unsigned long read __attribute__((aligned(64)));
    struct batch batch[DEPTH];
};

struct side {
    double malloc_ns, free_ns;
    struct front_stats stats;
    unsigned long blocks;
};

static struct queue there, back;
static unsigned long batches;
static bool mixed, shuffled, scattered, swap;
static struct side side[2];

static void wait_until(_Atomic unsigned long *at_least, unsigned long value)
{
    for (unsigned spins = 0; atomic_load_explicit(at_least, memory_order_acquire) < value; spins++)
        if (spins > 100)
            nanosleep(&(struct timespec){0, 20000}, NULL);
}

static void produce(struct side *me, struct queue *q, unsigned long i, uint64_t *rng)
{
    unsigned size[BATCH];
    for (unsigned k = 0; k < BATCH; k++)
        size[k] = mixed ? mixed_size(next_random(rng)) : 64;
    if (i >= DEPTH)
        wait_until(&q->read, i - DEPTH + 1);
    struct batch *b = &q->batch[i % DEPTH];
    double start = now();
    for (unsigned k = 0; k < BATCH; k++)
        b->block[k] = take(size[k]);
    me->malloc_ns += now() - start;
    me->blocks += BATCH;
    for (unsigned k = BATCH; shuffled && k > 1; k--) {
        unsigned j = (unsigned)(next_random(rng) % k);
        uint64_t *t = b->block[k - 1];
        b->block[k - 1] = b->block[j];
        b->block[j] = t;
    }
    atomic_store_explicit(&q->written, i + 1, memory_order_release);
}

static void consume(struct side *me, struct queue *q, unsigned long i, uint64_t *rng)
{
    static uint64_t *kept[KEPT];
    wait_until(&q->written, i + 1);
    struct batch b = q->batch[i % DEPTH];
    atomic_store_explicit(&q->read, i + 1, memory_order_release);
    uint64_t wrong = 0;
    for (unsigned k = 0; scattered && k < BATCH; k++) {
        uint64_t **slot = &kept[next_random(rng) % KEPT], *t = *slot;
        *slot = b.block[k];
        b.block[k] = t;
    }
    double start = now();
    for (unsigned k = 0; k < BATCH; k++)
        if (b.block[k]) {
            wrong |= look(b.block[k]);
            x_free(b.block[k]);
        }
    me->free_ns += now() - start;
    if (wrong)
        abort();
}

static void *run(void *arg)
{
    struct side *me = arg;
    bool first = me == &side[0];
    uint64_t rng = 88172645463325252ull + first;
    x_free(x_malloc(1)); /* a heap of its own, as any thread has that ever allocated */
    for (unsigned long i = 0; i < batches; i++) {
        if (first || swap)
            produce(me, first ? &there : &back, i, &rng);
        if (!first || swap)
            consume(me, first ? &back : &there, i, &rng);
    }
    x_flush();
    me->stats = x_stats();
    return NULL;
}

/* ---- shared: both freeing threads meet in every word ------------------------------------------------------------- */

static uint64_t **shared_block;
static unsigned long shared_count;
static pthread_barrier_t barrier;

static void *run_shared(void *arg)
{
    struct side *me = arg;
    uint64_t wrong = 0;
    x_free(x_malloc(1));
    for (int round = 0; round < 8; round++) {
        pthread_barrier_wait(&barrier);
        double start = now();
        for (unsigned long i = me == &side[0]; i < shared_count; i += 2) {
            wrong |= look(shared_block[i]);
            x_free(shared_block[i]);
        }
        me->free_ns += now() - start;
        x_flush();
        me->blocks += shared_count / 2;
        pthread_barrier_wait(&barrier);
    }
    if (wrong)
        abort();
    me->stats = x_stats();
    return NULL;
}

static void allocate_shared(void)
{
    for (int round = 0; round < 8; round++) {
        double start = now();
        for (unsigned long i = 0; i < shared_count; i++)
            shared_block[i] = take(64);
        if (round) /* the first one touches fresh memory */
            side[0].malloc_ns += (now() - start) * 8 / 7;
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
    }
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    batches = (unsigned long)(6000 * (argc > 2 ? atof(argv[2]) : 1));
    swap = !strcmp(name, "swap");
    scattered = !strcmp(name, "scattered");
    shuffled = !strcmp(name, "shuffled");
    mixed = swap || scattered || shuffled || !strcmp(name, "mixed");
    bool shared = !strcmp(name, "shared");
    if (!mixed && !shared && strcmp(name, "pipe"))
        return 2;
    shared_count = batches * 64;
    shared_block = calloc(shared_count, sizeof *shared_block);
    if (!shared_block || pthread_barrier_init(&barrier, NULL, 3))
        return 1;
    pthread_t t[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, shared ? run_shared : run, &side[i]);
    if (shared)
        allocate_shared();
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    double n = (double)(side[0].blocks + side[1].blocks);
    double m = (side[0].malloc_ns + side[1].malloc_ns) / n, f = (side[0].free_ns + side[1].free_ns) / n;
    printf("ns=%.3f malloc=%.3f free=%.3f atomics=%.4f rss=%lu slabs=%lu\n", m + f, m, f,
           (double)(side[0].stats.atomics + side[1].stats.atomics) / n, resident_kib(),
           (unsigned long)(side[0].stats.slabs + side[1].stats.slabs));
    return 0;
}
