/* churn COUNT SLOTS LEAST MOST - a program at its steady state: a working set of SLOTS blocks, one of them replaced at random
 * at a time, COUNT times. With LEAST equal to MOST all blocks have one size. */
#include "row.h"

int main(int argc, char **argv)
{
    uint64_t count = number(argc, argv, 1), state = 1, sum = 0;
    size_t length = number(argc, argv, 2), least = number(argc, argv, 3), most = number(argc, argv, 4);
    void **slots = table(length);
    for (uint64_t i = 0; i < count; i++) {
        void **slot = &slots[below(&state, length)];
        sum += finish(*slot);
        *slot = make(least == most ? least : some_size(&state, least, most));
    }
    print_sum(sum + finish_all(slots, length));
    return 0;
}
