/* See heap_map.h. What is asked of a map while blocks come and go; who holds what is in heap_map_look.c. */
#include <stdlib.h>
#include <string.h>

#include "profile/heap_map.h"

#define EXTENTS_MOST  8192
#define EXTENTS_LEAST 4
#define GAP_PAGES     16
#define PAGES_MOST    ((uint64_t)16 << 20)
#define ADDRESSES_END ((uint64_t)1 << 51) /* beyond are no process's */

static uint64_t down(uint64_t address, uint64_t page) { return address & ~(page - 1); }
static uint64_t up(uint64_t address, uint64_t page) { return down(address + page - 1, page); }

/* -- where blocks ever lie -- */

struct heap_map *heap_map_begin(uint64_t page, uint32_t rows_most)
{
    struct heap_map *m = calloc(1, sizeof *m);
    if (m) {
        m->page_bytes = page;
        m->rows_most = rows_most < 1 ? 1 : rows_most > HEAP_MAP_ROWS_MOST ? HEAP_MAP_ROWS_MOST : rows_most;
        m->gap = GAP_PAGES * page;
        m->extents_most = EXTENTS_MOST;
        m->pages_most = PAGES_MOST;
    }
    return m;
}

void heap_map_end(struct heap_map *m)
{
    if (m) {
        free(m->extent);
        free(m->occupancy);
        free(m->part);
        free(m->whole);
        free(m->ever);
        free(m->partial);
        free(m);
    }
}

/* The first extent that ends behind an address. */
static size_t extent_behind(const struct heap_map *m, uint64_t address)
{
    size_t from = 0, to = m->extents;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (m->extent[middle].to > address) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    return from;
}

/* Those less than `gap` apart become one. */
static void join(struct heap_map *m, uint64_t gap)
{
    size_t kept = 0;
    for (size_t i = 1; i < m->extents; i++) {
        if (m->extent[i].from < m->extent[kept].to || m->extent[i].from - m->extent[kept].to < gap) {
            m->extent[kept].to = m->extent[i].to;
        } else {
            m->extent[++kept] = m->extent[i];
        }
    }
    m->extents = m->extents ? kept + 1 : 0;
}

/* The bytes of a block as they are counted; 0: it lies where no block can. */
static uint64_t clip(uint64_t address, uint64_t size)
{
    uint64_t bytes = size ? size : 1;
    return address >= ADDRESSES_END ? 0 : bytes > ADDRESSES_END - address ? ADDRESSES_END - address : bytes;
}

static bool make_room(struct heap_map *m)
{
    if (m->extents == m->extent_room) {
        size_t room = m->extent_room ? 2 * m->extent_room : EXTENTS_LEAST;
        struct heap_map_extent *grown = realloc(m->extent, room * sizeof *grown);
        if (!grown) {
            return false;
        }
        m->extent = grown;
        m->extent_room = room;
    }
    return true;
}

bool heap_map_see(struct heap_map *m, uint64_t address, uint64_t size)
{
    uint64_t bytes = clip(address, size);
    if (!make_room(m)) {
        return false;
    }
    struct heap_map_extent *e = m->extent;
    if (bytes == 0 || (m->last < m->extents && e[m->last].from <= address && address + bytes <= e[m->last].to)) {
        return true;
    }
    size_t its = extent_behind(m, address);
    if (its < m->extents && e[its].from <= address && address + bytes <= e[its].to) {
        m->last = its;
        return true;
    }
    uint64_t from = down(address, m->page_bytes), to = up(address + bytes, m->page_bytes);
    size_t at = extent_behind(m, from > m->gap ? from - m->gap : 0), end = at;
    while (end < m->extents && (e[end].from < to || e[end].from - to < m->gap)) {
        from = e[end].from < from ? e[end].from : from;
        to = e[end].to > to ? e[end].to : to;
        end++;
    }
    memmove(&e[at + 1], &e[end], (m->extents - end) * sizeof *e);
    m->extents = m->extents + 1 - (end - at);
    e[at] = (struct heap_map_extent){.from = from, .to = to};
    m->last = at;
    while (m->extents >= m->extents_most) {
        m->gap *= 2;
        join(m, m->gap);
    }
    return true;
}

uint64_t heap_map_bytes(const struct heap_map *m)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < m->extents; i++) {
        bytes += m->extent[i].to - m->extent[i].from;
    }
    return bytes;
}

/* -- rows -- */

static uint64_t rows_of(const struct heap_map_extent *e, uint64_t row) { return (e->to - e->from + row - 1) / row; }

static uint64_t all_rows(struct heap_map *const *map, size_t maps, uint64_t row)
{
    uint64_t rows = 0;
    for (size_t k = 0; k < maps; k++) {
        for (size_t i = 0; i < map[k]->extents; i++) {
            rows += rows_of(&map[k]->extent[i], row);
        }
    }
    return rows;
}

