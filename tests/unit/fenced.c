/* unit/fenced.c - what nobody can access: around large blocks, after their end, between slabs; and blocks of no bytes. */
#include "common/unit.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/bits.h"
#include "heap/nothing.h"
#include "os/fence.h"
#include "os/memory.h"
#include "span/fenced.h"
#include "span/large.h"
#include "span/segment.h"

static bool accessible(const void *p) { return os_readable((uintptr_t)p); }

static void all_but_the_block_is_shut(void **state)
{
    (void)state;
    for (size_t length = os_page; length <= 40 * MIB; length *= 3) {
        length = align_up(length, os_page);
        struct fence *f = fence_take(length, 4 * MIB, NULL);
        assert_int_equal((uintptr_t)f->at % (4 * MIB), 0);
        assert_true(accessible(f->at) && accessible(f->at + length - 8));
        assert_false(accessible(f->at - 8) || accessible(f->at + length) || accessible(f->at + f->room));
        assert_int_equal(f->at[0] | f->at[length - 1], 0);
        memset(f->at, 7, length);
        char *at = f->at;
        fence_give(f, length);
        assert_false(accessible(at) || accessible(at + length - 8));
        fences_check();
    }
}

static void used_again_only_after_others_and_then_zero(void **state)
{
    (void)state;
    size_t length = align_up(100 * KIB, os_page);
    fences_trim();
    char *first = NULL;
    for (unsigned i = 0; i < 2 * FENCED_HELD; i++) {
        struct fence *f = fence_take(length, 4 * MIB, NULL);
        for (size_t at = 0; at < length; at++) {
            assert_int_equal(f->at[at], 0);
        }
        memset(f->at, 7, length);
        assert_true(i == 0 || i > FENCED_HELD || f->at != first);
        first = i == 0 ? f->at : first;
        fence_give(f, length);
    }
    fences_check();
    assert_true(fences_trim() > 0);
    assert_int_equal(fences_kept(), 0);
    fences_check();
}

static void grows_and_shrinks_within_its_room(void **state)
{
    (void)state;
    size_t page = os_page;
    struct fence *f = fence_take(page, 4 * MIB, NULL);
    size_t room = f->room;
    assert_true(room >= 2 * page || os_page > 4096);
    if (room >= 2 * page) {
        assert_true(fence_resize(f, page, room));
        memset(f->at, 7, room);
        assert_true(fence_resize(f, room, page));
        assert_false(accessible(f->at + page));
        assert_true(fence_resize(f, page, 2 * page));
        assert_int_equal(f->at[page - 1], 7);
        assert_int_equal(f->at[page] | f->at[2 * page - 1], 0);
        assert_true(fence_resize(f, 2 * page, page));
    }
    assert_false(fence_resize(f, page, room + page));
    fence_give(f, page);
    fences_check();
}

static void know_what_was_asked_for(void **state)
{
    (void)state;
    size_t asked, before = large_totals().bytes;
    char *p = large_alloc_fenced(100001, 1, 5, NULL);
    assert_true(large_is_fenced(p, &asked));
    assert_int_equal(asked, 100001);
    assert_int_equal(large_heap(p), 5);
    assert_true(large_resize_fenced(p, 70000));
    assert_true(large_is_fenced(p, &asked));
    assert_int_equal(asked, 70000);
    assert_int_equal(large_length(p), align_up(70000, os_page));
    char *aligned = large_alloc_fenced(10, 16 * MIB, 5, NULL);
    assert_int_equal((uintptr_t)aligned % (16 * MIB), 0);
    large_check();
    assert_int_equal(large_free_all(5), align_up(70000, os_page) + os_page);
    assert_false(accessible(p) || accessible(aligned) || large_is_fenced(p, &asked));
    assert_int_equal(large_totals().bytes, before);
    large_check();
}

/* How many of the kernel's areas are left. */
static size_t take_all_areas(void)
{
    size_t taken = 0;
    while (os_areas_take(1)) {
        taken++;
    }
    return taken;
}

