/* survivors-mixed COUNT IDLE - COUNT blocks of many sizes (70 % of 16 to 128 bytes, 25 % to 1 KiB, 5 % to 16 KiB), of which a
 * random 90 % are freed; nothing for IDLE seconds; then 50 bytes for each of COUNT of the same mix again. */
#include "footprint.h"

static size_t mixed_size(uint64_t *state)
{
    size_t kind = below(state, 100);
    return kind < 70 ? 16 + below(state, 113) : kind < 95 ? 129 + below(state, 896) : 1025 + below(state, 15 * 1024);
}

int main(int argc, char **argv)
{
    uint64_t count = number(argc, argv, 1), seconds = number(argc, argv, 2), state = 1, sum = 0;
    size_t refill = count * 50, live = 0, more = 0;
    void **block = own_table(count * sizeof *block), **again = own_table(count * sizeof *again);
    footprint_begin();
    for (size_t i = 0; i < count; i++)
        block[i] = make(mixed_size(&state));
    double peak = footprint();
    shuffle(block, count, &state);
    size_t stays = count / 10;
    for (size_t i = stays; i < count; i++)
        sum += finish(block[i]);
    for (size_t i = 0; i < stays; i++)
        live += *(uint64_t *)block[i];
    double freed = footprint();
    idle(seconds);
    double rests = footprint();
    size_t refilled = live;
    for (; refilled < live + refill && more < count; more++) {
        again[more] = make(mixed_size(&state));
        refilled += *(uint64_t *)again[more];
    }
    figure("peak,_MiB", peak / MIB);
    figure("live,_MiB", (double)live / MIB);
    figure("when_freed,_over_live", freed / (double)live);
    figure("after_idle,_over_live", rests / (double)live);
    figure("refilled,_over_live", footprint() / (double)refilled);
    for (size_t i = 0; i < stays; i++)
        sum += finish(block[i]);
    for (size_t i = 0; i < more; i++)
        sum += finish(again[i]);
    print_sum(sum);
    return 0;
}
