/* heap/adrift.c - blocks that others have freed while their owner does not look.
 *
 *   the freeing thread                      the slab                        the owner, asleep
 *   takes the whole inbox ------------->    stays noticed
 *   claims slots: whole pages of them -->   remote bits cleared
 *   gives the pages back to the system
 *   puts the slots back ---------------->   remote bits set
 *   puts the inbox back --------------------------------------------------> finds all as it was, when it looks
 *
 * A thread that made a gigabyte and waits for more to do never learns that others have freed it. So who frees what is
 * another's counts, about, what lies there since the owner looked last; at a few MiB, and then whenever an eighth more has
 * come, it gives back the pages on which there is nothing else. The slots stay the owner's: as long as they are claimed they
 * are out to all the world, so the slab cannot go, and what the owner finds later are free slots, some on pages that are zero.
 *
 * Not for a first-class heap, whose slabs go with blocks in use when it is reset.
 */
#include "heap/heap.h"
#include "os/memory.h"

size_t adrift_least = (size_t)4 << 20;

static struct os_lock lock; /* held by the one thread that has claimed something; a fork waits for it */

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

/* The slabs are noticed all the time: no one else puts them anywhere. */
static void put_back(struct heap *h, struct slab *first, struct slab *last)
{
    struct slab *next = atomic_load_explicit(&h->inbox, memory_order_relaxed);
    do {
        last->inbox_next = next;
    } while (
        !atomic_compare_exchange_weak_explicit(&h->inbox, &next, first, memory_order_seq_cst, memory_order_relaxed));
}

/* Returns the bytes. */
static size_t give_back(struct heap *h)
{
    struct claims c;
    c.ranges = c.count = c.bytes = 0;
    struct slab *first = atomic_exchange_explicit(&h->inbox, NULL, memory_order_seq_cst), *last = NULL;
    for (struct slab *s = first; s; s = s->inbox_next) {
        if (slab_owner(s) == h->id) {
            claim(&c, s);
        }
        last = s;
    }
    purge(&c);
    if (first) {
        put_back(h, first, last);
    }
    return c.bytes;
}

void adrift_note(struct heap *h, size_t bytes)
{
    size_t now = atomic_fetch_add_explicit(&h->adrift, bytes, memory_order_relaxed) + bytes;
    size_t gone = atomic_load_explicit(&h->gone, memory_order_relaxed);
    if (likely(now < gone + size_max(gone / 8, adrift_least)) || (h->id & ID_PRIVATE) || in_haste ||
        !os_try_lock(&lock)) {
        return;
    }
    atomic_store_explicit(&h->gone, now, memory_order_relaxed);
    give_back(h);
    os_unlock(&lock);
    /* The owner may have ended meanwhile, and found nothing. */
    heap_collect_ownerless(h);
}

size_t adrift_trim(struct heap *h)
{
    os_lock(&lock);
    size_t bytes = give_back(h);
    os_unlock(&lock);
    heap_collect_ownerless(h);
    return bytes;
}

void adrift_lock(void) { os_lock(&lock); }

void adrift_unlock(void) { os_unlock(&lock); }

void adrift_lock_reset(void) { os_lock_reset(&lock); }
