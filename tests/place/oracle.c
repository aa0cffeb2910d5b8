/* oracle.c - see oracle.h. Units are counted from offset 0 on; cells from the window's first unit. */
#include "oracle.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define OFFSETS_END ((uint64_t)1 << 63)

static bool is_buddy(const struct oracle *o) { return o->opts.fit == ALLOT_BUDDY; }

static uint64_t units_of(const struct oracle *o, uint64_t size) { return size / o->unit + (size % o->unit != 0); }

static uint32_t cell_at(const struct oracle *o, uint64_t unit)
{
    return unit < o->first || unit - o->first >= o->cells ? CELL_OUTSIDE : o->cell[unit - o->first];
}

static uint64_t end_of(const struct oracle *o) { return o->first + o->cells; }

static void fill(struct oracle *o, uint64_t unit, uint64_t units, uint32_t with)
{
    for (uint64_t u = unit; u < unit + units; u++) {
        o->cell[u - o->first] = with;
    }
}

static bool all_holes(const struct oracle *o, uint64_t unit, uint64_t units)
{
    if (units > o->cells || unit < o->first || unit - o->first > o->cells - units) {
        return false;
    }
    for (uint64_t u = unit; u < unit + units; u++) {
        if (cell_at(o, u) != CELL_HOLE) {
            return false;
        }
    }
    return true;
}

/* Units of the longest run of holes from here on. */
static uint64_t hole_from(const struct oracle *o, uint64_t unit)
{
    uint64_t end = unit;
    while (cell_at(o, end) == CELL_HOLE) {
        end++;
    }
    return end - unit;
}

/* -- BUDDY's lists -- */

static unsigned order_of(uint64_t units)
{
    unsigned order = 0;
    while ((uint64_t)1 << order < units) {
        order++;
    }
    return order;
}

static uint64_t block_at(uint64_t unit, uint64_t units)
{
    uint64_t block = 1;
    while (block * 2 <= units && unit % (block * 2) == 0) {
        block *= 2;
    }
    return block;
}

static uint32_t position(const struct oracle *o, unsigned order, uint64_t unit)
{
    uint32_t i = 0;
    while (i < o->listed[order] && o->list[order][i].unit != unit) {
        i++;
    }
    return i;
}

static bool is_listed(const struct oracle *o, unsigned order, uint64_t unit)
{
    return order < ORACLE_ORDERS && position(o, order, unit) < o->listed[order];
}

static void pull(struct oracle *o, unsigned order, uint64_t unit)
{
    uint32_t i = position(o, order, unit);
    if (i == o->listed[order]) {
        abort();
    }
    o->listed[order]--;
    memmove(&o->list[order][i], &o->list[order][i + 1], (o->listed[order] - i) * sizeof o->list[order][0]);
}

static void push(struct oracle *o, unsigned order, uint64_t unit)
{
    o->list[order][o->listed[order]++] = (struct oracle_block){unit, true};
}

static void put(struct oracle *o, uint64_t unit, unsigned order)
{
    while (o->listed[order] >= o->opts.threshold && is_listed(o, order, unit ^ (uint64_t)1 << order)) {
        pull(o, order, unit ^ (uint64_t)1 << order);
        unit &= ~((uint64_t)1 << order);
        order++;
    }
    push(o, order, unit);
}

static void put_pieces(struct oracle *o, uint64_t unit, uint64_t units)
{
    while (units) {
        uint64_t block = block_at(unit, units);
        put(o, unit, order_of(block));
        unit += block;
        units -= block;
    }
}

/* The listed block around a unit; false when it is in none. */
static bool block_around(const struct oracle *o, uint64_t unit, uint64_t *block, unsigned *order)
{
    for (*order = 0; *order < ORACLE_ORDERS; ++*order) {
        *block = unit >> *order << *order;
        if (is_listed(o, *order, *block)) {
            return true;
        }
    }
    return false;
}

/* Halves a listed block until the part at `unit` is of an order; takes that. */
static void carve(struct oracle *o, uint64_t unit, unsigned order)
{
    uint64_t block;
    unsigned whole;
    if (!block_around(o, unit, &block, &whole)) {
        abort();
    }
    pull(o, whole, block);
    while (whole-- > order) {
        uint64_t half = (uint64_t)1 << whole;
        bool low = unit < block + half;
        push(o, whole, low ? block + half : block);
        block = low ? block : block + half;
    }
    o->piece[unit - o->first] = (uint8_t)order;
}