static void none_when_areas_are_spent_or_memory_is_out(void **state)
{
    (void)state;
    fences_trim();
    size_t areas = take_all_areas();
    assert_true(areas > 0);
    assert_null(fence_take(os_page, 4 * MIB, NULL));
    assert_null(large_alloc_fenced(100000, 1, 0, NULL));
    os_areas_give(areas);
    for (long n = 0; n < 2; n++) {
        os_fail_after(n);
        assert_null(fence_take(os_page, 4 * MIB, NULL));
        os_fail_after(-1);
    }
    fences_check();
    assert_int_equal(take_all_areas(), areas);
    os_areas_give(areas);
}

/* So many places of one length, taken of a stock and given back: how many of them lie where one of `others` does. */
enum { PLACES = 2 * FENCED_HELD };
static size_t take_and_give(struct fence_stock *own, size_t length, char *const *others, char **at)
{
    struct fence *f[PLACES];
    size_t same = 0;
    for (unsigned i = 0; i < PLACES; i++) {
        f[i] = fence_take(length, 4 * MIB, own);
        at[i] = f[i]->at;
        assert_int_equal(at[i][0] | at[i][length - 1], 0);
        at[i][0] = at[i][length - 1] = 7;
        for (unsigned k = 0; others && k < PLACES; k++) {
            same += others[k] == at[i];
        }
    }
    for (unsigned i = 0; i < PLACES; i++) {
        fence_give(f[i], length);
    }
    return same;
}

static void nobody_gets_what_a_stock_of_ones_own_had(void **state)
{
    (void)state;
    static struct fence_stock mine, yours;
    static char *my[PLACES], *your[PLACES], *common[PLACES];
    for (size_t length = 64 * KIB; length <= 64 * MIB; length *= 32) {
        take_and_give(&mine, length, NULL, my);
        assert_int_equal(take_and_give(&yours, length, my, your), 0);
        assert_int_equal(take_and_give(NULL, length, my, common), 0);
        fences_trim();
        assert_int_equal(take_and_give(&yours, length, my, your), 0);
        assert_int_equal(take_and_give(NULL, length, my, common), 0);
        fences_trim();
        static char *again[PLACES];
        assert_int_equal(take_and_give(&mine, length, my, again), PLACES);
        fences_check();
    }
}

static void a_stock_of_ones_own_needs_no_fences(void **state)
{
    (void)state;
    static struct fence_stock mine;
    fences_trim();
    size_t areas = take_all_areas(), page = os_page, mapped = os_mapped();
    struct fence *f = fence_take(page, 8 * MIB, &mine);
    assert_true(f->bare && (uintptr_t)f->at % (8 * MIB) == 0);
    assert_int_equal(os_mapped(), mapped + f->room);
    memset(f->at, 7, page);
    if (f->room >= 2 * page) {
        assert_true(fence_resize(f, page, 2 * page));
        memset(f->at, 7, 2 * page);
        assert_true(fence_resize(f, 2 * page, page));
        assert_int_equal(f->at[page], 0);
        assert_int_equal(f->at[page - 1], 7);
    }
    char *at = f->at;
    fence_give(f, page);
    fences_trim();
    assert_int_equal(at[0] | at[page - 1], 0); /* nobody's, though it can be read */
    assert_int_equal(os_mapped(), mapped);
    f = fence_take(page, 4 * MIB, &mine);
    assert_true(f->at == at && f->at[0] == 0);
    fence_give(f, page);
    os_fail_after(0);
    assert_null(fence_take(64 * MIB, 4 * MIB, &mine));
    os_fail_after(-1);
    os_areas_give(areas);
    fences_check();
}

static void units_apart_never_were_anybodys(void **state)
{
    (void)state;
    struct unit *common[UNITS], *apart[UNITS];
    for (unsigned i = 0; i < UNITS; i++) {
        common[i] = unit_take(UNIT_SOME);
        apart[i] = unit_take_apart();
        assert_true(accessible(unit_data(apart[i])));
        assert_false(accessible(unit_data(apart[i]) - 8) || accessible(unit_data(apart[i]) + UNIT_SIZE));
        for (unsigned k = 0; k <= i; k++) {
            assert_true(segment_of(apart[i]) != segment_of(common[k]));
            assert_true(k == i || apart[k] != apart[i]);
        }
    }
    for (unsigned i = 0; i < UNITS; i++) {
        unit_give(common[i]);
    }
    segments_check();
    segments_trim();
    segments_check();
    struct segment *s = segment_of(apart[UNITS - 1]);
    for (unsigned i = 0; i < UNITS; i++) {
        assert_true(segment_of(unit_take(UNIT_SOME)) != s);
    }
}

