/* page/back.c - dirty pages go back to the store: all of them, in order, or one whose frame is wanted.
 *
 *   flush:    frames, dirty --sort by number--> | 3 4 5 | 9 | 12 13 ... |   64 at a time: claimed, (journal,) written, neighbours
 *                                                                           in one transfer
 *   victim:   up to 15 dirty neighbours on either side go with it; with a journal, which costs a sync a time, whatever is dirty
 *
 * A page is WRITING meanwhile: it may be read, and who wants to write it waits. What fails is dirty again and FAILED, so that it is
 * left alone until the next flush. What was written is UNSYNCED until the store has been synced; if that fails, what of it is in
 * memory is dirty again, as nobody can know what the system has dropped. (Rebello et al., "Can applications recover from fsync
 * failures?", 2020.)
 */
#include <errno.h>

#include "page/pager.h"

enum { AROUND = 15 };

/* -- claiming, and what becomes of it -- */

static bool is_claimable(uint64_t word, uint32_t frame)
{
    return (word & (RESIDENT | BUSY | WRITING | DIRTY | WRITERS)) == (RESIDENT | DIRTY) && frame_in(word) == frame;
}

static bool claim(struct pager *p, uint32_t frame, struct back_item *item)
{
    entry *at = atomic_load_explicit(&p->frame[frame].entry, memory_order_acquire);
    uint64_t word = at ? atomic_load_explicit(at, memory_order_relaxed) : 0;
    do {
        if (!is_claimable(word, frame)) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(at, &word, (word & ~DIRTY) | WRITING));
    moving_more(p);
    *item = (struct back_item){.page = p->frame[frame].page, .frame = frame};
    if (word & WINDOWED) {
        window_freeze(p, item->page);
    }
    return true;
}

static void note_result(struct pager *p, const struct back_item *item)
{
    if (item->result) {
        atomic_store(&p->wrong, item->result);
        mark_set(p, item->frame, FAILED);
        tally(p, write_errors, 1);
    } else {
        mark_set(p, item->frame, UNSYNCED);
        mark_clear(p, item->frame, FAILED);
        tally(p, written, 1);
    }
}

static void finish(struct pager *p, const struct back_item *item)
{
    note_result(p, item);
    entry *at = p->frame[item->frame].entry;
    uint64_t word = atomic_load_explicit(at, memory_order_relaxed), dirty = item->result ? DIRTY : 0;
    while (!atomic_compare_exchange_weak(at, &word, (word & ~WRITING) | dirty)) {
    }
    os_event_raise(event_of(p, at));
    moving_less(p);
}

static void finish_all(struct pager *p, const struct back_item *items, size_t n, uint32_t except)
{
    for (size_t i = 0; i < n; i++) {
        if (items[i].frame != except) {
            finish(p, &items[i]);
        }
    }
}

/* -- writing -- */

static void sort_items(struct back_item *items, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct back_item item = items[i];
        size_t k = i;
        for (; k > 0 && items[k - 1].page > item.page; k--) {
            items[k] = items[k - 1];
        }
        items[k] = item;
    }
}

static void write_transfers(struct pager *p, struct allot_store_io *io, size_t n)
{
    tally(p, writes, n);
    if (p->store.many && n > 1) {
        p->store.many(p->store.self, io, n, p->size, true);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        io[i].result = store_result(p->store.write(p->store.self, io[i].page, p->size, io[i].at, io[i].count));
    }
}

static void write_home(struct pager *p, struct back_item *items, size_t n, void *const *at)
{
    struct allot_store_io io[BATCH];
    size_t runs = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && items[i].page == items[i - 1].page + 1) {
            io[runs - 1].count++;
        } else {
            io[runs++] = (struct allot_store_io){.page = items[i].page, .at = &at[i], .count = 1};
        }
    }
    write_transfers(p, io, runs);
    for (size_t i = 0, k = 0; k < runs; k++) {
        for (size_t of = 0; of < io[k].count; of++) {
            items[i++].result = io[k].result;
        }
    }
}