/* Rows so large that there are not too many: 1 to 8 pages, and from then on four sizes to a doubling, or only one. */
static uint64_t cut_rows(struct heap_map *const *map, size_t maps, uint64_t page)
{
    uint64_t row = page;
    for (uint64_t step = 1; all_rows(map, maps, row) > map[0]->rows_most;) {
        row += step * page;
        step = map[0]->doubling ? row / page : row / page == 8 * step ? 2 * step : step;
        for (size_t k = 0; k < maps; k++) {
            join(map[k], row);
        }
    }
    return row;
}

/* Pages likewise; those of gaps that are less than a row count. */
static void cut(struct heap_map *const *map, size_t maps, uint64_t *page, uint64_t *row)
{
    uint64_t bytes;
    *page = map[0]->page_bytes / 2;
    do {
        *page *= 2;
        bytes = 0;
        for (size_t k = 0; k < maps; k++) {
            for (size_t i = 0; i < map[k]->extents; i++) {
                map[k]->extent[i].from = down(map[k]->extent[i].from, *page);
                map[k]->extent[i].to = up(map[k]->extent[i].to, *page);
            }
            join(map[k], *page);
        }
        *row = cut_rows(map, maps, *page);
        for (size_t k = 0; k < maps; k++) {
            bytes += heap_map_bytes(map[k]);
        }
    } while (bytes / *page > map[0]->pages_most);
}

static bool fold(struct heap_map *m, uint64_t page, uint64_t row, uint32_t columns_most)
{
    m->page_bytes = page;
    m->row_bytes = row;
    m->rows = 0;
    m->pages = 0;
    m->last = 0;
    for (size_t i = 0; i < m->extents; i++) {
        struct heap_map_extent *e = &m->extent[i];
        e->row = m->rows;
        e->rows = (uint32_t)rows_of(e, row);
        e->page = m->pages;
        m->rows += e->rows;
        m->pages += (e->to - e->from) / page;
    }
    m->columns_most = columns_most;
    m->occupancy = calloc((size_t)m->rows * columns_most + 1, 1);
    m->part = calloc(m->rows + 1, sizeof *m->part);
    m->whole = calloc(m->rows + 1, sizeof *m->whole);
    m->ever = calloc(m->rows + 1, sizeof *m->ever);
    m->partial = calloc(m->pages + 1, sizeof *m->partial);
    return m->occupancy && m->part && m->whole && m->ever && m->partial;
}

bool heap_map_fold_alike(struct heap_map *const *map, size_t maps, uint32_t columns_most)
{
    uint64_t page, row;
    bool done = true;
    cut(map, maps, &page, &row);
    for (size_t k = 0; k < maps && done; k++) {
        done = fold(map[k], page, row, columns_most);
    }
    return done;
}

bool heap_map_fold(struct heap_map *m, uint32_t columns_most) { return heap_map_fold_alike(&m, 1, columns_most); }

static const struct heap_map_extent *extent_of(const struct heap_map *m, uint64_t address)
{
    size_t i = m->last;
    if (i >= m->extents || address < m->extent[i].from || address >= m->extent[i].to) {
        i = extent_behind(m, address);
    }
    return i < m->extents && m->extent[i].from <= address ? &m->extent[i] : NULL;
}

uint32_t heap_map_place(const struct heap_map *m, uint64_t address, uint64_t *behind)
{
    const struct heap_map_extent *e = extent_of(m, address);
    if (!e) {
        return UINT32_MAX;
    }
    *behind = (address - e->from) % m->row_bytes;
    return e->row + (uint32_t)((address - e->from) / m->row_bytes);
}

uint32_t heap_map_row(const struct heap_map *m, uint64_t address)
{
    uint64_t behind;
    return heap_map_place(m, address, &behind);
}

uint64_t heap_map_address(const struct heap_map *m, uint32_t row)
{
    size_t from = 0, to = m->extents;
    while (to - from > 1) {
        size_t middle = from + (to - from) / 2;
        if (m->extent[middle].row <= row) {
            from = middle;
        } else {
            to = middle;
        }
    }
    return m->extents ? m->extent[from].from + (row - m->extent[from].row) * m->row_bytes : 0;
}

/* -- what lies there now -- */

/* A page of which a block has some bytes, and not all. */
static void change_partial(struct heap_map *m, uint64_t page, uint64_t bytes, bool take)
{
    uint32_t *partial = &m->partial[page];
    if (take) {
        m->held += *partial == 0;
        *partial += (uint32_t)bytes;
    } else {
        *partial -= (uint32_t)(bytes < *partial ? bytes : *partial);
        m->held -= *partial == 0;
    }
}

