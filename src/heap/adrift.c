/* heap/adrift.c - blocks that others have freed while their owner does not look.
 *
 *   who frees                        the slab's bits      the owner's slabs that were noticed
 *   looks at the inbox ------------------------------->   loose[class], for who wants slots
 *   claims whole pages of slots ->   remote: cleared
 *   gives the pages back
 *   puts the slots back --------->   remote: set
 *
 *   who wants slots of a class
 *   claims a word of slots ------>   remote: cleared      a slab without any goes back to be noticed
 *   uses them as its own, and in
 *   the end frees them ---------->   remote: set
 *
 *   the owner looks ---------------------------------->   takes all that is loose, as it takes the inbox
 *
 * A thread that made a gigabyte and waits for more to do never learns that others have freed it. So who frees what is
 * another's counts, about, what lies there since the owner looked last. At a quarter of a MiB the slabs are laid out by class,
 * and threads that would take a fresh unit, and have some of the class already, take slots of those. At a few MiB, and then
 * whenever a sixteenth more has come, pages on which there is nothing else go back. The slots stay the owner's: as long as they
 * are claimed they are out to all the world, so the slab cannot go, and what the owner finds later are free slots, some on
 * pages that are zero.
 *
 * What is loose is marked `pending` as in the inbox, so nobody puts it anywhere else; and may be stale, as there: a slab is
 * looked at again once a slot of it has been claimed, when it can change no more.
 *
 * Not for a first-class heap, whose slabs go with blocks in use when it is reset.
 */
#include "heap/heap.h"
#include "os/memory.h"

size_t adrift_least = (size_t)4 << 20, adrift_slots_least = (size_t)256 << 10;

static struct os_lock lock;              /* held by the one thread that has claimed something; a fork waits for it */
static struct heap *_Atomic loose_heaps; /* those with anything loose, by next_loose: the lock's */

/* Pages that are claimed. */
struct claims {
    size_t ranges, count, bytes;
    struct iovec range[OS_PURGE_MANY];
    struct {
        struct slab *slab;
        unsigned pages;
    } of[OS_PURGE_MANY];
};

static void purge(struct claims *c)
{
    os_purge_many(c->range, c->ranges);
    for (size_t i = 0; i < c->count; i++) {
        slab_unclaim_pages(c->of[i].slab, c->of[i].pages);
    }
    c->ranges = c->count = 0;
}

static void claim(struct claims *c, struct slab *s)
{
    unsigned pages = slab_claim_pages(s);
    if (!pages) {
        return;
    }
    c->of[c->count].slab = s;
    c->of[c->count++].pages = pages;
    while (pages) {
        unsigned from = lowest_bit(pages), length = lowest_bit(~((uint64_t)pages >> from));
        c->range[c->ranges++] = (struct iovec){slab_data(s) + from * os_page, length * os_page};
        c->bytes += length * os_page;
        pages &= ~(((1u << length) - 1) << from);
    }
    if (c->ranges > OS_PURGE_MANY - UNIT_SIZE / 4096 / 2) {
        purge(c);
    }
}

/* -- what is loose; with the lock held -- */

static void lay_out(struct heap *h, struct slab *s)
{
    unsigned c = *(volatile uint8_t *)&s->klass;
    if (slab_owner(s) != h->id || c >= ALL_CLASSES) {
        remote_denotice(s);
        return;
    }
    s->inbox_next = h->loose[c];
    h->loose[c] = s;
    if (h->loose_slabs++ == 0) {
        h->next_loose = loose_heaps;
        loose_heaps = h;
    }
}

static struct slab *pick_up(struct heap *h, unsigned c)
{
    struct slab *s = h->loose[c];
    h->loose[c] = s->inbox_next;
    if (--h->loose_slabs == 0) {
        struct heap *_Atomic *link = &loose_heaps;
        while (*link != h) {
            link = &(*link)->next_loose;
        }
        *link = h->next_loose;
    }
    return s;
}

