/* phases MIB - a program whose sizes change: at most 128 MiB live, replaced at random, in phases of MIB of churn in blocks of
 * one size each; then all is freed. */
#include "footprint.h"

#define CAP (128 * MIB)

int main(int argc, char **argv)
{
    static const size_t size[] = {16, 48, 112, 240, 496, 1008, 2032, 4080, 16};
    uint64_t churn = number(argc, argv, 1) * MIB, state = 1, sum = 0;
    size_t count = 0, live = 0;
    void **block = own_table(CAP / 16 * sizeof *block);
    footprint_begin();
    for (size_t phase = 0; phase < sizeof size / sizeof size[0]; phase++) {
        for (uint64_t made = 0; made < churn; made += size[phase]) {
            while (live + size[phase] > CAP) {
                void **victim = &block[below(&state, count)];
                live -= *(uint64_t *)*victim;
                sum += finish(*victim);
                *victim = block[--count];
            }
            block[count++] = make(size[phase]);
            live += size[phase];
        }
        char name[64];
        snprintf(name, sizeof name, "%zu_of_%zu_bytes,_over_the_cap", phase, size[phase]);
        figure(name, footprint() / CAP);
    }
    for (size_t i = 0; i < count; i++)
        sum += finish(block[i]);
    figure("all_freed,_MiB", footprint() / MIB);
    print_sum(sum);
    return 0;
}