/* Up to 64 that are claimed. The results are in them, in order of number. With `back`, where there is a journal. */
static void write_items(struct pager *p, struct back_item *items, size_t n)
{
    void *at[BATCH] = {NULL};
    sort_items(items, n);
    for (size_t i = 0; i < n; i++) {
        uint64_t word = atomic_load_explicit(p->frame[items[i].frame].entry, memory_order_relaxed);
        at[i] = page_at(p, items[i].frame, word);
        if (p->checked) {
            page_seal(p, items[i].page, at[i]);
        }
    }
    int wrong = p->has_journal ? journal_put(p, items, n, at) : 0;
    if (!wrong) {
        write_home(p, items, n, at);
        if (p->has_journal) {
            journal_note(p, items, n);
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        items[i].result = wrong;
    }
}

/* -- for a frame -- */

static bool claim_page(struct pager *p, uint64_t page, struct back_item *item)
{
    entry *at = page < ALLOT_PAGER_PAGES ? table_find(&p->table, page) : NULL;
    uint64_t word = at ? atomic_load_explicit(at, memory_order_relaxed) : 0;
    return is_claimable(word, frame_in(word)) && frame_in(word) < p->frames && claim(p, frame_in(word), item);
}

static size_t claim_neighbours(struct pager *p, struct back_item *items)
{
    size_t n = 1;
    for (uint64_t d = 1; d <= AROUND && claim_page(p, items[0].page + d, &items[n]); d++) {
        n++;
    }
    for (uint64_t d = 1; d <= AROUND && d <= items[0].page && claim_page(p, items[0].page - d, &items[n]); d++) {
        n++;
    }
    return n;
}

static size_t claim_whatever(struct pager *p, struct back_item *items)
{
    size_t n = 1, most = size_min(p->journal.most, BATCH);
    uint32_t begun = atomic_load(&p->begun);
    for (uint32_t i = 1; i < begun && n < most; i++) {
        n += claim(p, (items[0].frame + i) % begun, &items[n]);
    }
    return n;
}

int back_write_victim(struct pager *p, uint32_t frame)
{
    struct back_item items[BATCH];
    items[0] = (struct back_item){.page = p->frame[frame].page, .frame = frame};
    uint64_t word = atomic_load_explicit(p->frame[frame].entry, memory_order_relaxed);
    if (p->has_journal) {
        os_lock(&p->back);
    }
    if (word & WINDOWED) {
        window_freeze(p, items[0].page);
    }
    size_t n = p->has_journal ? claim_whatever(p, items) : claim_neighbours(p, items);
    write_items(p, items, n);
    if (p->has_journal) {
        os_unlock(&p->back);
    }
    size_t victim = 0;
    while (items[victim].frame != frame) {
        victim++;
    }
    note_result(p, &items[victim]);
    finish_all(p, items, n, frame);
    return items[victim].result;
}

/* -- all of them -- */

static uint64_t page_in(const struct pager *p, uint32_t frame)
{
    return atomic_load_explicit(&p->frame[frame].page, memory_order_relaxed);
}

static void sift(const struct pager *p, size_t root, size_t n)
{
    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        child += child + 1 < n && page_in(p, p->order[child]) < page_in(p, p->order[child + 1]);
        if (page_in(p, p->order[root]) >= page_in(p, p->order[child])) {
            return;
        }
        uint32_t frame = p->order[root];
        p->order[root] = p->order[child];
        p->order[child] = frame;
    }
}

/* By page number, with no memory of its own. (Williams, heapsort, 1964.) */
static void sort_order(const struct pager *p, size_t n)
{
    for (size_t i = n / 2; i-- > 0;) {
        sift(p, i, n);
    }
    for (size_t i = n; i-- > 1;) {
        uint32_t frame = p->order[0];
        p->order[0] = p->order[i];
        p->order[i] = frame;
        sift(p, 0, i);
    }
}

static uint64_t word_of(const struct pager *p, uint32_t frame)
{
    entry *at = atomic_load_explicit(&p->frame[frame].entry, memory_order_acquire);
    return at ? atomic_load(at) : 0;
}

