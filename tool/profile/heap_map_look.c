/* heap_map_look.c - who holds what, at a moment: all live blocks in the order of their addresses, a window of them at a time.
 *
 *   each: blocks in any order --> how many begin in each piece of a row --> windows of whole rows, 1 Mi blocks or one row's --> by piece
 *         --> each piece sorted, which has a few blocks
 *   sorted: | block | block |   --> the page at hand: who has how many bytes of it --> charges
 *                               --> the row at hand: likewise                      --> owners
 */
#include <stdlib.h>
#include <string.h>

#include "profile/heap_map.h"

#define WINDOW  ((size_t)1 << 20)
#define AT_HAND (WINDOW / 2)      /* blocks that are kept from the first visit, so that there is no second one */
#define PIECES  ((size_t)1 << 18) /* of all rows together, or one a row */
#define LEAST   10                /* log2 of a piece's bytes: less would hold a block or two */
#define FEW     24                /* blocks that are sorted by insertion */
#define NONE    UINT64_MAX

struct lying {
    uint64_t address, size;
    uint32_t site;
};

/* A site, and what it has of the page and of the row at hand. */
struct holder {
    struct heap_map_pin pin;
    uint64_t page_bytes, row_bytes;
};

/* Those who have some of what is at hand. */
struct hand {
    uint64_t number; /* of the page, or the row; NONE */
    uint64_t bytes;
    uint32_t *holder;
    size_t holders;
};

struct looking {
    const struct heap_map *map;
    struct heap_map_look *out;
    uint32_t *begin;     /* of each piece the blocks that begin in it; of the window's, where the next one's place is */
    unsigned shift;      /* log2 of a piece's bytes: the last one of a row may be shorter */
    uint32_t pieces;     /* of a row */
    uint32_t first, end; /* rows */
    struct lying *window;
    size_t count, room;
    struct lying *met; /* on the first visit, as far as there is room */
    size_t nmet, met_room;
    struct holder *holder;
    size_t holders, holder_room;
    uint32_t *index; /* of holders by site: number and 1 */
    size_t index_room;
    struct hand page, row;
    const struct heap_map_extent *row_of; /* of the last block's row: its extent, where it begins in that, its number */
    uint64_t row_from, row_number;
    size_t owner_room;
    uint64_t behind; /* the end of all blocks so far; 0: none in this extent yet */
    const struct heap_map_extent *extent;
    bool failed;
};

/* -- sites -- */

static bool grow_index(struct looking *l)
{
    size_t room = l->index_room ? 2 * l->index_room : 1024;
    uint32_t *index = calloc(room, sizeof *index);
    if (!index) {
        return false;
    }
    for (size_t i = 0; i < l->holders; i++) {
        size_t at = (l->holder[i].pin.site * 0x9e3779b1u >> 4) & (room - 1);
        while (index[at]) {
            at = (at + 1) & (room - 1);
        }
        index[at] = (uint32_t)i + 1;
    }
    free(l->index);
    l->index = index;
    l->index_room = room;
    return true;
}

static bool grow_holders(struct looking *l)
{
    size_t room = l->holder_room ? 2 * l->holder_room : 256;
    struct holder *holder = realloc(l->holder, room * sizeof *holder);
    l->holder = holder ? holder : l->holder;
    uint32_t *page = holder ? realloc(l->page.holder, room * sizeof *page) : NULL;
    l->page.holder = page ? page : l->page.holder;
    uint32_t *row = page ? realloc(l->row.holder, room * sizeof *row) : NULL;
    l->row.holder = row ? row : l->row.holder;
    l->holder_room = row ? room : l->holder_room;
    return row;
}

/* Its number; UINT32_MAX: out of memory. */
static uint32_t holder_of(struct looking *l, uint32_t site)
{
    if (l->holders == l->holder_room && !grow_holders(l)) {
        return UINT32_MAX;
    }
    if (2 * (l->holders + 1) > l->index_room && !grow_index(l)) {
        return UINT32_MAX;
    }
    size_t at = (site * 0x9e3779b1u >> 4) & (l->index_room - 1);
    while (l->index[at] && l->holder[l->index[at] - 1].pin.site != site) {
        at = (at + 1) & (l->index_room - 1);
    }
    if (!l->index[at]) {
        l->holder[l->holders] = (struct holder){.pin = {.site = site}};
        l->index[at] = (uint32_t)++l->holders;
    }
    return l->index[at] - 1;
}