static void units_lie_between_fences(void **state)
{
    (void)state;
    struct unit *first = unit_take(UNIT_SOME), *second = unit_take(UNIT_SOME);
    char *a = unit_data(first), *b = unit_data(second);
    assert_true(segment_of(first)->fenced);
    assert_int_equal((size_t)(b - a), 2 * UNIT_SIZE);
    assert_true(accessible(a) && accessible(b + UNIT_SIZE - 8));
    assert_false(accessible(a - 8) || accessible(a + UNIT_SIZE) || accessible(b - 8) || accessible(b + UNIT_SIZE));
    assert_false(accessible(b + 2 * UNIT_SIZE)); /* has not been taken */
    segments_check();
    memset(a, 7, UNIT_SIZE);
    first->touched = UNIT_SIZE / 16;
    unit_give(first);
    assert_int_equal(segments_trim(), UNIT_SIZE);
    assert_false(accessible(a));
    segments_check();
    struct unit *again = unit_take(UNIT_SOME);
    assert_ptr_equal(unit_data(again), a);
    assert_int_equal(a[0] | a[UNIT_SIZE - 1], 0);
    assert_int_equal(again->touched, 0);
    segments_check();
    unit_give(again);
    unit_give(second);
}

static void units_without_fences_when_areas_are_spent(void **state)
{
    (void)state;
    enum { MANY = 200 };
    struct unit *unit[MANY];
    size_t areas = take_all_areas(), without = 0;
    for (unsigned i = 0; i < MANY; i++) {
        unit[i] = unit_take(UNIT_SOME);
        assert_non_null(unit[i]);
        unit_data(unit[i])[0] = 1;
        without += !segment_of(unit[i])->fenced;
    }
    assert_true(without > 0);
    segments_check();
    for (unsigned i = 0; i < MANY; i++) {
        unit_give(unit[i]);
    }
    segments_check();
    os_areas_give(areas);
}

static int count_one(void *p, size_t bytes, void *count)
{
    assert_int_equal(bytes, 0);
    assert_true(is_nothing(p));
    ++*(size_t *)count;
    return 0;
}

static void nothing_has_an_address_that_nobody_can_access(void **state)
{
    (void)state;
    enum { MANY = 10000 };
    static char *p[MANY];
    size_t walked = 0;
    for (unsigned i = 0; i < MANY; i++) {
        p[i] = nothing_alloc();
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        assert_false(accessible(p[i]) || accessible(p[i] - 4096));
        nothing_expect_live(p[i], "none");
        for (unsigned j = i > 100 ? i - 100 : 0; j < i; j++) {
            assert_ptr_not_equal(p[i], p[j]);
        }
    }
    assert_int_equal(nothing_count(), MANY);
    assert_int_equal(nothing_walk(count_one, &walked), 0);
    assert_int_equal(walked, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        nothing_free(p[i]);
    }
    assert_int_equal(nothing_count(), 0);
    char *one = nothing_alloc();
    nothing_free(one);
    for (unsigned i = 0; i < 1000; i++) {
        char *other = nothing_alloc();
        assert_ptr_not_equal(one, other);
        nothing_free(other);
    }
}

int main(void)
{
    os_memory_init();
    os_fence_init();
    segments_fenced = true;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_but_the_block_is_shut),
        cmocka_unit_test(used_again_only_after_others_and_then_zero),
        cmocka_unit_test(grows_and_shrinks_within_its_room),
        cmocka_unit_test(know_what_was_asked_for),
        cmocka_unit_test(none_when_areas_are_spent_or_memory_is_out),
        cmocka_unit_test(nobody_gets_what_a_stock_of_ones_own_had),
        cmocka_unit_test(a_stock_of_ones_own_needs_no_fences),
        cmocka_unit_test(units_apart_never_were_anybodys),
        cmocka_unit_test(units_lie_between_fences),
        cmocka_unit_test(nothing_has_an_address_that_nobody_can_access),
        cmocka_unit_test(units_without_fences_when_areas_are_spent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
