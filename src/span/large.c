/* span/large.c - see span/large.h. A record a block, found through the address map; all records on one list.
 *
 * A block is made of the mapping that fits best of those that are kept (span/kept.h): of a longer one the ends stay; a shorter one grows, where
 * it stands or by moving its pages in the kernel's tables. A page that is there costs a tenth of one that must be faulted in and zeroed.
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
#include "span/kept.h"
#include "span/map.h"
#include "span/reserve.h"
#include "span/run.h"
#include "span/segment.h"

struct os_lock large_mutex;
struct large *large_list;
static struct large *unused;
size_t large_live;
static size_t total_blocks;

static struct large *find(const void *p)
{
    void *what = (uintptr_t)p & (SEGMENT_SIZE - 1) ? NULL : map_get(p);
    return what == MAP_SEGMENT ? NULL : what;
}

struct large *large_new_record(void)
{
    struct large *l = unused;
    unused = l ? l->next : NULL;
    return l ? l : record_alloc(sizeof *l);
}

void large_drop_record(struct large *l)
{
    l->next = unused;
    unused = l;
}

/* With the lock held: learns from a block that ends or grows. */
static void learn(const struct large *l)
{
    if (!in_haste && l->pages != PAGES_HUGETLB) {
        advice_learn(large_at(l), l->length);
    }
}

/* -- blocks -- */

/* Makes a block of a mapping that was kept; NULL when that does not go, and then it is gone. `huge`: what is fresh of it should
 * be in huge pages. */
static void *reshape(struct large_kept k, size_t length, size_t align, bool huge, enum pages *pages)
{
    char *end = k.at + k.length, *at = (char *)align_up((uintptr_t)k.at, align);
    *pages = k.pages;
    if (at + length <= end) {
        kept_rest(k.at, at, k.pages);
        kept_rest(at + length, end, k.pages);
        return at;
    }
    if (k.length > length) {
        kept_rest(k.at + length, end, k.pages);
        k.length = length;
    }
    bool done = at == k.at && os_resize(k.at, k.length, length);
    if (!done) {
        at = os_map_aligned(length, align);
        done = at && os_move(k.at, k.length, at, length);
    }
    if (!done) {
        kept_send_back(&(struct kept_outgoing){.mapping = {k}, .count = 1});
        return NULL;
    }
    if (k.pages == PAGES_AS_EVERYWHERE) {
        *pages = advise(huge, at, k.length, length);
    }
    return at;
}

static void *take_hugetlb(size_t *length, size_t align, bool *zeroed)
{
    struct large_kept k = {NULL, 0, PAGES_HUGETLB};
    size_t page = os_hugetlb_page, whole = page ? align_up(*length, page) : 0;
    if (in_haste || !kept_fits(whole, *length)) {
        return NULL;
    }
    os_lock(&large_mutex);
    k = kept_take_hugetlb(*length, whole, align);
    os_unlock(&large_mutex);
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
    os_lock(&large_mutex);
    bool huge = advice_likely_full(*length);
    struct large_kept k = unlikely(in_haste) ? kept_take_whole(*length, align) : kept_take(*length);
    os_unlock(&large_mutex);
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
    os_lock(&large_mutex);
    struct large *l = large_new_record();
    bool done = l && map_set(large_at(&block), l);
    if (done) {
        *l = block;
        list_push(&large_list, l);
        large_live += l->length;
        total_blocks++;
    } else if (l) {
        large_drop_record(l);
    }
    os_unlock(&large_mutex);
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
        os_lock(&large_mutex);
        bool huge = advice_likely_full(length);
        os_unlock(&large_mutex);
        advise(huge, f->at, 0, length);
    }
    return f->at;
}

/* With the lock held: takes a block off the books. Its mapping is the caller's to keep or give back. */
static size_t forget(struct large *l)
{
    size_t length = l->length;
    map_set(large_at(l), NULL);
    list_remove(&large_list, l);
    large_live -= length;
    total_blocks--;
    large_drop_record(l);
    return length;
}

size_t large_free(void *p)
{
    os_lock(&large_mutex);
    struct large *l = find(p);
    if (!l) {
        const void *block;
        size_t bytes;
        os_unlock(&large_mutex);
        if (fence_find_given(p, &block, &bytes) && block == p) {
            allot_fault_block("double free", "large block", bytes, p);
        }
        allot_fault(fault_free_of_none, "large block", p);
    }
    struct fence *fence = l->fence;
    if (fence) {
        learn(l);
        size_t length = forget(l);
        os_unlock(&large_mutex);
        fence_give(fence, length);
        return length;
    }
    struct kept_outgoing out = {.count = 0};
    learn(l);
    enum pages pages = l->pages;
    size_t length = forget(l);
    kept_learn(length);
    if (length > RUN_MAX) {
        kept_keep((struct large_kept){p, length, pages}, &out);
    } else { /* it was made for its alignment, or because memory was short */
        out.mapping[out.count++] = (struct large_kept){p, length, pages};
    }
    os_unlock(&large_mutex);
    kept_send_back(&out);
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
    large_live += length - l->length;
    l->length = length;
}

