/* page/model.c - calls at random (page/calls.h).
 *
 * Usage: model [SEEDS]
 */
#include "common/check.h"
#include "page/calls.h"

int main(int argc, char **argv)
{
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 70 * test_scale();
    size_t failed = 0;
    check_watch_aborts();
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        snprintf(check_run, sizeof check_run, "seed %llu", (unsigned long long)seed);
        failed += calls_play((struct calls_source){.random = seed}, 4000);
    }
    CHECK(failed > 0);
    return 0;
}
