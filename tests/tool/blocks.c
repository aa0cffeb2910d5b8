/* tool/blocks.c - live blocks by address are what a plain list says they are, also when most of them are on disk. */
#include "common/unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "profile/blocks.h"
#include "profile/cold.h"

#define PLACES 20000

/* Some lie within eight bytes of others. */
static uint64_t address_of(unsigned place) { return 0x7f0000000000u + (uint64_t)(place / 2) * 48 + place % 2; }

/* Some are larger than a slot can say. */
static uint64_t size_of(uint64_t random) { return random % 16 == 1 ? (random >> 20) : random % 1000; }

/* Blocks come and go at random places of two tables; whatever the budget, a place has what was last put there. */
static void like_a_list(size_t most, unsigned steps, unsigned fullness)
{
    static struct block model[2][PLACES];
    struct blocks_budget budget = {.most = most};
    struct blocks table[2];
    struct random state = {most + steps};
    memset(model, 0, sizeof model);
    blocks_begin(&table[0], &budget);
    blocks_begin(&table[1], &budget);
    for (unsigned i = 0; i < steps; i++) {
        uint64_t random = random_next(&state);
        unsigned which = random % 8 == 0, place = (unsigned)(random >> 8) % PLACES;
        struct block *known = &model[which][place], found = {0};
        if (!known->site && (random >> 40) % 100 < fullness) {
            *known = (struct block){address_of(place), size_of(random), i, 1 + (uint32_t)(random % 77),
                                    (uint32_t)(random % 5)};
            assert_int_equal(blocks_put(&table[which], known, &found), 1);
        } else if (known->site && (random >> 40) % 100 >= fullness) {
            assert_int_equal(blocks_take(&table[which], known->address, &found), 1);
            assert_memory_equal(&found, known, sizeof found);
            known->site = 0;
        } else {
            assert_int_equal(blocks_find(&table[which], address_of(place), &found), known->site != 0);
            assert_true(!known->site || memcmp(&found, known, sizeof found) == 0);
        }
        assert_true(budget.used <= most + 4096 + cold_memory(table[0].cold) + cold_memory(table[1].cold));
    }
    for (unsigned which = 0; which < 2; which++) {
        for (unsigned place = 0; place < PLACES; place++) {
            struct block found;
            assert_int_equal(blocks_take(&table[which], address_of(place), &found), model[which][place].site != 0);
        }
        blocks_end(&table[which]);
    }
    assert_int_equal(budget.used, 0);
    assert_null(budget.first);
}

static void in_memory(void **state)
{
    (void)state;
    like_a_list((size_t)64 << 20, 300000, 60);
}

static void mostly_on_disk(void **state)
{
    (void)state;
    like_a_list(32 << 10, 300000, 80);
    like_a_list(8 << 10, 60000, 90);
}

/* A block over one that was not freed, as where events were lost. */
static void put_over(void **state)
{
    (void)state;
    struct blocks_budget budget = {.most = 1 << 20};
    struct blocks table;
    struct block first = {64, 10, 1, 1, 1}, second = {64, 20, 2, 2, 1}, out;
    blocks_begin(&table, &budget);
    assert_int_equal(blocks_put(&table, &first, &out), 1);
    assert_int_equal(blocks_put(&table, &second, &out), 0);
    assert_memory_equal(&out, &first, sizeof out);
    assert_int_equal(blocks_take(&table, 64, &out), 1);
    assert_memory_equal(&out, &second, sizeof out);
    assert_int_equal(blocks_take(&table, 64, &out), 0);
    blocks_end(&table);
}

/* The address 0, and the highest, are addresses like others. */
static void any_address(void **state)
{
    (void)state;
    struct blocks_budget budget = {.most = 1 << 20};
    struct blocks table;
    struct block zero = {0, 1, 1, 1, 1}, last = {UINT64_MAX, 2, 1, 1, 1}, out;
    blocks_begin(&table, &budget);
    assert_int_equal(blocks_find(&table, 0, &out), 0);
    assert_int_equal(blocks_put(&table, &zero, &out), 1);
    assert_int_equal(blocks_put(&table, &last, &out), 1);
    assert_int_equal(blocks_take(&table, 0, &out), 1);
    assert_int_equal(blocks_take(&table, last.address, &out), 1);
    assert_int_equal(out.size, 2);
    blocks_end(&table);
}

/* The only table with slots has no block in them any more: its slots are given up all the same. */
static void room_in_an_empty_table(void **state)
{
    (void)state;
    struct blocks_budget budget = {.most = 4096};
    struct blocks had, wants;
    struct block block = {64, 10, 1, 1, 1}, out;
    blocks_begin(&had, &budget);
    blocks_begin(&wants, &budget);
    assert_int_equal(blocks_put(&had, &block, &out), 1);
    assert_int_equal(blocks_take(&had, 64, &out), 1);
    assert_int_equal(blocks_put(&wants, &block, &out), 1);
    assert_int_equal(blocks_take(&wants, 64, &out), 1);
    assert_int_equal(budget.spilled, 0);
    blocks_end(&had);
    blocks_end(&wants);
}

