/* page/threads.c - a pager among threads: each page holds its number and a count, which whoever writes it raises under a lock of
 * the test's own; none is lost, whoever lets pages go, writes back, reads ahead, forgets clean ones or asks for figures meanwhile.
 *
 * Usage: threads [STEPS]
 */
#include "common/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#define random       frail_random /* of common/random.h, which frail.h has */
#define random_next  frail_random_next
#define random_below frail_random_below
#include "page/frail.h"
#undef random
#undef random_next
#undef random_below

enum { PAGES = 200, PAGE = 512, THREADS = 4 };

struct content {
    uint64_t page, count, copies[PAGE / 8 - 3];
};

static struct machine machine;
static struct frail home, journal;
static struct allot_pager pager;
static pthread_rwlock_t lock[PAGES];
static uint64_t count[PAGES]; /* with its lock */
static size_t steps;
static atomic_size_t refused;

static void verify(const struct content *c, uint64_t page)
{
    CHECK(c->count == count[page] && (c->page == page || c->count == 0));
    for (size_t i = 0; i < sizeof c->copies / 8; i++) {
        CHECK(c->copies[i] == c->count);
    }
}

/* The disk, which takes its time: what it is given is one state of the page, from its begin to its end. */
static int writes_slowly(void *self, uint64_t page, size_t size, void *const *from, size_t n)
{
    struct allot_store disk = frail_store(self);
    struct content before[64];
    for (size_t i = 0; i < n; i++) {
        memcpy(&before[i], from[i], sizeof before[i]);
    }
    int wrong = disk.write(self, page, size, from, n);
    for (size_t i = 0; i < n; i++) {
        CHECK(memcmp(&before[i], from[i], sizeof before[i]) == 0);
        CHECK(before[i].copies[0] == before[i].count && before[i].copies[PAGE / 8 - 4] == before[i].count);
    }
    return wrong;
}

static bool was_refused(const void *at)
{
    if (!at) {
        CHECK(errno == EIO || errno == EAGAIN || errno == ENOBUFS);
        atomic_fetch_add(&refused, 1);
    }
    return !at;
}

static void reads(uint64_t page, unsigned how)
{
    pthread_rwlock_rdlock(&lock[page]);
    struct content *c = allot_pager_pin(&pager, page, ALLOT_PAGER_READ | how);
    if (!was_refused(c)) {
        verify(c, page);
        allot_pager_unpin(&pager, c, ALLOT_PAGER_READ);
    }
    pthread_rwlock_unlock(&lock[page]);
}

static void writes(uint64_t page)
{
    pthread_rwlock_wrlock(&lock[page]);
    struct content *c = allot_pager_pin(&pager, page, ALLOT_PAGER_WRITE);
    if (!was_refused(c)) {
        verify(c, page);
        c->page = page;
        c->count = ++count[page];
        for (size_t i = 0; i < sizeof c->copies / 8; i++) {
            c->copies[i] = c->count;
        }
        allot_pager_unpin(&pager, c, ALLOT_PAGER_WRITE);
    }
    pthread_rwlock_unlock(&lock[page]);
}

static void *works(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    for (size_t i = 0; i < steps; i++) {
        size_t what = random_below(&random, 1000);
        uint64_t page = random_below(&random, 1 + random_below(&random, PAGES));
        if (what < 600) {
            reads(page, what % 8 == 0 ? ALLOT_PAGER_TRY : what % 8 == 1 ? ALLOT_PAGER_COLD : 0);
        } else if (what < 970) {
            writes(page);
        } else if (what < 980) {
            int wrong = what % 2 ? allot_pager_flush(&pager) : allot_pager_sync(&pager);
            CHECK(wrong == 0 || wrong == -EBUSY || wrong == -EIO);
        } else if (what < 990) {
            int wrong = allot_pager_prefetch(&pager, page, 16);
            CHECK(wrong == 0 || wrong == -EIO);
        } else if (what < 995) { /* pages of nobody's, which come and go in the same frames */
            int wrong = allot_pager_prefetch(&pager, PAGES, 16);
            CHECK(wrong == 0 || wrong == -EIO);
            wrong = allot_pager_drop(&pager, PAGES, PAGES);
            CHECK(wrong == 0);
        } else {
            struct allot_pager_stats stats;
            allot_pager_stats(&pager, &stats);
            CHECK(stats.resident <= stats.frames);
        }
    }
    return NULL;
}

static void try(enum allot_evict_policy policy, size_t frames, bool with_journal, unsigned failing)
{
    machine = (struct machine){.left = -1};
    frail_init(&home, &machine, (size_t)PAGES * PAGE, policy + 1);
    frail_init(&journal, &machine, (size_t)65 * PAGE, policy + 2);
    memset(count, 0, sizeof count);
    struct allot_store store = frail_store(&home), second = frail_store(&journal);
    struct allot_pager_opts opts = {.page = PAGE, .frames = frames, .policy = policy, .how = ALLOT_PAGER_CHECKED};
    store.write = writes_slowly;
    opts.journal = with_journal ? &second : NULL;
    CHECK(allot_pager_init(&pager, &store, &opts) == 0);
    home.fail_reads = home.fail_writes = home.fail_syncs = failing;
    home.slow = true;
    pthread_t thread[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&thread[i], NULL, works, (void *)(i + 1)) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    home.fail_reads = home.fail_writes = home.fail_syncs = 0;
    allot_pager_check(&pager);
    CHECK(allot_pager_sync(&pager) == 0);
    for (uint64_t page = 0; page < PAGES; page++) {
        reads(page, 0);
    }
    CHECK(allot_pager_done(&pager) == 0);
    frail_done(&home);
    frail_done(&journal);
}

int main(int argc, char **argv)
{
    steps = argc > 1 ? strtoul(argv[1], NULL, 10) : 4000 * test_scale();
    check_watch_aborts();
    for (size_t i = 0; i < PAGES; i++) {
        pthread_rwlock_init(&lock[i], NULL);
    }
    for (unsigned policy = 0; policy < ALLOT_EVICT_POLICIES; policy++) {
        snprintf(check_run, sizeof check_run, "%s", allot_evict_name(policy));
        size_t before = atomic_load(&refused);
        try(policy, 50, policy % 2, 0);
        try(policy, THREADS, false, 0); /* as many frames as pins: some wait, nobody is refused for want of one */
        CHECK(policy > 0 || atomic_load(&refused) > before); /* TRY */
        try(policy, 30, !(policy % 2), 50);
    }
    return 0;
}
