/* snap/read.h - the heap's own structs, read through an image; what cannot be read is counted, and passed over. */
#ifndef SNAP_READ_H
#define SNAP_READ_H

#include "graph/image.h"
#include "heap/describe.h"
#include "snap/walk.h"

/* More of each there cannot be: a list that is longer goes round in circles. */
#define SEGMENTS_MOST ((size_t)1 << 26)
#define LARGE_MOST    ((size_t)1 << 26)
#define HEAPS_MOST    ((size_t)1 << 23)
#define FRONTS_MOST   ((size_t)1 << 22)
#define OWNED_MOST    ((size_t)1 << 22)

struct reader {
    const struct image *image;
    const struct core_desc *desc;
    uint32_t epoch;
    bool sealed;
    uint64_t secret[2];
    size_t missing;
};

enum snap_trouble reader_begin(struct reader *r, const struct image *image, uintptr_t desc);

/* Where the set of part n is, counted from 0, in its process; NULL: there are no more. */
struct set;
const struct set *snap_part_at(const struct reader *r, uint32_t n);
/* And that of any part, by its id less OWNER_LIMIT. */
struct part;
const struct part *snap_part_by_id(const struct reader *r, uint32_t n);

/* What each copy of the library knows, one after the other: the first when it is given NULL; *n, 0 at first, counts them. */
struct os_known;
const struct os_known *snap_known(const struct reader *r, const struct os_known *before, unsigned *n);

/* NULL as well when it is not aligned where it is read: then it is none of ours, and may not be read as one. */
static inline const void *reader_at(const struct reader *r, const void *at, size_t bytes, size_t align)
{
    const void *here = image_at(r->image, (uintptr_t)at, bytes);
    here = (uintptr_t)here % align ? NULL : here;
    ((struct reader *)(uintptr_t)r)->missing += !here;
    return here;
}

/* What a pointer of the process points to; and one that is of no type there. */
#define READ(r, pointer) \
    ((__typeof__(pointer))reader_at(r, pointer, sizeof *(pointer), _Alignof(__typeof__(*(pointer)))))
#define READ_AT(r, where, type) ((__typeof__(type) const *)reader_at(r, where, sizeof(type), _Alignof(type)))

/* Whether a list comes round to where it was, as a damaged one may: asked of each of its records in turn, found within three rounds.
 * (Brent, "An improved Monte Carlo factorization algorithm", 1980.) */
struct reader_round {
    const void *seen;
    size_t steps, until;
};

static inline bool reader_comes_round(struct reader_round *round, const void *at)
{
    if (at == round->seen) {
        return true;
    }
    if (round->steps++ == round->until) {
        round->seen = at;
        round->until = 2 * round->until + 1;
    }
    return false;
}

/* A flag as the process has it. An image's byte may be anything, which no bool is. */
static inline bool reader_flag(const bool *at) { return *(const unsigned char *)at != 0; }

/* Element n of a table. Counted in numbers: a pointer that an image has may be anything, and go round the end of all addresses. */
#define NTH(table, n)         ((__typeof__(table))((uintptr_t)(table) + (n) * sizeof *(table)))
#define READ_NTH(r, table, n) READ(r, NTH(table, n))

#endif