/* Waits for what others were writing, or letting go, as we came by. */
static int settle(struct pager *p)
{
    int wrong = 0;
    uint32_t begun = atomic_load(&p->begun);
    for (uint32_t i = 0; i < begun; i++) {
        /* Loaded once: the frame may lose its page at any moment, its entry is NULL then. */
        entry *at = atomic_load_explicit(&p->frame[i].entry, memory_order_acquire);
        uint64_t word = at ? atomic_load(at) : 0;
        if (at && frame_in(word) == i && (word & WRITING || (word & (BUSY | DIRTY)) == (BUSY | DIRTY))) {
            entry_wait(p, at, BUSY | WRITING);
            wrong = marked(p, i, FAILED) ? atomic_load(&p->wrong) : wrong;
        }
    }
    return wrong;
}

static int flush_batch(struct pager *p, const uint32_t *order, size_t count, bool *busy)
{
    struct back_item items[BATCH];
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        bool claimed = claim(p, order[i], &items[n]);
        n += claimed;
        *busy = *busy || (!claimed && (word_of(p, order[i]) & WRITERS));
    }
    int wrong = 0;
    if (n) {
        write_items(p, items, n);
        for (size_t i = 0; i < n; i++) {
            wrong = wrong ? wrong : items[i].result;
        }
        finish_all(p, items, n, UINT32_MAX);
    }
    return wrong;
}

int back_flush(struct pager *p)
{
    if (!p->store.write) {
        return 0;
    }
    os_lock(&p->back);
    marks_clear(p, FAILED);
    size_t n = 0, most = p->has_journal ? size_min(p->journal.most, BATCH) : BATCH;
    uint32_t begun = atomic_load(&p->begun);
    for (uint32_t i = 0; i < begun; i++) {
        uint64_t word = word_of(p, i);
        if ((word & (RESIDENT | DIRTY)) == (RESIDENT | DIRTY) && frame_in(word) == i) {
            p->order[n++] = i;
        }
    }
    sort_order(p, n);
    bool busy = false;
    int wrong = 0;
    for (size_t i = 0; i < n; i += most) {
        int result = flush_batch(p, p->order + i, size_min(most, n - i), &busy);
        wrong = wrong ? wrong : result;
    }
    os_unlock(&p->back);
    int others = settle(p);
    wrong = wrong ? wrong : others;
    return wrong ? wrong : busy ? -EBUSY : 0;
}

/* -- the store's sync -- */

/* What is AHEAD has come to the frame since, and was never written. */
static void dirty_again(struct pager *p, uint32_t frame)
{
    entry *at = atomic_load_explicit(&p->frame[frame].entry, memory_order_acquire);
    uint64_t word = at ? atomic_load(at) : 0;
    while ((word & (RESIDENT | BUSY | AHEAD)) == RESIDENT && frame_in(word) == frame &&
           !atomic_compare_exchange_weak(at, &word, word | DIRTY)) {
    }
}

/* With `back`. */
static int sync_home(struct pager *p)
{
    uint32_t begun = atomic_load(&p->begun);
    for (uint32_t i = 0; i < begun; i++) {
        if (marked(p, i, UNSYNCED)) {
            mark_set(p, i, SYNCING);
            mark_clear(p, i, UNSYNCED);
        }
    }
    tally(p, syncs, 1);
    int wrong = p->store.sync ? store_result(p->store.sync(p->store.self)) : 0;
    for (uint32_t i = 0; i < begun; i++) {
        if (marked(p, i, SYNCING)) {
            mark_clear(p, i, SYNCING);
            if (wrong) {
                dirty_again(p, i);
            }
        }
    }
    if (wrong) {
        tally(p, sync_errors, 1);
    }
    return wrong;
}

int back_sync_store(struct pager *p)
{
    int wrong = sync_home(p);
    if (!wrong && p->has_journal) {
        p->journal.home_unsynced = false;
    }
    return wrong;
}
