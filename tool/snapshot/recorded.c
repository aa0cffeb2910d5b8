/* recorded.c - see recorded.h. */
#include <stdlib.h>

#include "command.h"
#include "profile/names.h"
#include "snapshot/recorded.h"
#include "trace/live.h"
#include "trace/trace.h"

struct recorded {
    const struct snapshot *s;
    struct trace *trace;
    struct symbols *symbols;
    struct names *names;
    struct live stacks; /* of each process the stacks of lost blocks that live in it */
    uint32_t process;   /* the one that is meant */
};

static bool is_lost(const struct snapshot *s, uint64_t address)
{
    size_t i = graph_block_at(&s->blocks, address);
    return i != GRAPH_NONE && s->blocks.block[i].address == address &&
           (s->graph.verdict[i] >= GRAPH_INDIRECT || s->graph.verdict[i] == GRAPH_POSSIBLE);
}

/* False: memory is out. */
static bool begins(struct recorded *r, uint32_t process, uint64_t address, uint32_t stack)
{
    struct live_slot *slot = live_find(&r->stacks, process, address);
    if (!slot && is_lost(r->s, address)) {
        return live_add(&r->stacks, process, address, stack);
    }
    if (slot) {
        slot->value = stack;
    }
    return true;
}

static void ends(struct recorded *r, uint32_t process, uint64_t address)
{
    struct live_slot *slot = live_find(&r->stacks, process, address);
    if (slot) {
        live_remove(&r->stacks, slot);
    }
}

/* A process that was forked has what its parent had. False: memory is out. */
static bool inherit(struct recorded *r, uint32_t process, uint32_t parent)
{
    for (size_t i = 0; parent && i < r->s->blocks.count; i++) {
        const struct live_slot *slot = live_find(&r->stacks, parent, r->s->blocks.block[i].address);
        if (slot && !live_add(&r->stacks, process, slot->address, slot->value)) {
            return false;
        }
    }
    return true;
}

static bool follow(struct recorded *r, const struct trace_event *e)
{
    switch (e->op) {
    case TRACE_ALLOC:
        return begins(r, e->process, e->address, e->stack);
    case TRACE_FREE:
        ends(r, e->process, e->address);
        return true;
    case TRACE_REALLOC:
        ends(r, e->process, e->old);
        return begins(r, e->process, e->address, e->stack);
    case TRACE_PROCESS:
        return inherit(r, e->process, (uint32_t)e->old);
    default:
        return true;
    }
}

/* The process that has most of what is lost, the first of several; their numbers may be any. False: memory is out. */
static bool choose(struct recorded *r)
{
    struct live counts = {0};
    uint64_t most = 0;
    bool done = true;
    for (size_t i = 0; done && r->stacks.slot && i <= r->stacks.mask; i++) {
        uint32_t process = r->stacks.slot[i].process;
        struct live_slot *count = process ? live_find(&counts, process, 0) : NULL;
        count = count || !process ? count : live_add(&counts, process, 0, 0);
        done = count || !process;
        if (count && (++count->value > most || (count->value == most && process < r->process))) {
            most = count->value;
            r->process = process;
        }
    }
    live_done(&counts);
    return done;
}

struct recorded *recorded_read(const char *path, const struct snapshot *s)
{
    struct recorded *r = calloc(1, sizeof *r);
    struct trace_error error = {"out of memory, the trace, end other programs"};
    struct trace_event event;
    int next = -1;
    if (!r) {
        complain("%s", error.line);
        return NULL;
    }
    r->s = s;
    r->trace = trace_open(path, &error);
    while (r->trace && (next = trace_next(r->trace, &event, &error)) > 0) {
        if (!follow(r, &event)) {
            next = -1;
            snprintf(error.line, sizeof error.line, "out of memory, %.200s, end other programs", path);
            break;
        }
    }
    bool read = r->trace && next == 0 && choose(r);
    r->symbols = read ? symbols_begin() : NULL;
    r->names = r->symbols ? names_begin(r->trace, r->symbols) : NULL;
    if (!r->names) {
        complain("%s", read ? "out of memory, the trace's names, end other programs" : error.line);
        recorded_end(r);
        return NULL;
    }
    return r;
}

void recorded_end(struct recorded *r)
{
    if (!r) {
        return;
    }
    live_done(&r->stacks);
    if (r->names) {
        names_end(r->names);
    }
    if (r->symbols) {
        symbols_end(r->symbols);
    }
    if (r->trace) {
        trace_close(r->trace);
    }
    free(r);
}

size_t recorded_stack(struct recorded *r, uint64_t address, struct symbol_frame *out, size_t most)
{
    const struct live_slot *slot = live_find(&r->stacks, r->process, address);
    return slot && slot->value ? names_stack(r->names, (uint32_t)slot->value, out, most) : 0;
}
