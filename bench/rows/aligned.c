/* aligned COUNT SLOTS MOST - vectors for SIMD, cache lines, pages for I/O: churn in which half the blocks ask for an alignment of
 * 16 to 4096 bytes, small ones more often. No size is a multiple of its alignment: Debian 12's mimalloc misaligns some such
 * blocks of 512 and 1024 bytes. */
#include "row.h"

static void *aligned(uint64_t *state, size_t size)
{
    void *block = NULL;
    size_t alignment = (size_t)16 << below(state, 1 + below(state, 9));
    if (posix_memalign(&block, alignment, size) != 0)
        fail("out of memory");
    if ((uintptr_t)block % alignment != 0)
        fail("a block is not aligned");
    return written(block, size);
}

int main(int argc, char **argv)
{
    uint64_t count = number(argc, argv, 1), state = 6, sum = 0;
    size_t length = number(argc, argv, 2), most = number(argc, argv, 3);
    void **slots = table(length);
    for (uint64_t i = 0; i < count; i++) {
        void **slot = &slots[below(&state, length)];
        sum += finish(*slot);
        size_t size = some_size(&state, 16, most) | 8;
        *slot = i % 2 ? aligned(&state, size) : make(size);
    }
    print_sum(sum + finish_all(slots, length));
    return 0;
}
