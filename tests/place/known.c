/* known.c - what others who place ranges have got wrong, and their users have reported: done here, by every rule. */
#include "../common/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <allot/region.h>

#include "../common/random.h"

enum { FITS = ALLOT_BUDDY + 1 };

/* Any rule but BUDDY, which rounds up to powers of two by design. */
#define EACH_EXACT_FIT(fit) for (enum allot_fit fit = ALLOT_FIRST; fit < ALLOT_BUDDY; fit++)

static struct allot_region made(enum allot_fit fit, uint64_t base, uint64_t size)
{
    struct allot_region region;
    assert_int_equal(allot_region_init(&region, base, size, &(struct allot_region_opts){.fit = fit}), 0);
    return region;
}

static struct allot_range taken(struct allot_region *region, uint64_t size)
{
    struct allot_range range;
    assert_int_equal(allot_region_take(region, size, 0, &range), 0);
    assert_true(range.size >= size);
    return range;
}

static uint64_t largest(struct allot_region *region)
{
    struct allot_region_stats stats;
    allot_region_stats(region, &stats);
    return stats.largest;
}

/* OffsetAllocator: made for two allocations, it refuses the second one, as one node is the free rest and another is never used. */
static void room_for_n_ranges_holds_n(void **state)
{
    (void)state;
    static _Alignas(64) char memory[1 << 20];
    static struct allot_range range[200];
    for (int fit = 0; fit < FITS; fit++) {
        for (uint64_t n = 1; n <= 200; n = n < 4 ? n + 1 : n * 7) {
            struct allot_region_opts opts = {.fit = (enum allot_fit)fit, .memory = memory};
            opts.memory_size = allot_region_memory(n, 36864, &opts);
            assert_in_range(opts.memory_size, 1, sizeof memory);
            struct allot_region region;
            assert_int_equal(allot_region_init(&region, 0, 36864, &opts), 0);
            for (int round = 0; round < 3; round++) {
                for (uint64_t i = 0; i < n; i++) {
                    range[i] = taken(&region, 32);
                }
                /* And again, with a hole on either side of as many as can be. */
                for (uint64_t i = round % 2; i < n; i += 2) {
                    allot_region_give(&region, &range[i]);
                }
                for (uint64_t i = round % 2; i < n; i += 2) {
                    range[i] = taken(&region, 20);
                }
                allot_region_check(&region);
                for (uint64_t i = 0; i < n; i++) {
                    allot_region_give(&region, &range[i]);
                }
            }
            /* More are refused in the end, for want of records, and nothing is harmed. */
            struct allot_range more;
            uint64_t extra = 0;
            int failed = 0;
            while ((failed = allot_region_take(&region, 1, 0, &more)) == 0) {
                extra++;
            }
            assert_int_equal(failed, -ENOMEM);
            assert_true(extra >= n);
            allot_region_check(&region);
            allot_region_reset(&region);
            taken(&region, 32);
            allot_region_done(&region);
        }
    }
}

/* OffsetAllocator: 664908 of 699050 is out of space, for the request is rounded up a bin and the hole down; likewise 67 behind 255 of
 * 324, and 513 of 513. */
static void what_fits_is_not_refused(void **state)
{
    (void)state;
    static const struct {
        uint64_t size, first, second;
    } cases[] = {{699050, 664908, 34142}, {256 + 68, 255, 67}, {513, 513, 0}, {36864, 36863, 1}};
    EACH_EXACT_FIT(fit)
    {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct allot_region region = made(fit, 0, cases[i].size);
            struct allot_range first = taken(&region, cases[i].first), second = {0};
            assert_int_equal(first.at, 0);
            if (cases[i].second) {
                second = taken(&region, cases[i].second);
                assert_true(second.at >= cases[i].first || second.at + second.size <= first.at);
            }
            allot_region_check(&region);
            allot_region_done(&region);
        }
    }
}