static void lay_out_inbox(struct heap *h)
{
    struct slab *s = atomic_exchange_explicit(&h->inbox, NULL, memory_order_seq_cst);
    while (s) {
        struct slab *next = s->inbox_next;
        lay_out(h, s);
        s = next;
    }
}

/* Returns the bytes. */
static size_t give_back(struct heap *h)
{
    struct claims c;
    c.ranges = c.count = c.bytes = 0;
    for (unsigned class = 0; h->loose_slabs && class < ALL_CLASSES; class ++) {
        for (struct slab *s = h->loose[class]; s; s = s->inbox_next) {
            if (slab_owner(s) == h->id) {
                claim(&c, s);
            }
        }
    }
    purge(&c);
    return c.bytes;
}

/* -- who frees -- */

static void look(struct heap *h, size_t now)
{
    lay_out_inbox(h);
    atomic_store_explicit(&h->laid_out, now, memory_order_relaxed);
    size_t gone = atomic_load_explicit(&h->gone, memory_order_relaxed);
    if (now >= gone + size_max(gone / 16, adrift_least)) {
        atomic_store_explicit(&h->gone, now, memory_order_relaxed);
        give_back(h);
    }
}

void adrift_note(struct heap *h, size_t bytes)
{
    size_t now = atomic_fetch_add_explicit(&h->adrift, bytes, memory_order_relaxed) + bytes;
    if (likely(now < atomic_load_explicit(&h->laid_out, memory_order_relaxed) + adrift_slots_least) || in_haste ||
        !os_try_lock(&lock)) {
        return;
    }
    if (atomic_load_explicit(&h->may_drift, memory_order_relaxed)) {
        look(h, now);
    }
    os_unlock(&lock);
}

size_t adrift_trim(struct heap *h)
{
    size_t bytes = 0;
    os_lock(&lock);
    if (atomic_load_explicit(&h->may_drift, memory_order_relaxed)) {
        lay_out_inbox(h);
        bytes = give_back(h);
    }
    os_unlock(&lock);
    return bytes;
}

/* -- who wants slots -- */

static struct batch take_from(struct heap *of, unsigned c)
{
    struct batch batch = {0};
    while (batch.count == 0 && of->loose[c]) {
        struct slab *s = pick_up(of, c);
        bool more = false;
        batch = slab_claim_slots(s, of->id, c, &more);
        if (more) {
            lay_out(of, s);
        } else {
            remote_denotice(s);
        }
    }
    return batch;
}

/* Looks at a few, and does not wait: there are fresh units. */
struct block *adrift_take(struct heap *h, unsigned c)
{
    enum { FEW = 4 };
    if (!atomic_load_explicit(&loose_heaps, memory_order_relaxed) || !os_try_lock(&lock)) {
        return NULL;
    }
    struct batch batch = {0};
    struct heap *of = loose_heaps;
    for (unsigned looked = 0; of && batch.count == 0 && looked < FEW; looked++) {
        struct heap *next = of->next_loose;
        bool alike = ((of->id ^ h->id) & ~ID_NUMBER) == 0;
        bool fits = c < CLASSES || of->classes[c].stride == h->classes[c].stride;
        batch = alike && fits ? take_from(of, c) : batch;
        if (batch.count) {
            atomic_store_explicit(&of->lent, true, memory_order_relaxed);
        }
        of = next;
    }
    os_unlock(&lock);
    return batch.first;
}

/* -- the owner -- */

void adrift_take_back(struct heap *h, bool ends)
{
    os_lock(&lock);
    if (ends) {
        atomic_store_explicit(&h->may_drift, false, memory_order_relaxed);
    }
    for (unsigned c = 0; h->loose_slabs && c < ALL_CLASSES; c++) {
        while (h->loose[c]) {
            struct slab *s = pick_up(h, c);
            s->inbox_next = h->undrained;
            h->undrained = s;
        }
    }
    os_unlock(&lock);
}

void adrift_lock(void) { os_lock(&lock); }

void adrift_unlock(void) { os_unlock(&lock); }

void adrift_lock_reset(void) { os_lock_reset(&lock); }
