/* See sharing.h. */
#include <stdlib.h>
#include <sys/stat.h>

#include "advice/sharing.h"
#include "verdict/table.h"

#define LINE 64
#define IN_A_LINE \
    6 /* blocks: four that begin there at multiples of 16, one that ends there, and one for good measure */
#define PROCESSES   (1u << 16)
#define THREAD_BITS 16

struct counting {
    const struct look *look;
    const struct stacks *stacks;
    const uint32_t *elsewhere;
    unsigned places;
    struct table blocks, lines;
    uint64_t shared; /* lines, now */
    struct sharing *out;
};

/* A line's entry holds the threads of its blocks, each and 1, in 16 bits: four in `bytes`, two in `stack`. */
static unsigned thread_at(const struct table_entry *e, unsigned i)
{
    return i < 4 ? (unsigned)(e->bytes >> (THREAD_BITS * i) & 0xffff)
                 : (unsigned)(e->stack >> (THREAD_BITS * (i - 4)) & 0xffff);
}

static void set_thread(struct table_entry *e, unsigned i, unsigned thread)
{
    if (i < 4) {
        e->bytes = (e->bytes & ~((uint64_t)0xffff << (THREAD_BITS * i))) | (uint64_t)thread << (THREAD_BITS * i);
    } else {
        e->stack = (e->stack & ~(0xffffu << (THREAD_BITS * (i - 4)))) | thread << (THREAD_BITS * (i - 4));
    }
}

/* Whether there is a thread in it other than that one; 0: whether there are two. */
static bool has_another(const struct table_entry *e, unsigned thread)
{
    for (unsigned i = 0; i < IN_A_LINE; i++) {
        unsigned is = thread_at(e, i);
        if (is && thread && is != thread) {
            return true;
        }
        thread = thread ? thread : is;
    }
    return false;
}

/* Put there in the place of `from`, which is 0 for a block that begins and `thread` where one ends. */
static void change(struct counting *c, struct table_entry *e, unsigned from, unsigned to)
{
    bool was = has_another(e, 0);
    for (unsigned i = 0; i < IN_A_LINE; i++) {
        if (thread_at(e, i) == from) {
            set_thread(e, i, to);
            break;
        }
    }
    c->shared += has_another(e, 0);
    c->shared -= was;
    c->out->lines = c->shared > c->out->lines ? c->shared : c->out->lines;
}

/* The lines of which a block has a part: at most two. */
static unsigned edges(uint64_t address, uint64_t size, uint64_t line[2])
{
    uint64_t end = address + size, first = address / LINE, last = (end - 1) / LINE;
    unsigned count = 0;
    if (address % LINE || (first == last && end % LINE)) {
        line[count++] = first;
    }
    if (first != last && end % LINE) {
        line[count++] = last;
    }
    return count;
}

static uint64_t key_of(uint64_t address, uint32_t process) { return ((uint64_t)process << 48 ^ address) + 1; }
static unsigned tag_of(uint32_t thread) { return thread % 0xffff + 1; }

static bool is_elsewhere(const struct counting *c, uint32_t group)
{
    for (unsigned i = 0; i < c->places; i++) {
        if (c->elsewhere[i] == group) {
            return true;
        }
    }
    return false;
}

static void give_up(struct counting *c, uint64_t address, uint32_t process)
{
    uint64_t line[2], key = key_of(address, process);
    struct table_entry *e = c->blocks.slots ? table_find(&c->blocks, key) : NULL;
    if (!e || !e->key) {
        return;
    }
    for (unsigned i = 0, count = e->thread ? edges(address, e->bytes, line) : 0; i < count; i++) {
        struct table_entry *of_line = table_find(&c->lines, key_of(line[i], process));
        if (of_line->key) {
            change(c, of_line, e->thread, 0);
            if (of_line->bytes == 0 && of_line->stack == 0) {
                table_drop(&c->lines, of_line);
            }
        }
    }
    table_drop(&c->blocks, e);
}

static bool take(struct counting *c, const struct trace_event *event)
{
    uint64_t line[2], size = event->size ? event->size : 1;
    uint32_t group = stacks_find(c->stacks, event->op == TRACE_BEFORE ? PROFILE_STACK_BEFORE : event->stack).group;
    bool own = is_elsewhere(c, group), shares = false;
    unsigned tag = tag_of(event->thread);
    give_up(c, event->address, event->process);
    if (!table_make_room(&c->blocks)) {
        return false;
    }
    struct table_entry *e = table_find(&c->blocks, key_of(event->address, event->process));
    *e = (struct table_entry){
        .key = key_of(event->address, event->process), .bytes = size, .stack = event->stack, .thread = own ? 0 : tag};
    c->blocks.count++;
    c->out->all++;
    for (unsigned i = 0, count = own ? 0 : edges(event->address, size, line); i < count; i++) {
        if (!table_make_room(&c->lines)) {
            return false;
        }
        struct table_entry *of_line = table_find(&c->lines, key_of(line[i], event->process));
        c->lines.count += of_line->key == 0;
        of_line->key = key_of(line[i], event->process);
        shares |= has_another(of_line, tag);
        change(c, of_line, 0, tag);
    }
    c->out->blocks += shares;
    c->out->of[group] += shares;
    return true;
}

/* 1: read to its end; 0: too much; -1. */
static int count(struct counting *c, struct trace *trace, struct trace_error *error)
{
    struct trace_event event;
    int next;
    for (uint64_t n = 1; (next = trace_next(trace, &event, error)) > 0; n++) {
        look_again(c->look, trace, n);
        if (event.process >= PROCESSES) {
            return 0;
        }
        if (event.op == TRACE_FREE || event.op == TRACE_REALLOC) {
            give_up(c, event.op == TRACE_FREE ? event.address : event.old, event.process);
        }
        bool begins = event.op == TRACE_ALLOC || event.op == TRACE_REALLOC || event.op == TRACE_BEFORE;
        if (begins && !take(c, &event)) {
            return 0;
        }
    }
    return next < 0 ? -1 : 1;
}

int sharing_count(const struct look *look, const struct stacks *stacks, const uint32_t *elsewhere, unsigned places,
                  struct sharing *out, struct trace_error *error)
{
    struct counting c = {.look = look, .stacks = stacks, .elsewhere = elsewhere, .places = places, .out = out};
    struct stat is;
    *out = (struct sharing){.of = calloc((size_t)look->groups + 1, sizeof *out->of)};
    if (!trace_about(look->trace)->has_addresses || stat(look->path, &is) != 0 || !S_ISREG(is.st_mode)) {
        return 0;
    }
    struct trace *trace = out->of ? trace_open(look->path, error) : NULL;
    int counted = trace ? count(&c, trace, error) : -1;
    if (trace) {
        trace_close(trace);
    }
    look_progress_end();
    table_end(&c.blocks);
    table_end(&c.lines);
    return counted;
}
