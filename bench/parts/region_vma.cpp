/* region_vma.cpp - the virtual blocks of VulkanMemoryAllocator. */
#define VMA_IMPLEMENTATION
#define VMA_STATIC_VULKAN_FUNCTIONS  0
#define VMA_DYNAMIC_VULKAN_FUNCTIONS 0
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#include <vk_mem_alloc.h>
#pragma GCC diagnostic pop

#include "region.h"

#include <cstring>

namespace
{
struct Vma {
    VmaVirtualBlock block;
    VmaVirtualAllocationCreateFlags flags;
    uint64_t unit;
};

void *open(uint64_t size, uint64_t unit, int mode)
{
    static const VmaVirtualAllocationCreateFlags flags[] = {0, VMA_VIRTUAL_ALLOCATION_CREATE_STRATEGY_MIN_MEMORY_BIT,
                                                            VMA_VIRTUAL_ALLOCATION_CREATE_STRATEGY_MIN_OFFSET_BIT};
    VmaVirtualBlockCreateInfo info = {};
    info.size = size;
    auto *self = new Vma{nullptr, flags[mode], unit};
    if (vmaCreateVirtualBlock(&info, &self->block) != VK_SUCCESS) {
        delete self;
        return nullptr;
    }
    return self;
}

bool take(void *of, struct held *held)
{
    auto *self = static_cast<Vma *>(of);
    VmaVirtualAllocationCreateInfo info = {};
    info.size = held->size;
    info.alignment = self->unit;
    info.flags = self->flags;
    VmaVirtualAllocation made;
    if (vmaVirtualAllocate(self->block, &info, &made, nullptr) != VK_SUCCESS)
        return false;
    static_assert(sizeof made == sizeof held->handle[0]);
    memcpy(held->handle, &made, sizeof made);
    return true;
}

void give(void *of, struct held *held)
{
    VmaVirtualAllocation made;
    memcpy(&made, held->handle, sizeof made);
    vmaVirtualFree(static_cast<Vma *>(of)->block, made);
}

void close(void *of)
{
    auto *self = static_cast<Vma *>(of);
    vmaClearVirtualBlock(self->block);
    vmaDestroyVirtualBlock(self->block);
    delete self;
}
} // namespace

const struct engine vma_engine = {open, take, give, close};
