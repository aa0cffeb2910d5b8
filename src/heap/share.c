/* heap/share.c - see heap/share.h. */
#include "heap/share.h"

#include <errno.h>
#include <string.h>

#include "heap/choice.h"
#include "heap/heap.h"
#include "heap/lease.h"
#include "heap/limit.h"
#include "heap/sample.h"
#include "heap/tag.h"
#include "os/memory.h"
#include "os/process.h"
#include "os/shared.h"
#include "probe/calls.h"
#include "span/large.h"
#include "span/run.h"

/* So much more or less is live than when it was looked last: time to look whether the page can be found. */
#define LOOK_BYTES ((uint64_t)4 << 20)

static struct os_lock lock; /* what follows, and sharing anew; the thread that does not get it has nothing to do */
static struct allot_control *apart; /* the page of a lease, where there is none but for that */
static struct allot_control_tables tables;
static struct allot_class_stats class[ALLOT_CONTROL_CLASSES];
static struct allot_heap_stats heap[ALLOT_CONTROL_HEAPS];
static struct sample_listed site[ALLOT_CONTROL_SITES];
static uint32_t cell[ALLOT_CONTROL_CELLS];

_Static_assert(CLASSES <= ALLOT_CONTROL_CLASSES && ALLOT_TAG_NAME_MAX < ALLOT_CONTROL_NAME, "there is room");

static atomic_uint_fast64_t looked_at; /* what was live then */

static void put_figures(struct allot_control *page)
{
    struct allot_control_now *now = &page->now;
    control_set(&now->live, bytes_live());
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
    control_set(&now->alloc_blocks, atomic_load_explicit(&sample_total.blocks, memory_order_relaxed));
    control_set(&now->alloc_bytes, atomic_load_explicit(&sample_total.bytes, memory_order_relaxed));
    control_set(&now->free_blocks, atomic_load_explicit(&sample_total.freed_blocks, memory_order_relaxed));
    control_set(&now->free_bytes, atomic_load_explicit(&sample_total.freed_bytes, memory_order_relaxed));
    control_set(&now->samples, atomic_load_explicit(&sample_total.samples, memory_order_relaxed));
    control_set(&now->sample_mean, choice_sample_mean());
}

void share_figures(void)
{
    struct allot_control *page = control_page();
    if (!page) {
        return;
    }
    uint64_t live = bytes_live(), then = atomic_load_explicit(&looked_at, memory_order_relaxed);
    put_figures(page);
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

static void list_sites(void)
{
    size_t all = 0, n = sample_list(site, ALLOT_CONTROL_SITES, &all);
    tables.sites = all;
    for (size_t i = 0; i < n; i++) {
        struct allot_control_site *row = &tables.of_site[i];
        uintptr_t frame[ALLOT_CONTROL_FRAMES];
        row->id = site[i].number;
        row->samples = site[i].samples;
        row->live_bytes = site[i].live.bytes > 0 ? (uint64_t)site[i].live.bytes : 0;
        row->live_blocks = site[i].live.blocks > 0 ? (uint64_t)site[i].live.blocks : 0;
        row->alloc_bytes = (uint64_t)site[i].had.bytes;
        row->alloc_blocks = (uint64_t)site[i].had.blocks;
        row->recent_bytes = (uint64_t)site[i].recent;
        row->frames = calls_frames(site[i].number, frame, ALLOT_CONTROL_FRAMES);
        for (size_t f = 0; f < row->frames; f++) {
            row->frame[f] = frame[f];
        }
    }
}

static void list_cells(const struct stats_tables *found)
{
    tables.cells = found->cells;
    tables.cell_bytes = found->cell_units * UNIT_SIZE;
    for (size_t i = 0; i < found->cells; i++) {
        uint64_t full = tables.cell_bytes, used = cell[i] < full ? cell[i] : full;
        tables.cell[i] = (uint8_t)((used * 255 + full - 1) / full);
    }
}

/* With the lock held. False when another thread holds the one that a survey needs. */
static bool fill_tables(void)
{
    struct stats_tables found = {.class = class,
                                 .heap = heap,
                                 .classes_most = ALLOT_CONTROL_CLASSES,
                                 .heaps_most = ALLOT_CONTROL_HEAPS,
                                 .cell = cell,
                                 .cells_most = ALLOT_CONTROL_CELLS};
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
    list_sites();
    list_cells(&found);
    return true;
}

/* With the lock held. A page of its own goes with it. */
static void end_lease(void)
{
    lease_end();
    if (apart) {
        apart = NULL;
        os_share_close();
    }
}

/* With the lock held: who looks on is heard first, so that what they ask for is there. */
static void answer(struct allot_control *page)
{
    uint64_t asked, began = os_nanoseconds();
    if (control_lease_is_renewed(page)) {
        uint64_t lease = __atomic_load_n(&page->lease, __ATOMIC_ACQUIRE);
        if (!lease_renew((size_t)__atomic_load_n(&page->lease_mean, __ATOMIC_RELAXED))) {
            end_lease(); /* its page stays mapped */
        }
        put_figures(page);
        __atomic_store_n(&page->lease_heard, lease, __ATOMIC_RELEASE);
    }
    if (control_is_asked(page, &asked) && fill_tables()) {
        put_figures(page);
        control_set(&page->answer_ns, os_nanoseconds() - began);
        control_answer(page, &tables, asked);
    }
    if (lease_is_over()) {
        end_lease();
    }
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
    bool wanted = !page || look || record || control_is_asked(page, &asked) ||
                  control_snapshot_is_asked(page, &snapshots) || control_lease_is_renewed(page) || lease_may_be_over();
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
    } else {
        answer(page);
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
    if (apart) { /* one at a time */
        end_lease();
    }
    if (!on) {
        control_end();
    } else if (!control_on()) {
        error = control_share();
        share_figures();
    }
    os_unlock(&lock);
    return error;
}

int share_answer_lease(void)
{
    int error = 0;
    if (os_is_privileged()) {
        return -EPERM;
    }
    os_lock(&lock);
    struct allot_control *page = control_page();
    if (!page && (!apart || apart->pid != os_process_id() || !os_share_is_open())) {
        apart = control_share_apart(&error);
    }
    page = page ? page : apart;
    if (page) {
        put_figures(page);
        answer(page);
    }
    os_unlock(&lock);
    return error;
}

void share_look_at_lease(void)
{
    if (lease_is_over() && os_try_lock(&lock)) {
        end_lease();
        os_unlock(&lock);
    }
}

void share_lock(void) { os_lock(&lock); }

void share_unlock(void) { os_unlock(&lock); }

void share_lock_reset(void)
{
    control_forked();
    if (apart) {
        os_share_close();
        apart = NULL;
    }
    lease_end();
    os_lock_reset(&lock);
}
