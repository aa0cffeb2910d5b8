/* fuzz/replay_fuzz.c - any bytes as events of a trace, made ops, replayed on the strategy that the first byte names: the equations hold
 * at each moment, and the engine's own check; no two steps say that a block is in two places of different length. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay/replay.h"

#define EVENT_BYTES 6

struct trace {
    struct trace_about about;
    const uint8_t *at, *end;
};

const struct trace_about *trace_about(const struct trace *t) { return &t->about; }

/* kind and process | where | where from | size: power of two, and what is added | stack and thread */
int trace_next(struct trace *t, struct trace_event *e, struct trace_error *error)
{
    (void)error;
    if (t->end - t->at < EVENT_BYTES) {
        return 0;
    }
    const uint8_t *b = t->at;
    t->at += EVENT_BYTES;
    /* Between these there is nothing new, but gigabytes of the sanitizer's to say whose they are. */
    unsigned log = b[3] % (b[4] & 1 ? 16 : 30);
    log = log > 24 ? log + 17 : log;
    unsigned align = b[4] % 80;
    align = align > 24 && align < 42 ? align + 17 : align;
    *e = (struct trace_event){.op = TRACE_ALLOC + b[0] % 12,
                              .call = b[0] & 64 ? TRACE_ALIGNED : TRACE_MALLOC,
                              .align = align,
                              .process = 1 + (b[0] >> 7),
                              .thread = b[5] % 7 ? b[5] % 7 : b[5] * 300u,
                              .stack = b[5] >> 4,
                              .address = 1 + b[1] % 100,
                              .old = b[2] % 101,
                              .size = ((uint64_t)1 << log) - 1 + b[4]};
    return 1;
}

static void expect(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void step(void *arg, uint64_t op, const struct replay_block *now)
{
    const struct ops *ops = arg;
    expect(op < ops->count && now->block < ops->blocks);
    expect(now->size || now->start == 0);
}

static void row(void *arg, const struct replay_block *block)
{
    (void)arg;
    expect(block->size > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct replay_result out;
    struct trace_error error;
    struct ops ops;
    bool cut;
    if (size < 2) {
        return 0;
    }
    unsigned models = 0;
    while (replay_models[models]) {
        models++;
    }
    struct trace t = {.about.has_times = data[1] & 1, .at = data + 2, .end = data + size};
    if (ops_read(&t, data[1] & 2 ? 1 : 0, data[1] & 4 ? 50 : 0, NULL, &ops, &cut, &error) != 0) {
        abort();
    }
    struct replay_wanted wanted = {.map_at = ops.count / 2,
                                   .smallest = data[1] & 8,
                                   .steps = data[1] & 16 ? 100 : 0,
                                   .table = row,
                                   .step = step,
                                   .arg = &ops};
    if (replay_model(replay_models[data[0] % models], &ops, &wanted, &out) == 0) {
        for (uint32_t i = 0; i < out.moments; i++) {
            const struct replay_moment *m = &out.moment[i];
            expect(m->live <= m->used && m->headers <= m->used && m->used <= m->held && m->held <= out.peak_held);
        }
        expect(!out.moments || out.moment[out.moments - 1].live == 0);
        expect(!out.smallest || !out.refused);
    }
    ops_end(&ops);
    return 0;
}
