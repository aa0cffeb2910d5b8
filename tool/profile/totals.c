/* As if each stack's events had come, in an order that nobody knows. */
#include "profile/totals.h"
#include "profile/sites.h"

/* The sums of a file's figures may be more than any figure. */
static uint64_t plus(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t at_most(uint64_t a, uint64_t b) { return a < b ? a : b; }

static void add_peak(struct profile *p, struct profile_site *s, const struct trace_total *total)
{
    s->peak_stamp = p->peaks;
    s->peak_blocks = plus(s->peak_blocks, total->peak_blocks);
    s->peak_bytes = plus(s->peak_bytes, total->peak_bytes);
    s->own_peak_bytes = plus(s->own_peak_bytes, total->own_peak_bytes);
    p->peak_blocks = plus(p->peak_blocks, total->peak_blocks);
    p->peak_bytes = plus(p->peak_bytes, total->peak_bytes);
}

bool totals_take(struct profile *p, const struct trace *trace)
{
    uint32_t count;
    const struct trace_total *total = trace_totals(trace, &count);

    if (count == 0 || p->processes == 0) {
        return true;
    }
    struct profile_process *process = p->process[0];
    p->peaks = 1;
    for (uint32_t i = 0; i < count; i++, total++) {
        uint32_t number = sites_of(p, process, total->stack);
        if (number == 0) {
            return false;
        }
        struct profile_site *s = &p->site[number];
        uint64_t blocks = at_most(total->left_blocks, total->allocs), bytes = at_most(total->left_bytes, total->bytes);
        s->allocs = plus(s->allocs, total->allocs);
        s->bytes = plus(s->bytes, total->bytes);
        s->live_blocks = plus(s->live_blocks, blocks);
        s->live_bytes = plus(s->live_bytes, bytes);
        add_peak(p, s, total);
        p->allocs = process->allocs = plus(p->allocs, total->allocs);
        p->bytes = process->bytes = plus(p->bytes, total->bytes);
        p->frees = process->frees = plus(p->frees, total->allocs - blocks);
        p->freed_bytes = plus(p->freed_bytes, total->bytes - bytes);
        p->live_blocks = process->live_blocks = plus(p->live_blocks, blocks);
        p->live_bytes = process->live_bytes = plus(p->live_bytes, bytes);
    }
    process->peak_bytes = p->peak_bytes;
    return true;
}
