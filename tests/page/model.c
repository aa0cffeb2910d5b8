/* page/model.c - the pager beside a plain array: whatever is asked of it, by whatever policy, over a store that fails now and then,
 * each page reads as it was written last; and what was refused has changed nothing.
 *
 * Usage: model [SEEDS]
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

enum { PAGES = 300, PINNED = 12 };

struct world {
    struct allot_pager pager;
    struct frail home, journal;
    struct machine machine;
    struct allot_pager_opts opts;
    size_t size, words;  /* of a page; of these so many are the program's */
    uint64_t now[PAGES]; /* what each page holds: a value, in each word of it */
    struct {
        uint64_t page;
        uint64_t *at;
        unsigned how;
    } pin[PINNED];
    size_t pins;
    uint64_t random, value;
    size_t failed;
};

static uint64_t word_of(uint64_t value, size_t i) { return value ? value * 1000003 + i : 0; }

static uint64_t value_of(const struct world *w, const uint64_t *at)
{
    uint64_t value = at[0] / 1000003;
    for (size_t i = 0; i < w->words; i++) {
        CHECK(at[i] == word_of(value, i));
    }
    return value;
}

static uint64_t stored(const struct world *w, uint64_t page)
{
    return value_of(w, (const uint64_t *)(w->home.now + page * w->size));
}

static bool is_pinned(const struct world *w, uint64_t page)
{
    for (size_t i = 0; i < w->pins; i++) {
        if (w->pin[i].page == page) {
            return true;
        }
    }
    return false;
}

static bool is_failure(const struct world *w, int error)
{
    return error == EIO && w->home.fail_reads + w->home.fail_writes + w->home.fail_syncs > 0;
}

static void pin(struct world *w)
{
    static const unsigned hows[] = {ALLOT_PAGER_READ,
                                    ALLOT_PAGER_READ,
                                    ALLOT_PAGER_READ | ALLOT_PAGER_COLD,
                                    ALLOT_PAGER_WRITE,
                                    ALLOT_PAGER_FRESH,
                                    ALLOT_PAGER_READ | ALLOT_PAGER_TRY,
                                    ALLOT_PAGER_WRITE | ALLOT_PAGER_TRY};
    unsigned how = hows[random_below(&w->random, sizeof hows / sizeof *hows)];
    uint64_t page = random_below(&w->random, 1 + random_below(&w->random, PAGES));
    if (w->pins == PINNED) {
        return;
    }
    errno = 7;
    uint64_t *at = allot_pager_pin(&w->pager, page, how);
    if (!at) {
        CHECK((errno == EAGAIN && how & ALLOT_PAGER_TRY) || (errno == ENOBUFS && w->pins > 0) || is_failure(w, errno));
        w->failed++;
        return;
    }
    CHECK(errno == 7);
    uint64_t held = value_of(w, at);
    if (how == ALLOT_PAGER_FRESH && held != w->now[page]) {
        CHECK(held == 0 && !is_pinned(w, page));
    } else {
        CHECK(held == w->now[page]);
    }
    if (how & ALLOT_PAGER_WRITE) {
        w->now[page] = ++w->value;
        for (size_t i = 0; i < w->words; i++) {
            at[i] = word_of(w->value, i);
        }
    }
    w->pin[w->pins].page = page;
    w->pin[w->pins].at = at;
    w->pin[w->pins++].how = how & ALLOT_PAGER_WRITE;
}

static void unpin(struct world *w)
{
    if (w->pins == 0) {
        return;
    }
    size_t i = random_below(&w->random, w->pins);
    CHECK(value_of(w, w->pin[i].at) == w->now[w->pin[i].page]);
    allot_pager_unpin(&w->pager, w->pin[i].at, w->pin[i].how);
    w->pin[i] = w->pin[--w->pins];
}

static bool any_writers(const struct world *w)
{
    bool any = false;
    for (size_t i = 0; i < w->pins; i++) {
        any = any || w->pin[i].how;
    }
    return any;
}

static void write_back(struct world *w, bool sync)
{
    int wrong = (sync ? allot_pager_sync : allot_pager_flush)(&w->pager);
    CHECK(wrong == 0 || (wrong == -EBUSY && any_writers(w)) || is_failure(w, -wrong));
    for (uint64_t page = 0; page < PAGES && wrong == 0; page++) {
        CHECK(stored(w, page) == w->now[page]);
    }
}

