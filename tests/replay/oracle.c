/* replay/oracle.c - first, next, best, worst, next-best and buddy beside a map with a cell for every 16 bytes, which places each op by the
 * rule's words alone and a search over all cells: the same place, the same heap's end, at every op. */
#include "made.h"

#include <stdlib.h>
#include <string.h>

#define UNIT   16u
#define PAGE   4096u
#define CELLS  (1u << 16) /* 1 MiB */
#define FREE   UINT32_MAX
#define NEVER  UINT64_MAX
#define BLOCKS 64

struct oracle {
    const char *rule;
    uint32_t cell[CELLS];                 /* whose it is */
    uint64_t start[BLOCKS], size[BLOCKS]; /* in cells; size 0: dead */
    uint64_t top, cursor;                 /* in cells */
    uint64_t held[4096], op;              /* after each op */
};

static bool is(const struct oracle *o, const char *rule) { return strcmp(o->rule, rule) == 0; }

static uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

struct hole {
    uint64_t from, to;
};

/* The hole at or after `at`; false when there is none. */
static bool next_hole(const struct oracle *o, uint64_t at, struct hole *h)
{
    while (at < o->top && o->cell[at] != FREE) {
        at++;
    }
    h->from = h->to = at;
    while (h->to < o->top && o->cell[h->to] == FREE) {
        h->to++;
    }
    return h->from < o->top;
}

/* How long what lies before and behind a hole is; where the range begins it is longer than any, where it ends shorter. */
static bool high_end(const struct oracle *o, struct hole h)
{
    uint64_t before = h.from == 0 ? NEVER : o->size[o->cell[h.from - 1]];
    uint64_t behind = h.to == o->top ? 0 : o->size[o->cell[h.to]];
    return before < behind;
}

/* Free aligned blocks as large as can be, that is what is left of powers of two when all that can merge has. */
static uint64_t free_order_at(const struct oracle *o, uint64_t at)
{
    uint64_t size = 0;
    for (uint64_t s = 1; at % s == 0 && at + s <= o->top; s *= 2) {
        bool all = true;
        for (uint64_t c = at; c < at + s && all; c++) {
            all = o->cell[c] == FREE;
        }
        if (!all) {
            break;
        }
        size = s;
    }
    return size;
}

static uint64_t power_of_two(uint64_t n)
{
    uint64_t p = 1;
    while (p < n) {
        p *= 2;
    }
    return p;
}

/* A buddy may take any of the smallest blocks that do: `chose` is which. */
static uint64_t place_buddy(const struct oracle *o, uint64_t size, uint64_t align, uint64_t chose)
{
    uint64_t least = NEVER;
    for (uint64_t at = 0, step; at < o->top; at += step) {
        uint64_t free = free_order_at(o, at);
        step = free ? free : 1;
        /* An aligned place within it: at its begin, if that is a multiple. */
        if (free >= size && at % align == 0 && free < least) {
            least = free;
        }
    }
    if (least == NEVER) {
        return NEVER;
    }
    uint64_t free = free_order_at(o, chose);
    assert_true(chose % align == 0 && chose % size == 0);
    assert_int_equal(free, least);
    return chose;
}

static uint64_t place(const struct oracle *o, uint64_t size, uint64_t align, uint64_t chose)
{
    if (is(o, "buddy")) {
        return place_buddy(o, size, align, chose);
    }
    struct hole h;
    uint64_t found = NEVER, length = 0, first = NEVER;
    for (uint64_t at = 0; next_hole(o, at, &h); at = h.to) {
        uint64_t low = round_up(h.from, align), long_is = h.to - h.from;
        if (is(o, "next") && o->cursor > h.from) {
            /* From where the last one ended; else the lowest of all. */
            uint64_t from = round_up(o->cursor, align);
            if (low + size <= h.to && first == NEVER) {
                first = low;
            }
            if (from < h.to && from + size <= h.to) {
                return from;
            }
            continue;
        }
        if (low + size > h.to) {
            continue;
        }
        if (is(o, "first") || is(o, "next")) {
            return low;
        }
        bool better = is(o, "best") ? long_is <= length : is(o, "next-best") ? long_is < length : long_is > length;
        if (found == NEVER || better) {
            found = is(o, "best") && align == 1 && high_end(o, h) ? h.to - size : low;
            length = long_is;
        }
    }
    return is(o, "next") ? first : found;
}

static uint64_t trailing(const struct oracle *o)
{
    uint64_t from = o->top;
    while (from > 0 && o->cell[from - 1] == FREE) {
        from--;
    }
    return from;
}

static void set(struct oracle *o, uint64_t from, uint64_t to, uint32_t whose)
{
    for (; from < to; from++) {
        assert_true(whose == FREE || o->cell[from] == FREE);
        o->cell[from] = whose;
    }
}

