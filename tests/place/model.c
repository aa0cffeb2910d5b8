/* model.c - see model.h.
 *
 * A step is a byte that chooses the call, and bytes for its arguments. What the oracle says goes: the place to the unit, or that nothing
 * fits. After each step the region proves its equations, and a walk over it has to tell what the oracle's cells tell.
 */
#include "model.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle.h"

struct place_steps place_steps;
char place_run[64];

enum { RANGES = 4096, MEMORY = 4 << 20, MOVES = 16 };

struct model {
    const uint8_t *data;
    size_t size, at;

    struct allot_region region;
    struct oracle oracle;
    uint64_t limit; /* of ranges at a time; UINT64_MAX: none */
    size_t memory_size;
    uint64_t added; /* spans after the first one: each wants as much as a range */
    int large;

    struct allot_range ranges[RANGES];
    bool piecemeal[RANGES]; /* of BUDDY, a claim of several blocks */
    uint32_t count;
};

static struct model m;
static _Alignas(64) char memory[2][MEMORY];
static int memory_used; /* which of the two the region is in, if it is in one */
static char image[1 << 20];

#define WANT(condition)                   \
    do {                                  \
        if (!(condition)) {               \
            differ(#condition, __LINE__); \
        }                                 \
    } while (0)

static _Noreturn void differ(const char *what, int line)
{
    fprintf(stderr, "place model%s: rule %d, unit %" PRIu64 ", step %" PRIu64 ", line %d: %s\n", place_run,
            m.oracle.opts.fit, m.oracle.unit, place_steps.steps, line, what);
    abort();
}

/* -- input: past the end everything reads as 0 -- */

static bool ended(void) { return m.at >= m.size; }

static uint32_t byte(void) { return ended() ? 0 : m.data[m.at++]; }

static uint32_t word(void)
{
    uint32_t high = byte();
    return high << 8 | byte();
}

/* Below n, which is at most 2^16. */
static uint32_t below(uint32_t n) { return (uint32_t)((uint64_t)word() * n >> 16); }

/* Units of a request: few most of the time. */
static uint64_t some_units(void)
{
    uint32_t how = byte();
    if (how < 160) {
        return 1 + how % 8;
    }
    if (how < 250) {
        return 1 + below(m.large ? 96 : 48);
    }
    return 1 + below(m.oracle.cells + 2);
}

/* A size of so many units, or a little less. */
static uint64_t some_size(void)
{
    uint64_t size = some_units() * m.oracle.unit;
    uint32_t how = byte();
    return how < 128 ? size : size - how % m.oracle.unit;
}

static uint64_t window(void) { return m.oracle.first * m.oracle.unit; }

static uint64_t some_offset(void) { return window() + below(m.oracle.cells) * m.oracle.unit; }

/* -- what the two tell -- */

struct walked {
    uint64_t unit, used, count;
};

static int visit(struct allot_range range, bool taken, void *arg)
{
    struct walked *w = arg;
    struct allot_range wanted;
    WANT(oracle_next(&m.oracle, &w->unit, &wanted));
    WANT(range.at == wanted.at && range.size == wanted.size && range.id == wanted.id);
    WANT(taken == (range.id != UINT32_MAX));
    w->used += taken ? range.size : 0;
    w->count += taken;
    return 0;
}

static void compare(void)
{
    struct walked w = {0};
    struct allot_range more;
    struct allot_region_stats stats;
    WANT(allot_region_walk(&m.region, visit, &w) == 0);
    WANT(!oracle_next(&m.oracle, &w.unit, &more));
    allot_region_stats(&m.region, &stats);
    WANT(stats.use.used == w.used && stats.use.count == w.count && w.count == m.count);
    WANT(stats.largest == oracle_largest(&m.oracle) && stats.holes == oracle_holes(&m.oracle));
    WANT(stats.use.held >= stats.use.used && stats.use.peak >= stats.use.held);
    WANT(allot_region_check(&m.region));
}

/* -- steps -- */

static void remember(struct allot_range range)
{
    for (uint32_t i = 0; i < m.count; i++) {
        WANT(m.ranges[i].id != range.id);
    }
    m.piecemeal[m.count] = oracle_is_piecemeal(&m.oracle, range);
    m.ranges[m.count++] = range;
}

static void forget(uint32_t i)
{
    m.count--;
    m.ranges[i] = m.ranges[m.count];
    m.piecemeal[i] = m.piecemeal[m.count];
}

/* -ENOMEM is right where the caller's memory is used up, and then nothing has happened. */
static bool out_of_records(int result, int wanted)
{
    if (result != -ENOMEM) {
        return false;
    }
    WANT(wanted == 0 && m.limit != UINT64_MAX);
    WANT(m.count + m.added >= m.limit || m.oracle.opts.fit == ALLOT_BUDDY);
    place_steps.out_of_records++;
    return true;
}

static void check_taken(int result, uint64_t size, const struct allot_bounds *bounds, const struct allot_range *range)
{
    struct allot_range wanted;
    bool any;
    int right = oracle_choose(&m.oracle, size, bounds, &wanted, &any);
    if (out_of_records(result, right)) {
        return;
    }
    WANT(result == right);
    if (result) {
        place_steps.refused++;
        return;
    }
    WANT(range->size == wanted.size && range->id != UINT32_MAX);
    if (any) {
        static const struct allot_bounds anywhere;
        WANT(oracle_fits(&m.oracle, range->at, size, bounds ? bounds : &anywhere));
        WANT(bounds || oracle_may_be_bin(&m.oracle, size, range));
    } else if (range->at != wanted.at) {
        static const struct allot_bounds anywhere;
        WANT(m.oracle.opts.fit == ALLOT_BUDDY);
        WANT(oracle_may_be_block(&m.oracle, &wanted, range, bounds ? bounds : &anywhere));
    }
    oracle_taken(&m.oracle, *range);
    remember(*range);
    place_steps.taken++;
}

static void take(void)
{
    uint64_t size = some_size(), align = byte() < 160 ? 0 : m.oracle.unit << byte() % 6;
    uint32_t odd = byte();
    size = odd == 255 ? 0 : odd == 254 ? (uint64_t)1 << (40 + byte() % 24) : odd == 253 ? UINT64_MAX - byte() : size;
    align = odd == 252 ? 24 : odd == 251 ? (uint64_t)1 << 63 : align;
    struct allot_bounds bounds = {.align = align};
    struct allot_range range;
    int result = allot_region_take(&m.region, size, align, &range);
    check_taken(result, size, align > m.oracle.unit || odd == 252 ? &bounds : NULL, &range);
}

static void take_in(void)
{
    uint32_t which = byte();
    uint64_t unit = m.oracle.unit, size = some_size();
    struct allot_bounds b = {0};
    if (which & 1) {
        b.align = unit << byte() % 6;
        b.phase = which & 2 ? byte() * unit & (b.align - 1) : 0;
    }
    if (which & 4) {
        b.nocross = unit << (1 + byte() % 7);
    }
    if (which & 8) {
        b.min = some_offset() - (which & 64 && window() ? 1 : 0);
    }
    if (which & 16) {
        b.max = some_offset() + 1 + byte();
    }
    if (which == 32) {
        b.align = 3;
    } else if (which == 160) {
        b.phase = b.align + 1;
    }
    struct allot_range range;
    int result = allot_region_take_in(&m.region, size, &b, &range);
    check_taken(result, size, &b, &range);
}

static void give(void)
{
    if (m.count) {
        uint32_t i = below(m.count);
        allot_region_give(&m.region, &m.ranges[i]);
        oracle_give(&m.oracle, m.ranges[i]);
        forget(i);
    }
}

/* A run of holes begins or ends there, or anything at all. */
static void claim(void)
{
    uint64_t at = some_offset(), size = some_units() * m.oracle.unit;
    if (byte() < 128 && m.count) {
        const struct allot_range *range = &m.ranges[below(m.count)];
        at = range->at + range->size;
    }
    uint32_t odd = byte();
    if (odd == 255) {
        at = UINT64_MAX / m.oracle.unit * m.oracle.unit;
    } else if (odd == 254) {
        size = UINT64_MAX / m.oracle.unit * m.oracle.unit;
    } else if (odd == 253) {
        size++;
    }
    struct allot_range range;
    int result = allot_region_claim(&m.region, at, size, &range), right = oracle_may_claim(&m.oracle, at, size);
    if (out_of_records(result, right)) {
        return;
    }
    WANT(result == right);
    if (result == 0) {
        WANT(range.at == at && range.size == size);
        oracle_claimed(&m.oracle, range);
        remember(range);
        place_steps.claimed++;
    }
}

static void resize(void)
{
    if (m.count == 0) {
        return;
    }
    uint32_t i = below(m.count), odd = byte();
    uint64_t size = odd == 255 ? 0 : odd == 254 ? UINT64_MAX - byte() : some_size();
    struct allot_range range = m.ranges[i], was = range;
    int result = allot_region_resize(&m.region, &range, size);
    if (result == -ENOMEM) {
        /* A hole where there was none; there are never more of them than ranges. */
        WANT(m.limit != UINT64_MAX && (m.count + m.added > m.limit || m.oracle.opts.fit == ALLOT_BUDDY));
        WANT(memcmp(&range, &was, sizeof range) == 0);
        place_steps.out_of_records++;
        return;
    }
    int right = oracle_resize(&m.oracle, &m.ranges[i], size, m.piecemeal[i]);
    WANT(result == right);
    WANT(range.at == m.ranges[i].at && range.size == m.ranges[i].size && range.id == m.ranges[i].id);
    place_steps.resized += result == 0;
}

static void add(void)
{
    uint64_t base = some_offset(), size = (uint64_t)(1 + below(m.large ? 512 : 64)) * m.oracle.unit;
    uint32_t odd = byte();
    if (odd % 4 == 0) {
        /* Behind a span that there is, and in halves and doubles. */
        uint32_t cell = below(m.oracle.cells);
        while (cell + 1 < m.oracle.cells && m.oracle.cell[cell] != CELL_OUTSIDE) {
            cell++;
        }
        base = window() + cell * m.oracle.unit;
        size = odd & 4 ? m.oracle.unit << odd / 8 % 8 : size;
    } else if (odd < 100) {
        base += odd % m.oracle.unit;
        size -= odd % m.oracle.unit;
    }
    uint64_t end = window() + m.oracle.cells * m.oracle.unit;
    size = base > end ? 0 : size > end - base ? end - base : size;
    if (odd == 255) {
        base = UINT64_MAX - 5;
    }
    int result = allot_region_add(&m.region, base, size);
    if (out_of_records(result, 0)) {
        return;
    }
    WANT(result == oracle_add(&m.oracle, base, size));
    m.added += result == 0;
}

static struct allot_region_opts options(uint64_t size)
{
    struct allot_region_opts opts = {.lock = ALLOT_REGION_UNLOCKED};
    uint32_t how = byte();
    m.limit = UINT64_MAX;
    memory_used = 1 - memory_used;
    opts.fit = m.oracle.opts.fit;
    opts.unit = m.oracle.opts.unit;
    opts.areas = opts.fit == ALLOT_GROUPS ? m.oracle.opts.areas : 0;
    opts.threshold = m.oracle.opts.threshold;
    if (how & 1) {
        opts.lock = ALLOT_REGION_LOCKED;
    }
    if (how & 2 && size) {
        opts.lock = how & 4 ? ALLOT_REGION_SHARED : opts.lock;
        m.limit = m.large ? RANGES : 1 + below(20);
        opts.memory = memory[memory_used];
        opts.memory_size = allot_region_memory(m.limit, size, &opts);
        m.memory_size = opts.memory_size;
        WANT(opts.memory_size > 0 && opts.memory_size <= MEMORY);
    }
    return opts;
}

static void save_and_load(void)
{
    size_t length = allot_region_save(&m.region, NULL, 0);
    if (length > sizeof image) {
        return;
    }
    uint32_t breaks = byte();
    WANT(allot_region_save(&m.region, image, length - 1) == length);
    WANT(allot_region_save(&m.region, image, sizeof image) == length);
    struct allot_region broken;
    size_t at = word() % length;
    image[at] ^= (char)(1 << breaks % 8);
    WANT(allot_region_load(&broken, image, length, NULL) == -EINVAL);
    image[at] ^= (char)(1 << breaks % 8);
    WANT(allot_region_load(&broken, image, word() % length, NULL) == -EINVAL);

    allot_region_done(&m.region);
    struct allot_region_opts opts = {.lock = breaks & 8 ? ALLOT_REGION_LOCKED : ALLOT_REGION_UNLOCKED};
    if (breaks & 16) {
        m.limit = UINT64_MAX;
    } else if (m.limit != UINT64_MAX) {
        memory_used = 1 - memory_used;
        opts.memory = memory[memory_used];
        opts.memory_size = m.memory_size;
    }
    WANT(allot_region_load(&m.region, image, length, &opts) == 0);
    oracle_loaded(&m.oracle);
    place_steps.saved++;
}

static void reset(void)
{
    allot_region_reset(&m.region);
    oracle_reset(&m.oracle);
    m.count = 0;
}

/* -- plans -- */

static bool may_move(void *arg, struct allot_range range, struct allot_bounds *bounds)
{
    uint32_t how = (uint32_t)(uintptr_t)arg;
    if (how & 1) {
        bounds->align = m.oracle.unit * 4;
    }
    return !(how & 2) || range.id % 4 != 0;
}

static uint32_t index_of(struct allot_range range)
{
    uint32_t i = 0;
    while (i < m.count && m.ranges[i].id != range.id) {
        i++;
    }
    WANT(i < m.count && m.ranges[i].at == range.at && m.ranges[i].size == range.size);
    return i;
}

/* Commits or aborts every move, from the last one to the first or from the first to the last. */
static void end_moves(struct allot_move *moves, int count, bool aborts, bool backwards)
{
    for (int i = 0; i < count; i++) {
        const struct allot_move *move = &moves[backwards ? count - 1 - i : i];
        if (aborts && byte() & 1) {
            allot_region_abort(&m.region, move);
            oracle_give(&m.oracle, move->to);
        } else {
            allot_region_commit(&m.region, move);
            oracle_give(&m.oracle, move->from);
            m.ranges[index_of(move->from)] = move->to;
        }
    }
}

static void plan(void)
{
    uint32_t how = byte();
    struct allot_move moves[MOVES];
    struct allot_plan_opts opts = {.may_move = how & 3 ? may_move : NULL, .arg = (void *)(uintptr_t)(how & 3)};
    opts.want = how & 4 ? some_size() : 0;
    opts.most = how & 8 ? some_size() : 0;
    size_t most = how & 16 ? 1 + how / 32 : MOVES;
    bool aborts = how & 32;
    for (int round = 0;; round++) {
        struct allot_region_stats before;
        allot_region_stats(&m.region, &before);
        int count = allot_region_plan(&m.region, byte() || opts.want ? &opts : NULL, moves, most);
        if (m.oracle.opts.fit == ALLOT_BUDDY) {
            WANT(count == -EINVAL);
            return;
        }
        if (count == -ENOMEM) {
            WANT(m.limit != UINT64_MAX);
            place_steps.out_of_records++;
            return;
        }
        WANT(count >= 0 && (size_t)count <= most);
        uint64_t together = 0;
        for (int i = 0; i < count; i++) {
            const struct allot_move *move = &moves[i];
            index_of(move->from);
            WANT(move->from.size == move->to.size && move->from.at != move->to.at);
            WANT(oracle_may_claim(&m.oracle, move->to.at, move->to.size) == 0);
            WANT(!(how & 2 && move->from.id % 4 == 0 && opts.may_move) || opts.want == 0);
            oracle_claimed(&m.oracle, move->to);
            together += move->from.size;
        }
        WANT(opts.most == 0 || together <= opts.most || count == 1 || opts.want == 0);
        place_steps.moved += (uint64_t)count;
        end_moves(moves, count, aborts, how & 64);
        WANT(allot_region_check(&m.region));
        if (count == 0 || aborts || ended()) {
            return;
        }
        WANT(round < 100000);
    }
}

/* -- a run -- */

static void begin(void)
{
    static const uint32_t small[] = {8, 40, 100, 200, 400};
    enum allot_fit fit = byte() % 8;
    uint32_t how = byte(), where = byte(), cells = m.large ? 2048 + below(ORACLE_CELLS - 2048) : small[byte() % 5];
    uint64_t unit = (uint64_t)1 << (how & 3 ? (how & 3) * 4 - (how >> 2 & 3) : 0);
    unit = how >= 240 ? (uint64_t)1 << 40 : unit;
    uint64_t length = cells * unit, top = (uint64_t)1 << 63;
    uint64_t froms[] = {
        0, unit, unit * 1000, ((uint64_t)1 << 32) - length / 2 / unit * unit, top - length, top / 2 - unit * 7};
    uint64_t from = froms[where % 6] / unit * unit;
    from = from > top - length ? top - length : from;
    struct allot_region_opts opts = {.fit = fit, .unit = unit};
    opts.areas = fit == ALLOT_GROUPS ? byte() % 9 : 0;
    opts.threshold = fit == ALLOT_BUDDY ? byte() % 5 : 0;
    if (opts.unit == 1 && how & 128) {
        opts.unit = 0; /* the default */
    }

    /* All of the window, or part of it and the rest by and by. */
    uint64_t base = from, size = length;
    if (where & 64) {
        size = length / 4;
        base = from + length / 4;
    }
    size = where >= 224 ? 0 : size;
    oracle_init(&m.oracle, &opts, from, cells, size);
    opts = options(size);
    WANT(allot_region_init(&m.region, base, size, &opts) == 0);
    WANT(size == 0 || oracle_add(&m.oracle, base, size) == 0);
}

static void step(void)
{
    uint32_t what = byte();
    /* By and by all of it is taken, and by and by most of it is given back. */
    bool ebb = place_steps.steps++ / (m.large ? 2048 : 128) % 2;
    if (m.count >= RANGES - MOVES || (ebb && what < 60)) {
        give();
    } else if (what < 96) {
        take();
    } else if (what < 120) {
        take_in();
    } else if (what < 200) {
        give();
    } else if (what < 216) {
        claim();
    } else if (what < 236) {
        resize();
    } else if (what < 246) {
        add();
    } else if (what < 249) {
        save_and_load();
    } else if (what < 254) {
        plan();
    } else if (byte() < 64) {
        reset();
    }
}

void place_model(const uint8_t *data, size_t size, int large)
{
    place_steps = (struct place_steps){0};
    m.data = data;
    m.size = size;
    m.at = 0;
    m.count = 0;
    m.added = 0;
    m.large = large;
    begin();
    compare();
    while (!ended()) {
        step();
        if (!large || place_steps.steps % 64 == 0) {
            compare();
        }
    }
    while (m.count) {
        allot_region_give(&m.region, &m.ranges[0]);
        oracle_give(&m.oracle, m.ranges[0]);
        forget(0);
    }
    compare();
    allot_region_done(&m.region);
}
