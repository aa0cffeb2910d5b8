/* profile/heap_map.h - the heap by address: what of it blocks held, how full, when; and whose blocks keep pages that are nearly empty.
 *
 *   addresses   ...|####|....gap....|##|......gap......|######|...   extents: what ever held a block (heap_map_see), gaps folded away
 *   rows           | 0| 1|          | 2|               | 3| 4|5|     equal pieces of whole pages; each extent begins a row
 *   columns        a byte for each row: how full it was when heap_map_column was called
 *
 * Made in two goes over the same events: the first tells where blocks ever lie, then rows are cut, the second what lies there when.
 *     heap_map_begin, heap_map_see ..., heap_map_fold, { heap_map_take | heap_map_give | heap_map_column | heap_map_look } ..., heap_map_end
 * Who has a block list instead (a snapshot, a core) calls heap_map_see and then heap_map_take for each block, and has one column. Several
 * processes are as many maps, whose rows and pages are equally large (heap_map_fold_alike): another has other memory at the same addresses.
 *
 *   rows   |  part + whole  |...         bytes of blocks in each: `part` of those that begin or end in it; those that lie over rows wholly
 *                                        stand in `whole` as a difference between neighbours, so that a block costs the same however large
 *   pages  |  partial       |...         bytes of blocks that have some of the page; one that is within a block has no other and no hole: it
 *                                        is only counted
 *
 * Pages: held while a block has a byte in it. At any time: held * page_bytes = used + holes.
 * Pins: a held page is charged to those who have blocks in it, by their share of its used bytes. So the charges of all sites are held *
 * page_bytes, and a site that keeps many nearly empty pages has a charge far above what it uses.
 *
 * Bound: 8192 extents (nearer ones become one beyond that), rows * columns bytes, 4 bytes a page for 16 Mi pages (beyond that two pages count
 * as one, and so on: page_bytes says so), of all maps that are folded alike together; a look sorts 1 Mi blocks at a time, 24 MB, and asks for the
 * blocks as often as that takes. Taking or giving a block costs two rows and two pages.
 *
 * Blocks that overlap are no program's, but may be a broken trace's: then `held` and `used` count both, and a look the lower one's bytes.
 *
 * Not for concurrent use.
 */
#ifndef ALLOT_PROFILE_HEAP_MAP_H
#define ALLOT_PROFILE_HEAP_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_MAP_ROWS_MOST 65536
#define HEAP_MAP_OWNERS    4 /* sites of a row that are told, most bytes first */

/* As a column has it. */
enum { HEAP_MAP_NEVER = 0, HEAP_MAP_EMPTY = 1, HEAP_MAP_LEAST = 2, HEAP_MAP_FULL = 255 };

struct heap_map_extent {
    uint64_t from, to; /* of whole pages */
    uint32_t row;      /* the first; */
    uint32_t rows;     /* the last may reach beyond `to` */
    uint64_t page;     /* index of the first */
};

struct heap_map {
    uint64_t page_bytes, row_bytes;
    uint32_t rows_most, rows, columns_most, columns;
    struct heap_map_extent *extent; /* by address */
    size_t extents, extent_room;

    /* Who wants others sets them before the first block is seen. */
    size_t extents_most;
    uint64_t gap; /* extents less than that apart are one */
    uint64_t pages_most;
    bool doubling; /* rows are powers of two of pages */

    uint8_t *occupancy;    /* of row r in column c: [r * columns_most + c] */
    int64_t *part, *whole; /* bytes, now; `whole` one more than rows */
    int64_t *ever;         /* as `whole`: how many blocks ever came to a row, so that 0 is never */
    uint32_t *partial;     /* of a page the bytes of blocks that do not have all of it */
    uint64_t pages;        /* of all extents */
    uint64_t blocks, used, held;
    size_t last; /* the extent of the last look-up */
};

/* NULL: out of memory. `page`: bytes, a power of two. */
struct heap_map *heap_map_begin(uint64_t page, uint32_t rows_most);
void heap_map_end(struct heap_map *map);

/* A block lies there some time. Blocks of 0 bytes count as 1. False: out of memory. */
bool heap_map_see(struct heap_map *map, uint64_t address, uint64_t size);
/* Bytes of all extents. */
uint64_t heap_map_bytes(const struct heap_map *map);
/* All have been seen. False: out of memory. */
bool heap_map_fold(struct heap_map *map, uint32_t columns_most);
/* Several, each as the first one wants it, but for bounds, which are of all together. */
bool heap_map_fold_alike(struct heap_map *const *map, size_t maps, uint32_t columns_most);

/* A block begins, or ends: one that was seen; what lies elsewhere is passed over. */
void heap_map_take(struct heap_map *map, uint64_t address, uint64_t size);
void heap_map_give(struct heap_map *map, uint64_t address, uint64_t size);
/* All of them are gone: the process has ended, or become another program. */
void heap_map_clear(struct heap_map *map);
/* One column more, of now. Beyond columns_most there is none. */
void heap_map_column(struct heap_map *map);

static inline uint64_t heap_map_holes(const struct heap_map *map) { return map->held * map->page_bytes - map->used; }
/* Share of a row's bytes in use, as a column has it. */
uint8_t heap_map_level(uint64_t used, uint64_t row_bytes);
/* Bytes of a row in use, now. */
uint64_t heap_map_row_used(const struct heap_map *map, uint32_t row);
/* Where a row begins. */
uint64_t heap_map_address(const struct heap_map *map, uint32_t row);
/* The row of an address; UINT32_MAX: it lies in no extent. */
uint32_t heap_map_row(const struct heap_map *map, uint64_t address);
/* And how many bytes behind the row's beginning. */
uint32_t heap_map_place(const struct heap_map *map, uint64_t address, uint64_t *behind);

/* -- a look at all that lives: who holds what -- */

struct heap_map_pin {
    uint32_t site;
    uint64_t pages; /* that it has a byte in */
    uint64_t alone; /* of these such as nobody else has */
    uint64_t blocks;
    uint64_t used;    /* its bytes */
    uint64_t charged; /* bytes of pages that it is charged with */
};

struct heap_map_owner {
    uint32_t row, site;
    uint64_t bytes;
};

struct heap_map_look {
    struct heap_map_pin *pin; /* by charged - used, most first */
    size_t pins;
    struct heap_map_owner *owner; /* by row, and in it most bytes first, HEAP_MAP_OWNERS of each */
    size_t owners;
    uint64_t held, used;   /* pages and bytes, as of the map when this is all that lives */
    uint64_t largest_hole; /* bytes between two blocks, or a block and the end of its extent */
    uint64_t hole_at;
    uint64_t longest_run; /* bytes of pages without a block between two with */
};

/* Calls `visit` for each live block, in any order but always the same; may be asked several times. False when visit said so, or for a
 * reason of its own. */
typedef bool heap_map_visit(void *to, uint64_t address, uint64_t size, uint32_t site);
typedef bool heap_map_each(void *from, heap_map_visit *visit, void *to);

/* False: out of memory, or `each` failed. Ended by heap_map_look_end in any case. */
bool heap_map_look(const struct heap_map *map, heap_map_each *each, void *from, struct heap_map_look *out);
void heap_map_look_end(struct heap_map_look *look);

#endif
