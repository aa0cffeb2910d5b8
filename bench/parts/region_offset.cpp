/* region_offset.cpp - OffsetAllocator, which counts in units and in 32 bits. */
#include <offsetAllocator.hpp>

#include "region.h"

namespace
{
struct Offset {
    OffsetAllocator::Allocator allocator;
    uint64_t unit;
};

void *open(uint64_t size, uint64_t unit, int) { return new Offset{{uint32_t(size / unit), 128 * 1024}, unit}; }

bool take(void *of, struct held *held)
{
    auto *self = static_cast<Offset *>(of);
    auto made = self->allocator.allocate(uint32_t(held->size / self->unit));
    held->handle[0] = made.offset;
    held->handle[1] = made.metadata;
    return made.offset != OffsetAllocator::Allocation::NO_SPACE;
}

void give(void *of, struct held *held)
{
    static_cast<Offset *>(of)->allocator.free({uint32_t(held->handle[0]), uint32_t(held->handle[1])});
}

void close(void *of) { delete static_cast<Offset *>(of); }
} // namespace

const struct engine offset_engine = {open, take, give, close};
