/* heap/tag.c - named budgets: what a tag counts, and what happens at its limits.
 *
 *   name --> tree of all tags, by the bits of the name's hash        index --> table of leaves of 1024
 *
 *   0 ---------------- calm = 7/8 soft ---------------- soft ---------------- limit
 *          told again  <--                                --> told once          ENOMEM
 *
 * The count is exact at every moment: a block is counted before it is had, and taken off as it is freed. So a limit of a few
 * bytes holds, and ten thousand tags can be compared. Its price is one atomic operation each; threads that work under one
 * tag share its line, which is the case to avoid where it matters: one tag each, summed by who asks.
 */
#include "heap/tag.h"

#include <errno.h>
#include <string.h>

#include "heap/instance.h"
#include "os/lock.h"
#include "span/map.h"

struct allot_tag **_Atomic tags_table[TAGS_ROOT];

static struct os_lock lock; /* the tree, the table, what is to be told to whom */
static struct allot_tag *root;
static _Atomic uint32_t made; /* how many there are */
_Atomic bool tag_made;

/* Of 1 to `made`, read before. */
static struct allot_tag *entry(uint32_t index)
{
    return atomic_load_explicit(&tags_table[index / TAGS_LEAF], memory_order_relaxed)[index % TAGS_LEAF];
}

struct allot_tag *tag_by_index(uint32_t index)
{
    return index - 1 < atomic_load_explicit(&made, memory_order_acquire) ? entry(index) : NULL;
}

/* -- names -- */

/* FNV-1a, and a step that makes all bits depend on all. */
static uint64_t hash(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++) {
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    }
    return (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
}

/* Where in the tree the tag of that name is, or belongs. */
static struct allot_tag **place(const char *name)
{
    struct allot_tag **at = &root;
    for (uint64_t bits = hash(name); *at && strcmp((*at)->name, name) != 0; bits <<= 1) {
        at = &(*at)->child[bits >> 63];
    }
    return at;
}

/* With the lock held. */
static struct allot_tag *make(const char *name, size_t length)
{
    uint32_t index = atomic_load_explicit(&made, memory_order_relaxed) + 1;
    if (index / TAGS_LEAF >= TAGS_ROOT) {
        return NULL;
    }
    struct allot_tag **leaf = atomic_load_explicit(&tags_table[index / TAGS_LEAF], memory_order_relaxed);
    if (!leaf) {
        leaf = record_alloc(TAGS_LEAF * sizeof(struct allot_tag *));
        if (!leaf) {
            return NULL;
        }
        atomic_store_explicit(&tags_table[index / TAGS_LEAF], leaf, memory_order_relaxed);
    }
    struct allot_tag *tag = record_alloc(offsetof(struct allot_tag, name) + length + 1);
    if (tag) {
        atomic_store_explicit(&tag->notice, SIZE_MAX, memory_order_relaxed);
        tag->index = index;
        memcpy(tag->name, name, length + 1);
        leaf[index % TAGS_LEAF] = tag;
        atomic_store_explicit(&made, index, memory_order_release);
        atomic_store_explicit(&tag_made, true, memory_order_relaxed);
    }
    return tag;
}

struct allot_tag *allot_tag(const char *name, size_t limit)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->tag(name, limit);
    }
    size_t length = strnlen(name, ALLOT_TAG_NAME_MAX + 1);
    if (length == 0 || length > ALLOT_TAG_NAME_MAX) {
        errno = EINVAL;
        return NULL;
    }
    heap_init();
    os_lock(&lock);
    struct allot_tag **at = place(name), *tag = *at;
    if (!tag) {
        tag = *at = make(name, length);
    }
    if (tag) {
        atomic_store_explicit(&tag->limit, limit, memory_order_relaxed);
    }
    os_unlock(&lock);
    if (!tag) {
        errno = ENOMEM;
    }
    return tag;
}

const char *allot_tag_name(const struct allot_tag *tag) { return tag->name; }