/* What no slot can say is kept all the same, beside others; and what takes its place is like any other. */
static void wide(void **state)
{
    (void)state;
    static const struct block odd[] = {
        {0x1000, 65535, 1, 1, 511},     {0x1008, 65536, 2, 1, 1},      {0x1010, UINT64_MAX, 3, 1, 1},
        {0x1018, 1, 4, 1, 512},         {0x1020, 1, 5, UINT32_MAX, 1}, {0x1028, 1, 6, (1 << 19) - 1, 1},
        {0x1030, 1, 7, 1 << 19, 1},     {0x1038, 1, 8, 1, UINT32_MAX}, {0x1041, 1, 9, 1, 1},
        {0x1047, 1, 10, 1, 1},          {0xfffffffffff8, 1, 11, 1, 1}, {0xffffffffffff, 1, 12, 1, 1},
        {0x1000000001000, 1, 13, 1, 1},
    };
    struct blocks_budget budget = {.most = 1 << 20};
    struct blocks table;
    struct block out;
    blocks_begin(&table, &budget);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < sizeof odd / sizeof odd[0]; i++) {
            assert_int_equal(blocks_put(&table, &odd[i], &out), 1);
        }
        for (unsigned i = 0; i < sizeof odd / sizeof odd[0]; i++) {
            struct block plain = {odd[i].address, 1, 20, 2, 3};
            assert_int_equal(blocks_find(&table, odd[i].address, &out), 1);
            assert_memory_equal(&out, &odd[i], sizeof out);
            assert_int_equal(blocks_put(&table, &plain, &out), 0);
            assert_memory_equal(&out, &odd[i], sizeof out);
            assert_int_equal(blocks_take(&table, odd[i].address, &out), 1);
            assert_memory_equal(&out, &plain, sizeof out);
        }
    }
    assert_int_equal(table.count, 0);
    blocks_end(&table);
    assert_int_equal(budget.used, 0);
}

/* Times are known to within 2^-37 of the greatest, and exactly while all are below 2^38. */
static void long_times(void **state)
{
    (void)state;
    struct blocks_budget budget = {.most = 1 << 20};
    struct blocks table;
    struct block out;
    blocks_begin(&table, &budget);
    for (unsigned bits = 1; bits <= 62; bits++) {
        uint64_t latest = ((uint64_t)1 << bits) - 1, off = bits > 38 ? latest >> 37 : 0;
        assert_int_equal(blocks_put(&table, &(struct block){16 * bits, 1, latest, 1, 1}, &out), 1);
        for (unsigned i = 1; i <= bits; i++) {
            uint64_t time = ((uint64_t)1 << i) - 1;
            assert_int_equal(blocks_find(&table, 16 * i, &out), 1);
            assert_true(out.time <= time + off && time <= out.time + off);
        }
    }
    blocks_end(&table);
}

/* Tables give way to what others take, but for an eighth of the budget. */
static void beside_others(void **state)
{
    (void)state;
    struct blocks_budget budget = {.most = 1 << 20};
    struct blocks table;
    struct block out;
    blocks_begin(&table, &budget);
    for (unsigned i = 0; i < 20000; i++) {
        assert_int_equal(blocks_put(&table, &(struct block){16 * i, i, i, 1, 1}, &out), 1);
    }
    assert_int_equal(budget.spilled, 0);
    assert_true(blocks_beside(&budget, (size_t)2 << 20));
    assert_int_equal(budget.spilled, 20000);
    for (unsigned i = 20000; i < 26000; i++) {
        assert_int_equal(blocks_put(&table, &(struct block){16 * i, i, i, 1, 1}, &out), 1);
    }
    assert_int_equal(budget.spilled, 20000);
    for (unsigned i = 0; i < 26000; i++) {
        assert_int_equal(blocks_take(&table, 16 * i, &out), 1);
        assert_int_equal(out.size, i);
    }
    blocks_end(&table);
}

static void no_disk(void **state)
{
    (void)state;
    struct blocks_budget budget = {.most = 4096, .folder = "/nonexistent"};
    struct blocks table;
    struct block out;
    int put = 1;
    blocks_begin(&table, &budget);
    for (unsigned i = 0; i < 1000 && put == 1; i++) {
        put = blocks_put(&table, &(struct block){address_of(i), 1, 1, 1, 1}, &out);
    }
    assert_int_equal(put, -1);
    assert_int_equal(budget.error, 2 /* ENOENT */);
    blocks_end(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_memory),   cmocka_unit_test(mostly_on_disk),         cmocka_unit_test(put_over),
        cmocka_unit_test(any_address), cmocka_unit_test(room_in_an_empty_table), cmocka_unit_test(wide),
        cmocka_unit_test(long_times),  cmocka_unit_test(beside_others),          cmocka_unit_test(no_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
