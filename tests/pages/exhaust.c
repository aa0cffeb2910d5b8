/* pages/exhaust.c - memory ends at every possible moment of `allot pages`: for n = 0, 1, 2, ... n more requests of reading, replaying and
 * translating are granted and none after, then likewise those of the policies to the library. Each time it is said, and nothing is lost or left; the last
 * n is the one at which nothing fails, and all is counted. */
#include "common/unit.h"

#include <allot/malloc.h>

#include "common/requests.h"
#include "pages/curves.h"
#include "pages/written.h"

REQUESTS(void *, malloc, (size_t size), (size), NULL)
REQUESTS(void *, calloc, (size_t n, size_t size), (n, size), NULL)
REQUESTS(void *, realloc, (void *p, size_t size), (p, size), NULL)
REQUESTS(void *, mmap, (void *at, size_t bytes, int how, int flags, int fd, off_t from),
         (at, bytes, how, flags, fd, from), MAP_FAILED)
REQUESTS(void *, mremap, (void *at, size_t old, size_t bytes, int flags), (at, old, bytes, flags), MAP_FAILED)

static const uint32_t frames[] = {10, 100};

/* All of it, once; whether it came to its end. */
static bool all(int fd, struct curves_cell out[CURVES_POLICIES * 2])
{
    struct refs refs;
    struct trace_error error = {{0}};
    struct translate_table table;
    const struct translate_shape shape = {3, {9, 9, 9}, 12, 64, 4};
    struct refs_wanted wanted = {.addresses = true, .page_shift = 12, .address_bits = 39, .window = -1};
    struct curves_wanted w = {.policies = CURVES_POLICIES, .frames = frames, .sizes = 2, .table = &table, .threads = 1};
    for (unsigned p = 0; p < CURVES_POLICIES; p++) {
        w.policy[p] = p;
    }
    if (!refs_read(&refs, fd, "F", &wanted, &error)) {
        assert_non_null(strstr(error.line, "memory"));
        return false;
    }
    bool made = translate_table(&table, &refs, &shape);
    if (made) {
        struct curves_cell *cell = curves_make(&refs, &w);
        made = cell;
        if (cell) {
            memcpy(out, cell, CURVES_POLICIES * 2 * sizeof *cell);
        }
        requests_grant(-1);
        free(cell);
        translate_table_end(&table);
    }
    refs_end(&refs);
    return made;
}

static void memory_ends(void **state)
{
    (void)state;
    struct curves_cell want[CURVES_POLICIES * 2], got[CURVES_POLICIES * 2];
    int fd = written_bursts(30000, 6000, 12, 3, 4);
    assert_true(all(fd, want));
    long n = 0, refusals = 0;
    do {
        requests_grant(n++);
        requests_refused = 0;
        memset(got, 0, sizeof got);
        bool made = all(fd, got);
        requests_grant(-1);
        refusals += requests_refused > 0;
        assert_true(made || requests_refused);
        if (made) { /* what was refused could be done without: a thread */
            assert_memory_equal(want, got, sizeof want);
        }
    } while (requests_refused);
    assert_true(refusals > 20);
    /* The library's: it keeps some from before, so the first n may be more than it wants. */
    long of_system = 0;
    for (bool made = false; !made && of_system < 10000; of_system++) {
        allot_fail_after(of_system);
        made = all(fd, got);
        allot_fail_after(-1);
    }
    assert_true(of_system < 10000);
    assert_memory_equal(want, got, sizeof want);
    assert_true(allot_check());
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(memory_ends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
