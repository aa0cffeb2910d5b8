/* page/tell.c - what a pager tells of itself, and the proof of its equations. */
#include "page/pager.h"

#include "os/memory.h"

static uint64_t counted(_Atomic uint64_t *count) { return atomic_load_explicit(count, memory_order_relaxed); }

static void add_frames(struct pager *p, struct allot_pager_stats *out)
{
    uint32_t begun = atomic_load(&p->begun);
    for (uint32_t i = 0; i < begun; i++) {
        entry *at = atomic_load_explicit(&p->frame[i].entry, memory_order_acquire);
        uint64_t word = at ? atomic_load_explicit(at, memory_order_relaxed) : 0;
        if (!(word & RESIDENT) || frame_in(word) != i) {
            continue;
        }
        out->resident++;
        out->dirty += (word & DIRTY) != 0;
        out->windowed += (word & WINDOWED) != 0;
        out->use.count += (word & PINS) != 0;
        out->hits += (word & HITS) / HIT;
    }
    out->use.used = out->use.count * p->size;
    out->use.held = begun * (uint64_t)p->size + table_bytes(&p->table) + sizeof *p +
                    p->frames * (sizeof(struct frame) + 2 * sizeof(uint32_t) + 1);
    out->use.peak = out->use.held; /* none of it goes before the end */
}

void allot_pager_stats(struct allot_pager *pager, struct allot_pager_stats *out)
{
    struct pager *p = pager_of(pager);
    struct allot_evict_stats policy;
    allot_evict_stats(&p->evict, &policy);
    *out = (struct allot_pager_stats){
        .page = p->size,
        .frames = p->frames,
        .hits = counted(&p->count.hits),
        .misses = counted(&p->count.misses),
        .refaults = policy.refaults,
        .ahead = counted(&p->count.ahead),
        .ahead_used = counted(&p->count.ahead_used),
        .evicted = counted(&p->count.evicted),
        .written = counted(&p->count.written),
        .reads = counted(&p->count.reads),
        .writes = counted(&p->count.writes),
        .syncs = counted(&p->count.syncs),
        .read_errors = counted(&p->count.read_errors),
        .write_errors = counted(&p->count.write_errors),
        .sync_errors = counted(&p->count.sync_errors),
        .wrong_sums = counted(&p->count.wrong_sums),
        .wrong_page = counted(&p->count.wrong_page),
        .recovered = counted(&p->count.recovered),
        .touches = counted(&p->count.touches),
        .waits = counted(&p->count.waits),
    };
    out->use.refused = counted(&p->count.refused);
    add_frames(p, out);
}

/* -- proofs -- */

static size_t check_frames(struct pager *p)
{
    size_t there = 0, failed = 0;
    uint32_t begun = atomic_load(&p->begun);
    CHECK(begun <= p->frames && p->free_count <= begun, "pager", p);
    for (uint32_t i = 0; i < begun; i++) {
        entry *at = p->frame[i].entry;
        failed += marked(p, i, FAILED);
        if (!at) {
            continue;
        }
        uint64_t word = atomic_load(at);
        CHECK((word & (RESIDENT | BUSY | WRITING)) == RESIDENT && frame_in(word) == i && !(word & RUN_OVER), "frame",
              at);
        CHECK((word & WRITERS) / WRITER <= (word & PINS) / PIN, "frame", at);
        CHECK(!(word & AHEAD) || !(word & (PINS | DIRTY)), "frame", at);
        CHECK(!(word & WRITERS) || word & DIRTY || word & WINDOWED, "frame", at);
        CHECK(at == table_find(&p->table, p->frame[i].page), "frame", at);
        there++;
    }
    for (uint32_t i = 0; i < p->free_count; i++) {
        CHECK(p->free[i] < begun && !p->frame[p->free[i]].entry, "free frame", p);
    }
    CHECK(there + p->free_count == begun, "pager", p);
    CHECK(failed == atomic_load(&p->failed), "pager", p);
    return there;
}

/* Each word that has a frame is its frame's. */
static size_t check_table(struct pager *p)
{
    size_t there = 0, leaves = 0;
    for (uint64_t page = 0; (page = table_next(&p->table, page)) != UINT64_MAX; page |= TABLE_FAN - 1, page++) {
        entry *leaf = table_find(&p->table, page & ~(uint64_t)(TABLE_FAN - 1));
        leaves++;
        for (unsigned i = 0; i < TABLE_FAN; i++) {
            uint64_t word = atomic_load(&leaf[i]);
            if (word & RESIDENT) {
                CHECK(frame_in(word) < p->frames && p->frame[frame_in(word)].entry == &leaf[i], "page", &leaf[i]);
                there++;
            }
        }
    }
    CHECK(leaves <= atomic_load(&p->table.nodes), "table", p);
    return there;
}

bool allot_pager_check(struct allot_pager *pager)
{
    struct pager *p = pager_of(pager);
    struct allot_evict_stats policy;
    allot_evict_check(&p->evict);
    allot_evict_stats(&p->evict, &policy);
    size_t there = check_frames(p);
    CHECK(there == policy.present && there == check_table(p), "pager", p);
    CHECK((uint32_t)atomic_load(&p->moving) == 0, "pager", p);
    return true;
}
