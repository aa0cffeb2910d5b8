/* cmocka.h - what the unit tests use of cmocka, for machines and C libraries that it is not installed for: on the include path
 * in its place, with nothing to link. A broken assertion ends the program with a line.
 */
#ifndef CMOCKA_H
#define CMOCKA_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*test)(void **state);
    int (*setup)(void **state);
    int (*teardown)(void **state);
};

#define cmocka_unit_test(f) \
    {                       \
#f, f, NULL, NULL   \
    }
#define cmocka_unit_test_setup_teardown(f, setup, teardown) \
    {                                                       \
#f, f, setup, teardown                              \
    }
#define cmocka_run_group_tests(tests, group_setup, group_end) \
    cmocka_run(tests, sizeof tests / sizeof tests[0], group_setup, group_end)

static jmp_buf cmocka_skipped;

/* False when the test left by skip(). */
static inline bool cmocka_ran(void (*test)(void **), void **state)
{
    if (setjmp(cmocka_skipped)) {
        return false;
    }
    test(state);
    return true;
}

static inline int cmocka_run(const struct CMUnitTest *tests, size_t count, int (*setup)(void **), int (*end)(void **))
{
    void *state = NULL;
    bool well = !setup || setup(&state) == 0;
    for (size_t i = 0; well && i < count; i++) {
        well = !tests[i].setup || tests[i].setup(&state) == 0;
        const char *how = !well ? "not set up" : cmocka_ran(tests[i].test, &state) ? "passed" : "skipped";
        printf("%s: %s\n", tests[i].name, how);
        well = well && (!tests[i].teardown || tests[i].teardown(&state) == 0);
    }
    return well && (!end || end(&state) == 0) ? 0 : 1;
}

static inline void cmocka_demand(bool holds, const char *file, int line, const char *what)
{
    if (!holds) {
        fprintf(stderr, "%s:%d: broken: %s\n", file, line, what);
        abort();
    }
}

static inline void cmocka_compare(uintmax_t a, uintmax_t b, bool equal, const char *file, int line, const char *what)
{
    if ((a == b) != equal) {
        fprintf(stderr, "%#jx and %#jx\n", a, b);
        cmocka_demand(false, file, line, what);
    }
}

#define print_message(...) fprintf(stderr, __VA_ARGS__)

#define CMOCKA_DEMAND(holds, what) cmocka_demand(holds, __FILE__, __LINE__, what)
#define CMOCKA_COMPARE(type, a, b, equal, what) \
    cmocka_compare((uintmax_t)(type)(a), (uintmax_t)(type)(b), equal, __FILE__, __LINE__, what)

#define assert_true(x)             CMOCKA_DEMAND((x) ? true : false, #x)
#define assert_false(x)            CMOCKA_DEMAND((x) ? false : true, "not: " #x)
#define assert_non_null(p)         CMOCKA_DEMAND((p) != NULL, #p)
#define assert_null(p)             CMOCKA_DEMAND((p) == NULL, "NULL: " #p)
#define assert_int_equal(a, b)     CMOCKA_COMPARE(uintmax_t, a, b, true, #a " == " #b)
#define assert_int_not_equal(a, b) CMOCKA_COMPARE(uintmax_t, a, b, false, #a " != " #b)
#define assert_ptr_equal(a, b)     CMOCKA_COMPARE(uintptr_t, a, b, true, #a " == " #b)
#define assert_ptr_not_equal(a, b) CMOCKA_COMPARE(uintptr_t, a, b, false, #a " != " #b)
#define assert_in_range(x, from, to)                                                                               \
    CMOCKA_DEMAND((uintmax_t)(x) - (uintmax_t)(from) <= (uintmax_t)(to) - (uintmax_t)(from), #x " in " #from " to" \
                                                                                                " " #to)
#define assert_string_equal(a, b)       CMOCKA_DEMAND(strcmp(a, b) == 0, #a " == " #b)
#define assert_memory_equal(a, b, size) CMOCKA_DEMAND(memcmp(a, b, size) == 0, #a " == " #b)
#define fail_msg(...)                   (fprintf(stderr, __VA_ARGS__), CMOCKA_DEMAND(false, "failed"))
#define skip()                          longjmp(cmocka_skipped, 1)

#endif