static void unsettle(struct oracle *o)
{
    for (unsigned order = 0; order < ORACLE_ORDERS; order++) {
        for (uint32_t i = 0; i < o->listed[order]; i++) {
            o->list[order][i].settled = false;
        }
    }
}

/* Blocks as large as can be, of all holes. */
static void list_anew(struct oracle *o)
{
    memset(o->listed, 0, sizeof o->listed);
    for (uint64_t u = o->first; is_buddy(o) && u < end_of(o); u++) {
        uint64_t units = hole_from(o, u);
        put_pieces(o, u, units);
        u += units;
    }
    unsettle(o);
}

void oracle_merge_all(struct oracle *o)
{
    for (unsigned order = 0; order < ORACLE_ORDERS; order++) {
        for (uint32_t i = 0; i < o->listed[order]; i++) {
            uint64_t unit = o->list[order][i].unit, buddy = unit ^ (uint64_t)1 << order;
            if (is_listed(o, order, buddy)) {
                pull(o, order, unit);
                pull(o, order, buddy);
                push(o, order + 1, unit < buddy ? unit : buddy);
                i = UINT32_MAX; /* from the beginning */
            }
        }
    }
    unsettle(o);
}

/* -- what fits where -- */

static bool within(uint64_t at, uint64_t size, const struct allot_bounds *b)
{
    uint64_t align = b->align ? b->align : 1;
    if (at % align != b->phase || (b->nocross && at / b->nocross != (at + size - 1) / b->nocross)) {
        return false;
    }
    return at >= b->min && (b->max == 0 || at + size <= b->max);
}

bool oracle_fits(const struct oracle *o, uint64_t at, uint64_t size, const struct allot_bounds *bounds)
{
    return at % o->unit == 0 && all_holes(o, at / o->unit, units_of(o, size)) &&
           within(at, units_of(o, size) * o->unit, bounds);
}

struct choice {
    bool found;
    uint64_t unit;           /* the place */
    uint64_t hole, longness; /* the hole: its first unit, how many it has */
};

/* The lowest place in a hole, at or behind `from`. */
static struct choice place_in(const struct oracle *o, uint64_t hole, uint64_t longness, uint64_t units, uint64_t from,
                              const struct allot_bounds *b)
{
    for (uint64_t u = hole > from ? hole : from; u < hole + longness && hole + longness - u >= units; u++) {
        if (within(u * o->unit, units * o->unit, b)) {
            return (struct choice){true, u, hole, longness};
        }
    }
    return (struct choice){0};
}

static uint64_t area_of(const struct oracle *o, uint64_t unit)
{
    return (((unit - o->area_first) * o->unit) / o->unit) / o->area % o->opts.areas;
}

/* The smallest hole of an area that has one long enough; UINT64_MAX when it has none. */
static uint64_t smallest_in(const struct oracle *o, uint64_t area, uint64_t units)
{
    uint64_t smallest = UINT64_MAX, largest = 0;
    for (uint64_t u = o->first; u < end_of(o); u++) {
        uint64_t longness = hole_from(o, u);
        if (longness && area_of(o, u) == area) {
            smallest = longness < smallest ? longness : smallest;
            largest = longness > largest ? longness : largest;
        }
        u += longness;
    }
    return largest >= units ? smallest : UINT64_MAX;
}

/* Whether hole a is better than b by the rule; they have a place both, and a is higher than b. */
static bool better(const struct oracle *o, struct choice a, struct choice b, uint64_t units)
{
    switch (o->opts.fit) {
    case ALLOT_BEST:
        return a.longness <= b.longness;
    case ALLOT_NEXT_BEST:
        return a.longness < b.longness;
    case ALLOT_WORST:
        return a.longness > b.longness;
    case ALLOT_GROUPS: {
        uint64_t in_a = area_of(o, a.hole), in_b = area_of(o, b.hole);
        if (in_a == in_b) {
            return a.longness < b.longness;
        }
        uint64_t least_a = smallest_in(o, in_a, units), least_b = smallest_in(o, in_b, units);
        return least_a < least_b || (least_a == least_b && in_a < in_b);
    }
    case ALLOT_FIRST:
    case ALLOT_NEXT:
    case ALLOT_BINS:
    case ALLOT_BUDDY:
        break;
    }
    return false;
}

/* Whether any place in a hole would do. */
static bool no_bounds(const struct oracle *o, const struct allot_bounds *b)
{
    return b->align <= o->unit && !b->phase && !b->nocross && !b->min && (b->max == 0 || b->max >= OFFSETS_END);
}

