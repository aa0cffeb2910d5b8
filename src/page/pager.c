/* page/pager.c - pins and their ends, pages that are forgotten or renamed, begin and end. See include/allot/pager.h, page/pager.h.
 *
 * Not here: where frames come from (frames.c), how pages come (come.c) and go back (back.c, journal.c), what is told of them
 * (tell.c).
 */
#include "page/pager.h"

#include <errno.h>
#include <string.h>

#include <allot/malloc.h>

#include "os/memory.h"

struct pager *pager_of(const struct allot_pager *pager)
{
    if (unlikely(!pager->state)) {
        allot_fault("use of a pager that was not initialised, or is done", "pager", pager);
    }
    return pager->state;
}

void entry_wait(struct pager *p, entry *at, uint64_t bits)
{
    struct os_event *event = event_of(p, at);
    for (;;) {
        uint32_t seen = os_event_expect(event);
        uint64_t word = atomic_load(at);
        if (!(word & RESIDENT) || !(word & bits)) {
            os_event_leave(event);
            return;
        }
        tally(p, waits, 1);
        os_event_sleep(event, seen);
    }
}

char *page_at(const struct pager *p, uint32_t frame, uint64_t word)
{
    return likely(!(word & WINDOWED)) ? frame_at(p, frame) : window_at(p, p->frame[frame].page);
}

/* -- pin -- */

/* Of an entry's word, where a pin may get through: pinned once more. False: it has changed, or was cleared of its hits. */
static bool add_pin(struct pager *p, entry *at, uint64_t word, uint64_t add, unsigned how)
{
    if (word & HITS_MANY) {
        if (atomic_compare_exchange_strong(at, &word, word & ~HITS)) {
            tally(p, hits, (word & HITS) / HIT);
        }
        return false;
    }
    if (!atomic_compare_exchange_strong(at, &word, ((word & ~AHEAD) + HIT + (add & ~DIRTY)) | (add & DIRTY))) {
        return false;
    }
    if (word & AHEAD) {
        tally(p, ahead_used, 1);
    } else if (!(how & ALLOT_PAGER_COLD)) {
        allot_evict_hit(&p->evict, frame_in(word));
    }
    return true;
}

enum { NOT_NOW = 1, AGAIN };

/* One look at the page: 0 and where it is; NOT_NOW, of TRY; AGAIN: another look may tell; or what is wrong. */
static int look(struct pager *p, uint64_t page, unsigned how, void **out)
{
    bool writes = how & ALLOT_PAGER_WRITE;
    uint64_t add = PIN + (writes ? WRITER | DIRTY : 0), blocks = BUSY | (writes ? WRITING : 0);
    entry *at = table_find(&p->table, page);
    at = at || how & ALLOT_PAGER_TRY ? at : table_make(&p->table, page);
    if (!at) {
        return how & ALLOT_PAGER_TRY ? NOT_NOW : -ENOMEM;
    }
    uint64_t word = atomic_load_explicit(at, memory_order_acquire);
    if (!(word & RESIDENT)) {
        if (how & ALLOT_PAGER_TRY) {
            return NOT_NOW;
        }
        if (!atomic_compare_exchange_strong(at, &word, RESIDENT | BUSY | NO_FRAME)) {
            return AGAIN;
        }
        int wrong = page_bring(p, at, word, page, how, add);
        if (wrong) {
            return wrong;
        }
        word = atomic_load_explicit(at, memory_order_relaxed);
    } else if (word & blocks) {
        if (how & ALLOT_PAGER_TRY) {
            return NOT_NOW;
        }
        entry_wait(p, at, blocks);
        return AGAIN;
    } else if ((word & PINS) == PINS || (writes && (word & WRITERS) == WRITERS)) {
        return -EOVERFLOW;
    } else if (!add_pin(p, at, word, add, how)) {
        return AGAIN;
    }
    *out = page_at(p, frame_in(word), word);
    return 0;
}

