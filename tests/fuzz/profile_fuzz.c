/* fuzz/profile_fuzz.c - any events in any order, also such as no process could have: the figures' equations hold. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/bytes.h"
#include "profile/profile.h"

/* Few addresses, stacks and processes, so that they meet; now and then a number as large as can be. */
static uint64_t some(struct trace *t)
{
    uint64_t value = next(t, 1);
    return value < 250 ? value : value == 255 ? UINT64_MAX : next(t, 8);
}

int trace_next(struct trace *t, struct trace_event *e, struct trace_error *error)
{
    (void)error;
    if (t->size == 0) {
        return 0;
    }
    uint64_t op = next(t, 1);
    *e = (struct trace_event){.op = (enum trace_op)(op % 14), .process = (uint32_t)(op >> 4 & 3), .text = "x"};
    e->thread = (uint32_t)some(t);
    e->stack = (uint32_t)some(t);
    e->time = some(t) * 100000;
    e->address = some(t);
    e->old = some(t);
    e->size = next(t, 5);
    e->verdict = (uint32_t)next(t, 1);
    return 1;
}

const struct trace_about *trace_about(const struct trace *t) { return &t->about; }
const struct trace_total *trace_totals(const struct trace *t, uint32_t *count) { return (void)t, *count = 0, NULL; }

static void require(bool what)
{
    if (!what) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace t = {.data = data, .size = size};
    struct trace_error error;
    uint64_t how = next(&t, 1), peak = 0, frees = 0, freed_bytes = 0;
    t.about.has_times = how & 1;
    struct profile_wanted wanted = {.process = how & 2 ? 1 : 0,
                                    .memory_most = how & 4 ? 4096 : 0,
                                    .sites_most = how & 8 ? 8 * sizeof(struct profile_site) : 0,
                                    .from = how & 16 ? 1000000 : 0,
                                    .to = how & 16 ? 20000000 : 0};
    struct profile *p = profile_read(&t, &wanted, &error);
    if (!p) {
        return 0;
    }
    for (uint32_t i = 1; i <= p->sites; i++) {
        const struct profile_site *s = &p->site[i];
        require(s->frees <= s->allocs + s->before_blocks);
        frees += s->frees;
        freed_bytes += s->freed_bytes;
        peak += s->peak_bytes;
    }
    require(frees == p->frees && freed_bytes == p->freed_bytes);
    require(peak == p->peak_bytes);
    require(p->allocs + p->before_blocks == p->frees + p->replaced_blocks + p->live_blocks + p->left_blocks);
    require(p->live_blocks == 0 && p->timeline.count <= TIMELINE_POINTS);
    profile_end(p);
    return 0;
}
