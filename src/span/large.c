/* span/large.c - see span/large.h. A record a block, found through the address map; all records on one list.
 *
 * Freed mappings are kept, at most LARGE_KEPT_MOST: an eighth of what is live, the largest block freed so far, of up to
 * 32 MiB, and what experience adds (span/reserve.h). Within that the oldest goes first. A block is made of the kept mapping
 * that fits best: of a longer one the ends stay, and grow together with their neighbours as these are freed; a shorter one
 * grows, where it stands or by moving its pages in the kernel's tables. A page that is there costs a tenth of one that must
 * be faulted in and zeroed.
 *
 * Explicit huge pages (option hugetlb) are for blocks that fill them but for an eighth. Such a mapping stays as it is, as the
 * kernel resizes none; freed it is kept like others, for a block that it fits.
 */
#include "span/large.h"

#include <errno.h>

#include "base/bits.h"
#include "base/list.h"
#include "os/fault.h"
#include "os/lock.h"
#include "os/memory.h"
#include "span/advice.h"
#include "span/fenced.h"
#include "span/map.h"
#include "span/reserve.h"
#include "span/run.h"
#include "span/segment.h"

static void *at_of(const struct large *l) { return (void *)~l->hidden_at; }

#define KEPT_LEAST    (256 * KIB) /* a shorter rest is not worth its place */
#define KEPT_ONE_MOST (32 * MIB)

static struct os_lock lock;
struct large *large_list;
static struct large *unused;
static size_t total_bytes, total_blocks;

struct large_kept large_kept_list[LARGE_KEPT_MOST]; /* oldest first */
size_t large_kept_count;
static size_t largest_freed;
static struct reserve reserve = {.each = 1}; /* of `kept`, in bytes */

static struct large *find(const void *p)
{
    void *what = (uintptr_t)p & (SEGMENT_SIZE - 1) ? NULL : map_get(p);
    return what == MAP_SEGMENT ? NULL : what;
}

/* With the lock held. */
static struct large *new_record(void)
{
    struct large *l = unused;
    unused = l ? l->next : NULL;
    return l ? l : record_alloc(sizeof *l);
}

/* With the lock held: learns from a block that ends or grows. */
static void learn(const struct large *l)
{
    if (!in_haste && l->pages != PAGES_HUGETLB) {
        advice_learn(at_of(l), l->length);
    }
}

/* -- kept mappings, with the lock held -- */

static struct large_kept kept_remove(size_t i)
{
    struct large_kept k = large_kept_list[i];
    for (large_kept_count--; i < large_kept_count; i++) {
        large_kept_list[i] = large_kept_list[i + 1];
    }
    return k;
}

/* The shortest mapping that is long enough; else the longest, if it is half as long at least. A block that is to be zero
 * is cleared as a whole when part of it is not, so it should not grow much by that. */
static size_t kept_best(size_t length)
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

/* Mappings on their way back to the system: unmapping gigabytes takes a while, and is done without the lock. */
struct outgoing {
    struct large_kept mapping[LARGE_KEPT_MOST + 1];
    size_t count;
};

/* What threads in haste would have sent back, by records of no block, with the lock held. */
struct large *large_deferred;
static atomic_size_t deferred_bytes; /* others read it without */

/* False with memory out. */
static bool defer(struct large_kept k)
{
    os_lock(&lock);
    struct large *l = new_record();
    if (l) {
        *l =
            (struct large){.hidden_at = ~(uintptr_t)k.at, .length = k.length, .pages = k.pages, .next = large_deferred};
        large_deferred = l;
        atomic_fetch_add_explicit(&deferred_bytes, k.length, memory_order_relaxed);
    }
    os_unlock(&lock);
    return l;
}

/* Takes the one after *link off the list. */
static struct large_kept deferred_remove(struct large **link)
{
    struct large *l = *link;
    struct large_kept k = {at_of(l), l->length, l->pages};
    *link = l->next;
    l->next = unused;
    unused = l;
    atomic_fetch_sub_explicit(&deferred_bytes, k.length, memory_order_relaxed);
    return k;
}

/* Sends mappings back, without the lock, or leaves that to another thread. */
static void send_back(const struct outgoing *out)
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
    os_lock(&lock);
    while (large_deferred) {
        struct large_kept k = deferred_remove(&large_deferred);
        os_unlock(&lock);
        os_unmap(k.at, k.length);
        bytes += k.length;
        os_lock(&lock);
    }
    os_unlock(&lock);
    return bytes;
}

