/* heap/tagged.c - blocks that count to a tag, and how they are known.
 *
 *   front (the thread's)                       its heap for tagged blocks, of every tag
 *   list[]: empty while in a tag               front.list[], mid[] --> blocks at hand
 *   tag --> what to count to                   classes[] --> slabs, owner: id | ID_TAGGED
 *   aside --> what list[] held before
 *
 *   block:  | usable ................. | word |     the last 8 bytes of its slot, run or mapping: the tag's index, complemented
 *                                                   in the upper half
 *
 * Fast paths know nothing of it: malloc finds an empty list, and free an owner that is not the thread's heap. There is one such
 * heap a thread and not one a tag, so a tag costs its record only, and entering another is the change of a pointer. It has no
 * slab in common with the thread's ordinary heap, so an owner's id says whether there is a word to look at.
 *
 * A first-class heap that has a tag needs no word: who frees its block has the heap at hand.
 */
#include <errno.h>
#include <string.h>

#include "heap/fast.h"
#include "heap/hard.h"
#include "heap/instance.h"
#include "heap/nothing.h"
#include "heap/recording.h"
#include "heap/sample.h"
#include "heap/tag.h"
#include "heap/typed.h"
#include "os/fault.h"
#include "span/run.h"

/* -- the word -- */

typedef uint64_t any_word __attribute__((aligned(1)));

/* What is sealed says itself how long it is, any number of bytes. */
static any_word *word_at(const void *p, size_t bytes)
{
    bytes = sealed() ? block_asked(p, bytes, "double free", "tagged block") : bytes;
    return (any_word *)((char *)p + bytes - TAG_WORD);
}

static uint64_t word_of(uint32_t index) { return (uint64_t)~index << 32 | index; }

#define WORD_FREED word_of(0) /* no tag has this index */

static inline struct allot_tag *tag_of_word(const void *p, size_t bytes)
{
    uint64_t word = *word_at(p, bytes);
    struct allot_tag *tag = likely(word == word_of((uint32_t)word)) ? tag_by_index((uint32_t)word) : NULL;
    if (unlikely(!tag)) {
        allot_fault(word == WORD_FREED ? "double free" : "end of a block overwritten", "tagged block", p);
    }
    return tag;
}

struct allot_tag *tag_of(const void *p)
{
    uint32_t id = block_heap(p);
    return id & ID_TAGGED ? tag_of_word(p, block_size(p)) : id & ID_PRIVATE ? heap_by_id(id)->tag : NULL;
}

/* -- allocation -- */

static void __attribute__((noinline)) *
    big(struct allot_tag *tag, uint32_t id, size_t size, size_t align, size_t *bytes, bool *zeroed)
{
    size_t expected = align_up(size_max(size, 1), RUN_PAGE);
    if (size > PTRDIFF_MAX || !tag_take(tag, expected)) {
        return NULL;
    }
    void *p = big_alloc(size, align, id, zeroed);
    size_t got = p ? block_size(p) : 0;
    if (unlikely(got > expected) && !tag_take(tag, got - expected)) { /* a longer mapping, for a thread in haste */
        big_free_uncounted(p);
        p = NULL;
        got = 0;
    }
    if (unlikely(got < expected)) {
        tag_give(tag, expected - got);
    }
    *bytes = got;
    return p;
}

/* A block of a heap whose blocks count to `tag`, and the bytes that it takes. Big ones are marked with `id`. */
static inline __attribute__((always_inline)) void *alloc(struct allot_tag *tag, struct heap *h, uint32_t id,
                                                         size_t size, size_t align, size_t *bytes, bool *zeroed)
{
    bool aligned = align > 16;
    if (is_hard() ? hard_slot_size(size, align) == 0 : size > SLAB_MAX || align > SLAB_MAX) {
        return big(tag, id, size, align, bytes, zeroed);
    }
    size_t slot = aligned ? size_when_aligned(size, align) : size;
    *bytes = is_hard() ? hard_slot_size(size, align) : heap_slot_size(h, slot, aligned);
    if (unlikely(!tag_take(tag, *bytes))) {
        return NULL;
    }
    void *p = is_hard() ? hard_alloc(h, id, size, align, zeroed) : heap_alloc(h, h->front, slot, aligned, zeroed);
    if (unlikely(!p)) {
        tag_give(tag, *bytes);
    } else if (unlikely(slot > SMALL_MAX && sample_may_have(p))) { /* which is not of a tuned class */
        tag_adjust(tag, *bytes, block_size(p));
        *bytes = block_size(p);
    }
    return p;
}