/* -- the page and the row at hand -- */

/* All of the page is charged: what is left by rounding to the last. */
static void end_page(struct looking *l)
{
    struct hand *p = &l->page;
    uint64_t left = l->map->page_bytes;
    for (size_t i = 0; i < p->holders; i++) {
        struct holder *h = &l->holder[p->holder[i]];
        double share = (double)h->page_bytes / (double)p->bytes;
        uint64_t charge = i + 1 == p->holders ? left : (uint64_t)(share * (double)l->map->page_bytes);
        charge = charge < left ? charge : left;
        left -= charge;
        h->pin.charged += charge;
        h->pin.used += h->page_bytes;
        h->pin.pages++;
        h->pin.alone += p->holders == 1;
        h->page_bytes = 0;
    }
    l->out->held += p->holders > 0;
    l->out->used += p->bytes;
    *p = (struct hand){.number = NONE, .holder = p->holder};
}

static bool comes_before(const struct holder *h, const struct heap_map_owner *o)
{
    return h->row_bytes != o->bytes ? h->row_bytes > o->bytes : h->pin.site < o->site;
}

static void end_row(struct looking *l)
{
    struct hand *r = &l->row;
    struct heap_map_look *out = l->out;
    size_t from = out->owners;
    if (from + HEAP_MAP_OWNERS > l->owner_room) {
        size_t room = l->owner_room ? 2 * l->owner_room : 1024;
        struct heap_map_owner *owner = realloc(out->owner, room * sizeof *owner);
        if (!owner) {
            l->failed = true;
            return;
        }
        out->owner = owner;
        l->owner_room = room;
    }
    for (size_t i = 0; i < r->holders; i++) {
        struct holder *h = &l->holder[r->holder[i]];
        size_t at = out->owners;
        while (at > from && comes_before(h, &out->owner[at - 1])) {
            at--;
        }
        if (at < from + HEAP_MAP_OWNERS) {
            size_t last = out->owners < from + HEAP_MAP_OWNERS ? out->owners : from + HEAP_MAP_OWNERS - 1;
            memmove(&out->owner[at + 1], &out->owner[at], (last - at) * sizeof *out->owner);
            out->owner[at] = (struct heap_map_owner){(uint32_t)r->number, h->pin.site, h->row_bytes};
            out->owners = last + 1;
        }
        h->row_bytes = 0;
    }
    *r = (struct hand){.number = NONE, .holder = r->holder};
}

static void add_to_page(struct looking *l, uint64_t page, uint32_t holder, uint64_t bytes)
{
    if (l->page.number != page) {
        end_page(l);
        l->page.number = page;
    }
    if (l->holder[holder].page_bytes == 0) {
        l->page.holder[l->page.holders++] = holder;
    }
    l->holder[holder].page_bytes += bytes;
    l->page.bytes += bytes;
}

static void add_to_row(struct looking *l, uint64_t row, uint32_t holder, uint64_t bytes)
{
    if (l->row.number != row) {
        end_row(l);
        l->row.number = row;
    }
    if (l->holder[holder].row_bytes == 0) {
        l->row.holder[l->row.holders++] = holder;
    }
    l->holder[holder].row_bytes += bytes;
    l->row.bytes += bytes;
}

/* Pages that it has wholly need no look at each. */
static void spread_pages(struct looking *l, const struct heap_map_extent *e, uint32_t holder, uint64_t from,
                         uint64_t to)
{
    uint64_t size = l->map->page_bytes;
    unsigned shift = (unsigned)__builtin_ctzll(size);
    while (from < to) {
        uint64_t page = from >> shift, whole = from & (size - 1) ? 0 : (to - from) >> shift;
        if (whole) {
            struct heap_map_pin *pin = &l->holder[holder].pin;
            end_page(l);
            pin->pages += whole;
            pin->alone += whole;
            pin->used += whole * size;
            pin->charged += whole * size;
            l->out->held += whole;
            l->out->used += whole * size;
            from += whole * size;
        } else {
            uint64_t end = (page + 1) * size, bytes = (end < to ? end : to) - from;
            add_to_page(l, e->page + page, holder, bytes);
            from += bytes;
        }
    }
}