/* `from` to `to` are offsets in the extent. */
static void change_pages(struct heap_map *m, const struct heap_map_extent *e, uint64_t from, uint64_t to, bool take)
{
    unsigned shift = (unsigned)__builtin_ctzll(m->page_bytes);
    uint64_t size = m->page_bytes, within = size - 1, first = from >> shift, last = (to - 1) >> shift;
    bool head = (from & within) != 0, tail = (to & within) != 0;
    if (first == last && (head || tail)) {
        change_partial(m, e->page + first, to - from, take);
        return;
    }
    if (head) {
        change_partial(m, e->page + first, size - (from & within), take);
    }
    if (tail) {
        change_partial(m, e->page + last, to & within, take);
    }
    uint64_t whole = last + 1 - first - head - tail;
    m->held = take ? m->held + whole : m->held - whole;
}

static void change_rows(struct heap_map *m, const struct heap_map_extent *e, uint64_t from, uint64_t to, bool take)
{
    uint64_t first = from / m->row_bytes, last = (to - 1) / m->row_bytes;
    int64_t sign = take ? 1 : -1, row = (int64_t)m->row_bytes;
    if (first == last) {
        m->part[e->row + first] += sign * (int64_t)(to - from);
    } else {
        m->part[e->row + first] += sign * (int64_t)((first + 1) * m->row_bytes - from);
        m->part[e->row + last] += sign * (int64_t)(to - last * m->row_bytes);
        m->whole[e->row + first + 1] += sign * row;
        m->whole[e->row + last] -= sign * row;
    }
    if (take) {
        m->ever[e->row + first]++;
        m->ever[e->row + last + 1]--;
    }
}

static void change(struct heap_map *m, uint64_t address, uint64_t size, bool take)
{
    uint64_t bytes = clip(address, size);
    const struct heap_map_extent *e = bytes ? extent_of(m, address) : NULL;
    if (!e || bytes > e->to - address) {
        return;
    }
    m->last = (size_t)(e - m->extent);
    m->blocks += take ? 1 : (uint64_t)-1;
    m->used += take ? bytes : -bytes;
    change_pages(m, e, address - e->from, address - e->from + bytes, take);
    change_rows(m, e, address - e->from, address - e->from + bytes, take);
}

void heap_map_take(struct heap_map *m, uint64_t address, uint64_t size) { change(m, address, size, true); }

void heap_map_give(struct heap_map *m, uint64_t address, uint64_t size) { change(m, address, size, false); }

void heap_map_clear(struct heap_map *m)
{
    memset(m->part, 0, m->rows * sizeof *m->part);
    memset(m->whole, 0, (m->rows + 1) * sizeof *m->whole);
    memset(m->partial, 0, m->pages * sizeof *m->partial);
    m->blocks = m->used = m->held = 0;
}

uint8_t heap_map_level(uint64_t used, uint64_t row_bytes)
{
    unsigned __int128 share = ((unsigned __int128)used * (HEAP_MAP_FULL - HEAP_MAP_LEAST) + row_bytes / 2) / row_bytes;
    return used == 0                                ? HEAP_MAP_EMPTY
           : share > HEAP_MAP_FULL - HEAP_MAP_LEAST ? HEAP_MAP_FULL
                                                    : (uint8_t)(HEAP_MAP_LEAST + share);
}

/* Of a row the bytes that its extent has. */
static uint64_t row_length(const struct heap_map *m, const struct heap_map_extent *e, uint32_t row)
{
    uint64_t left = e->to - e->from - row * m->row_bytes;
    return left < m->row_bytes ? left : m->row_bytes;
}

uint64_t heap_map_row_used(const struct heap_map *m, uint32_t row)
{
    int64_t used = m->part[row];
    for (uint32_t r = 0; r <= row; r++) {
        used += m->whole[r];
    }
    return used > 0 ? (uint64_t)used : 0;
}

void heap_map_column(struct heap_map *m)
{
    int64_t whole = 0, ever = 0;
    if (m->columns == m->columns_most) {
        return;
    }
    for (size_t i = 0; i < m->extents; i++) {
        const struct heap_map_extent *e = &m->extent[i];
        for (uint32_t r = 0; r < e->rows; r++) {
            size_t row = e->row + r;
            whole += m->whole[row];
            ever += m->ever[row];
            int64_t used = m->part[row] + whole;
            m->occupancy[row * m->columns_most + m->columns] =
                ever > 0 ? heap_map_level(used > 0 ? (uint64_t)used : 0, row_length(m, e, r)) : HEAP_MAP_NEVER;
        }
    }
    m->columns++;
}