/* rlsf, pcwalton's offset-allocator: what is reported as the largest free block cannot be allocated. */
static void the_largest_can_be_taken(void **state)
{
    (void)state;
    static struct allot_range range[3000];
    struct random random = {77};
    for (int fit = 0; fit < FITS; fit++) {
        struct allot_region region = made((enum allot_fit)fit, 0, 2097152);
        assert_int_equal(largest(&region), 2097152);
        struct allot_range all = taken(&region, 2097152);
        assert_int_equal(largest(&region), 0);
        allot_region_give(&region, &all);
        unsigned count = 0;
        for (int step = 0; step < 20000; step++) {
            if (count < 3000 && random_below(&random, 100) < 55) {
                if (allot_region_take(&region, 1 + random_below(&random, 4000), 0, &range[count]) == 0) {
                    count++;
                }
            } else if (count) {
                unsigned i = (unsigned)random_below(&random, count);
                allot_region_give(&region, &range[i]);
                range[i] = range[--count];
            }
            if (step % 8 == 0 && largest(&region) > 0) {
                struct allot_range it = taken(&region, largest(&region));
                allot_region_give(&region, &it);
            }
        }
        allot_region_check(&region);
        allot_region_done(&region);
    }
}

/* espressif's tlsf, tlsf-bsd: a block is freed between neighbours, and the same size does not fit into it again. */
static void what_was_given_back_can_be_taken_again(void **state)
{
    (void)state;
    for (int fit = 0; fit < FITS; fit++) {
        for (uint64_t size = 1; size < 60000; size += size / 9 + 1) {
            struct allot_region region = made((enum allot_fit)fit, 0, 1 << 17);
            struct allot_range first = taken(&region, size), rest;
            /* All the rest is taken, piece by piece where the rule has several. */
            while (largest(&region)) {
                rest = taken(&region, largest(&region));
            }
            allot_region_give(&region, &first);
            struct allot_range again = taken(&region, size);
            assert_int_equal(again.at, first.at);
            assert_int_equal(allot_region_take(&region, 1, 0, &rest), -ENOSPC);
            allot_region_check(&region);
            allot_region_done(&region);
        }
    }
}

/* mattconte's tlsf: a pool of exactly the longest block there can be crashes, eight bytes more or fewer do not; and a request of nearly
 * 2^64 wraps around to a few bytes. */
static void edges_of_sizes(void **state)
{
    (void)state;
    static const uint64_t units[] = {1, 8, 16, 256};
    for (int fit = 0; fit < FITS; fit++) {
        for (unsigned bits = 4; bits <= 62; bits++) {
            for (int more = -17; more <= 17; more++) {
                uint64_t size = ((uint64_t)1 << bits) + (uint64_t)more, unit = units[(bits + (unsigned)more) % 4];
                struct allot_region_opts opts = {.fit = (enum allot_fit)fit, .unit = unit};
                struct allot_region region;
                struct allot_range range;
                if (size > (uint64_t)1 << 63 || size < unit) {
                    continue;
                }
                assert_int_equal(allot_region_init(&region, 0, size, &opts), 0);
                uint64_t all = largest(&region);
                assert_true(fit == ALLOT_BUDDY ? 2 * all + unit > size : all == size / unit * unit);
                for (uint64_t huge = 0; huge < 20; huge++) {
                    assert_int_equal(allot_region_take(&region, UINT64_MAX - huge, 0, &range), -ENOSPC);
                }
                assert_int_equal(allot_region_take(&region, all + 1, 0, &range), -ENOSPC);
                range = taken(&region, all);
                assert_int_equal(allot_region_resize(&region, &range, UINT64_MAX), -ENOSPC);
                assert_int_equal(allot_region_resize(&region, &range, all), 0);
                allot_region_give(&region, &range);
                allot_region_check(&region);
                allot_region_done(&region);
            }
        }
    }
}

/* mattconte's tlsf: realloc of an aligned block moves it to where it is not aligned. A region resizes in place or not at all. */
static void a_resize_keeps_the_alignment(void **state)
{
    (void)state;
    for (int fit = 0; fit < FITS; fit++) {
        for (uint64_t align = 2; align <= 4096; align *= 2) {
            struct allot_region region = made((enum allot_fit)fit, 0, 1 << 16);
            struct allot_range odd, range, wall, was;
            assert_int_equal(allot_region_claim(&region, 0, 1, &odd), 0);
            assert_int_equal(allot_region_take(&region, 100, align, &range), 0);
            assert_int_equal(range.at % align, 0);
            uint64_t at = range.at;
            bool walled = allot_region_claim(&region, range.at + range.size, 1, &wall) == 0;
            was = range;
            if (walled) {
                assert_int_equal(allot_region_resize(&region, &range, 1000), -ENOSPC);
                assert_memory_equal(&range, &was, sizeof range);
                allot_region_give(&region, &wall);
            }
            int failed = allot_region_resize(&region, &range, 1000);
            assert_true(failed == 0 || failed == -ENOSPC);
            assert_int_equal(range.at, at);
            assert_int_equal(range.at % align, 0);
            /* Elsewhere, then: the alignment is asked for again. */
            assert_int_equal(allot_region_take(&region, 1000, align, &was), 0);
            assert_int_equal(was.at % align, 0);
            allot_region_check(&region);
            allot_region_done(&region);
        }
    }
}