/* -- counting -- */

size_t allot_tag_used(const struct allot_tag *tag) { return atomic_load_explicit(&tag->used, memory_order_relaxed); }

/* Not an addition that is taken back: another thread would be refused meanwhile for what nobody gets. */
bool tag_take(struct allot_tag *tag, size_t bytes)
{
    size_t used = atomic_load_explicit(&tag->used, memory_order_relaxed);
    size_t limit = atomic_load_explicit(&tag->limit, memory_order_relaxed);
    do {
        if (unlikely(used > limit || bytes > limit - used)) {
            atomic_fetch_add_explicit(&tag->refused, 1, memory_order_relaxed);
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&tag->used, &used, used + bytes, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

/* Told, and calm since. */
static void rearm(struct allot_tag *tag)
{
    atomic_store_explicit(&tag->calm, 0, memory_order_seq_cst);
    atomic_store_explicit(&tag->notice, tag->callback ? tag->soft : SIZE_MAX, memory_order_relaxed);
}

static bool is_calm(struct allot_tag *tag)
{
    return atomic_load_explicit(&tag->used, memory_order_seq_cst) <
           atomic_load_explicit(&tag->calm, memory_order_seq_cst);
}

static void __attribute__((cold, noinline)) calm_down(struct allot_tag *tag)
{
    os_lock(&lock);
    if (is_calm(tag)) {
        rearm(tag);
    }
    os_unlock(&lock);
}

/* Who has told sets `calm` and then looks at `used`, and who frees changes `used` and then looks at `calm`: one of them sees
 * that it is calm again. */
void tag_give(struct allot_tag *tag, size_t bytes)
{
    size_t used = atomic_fetch_sub_explicit(&tag->used, bytes, memory_order_seq_cst) - bytes;
    if (unlikely(used < atomic_load_explicit(&tag->calm, memory_order_seq_cst))) {
        calm_down(tag);
    }
}

void tag_call(struct allot_tag *tag)
{
    os_lock(&lock);
    allot_tag_callback *callback = NULL;
    void *arg = tag->arg;
    if (atomic_load_explicit(&tag->used, memory_order_relaxed) >
        atomic_load_explicit(&tag->notice, memory_order_relaxed)) {
        callback = tag->callback;
        atomic_store_explicit(&tag->notice, SIZE_MAX, memory_order_relaxed);
        atomic_store_explicit(&tag->calm, tag->soft - tag->soft / 8, memory_order_seq_cst);
        if (is_calm(tag)) {
            rearm(tag);
        }
    }
    os_unlock(&lock);
    if (callback) {
        callback(tag, arg);
    }
}

void allot_tag_soft(struct allot_tag *tag, size_t soft, allot_tag_callback *callback, void *arg)
{
    const struct instance *first = instance_in_use();
    if (first) {
        first->tag_soft(tag, soft, callback, arg);
        return;
    }
    os_lock(&lock);
    tag->soft = soft;
    tag->callback = callback;
    tag->arg = arg;
    rearm(tag);
    os_unlock(&lock);
}

struct allot_tag_stats tag_stats(const struct allot_tag *tag)
{
    return (struct allot_tag_stats){
        .name = tag->name,
        .used = allot_tag_used(tag),
        .limit = atomic_load_explicit(&tag->limit, memory_order_relaxed),
        .refused = atomic_load_explicit(&tag->refused, memory_order_relaxed),
    };
}

size_t allot_stats_tags(struct allot_tag_stats *out, size_t max)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->stats_tags(out, max);
    }
    uint32_t n = atomic_load_explicit(&made, memory_order_acquire);
    for (uint32_t i = 1; i <= n && i <= max; i++) {
        out[i - 1] = tag_stats(entry(i));
    }
    return n;
}

void tags_lock(void) { os_lock(&lock); }

void tags_unlock(void) { os_unlock(&lock); }

void tags_lock_reset(void) { os_lock_reset(&lock); }