static __attribute__((noinline)) void *pin_slowly(struct pager *p, uint64_t page, unsigned how)
{
    int saved = errno, wrong = page >= ALLOT_PAGER_PAGES ? -EOVERFLOW : 0;
    void *at = NULL;
    if (how & ALLOT_PAGER_WRITE && !p->store.write) {
        wrong = -EROFS;
    }
    while (!wrong && !at) {
        wrong = look(p, page, how, &at);
        wrong = wrong == AGAIN ? 0 : wrong;
    }
    if (wrong < 0) {
        tally(p, refused, 1);
    }
    errno = wrong == NOT_NOW ? EAGAIN : wrong ? -wrong : saved;
    return at;
}

/* LRU and ARC are told of each hit. */
static __attribute__((noinline)) void *hit_in_order(struct pager *p, uint32_t frame)
{
    allot_evict_note(&p->evict, frame);
    return frame_at(p, frame);
}

/* The calls are all in its tail, so that it needs no stack. `writes` is a constant in each of its two copies. */
static inline __attribute__((always_inline)) void *pin(struct pager *p, uint64_t page, unsigned how, bool writes)
{
    entry *at = table_find(&p->table, page);
    if (unlikely(!at)) {
        return pin_slowly(p, page, how);
    }
    uint64_t word = atomic_load_explicit(at, memory_order_acquire);
    uint64_t now = (word + PIN + HIT + (writes ? WRITER : 0)) | (writes ? DIRTY : 0);
    if (unlikely((word & p->wanted[writes]) != RESIDENT)) {
        return pin_slowly(p, page, how);
    }
    if (p->alone) {
        atomic_store_explicit(at, now, memory_order_relaxed);
    } else if (unlikely(!atomic_compare_exchange_strong_explicit(at, &word, now, memory_order_acquire,
                                                                 memory_order_relaxed))) {
        return pin_slowly(p, page, how);
    }
    uint32_t frame = frame_in(word);
    if (unlikely(how & ALLOT_PAGER_COLD)) {
        return frame_at(p, frame);
    }
    uint8_t used = __atomic_load_n(&p->evict.used[frame], __ATOMIC_RELAXED);
    if (used < p->evict.most) { /* allot_evict_hit, but for the call in the tail */
        __atomic_store_n(&p->evict.used[frame], (uint8_t)(used + 1), __ATOMIC_RELAXED);
    } else if (unlikely(p->evict.ordered)) {
        return hit_in_order(p, frame);
    }
    return frame_at(p, frame);
}

void *allot_pager_pin(struct allot_pager *pager, uint64_t page, unsigned how)
{
    struct pager *p = pager->state;
    if (unlikely(!p)) {
        return pager_of(pager);
    }
    return how & ALLOT_PAGER_WRITE ? pin(p, page, how, true) : pin(p, page, how, false);
}

/* -- unpin -- */

static __attribute__((noinline, cold, noreturn)) void no_pin(const void *at)
{
    allot_fault("unpin of what is not pinned, or not so", "page", at);
}

/* The word of the page that is at an address outside the frames. */
static __attribute__((noinline)) entry *entry_in_window(const struct pager *p, const void *at)
{
    uint64_t page = window_page(p, at);
    entry *found = page < ALLOT_PAGER_PAGES ? table_find(&p->table, page) : NULL;
    if (!found || (uintptr_t)at & (p->size - 1)) {
        no_pin(at);
    }
    return found;
}

/* The word of the page that is at that address. */
static inline __attribute__((always_inline)) entry *entry_at(const struct pager *p, const void *at)
{
    size_t offset = (size_t)((const char *)at - p->base);
    if (unlikely(offset >> p->shift >= p->frames)) {
        return entry_in_window(p, at);
    }
    entry *found = atomic_load_explicit(&p->frame[offset >> p->shift].entry, memory_order_relaxed);
    if (unlikely(!found || offset & (p->size - 1))) {
        no_pin(at);
    }
    return found;
}

/* What the word was: whether there was such a pin to end. */
static __attribute__((noinline)) void check_pin(const void *page, uint64_t word, bool writes)
{
    uint64_t pins = (word & PINS) / PIN, writers = (word & WRITERS) / WRITER;
    if (!(word & RESIDENT) || pins == 0 || (writes ? writers == 0 : pins == writers)) {
        no_pin(page);
    }
}

