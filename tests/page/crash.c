/* page/crash.c - a machine that dies at any moment, with a disk that keeps, of what was not synced, any sectors of 512 bytes and no
 * others: no page that was acknowledged as synced is lost or torn, and the next one goes on from there. In every other life writes fail
 * now and then, of which a part is done.
 *
 *   life:   pages are written, flushed, synced, let go  --  so many sectors on: dead, in the middle of whatever
 *   after:  init over what the disk kept: each page is whole, and as it was at the last sync that returned 0, or newer
 *
 * Usage: crash [DEATHS]
 */
#include "common/check.h"

#include <errno.h>

#define random       frail_random /* of common/random.h, which frail.h has */
#define random_next  frail_random_next
#define random_below frail_random_below
#include "page/frail.h"
#undef random
#undef random_next
#undef random_below

enum { PAGES = 120, FRAMES = 40, PAGE = 4096, LIFE = 3000 };

struct disk {
    struct machine machine;
    struct frail home, journal;
};

/* Of each page: the version that is written last, and the one that is known to be durable. */
static uint64_t written[PAGES], durable[PAGES];
static uint64_t version;
static size_t torn, recovered, newer;

static void fill(uint64_t *at, uint64_t page, uint64_t v)
{
    for (size_t i = 0; i < PAGE / sizeof *at - 1; i++) {
        at[i] = v ? (v << 20) + (page << 10) + i : 0;
    }
}

/* The page's version; UINT64_MAX: it is torn. */
static uint64_t version_of(const uint64_t *at, uint64_t page)
{
    uint64_t v = at[0] >> 20, whole[PAGE / sizeof *at];
    fill(whole, page, v);
    return memcmp(at, whole, PAGE - sizeof *at) == 0 ? v : UINT64_MAX;
}

static int begin(struct disk *d, struct allot_pager *pager, uint64_t seed, bool journal)
{
    static struct allot_store second;
    struct allot_store home = frail_store(&d->home);
    second = frail_store(&d->journal);
    struct allot_pager_opts opts = {
        .frames = FRAMES,
        .policy = (enum allot_evict_policy)(seed % ALLOT_EVICT_POLICIES),
        .how = ALLOT_PAGER_CHECKED,
        .journal = journal ? &second : NULL,
        .journal_pages = 2 + seed % 64,
    };
    return allot_pager_init(pager, &home, &opts);
}

/* Until the machine dies. */
static void live(struct disk *d, struct allot_pager *pager, uint64_t *random)
{
    while (!d->machine.dead) {
        size_t what = random_below(random, 100);
        if (what < 6) {
            uint64_t before[PAGES];
            memcpy(before, written, sizeof before);
            if (allot_pager_sync(pager) == 0) {
                memcpy(durable, before, sizeof before);
            }
        } else if (what < 8) {
            allot_pager_flush(pager);
        } else {
            uint64_t page = random_below(random, PAGES);
            uint64_t *at = allot_pager_pin(pager, page, what % 2 ? ALLOT_PAGER_WRITE : ALLOT_PAGER_FRESH);
            if (at) {
                fill(at, page, written[page] = ++version);
                allot_pager_unpin(pager, at, ALLOT_PAGER_WRITE);
            }
        }
    }
    allot_pager_abandon(pager);
}

/* What the disk kept. Without a journal a torn page is told, which the sum shows. */
static void verify(struct allot_pager *pager, bool journal)
{
    for (uint64_t page = 0; page < PAGES; page++) {
        snprintf(check_context, sizeof check_context, "page %llu", (unsigned long long)page);
        uint64_t *at = allot_pager_pin(pager, page, ALLOT_PAGER_READ);
        if (!at) {
            CHECK(errno == EBADMSG && !journal);
            torn++;
            at = allot_pager_pin(pager, page, ALLOT_PAGER_FRESH);
            fill(at, page, written[page] = durable[page] = 0);
            allot_pager_unpin(pager, at, ALLOT_PAGER_WRITE);
            continue;
        }
        uint64_t v = version_of(at, page);
        CHECK(v != UINT64_MAX && v >= durable[page] && v <= written[page]);
        newer += v > durable[page];
        written[page] = durable[page] = v;
        allot_pager_unpin(pager, at, ALLOT_PAGER_READ);
    }
}

static void deaths(unsigned long count, uint64_t seed, bool journal)
{
    static struct disk d;
    uint64_t random = seed;
    d = (struct disk){.machine = {.left = 0}};
    frail_init(&d.home, &d.machine, (size_t)PAGES * PAGE, seed);
    frail_init(&d.journal, &d.machine, (size_t)66 * PAGE, seed + 1);
    memset(written, 0, sizeof written);
    memset(durable, 0, sizeof durable);
    for (unsigned long death = 0; death < count; death++) {
        struct allot_pager pager;
        struct allot_pager_stats stats;
        snprintf(check_run, sizeof check_run, "%s journal, death %lu of seed %llu", journal ? "with" : "without", death,
                 (unsigned long long)seed);
        /* While it is made whole the machine may die as well. */
        d.machine = (struct machine){.left = (long)random_below(&random, 200)};
        if (begin(&d, &pager, random_next(&random), journal) == 0) {
            allot_pager_abandon(&pager);
        }
        frail_crash(&d.home);
        frail_crash(&d.journal);
        d.machine = (struct machine){.left = 1 << 30};
        CHECK(begin(&d, &pager, random_next(&random), journal) == 0);
        allot_pager_stats(&pager, &stats);
        recovered += stats.recovered;
        verify(&pager, journal);
        CHECK(allot_pager_sync(&pager) == 0);
        d.machine.left = (long)random_below(&random, LIFE);
        d.home.fail_writes = d.journal.fail_writes = death % 2 * 20; /* in part */
        live(&d, &pager, &random);
        d.home.fail_writes = d.journal.fail_writes = 0;
        frail_crash(&d.home);
        frail_crash(&d.journal);
    }
    frail_done(&d.home);
    frail_done(&d.journal);
}

int main(int argc, char **argv)
{
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000 * test_scale();
    check_watch_aborts();
    deaths(count, 1, true);
    CHECK(torn == 0 && newer > 0);
    deaths(count / 3 + 1, 2, false);
    /* The test would have seen it. */
    CHECK(count < 20 || (torn > 0 && recovered > 0));
    printf("%lu deaths with a journal: %zu pages made whole; without, %zu torn\n", count, recovered, torn);
    return 0;
}
