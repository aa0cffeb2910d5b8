/* page/window.c - pages as plain memory: a window, whose pages come when they are touched (os/userfault.h).
 *
 *   touch:  a page that is not there --> pin: read into its frame --> copied to the window, its frame's memory given up --> unpin
 *           one that is clean, stored to --> pin for WRITE: dirty --> thawed --> unpin
 *   goes:   frozen, written from where it is --> not there
 *
 * A page that is in a window lies there and nowhere else, WINDOWED in its word, and takes a frame in number, not in memory: so the
 * bound holds. Every page of the window's numbers that comes, whoever asked for it, comes there; those that are in frames when it is
 * made move there. A clean one is protected, so that its first store is an event; so "not dirty" is always "as in the store". What is
 * read in a window is not seen by the policy: a page counts as used when it comes, and by its ghost when it comes again.
 *
 * Each window has a thread, which serves one touch after the other. It touches no window itself.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <allot/malloc.h>

#include "os/memory.h"
#include "os/process.h"
#include "os/userfault.h"
#include "page/pager.h"

struct window {
    struct window *_Atomic next;
    struct allot_pager pager; /* the same, for calls of the thread's own */
    char *at;
    uint64_t page, count;
    _Atomic bool open; /* pages come here; not yet, or no more */
    struct userfault fault;
    pthread_t thread;
    int process;
};

/* -- which window -- */

static bool has(const struct window *w, uint64_t page) { return page >= w->page && page - w->page < w->count; }

/* The window that has the page; `opened`: only if pages come there now. */
static struct window *window_of(const struct pager *p, uint64_t page, bool opened)
{
    os_lock((struct os_lock *)&p->lock);
    struct window *w = p->window;
    while (w && !has(w, page)) {
        w = w->next;
    }
    w = w && opened && !w->open ? NULL : w;
    os_unlock((struct os_lock *)&p->lock);
    return w;
}

static char *place_in(const struct pager *p, const struct window *w, uint64_t page)
{
    return w->at + ((page - w->page) << p->shift);
}

bool window_has(const struct pager *p, uint64_t page) { return p->window && window_of(p, page, false); }

char *window_at(const struct pager *p, uint64_t page) { return place_in(p, window_of(p, page, false), page); }

uint64_t window_page(const struct pager *p, const char *at)
{
    os_lock((struct os_lock *)&p->lock);
    struct window *w = p->window;
    while (w && (size_t)(at - w->at) >> p->shift >= w->count) {
        w = w->next;
    }
    os_unlock((struct os_lock *)&p->lock);
    return w ? w->page + ((size_t)(at - w->at) >> p->shift) : UINT64_MAX;
}

/* -- what the rest of the pager does with it -- */

int window_place(struct pager *p, uint64_t page, char *from, bool dirty, uint64_t *bits)
{
    struct window *w = window_of(p, page, true);
    if (!w) {
        return 0;
    }
    int wrong = userfault_place(&w->fault, place_in(p, w, page), from, p->size, !dirty);
    if (!wrong) {
        *bits |= WINDOWED;
        os_purge(from, p->size);
    }
    return wrong;
}

void window_freeze(struct pager *p, uint64_t page)
{
    struct window *w = window_of(p, page, false);
    userfault_freeze(&w->fault, place_in(p, w, page), p->size);
}

void window_forget(struct pager *p, uint64_t page) { userfault_forget(window_at(p, page), p->size); }

/* -- pages go from their frames to the window, and back -- */

/* A page that is there, WINDOWED or not as `windowed` says, and not pinned, is BUSY; it stays in the policy, and its frame is moving
 * meanwhile: who wants that waits. 1: it is so; 0: there is no such page; -EBUSY: it is pinned. */
