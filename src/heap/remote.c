/* heap/remote.c - blocks freed by a thread that does not own their slab.
 *
 *   the freeing thread                          the slab                        the owner
 *   buffer: slab, word, mask  -- fetch_or -->   remote bits of a word
 *                             -- exchange -->   pending = 1
 *                             -- push ------>   owner's inbox  ------ drain --> pending = 0; exchange(word, 0) -> free bits
 *
 * A free is a bit: the block itself, most likely in another core's cache, is not touched. Frees come in the order of the
 * allocations, so a word gathers up to 64 of them in the thread's buffer before one atomic operation publishes it.
 *
 * Why nothing is lost: the freer sets the bit, then reads `pending`; the drainer clears `pending`, then reads the bits;
 * all four in one total order (seq_cst). So either the drainer sees the bit, or the freer sees `pending` clear and gives
 * notice again.
 *
 * Why it is safe to be late: between the fetch_or and the notice the slab may be drained, released, and be another heap's.
 * `pending` and `inbox_next` are then touched though the slab is foreign. They stand in a header that is never unmapped and
 * no owner reuses; `pending` says that the header is in exactly one inbox, so the link is in use once. A drainer that finds
 * a slab it does not own clears `pending` and passes the notice on. The owner was read before the fetch_or, when the block
 * was live and the owner could not change; heap records are immortal.
 *
 * Buffered frees count as out, so a slab is not released under them. What an idle thread may hold back: 16 words of blocks
 * of at most 1 KiB.
 */
#include "heap/heap.h"
#include "os/fault.h"

/* Larger blocks are published at once: they are worth more to their owner, and fewer of them share a word. */
#define BUFFERED_MAX 1024

static void give_notice(struct heap *h, struct slab *s)
{
    if (atomic_load_explicit(&s->pending, memory_order_seq_cst) ||
        atomic_exchange_explicit(&s->pending, 1, memory_order_seq_cst)) {
        return;
    }
    struct slab *first = atomic_load_explicit(&h->inbox, memory_order_relaxed);
    do {
        s->inbox_next = first;
    } while (!atomic_compare_exchange_weak_explicit(&h->inbox, &first, s, memory_order_seq_cst, memory_order_relaxed));
}

static void publish(struct slab *s, unsigned word, uint64_t mask)
{
    struct heap *h = heap_by_id(slab_owner(s));
    slab_free_remote(s, word, mask);
    if (h) {
        give_notice(h, s);
        heap_collect_ownerless(h);
    }
}

void remote_free(void *p, struct slab *s)
{
    uint32_t owner = slab_owner(s);
    if (unlikely(!slab_is_slot(s, p))) {
        allot_fault("free of a pointer into a block", "small block", p);
    }
    unsigned index = slab_index(s, p), word = index / 64;
    uint64_t bit = (uint64_t)1 << (index % 64);
    if (owner & ID_PRIVATE) {
        struct heap *h = heap_by_id(owner);
        if (h && heap_is_mine(h)) {
            if (slab_free_local(s, p)) {
                heap_trip(h, s);
            }
            return;
        }
    }
    struct heap *mine = front.heap;
    if (!mine || (owner & ID_PRIVATE) || slab_stride(s) > BUFFERED_MAX) {
        publish(s, word, bit);
        return;
    }
    struct remote_word *entry = &mine->remote[((uintptr_t)s / HEADER_SIZE ^ word) % REMOTE_BUFFER];
    if (entry->slab == s && entry->word == word) {
        if (unlikely(entry->mask & bit)) {
            allot_fault("double free", "small block", p);
        }
        entry->mask |= bit;
        return;
    }
    if (entry->slab) {
        publish(entry->slab, entry->word, entry->mask);
    }
    *entry = (struct remote_word){s, bit, word};
}

void remote_flush(struct heap *h)
{
    for (unsigned i = 0; i < REMOTE_BUFFER; i++) {
        struct remote_word entry = h->remote[i];
        if (entry.slab) {
            h->remote[i].slab = NULL;
            publish(entry.slab, entry.word, entry.mask);
        }
    }
}

/* A notice for a slab that has gone to another heap: its present owner hears of it. */
static void pass_on(struct slab *s)
{
    _Atomic uint64_t *remote = unit_remote_bits(&s->unit);
    for (unsigned w = 0; w < BITMAP_WORDS; w++) {
        if (atomic_load_explicit(&remote[w], memory_order_seq_cst)) {
            struct heap *h = heap_by_id(slab_owner(s));
            if (h) {
                give_notice(h, s);
            }
            return;
        }
    }
}

void remote_drain(struct heap *h)
{
    if (atomic_load_explicit(&h->inbox, memory_order_relaxed) == NULL) {
        return;
    }
    struct slab *next;
    for (struct slab *s = atomic_exchange_explicit(&h->inbox, NULL, memory_order_seq_cst); s; s = next) {
        next = s->inbox_next;
        atomic_exchange_explicit(&s->pending, 0, memory_order_seq_cst);
        if (slab_owner(s) != h->id) {
            pass_on(s);
            continue;
        }
        size_t stride = slab_stride(s);
        unsigned back = slab_sync(s);
        back += slab_collect(s);
        heap_count(h, -(ptrdiff_t)(back * stride));
        heap_settle(h, s);
    }
}

void remote_forget(struct heap *h)
{
    struct slab *next;
    for (struct slab *s = atomic_exchange_explicit(&h->inbox, NULL, memory_order_seq_cst); s; s = next) {
        next = s->inbox_next;
        atomic_exchange_explicit(&s->pending, 0, memory_order_seq_cst);
        if (slab_owner(s) != h->id) {
            pass_on(s);
        }
    }
}