/* Units of the range that a cell is in; of none, `outside`. */
static uint64_t range_around(const struct oracle *o, uint64_t unit, uint64_t outside)
{
    uint32_t cell = cell_at(o, unit);
    if (cell == CELL_OUTSIDE) {
        return outside;
    }
    uint64_t from = unit, to = unit;
    while (cell_at(o, from - 1) == cell) {
        from--;
    }
    while (cell_at(o, to + 1) == cell) {
        to++;
    }
    return to + 1 - from;
}

static struct choice choose_from(const struct oracle *o, uint64_t units, uint64_t from, const struct allot_bounds *b)
{
    struct choice chosen = {0};
    for (uint64_t u = o->first; u < end_of(o); u++) {
        uint64_t longness = hole_from(o, u);
        struct choice here = place_in(o, u, longness, units, from, b);
        if (longness >= units && here.found && (!chosen.found || better(o, here, chosen, units))) {
            chosen = here;
        }
        u += longness;
    }
    return chosen;
}

/* A block's lowest place for an order. */
static bool place_in_block(const struct oracle *o, uint64_t block, unsigned whole, unsigned order,
                           const struct allot_bounds *b, uint64_t *unit)
{
    uint64_t units = (uint64_t)1 << order;
    for (*unit = block; *unit < block + ((uint64_t)1 << whole); *unit += units) {
        if (within(*unit * o->unit, units * o->unit, b)) {
            return true;
        }
    }
    return false;
}

static bool choose_block(const struct oracle *o, unsigned order, const struct allot_bounds *b, uint64_t *unit)
{
    for (unsigned whole = order; whole < ORACLE_ORDERS; whole++) {
        for (uint32_t i = o->listed[whole]; i-- > 0;) {
            if (place_in_block(o, o->list[whole][i].unit, whole, order, b, unit)) {
                return true;
            }
        }
    }
    return false;
}

bool oracle_may_be_block(const struct oracle *o, const struct allot_range *chosen, const struct allot_range *taken,
                         const struct allot_bounds *bounds)
{
    uint64_t a, b, unit;
    unsigned order_a, order_b, order = order_of(taken->size / o->unit);
    if (!block_around(o, chosen->at / o->unit, &a, &order_a) || !block_around(o, taken->at / o->unit, &b, &order_b) ||
        order_a != order_b || taken->size != chosen->size) {
        return false;
    }
    /* The settled ones are the newest, so the chosen one is if there is any. */
    return !o->list[order_a][position(o, order_a, a)].settled && !o->list[order_b][position(o, order_b, b)].settled &&
           place_in_block(o, b, order_b, order, bounds, &unit) && unit * o->unit == taken->at;
}

/* BINS: which list holes of so many units are in. The first 64 sizes have one each, then there are 32 to a doubling; and what is longer
 * than the region was at first, or its longest span when it was loaded, is in the last. */
static uint64_t list_of(uint64_t units)
{
    uint64_t list = units, wide = 1;
    for (; units / wide >= 64; wide *= 2) {
        list = units / (wide * 2) + (order_of(wide) + 1) * 32;
    }
    return list;
}

bool oracle_may_be_bin(const struct oracle *o, uint64_t size, const struct allot_range *taken)
{
    uint64_t units = units_of(o, size), unit = taken->at / o->unit, least = UINT64_MAX;
    uint64_t last = list_of(o->began_with ? o->began_with : (uint64_t)1 << 32);
    if (units != taken->size / o->unit || !all_holes(o, unit, units)) {
        return false;
    }
    /* The first list from the one on that holds nothing shorter; the one below only when there is none. */
    uint64_t from = list_of(units);
    from += units > 1 && list_of(units - 1) == from;
    for (uint64_t u = o->first; u < end_of(o); u++) {
        uint64_t longness = hole_from(o, u), list = list_of(longness);
        list = list < last ? list : last;
        least = longness && list >= from && list < least ? list : least;
        u += longness;
    }
    least = least == UINT64_MAX ? from - 1 : least;
    least = least < last ? least : last;
    bool at_its_begin = cell_at(o, unit - 1) != CELL_HOLE || unit == o->first;
    return at_its_begin &&
           (list_of(hole_from(o, unit)) == least || (least == last && list_of(hole_from(o, unit)) > last));
}

/* -- calls -- */