/* The same where blocks of each tag lie apart (heap/typed.h), and need no word therefore. */
static void *alloc_typed(struct allot_tag *tag, size_t size, size_t align, size_t *bytes, bool *zeroed)
{
    uint32_t id = typed_heap(tag);
    void *p = NULL;
    *bytes = hard_slot_size(size, align);
    if (unlikely(id == 0)) {
        return NULL;
    }
    if (*bytes == 0) {
        p = big(tag, id, size, align, bytes, zeroed);
    } else if (tag_take(tag, *bytes) && !(p = typed_alloc(id, size, align, zeroed))) {
        tag_give(tag, *bytes);
    }
    if (likely(p != NULL)) {
        atomic_fetch_add_explicit(&heap_by_id(id)->charged, *bytes, memory_order_relaxed);
    }
    return p;
}

void *tag_alloc(size_t size, size_t align, bool *zeroed)
{
    struct allot_tag *tag = front.tag;
    void *nothing = unlikely(size == 0) && fenced() && align <= 16 ? nothing_alloc() : NULL;
    if (unlikely(nothing != NULL)) { /* which counts to nobody */
        *zeroed = true;
        return nothing;
    }
    size_t bytes;
    void *p;
    if (fenced()) {
        p = alloc_typed(tag, size, align, &bytes, zeroed);
    } else {
        struct heap *h = likely(front.tagged != NULL) ? front.tagged : heap_attach_tagged();
        p = h && size <= PTRDIFF_MAX ? alloc(tag, h, ID_TAGGED, size + TAG_WORD, align, &bytes, zeroed) : NULL;
        if (likely(p != NULL)) {
            *word_at(p, bytes) = word_of(tag->index);
        }
    }
    if (unlikely(!p)) {
        errno = ENOMEM;
        return NULL;
    }
    tag_tell(tag);
    return p;
}

void *tag_alloc_like(const void *p, size_t size)
{
    struct allot_tag *before = allot_tag_enter(tag_of(p));
    void *made = untold_malloc(size);
    allot_tag_enter(before);
    return made;
}

void *tag_alloc_private(struct heap *h, size_t size, size_t align)
{
    bool zeroed;
    size_t bytes;
    void *p = alloc(h->tag, h, h->id, size, align, &bytes, &zeroed);
    if (!p) {
        errno = ENOMEM;
        return NULL;
    }
    h->big += is_big(p);
    atomic_fetch_add_explicit(&h->charged, bytes, memory_order_relaxed);
    tag_tell(h->tag);
    return p;
}

/* -- the end, and another length -- */

void tag_free(uint32_t heap_id, void *p, size_t bytes)
{
    if (heap_id & ID_TAGGED) {
        struct allot_tag *tag = tag_of_word(p, bytes);
        *word_at(p, bytes) = WORD_FREED;
        tag_give(tag, bytes);
        return;
    }
    struct heap *h = heap_id & ID_PRIVATE ? heap_by_id(heap_id) : NULL;
    if (h && h->tag) {
        atomic_fetch_sub_explicit(&h->charged, bytes, memory_order_relaxed);
        tag_give(h->tag, bytes);
    }
}

void tag_resized(struct allot_tag *tag, void *p, size_t old, size_t more, size_t now)
{
    uint32_t id = block_heap(p);
    if (id & ID_TAGGED) {
        *word_at(p, now) = word_of(tag->index);
    } else {
        atomic_fetch_add_explicit(&heap_by_id(id)->charged, now - old, memory_order_relaxed);
    }
    tag_adjust(tag, old + more, now);
    tag_tell(tag);
}

/* -- the thread's tag -- */

struct allot_tag *allot_tag_enter(struct allot_tag *tag)
{
    const struct instance *first = instance_in_use();
    if (unlikely(first)) {
        return first->tag_enter(tag);
    }
    struct allot_tag *before = front.tag;
    if (front.ended) {
        return NULL;
    }
    if (!is_hard() && !front.recorder) {
        if (tag && !before) {
            heap_attach_tagged();
            front_set_aside();
        } else if (before && !tag) {
            front_bring_back();
        }
    }
    front.tag = tag;
    recording_settle();
    return before;
}
