/* replay/exhaust.c - memory ends at every possible moment of a replay: for n = 0, 1, 2, ... n more requests are granted and none after,
 * those of the replay itself (malloc and its kin, wrapped by the linker) and then those of the library to the system. Each time the replay says
 * that there is no memory, or does without; what is refused is counted, and nothing is lost or left. The last n is the one at which nothing
 * fails.
 */
#include "made.h"

#include <stdlib.h>
#include <string.h>

#include <allot/malloc.h>

#include "common/requests.h"

REQUESTS(void *, malloc, (size_t size), (size), NULL)
REQUESTS(void *, calloc, (size_t n, size_t size), (n, size), NULL)
REQUESTS(void *, realloc, (void *p, size_t size), (p, size), NULL)

static void expect_a_result(const char *name, int answer, const struct replay_result *out)
{
    if (answer == 0) {
        assert_int_equal(out->failed[0], 0);
        assert_int_equal(out->moment[out->moments - 1].live, 0);
        assert_int_equal(out->refused, 0);
    } else {
        assert_string_equal(out->failed, "no memory for the replay itself");
        assert_string_equal(out->name, name);
    }
}

static void row(void *arg, const struct replay_block *b)
{
    (void)b;
    ++*(uint64_t *)arg;
}

static void memory_ends(void **state)
{
    (void)state;
    static struct replay_result out;
    struct made m = {0};
    struct ops ops;
    made_random(&m, 11, 3000, 300, 40000);
    for (uint32_t i = 0; i < 300; i++) {
        made_op(&m, OP_LEFT, i, 0, 0);
    }
    made_ops(&m, &ops);
    uint64_t rows = 0;
    struct replay_wanted wanted = {.map_at = 1500, .table = row, .arg = &rows};
    for (const char *const *name = replay_models; *name; name++) {
        long requests = 0, of_system = 0;
        for (requests_refused = 1; requests_refused; requests++) {
            requests_refused = 0;
            requests_grant(requests);
            int answer = replay_model(*name, &ops, &wanted, &out);
            requests_grant(-1);
            expect_a_result(*name, answer, &out);
            assert_true(answer == 0 || requests_refused);
        }
        /* The library's: it keeps some from before, so the first n may be more than it wants. */
        for (int answer = -1; answer != 0 && of_system < 10000; of_system++) {
            allot_fail_after(of_system);
            answer = replay_model(*name, &ops, &wanted, &out);
            allot_fail_after(-1);
            expect_a_result(*name, answer, &out);
        }
        assert_true(requests > 3 && of_system < 10000);
        assert_int_equal(replay_model(*name, &ops, &wanted, &out), 0);
        assert_int_equal(out.refused, 0);
    }
    assert_true(allot_check());
    ops_end(&ops);
    made_end(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(memory_ends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