/* `writes` is a constant where it is called. The usual case, one pin or more and none for WRITE, is one comparison. */
static inline __attribute__((always_inline)) void end_pin(const struct pager *p, entry *at, const void *page,
                                                          bool writes)
{
    uint64_t less = PIN + (writes ? WRITER : 0), word;
    if (p->alone) {
        word = atomic_load_explicit(at, memory_order_relaxed);
        atomic_store_explicit(at, word - less, memory_order_relaxed);
    } else {
        word = atomic_fetch_sub_explicit(at, less, memory_order_release);
    }
    if (writes || unlikely((word & (PINS | WRITERS)) - PIN >= PINS)) {
        check_pin(page, word, writes);
    }
}

static __attribute__((noinline)) void unpin_in_window(const struct pager *p, const void *page, bool writes)
{
    if (writes) {
        end_pin(p, entry_in_window(p, page), page, true);
    } else {
        end_pin(p, entry_in_window(p, page), page, false);
    }
}

static __attribute__((noinline)) void unpin_of_none(struct allot_pager *pager) { pager_of(pager); }

/* As pin: calls are in its tail. */
void allot_pager_unpin(struct allot_pager *pager, void *page, unsigned how)
{
    struct pager *p = pager->state;
    if (unlikely(!p)) {
        unpin_of_none(pager);
        return;
    }
    size_t offset = (size_t)((const char *)page - p->base), frame = offset >> p->shift;
    if (unlikely(frame >= p->frames)) {
        unpin_in_window(p, page, how & ALLOT_PAGER_WRITE);
        return;
    }
    entry *at = atomic_load_explicit(&p->frame[frame].entry, memory_order_relaxed);
    if (unlikely(!at || offset & p->inside)) {
        no_pin(page);
    }
    if (how & ALLOT_PAGER_WRITE) {
        end_pin(p, at, page, true);
    } else {
        end_pin(p, at, page, false);
    }
}

size_t allot_pager_frame(const struct allot_pager *pager, const void *at)
{
    return frame_in(atomic_load_explicit(entry_at(pager_of(pager), at), memory_order_relaxed));
}

/* -- pages that are forgotten, and renamed -- */

/* A page that is there and not pinned is BUSY, and out of the policy; its frame is moving. 0: it was not there, 1: it is so, or
 * -EBUSY. */
static int claim_unpinned(struct pager *p, entry *at, uint64_t *word)
{
    for (;;) {
        *word = atomic_load(at);
        if (!(*word & RESIDENT)) {
            return 0;
        }
        if (*word &
            PINS) { /* first, as a page that is being renamed is BUSY and pinned, and who renames waits here for others */
            return -EBUSY;
        }
        if (*word & (BUSY | WRITING)) {
            entry_wait(p, at, BUSY | WRITING);
            continue;
        }
        os_lock(&p->lock);
        bool claimed = atomic_compare_exchange_strong(at, word, *word | BUSY);
        if (claimed) {
            allot_evict_leave(&p->evict, frame_in(*word));
            moving_more(p);
        }
        os_unlock(&p->lock);
        if (claimed) {
            return 1;
        }
    }
}

static int drop_page(struct pager *p, entry *at, uint64_t page)
{
    uint64_t word;
    int claimed = claim_unpinned(p, at, &word);
    if (claimed <= 0) {
        return claimed;
    }
    if (word & WINDOWED) {
        window_forget(p, page);
    }
    frame_forget(p, frame_in(word), word);
    entry_store(p, at, 0);
    frame_give(p, frame_in(word));
    return 0;
}

