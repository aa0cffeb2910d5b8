/* unit/reloc.c - an area by base and limit (allot/reloc.h). */
#include "common/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <allot/reloc.h>

#include "common/child.h"
#include "common/random.h"
#include "os/memory.h"

/* A list in the area: offsets, 0 for the end. */
struct node {
    uint64_t next;
    uint64_t value;
};

enum { NODES = 1000, SIZE = (NODES + 1) * sizeof(struct node) };

static uint64_t make_list(struct allot_reloc *area)
{
    uint64_t first = 0;
    for (uint64_t i = 1; i <= NODES; i++) {
        struct node *n = ALLOT_RELOC_AT(area, i * sizeof *n, struct node);
        n->next = first;
        n->value = i;
        first = allot_reloc_offset(area, n);
        allot_reloc_chance(area);
    }
    return first;
}

static void expect_list(const struct allot_reloc *area, uint64_t first)
{
    uint64_t expected = NODES;
    for (; first; expected--) {
        const struct node *n = ALLOT_RELOC_AT(area, first, struct node);
        assert_int_equal(n->value, expected);
        first = n->next;
    }
    assert_int_equal(expected, 0);
    allot_reloc_check(area);
}

static void it_moves_as_a_whole(void **state)
{
    (void)state;
    struct allot_reloc area;
    assert_int_equal(allot_reloc_init(&area, SIZE, NULL), 0);
    uint64_t first = make_list(&area);
    for (int i = 0; i < 20; i++) {
        char *was = area.base;
        assert_int_equal(allot_reloc_move(&area), 0);
        assert_ptr_not_equal(area.base, was);
        expect_list(&area, first);
    }
    struct allot_reloc_stats s;
    allot_reloc_stats(&area, &s);
    assert_int_equal(s.moves, 20);
    assert_int_equal(s.remapped, 20 * SIZE); /* no byte was copied */
    assert_int_equal(s.copied, 0);
    allot_reloc_done(&area);
}

static void it_grows_and_shrinks(void **state)
{
    (void)state;
    struct allot_reloc area;
    struct random r = {7};
    assert_int_equal(allot_reloc_init(&area, SIZE, NULL), 0);
    uint64_t first = make_list(&area);
    size_t least = SIZE;
    for (int i = 0; i < 300; i++) {
        size_t size = SIZE + random_below(&r, 1 << (10 + i % 14)), was = area.limit;
        assert_int_equal(allot_reloc_resize(&area, size), 0);
        assert_int_equal(area.limit, size);
        for (size_t at = was; at < size; at++) {
            assert_int_equal(area.base[at], 0);
        }
        memset(area.base + least, 1, size - least);
        expect_list(&area, first);
    }
    assert_int_equal(allot_reloc_resize(&area, SIZE_MAX), -ENOMEM);
    expect_list(&area, first);
    assert_int_equal(allot_reloc_resize(&area, 0), 0);
    assert_int_equal(allot_reloc_resize(&area, SIZE), 0);
    for (size_t at = 0; at < SIZE; at++) {
        assert_int_equal(area.base[at], 0);
    }
    allot_reloc_done(&area);
}

static void in_the_callers_memory(void **state)
{
    (void)state;
    static _Alignas(16) char here[2 * SIZE], there[SIZE];
    struct allot_reloc area;
    struct allot_reloc_opts opts = {.memory = here, .memory_size = SIZE - 1};
    memset(here, 1, sizeof here);
    assert_int_equal(allot_reloc_init(&area, SIZE, &opts), -EINVAL);
    opts.memory_size = sizeof here;
    assert_int_equal(allot_reloc_init(&area, SIZE, &opts), 0);
    uint64_t first = make_list(&area);
    assert_ptr_equal(area.base, here);
    assert_int_equal(allot_reloc_resize(&area, 2 * SIZE), 0); /* where it is */
    assert_ptr_equal(area.base, here);
    assert_int_equal(allot_reloc_move_to(&area, there, sizeof there), -ENOSPC);
    assert_int_equal(allot_reloc_resize(&area, SIZE), 0);
    assert_int_equal(allot_reloc_move_to(&area, there, sizeof there), 0);
    memset(here, 1, sizeof here);
    expect_list(&area, first);
    assert_int_equal(allot_reloc_resize(&area, SIZE + 1), 0); /* to pages of its own */
    memset(there, 1, sizeof there);
    expect_list(&area, first);
    allot_reloc_done(&area);
}

static struct {
    char bytes[2 * SIZE];
    size_t used;
} file;
static int write_file(void *arg, const void *bytes, size_t length)
{
    (void)arg;
    memcpy(file.bytes + file.used, bytes, length);
    file.used += length;
    return 0;
}
static int read_file(void *arg, void *bytes, size_t length)
{
    size_t *length_of_file = arg;
    if (file.used + length > *length_of_file) {
        return -EIO;
    }
    memcpy(bytes, file.bytes + file.used, length);
    file.used += length;
    return 0;
}

