/* zeroed COUNT SLOTS MOST - tables and objects that begin as zeros: churn by calloc, every line checked to be zero before it is
 * written; one block in a thousand is of a megabyte, where a fresh mapping needs no clearing. */
#include "row.h"

static void *zeroed(size_t size)
{
    char *block = calloc(size / 8, 8);
    for (size_t at = 0; block && at < size / 8 * 8; at += stride(size))
        if (block[at] != 0)
            fail("calloc gave a block that is not zero");
    return written(block, size / 8 * 8);
}

int main(int argc, char **argv)
{
    uint64_t count = number(argc, argv, 1), state = 7, sum = 0;
    size_t length = number(argc, argv, 2), most = number(argc, argv, 3);
    void **slots = table(length);
    for (uint64_t i = 0; i < count; i++) {
        void **slot = &slots[below(&state, length)];
        sum += finish(*slot);
        *slot = zeroed(i % 1000 == 999 ? (size_t)1 << 20 : some_size(&state, 16, most));
    }
    print_sum(sum + finish_all(slots, length));
    return 0;
}