int allot_pager_drop(struct allot_pager *pager, uint64_t page, uint64_t count)
{
    struct pager *p = pager_of(pager);
    uint64_t end = count > ALLOT_PAGER_PAGES - page ? ALLOT_PAGER_PAGES : page + count;
    int wrong = 0;
    if (page >= ALLOT_PAGER_PAGES) {
        return 0;
    }
    if (count < p->frames) {
        for (; page < end; page++) {
            entry *at = table_find(&p->table, page);
            int result = at ? drop_page(p, at, page) : 0;
            wrong = wrong ? wrong : result;
        }
        return wrong;
    }
    uint32_t begun = atomic_load(&p->begun);
    for (uint32_t i = 0; i < begun; i++) {
        uint64_t in = atomic_load(&p->frame[i].page);
        /* Not the frame's entry, which may be another page's by now. */
        entry *at = in >= page && in < end ? table_find(&p->table, in) : NULL;
        int result = at ? drop_page(p, at, in) : 0;
        wrong = wrong ? wrong : result;
    }
    return wrong;
}

/* The word for the page to become, BUSY without a frame; NULL with the reason. */
static entry *claim_name(struct pager *p, uint64_t page, int *wrong)
{
    entry *at = page < ALLOT_PAGER_PAGES ? table_make(&p->table, page) : NULL;
    *wrong = at ? 0 : page < ALLOT_PAGER_PAGES ? -ENOMEM : -EOVERFLOW;
    while (!*wrong) {
        *wrong = drop_page(p, at, page);
        uint64_t word = atomic_load(at);
        if (!*wrong && !(word & RESIDENT) && atomic_compare_exchange_strong(at, &word, RESIDENT | BUSY | NO_FRAME)) {
            return at;
        }
    }
    return NULL;
}

static int rename_page(struct pager *p, void *page, uint64_t to)
{
    entry *at = entry_at(p, page);
    uint64_t word = atomic_load(at);
    if (!(word & PINS)) {
        no_pin(page);
    }
    if (!p->store.write) {
        return -EROFS;
    }
    if (frame_in(word) < p->frames && p->frame[frame_in(word)].page == to) {
        return 0;
    }
    if (word & WINDOWED || window_has(p, to)) {
        return -EBUSY;
    }
    while ((word & (PINS | WRITING)) == PIN && !atomic_compare_exchange_weak(at, &word, word | BUSY)) {
    }
    if ((word & (PINS | WRITING)) != PIN) {
        return -EBUSY;
    }
    int wrong; /* only now: the other page is gone with this */
    entry *new = claim_name(p, to, &wrong);
    if (wrong) {
        entry_store(p, at, word);
        return wrong;
    }
    struct frame *frame = &p->frame[frame_in(word)];
    os_lock(&p->lock); /* who looks for a victim, or claims one, sees either name */
    atomic_store(&frame->page, to);
    atomic_store(&frame->entry, new);
    os_unlock(&p->lock);
    entry_store(p, at, 0);
    entry_store(p, new, word | DIRTY);
    return 0;
}

int allot_pager_rename(struct allot_pager *pager, void *page, uint64_t to)
{
    int saved = errno, wrong = rename_page(pager_of(pager), page, to);
    errno = saved;
    return wrong;
}

/* -- writing back -- */

int allot_pager_flush(struct allot_pager *pager)
{
    int saved = errno, wrong = back_flush(pager_of(pager));
    errno = saved;
    return wrong;
}

int allot_pager_sync(struct allot_pager *pager)
{
    struct pager *p = pager_of(pager);
    int saved = errno, wrong = back_flush(p);
    os_lock(&p->back);
    int synced = back_sync_store(p);
    os_unlock(&p->back);
    errno = saved;
    return wrong && wrong != -EBUSY ? wrong : synced ? synced : wrong;
}

/* -- begin and end -- */

static bool is_sound(const struct allot_store *store, const struct allot_pager_opts *opts, size_t page)
{
    return store && store->read && is_power_of_2(page) && page >= 512 && page <= 64 * KIB &&
           opts->frames <= ALLOT_EVICT_MAX - 1 && !(opts->how & ~(unsigned)(ALLOT_PAGER_ALONE | ALLOT_PAGER_CHECKED)) &&
           (!opts->journal ||
            (opts->journal->read && opts->journal->write && store->write && opts->journal_pages != 1));
}