static void it_comes_back_elsewhere(void **state)
{
    (void)state;
    struct allot_reloc area, other;
    assert_int_equal(allot_reloc_init(&area, SIZE, NULL), 0);
    uint64_t first = make_list(&area);
    file.used = 0;
    assert_int_equal(allot_reloc_save(&area, write_file, NULL), 0);
    size_t length = file.used, cut = length - 1;
    file.used = 0;
    assert_int_equal(allot_reloc_load(&other, read_file, &cut, NULL), -EIO);
    assert_null(other.base);
    file.used = 0;
    assert_int_equal(allot_reloc_load(&other, read_file, &length, NULL), 0);
    assert_ptr_not_equal(other.base, area.base);
    allot_reloc_done(&area);
    expect_list(&other, first);
    allot_reloc_done(&other);
    file.bytes[0] ^= 1;
    file.used = 0;
    assert_int_equal(allot_reloc_load(&other, read_file, &length, NULL), -EINVAL);
}

static void it_moves_at_each_chance(void **state)
{
    (void)state;
    struct allot_reloc area;
    assert_int_equal(allot_reloc_init(&area, SIZE, &(struct allot_reloc_opts){.debug = true}), 0);
    uint64_t first = make_list(&area);
    expect_list(&area, first);
    assert_int_equal(area.moves, NODES);
    char *was = area.base;
    assert_int_equal(allot_reloc_resize(&area, SIZE), 0);
    assert_ptr_not_equal(area.base, was);
    expect_list(&area, first);
    allot_reloc_done(&area);
}

/* -- misuse -- */

static struct allot_reloc area_of_crimes;
static void stale_address(void)
{
    volatile char *p = allot_reloc_at(&area_of_crimes, 0, 1);
    allot_reloc_chance(&area_of_crimes);
    *p = 1;
}
static void one_too_far(void) { allot_reloc_at(&area_of_crimes, 4993, 8); }
static void far_too_far(void) { allot_reloc_at(&area_of_crimes, UINT64_MAX - 3, 8); }
static void too_long(void) { allot_reloc_at(&area_of_crimes, 8, UINT64_MAX - 3); }
static void none_of_it(void) { allot_reloc_offset(&area_of_crimes, &area_of_crimes); }
static void after_done(void)
{
    allot_reloc_done(&area_of_crimes);
    allot_reloc_at(&area_of_crimes, 0, 1);
}
static void twice_done(void)
{
    allot_reloc_done(&area_of_crimes);
    allot_reloc_done(&area_of_crimes);
}

static const struct {
    void (*commit)(void);
    const char *says;
} crimes[] = {
    {stale_address, NULL},
    {one_too_far, "access beyond the limit: offset 4993, 8 bytes, limit 5000, of area \"maps\""},
    {far_too_far, "access beyond the limit: offset 18446744073709551612, 8 bytes, limit 5000"},
    {too_long, "access beyond the limit: offset 8, 18446744073709551612 bytes, limit 5000"},
    {none_of_it, "access beyond the limit: offset"},
    {after_done, "access to an area that was not initialised, or is done"},
    {twice_done, "use of an area that was not initialised, or is done"},
};

static void commit(void *arg)
{
    signal(SIGSEGV, SIG_DFL);
    struct allot_reloc_opts opts = {.name = "maps", .debug = true};
    if (allot_reloc_init(&area_of_crimes, 5000, &opts) == 0) {
        crimes[(uintptr_t)arg].commit();
    }
}

static void each_ends_with_its_line(void **state)
{
    (void)state;
    for (uintptr_t i = 0; i < sizeof crimes / sizeof *crimes; i++) {
        struct child_end end = child_run(commit, (void *)i);
        if (crimes[i].says) {
            assert_true(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT);
            if (!strstr(end.text, crimes[i].says)) {
                fail_msg("%s: %s", crimes[i].says, end.text);
            }
        } else {
            assert_true(WIFSIGNALED(end.status) ? WTERMSIG(end.status) == SIGSEGV : WEXITSTATUS(end.status) != 0);
        }
    }
}

/* In debug mode it moves to become shorter; where there is no memory for that it is as it was. */
static void what_fails_leaves_all(void **state)
{
    (void)state;
    struct allot_reloc area;
    assert_int_equal(allot_reloc_init(&area, 3 * os_page, &(struct allot_reloc_opts){.debug = true}), 0);
    memset(area.base, 'x', 3 * os_page);
    os_fail_after(0);
    assert_int_equal(allot_reloc_resize(&area, os_page + 10), -ENOMEM);
    os_fail_after(-1);
    assert_int_equal(area.limit, 3 * os_page);
    for (size_t i = 0; i < 3 * os_page; i++) {
        assert_int_equal(area.base[i], 'x');
    }
    assert_int_equal(allot_reloc_resize(&area, os_page + 10), 0);
    allot_reloc_check(&area);
    allot_reloc_done(&area);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_moves_as_a_whole),     cmocka_unit_test(it_grows_and_shrinks),
        cmocka_unit_test(in_the_callers_memory),   cmocka_unit_test(it_comes_back_elsewhere),
        cmocka_unit_test(it_moves_at_each_chance), cmocka_unit_test(each_ends_with_its_line),
        cmocka_unit_test(what_fails_leaves_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