bool large_resize_fenced(void *p, size_t bytes)
{
    struct large *l = find(p);
    size_t length = align_up(size_max(bytes, 1), os_page);
    if (length < bytes || (length != l->length && !fence_resize(l->fence, l->length, length))) {
        return false;
    }
    os_lock(&large_mutex);
    set_length(l, length);
    l->fence->asked = bytes;
    os_unlock(&large_mutex);
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
        return kept_fits(l->length, bytes);
    }
    size_t old = l->length;
    os_lock(&large_mutex);
    if (length < old) { /* before the end is unmapped: a fork in between leaves no record of what is gone */
        set_length(l, length);
    } else {
        learn(l);
    }
    bool huge = advice_likely_full(length);
    os_unlock(&large_mutex);
    if (!os_resize(p, old, length)) {
        return false;
    }
    if (length > old) {
        enum pages pages = l->pages ? l->pages : advise(huge, p, old, length);
        os_lock(&large_mutex);
        set_length(l, length);
        l->pages = pages;
        os_unlock(&large_mutex);
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
    os_lock(&large_mutex);
    if (!map_set(at, l)) {
        os_unlock(&large_mutex);
        os_unmap(at, length);
        errno = ENOMEM;
        return NULL;
    }
    map_set(p, NULL);
    if (!os_move(p, l->length, at, length)) {
        map_set(p, l);
        map_set(at, NULL);
        os_unlock(&large_mutex);
        errno = ENOMEM;
        return NULL;
    }
    l->hidden_at = ~(uintptr_t)at;
    l->pages = l->pages ? l->pages : advise(advice_likely_full(length), at, l->length, length);
    set_length(l, length);
    os_unlock(&large_mutex);
    return at;
}

size_t large_free_all(uint32_t heap)
{
    size_t bytes = 0;
    os_lock(&large_mutex);
    for (struct large *l = large_list, *next; l; l = next) {
        next = l->next;
        if (l->heap == heap) {
            void *at = large_at(l);
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
    os_unlock(&large_mutex);
    return bytes;
}

size_t large_kept(void) { return fences_kept() + kept_bytes(); }

struct large_totals large_totals(void)
{
    os_lock(&large_mutex);
    struct large_totals totals = {large_live, total_blocks, large_kept(), 0};
    for (const struct large *l = large_list; l; l = l->next) {
        totals.hugetlb += l->pages == PAGES_HUGETLB ? l->length : 0;
    }
    for (size_t i = 0; i < large_kept_count; i++) {
        totals.hugetlb += large_kept_list[i].pages == PAGES_HUGETLB ? large_kept_list[i].length : 0;
    }
    os_unlock(&large_mutex);
    return totals;
}

size_t large_resident(void)
{
    os_lock(&large_mutex);
    size_t bytes = 0;
    for (const struct large *l = large_list; l; l = l->next) {
        bytes += os_resident(large_at(l), l->length);
    }
    for (size_t i = 0; i < large_kept_count; i++) {
        bytes += os_resident(large_kept_list[i].at, large_kept_list[i].length);
    }
    for (const struct large *l = large_deferred; l; l = l->next) {
        bytes += os_resident(large_at(l), l->length);
    }
    os_unlock(&large_mutex);
    return bytes + fences_resident();
}

int large_walk(int (*visit)(void *p, size_t bytes, uint32_t heap, void *arg), void *arg)
{
    for (struct large *l = large_list, *next; l; l = next) {
        next = l->next;
        int stop = visit(large_at(l), l->length, l->heap, arg);
        if (stop) {
            return stop;
        }
    }
    return 0;
}

bool large_find_fenced(const void *address, struct large_fenced *out)
{
    const struct large *l = NULL;
    if (os_try_lock(&large_mutex)) {
        for (l = large_list; l && !(l->fence && fence_spans(l->fence, address)); l = l->next) {
        }
        if (l) {
            *out = (struct large_fenced){large_at(l), l->fence->asked, l->length};
        }
        os_unlock(&large_mutex);
    }
    out->length = l ? out->length : 0;
    return l || fence_find_given(address, &out->block, &out->bytes);
}

bool large_check(void)
{
    size_t bytes = 0, blocks = 0;
    os_lock(&large_mutex);
    for (struct large *l = large_list; l; l = l->next) {
        CHECK(find(large_at(l)) == l, "large block", large_at(l));
        CHECK(!l->next || l->next->prev == l, "large block", large_at(l));
        bytes += l->length;
        blocks++;
    }
    CHECK(bytes == large_live && blocks == total_blocks, "large blocks", &large_live);
    kept_check();
    os_unlock(&large_mutex);
    return fences_check();
}

void large_lock(void)
{
    os_lock(&large_mutex);
    fences_lock();
}

void large_unlock(void)
{
    fences_unlock();
    os_unlock(&large_mutex);
}

void large_lock_reset(void)
{
    os_lock_reset(&large_mutex);
    fences_lock_reset();
}