void oracle_init(struct oracle *o, const struct allot_region_opts *opts, uint64_t from, uint32_t cells, uint64_t size)
{
    memset(o, 0, offsetof(struct oracle, list)); /* how long the lists are says the rest */
    memset(o->listed, 0, sizeof o->listed);
    o->opts = *opts;
    o->unit = opts->unit ? opts->unit : 1;
    o->opts.areas = opts->areas ? opts->areas : 64;
    o->first = from / o->unit;
    o->cells = cells;
    uint64_t units = size / o->unit;
    o->began_with = units;
    o->area = units ? (units + o->opts.areas - 1) / o->opts.areas : 1024;
    for (uint32_t i = 0; i < cells; i++) {
        o->cell[i] = CELL_OUTSIDE;
    }
}

int oracle_add(struct oracle *o, uint64_t base, uint64_t size)
{
    if (base > OFFSETS_END || size > OFFSETS_END - base) {
        return -EINVAL;
    }
    uint64_t unit = units_of(o, base), end = (base + size) / o->unit;
    if (end <= unit) {
        return -EINVAL;
    }
    for (uint64_t u = unit; u < end; u++) {
        if (cell_at(o, u) != CELL_OUTSIDE) {
            return -EINVAL;
        }
    }
    fill(o, unit, end - unit, CELL_HOLE);
    o->longest_span = end - unit > o->longest_span ? end - unit : o->longest_span;
    if (is_buddy(o)) {
        put_pieces(o, unit, end - unit);
    }
    o->area_first = o->began ? o->area_first : unit;
    o->began = true;
    return 0;
}

int oracle_choose(struct oracle *o, uint64_t size, const struct allot_bounds *bounds, struct allot_range *out,
                  bool *any)
{
    static const struct allot_bounds anywhere;
    const struct allot_bounds *b = bounds ? bounds : &anywhere;
    *any = false;
    if (size == 0 || (b->align & (b->align - 1)) || (b->nocross & (b->nocross - 1)) ||
        b->phase >= (b->align ? b->align : 1) || b->phase % o->unit) {
        return -EINVAL;
    }
    uint64_t units = units_of(o, size), unit;
    if (is_buddy(o)) {
        if (size > OFFSETS_END / 2) {
            return -ENOSPC; /* no block can be so long */
        }
        unsigned order = order_of(units);
        if (!choose_block(o, order, b, &unit)) {
            if (!o->opts.threshold) {
                return -ENOSPC;
            }
            oracle_merge_all(o);
            if (!choose_block(o, order, b, &unit)) {
                return -ENOSPC;
            }
        }
        *out = (struct allot_range){unit * o->unit, o->unit << order, 0};
        return 0;
    }
    if (units > o->cells) {
        return -ENOSPC;
    }
    struct choice chosen = {0};
    if (o->opts.fit == ALLOT_NEXT) {
        chosen = choose_from(o, units, units_of(o, o->cursor), b);
    }
    if (!chosen.found) {
        chosen = choose_from(o, units, 0, b);
    }
    if (chosen.found && o->opts.fit == ALLOT_BEST && no_bounds(o, b)) {
        uint64_t end = chosen.hole + chosen.longness;
        chosen.unit =
            range_around(o, chosen.hole - 1, UINT64_MAX) >= range_around(o, end, 0) ? chosen.hole : end - units;
    }
    *any = o->opts.fit == ALLOT_BINS;
    *out = (struct allot_range){chosen.unit * o->unit, units * o->unit, 0};
    return chosen.found ? 0 : -ENOSPC;
}

void oracle_taken(struct oracle *o, struct allot_range range)
{
    if (is_buddy(o)) {
        carve(o, range.at / o->unit, order_of(range.size / o->unit));
    }
    fill(o, range.at / o->unit, range.size / o->unit, range.id);
    o->cursor = range.at + range.size;
}

int oracle_may_claim(const struct oracle *o, uint64_t at, uint64_t size)
{
    if (size == 0 || at % o->unit || size % o->unit) {
        return -EINVAL;
    }
    return all_holes(o, at / o->unit, size / o->unit) ? 0 : -ENOSPC;
}

void oracle_claimed(struct oracle *o, struct allot_range range)
{
    uint64_t unit = range.at / o->unit, units = range.size / o->unit;
    fill(o, unit, units, range.id);
    while (is_buddy(o) && units) {
        uint64_t block, piece = block_at(unit, units);
        unsigned order;
        if (!block_around(o, unit, &block, &order)) {
            abort();
        }
        piece = piece < (uint64_t)1 << order ? piece : (uint64_t)1 << order;
        carve(o, unit, order_of(piece));
        unit += piece;
        units -= piece;
    }
}

