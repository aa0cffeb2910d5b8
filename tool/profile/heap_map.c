/* See heap_map.h. What is asked of a map while blocks come and go; who holds what is in heap_map_look.c. */
#include <stdlib.h>
#include <string.h>

#include "profile/heap_map.h"

#define EXTENTS_MOST  8192
#define GAP_PAGES     16
#define PAGES_MOST    ((uint64_t)16 << 20)
#define ADDRESSES_END ((uint64_t)1 << 62) /* so that no sum overflows */

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
        m->extent = malloc((EXTENTS_MOST + 1) * sizeof *m->extent);
    }
    if (m && !m->extent) {
        free(m);
        m = NULL;
    }
    return m;
}

void heap_map_end(struct heap_map *m)
{
    if (m) {
        free(m->extent);
        free(m->occupancy);
        free(m->row_used);
        free(m->row_seen);
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

void heap_map_see(struct heap_map *m, uint64_t address, uint64_t size)
{
    uint64_t bytes = clip(address, size);
    struct heap_map_extent *e = m->extent;
    if (bytes == 0 || (m->last < m->extents && e[m->last].from <= address && address + bytes <= e[m->last].to)) {
        return;
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
    while (m->extents >= EXTENTS_MOST) {
        m->gap *= 2;
        join(m, m->gap);
    }
}

/* -- rows -- */

static uint64_t rows_of(const struct heap_map_extent *e, uint64_t row) { return (e->to - e->from + row - 1) / row; }

static uint64_t all_rows(const struct heap_map *m, uint64_t row)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < m->extents; i++) {
        rows += rows_of(&m->extent[i], row);
    }
    return rows;
}

/* Pages so large that there are not too many, rows likewise: 1 to 8 pages, and from then on four sizes to a doubling. */
static void cut(struct heap_map *m)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < m->extents; i++) {
        bytes += m->extent[i].to - m->extent[i].from;
    }
    while (bytes / m->page_bytes + 2 * m->extents > PAGES_MOST) { /* each may get one more at either end */
        m->page_bytes *= 2;
    }
    for (size_t i = 0; i < m->extents; i++) {
        m->extent[i].from = down(m->extent[i].from, m->page_bytes);
        m->extent[i].to = up(m->extent[i].to, m->page_bytes);
    }
    join(m, m->page_bytes);
    m->row_bytes = m->page_bytes;
    for (uint64_t step = 1; all_rows(m, m->row_bytes) > m->rows_most;) {
        m->row_bytes += step * m->page_bytes;
        step = m->row_bytes / m->page_bytes == 8 * step ? 2 * step : step;
        join(m, m->row_bytes);
    }
    m->rows = 0;
    m->pages = 0;
    for (size_t i = 0; i < m->extents; i++) {
        struct heap_map_extent *e = &m->extent[i];
        e->row = m->rows;
        e->rows = (uint32_t)rows_of(e, m->row_bytes);
        e->page = m->pages;
        m->rows += e->rows;
        m->pages += (e->to - e->from) / m->page_bytes;
    }
}

bool heap_map_fold(struct heap_map *m, uint32_t columns_most)
{
    cut(m);
    m->last = 0;
    m->columns_most = columns_most;
    m->occupancy = calloc((size_t)m->rows * columns_most + 1, 1);
    m->row_used = calloc(m->rows + 1, sizeof *m->row_used);
    m->row_seen = calloc(m->rows + 1, 1);
    m->partial = calloc(m->pages + 1, sizeof *m->partial);
    return m->occupancy && m->row_used && m->row_seen && m->partial;
}

static const struct heap_map_extent *extent_of(const struct heap_map *m, uint64_t address)
{
    size_t i = m->last;
    if (i >= m->extents || address < m->extent[i].from || address >= m->extent[i].to) {
        i = extent_behind(m, address);
    }
    return i < m->extents && m->extent[i].from <= address ? &m->extent[i] : NULL;
}

uint32_t heap_map_row(const struct heap_map *m, uint64_t address)
{
    const struct heap_map_extent *e = extent_of(m, address);
    return e ? e->row + (uint32_t)((address - e->from) / m->row_bytes) : UINT32_MAX;
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
    uint64_t size = m->page_bytes, first = from / size, last = (to - 1) / size;
    bool head = from % size != 0, tail = to % size != 0;
    if (first == last && (head || tail)) {
        change_partial(m, e->page + first, to - from, take);
        return;
    }
    if (head) {
        change_partial(m, e->page + first, size - from % size, take);
    }
    if (tail) {
        change_partial(m, e->page + last, to % size, take);
    }
    uint64_t whole = last + 1 - first - head - tail;
    m->held = take ? m->held + whole : m->held - whole;
}

static void change_rows(struct heap_map *m, const struct heap_map_extent *e, uint64_t from, uint64_t to, bool take)
{
    for (uint64_t row = from / m->row_bytes; from < to; row++) {
        uint64_t end = (row + 1) * m->row_bytes, bytes = (end < to ? end : to) - from;
        m->row_used[e->row + row] += take ? bytes : -bytes;
        m->row_seen[e->row + row] = 1;
        from += bytes;
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
    memset(m->row_used, 0, m->rows * sizeof *m->row_used);
    memset(m->partial, 0, m->pages * sizeof *m->partial);
    m->blocks = m->used = m->held = 0;
}

uint8_t heap_map_level(uint64_t used, uint64_t row_bytes)
{
    double share = (double)used / (double)row_bytes;
    uint64_t level = HEAP_MAP_LEAST + (uint64_t)(share * (HEAP_MAP_FULL - HEAP_MAP_LEAST) + 0.5);
    return used == 0 ? HEAP_MAP_EMPTY : level > HEAP_MAP_FULL ? HEAP_MAP_FULL : (uint8_t)level;
}

/* Of a row the bytes that its extent has. */
static uint64_t row_length(const struct heap_map *m, const struct heap_map_extent *e, uint32_t row)
{
    uint64_t left = e->to - e->from - row * m->row_bytes;
    return left < m->row_bytes ? left : m->row_bytes;
}

void heap_map_column(struct heap_map *m)
{
    if (m->columns == m->columns_most) {
        return;
    }
    for (size_t i = 0; i < m->extents; i++) {
        const struct heap_map_extent *e = &m->extent[i];
        for (uint32_t r = 0; r < e->rows; r++) {
            size_t row = e->row + r;
            m->occupancy[row * m->columns_most + m->columns] =
                m->row_seen[row] ? heap_map_level(m->row_used[row], row_length(m, e, r)) : HEAP_MAP_NEVER;
        }
    }
    m->columns++;
}
