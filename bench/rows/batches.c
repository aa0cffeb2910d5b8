/* batches COUNT lifo|fifo LENGTH LEAST MOST - a program that works through one thing after another: LENGTH blocks are made,
 * and freed in reverse or in the same order, COUNT times. */
#include "row.h"

int main(int argc, char **argv)
{
    uint64_t count = number(argc, argv, 1), state = 2, sum = 0;
    size_t length = number(argc, argv, 3), least = number(argc, argv, 4), most = number(argc, argv, 5);
    int reverse = strcmp(argv[2], "lifo") == 0;
    void **batch = table(length);
    for (uint64_t i = 0; i < count; i++) {
        for (size_t b = 0; b < length; b++)
            batch[b] = make(some_size(&state, least, most));
        for (size_t b = 0; b < length; b++)
            sum += finish(batch[reverse ? length - 1 - b : b]);
    }
    free(batch);
    print_sum(sum);
    return 0;
}