/* The state, and behind it what there is for each frame. */
static struct pager *make(size_t frames)
{
    size_t each = sizeof(struct frame) + 2 * sizeof(uint32_t) + 1;
    char *memory = allot_calloc(1, sizeof(struct pager) + 64 + frames * each);
    if (!memory) {
        return NULL;
    }
    struct pager *p = (struct pager *)align_up((size_t)memory, 64);
    p->memory = memory;
    p->frame = (struct frame *)(p + 1);
    p->free = (uint32_t *)(p->frame + frames);
    p->order = p->free + frames;
    p->mark = (uint8_t *)(p->order + frames);
    return p;
}

static void unmake(struct pager *p)
{
    windows_abandon(p);
    if (p->base) {
        os_unmap(p->base, p->frames * p->size);
    }
    if (p->evict.state) {
        allot_evict_done(&p->evict);
    }
    journal_done(p);
    table_done(&p->table);
    allot_free(p->memory);
}

static int fill(struct pager *p, const struct allot_store *store, const struct allot_pager_opts *opts, size_t page)
{
    bool can_write = store->write;
    p->size = page;
    p->shift = log2_floor(page);
    p->inside = page - 1;
    p->frames = opts->frames ? opts->frames : ALLOT_PAGER_FRAMES;
    p->store = *store;
    p->alone = opts->how & ALLOT_PAGER_ALONE;
    p->checked = opts->how & ALLOT_PAGER_CHECKED;
    p->readahead = size_min(opts->readahead ? opts->readahead : ALLOT_PAGER_READAHEAD, READ_MOST);
    p->readahead = size_min(p->readahead, size_max(p->frames / 4, 1));
    p->wanted[0] = RESIDENT | BUSY | AHEAD | WINDOWED | HITS_MANY | PINS_MANY;
    p->wanted[1] = can_write ? p->wanted[0] | WRITING | WRITERS_MANY : 0;
    int wrong = allot_evict_init(&p->evict, opts->policy, p->frames, opts->evict);
    if (wrong) {
        return wrong;
    }
    p->base = p->frames <= SIZE_MAX / 2 / page ? os_map_aligned(p->frames * page, size_max(page, os_page)) : NULL;
    if (!p->base) {
        return -ENOMEM;
    }
    return opts->journal ? journal_init(p, opts->journal, opts->journal_pages ? opts->journal_pages : BATCH + 1) : 0;
}

int allot_pager_init(struct allot_pager *pager, const struct allot_store *store, const struct allot_pager_opts *opts)
{
    static const struct allot_pager_opts defaults;
    int saved = errno;
    opts = opts ? opts : &defaults;
    size_t page = opts->page ? opts->page : 4 * KIB;
    *pager = (struct allot_pager){0};
    if (!is_sound(store, opts, page)) {
        return -EINVAL;
    }
    os_memory_init();
    struct pager *p = make(opts->frames ? opts->frames : ALLOT_PAGER_FRAMES);
    int wrong = p ? fill(p, store, opts, page) : -ENOMEM;
    if (wrong && p) {
        unmake(p);
    }
    pager->state = wrong ? NULL : p;
    errno = saved;
    return wrong;
}

int allot_pager_done(struct allot_pager *pager)
{
    struct pager *p = pager_of(pager);
    uint32_t begun = atomic_load(&p->begun);
    for (uint32_t i = 0; i < begun; i++) {
        entry *at = atomic_load(&p->frame[i].entry);
        if (at && (atomic_load(at) & (PINS | WINDOWED))) {
            allot_fault("done while pages are pinned", "page", (void *)(uintptr_t)p->frame[i].page);
        }
    }
    if (p->window) {
        allot_fault("done while pages are pinned", "window", p->window);
    }
    int saved = errno, wrong = back_flush(p);
    if (!wrong && p->has_journal) {
        os_lock(&p->back);
        wrong = journal_mend(p, NULL, 0);
        wrong = wrong ? wrong : back_sync_store(p);
        wrong = wrong ? wrong : journal_void(p);
        os_unlock(&p->back);
    }
    if (!wrong) {
        unmake(p);
        pager->state = NULL;
    }
    errno = saved;
    return wrong;
}

void allot_pager_abandon(struct allot_pager *pager)
{
    int saved = errno;
    unmake(pager_of(pager));
    pager->state = NULL;
    errno = saved;
}
