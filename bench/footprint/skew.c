/* skew MIB SIZE - a program with one kind of object above all: blocks of an odd SIZE are 60 % of MIB live, other sizes the
 * rest. */
#include "footprint.h"

int main(int argc, char **argv)
{
    uint64_t bytes = number(argc, argv, 1) * MIB, state = 1, sum = 0;
    size_t odd = number(argc, argv, 2), live = 0, live_odd = 0, count = 0, most = bytes / 64;
    void **block = own_table(most * sizeof *block);
    footprint_begin();
    while (live < bytes && count < most) {
        size_t size = live_odd * 10 < live * 6 + 6 ? odd : some_size(&state, 16, 4096);
        block[count++] = make(size);
        live += size;
        live_odd += size == odd ? size : 0;
    }
    figure("waste,_%", 100 * (footprint() / (double)live - 1));
    for (size_t i = 0; i < count; i++)
        sum += finish(block[i]);
    print_sum(sum);
    return 0;
}