static int resize_block(struct oracle *o, struct allot_range *range, uint64_t units)
{
    uint64_t unit = range->at / o->unit;
    unsigned was = order_of(range->size / o->unit), order = order_of(units);
    for (unsigned above = was; above < order; above++) {
        if (unit >> above & 1 || !is_listed(o, above, unit + ((uint64_t)1 << above))) {
            return -ENOSPC;
        }
    }
    for (unsigned above = was; above < order; above++) {
        pull(o, above, unit + ((uint64_t)1 << above));
    }
    fill(o, unit, (uint64_t)1 << was, CELL_HOLE);
    fill(o, unit, (uint64_t)1 << order, range->id);
    for (unsigned above = was; above-- > order;) {
        put(o, unit + ((uint64_t)1 << above), above);
    }
    o->piece[unit - o->first] = (uint8_t)order;
    range->size = o->unit << order;
    return 0;
}

int oracle_resize(struct oracle *o, struct allot_range *range, uint64_t size, bool piecemeal)
{
    if (size == 0) {
        return -EINVAL;
    }
    uint64_t units = units_of(o, size), unit = range->at / o->unit, was = range->size / o->unit;
    if (units > o->cells || piecemeal) {
        return -ENOSPC;
    }
    if (is_buddy(o)) {
        return resize_block(o, range, units);
    }
    if (units > was && !all_holes(o, unit + was, units - was)) {
        return -ENOSPC;
    }
    fill(o, unit, was, CELL_HOLE);
    fill(o, unit, units, range->id);
    range->size = units * o->unit;
    return 0;
}

bool oracle_is_piecemeal(const struct oracle *o, struct allot_range range)
{
    return is_buddy(o) && o->unit << o->piece[range.at / o->unit - o->first] != range.size;
}

void oracle_give(struct oracle *o, struct allot_range range)
{
    uint64_t unit = range.at / o->unit, end = unit + range.size / o->unit;
    fill(o, unit, end - unit, CELL_HOLE);
    while (is_buddy(o) && unit < end) {
        unsigned order = o->piece[unit - o->first];
        put(o, unit, order);
        unit += (uint64_t)1 << order;
    }
}

void oracle_reset(struct oracle *o)
{
    for (uint32_t i = 0; i < o->cells; i++) {
        o->cell[i] = o->cell[i] == CELL_OUTSIDE ? CELL_OUTSIDE : CELL_HOLE;
    }
    list_anew(o);
}

void oracle_loaded(struct oracle *o)
{
    o->began_with = o->longest_span;
    list_anew(o);
}

/* -- what there is -- */

uint64_t oracle_largest(const struct oracle *o)
{
    uint64_t largest = 0;
    if (is_buddy(o)) {
        for (unsigned order = 0; order < ORACLE_ORDERS; order++) {
            largest = o->listed[order] ? o->unit << order : largest;
        }
        return largest;
    }
    for (uint64_t u = o->first; u < end_of(o); u++) {
        uint64_t units = hole_from(o, u);
        largest = units > largest ? units : largest;
        u += units;
    }
    return largest * o->unit;
}

bool oracle_next(const struct oracle *o, uint64_t *unit, struct allot_range *out)
{
    *unit = *unit < o->first ? o->first : *unit;
    while (*unit < end_of(o) && cell_at(o, *unit) == CELL_OUTSIDE) {
        ++*unit;
    }
    if (*unit >= end_of(o)) {
        return false;
    }
    uint64_t from = *unit;
    uint32_t cell = cell_at(o, from);
    if (cell == CELL_HOLE && is_buddy(o)) {
        unsigned order;
        if (!block_around(o, from, &from, &order)) {
            abort();
        }
        *unit = from + ((uint64_t)1 << order);
    } else {
        while (cell_at(o, *unit) == cell) {
            ++*unit;
        }
    }
    *out = (struct allot_range){from * o->unit, (*unit - from) * o->unit, cell == CELL_HOLE ? UINT32_MAX : cell};
    return true;
}

uint64_t oracle_holes(const struct oracle *o)
{
    uint64_t holes = 0, unit = 0;
    for (struct allot_range range; oracle_next(o, &unit, &range);) {
        holes += range.id == UINT32_MAX;
    }
    return holes;
}
