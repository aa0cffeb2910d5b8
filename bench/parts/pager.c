/* pager.c - what a page costs that is there, and one that is not: allot_pager beside what it is made of.
 *
 * hit: pages, of 16384 that all are in memory, at random, pinned and unpinned; nothing is read in them. free_N, chain_N: of N pages,
 * of which a number is read in between; which page is next is drawn (free: what follows may begin before), or is the number that was
 * read (chain: as in a tree). Their numbers are a quarter of those that there are. miss: of a file of 64 MiB in the system's cache, at
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

/* -- hits of so many pages, of which a number is read -- */

static const struct size {
    const char *free, *chain;
    size_t pages, bytes;
} sizes[] = {
    {"free_1k", "chain_1k", 1 << 10, PAGE},
    {"free_16k", "chain_16k", 1 << 14, PAGE},
    {"free_256k", "chain_256k", 1 << 18, PAGE},
    {"free_1m", "chain_1m", 1 << 20, PAGE / 8},
};
enum { READS_COUNT = 2000000 };

static size_t read_pages; /* a power of two */
static unsigned read_lines;

static uint64_t number_of(uint64_t index) { return 4 * index + (index * 0x9e3779b97f4a7c15 >> 62); }

/* Where in the page it is: not always in its first line, as these share few places in a cache. */
static uint64_t *word_in(void *page, uint64_t number)
{
    return (uint64_t *)((char *)page + (number * 0xd1b54a32d192ed03 >> 32) % read_lines * 64);
}

/* One cycle through all pages (Sattolo 1986). */
static uint64_t *make_cycle(void)
{
    uint64_t *next = malloc(read_pages * sizeof *next), random = 88172645463325252;
    for (size_t i = 0; i < read_pages; i++) {
        next[i] = i;
    }
    for (size_t i = read_pages - 1; i > 0; i--) {
        size_t k = next_random(&random) % i;
        uint64_t other = next[i];
        next[i] = next[k];
        next[k] = other;
    }
    return next;
}

static struct slot {
    uint64_t page;
    char *at;
} * slots;

static inline struct slot *slot_of(uint64_t page)
{
    size_t i = page * 0x9e3779b97f4a7c15 >> (64 - __builtin_ctzll(2 * read_pages));
    while (slots[i].at && slots[i].page != page) {
        i = (i + 1) & (2 * read_pages - 1);
    }
    return &slots[i];
}

static inline uint64_t read_hashed(uint64_t page) { return *word_in(slot_of(page)->at, page); }

static inline uint64_t read_pinned(uint64_t page)
{
    void *at = allot_pager_pin(&pager, page, ALLOT_PAGER_READ);
    uint64_t read = *word_in(at, page);
    allot_pager_unpin(&pager, at, ALLOT_PAGER_READ);
    return read;
}

static inline __attribute__((always_inline)) void time_reads(const struct size *of, uint64_t (*read)(uint64_t))
{
    uint64_t random = 1, page = number_of(0), from = spent();
    for (size_t i = 0; i < READS_COUNT; i++) {
        used((void *)(uintptr_t)read(number_of(next_random(&random) & (read_pages - 1))));
    }
    figure(of->free, (double)(spent() - from) / READS_COUNT, "ns");
    from = spent();
    for (size_t i = 0; i < READS_COUNT; i++) {
        page = read(page);
    }
    figure(of->chain, (double)(spent() - from) / READS_COUNT, "ns");
    used((void *)(uintptr_t)page);
}

static void size_is(const struct size *of)
{
    read_pages = of->pages;
    read_lines = (unsigned)of->bytes / 64;
}

static void hashed_reads(void)
{
    for (const struct size *of = sizes; of < sizes + COUNT(sizes); of++) {
        size_is(of);
        uint64_t *next = make_cycle();
        slots = calloc(2 * of->pages, sizeof *slots);
        char *pages = aligned_alloc(PAGE, of->pages * of->bytes);
        for (size_t i = 0; i < of->pages; i++) {
            uint64_t page = number_of(i);
            *slot_of(page) = (struct slot){page, pages + i * of->bytes};
            *word_in(pages + i * of->bytes, page) = number_of(next[i]);
        }
        free(next);
        time_reads(of, read_hashed);
        free(slots);
        free(pages);
    }
}

static int reads_nothing(void *self, uint64_t page, size_t size, void *const *into, size_t count)
{
    (void)self, (void)page, (void)size, (void)into, (void)count;
    return 0;
}

static void pinned_reads(unsigned how, enum allot_evict_policy policy)
{
    const struct allot_store nowhere = {.read = reads_nothing, .write = reads_nothing};
    for (const struct size *of = sizes; of < sizes + COUNT(sizes); of++) {
        struct allot_pager_opts opts = {.page = of->bytes, .frames = of->pages, .how = how, .policy = policy};
        size_is(of);
        uint64_t *next = make_cycle();
        if (allot_pager_init(&pager, &nowhere, &opts) != 0) {
            fail("allot_pager_init");
        }
        for (size_t i = 0; i < of->pages; i++) {
            uint64_t page = number_of(i);
            void *at = allot_pager_pin(&pager, page, ALLOT_PAGER_FRESH);
            *word_in(at, page) = number_of(next[i]);
            allot_pager_unpin(&pager, at, ALLOT_PAGER_WRITE);
        }
        free(next);
        time_reads(of, read_pinned);
        allot_pager_abandon(&pager);
    }
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
    hashed_reads();
}

static void of(unsigned how, enum allot_evict_policy policy)
{
    hits(how, policy);
    allot_store_done(&store);
    pinned_reads(how, policy);
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
    "chain_16k allot <= 2 hash", "chain_256k allot <= 2 hash", "chain_1m allot <= 2 hash",
    "hit allot <= 15",           "two_threads allot >= 1.7",   "miss allot <= 1.3 bare",
};

int main(int argc, char **argv) { return part_main(argc, argv, variants, COUNT(variants), demands, COUNT(demands)); }
