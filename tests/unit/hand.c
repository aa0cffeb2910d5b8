/* unit/hand.c - slots that are taken at random by a hand: each as likely as the others. */
#include "common/unit.h"

#include <string.h>

#include "common/random.h"
#include "os/memory.h"
#include "slab/slab.h"

enum { ID = 77, ROUNDS = 4000, SLOTS = 64 };

/* Takes one slot of many slabs with so many bytes a slot and a window: how often it is which, in ROUNDS, no less than half of what
 * chance gives each of `slots` and no more than twice. */
static void first_is_any(size_t stride, unsigned window, unsigned slots)
{
    unsigned count[SLOTS] = {0};
    struct random random = {1};
    struct hand hand = {0};
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct unit *unit = unit_take(UNIT_SOME);
        slab_init(unit, ID, stride, 1);
        struct slab *s = (struct slab *)unit;
        slab_arm(s, TRIP_NEVER);
        hand = (struct hand){.random = (uint8_t)random_below(&random, 256)};
        assert_true(slab_take_hand(s, &hand, window, 0) >= 0);
        assert_int_equal(count_bits(*hand.word & hand.allowed), slots);
        char *p = slab_take_by_hand(&hand, *hand.word & hand.allowed, (uint8_t)random_below(&random, 256));
        unsigned slot = slab_index(s, p);
        assert_in_range(slot, 0, slots - 1);
        assert_false(slab_is_free(s, slot));
        count[slot]++;
        slab_free_by_hand(s, slot);
        slab_sync(s);
        slab_check(s);
        slab_done(s);
        unit_give(unit);
    }
    for (unsigned i = 0; i < slots; i++) {
        assert_in_range(count[i], ROUNDS / slots / 2, ROUNDS / slots * 2);
    }
}

static void of_fresh_ones_any_is_first(void **state)
{
    (void)state;
    first_is_any(16, 64, 64);
    first_is_any(80, 51, 51);
    first_is_any(1024, 4, 4);
    first_is_any(4096, 64, 16);
    first_is_any(4096 + 256, 64, 15);
    first_is_any(32768, 64, 2);
}

/* All of a slab are taken, each once; and come again when they have been freed. */
static void all_are_taken_once(void **state)
{
    (void)state;
    struct random random = {3};
    for (size_t stride = 16; stride <= 32768; stride = align_up(stride * 3 / 2, 16)) {
        struct unit *unit = unit_take(UNIT_SOME);
        slab_init(unit, ID, stride, 1);
        struct slab *s = (struct slab *)unit;
        struct hand hand = {0};
        for (unsigned round = 0; round < 3; round++) {
            uint64_t taken[BITMAP_WORDS] = {0};
            slab_arm(s, TRIP_NEVER);
            while (slab_sync(s),
                   slab_take_hand(s, &hand, 64, (uint32_t)random_below(&random, (uint64_t)1 << 32)) >= 0) {
                uint64_t free = *hand.word & hand.allowed;
                while (free) {
                    char *p = slab_take_by_hand(&hand, free, (uint8_t)random_below(&random, 256));
                    assert_true(slab_is_slot(s, p) && !bitmap_test(taken, slab_index(s, p)));
                    bitmap_set(taken, slab_index(s, p));
                    free = *hand.word & hand.allowed;
                    free = free ? free : slab_turn_hand(&hand);
                }
                slab_sync(s);
                slab_check(s);
            }
            assert_int_equal(s->used, slab_nslots(s));
            for (unsigned i = 0; i < slab_nslots(s); i++) {
                slab_free_by_hand(s, i);
            }
            slab_sync(s);
            slab_check(s);
        }
        slab_done(s);
        unit_give(unit);
    }
}

int main(void)
{
    os_memory_init();
    slab_unlinked = true;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_fresh_ones_any_is_first),
        cmocka_unit_test(all_are_taken_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
