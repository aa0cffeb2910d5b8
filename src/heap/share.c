/* heap/share.c - see heap/share.h. */
#include "heap/share.h"

#include <errno.h>
#include <string.h>

#include "heap/heap.h"
#include "heap/limit.h"
#include "heap/tag.h"
#include "os/memory.h"
#include "os/process.h"
#include "os/shared.h"
#include "span/large.h"
#include "span/run.h"

/* So much more or less is live than when it was looked last: time to look whether the page can be found. */
#define LOOK_BYTES ((uint64_t)4 << 20)

static struct os_lock lock; /* what follows, and sharing anew; the thread that does not get it has nothing to do */
static struct allot_control_tables tables;
static struct allot_class_stats class[ALLOT_CONTROL_CLASSES];
static struct allot_heap_stats heap[ALLOT_CONTROL_HEAPS];

_Static_assert(CLASSES <= ALLOT_CONTROL_CLASSES && ALLOT_TAG_NAME_MAX < ALLOT_CONTROL_NAME, "there is room");

static atomic_uint_fast64_t looked_at; /* what was live then */

void share_figures(void)
{
    struct allot_control *page = control_page();
    if (!page) {
        return;
    }
    struct allot_control_now *now = &page->now;
    uint64_t live = bytes_live(), then = atomic_load_explicit(&looked_at, memory_order_relaxed);
    control_set(&now->live, live);
    control_set(&now->peak, bytes_peak());
    control_set(&now->held, atomic_load_explicit(&limit_held, memory_order_relaxed));
    control_set(&now->limit, limit_hard());
    control_set(&now->soft_limit, limit_soft());
    control_set(&now->kept_slabs, segments_kept());
    control_set(&now->kept_runs, runs_kept());
    control_set(&now->kept_large, large_kept());
    control_set(&now->given_back, os_given_back());
    control_set(&now->mapped, os_mapped());
    control_set(&now->segments, segments_count());
    control_set(&now->threads, threads_alive());
    if (live - then >= LOOK_BYTES && then - live >= LOOK_BYTES) {
        struct control_cell *cell = atomic_load_explicit(&control_cell, memory_order_relaxed);
        atomic_store_explicit(&looked_at, live, memory_order_relaxed);
        if (cell) {
            atomic_store_explicit(&cell->look, true, memory_order_relaxed);
        }
    }
}

/* Of more tags than fit, those that use most. */
static void list_tags(void)
{
    const struct allot_tag *tag;
    size_t n = 0;
    for (; (tag = tag_by_index((uint32_t)n + 1)) != NULL; n++) {
        struct allot_tag_stats s = tag_stats(tag);
        size_t at = n;
        for (size_t i = 0; n >= ALLOT_CONTROL_TAGS && i < ALLOT_CONTROL_TAGS; i++) {
            at = at == n || tables.of_tag[i].used < tables.of_tag[at].used ? i : at;
        }
        if (at == n || s.used > tables.of_tag[at].used) {
            struct allot_control_tag *row = &tables.of_tag[at];
            memset(row, 0, sizeof *row);
            row->used = s.used;
            row->limit = s.limit;
            row->refused = s.refused;
            strcpy(row->name, s.name);
        }
    }
    tables.tags = n;
}

/* With the lock held. False when another thread holds the one that a survey needs. */
static bool fill_tables(void)
{
    struct stats_tables found = {
        .class = class, .heap = heap, .classes_most = ALLOT_CONTROL_CLASSES, .heaps_most = ALLOT_CONTROL_HEAPS};
    if (!stats_try(&found)) {
        return false;
    }
    const struct allot_stats *all = &found.all;
    tables.live = all->live;
    tables.blocks = all->blocks;
    tables.runs = all->runs;
    tables.run_blocks = all->run_blocks;
    tables.large = all->large;
    tables.large_blocks = all->large_blocks;
    tables.metadata = all->metadata;
    tables.classes = found.classes;
    tables.heaps = found.heaps;
    for (size_t i = 0; i < found.classes; i++) {
        tables.of_class[i] =
            (struct allot_control_class){class[i].size, class[i].blocks, class[i].free, class[i].slabs};
    }
    for (size_t i = 0; i < size_min(found.heaps, ALLOT_CONTROL_HEAPS); i++) {
        tables.of_heap[i] = (struct allot_control_heap){heap[i].live, heap[i].held, heap[i].slabs,
                                                        heap[i].id,   heap[i].tid,  heap[i].kind};
    }
    list_tags();
    return true;
}

/* Where a page cannot be shared any more, that is the end of it. */
static void share_anew(void)
{
    int saved = errno;
    if (control_share() == 0) {
        share_figures();
    } else {
        control_end();
    }
    errno = saved;
}

/* With the lock held. The path is the asker's, who may change it meanwhile: what is used is a copy. */
static void answer_snapshot(struct allot_control *page, uint64_t asked)
{
    char path[sizeof page->snapshot_path];
    for (size_t i = 0; i < sizeof path; i++) {
        path[i] = __atomic_load_n(&page->snapshot_path[i], __ATOMIC_RELAXED);
    }
    path[sizeof path - 1] = 0;
    __atomic_store_n(&page->snapshot_error, snap_take(path), __ATOMIC_RELAXED);
    __atomic_store_n(&page->snapshots_answered, asked, __ATOMIC_RELEASE);
}

void share_visit(void)
{
    struct control_cell *cell = atomic_load_explicit(&control_cell, memory_order_acquire);
    struct allot_control *page = control_page();
    bool look = cell && atomic_load_explicit(&cell->look, memory_order_relaxed);
    uint64_t asked, snapshots;
    bool record = page && control_is_record_due(page);
    bool wanted =
        !page || look || record || control_is_asked(page, &asked) || control_snapshot_is_asked(page, &snapshots);
    if (!cell || !wanted || in_haste || !os_try_lock(&lock)) {
        return;
    }
    char path[ALLOT_CONTROL_PATH];
    if (record && control_is_record_asked(page, path)) {
        recording_ask(path, false);
        recording_notice();
    }
    atomic_store_explicit(&cell->look, false, memory_order_relaxed);
    if (!page || (look && !os_share_is_open())) {
        share_anew();
    } else if (control_is_asked(page, &asked) && fill_tables()) {
        share_figures();
        control_answer(page, &tables, asked);
    }
    if (page && control_snapshot_is_asked(page, &snapshots)) {
        answer_snapshot(page, snapshots);
    }
    os_unlock(&lock);
}

int share_set(bool on)
{
    if (on && os_is_privileged()) {
        return -EPERM;
    }
    int error = 0;
    os_lock(&lock);
    if (!on) {
        control_end();
    } else if (!control_on()) {
        error = control_share();
        share_figures();
    }
    os_unlock(&lock);
    return error;
}

void share_lock(void) { os_lock(&lock); }

void share_unlock(void) { os_unlock(&lock); }

void share_lock_reset(void)
{
    control_forked();
    os_lock_reset(&lock);
}
