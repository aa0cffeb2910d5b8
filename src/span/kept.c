/* span/kept.c - see span/kept.h. */
#include "span/kept.h"

#include <stdatomic.h>

#include "base/bits.h"
#include "os/fault.h"
#include "os/memory.h"
#include "span/fenced.h"
#include "span/reserve.h"

#define KEPT_LEAST    (256 * KIB) /* a shorter rest is not worth its place */
#define KEPT_ONE_MOST (32 * MIB)

struct large_kept large_kept_list[LARGE_KEPT_MOST]; /* oldest first */
size_t large_kept_count;
static size_t largest_freed;
static struct reserve reserve = {.each = 1}; /* of what is kept, in bytes */

/* -- the list -- */

static struct large_kept remove_at(size_t i)
{
    struct large_kept k = large_kept_list[i];
    for (large_kept_count--; i < large_kept_count; i++) {
        large_kept_list[i] = large_kept_list[i + 1];
    }
    return k;
}

/* The shortest mapping that is long enough; else the longest, if it is half as long at least. A block that is to be zero
 * is cleared as a whole when part of it is not, so it should not grow much by that. */
static size_t best_for(size_t length)
{
    size_t best = large_kept_count;
    for (size_t i = 0; i < large_kept_count; i++) {
        size_t now = large_kept_list[i].length,
               so_far = best < large_kept_count ? large_kept_list[best].length : length / 2 - 1;
        bool better = so_far >= length ? now >= length && now < so_far : now > so_far;
        if (better && large_kept_list[i].pages != PAGES_HUGETLB) {
            best = i;
        }
    }
    return best;
}

/* -- on their way back -- */

/* What threads in haste would have sent back, by records of no block, with the lock held. */
struct large *large_deferred;
static atomic_size_t deferred_bytes; /* others read it without */

/* False with memory out. */
static bool defer(struct large_kept k)
{
    os_lock(&large_mutex);
    struct large *l = large_new_record();
    if (l) {
        *l =
            (struct large){.hidden_at = ~(uintptr_t)k.at, .length = k.length, .pages = k.pages, .next = large_deferred};
        large_deferred = l;
        atomic_fetch_add_explicit(&deferred_bytes, k.length, memory_order_relaxed);
    }
    os_unlock(&large_mutex);
    return l;
}

/* Takes the one after *link off the list. */
static struct large_kept deferred_remove(struct large **link)
{
    struct large *l = *link;
    struct large_kept k = {large_at(l), l->length, l->pages};
    *link = l->next;
    large_drop_record(l);
    atomic_fetch_sub_explicit(&deferred_bytes, k.length, memory_order_relaxed);
    return k;
}

void kept_send_back(const struct kept_outgoing *out)
{
    for (size_t i = 0; i < out->count; i++) {
        if (unlikely(in_haste) && defer(out->mapping[i])) {
            reserve_leave();
        } else {
            os_unmap(out->mapping[i].at, out->mapping[i].length);
        }
    }
}

/* Unmaps all that was deferred. Returns its bytes. */
static size_t unmap_deferred(void)
{
    size_t bytes = 0;
    os_lock(&large_mutex);
    while (large_deferred) {
        struct large_kept k = deferred_remove(&large_deferred);
        os_unlock(&large_mutex);
        os_unmap(k.at, k.length);
        bytes += k.length;
        os_lock(&large_mutex);
    }
    os_unlock(&large_mutex);
    return bytes;
}

/* -- what comes -- */

void kept_learn(size_t length) { largest_freed = size_max(largest_freed, size_min(length, KEPT_ONE_MOST)); }

/* The longest that a kept mapping may be, and all of them together. */
static size_t bound(void) { return largest_freed + large_live / 8; }

/* Takes a kept neighbour of k into it. */
static bool join(struct large_kept *k)
{
    for (size_t i = 0; i < large_kept_count && k->pages != PAGES_HUGETLB; i++) {
        bool before = large_kept_list[i].at + large_kept_list[i].length == k->at,
             after = k->at + k->length == large_kept_list[i].at;
        if ((before || after) && k->pages == large_kept_list[i].pages &&
            k->length + large_kept_list[i].length <= bound() + reserve.kept) {
            struct large_kept other = remove_at(i);
            k->at = before ? other.at : k->at;
            k->length += other.length;
            return true;
        }
    }
    return false;
}

