/* page/come.c - pages that come: read alone, with those behind them where they are asked for one after the other, or ahead of need.
 *
 *   missed:  17 18 | 19 20 21 22 | 23 ... 30 | 31 ...      a page that follows one that was missed is read with others: 4, 8, ...,
 *                                                          `readahead`
 *
 * A stream is known by the page that it would miss next; eight are, the one that was not missed for longest goes. What is read so
 * is AHEAD until it is pinned first: that is its first use, and no hit to the policy, which would take every page of a scan for one
 * that is used twice. When the reading of many fails, the one that is wanted is read alone, so nobody fails for a page that he did
 * not ask for.
 */
#include <errno.h>
#include <string.h>

#include "page/pager.h"

/* -- streams -- */

enum { WINDOW_FIRST = 4 };

size_t ahead_window(struct pager *p, uint64_t page)
{
    if (p->readahead < 2) {
        return 1;
    }
    os_lock(&p->ahead_lock);
    struct stream *oldest = p->stream;
    size_t window = 1;
    p->looks++;
    for (struct stream *s = p->stream; s < p->stream + STREAMS; s++) {
        if (s->window && page == s->next) {
            window = size_min(size_max(WINDOW_FIRST, 2 * (size_t)s->window), p->readahead);
            oldest = s;
            break;
        }
        oldest = p->looks - s->used > p->looks - oldest->used ? s : oldest;
    }
    *oldest = (struct stream){.next = page + window, .window = (uint32_t)window, .used = p->looks};
    os_unlock(&p->ahead_lock);
    return window;
}

void ahead_had(struct pager *p, uint64_t page, size_t count)
{
    os_lock(&p->ahead_lock);
    for (struct stream *s = p->stream; s < p->stream + STREAMS; s++) {
        if (s->next > page && s->next - page == s->window) {
            s->next = page + count;
        }
    }
    os_unlock(&p->ahead_lock);
}

/* -- arriving -- */

/* 0, or why not. */
static int page_arrives(struct pager *p, const struct coming *c, uint64_t bits, unsigned how)
{
    struct frame *f = &p->frame[c->frame];
    atomic_store(&f->page,
                 c->page); /* before the look at windows: one that is made, or ends, looks at the numbers then */
    int wrong = atomic_load(&p->window) ? window_place(p, c->page, frame_at(p, c->frame), bits & DIRTY, &bits) : 0;
    if (wrong) {
        return wrong;
    }
    atomic_store_explicit(&f->entry, c->at, memory_order_release);
    allot_evict_enter(&p->evict, c->frame, c->ghost, how & ALLOT_PAGER_COLD ? ALLOT_EVICT_COLD : 0);
    entry_store(p, c->at, RESIDENT | bits | c->frame);
    moving_less(p);
    return 0;
}

static void gives_up(struct pager *p, const struct coming *c)
{
    frame_give(p, c->frame);
    entry_store(p, c->at, c->ghost);
}

static int verify(struct pager *p, const struct coming *c)
{
    if (!p->checked || page_is_whole(p, c->page, frame_at(p, c->frame))) {
        return 0;
    }
    tally(p, wrong_sums, 1);
    atomic_store_explicit(&p->count.wrong_page, c->page, memory_order_relaxed);
    return -EBADMSG;
}

static int read_run(struct pager *p, const struct coming *c, size_t count)
{
    void *at[READ_MOST];
    for (size_t i = 0; i < count; i++) {
        at[i] = frame_at(p, c[i].frame);
    }
    tally(p, reads, 1);
    return store_result(p->store.read(p->store.self, c->page, p->size, at, count));
}

/* The page is claimed, where it is not there and a frame can be had for it without waiting: 1. 0: it is there; -ENOBUFS: there is no
 * frame; or -ENOMEM. */
static int claim(struct pager *p, uint64_t page, struct coming *c)
{
    *c = (struct coming){.page = page, .at = table_make(&p->table, page)};
    if (!c->at) {
        return -ENOMEM;
    }
    c->ghost = atomic_load_explicit(c->at, memory_order_relaxed);
    if (c->ghost & RESIDENT || !atomic_compare_exchange_strong(c->at, &c->ghost, RESIDENT | BUSY | NO_FRAME)) {
        return 0;
    }
    if (frame_take(p, c->ghost, false, &c->frame) != 0) {
        entry_store(p, c->at, c->ghost);
        return -ENOBUFS;
    }
    return 1;
}