static void drop(struct world *w)
{
    uint64_t page = random_below(&w->random, PAGES),
             count = 1 + random_below(&w->random, 1 + random_below(&w->random, PAGES));
    bool busy = false;
    int wrong = allot_pager_drop(&w->pager, page, count);
    for (uint64_t i = page; i < page + count && i < PAGES; i++) {
        busy = busy || is_pinned(w, i);
        w->now[i] = is_pinned(w, i) ? w->now[i] : stored(w, i);
    }
    CHECK(wrong == (busy ? -EBUSY : 0));
}

static void rename_one(struct world *w)
{
    if (w->pins == 0) {
        return;
    }
    size_t i = random_below(&w->random, w->pins), same = 0;
    uint64_t from = w->pin[i].page, to = random_below(&w->random, PAGES);
    for (size_t k = 0; k < w->pins; k++) {
        same += w->pin[k].page == from;
    }
    int wrong = allot_pager_rename(&w->pager, w->pin[i].at, to);
    if (from != to && (same > 1 || is_pinned(w, to))) {
        CHECK(wrong == -EBUSY);
        w->now[to] = is_pinned(w, to) ? w->now[to] : stored(w, to);
        return;
    }
    CHECK(wrong == 0);
    if (from != to) {
        w->now[to] = w->now[from];
        w->now[from] = stored(w, from);
        w->pin[i].page = to;
    }
    CHECK(value_of(w, w->pin[i].at) == w->now[to]);
}

static void prefetch(struct world *w)
{
    int wrong = allot_pager_prefetch(&w->pager, random_below(&w->random, PAGES), random_below(&w->random, 20));
    CHECK(wrong == 0 || is_failure(w, -wrong));
}

static void step(struct world *w)
{
    size_t what = random_below(&w->random, 100);
    if (what < 45) {
        pin(w);
    } else if (what < 88) {
        unpin(w);
    } else if (what < 90) {
        write_back(w, what % 2);
    } else if (what < 93) {
        prefetch(w);
    } else if (w->home.fail_writes) {
        return; /* a page that is dropped may be torn in the store */
    } else if (what < 96) {
        drop(w);
    } else {
        rename_one(w);
    }
}

static void let_all_go(struct world *w)
{
    while (w->pins) {
        unpin(w);
    }
}

static void begin(struct world *w, uint64_t seed)
{
    *w = (struct world){.random = seed, .machine = {.left = -1}};
    w->size = (size_t)512 << random_below(&w->random, 4);
    w->opts = (struct allot_pager_opts){
        .page = w->size,
        .frames = 1 + random_below(&w->random, 1 + random_below(&w->random, 2 * PAGES)),
        .policy = (enum allot_evict_policy)(seed % ALLOT_EVICT_POLICIES),
        .how = (unsigned)random_below(&w->random, 4),
        .readahead = random_below(&w->random, 2) ? 0 : 1 + random_below(&w->random, 300),
    };
    w->words = w->size / sizeof(uint64_t) - (w->opts.how & ALLOT_PAGER_CHECKED ? 1 : 0);
    frail_init(&w->home, &w->machine, PAGES * w->size, seed);
    frail_init(&w->journal, &w->machine, 65 * w->size, seed + 1);
    if (random_below(&w->random, 3) == 0) {
        static struct allot_store journal;
        journal = frail_store(&w->journal);
        w->opts.journal = &journal;
        w->opts.journal_pages = random_below(&w->random, 2) ? 0 : 2 + random_below(&w->random, 63);
    }
    struct allot_store home = frail_store(&w->home);
    CHECK(allot_pager_init(&w->pager, &home, &w->opts) == 0);
    if (random_below(&w->random, 2)) {
        w->home.fail_reads = 30;
        w->home.fail_writes = 60;
        w->home.fail_syncs = 100;
    }
}

static void end(struct world *w)
{
    let_all_go(w);
    if (allot_pager_done(&w->pager) != 0) { /* it is as it was */
        w->home.fail_reads = w->home.fail_writes = w->home.fail_syncs = 0;
        allot_pager_check(&w->pager);
        CHECK(allot_pager_done(&w->pager) == 0);
    }
    for (uint64_t page = 0; page < PAGES; page++) {
        CHECK(stored(w, page) == w->now[page]);
    }
    frail_done(&w->home);
    frail_done(&w->journal);
}

int main(int argc, char **argv)
{
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 70 * test_scale();
    size_t failed = 0;
    check_watch_aborts();
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        static struct world w;
        snprintf(check_run, sizeof check_run, "seed %llu", (unsigned long long)seed);
        begin(&w, seed);
        for (size_t i = 0; i < 4000; i++) {
            snprintf(check_context, sizeof check_context, "step %zu", i);
            step(&w);
            if (i % 200 == 0) {
                allot_pager_check(&w.pager);
            }
        }
        failed += w.failed;
        end(&w);
    }
    CHECK(failed > 0);
    return 0;
}
