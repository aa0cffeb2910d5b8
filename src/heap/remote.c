/* heap/remote.c - blocks freed by a thread that does not own their slab.
 *
 *   the freeing thread            the slab                    the owner
 *   -- fetch_or -------------->   remote bits of a word
 *   -- exchange -------------->   pending = 1
 *   -- push ------------------>   owner's inbox  -- drain --> pending = 0; read the word; free bits; clear it of these
 *
 * A free is one atomic bit: the block itself, most likely in another core's cache, is not touched, and a second free of
 * it is seen. The notice is given once for all frees until the owner looks. (Holding frees back in a buffer, to publish
 * a word at a time, measured slower: docs/experiments.md.)
 *
 * Why nothing is lost: the freer sets the bit, then reads `pending`; the drainer clears `pending`, then reads the bits;
 * all four in one total order (seq_cst). So either the drainer sees the bit, or the freer sees `pending` clear and
 * gives notice again.
 *
 * Why it is safe to be late: between the fetch_or and the notice the slab may be drained, released, and be another
 * heap's. `pending` and `inbox_next` are then touched though the slab is foreign. They stand in a header that is never
 * unmapped and no owner reuses; `pending` says that the header is in exactly one inbox, so the link is in use once. A
 * drainer that finds a slab it does not own clears `pending` and passes the notice on. The owner was read before the
 * fetch_or, when the block was live: it may be a heap whose thread has ended and that has handed the slab over since, which
 * passes on as said; heap records are immortal.
 *
 * What being late may cost: a slab whose new owner differs from the heap with the notice tells its new owner of nothing
 * until that heap is drained; and when the new owner's thread has ended by then, until another takes the heap over or
 * somebody frees into it. And a fork between the exchange and the push leaves the slab in no inbox in the child. Both
 * take a thread stopped within a few instructions, and hold back what others free in one slab.
 *
 * Assumed: no load reads from a store that is yet to come, and the one order of seq_cst operations is one in which they can
 * have been executed. Under these, and what is in docs/proof.md, all of this was tried in every order with a few blocks.
 */
#include "heap/heap.h"
#include "heap/part.h"
#include "heap/sample.h"
#include "heap/share.h"
#include "heap/tag.h"
#include "os/fault.h"

bool remote_notice(_Atomic(struct slab *) *inbox, struct slab *s)
{
    if (atomic_load_explicit(&s->pending, memory_order_seq_cst) ||
        atomic_exchange_explicit(&s->pending, 1, memory_order_seq_cst)) {
        return false;
    }
    struct slab *first = atomic_load_explicit(inbox, memory_order_relaxed);
    do {
        s->inbox_next = first;
    } while (!atomic_compare_exchange_weak_explicit(inbox, &first, s, memory_order_seq_cst, memory_order_relaxed));
    return true;
}

/* A block of a first-class heap that is the calling thread's to use, or of its heap for tagged ones. */
static bool free_as_user(struct heap *h, struct slab *s, void *p)
{
    if (h != front.tagged && !heap_is_mine(h)) {
        return false;
    }
    if (slab_free_local(s, p)) {
        heap_trip(h, s);
    }
    return true;
}

/* True now and then: at the first and about every so many. */
static bool put(struct heap *h, void *p, struct slab *s)
{
    size_t bytes = slab_free_remote(s, slab_index(s, p));
    bool first = remote_notice(&h->inbox, s);
    if (first) {
        heap_collect_ownerless(h);
    }
    if (bytes) {
        adrift_note(h, bytes);
    }
    return first || bytes;
}

void remote_put(void *p, struct slab *s)
{
    struct heap *h = heap_by_id(slab_owner(s));
    if (unlikely(!h)) { /* another thread has freed it as well, and its slab is gone */
        allot_fault("double free", "small block", p);
    }
    put(h, p, s);
}

void remote_free(void *p, struct slab *s)
{
    uint32_t owner = atomic_load_explicit(&s->unit.owner, memory_order_acquire); /* as heap_hand_over has released it */
    struct heap *h = front.tagged && front.tagged->id == owner ? front.tagged : heap_by_id(owner);
    if (unlikely(!h || !slab_is_slot(s, p))) {
        allot_fault(fault_free_of_none, "address", p);
    }
    if (is_shared_heap(owner)) {
        if (is_common(s)) {
            commons_free(p, s);
        } else {
            sample_free(p, s);
        }
        share_poll();
        return;
    }
    if (owner & (ID_PRIVATE | ID_TAGGED)) {
        tag_free(owner, p, slab_stride(s));
        if (free_as_user(h, s, p)) {
            return;
        }
    }
    if (put(h, p, s)) {
        share_poll();
    }
}

/* A notice for a slab that has gone to another heap: its present owner hears of it. Who has set a bit has made the owner known
 * to who sees it. What is read may be no bits, when the unit is one of page runs by now; then its owner is nobody who is told. */
void remote_pass_on(struct slab *s)
{
    for (unsigned w = 0; w < BITMAP_WORDS; w++) {
        if (atomic_load_explicit(unit_remote_word(&s->unit, w), memory_order_seq_cst)) {
            uint32_t owner = slab_owner(s);
            struct heap *h = heap_by_id(owner);
            if (h) {
                remote_notice(&h->inbox, s);
            } else if (is_part(owner)) {
                part_noticed(owner, s);
            }
            return;
        }
    }
}

void remote_denotice(struct slab *s)
{
    atomic_exchange_explicit(&s->pending, 0, memory_order_seq_cst);
    remote_pass_on(s);
}

/* The next slab that was noticed, out of the inbox; which is emptied once for all of them. */
static struct slab *next_noticed(struct heap *h, bool *emptied)
{
    if (!h->undrained && !*emptied && atomic_load_explicit(&h->inbox, memory_order_seq_cst)) {
        h->undrained = atomic_exchange_explicit(&h->inbox, NULL, memory_order_seq_cst);
        adrift_none(h);
        *emptied = true;
    }
    if (unlikely(!h->undrained && atomic_load_explicit(&h->loose_slabs, memory_order_relaxed) != 0)) {
        adrift_take_back(h, false);
        adrift_none(h);
    }
    struct slab *s = h->undrained;
    if (s) {
        h->undrained = s->inbox_next;
        atomic_exchange_explicit(&s->pending, 0, memory_order_seq_cst);
    }
    return s;
}

void remote_drain(struct heap *h, size_t most)
{
    bool emptied = false;
    for (struct slab *s; most > 0 && (s = next_noticed(h, &emptied)); most--) {
        if (slab_owner(s) != h->id) {
            remote_pass_on(s);
            continue;
        }
        heap_count(h, s, -slab_collect(s));
        heap_settle(h, s);
        if (unlikely(sweep_is_due(h))) {
            heap_sweep(h);
        }
    }
}

void remote_forget(struct heap *h)
{
    bool emptied = false;
    for (struct slab *s; (s = next_noticed(h, &emptied));) {
        if (slab_owner(s) != h->id) {
            remote_pass_on(s);
        }
    }
}