static void take(struct oracle *o, uint32_t block, uint64_t bytes, unsigned log, uint64_t chose)
{
    uint64_t size = round_up(bytes, UNIT) / UNIT, align = log > 4 ? (1u << log) / UNIT : 1;
    if (is(o, "buddy")) {
        size = power_of_two(size);
        align = align > size ? align : size;
    }
    uint64_t at = place(o, size, align, chose);
    if (at == NEVER) {
        o->top = round_up(round_up(trailing(o), align) + size, PAGE / UNIT);
        assert_true(o->top <= CELLS);
        at = place(o, size, align, chose);
    }
    assert_int_not_equal(at, NEVER);
    set(o, at, at + size, block);
    o->start[block] = at;
    o->size[block] = size;
    o->cursor = at + size;
}

static void shrink(struct oracle *o)
{
    uint64_t top = round_up(trailing(o), PAGE / UNIT);
    if (o->top - top >= PAGE / UNIT && o->top - top >= o->top / 64) {
        o->top = top;
    }
}

static void give(struct oracle *o, uint32_t block)
{
    set(o, o->start[block], o->start[block] + o->size[block], FREE);
    o->size[block] = 0;
}

/* In place where it can be, also by a longer heap; else another place is taken, and then this one given. */
static void resize(struct oracle *o, uint32_t block, uint64_t bytes, uint64_t chose)
{
    uint64_t at = o->start[block], was = o->size[block], size = round_up(bytes, UNIT) / UNIT;
    bool buddy = is(o, "buddy");
    size = buddy ? power_of_two(size) : size;
    if (size < was) {
        set(o, at + size, at + was, FREE);
        o->size[block] = size;
        shrink(o);
        return;
    }
    if (size == was) {
        return;
    }
    bool fits = !buddy || at % size == 0;
    uint64_t end = at + was;
    while (fits && end < at + size && end < o->top && o->cell[end] == FREE) {
        end++;
    }
    if (fits && end == o->top && end < at + size && trailing(o) == at + was) {
        uint64_t more = buddy ? power_of_two(size - was) : size - was;
        o->top = round_up(round_up(at + was, buddy ? more : 1) + more, PAGE / UNIT);
        end = at + size;
    }
    if (fits && end >= at + size) {
        set(o, at + was, at + size, block);
        o->size[block] = size;
        return;
    }
    take(o, block, bytes, 0, chose);
    uint64_t to = o->start[block], now = o->size[block];
    o->start[block] = at;
    o->size[block] = was;
    give(o, block);
    o->start[block] = to;
    o->size[block] = now;
    shrink(o);
}

struct beside {
    struct oracle *oracle;
    const struct ops *ops;
};

static void compare(void *arg, uint64_t i, const struct replay_block *now)
{
    struct beside *b = arg;
    struct oracle *o = b->oracle;
    const struct op *op = &b->ops->op[i];
    uint64_t chose = now->start / UNIT;
    if (op->kind == OP_ALLOC) {
        take(o, op->block, op->size, op->align, chose);
    } else if (op->kind == OP_RESIZE) {
        resize(o, op->block, op->size, chose);
    } else {
        give(o, op->block);
        shrink(o);
        assert_int_equal(now->size, 0);
    }
    if (now->size && (now->start != o->start[op->block] * UNIT || now->size != o->size[op->block] * UNIT)) {
        fail_msg("%s, op %llu: at %llu, %llu bytes, and not at %llu, %llu bytes", o->rule, (unsigned long long)i,
                 (unsigned long long)now->start, (unsigned long long)now->size,
                 (unsigned long long)o->start[op->block] * UNIT, (unsigned long long)o->size[op->block] * UNIT);
    }
    o->held[i] = o->top * UNIT;
}

static void every_op_lies_where_the_rule_says(void **state)
{
    (void)state;
    static const char *const rules[] = {"first", "next", "best", "worst", "next-best", "buddy"};
    static struct oracle o;
    for (int rule = 0; rule < 6; rule++) {
        for (uint64_t seed = 0; seed < 60; seed++) {
            struct made m = {0};
            struct ops ops;
            struct replay_result out;
            /* A few long, many long, with moments after each op. */
            uint64_t size = seed % 3 == 0 ? 300 : seed % 3 == 1 ? 2000 : 12000;
            made_random(&m, seed + 100 * rule, seed % 2 ? REPLAY_MOMENTS : 3000, BLOCKS, size);
            made_ops(&m, &ops);
            memset(&o, 0, sizeof o);
            memset(o.cell, 0xff, sizeof o.cell);
            o.rule = rules[rule];
            struct beside beside = {&o, &ops};
            struct replay_wanted wanted = {.map_at = UINT64_MAX, .steps = UINT64_MAX, .step = compare, .arg = &beside};
            assert_int_equal(replay_model(rules[rule], &ops, &wanted, &out), 0);
            for (uint32_t i = 0; i < out.moments; i++) {
                assert_int_equal(out.moment[i].held, o.held[out.moment[i].op]);
            }
            ops_end(&ops);
            made_end(&m);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_op_lies_where_the_rule_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
