/* pager.c - what a page costs that is there, and one that is not: allot_pager beside what it is made of.
 *
 * hit: pages, of 16384 that all are in memory, at random, pinned and unpinned. miss: of a file of 64 MiB in the system's cache, at
 * random, with frames for a sixteenth of it; the time of all over the misses. The file is made where TMPDIR says, and gone at the
 * end.
 */
#define _GNU_SOURCE
#include "part.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <allot/pager.h>

#include "page/pager.h"

/* Of the calling thread's processor time: others that run meanwhile count less. */
static uint64_t spent(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

enum {
    PAGE = 4096,
    FRAMES = 16384,
    HITS_COUNT = 4000000,
    FILE_PAGES = 16384,
    FEW = FILE_PAGES / 16,
    MISSES_COUNT = 200000
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* -- hits -- */

static struct allot_pager pager;
static struct allot_store store;

static void begin(size_t frames, unsigned how, enum allot_evict_policy policy)
{
    struct allot_pager_opts opts = {.frames = frames, .how = how, .policy = policy, .readahead = 1};
    if (!store.read && allot_store_memory(&store, 0) != 0) {
        fail("allot_store_memory");
    }
    if (allot_pager_init(&pager, &store, &opts) != 0) {
        fail("allot_pager_init");
    }
}

static void fill(void)
{
    for (uint64_t page = 0; page < FRAMES; page++) {
        void *at = allot_pager_pin(&pager, page, ALLOT_PAGER_FRESH);
        allot_pager_unpin(&pager, at, ALLOT_PAGER_WRITE);
    }
    allot_pager_flush(&pager);
}

static void *pins(void *seed)
{
    uint64_t random = (uintptr_t)seed;
    for (size_t i = 0; i < HITS_COUNT; i++) {
        void *at = allot_pager_pin(&pager, next_random(&random) % FRAMES, ALLOT_PAGER_READ);
        used(at);
        allot_pager_unpin(&pager, at, ALLOT_PAGER_READ);
    }
    return NULL;
}

static double nanoseconds_of(void *(*work)(void *))
{
    uint64_t from = spent();
    work((void *)1);
    return (double)(spent() - from) / HITS_COUNT;
}

/* By the clock, as it is asked whether one waits for the other. */
static double seconds_of(unsigned threads, void *(*work)(void *))
{
    pthread_t thread[2];
    uint64_t from = now();
    for (uintptr_t i = 0; i < threads; i++) {
        pthread_create(&thread[i], NULL, work, (void *)(88172645463325252 + 77 * i));
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(thread[i], NULL);
    }
    return (double)(now() - from) / 1e9;
}

static void hits(unsigned how, enum allot_evict_policy policy)
{
    begin(FRAMES, how, policy);
    fill();
    pins((void *)1);
    figure("hit", nanoseconds_of(pins), "ns");
    if (!(how & ALLOT_PAGER_ALONE)) {
        double one = seconds_of(1, pins);
        figure("two_threads", 2 * one / seconds_of(2, pins), "x");
    }
    allot_pager_done(&pager);
}

/* The word of the page in the same table, and nothing more. */
static void *looks(void *seed)
{
    struct pager *p = pager.state;
    uint64_t random = (uintptr_t)seed;
    for (size_t i = 0; i < HITS_COUNT; i++) {
        used(frame_at(p, frame_in(*table_find(&p->table, next_random(&random) % FRAMES))));
    }
    return NULL;
}

/* The same pages and frames in a hash table of linear probing, half full. */
static struct {
    uint64_t page;
    char *at;
} hashed[2 * FRAMES];

static size_t place_of(uint64_t page)
{
    size_t i = page * 0x9e3779b97f4a7c15 >> 49;
    while (hashed[i].at && hashed[i].page != page) {
        i = (i + 1) % (2 * FRAMES);
    }
    return i;
}

static void *hash_looks(void *seed)
{
    uint64_t random = (uintptr_t)seed;
    for (size_t i = 0; i < HITS_COUNT; i++) {
        used(hashed[place_of(next_random(&random) % FRAMES)].at);
    }
    return NULL;
}

/* -- misses -- */

static int make_file(void)
{
    const char *folder = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/pages-XXXXXX", folder ? folder : "/tmp");
    int fd = mkstemp(path);
    static char page[PAGE];
    if (fd < 0) {
        fail(path);
    }
    unlink(path);
    for (size_t i = 0; i < FILE_PAGES; i++) {
        memset(page, (int)i, sizeof page);
        if (pwrite(fd, page, sizeof page, (off_t)(i * PAGE)) != PAGE) {
            fail(path);
        }
    }
    return fd;
}

static void misses(unsigned how, enum allot_evict_policy policy)
{
    int fd = make_file();
    uint64_t random = 88172645463325252;
    struct allot_pager_stats before, after;
    allot_store_file(&store, fd, 0);
    begin(FEW, how, policy);
    for (uint64_t page = 0; how & ALLOT_PAGER_CHECKED && page < FILE_PAGES; page++) {
        allot_pager_unpin(&pager, allot_pager_pin(&pager, page, ALLOT_PAGER_FRESH), ALLOT_PAGER_WRITE);
    }
    allot_pager_flush(&pager);
    for (unsigned round = 0; round < 2; round++) {
        allot_pager_stats(&pager, &before);
        uint64_t from = spent();
        for (size_t i = 0; i < MISSES_COUNT; i++) {
            void *at = allot_pager_pin(&pager, next_random(&random) % FILE_PAGES, ALLOT_PAGER_READ);
            used(at);
            allot_pager_unpin(&pager, at, ALLOT_PAGER_READ);
        }
        allot_pager_stats(&pager, &after);
        if (round) {
            figure("miss", (double)(spent() - from) / (double)(after.misses - before.misses), "ns");
        }
    }
    allot_pager_done(&pager);
    allot_store_done(&store);
    close(fd);
}

/* A page into one of as many places. */
static void preads(void)
{
    int fd = make_file();
    uint64_t random = 88172645463325252;
    char *frames = aligned_alloc(PAGE, (size_t)FEW * PAGE);
    for (unsigned round = 0; round < 2; round++) {
        uint64_t from = spent();
        for (size_t i = 0; i < MISSES_COUNT; i++) {
            char *into = frames + i % FEW * PAGE;
            if (pread(fd, into, PAGE, (off_t)(next_random(&random) % FILE_PAGES * PAGE)) != PAGE) {
                fail("pread");
            }
            used(into);
        }
        if (round) {
            figure("miss", (double)(spent() - from) / MISSES_COUNT, "ns");
        }
    }
    free(frames);
    close(fd);
}

/* -- variants -- */

static void bare(void)
{
    begin(FRAMES, 0, ALLOT_GRADUAL);
    fill();
    looks((void *)1);
    figure("hit", nanoseconds_of(looks), "ns");
    allot_pager_done(&pager);
    preads();
}

static void hash(void)
{
    for (uint64_t page = 0; page < FRAMES; page++) {
        size_t i = place_of(page);
        hashed[i].page = page;
        hashed[i].at = (char *)&hashed[i];
    }
    hash_looks((void *)1);
    figure("hit", nanoseconds_of(hash_looks), "ns");
}

static void of(unsigned how, enum allot_evict_policy policy)
{
    hits(how, policy);
    allot_store_done(&store);
    misses(how, policy);
}

static void allot(void) { of(0, ALLOT_GRADUAL); }
static void alone(void) { of(ALLOT_PAGER_ALONE, ALLOT_GRADUAL); }
static void checked(void) { of(ALLOT_PAGER_CHECKED, ALLOT_GRADUAL); }
static void sieve(void) { of(0, ALLOT_SIEVE); }
static void clock_policy(void) { of(0, ALLOT_CLOCK); }
static void lru(void) { of(0, ALLOT_LRU); }

static const struct variant variants[] = {
    {"bare", "a look into the same table; pread", bare},
    {"hash", "a look into a hash table of the same pages", hash},
    {"allot", "allot_pager", allot},
    {"allot-alone", "allot_pager, one thread at a time", alone},
    {"allot-checked", "allot_pager, with checksums", checked},
    {"allot-sieve", "allot_pager, by SIEVE", sieve},
    {"allot-clock", "allot_pager, by Clock", clock_policy},
    {"allot-lru", "allot_pager, by LRU", lru},
};

static const char *const demands[] = {
    "hit allot <= 2 hash",
    "hit allot <= 15",
    "two_threads allot >= 1.7",
    "miss allot <= 1.3 bare",
};

int main(int argc, char **argv) { return part_main(argc, argv, variants, COUNT(variants), demands, COUNT(demands)); }
