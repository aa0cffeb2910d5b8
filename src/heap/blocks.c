/* heap/blocks.c - blocks of any size, for a heap given: which kind serves which size, and what a live block is.
 *
 *   up to 32 KiB    a slot of a slab of the heap        owner word: the heap's id
 *   up to 2 MiB     a run of pages (span/run.h)         owner word: OWNER_RUN
 *   beyond          a mapping of its own (span/large.h) begins at a multiple of 4 MiB
 */
#include <errno.h>
#include <string.h>

#include "heap/checks.h"
#include "heap/choice.h"
#include "heap/guard.h"
#include "heap/heap.h"
#include "heap/limit.h"
#include "heap/nothing.h"
#include "heap/part.h"
#include "heap/sample.h"
#include "heap/seal.h"
#include "heap/share.h"
#include "heap/site.h"
#include "heap/tag.h"
#include "heap/typed.h"
#include "os/fault.h"
#include "os/memory.h"
#include "os/watch.h"
#include "span/fenced.h"
#include "span/large.h"
#include "span/run.h"

/* The first so many blocks of a class come from the commons: a slab for a few would be a page or more for each class and
 * thread. Not of larger ones, which fill pages of their own; nor in a process of one thread, which has nobody to share with. */
static bool wants_little(const struct heap *h, unsigned c)
{
    enum { BYTES = 2048, BLOCKS = 8, LARGEST = 4096 };
    const struct heap_class *class = &h->classes[c];
    unsigned base = class_untuned(c);
    size_t stride = class_size(base);
    return !class->current && !any_with_room(class) && stride <= LARGEST && threaded() && (h->id & ~ID_NUMBER) == 0 &&
           h->common[base] < size_max(BYTES / stride, BLOCKS);
}

static void note_zeroed(struct at_hand at, bool zeroed)
{
    *at.zeroed = zeroed ? *at.zeroed | at.bit : *at.zeroed & ~at.bit;
}

/* The chosen block, when it is this one; NULL when it is not, or cannot be had. */
static void *__attribute__((cold, noinline)) alloc_chosen(struct heap *h, unsigned c, size_t size, bool *zeroed)
{
    double chance;
    switch (choice_take(h, c, &chance)) {
    case CHOSEN_SAMPLE:
        return sample_alloc(h->id & ID_TAGGED, size, chance, zeroed);
    case CHOSEN_GUARD:
        *zeroed = false;
        return guard_take(size);
    case CHOSEN_NOT:
        break;
    }
    return NULL;
}

/* A block of the commons. Where some are chosen, that is done one by one. */
void *heap_alloc_little(size_t size, struct block **list, bool *zeroed)
{
    double chance;
    void *p = NULL;
    if (choice_is_on()) {
        list = NULL;
        bool chosen = choice_one(0, class_size(class_of_size(size_max(size, 1))), &chance);
        p = chosen ? sample_alloc(0, size, chance, zeroed) : NULL;
    }
    return p ? p : commons_alloc(size, list, zeroed);
}

void *heap_alloc_more_small(struct heap *h, struct front *f, size_t size)
{
    struct at_hand at = at_hand_small(f, size);
    unsigned c = class_of_size(size_max(size, 1));
    bool zeroed = false;
    struct block *b = NULL;
    share_poll();
    if (!h || wants_little(h, c)) {
        b = heap_alloc_little(size, at.list, &zeroed);
    } else if (!choice_is_due(h, c) || !(b = alloc_chosen(h, c, size, &zeroed))) {
        b = heap_refill(h, c, GROUP_ANY, at.list, &zeroed);
    }
    note_zeroed(at, zeroed);
    site_note_slot(b, zeroed);
    return b;
}

void *heap_alloc_more_mid(struct heap *h, size_t size, unsigned c)
{
    struct at_hand at = at_hand_mid(h, c);
    bool zeroed = false;
    struct block *b = NULL;
    share_poll();
    heap_tune(h, c, size);
    if (wants_little(h, c)) {
        b = heap_alloc_little(size, NULL, &zeroed);
    } else if (!choice_is_due(h, c) || !(b = alloc_chosen(h, c, size, &zeroed))) {
        b = heap_refill(h, c, GROUP_ANY, at.list, &zeroed);
    }
    note_zeroed(at, zeroed);
    site_note_slot(b, zeroed);
    return b;
}

const char *block_kind(const void *p)
{
    uint32_t owner = begins_large(p) ? OWNER_LIMIT : slab_owner(slab_of(p));
    return begins_large(p) ? "large block" : owner == OWNER_RUN ? "page run" : "small block";
}

/* New bytes of a block without a seal. */
static void fill(char *p, size_t from, size_t to)
{
    if (hardening.filled && from < to) {
        memset(p + from, hardening.fill, to - from);
    }
}

