/* large COUNT SLOTS - frames, matrices, files read whole: SLOTS blocks of 5 to 25 MiB, one of them replaced at random at a time,
 * COUNT times; every page of each is written. */
#include "row.h"

int main(int argc, char **argv)
{
    uint64_t count = number(argc, argv, 1), state = 4, sum = 0;
    size_t length = number(argc, argv, 2);
    void **slots = table(length);
    for (uint64_t i = 0; i < count; i++) {
        void **slot = &slots[below(&state, length)];
        sum += finish(*slot);
        *slot = make(((size_t)5 << 20) + below(&state, (size_t)20 << 20));
    }
    print_sum(sum + finish_all(slots, length));
    return 0;
}