static int claim_here(struct pager *p, entry *at, uint64_t windowed, uint64_t *word)
{
    for (;;) {
        *word = atomic_load(at);
        if (*word & RESIDENT && *word & (BUSY | WRITING)) {
            entry_wait(p, at, BUSY | WRITING);
            continue;
        }
        if (!(*word & RESIDENT) || (*word & WINDOWED) != windowed) {
            return 0;
        }
        if (*word & PINS) {
            return -EBUSY;
        }
        os_lock(&p->lock); /* nobody is about to claim it as a victim */
        bool claimed = atomic_compare_exchange_strong(at, word, *word | BUSY);
        if (claimed) {
            moving_more(p);
        }
        os_unlock(&p->lock);
        if (claimed) {
            return 1;
        }
    }
}

static void let_be(struct pager *p, entry *at, uint64_t word)
{
    entry_store(p, at, word);
    moving_less(p);
}

/* Dirty as it is: nothing is written back, so nothing is lost that is written to it meanwhile. One that is pinned stays. */
static void move_in(struct pager *p, entry *at, uint64_t page)
{
    uint64_t word, bits = 0;
    if (claim_here(p, at, 0, &word) == 1) {
        bool moved = window_place(p, page, frame_at(p, frame_in(word)), word & DIRTY, &bits) == 0;
        let_be(p, at, word | (moved ? bits : 0));
    }
}

static void move_back(struct pager *p, const struct window *w, entry *at, uint64_t page)
{
    uint64_t word;
    int claimed = claim_here(p, at, WINDOWED, &word);
    if (claimed < 0) {
        allot_fault("window unmapped while pages of it are pinned", "page", (void *)(uintptr_t)page);
    }
    if (claimed) {
        memcpy(frame_at(p, frame_in(word)), place_in(p, w, page), p->size);
        userfault_forget(place_in(p, w, page), p->size);
        let_be(p, at, word & ~WINDOWED);
    }
}

/* The word of the page of the window that is in that frame, or is coming there; NULL. By its number, as the frame's own entry may be
 * another page's by now; page_arrives tells the number before it asks for windows. */
static entry *entry_in(const struct pager *p, const struct window *w, uint32_t frame, uint64_t *page)
{
    *page = atomic_load(&p->frame[frame].page);
    return has(w, *page) ? table_find(&p->table, *page) : NULL;
}

/* -- touches -- */

static void serve(struct window *w, struct pager *p, const struct userfault_event *event)
{
    uint64_t page = w->page + ((event->at - (uintptr_t)w->at) >> p->shift);
    char *place = place_in(p, w, page);
    unsigned how = event->stores ? ALLOT_PAGER_WRITE : ALLOT_PAGER_READ;
    tally(p, touches, 1);
    char *at = allot_pager_pin(&w->pager, page, how);
    if (!at) {
        userfault_kill(&w->fault, event);
    } else {
        if (event->stores && at == place) {
            userfault_thaw(&w->fault, place, p->size);
        }
        allot_pager_unpin(&w->pager, at, how);
    }
    if (at && at != place) { /* it was pinned in its frame as the window was made */
        move_in(p, table_find(&p->table, page), page);
    }
    userfault_wake(&w->fault, place, p->size); /* last: nobody sees a pin of ours who goes on */
}

static void *serves(void *arg)
{
    struct window *w = arg;
    struct userfault_event event;
    while (userfault_next(&w->fault, &event)) {
        serve(w, w->pager.state, &event);
    }
    return NULL;
}

/* Signals are the program's threads' business. */
static int start(struct window *w)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int wrong = pthread_create(&w->thread, NULL, serves, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return wrong ? -ENOMEM : 0;
}

/* -- a window begins -- */

static bool link_in(struct pager *p, struct window *w)
{
    os_lock(&p->lock);
    struct window *other = p->window;
    while (other && (other->page >= w->page + w->count || w->page >= other->page + other->count)) {
        other = other->next;
    }
    if (!other) {
        w->next = p->window;
        p->window = w;
    }
    os_unlock(&p->lock);
    return !other;
}

static void unlink_from(struct pager *p, struct window *w)
{
    os_lock(&p->lock);
    struct window *_Atomic *link = &p->window;
    while (*link != w) {
        link = &(*link)->next;
    }
    *link = w->next;
    os_unlock(&p->lock);
}

