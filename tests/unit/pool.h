/* pool.h - what the tests of pools share: each mode, and a pool that is begun. */
#ifndef UNIT_POOL_H
#define UNIT_POOL_H

#include "common/unit.h"

#include <allot/malloc.h>
#include <allot/pool.h>

#include "common/child.h"

static const enum allot_pool_mode modes[] = {ALLOT_POOL_PRIVATE, ALLOT_POOL_LOCKED, ALLOT_POOL_LOCAL};
#define EACH_MODE(mode) for (enum allot_pool_mode m_ = 0, mode = modes[0]; m_ < 3; m_++, mode = modes[m_ % 3])

static inline void init(struct allot_pool *pool, size_t size, size_t align, enum allot_pool_mode mode)
{
    struct allot_pool_opts opts = {.name = "tried", .align = align, .mode = mode};
    assert_int_equal(allot_pool_init(pool, size, &opts), 0);
}

#endif
