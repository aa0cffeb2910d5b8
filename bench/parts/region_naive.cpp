/* region_naive.cpp - exact best fit as one writes it in an afternoon: the holes in two trees, by size and by address. */
#include "region.h"

#include <iterator>
#include <map>
#include <set>
#include <utility>

namespace
{
struct Naive {
    std::set<std::pair<uint64_t, uint64_t>> by_size; /* (size, at) */
    std::map<uint64_t, uint64_t> by_address;         /* at -> size */

    void add(uint64_t at, uint64_t size)
    {
        by_size.emplace(size, at);
        by_address.emplace(at, size);
    }

    void remove(std::map<uint64_t, uint64_t>::iterator hole)
    {
        by_size.erase({hole->second, hole->first});
        by_address.erase(hole);
    }
};

void *open(uint64_t size, uint64_t, int)
{
    auto *self = new Naive;
    self->add(0, size);
    return self;
}

/* The low end of the tightest hole; of the last one, where several are as tight. */
bool take(void *of, struct held *held)
{
    auto *self = static_cast<Naive *>(of);
    auto found = self->by_size.lower_bound({held->size, 0});
    if (found == self->by_size.end())
        return false;
    found = std::prev(self->by_size.lower_bound({found->first + 1, 0}));
    auto [size, at] = *found;
    self->by_size.erase(found);
    self->by_address.erase(at);
    if (size > held->size)
        self->add(at + held->size, size - held->size);
    held->handle[0] = at;
    return true;
}

void give(void *of, struct held *held)
{
    auto *self = static_cast<Naive *>(of);
    uint64_t at = held->handle[0], size = held->size;
    auto after = self->by_address.lower_bound(at);
    if (after != self->by_address.end() && after->first == at + size) {
        size += after->second;
        self->remove(after++);
    }
    if (after != self->by_address.begin()) {
        auto before = std::prev(after);
        if (before->first + before->second == at) {
            at = before->first;
            size += before->second;
            self->remove(before);
        }
    }
    self->add(at, size);
}

void close(void *of) { delete static_cast<Naive *>(of); }
} // namespace

const struct engine naive_engine = {open, take, give, close};