/* The longest that a kept mapping may be, and all of them together. */
static size_t kept_bound(void) { return largest_freed + total_bytes / 8; }

/* Takes a kept neighbour of k into it. */
static bool kept_join(struct large_kept *k)
{
    for (size_t i = 0; i < large_kept_count && k->pages != PAGES_HUGETLB; i++) {
        bool before = large_kept_list[i].at + large_kept_list[i].length == k->at,
             after = k->at + k->length == large_kept_list[i].at;
        if ((before || after) && k->pages == large_kept_list[i].pages &&
            k->length + large_kept_list[i].length <= kept_bound() + reserve.kept) {
            struct large_kept other = kept_remove(i);
            k->at = before ? other.at : k->at;
            k->length += other.length;
            return true;
        }
    }
    return false;
}

/* The oldest go, so many bytes of them or some more. */
static void evict(size_t bytes, struct outgoing *out)
{
    size_t purged = 0;
    while (purged < bytes && large_kept_count > 0) {
        struct large_kept oldest = kept_remove(0);
        out->mapping[out->count++] = oldest;
        purged += oldest.length;
    }
    if (purged) {
        reserve_purged(&reserve, purged, purged);
    }
}

/* Keeps a mapping, or sends it back, or those that it takes the place of. */
static void keep(struct large_kept k, struct outgoing *out)
{
    reserve_add(&reserve, k.length);
    size_t excess = reserve_excess(&reserve, kept_bound(), 0);
    if (k.length < KEPT_LEAST || (k.length > kept_bound() + reserve.kept && !in_haste)) {
        out->mapping[out->count++] = k;
        reserve_purged(&reserve, k.length, k.length);
        return;
    }
    while (kept_join(&k)) {
    }
    if (large_kept_count == LARGE_KEPT_MOST) {
        excess = size_max(excess, 1);
    }
    evict(excess, out);
    large_kept_list[large_kept_count++] = k;
}

void large_catch_up(void)
{
    struct outgoing out = {.count = 0};
    os_lock(&lock);
    evict(reserve_excess(&reserve, kept_bound(), 0), &out);
    os_unlock(&lock);
    send_back(&out);
    unmap_deferred();
}

size_t large_trim(void)
{
    struct outgoing out = {.count = 0};
    os_lock(&lock);
    size_t bytes = reserve_dirty(&reserve);
    evict(bytes, &out);
    reserve_emptied(&reserve, 0);
    os_unlock(&lock);
    for (size_t i = 0; i < out.count; i++) {
        os_unmap(out.mapping[i].at, out.mapping[i].length);
    }
    return bytes + unmap_deferred() + fences_trim();
}

/* -- blocks -- */

/* Keeps an end of a mapping. */
static void keep_rest(char *from, char *to, enum pages pages)
{
    struct outgoing out = {.count = 0};
    if (from < to) {
        os_lock(&lock);
        keep((struct large_kept){from, (size_t)(to - from), pages}, &out);
        os_unlock(&lock);
        send_back(&out);
    }
}

/* Makes a block of a mapping that was kept; NULL when that does not go, and then it is gone. `huge`: what is fresh of it should
 * be in huge pages. */
static void *reshape(struct large_kept k, size_t length, size_t align, bool huge, enum pages *pages)
{
    char *end = k.at + k.length, *at = (char *)align_up((uintptr_t)k.at, align);
    *pages = k.pages;
    if (at + length <= end) {
        keep_rest(k.at, at, k.pages);
        keep_rest(at + length, end, k.pages);
        return at;
    }
    if (k.length > length) {
        keep_rest(k.at + length, end, k.pages);
        k.length = length;
    }
    bool done = at == k.at && os_resize(k.at, k.length, length);
    if (!done) {
        at = os_map_aligned(length, align);
        done = at && os_move(k.at, k.length, at, length);
    }
    if (!done) {
        send_back(&(struct outgoing){.mapping = {k}, .count = 1});
        return NULL;
    }
    if (k.pages == PAGES_AS_EVERYWHERE) {
        *pages = advise(huge, at, k.length, length);
    }
    return at;
}

/* For a thread in haste: a mapping that is long enough, and not twice as long, as it is; so nothing is cut off, and what such
 * threads leave they find again. Of no length when there is none. */
