/* tool/blocks.c - live blocks by address are what a plain list says they are, also when most of them are on disk. */
#include "common/unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "profile/blocks.h"

#define PLACES 20000

static uint64_t address_of(unsigned place) { return 0x7f0000000000u + (uint64_t)place * 48; }

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
            *known = (struct block){address_of(place), random % 1000, i, 1 + (uint32_t)(random % 77),
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
        assert_true(budget.used <= (most > 4096 * 2 ? most : 4096 * 2));
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
    assert_int_equal(blocks_take(&table, UINT64_MAX, &out), 1);
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
        cmocka_unit_test(any_address), cmocka_unit_test(room_in_an_empty_table), cmocka_unit_test(no_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