/* RMM: a pool of 256 that may grow to 1024 cannot give 1024, for what it grows by is apart from what it had. */
static void what_is_added_beside_is_one_with_it(void **state)
{
    (void)state;
    for (int fit = 0; fit < FITS; fit++) {
        for (int before = 0; before < 2; before++) {
            struct allot_region region = made((enum allot_fit)fit, before ? 768 : 0, 256);
            assert_int_equal(allot_region_add(&region, before ? 0 : 256, 768), 0);
            assert_int_equal(largest(&region), 1024);
            struct allot_range range = taken(&region, 1024);
            assert_int_equal(range.at, 0);
            allot_region_check(&region);
            allot_region_done(&region);
        }
    }
}

/* Our own: best fit put each piece at the very end of a range that grew as it had to, and left what was before it. */
static void a_range_that_grows_has_no_gaps(void **state)
{
    (void)state;
    enum { STEP = 4096, PIECE = STEP + 16, PIECES = 200 };
    EACH_EXACT_FIT(fit)
    {
        struct allot_region region = made(fit, 0, 0);
        uint64_t end = 0;
        struct allot_range range;
        for (uint64_t i = 0; i < PIECES; i++) {
            while (allot_region_take(&region, PIECE, 0, &range) != 0) {
                assert_int_equal(allot_region_add(&region, end, STEP), 0);
                end += STEP;
            }
        }
        assert_int_equal(end, (PIECES * PIECE + STEP - 1) / STEP * STEP);
        assert_true(allot_region_check(&region));
        allot_region_done(&region);
    }
}

/* Umpire: giving back and merging call each other for ever. Here all that is given back, in any order, is one hole in the end, and with a
 * threshold whatever was left unmerged is merged before a request fails. */
static void merging_ends(void **state)
{
    (void)state;
    enum { RANGES = 512 };
    static struct allot_range range[RANGES];
    struct random random = {5};
    for (int fit = 0; fit < FITS; fit++) {
        for (uint64_t threshold = 0; threshold < (fit == ALLOT_BUDDY ? 9 : 1); threshold++) {
            struct allot_region region;
            struct allot_region_opts opts = {.fit = (enum allot_fit)fit, .threshold = threshold};
            assert_int_equal(allot_region_init(&region, 0, RANGES * 64, &opts), 0);
            for (int i = 0; i < RANGES; i++) {
                range[i] = taken(&region, 64);
            }
            assert_int_equal(largest(&region), 0);
            for (int left = RANGES; left > 0; left--) {
                uint64_t i = random_below(&random, (uint64_t)left);
                allot_region_give(&region, &range[i]);
                range[i] = range[left - 1];
            }
            allot_region_check(&region);
            struct allot_region_stats stats;
            allot_region_stats(&region, &stats);
            assert_true(stats.use.used == 0 && stats.use.count == 0);
            assert_true(threshold || stats.holes == 1);
            struct allot_range all = taken(&region, RANGES * 64);
            allot_region_give(&region, &all);
            allot_region_done(&region);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_for_n_ranges_holds_n),
        cmocka_unit_test(what_fits_is_not_refused),
        cmocka_unit_test(the_largest_can_be_taken),
        cmocka_unit_test(what_was_given_back_can_be_taken_again),
        cmocka_unit_test(edges_of_sizes),
        cmocka_unit_test(a_resize_keeps_the_alignment),
        cmocka_unit_test(what_is_added_beside_is_one_with_it),
        cmocka_unit_test(a_range_that_grows_has_no_gaps),
        cmocka_unit_test(merging_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