static struct large_kept take_whole(size_t length, size_t align)
{
    for (size_t i = 0; i < large_kept_count; i++) {
        if ((uintptr_t)large_kept_list[i].at % align == 0 && large_kept_list[i].length >= length &&
            large_kept_list[i].length / 2 < length) {
            reserve_take(&reserve, large_kept_list[i].length, 0);
            return kept_remove(i);
        }
    }
    struct large **link = &large_deferred;
    for (int steps = 0; *link && steps < HASTE_STEPS; steps++, link = &(*link)->next) {
        if ((uintptr_t)at_of(*link) % align == 0 && (*link)->length >= length && (*link)->length / 2 < length) {
            return deferred_remove(link);
        }
    }
    return (struct large_kept){NULL, 0, PAGES_AS_EVERYWHERE};
}

static struct large_kept take_kept(size_t length)
{
    size_t best = kept_best(length);
    struct large_kept k =
        best < large_kept_count ? kept_remove(best) : (struct large_kept){NULL, 0, PAGES_AS_EVERYWHERE};
    reserve_take(&reserve, k.length, length - size_min(k.length, length));
    return k;
}

/* Whether a mapping of explicit huge pages serves as it is. */
static bool fits(size_t length, size_t wanted) { return length >= wanted && length - wanted <= wanted / 8; }

static void *take_hugetlb(size_t *length, size_t align, bool *zeroed)
{
    struct large_kept k = {NULL, 0, PAGES_HUGETLB};
    size_t page = os_hugetlb_page, whole = page ? align_up(*length, page) : 0;
    if (in_haste || !fits(whole, *length)) {
        return NULL;
    }
    os_lock(&lock);
    for (size_t i = 0; !k.at && i < large_kept_count; i++) {
        if (large_kept_list[i].pages == k.pages && fits(large_kept_list[i].length, *length) &&
            (uintptr_t)large_kept_list[i].at % align == 0) {
            k = kept_remove(i);
        }
    }
    reserve_take(&reserve, k.length, k.at ? 0 : whole);
    os_unlock(&lock);
    *zeroed = !k.at;
    k = k.at ? k : (struct large_kept){os_map_hugetlb(whole, align), whole, PAGES_HUGETLB};
    *length = k.at ? k.length : *length;
    return k.at;
}

static void *take(size_t *length, size_t align, bool *zeroed, enum pages *pages)
{
    void *whole = take_hugetlb(length, align, zeroed);
    if (whole) {
        *pages = PAGES_HUGETLB;
        return whole;
    }
    os_lock(&lock);
    bool huge = advice_likely_full(*length);
    struct large_kept k = unlikely(in_haste) ? take_whole(*length, align) : take_kept(*length);
    os_unlock(&lock);
    *length = unlikely(in_haste) && k.at ? k.length : *length;
    void *at = k.at ? reshape(k, *length, align, huge, pages) : NULL;
    *zeroed = !at;
    if (at) {
        return at;
    }
    at = os_map_aligned(*length, align);
    if (!at && large_trim() > 0) {
        at = os_map_aligned(*length, align);
    }
    *pages = at ? advise(huge, at, 0, *length) : PAGES_AS_EVERYWHERE;
    return at;
}

/* Puts a block on the books; false with memory out. */
static bool enter(struct large block)
{
    os_lock(&lock);
    struct large *l = new_record();
    bool done = l && map_set(at_of(&block), l);
    if (done) {
        *l = block;
        list_push(&large_list, l);
        total_bytes += l->length;
        total_blocks++;
    } else if (l) {
        l->next = unused;
        unused = l;
    }
    os_unlock(&lock);
    return done;
}

void *large_alloc(size_t bytes, size_t align, uint32_t heap, bool *zeroed)
{
    size_t length = align_up(bytes, os_page);
    if (length < bytes) {
        errno = ENOMEM;
        return NULL;
    }
    enum pages pages;
    void *at = take(&length, size_max(align, SEGMENT_SIZE), zeroed, &pages);
    if (!at) {
        errno = ENOMEM;
        return NULL;
    }
    if (!enter((struct large){.hidden_at = ~(uintptr_t)at, .length = length, .heap = heap, .pages = pages})) {
        os_unmap(at, length);
        errno = ENOMEM;
        return NULL;
    }
    return at;
}