static void spread_rows(struct looking *l, const struct heap_map_extent *e, uint32_t holder, uint64_t from, uint64_t to)
{
    uint64_t size = l->map->row_bytes;
    while (from < to) {
        if (l->row_of != e || from - l->row_from >= size) { /* a division for each row, and not for each block */
            l->row_of = e;
            l->row_from = from / size * size;
            l->row_number = e->row + l->row_from / size;
        }
        uint64_t end = l->row_from + size, bytes = (end < to ? end : to) - from;
        add_to_row(l, l->row_number, holder, bytes);
        from += bytes;
    }
}

/* Of two blocks, or one and the extent's end. */
static void note_hole(struct looking *l, uint64_t from, uint64_t to)
{
    if (to > from && to - from > l->out->largest_hole) {
        l->out->largest_hole = to - from;
        l->out->hole_at = from;
    }
}

/* Pages without a block, between two blocks. */
static void note_run(struct looking *l, uint64_t from, uint64_t to)
{
    uint64_t page = l->map->page_bytes, first = (from + page - 1) & ~(page - 1), end = to & ~(page - 1);
    if (end > first && end - first > l->out->longest_run) {
        l->out->longest_run = end - first;
    }
}

/* -- pieces of rows -- */

static void cut_rows(struct looking *l)
{
    uint64_t row = l->map->row_bytes;
    for (l->shift = LEAST; (((row - 1) >> l->shift) + 1) * l->map->rows > PIECES && row >> l->shift; l->shift++) {
    }
    l->pieces = (uint32_t)((row - 1) >> l->shift) + 1;
    l->begin = calloc((size_t)l->map->rows * l->pieces + 1, sizeof *l->begin);
}

static size_t first_piece(const struct looking *l, uint32_t row) { return (size_t)row * l->pieces; }

static size_t piece_of(const struct looking *l, uint64_t address)
{
    uint64_t behind;
    uint32_t row = heap_map_place(l->map, address, &behind);
    return row == UINT32_MAX ? SIZE_MAX : first_piece(l, row) + (behind >> l->shift);
}

static size_t count_in(const struct looking *l, uint32_t row)
{
    size_t count = 0;
    for (size_t i = first_piece(l, row); i < first_piece(l, row + 1); i++) {
        count += l->begin[i];
    }
    return count;
}

/* -- windows -- */

static int by_address(const void *a, const void *b)
{
    const struct lying *x = a, *y = b;
    return (x->address > y->address) - (x->address < y->address);
}

static void sort(struct lying *block, size_t count)
{
    if (count > FEW) {
        qsort(block, count, sizeof *block, by_address);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct lying b = block[i];
        size_t at = i;
        for (; at > 0 && block[at - 1].address > b.address; at--) {
            block[at] = block[at - 1];
        }
        block[at] = b;
    }
}

static void take_window(struct looking *l)
{
    size_t sorted = 0;
    for (size_t i = first_piece(l, l->first); i < first_piece(l, l->end); i++) {
        if (l->begin[i] > sorted + 1) {
            sort(&l->window[sorted], l->begin[i] - sorted);
        }
        sorted = l->begin[i];
    }
    for (size_t i = 0; i < l->count && !l->failed; i++) {
        const struct lying *b = &l->window[i];
        while (b->address >= l->extent->to) {
            note_hole(l, l->behind ? l->behind : l->extent->from, l->extent->to);
            l->extent++;
            l->behind = 0;
        }
        const struct heap_map_extent *e = l->extent;
        uint64_t length = e->to - b->address, end = b->address + (b->size < length ? b->size : length);
        uint32_t holder = holder_of(l, b->site);
        if (holder == UINT32_MAX) {
            l->failed = true;
            return;
        }
        l->holder[holder].pin.blocks++;
        note_hole(l, l->behind ? l->behind : e->from, b->address);
        note_run(l, l->behind ? l->behind : b->address, b->address);
        uint64_t from = b->address > l->behind ? b->address : l->behind; /* what two have is the lower one's */
        if (from < end) {
            spread_pages(l, e, holder, from - e->from, end - e->from);
            spread_rows(l, e, holder, from - e->from, end - e->from);
            l->behind = end;
        }
    }
    l->count = 0;
}

