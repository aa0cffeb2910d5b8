/* survivors SCALE IDLE - a spike of requests of which one in 20 objects stays, in random places: 150 000 blocks of 512 bytes,
 * 100 000 of 1 KiB, 50 000 of 2 KiB, times SCALE over 100; then nothing for IDLE seconds. */
#include "footprint.h"

int main(int argc, char **argv)
{
    uint64_t scale = number(argc, argv, 1), seconds = number(argc, argv, 2), state = 1, sum = 0;
    size_t count = 3000 * scale, live = 0;
    void **block = own_table(count * sizeof *block);
    footprint_begin();
    for (size_t i = 0; i < count; i++) {
        size_t kind = below(&state, 6);
        block[i] = make(kind < 3 ? 512 : kind < 5 ? 1024 : 2048);
    }
    double peak = footprint();
    shuffle(block, count, &state);
    size_t stays = count / 20;
    for (size_t i = 0; i < stays; i++)
        live += *(uint64_t *)block[i];
    for (size_t i = stays; i < count; i++)
        sum += finish(block[i]);
    double freed = footprint();
    idle(seconds);
    double rests = footprint();
    figure("peak,_MiB", peak / MIB);
    figure("live_at_the_end,_MiB", (double)live / MIB);
    figure("when_freed,_of_the_peak", freed / peak);
    figure("after_idle,_of_the_peak", rests / peak);
    for (size_t i = 0; i < stays; i++)
        sum += finish(block[i]);
    print_sum(sum);
    return 0;
}