void *large_alloc_fenced(size_t bytes, size_t align, uint32_t heap, struct fence_stock *own)
{
    size_t length = align_up(size_max(bytes, 1), os_page);
    struct fence *f = length >= bytes ? fence_take(length, size_max(align, SEGMENT_SIZE), own) : NULL;
    if (!f) {
        return NULL;
    }
    f->asked = bytes;
    if (!enter((struct large){.hidden_at = ~(uintptr_t)f->at, .length = length, .heap = heap, .fence = f})) {
        fence_give(f, length);
        return NULL;
    }
    if (length > RUN_MAX) {
        os_lock(&lock);
        bool huge = advice_likely_full(length);
        os_unlock(&lock);
        advise(huge, f->at, 0, length);
    }
    return f->at;
}

/* With the lock held: takes a block off the books. Its mapping is the caller's to keep or give back. */
static size_t forget(struct large *l)
{
    size_t length = l->length;
    map_set(at_of(l), NULL);
    list_remove(&large_list, l);
    total_bytes -= length;
    total_blocks--;
    l->next = unused;
    unused = l;
    return length;
}

size_t large_free(void *p)
{
    os_lock(&lock);
    struct large *l = find(p);
    if (!l) {
        const void *block;
        size_t bytes;
        os_unlock(&lock);
        if (fence_find_given(p, &block, &bytes) && block == p) {
            allot_fault_block("double free", "large block", bytes, p);
        }
        allot_fault(fault_free_of_none, "large block", p);
    }
    struct fence *fence = l->fence;
    if (fence) {
        learn(l);
        size_t length = forget(l);
        os_unlock(&lock);
        fence_give(fence, length);
        return length;
    }
    struct outgoing out = {.count = 0};
    learn(l);
    enum pages pages = l->pages;
    size_t length = forget(l);
    largest_freed = size_max(largest_freed, size_min(length, KEPT_ONE_MOST));
    if (length > RUN_MAX) {
        keep((struct large_kept){p, length, pages}, &out);
    } else { /* it was made for its alignment, or because memory was short */
        out.mapping[out.count++] = (struct large_kept){p, length, pages};
    }
    os_unlock(&lock);
    send_back(&out);
    return length;
}

size_t large_length(const void *p)
{
    const struct large *l = find(p);
    return l ? l->length : 0;
}

uint32_t large_heap(const void *p)
{
    const struct large *l = find(p);
    return l ? l->heap : 0;
}

bool large_is_fenced(const void *p, size_t *asked)
{
    const struct large *l = find(p);
    if (!l || !l->fence) {
        return false;
    }
    *asked = l->fence->asked;
    return true;
}

/* With the lock held. */
static void set_length(struct large *l, size_t length)
{
    total_bytes += length - l->length;
    l->length = length;
}

bool large_resize_fenced(void *p, size_t bytes)
{
    struct large *l = find(p);
    size_t length = align_up(size_max(bytes, 1), os_page);
    if (length < bytes || (length != l->length && !fence_resize(l->fence, l->length, length))) {
        return false;
    }
    os_lock(&lock);
    set_length(l, length);
    l->fence->asked = bytes;
    os_unlock(&lock);
    return true;
}

bool large_resize(void *p, size_t bytes)
{
    size_t length = align_up(bytes, os_page);
    struct large *l = find(p);
    if (!l || length < bytes) {
        return false;
    }
    if (in_haste && length < l->length) {
        return true; /* what it has more is its own until it is freed */
    }
    if (l->pages == PAGES_HUGETLB) {
        return fits(l->length, bytes);
    }
    size_t old = l->length;
    os_lock(&lock);
    if (length < old) { /* before the end is unmapped: a fork in between leaves no record of what is gone */
        set_length(l, length);
    } else {
        learn(l);
    }
    bool huge = advice_likely_full(length);
    os_unlock(&lock);
    if (!os_resize(p, old, length)) {
        return false;
    }
    if (length > old) {
        enum pages pages = l->pages ? l->pages : advise(huge, p, old, length);
        os_lock(&lock);
        set_length(l, length);
        l->pages = pages;
        os_unlock(&lock);
    }
    return true;
}