static bool count_one(void *to, uint64_t address, uint64_t size, uint32_t site)
{
    struct looking *l = to;
    size_t piece = piece_of(l, address);
    if (piece != SIZE_MAX) {
        l->begin[piece]++;
        if (l->nmet < l->met_room) {
            l->met[l->nmet] = (struct lying){address, size, site};
        }
        l->nmet++;
    }
    return true;
}

static bool gather_one(void *to, uint64_t address, uint64_t size, uint32_t site)
{
    struct looking *l = to;
    size_t piece = piece_of(l, address);
    if (piece >= first_piece(l, l->first) && piece < first_piece(l, l->end) && l->begin[piece] < l->room) {
        l->window[l->begin[piece]++] = (struct lying){address, size ? size : 1, site};
        l->count++;
    }
    return true;
}

/* From row `first` on as many as have no more blocks than a window, but one at least. */
static bool choose_window(struct looking *l)
{
    size_t blocks = 0, more = count_in(l, l->first);
    l->end = l->first;
    do {
        blocks += more;
        l->end++;
        more = l->end < l->map->rows ? count_in(l, l->end) : WINDOW + 1;
    } while (blocks + more <= WINDOW);
    if (blocks > l->room) {
        free(l->window);
        l->window = malloc(blocks * sizeof *l->window);
        l->room = l->window ? blocks : 0;
    }
    uint32_t at = 0;
    for (size_t i = first_piece(l, l->first); i < first_piece(l, l->end); i++) {
        uint32_t count = l->begin[i];
        l->begin[i] = at;
        at += count;
    }
    return blocks <= l->room;
}

static bool gather(struct looking *l, heap_map_each *each, void *from)
{
    if (l->nmet > l->met_room) {
        return each(from, gather_one, l);
    }
    for (size_t i = 0; i < l->nmet; i++) {
        gather_one(l, l->met[i].address, l->met[i].size, l->met[i].site);
    }
    return true;
}

static int by_waste(const void *a, const void *b)
{
    const struct heap_map_pin *x = a, *y = b;
    int64_t one = (int64_t)(x->charged - x->used), other = (int64_t)(y->charged - y->used);
    return one != other ? (one < other ? 1 : -1) : (x->site > y->site) - (x->site < y->site);
}

static bool finish(struct looking *l)
{
    struct heap_map_look *out = l->out;
    end_page(l);
    end_row(l);
    for (; l->extent < l->map->extent + l->map->extents; l->extent++) {
        note_hole(l, l->behind ? l->behind : l->extent->from, l->extent->to);
        l->behind = 0;
    }
    out->pin = malloc((l->holders + 1) * sizeof *out->pin);
    for (size_t i = 0; out->pin && i < l->holders; i++) {
        out->pin[out->pins++] = l->holder[i].pin;
    }
    if (out->pins) {
        qsort(out->pin, out->pins, sizeof *out->pin, by_waste);
    }
    return out->pin && !l->failed;
}

bool heap_map_look(const struct heap_map *map, heap_map_each *each, void *from, struct heap_map_look *out)
{
    struct looking l = {
        .map = map, .out = out, .page = {.number = NONE}, .row = {.number = NONE}, .extent = map->extent};
    *out = (struct heap_map_look){0};
    cut_rows(&l);
    l.met = map->blocks <= AT_HAND ? malloc((size_t)map->blocks * sizeof *l.met + 1) : NULL;
    l.met_room = l.met ? (size_t)map->blocks : 0;
    bool done = l.begin && each(from, count_one, &l);
    for (; done && l.first < map->rows; l.first = l.end) {
        done = choose_window(&l) && gather(&l, each, from);
        if (done) {
            take_window(&l);
        }
    }
    done = done && finish(&l);
    free(l.begin);
    free(l.window);
    free(l.met);
    free(l.holder);
    free(l.index);
    free(l.page.holder);
    free(l.row.holder);
    return done;
}

void heap_map_look_end(struct heap_map_look *look)
{
    free(look->pin);
    free(look->owner);
    *look = (struct heap_map_look){0};
}