static void arrives_ahead(struct pager *p, const struct coming *c)
{
    if (verify(p, c) == 0 && page_arrives(p, c, AHEAD, 0) == 0) {
        tally(p, ahead, 1);
    } else {
        gives_up(p, c);
    }
}

/* Reads the first and, as they come for nothing, those behind it. Only the first is not yet arrived then. */
static int read_with_others(struct pager *p, struct coming *c, size_t most)
{
    size_t count = 1;
    most = size_min(most, ALLOT_PAGER_PAGES - c->page);
    while (count < most && claim(p, c->page + count, &c[count]) > 0) {
        count++;
    }
    int wrong = read_run(p, c, count);
    for (size_t i = 1; i < count; i++) {
        if (wrong) {
            gives_up(p, &c[i]);
        } else {
            arrives_ahead(p, &c[i]);
        }
    }
    if (most > 1 && count != most) {
        ahead_had(p, c->page, count);
    }
    return wrong && count > 1 ? read_run(p, c, 1) : wrong;
}

static int read_wanted(struct pager *p, struct coming *c)
{
    size_t most = ahead_window(p, c->page);
    int wrong = most > 1 ? read_with_others(p, c, most) : read_run(p, c, 1);
    if (wrong) {
        tally(p, read_errors, 1);
        return wrong;
    }
    return verify(p, c);
}

int page_bring(struct pager *p, entry *at, uint64_t ghost, uint64_t page, unsigned how, uint64_t add)
{
    struct coming c[READ_MOST];
    c[0] = (struct coming){.at = at, .ghost = ghost, .page = page};
    int wrong = frame_take(p, ghost, true, &c->frame);
    if (wrong) {
        entry_store(p, at, ghost);
        return wrong;
    }
    tally(p, misses, 1);
    if ((how & ALLOT_PAGER_FRESH) == ALLOT_PAGER_FRESH) {
        memset(frame_at(p, c->frame), 0, p->size);
    } else {
        wrong = read_wanted(p, c);
    }
    wrong = wrong ? wrong : page_arrives(p, c, add, how);
    if (wrong) {
        gives_up(p, c);
    }
    return wrong;
}

/* -- ahead of need -- */

/* Neighbours that were claimed are one transfer. */
static size_t transfers(struct pager *p, const struct coming *c, size_t count, struct allot_store_io *io, void **at)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        at[i] = frame_at(p, c[i].frame);
        if (i > 0 && c[i].page == c[i - 1].page + 1) {
            io[n - 1].count++;
        } else {
            io[n++] = (struct allot_store_io){.page = c[i].page, .at = &at[i], .count = 1};
        }
    }
    return n;
}

static void read_transfers(struct pager *p, struct allot_store_io *io, size_t n)
{
    tally(p, reads, n);
    if (p->store.many && n > 1) {
        p->store.many(p->store.self, io, n, p->size, false);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        io[i].result = store_result(p->store.read(p->store.self, io[i].page, p->size, io[i].at, io[i].count));
    }
}

static int read_claimed(struct pager *p, const struct coming *c, size_t count)
{
    struct allot_store_io io[BATCH];
    void *at[BATCH];
    size_t n = transfers(p, c, count, io, at);
    int first = 0;
    read_transfers(p, io, n);
    for (size_t i = 0, k = 0; k < n; k++) {
        for (size_t of = 0; of < io[k].count; of++, i++) {
            if (io[k].result) {
                tally(p, read_errors, 1);
                gives_up(p, &c[i]);
            } else {
                arrives_ahead(p, &c[i]);
            }
        }
        first = first ? first : io[k].result;
    }
    return first;
}

int allot_pager_prefetch(struct allot_pager *pager, uint64_t page, size_t count)
{
    struct pager *p = pager_of(pager);
    int saved = errno, wrong = 0;
    size_t most = size_max(p->frames / 2, 1);
    bool full = false;
    if (page >= ALLOT_PAGER_PAGES || count > ALLOT_PAGER_PAGES - page) {
        return -EOVERFLOW;
    }
    for (size_t done = 0; done < count && most > 0 && !full && !wrong;) {
        struct coming c[BATCH];
        size_t n = 0;
        for (; done < count && n < size_min(BATCH, most) && !full && !wrong; done++) {
            int claimed = claim(p, page + done, &c[n]);
            n += claimed > 0;
            full = claimed == -ENOBUFS;
            wrong = claimed < 0 && !full ? claimed : 0;
        }
        int result = n ? read_claimed(p, c, n) : 0;
        wrong = wrong ? wrong : result;
        most -= n;
    }
    errno = saved;
    return wrong;
}
