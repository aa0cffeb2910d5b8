/* unit/record_sites.c - a process that is recorded and samples its blocks has one tree of stacks for both: whoever is the first with a
 * call, the collector hears of it before it is used. */
#include "common/unit.h"

#include <allot/malloc.h>
#include <allot/record.h>

#include "common/area.h"

enum { CHUNKS = 2, IDS = 1 << 16 };

static struct area area;
static uint32_t parent_of[IDS];
static bool told[IDS];

/* The stack of the last block of that size; 0: it is not there. */
static uint32_t read_area(size_t size)
{
    struct area_events events;
    uint32_t stack = 0;
    area_read(&area, &events);
    for (size_t i = 0; i < events.count; i++) {
        const struct area_event *e = &events.at[i];
        if (e->op == RING_NODE) {
            assert_in_range(e->words[0], 1, IDS - 1);
            told[e->words[0]] = true;
            parent_of[e->words[0]] = e->words[1];
        }
        stack = e->op == RING_MALLOC && e->size == size ? e->stack : stack;
    }
    area_free(&events);
    return stack;
}

__attribute__((noinline)) static void *from_here(size_t size)
{
    void *p = allot_malloc(size);
    __asm__ volatile("" : : "r"(p) : "memory");
    return p;
}

/* A call that is seen first while no chunk is to be had. */
static void first_seen_under_overload(void **state)
{
    (void)state;
    area_open(&area, CHUNKS, RING_STACKS);
    assert_int_equal(allot_option("sample", "1"), 0);
    assert_int_equal(allot_option("record", area.path), 0);
    while (area.ring->lost == 0) {
        allot_free(allot_malloc(16));
        area_beat(&area);
    }
    void *of_then[2];
    for (volatile unsigned i = 0; i < 2; i++) { /* not twice in the code: one call */
        of_then[i] = from_here(1234);
        if (i == 0) {
            assert_int_equal(read_area(1234), 0);
            assert_true(area_give_back(&area) > 0);
        }
    }
    uint32_t stack = read_area(1234);
    assert_true(stack != 0);
    for (; stack != 0; stack = parent_of[stack]) {
        assert_true(told[stack]);
    }
    allot_free(of_then[0]);
    allot_free(of_then[1]);
    assert_int_equal(allot_option("record", "off"), 0);
    assert_int_equal(allot_option("sample", "off"), 0);
    allot_free(allot_malloc(1));
    area_close(&area);
}

int main(void)
{
    allot_free(allot_malloc(1));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_seen_under_overload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