void *large_move(void *p, size_t bytes)
{
    size_t length = align_up(bytes, os_page);
    struct large *l = find(p);
    if (!l || length < bytes || l->pages == PAGES_HUGETLB) {
        errno = ENOMEM;
        return NULL;
    }
    /* The old address is off the books before the kernel may give it to somebody else, and the new one on them first,
     * so that nothing can fail once the pages have moved. */
    void *at = os_map_aligned(length, SEGMENT_SIZE);
    if (!at) {
        return NULL;
    }
    os_lock(&lock);
    if (!map_set(at, l)) {
        os_unlock(&lock);
        os_unmap(at, length);
        errno = ENOMEM;
        return NULL;
    }
    map_set(p, NULL);
    if (!os_move(p, l->length, at, length)) {
        map_set(p, l);
        map_set(at, NULL);
        os_unlock(&lock);
        errno = ENOMEM;
        return NULL;
    }
    l->hidden_at = ~(uintptr_t)at;
    l->pages = l->pages ? l->pages : advise(advice_likely_full(length), at, l->length, length);
    set_length(l, length);
    os_unlock(&lock);
    return at;
}

size_t large_free_all(uint32_t heap)
{
    size_t bytes = 0;
    os_lock(&lock);
    for (struct large *l = large_list, *next; l; l = next) {
        next = l->next;
        if (l->heap == heap) {
            void *at = at_of(l);
            struct fence *fence = l->fence;
            size_t length = forget(l);
            if (fence) {
                fence_give(fence, length);
            } else {
                os_unmap(at, length);
            }
            bytes += length;
        }
    }
    os_unlock(&lock);
    return bytes;
}

size_t large_kept(void)
{
    return fences_kept() + reserve_dirty(&reserve) + atomic_load_explicit(&deferred_bytes, memory_order_relaxed);
}

struct large_totals large_totals(void)
{
    os_lock(&lock);
    struct large_totals totals = {total_bytes, total_blocks, large_kept(), 0};
    for (const struct large *l = large_list; l; l = l->next) {
        totals.hugetlb += l->pages == PAGES_HUGETLB ? l->length : 0;
    }
    for (size_t i = 0; i < large_kept_count; i++) {
        totals.hugetlb += large_kept_list[i].pages == PAGES_HUGETLB ? large_kept_list[i].length : 0;
    }
    os_unlock(&lock);
    return totals;
}

size_t large_resident(void)
{
    os_lock(&lock);
    size_t bytes = 0;
    for (const struct large *l = large_list; l; l = l->next) {
        bytes += os_resident(at_of(l), l->length);
    }
    for (size_t i = 0; i < large_kept_count; i++) {
        bytes += os_resident(large_kept_list[i].at, large_kept_list[i].length);
    }
    for (const struct large *l = large_deferred; l; l = l->next) {
        bytes += os_resident(at_of(l), l->length);
    }
    os_unlock(&lock);
    return bytes + fences_resident();
}

int large_walk(int (*visit)(void *p, size_t bytes, uint32_t heap, void *arg), void *arg)
{
    for (struct large *l = large_list, *next; l; l = next) {
        next = l->next;
        int stop = visit(at_of(l), l->length, l->heap, arg);
        if (stop) {
            return stop;
        }
    }
    return 0;
}

bool large_find_fenced(const void *address, struct large_fenced *out)
{
    const struct large *l = NULL;
    if (os_try_lock(&lock)) {
        for (l = large_list; l && !(l->fence && fence_spans(l->fence, address)); l = l->next) {
        }
        if (l) {
            *out = (struct large_fenced){at_of(l), l->fence->asked, l->length};
        }
        os_unlock(&lock);
    }
    out->length = l ? out->length : 0;
    return l || fence_find_given(address, &out->block, &out->bytes);
}

bool large_check(void)
{
    size_t bytes = 0, blocks = 0;
    os_lock(&lock);
    for (struct large *l = large_list; l; l = l->next) {
        CHECK(find(at_of(l)) == l, "large block", at_of(l));
        CHECK(!l->next || l->next->prev == l, "large block", at_of(l));
        bytes += l->length;
        blocks++;
    }
    CHECK(bytes == total_bytes && blocks == total_blocks, "large blocks", &total_bytes);
    size_t kept_sum = 0;
    for (size_t i = 0; i < large_kept_count; i++) {
        CHECK(large_kept_list[i].length > 0, "kept mapping", large_kept_list[i].at);
        kept_sum += large_kept_list[i].length;
    }
    CHECK(kept_sum == reserve_dirty(&reserve) && large_kept_count <= LARGE_KEPT_MOST, "kept mappings", large_kept_list);
    os_unlock(&lock);
    return fences_check();
}

void large_lock(void)
{
    os_lock(&lock);
    fences_lock();
}

void large_unlock(void)
{
    fences_unlock();
    os_unlock(&lock);
}

void large_lock_reset(void)
{
    os_lock_reset(&lock);
    fences_lock_reset();
}