static bool any_pinned(const struct pager *p, const struct window *w)
{
    uint32_t begun = atomic_load(&p->begun);
    bool pinned = false;
    for (uint32_t i = 0; i < begun && !pinned; i++) {
        uint64_t page;
        entry *at = entry_in(p, w, i, &page);
        uint64_t word = at ? atomic_load(at) : 0;
        pinned = word & RESIDENT && word & PINS;
    }
    return pinned;
}

/* Pages that are in frames move there. From here on nothing fails: others may have pinned pages in the window already. */
static void let_in(struct pager *p, struct window *w)
{
    w->open = true;
    uint32_t begun = atomic_load(&p->begun);
    for (uint32_t i = 0; i < begun; i++) {
        uint64_t page;
        entry *at = entry_in(p, w, i, &page);
        if (at) {
            move_in(p, at, page);
        }
    }
}

static void stop(struct window *w)
{
    userfault_stop(&w->fault);
    pthread_join(w->thread, NULL);
}

static int open_with_faults(struct pager *p, struct window *w)
{
    int wrong = start(w);
    if (wrong) {
        return wrong;
    }
    bool linked = link_in(p, w);
    if (linked && !any_pinned(p, w)) {
        let_in(p, w);
        return 0;
    }
    if (linked) {
        unlink_from(p, w);
    }
    stop(w);
    return -EBUSY;
}

static int open_window(struct pager *p, struct window *w)
{
    w->at = w->count <= SIZE_MAX / 2 / p->size ? os_reserve(w->count * p->size, size_max(p->size, os_page)) : NULL;
    if (!w->at) {
        return -ENOMEM;
    }
    os_small_pages(w->at, w->count * p->size);
    int wrong = userfault_init(&w->fault, w->at, w->count * p->size);
    if (!wrong) {
        wrong = open_with_faults(p, w);
        if (wrong) {
            userfault_done(&w->fault);
        }
    }
    if (wrong) {
        os_unmap(w->at, w->count * p->size);
    }
    return wrong;
}

void *allot_pager_map(struct allot_pager *pager, uint64_t page, size_t count)
{
    struct pager *p = pager_of(pager);
    int saved = errno, wrong = 0;
    struct window *w = NULL;
    if (p->alone || p->checked || p->size % os_page != 0) {
        wrong = -ENOTSUP;
    } else if (count == 0 || page >= ALLOT_PAGER_PAGES || count > ALLOT_PAGER_PAGES - page) {
        wrong = -EOVERFLOW;
    } else {
        w = allot_calloc(1, sizeof *w);
        wrong = w ? 0 : -ENOMEM;
    }
    if (!wrong) {
        w->pager = *pager;
        w->page = page;
        w->count = count;
        w->process = os_process_id();
        wrong = open_window(p, w);
    }
    if (wrong) {
        allot_free(w);
    }
    errno = wrong ? -wrong : saved;
    return wrong ? NULL : w->at;
}

/* -- and ends -- */

void allot_pager_unmap(struct allot_pager *pager, void *window)
{
    struct pager *p = pager_of(pager);
    int saved = errno;
    os_lock(&p->lock);
    struct window *w = p->window;
    while (w && w->at != window) {
        w = w->next;
    }
    if (!w) {
        allot_fault("unmap of what is no window", "window", window);
    }
    w->open = false;
    os_unlock(&p->lock);
    uint32_t begun = atomic_load(&p->begun);
    for (uint32_t i = 0; i < begun; i++) {
        uint64_t page;
        entry *at = entry_in(p, w, i, &page);
        if (at) {
            move_back(p, w, at, page);
        }
    }
    stop(w);
    unlink_from(p, w);
    userfault_done(&w->fault);
    os_unmap(w->at, w->count * p->size);
    allot_free(w);
    errno = saved;
}

/* In the child of a fork there is neither the thread nor the memory; what lies there may be somebody else's. */
void windows_abandon(struct pager *p)
{
    while (p->window) {
        struct window *w = p->window;
        p->window = w->next;
        bool ours = w->process == os_process_id();
        if (ours) {
            stop(w);
        }
        userfault_done(&w->fault);
        if (ours) {
            os_unmap(w->at, w->count * p->size);
        }
        allot_free(w);
    }
}
