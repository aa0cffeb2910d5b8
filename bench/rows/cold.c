/* cold MIB LEAST MOST - a program that reads in all its data, uses it and drops it: MIB of many sizes from a cold heap, freed in
 * random order. */
#include "row.h"

int main(int argc, char **argv)
{
    uint64_t bytes = number(argc, argv, 1) << 20, state = 3, sum = 0;
    size_t least = number(argc, argv, 2), most = number(argc, argv, 3);
    size_t length = bytes / least, count = 0;
    void **blocks = table(length);
    for (uint64_t made = 0; made < bytes; count++) {
        size_t size = some_size(&state, least, most);
        blocks[count] = make(size);
        made += size;
    }
    for (size_t left = count; left > 0; left--) {
        size_t at = below(&state, left);
        sum += finish(blocks[at]);
        blocks[at] = blocks[left - 1];
    }
    free(blocks);
    print_sum(sum);
    return 0;
}