/* So many bytes are wiped by writing to them; more, by giving their pages back. */
#define WRITTEN (128 * KIB)

/* What nobody has any more, or not yet, is zero. */
void big_zero(char *p, size_t length)
{
    size_t asked;
    if (begins_large(p) && large_is_fenced(p, &asked)) {
        return; /* its place sees to it */
    }
    char *from = (char *)align_up((uintptr_t)p, os_page), *to = (char *)align_down((uintptr_t)p + length, os_page);
    if (length < WRITTEN || from >= to || os_purge(from, (size_t)(to - from)) == 0) {
        memset(p, 0, length);
        return;
    }
    memset(p, 0, (size_t)(from - p));
    memset(to, 0, (size_t)(p + length - to));
}

size_t block_asked(const void *p, size_t room, const char *crime, const char *kind)
{
    size_t asked;
    if (!begins_large(p) || !large_is_fenced(p, &asked)) {
        return seal_size(p, room, crime, kind);
    }
    seal_expect_slack(p, room, asked, kind);
    return asked;
}

void *big_alloc(size_t size, size_t align, uint32_t heap, bool *zeroed)
{
    if (size > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    heap_init();
    size_t asked = size;
    size = size_max(size + hardening.redzone, 1);
    size_t pages = align_up(size, RUN_PAGE);
    if (!limit_take(pages)) {
        errno = ENOMEM;
        return NULL;
    }
    struct fence_stock *own = fenced() ? typed_places(heap) : NULL;
    void *p = fenced() && (asked >= FENCED_LEAST || own) ? large_alloc_fenced(asked, align, heap, own) : NULL;
    bool sealing = sealed() && !p;
    if (p) {
        fill(p, 0, asked);
        *zeroed = !hardening.filled;
    } else if (own) {
        errno = ENOMEM;
    } else if (size <= RUN_MAX && align <= RUN_MAX_ALIGN) {
        p = run_alloc(size, align, heap, zeroed);
    }
    if (!p && !own) {
        /* Also for a run that no segment has room for: its own pages may still be had where 4 MiB are not. */
        p = large_alloc(size, align, heap, zeroed);
    }
    size_t got = p ? block_size(p) : 0;
    limit_adjust(pages, got);
    bytes_count((ptrdiff_t)got);
    share_poll();
    checks_big();
    if (sealing && p) {
        watch_allow(p, got);
        if (begins_large(p)) {
            watch_roots(p, got, true);
        }
        bool checked =
            !*zeroed && got < WRITTEN && !begins_large(p); /* it was wiped when it was freed, the last time */
        if (!*zeroed && !checked) {
            big_zero(p, got);
        }
        seal_begin_any(p, got, asked, checked, block_kind(p));
        *zeroed = !hardening.filled;
    }
    if (choice_is_on() && p) {
        sample_big(p, asked, heap);
        site_note(p);
    }
    return p;
}

void big_wipe(void *p, size_t bytes)
{
    if (watched()) {
        seal_unwatch(p, bytes);
        if (begins_large(p)) {
            watch_roots(p, bytes, false);
        }
    }
    watch_allow(p, bytes);
    big_zero(p, bytes);
    watch_deny(p, bytes);
}

void block_is_none(const char *crime, const void *p)
{
    part_expect_none(crime, p);
    allot_fault(crime, "address", p);
}

void big_free(void *p)
{
    if (unlikely(parts_exist())) {
        part_expect_none(fault_free_of_none, p);
    }
    if (unlikely(tags_exist()) && block_size(p) != 0) {
        tag_free(block_heap(p), p, block_size(p));
    }
    big_free_uncounted(p);
}

void big_free_uncounted(void *p)
{
    if (unlikely(fenced()) && is_nothing(p)) {
        nothing_free(p);
        return;
    }
    size_t bytes = sealed() ? block_size(p) : 0;
    sample_big_gone(p);
    if (bytes != 0) {
        block_asked(p, bytes, "double free", block_kind(p));
        big_wipe(p, bytes);
    }
    if (begins_large(p)) {
        bytes = large_free(p);
    } else if (slab_owner(slab_of(p)) == OWNER_RUN) {
        bytes = run_free(p);
    } else if (slab_owner(slab_of(p)) == OWNER_GUARD) {
        guard_free(p);
    } else {
        allot_fault(fault_free_of_none, "address", p);
    }
    limit_give(bytes);
    bytes_count(-(ptrdiff_t)bytes);
    catch_up();
    share_poll();
    checks_big();
}

/* A big block that is to have another length: what it counts for meanwhile. */
struct resizing {
    struct allot_tag *tag;
    size_t old, more;
    struct sample *sample;
};

/* False when a limit forbids it; then nothing is counted. */
static bool resize_begins(struct resizing *r, const void *p, size_t size)
{
    size_t wanted = align_up(size, RUN_PAGE);
    r->tag = unlikely(tags_exist()) ? tag_of(p) : NULL;
    r->old = block_size(p);
    r->more = wanted > r->old ? wanted - r->old : 0;
    if (r->more && !limit_take(r->more)) {
        return false;
    }
    if (unlikely(r->tag != NULL) && !tag_take(r->tag, r->more)) {
        limit_give(r->more);
        return false;
    }
    r->sample = sample_lift(p);
    return true;
}

/* `done`: it has now another length, of which so many bytes are wanted. */
static void resize_ends(const struct resizing *r, void *p, bool done, size_t size)
{
    size_t now = block_size(p);
    limit_adjust(r->old + r->more, now);
    bytes_count((ptrdiff_t)now - (ptrdiff_t)r->old);
    if (unlikely(r->tag != NULL)) {
        tag_resized(r->tag, p, r->old, r->more, now);
    }
    if (r->sample || choice_is_on()) {
        sample_resized(r->sample, p, done, size, block_heap(p));
    }
}

/* A block that is sealed stays where it is when its pages are as many as it would have. */
static bool resize_sealed(void *p, size_t size)
{
    size_t room = block_size(p);
    bool fits = !(block_heap(p) & ID_TAGGED) && size + hardening.redzone <= room &&
                align_up(size + hardening.redzone, RUN_PAGE) >= room;
    if (fits) {
        seal_resize(p, room, size, block_kind(p));
    }
    return fits;
}

/* One in a place of its own: within its room. What it has less is wiped, and what it has more is new. */
static bool resize_fenced(char *p, size_t asked, size_t size)
{
    struct resizing r;
    size += tag_word(block_heap(p));
    if (size > PTRDIFF_MAX || !resize_begins(&r, p, size)) {
        return false;
    }
    bool done = large_resize_fenced(p, size);
    if (done && size < asked) {
        memset(p + size, 0, size_min(asked, block_size(p)) - size);
    } else if (done) {
        fill(p, asked, size);
    }
    resize_ends(&r, p, done, size);
    return done;
}

bool big_resize(void *p, size_t size)
{
    struct resizing r;
    size_t asked;
    if (unlikely(is_guarded(p))) {
        return size <= guard_size(p);
    }
    if (sealed()) {
        return fenced() && begins_large(p) && large_is_fenced(p, &asked) ? resize_fenced(p, asked, size)
                                                                         : resize_sealed(p, size);
    }
    size += unlikely(tags_exist()) ? tag_word(block_heap(p)) : 0;
    if (!resize_begins(&r, p, size)) {
        return false;
    }
    bool done = begins_large(p) ? large_resize(p, size) : run_resize(p, size);
    resize_ends(&r, p, done, size);
    return done;
}

void *big_move(void *p, size_t size)
{
    struct resizing r;
    if (sealed()) {
        errno = ENOMEM;
        return NULL;
    }
    size += unlikely(tags_exist()) ? tag_word(block_heap(p)) : 0;
    if (!resize_begins(&r, p, size)) {
        errno = ENOMEM;
        return NULL;
    }
    uint32_t site = sites_kept ? site_of(p) : 0;
    void *moved = large_move(p, size);
    resize_ends(&r, moved ? moved : p, moved, size);
    if (moved) {
        site_set(moved, site);
    }
    return moved;
}

void big_free_all(uint32_t heap)
{
    size_t bytes = runs_free_all(heap) + large_free_all(heap);
    limit_give(bytes);
    bytes_count(-(ptrdiff_t)bytes);
}

void heap_catch_up(void)
{
    atomic_store_explicit(&left_in_haste, false, memory_order_relaxed);
    large_catch_up();
    runs_catch_up();
    segments_catch_up();
}

size_t big_give_up(void) { return large_trim() + runs_trim(); }

size_t block_size(const void *p)
{
    if (begins_large(p)) {
        return large_length(p);
    }
    const struct slab *s = slab_of(p);
    uint32_t owner = slab_owner(s);
    if (unlikely(owner >= OWNER_LIMIT)) {
        return owner == OWNER_RUN ? run_length(p) : owner == OWNER_GUARD ? guard_size(p) : 0;
    }
    return slab_stride(s);
}

uint32_t block_heap(const void *p)
{
    if (begins_large(p)) {
        return large_heap(p);
    }
    if (unlikely(fenced()) && is_nothing(p)) {
        return 0;
    }
    uint32_t owner = slab_owner(slab_of(p));
    return owner < OWNER_LIMIT ? owner : owner == OWNER_GUARD ? 0 : run_heap(p);
}

size_t block_usable(const void *p)
{
    size_t bytes = block_size(p);
    if (sealed() && bytes) {
        bytes = block_asked(p, bytes, "use of what is no live block", block_kind(p));
    }
    return likely(!tags_exist()) || bytes == 0 ? bytes : bytes - tag_word(block_heap(p));
}
