/* movable.h - what the tests of movable heaps share: a heap, its objects by their number, and a heap most of whose objects are gone. */
#ifndef UNIT_MOVABLE_H
#define UNIT_MOVABLE_H

#include "common/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <allot/movable.h>

#include "common/random.h"
#include "move/movable.h"
#include "os/memory.h"

enum { MANY = 60000 };

static struct allot_movable heap;
static allot_ref refs[MANY];
static struct random dice = {1};

static inline void begin(const struct allot_movable_opts *opts)
{
    assert_int_equal(allot_movable_init(&heap, (size_t)1 << 30, opts), 0);
    memset(refs, 0, sizeof refs);
}

static inline void end(void)
{
    allot_movable_check(&heap);
    allot_movable_done(&heap);
}

static inline struct allot_movable_stats stats(void)
{
    struct allot_movable_stats s;
    allot_movable_stats(&heap, &s);
    return s;
}

static inline allot_ref get(size_t size, int value)
{
    allot_ref ref = allot_movable_get(&heap, size);
    assert_int_not_equal(ref.gen, 0);
    memset(allot_movable_at(&heap, ref), value, size);
    return ref;
}

static inline void expect(allot_ref ref, size_t size, int value)
{
    const unsigned char *p = allot_movable_at(&heap, ref);
    assert_int_equal(allot_movable_size(&heap, ref), size);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(p[i], (unsigned char)value);
    }
}

static inline void settle(void)
{
    while (allot_movable_step(&heap, 256 << 10) > 0) {
    }
}

/* Objects of 16 to 512 bytes, and as many go as to leave a quarter. */
static inline void fill_and_thin(void)
{
    for (int i = 0; i < MANY; i++) {
        refs[i] = get(16 + random_below(&dice, 497), i);
    }
    for (int i = 0; i < MANY; i++) {
        if (random_below(&dice, 4)) {
            allot_movable_put(&heap, refs[i]);
            refs[i].gen = 0;
        }
    }
}

static inline void expect_rest(void)
{
    for (int i = 0; i < MANY; i++) {
        if (refs[i].gen) {
            expect(refs[i], allot_movable_size(&heap, refs[i]), i);
        }
    }
}

static inline size_t resident(void)
{
    struct movable *h = heap.state;
    return os_resident(h->area, h->area_size) + os_resident(h->tables, h->tables_size) +
           (h->far_area ? os_resident(h->far_area, h->far_size) : 0);
}

#endif