/* The oldest go, so many bytes of them or some more. */
static void evict(size_t bytes, struct kept_outgoing *out)
{
    size_t purged = 0;
    while (purged < bytes && large_kept_count > 0) {
        struct large_kept oldest = remove_at(0);
        out->mapping[out->count++] = oldest;
        purged += oldest.length;
    }
    if (purged) {
        reserve_purged(&reserve, purged, purged);
    }
}

void kept_keep(struct large_kept k, struct kept_outgoing *out)
{
    reserve_add(&reserve, k.length);
    size_t excess = reserve_excess(&reserve, bound(), 0);
    if (k.length < KEPT_LEAST || (k.length > bound() + reserve.kept && !in_haste)) {
        out->mapping[out->count++] = k;
        reserve_purged(&reserve, k.length, k.length);
        return;
    }
    while (join(&k)) {
    }
    if (large_kept_count == LARGE_KEPT_MOST) {
        excess = size_max(excess, 1);
    }
    evict(excess, out);
    large_kept_list[large_kept_count++] = k;
}

void large_catch_up(void)
{
    struct kept_outgoing out = {.count = 0};
    os_lock(&large_mutex);
    evict(reserve_excess(&reserve, bound(), 0), &out);
    os_unlock(&large_mutex);
    kept_send_back(&out);
    unmap_deferred();
}

size_t large_trim(void)
{
    struct kept_outgoing out = {.count = 0};
    os_lock(&large_mutex);
    size_t bytes = reserve_dirty(&reserve);
    evict(bytes, &out);
    reserve_emptied(&reserve, 0);
    os_unlock(&large_mutex);
    for (size_t i = 0; i < out.count; i++) {
        os_unmap(out.mapping[i].at, out.mapping[i].length);
    }
    return bytes + unmap_deferred() + fences_trim();
}

void kept_rest(char *from, char *to, enum pages pages)
{
    struct kept_outgoing out = {.count = 0};
    if (from < to) {
        os_lock(&large_mutex);
        kept_keep((struct large_kept){from, (size_t)(to - from), pages}, &out);
        os_unlock(&large_mutex);
        kept_send_back(&out);
    }
}

/* -- what goes -- */

struct large_kept kept_take_whole(size_t length, size_t align)
{
    for (size_t i = 0; i < large_kept_count; i++) {
        if ((uintptr_t)large_kept_list[i].at % align == 0 && large_kept_list[i].length >= length &&
            large_kept_list[i].length / 2 < length) {
            reserve_take(&reserve, large_kept_list[i].length, 0);
            return remove_at(i);
        }
    }
    struct large **link = &large_deferred;
    for (int steps = 0; *link && steps < HASTE_STEPS; steps++, link = &(*link)->next) {
        if ((uintptr_t)large_at(*link) % align == 0 && (*link)->length >= length && (*link)->length / 2 < length) {
            return deferred_remove(link);
        }
    }
    return (struct large_kept){NULL, 0, PAGES_AS_EVERYWHERE};
}

struct large_kept kept_take(size_t length)
{
    size_t best = best_for(length);
    struct large_kept k = best < large_kept_count ? remove_at(best) : (struct large_kept){NULL, 0, PAGES_AS_EVERYWHERE};
    reserve_take(&reserve, k.length, length - size_min(k.length, length));
    return k;
}

struct large_kept kept_take_hugetlb(size_t length, size_t whole, size_t align)
{
    struct large_kept k = {NULL, 0, PAGES_HUGETLB};
    for (size_t i = 0; !k.at && i < large_kept_count; i++) {
        if (large_kept_list[i].pages == k.pages && kept_fits(large_kept_list[i].length, length) &&
            (uintptr_t)large_kept_list[i].at % align == 0) {
            k = remove_at(i);
        }
    }
    reserve_take(&reserve, k.length, k.at ? 0 : whole);
    return k;
}

/* -- what is told -- */

size_t kept_bytes(void)
{
    return reserve_dirty(&reserve) + atomic_load_explicit(&deferred_bytes, memory_order_relaxed);
}

void kept_check(void)
{
    size_t sum = 0;
    for (size_t i = 0; i < large_kept_count; i++) {
        CHECK(large_kept_list[i].length > 0, "kept mapping", large_kept_list[i].at);
        sum += large_kept_list[i].length;
    }
    CHECK(sum == reserve_dirty(&reserve) && large_kept_count <= LARGE_KEPT_MOST, "kept mappings", large_kept_list);
    sum = 0;
    for (const struct large *l = large_deferred; l; l = l->next) {
        sum += l->length;
    }
    CHECK(sum == atomic_load_explicit(&deferred_bytes, memory_order_relaxed), "deferred mappings", &large_deferred);
}
