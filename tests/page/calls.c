/* page/calls.c - see page/calls.h. */
#include "page/calls.h"

#include "common/check.h"

#include <errno.h>
#include <limits.h>

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
    struct calls_source from;
    uint64_t value;
    size_t failed;
};

/* Below `n`: of the bytes, as many as it takes, 0 behind their end; or at random. */
static size_t draw(struct world *w, size_t n)
{
    if (!w->from.bytes) {
        return random_below(&w->from.random, n);
    }
    size_t value = 0;
    for (size_t most = n - 1; most > 0 && w->from.left > 0; most >>= CHAR_BIT, w->from.left--) {
        value = value << CHAR_BIT | *w->from.bytes++;
    }
    return value % n;
}

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
    unsigned how = hows[draw(w, sizeof hows / sizeof *hows)];
    uint64_t page = draw(w, 1 + draw(w, PAGES));
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
    size_t i = draw(w, w->pins);
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
    uint64_t page = draw(w, PAGES), count = 1 + draw(w, 1 + draw(w, PAGES));
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
    size_t i = draw(w, w->pins), same = 0;
    uint64_t from = w->pin[i].page, to = draw(w, PAGES);
    for (size_t k = 0; k < w->pins; k++) {
        same += w->pin[k].page == from;
    }
    int wrong = allot_pager_rename(&w->pager, w->pin[i].at, to);
    if (from != to && (same > 1 || is_pinned(w, to))) {
        CHECK(wrong == -EBUSY);
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
    uint64_t page = draw(w, PAGES);
    int wrong = allot_pager_prefetch(&w->pager, page, draw(w, 20));
    CHECK(wrong == 0 || is_failure(w, -wrong));
}

/* The pager begins over the store as it is; with checksums and journal as it was begun first. */
static void open_pager(struct world *w)
{
    static struct allot_store journal;
    struct allot_store home = frail_store(&w->home);
    journal = frail_store(&w->journal);
    w->opts.frames = 1 + draw(w, 1 + draw(w, 2 * PAGES));
    w->opts.policy = (enum allot_evict_policy)draw(w, ALLOT_EVICT_POLICIES);
    w->opts.how = (w->opts.how & ALLOT_PAGER_CHECKED) | (draw(w, 2) ? ALLOT_PAGER_ALONE : 0);
    w->opts.readahead = draw(w, 2) ? 0 : 1 + draw(w, 300);
    w->opts.journal = w->opts.journal ? &journal : NULL;
    CHECK(allot_pager_init(&w->pager, &home, &w->opts) == 0);
}

static void let_store_fail(struct world *w, bool fails)
{
    w->home.fail_reads = fails ? 30 : 0;
    w->home.fail_writes = fails ? 60 : 0;
    w->home.fail_syncs = fails ? 100 : 0;
}

static void begin(struct world *w, const struct calls_source *from)
{
    static const struct allot_store some;
    *w = (struct world){.from = *from, .machine = {.left = -1}};
    w->size = (size_t)512 << draw(w, 4);
    w->opts = (struct allot_pager_opts){.page = w->size, .how = draw(w, 2) ? ALLOT_PAGER_CHECKED : 0};
    w->words = w->size / sizeof(uint64_t) - (w->opts.how ? 1 : 0);
    frail_init(&w->home, &w->machine, PAGES * w->size, 1 + draw(w, 256));
    frail_init(&w->journal, &w->machine, 65 * w->size, 1);
    if (draw(w, 3) == 0) {
        w->opts.journal = &some;
        w->opts.journal_pages = draw(w, 2) ? 0 : 2 + draw(w, 63);
    }
    open_pager(w);
    let_store_fail(w, draw(w, 2));
}

static void let_all_go(struct world *w)
{
    while (w->pins) {
        unpin(w);
    }
}

/* Nothing is pinned, nor does the store fail from then on. */
static void close_pager(struct world *w)
{
    let_all_go(w);
    if (allot_pager_done(&w->pager) != 0) { /* it is as it was */
        let_store_fail(w, false);
        allot_pager_check(&w->pager);
        CHECK(allot_pager_done(&w->pager) == 0);
    }
    for (uint64_t page = 0; page < PAGES; page++) {
        CHECK(stored(w, page) == w->now[page]);
    }
}

static void reopen(struct world *w)
{
    close_pager(w);
    let_store_fail(w, false);
    open_pager(w);
    let_store_fail(w, draw(w, 2));
}

static void ask(struct world *w)
{
    struct allot_pager_stats stats;
    allot_pager_stats(&w->pager, &stats);
    CHECK(stats.resident <= stats.frames && stats.dirty <= stats.resident && stats.use.count <= w->pins);
    for (size_t i = 0; i < w->pins; i++) {
        CHECK(allot_pager_frame(&w->pager, w->pin[i].at) < stats.frames);
    }
}

static void step(struct world *w)
{
    size_t what = draw(w, 256) % 100;
    if (what < 45) {
        pin(w);
    } else if (what < 88) {
        unpin(w);
    } else if (what < 90) {
        write_back(w, what % 2);
    } else if (what < 92) {
        prefetch(w);
    } else if (what < 93) {
        (draw(w, 8) ? ask : reopen)(w);
    } else if (w->home.fail_writes) {
        return; /* a page that is dropped may be torn in the store */
    } else if (what < 96) {
        drop(w);
    } else {
        rename_one(w);
    }
}

size_t calls_play(struct calls_source from, size_t steps)
{
    static struct world w;
    begin(&w, &from);
    for (size_t i = 0; i < steps && (!w.from.bytes || w.from.left > 0); i++) {
        snprintf(check_context, sizeof check_context, "step %zu", i);
        step(&w);
        if (i % 200 == 0) {
            allot_pager_check(&w.pager);
        }
    }
    allot_pager_check(&w.pager);
    close_pager(&w);
    frail_done(&w.home);
    frail_done(&w.journal);
    return w.failed;
}
