/* requests.h - memory that ends when a test says so: n more requests are granted, and none after, or so many are refused. The functions
 * that memory comes from are wrapped by the linker (--wrap), so that requests fail too which what is kept would serve:
 *
 *     REQUESTS(void *, allot_malloc, (size_t size), (size), NULL)
 *
 *     requests_grant(n);     // then whatever is to be tried
 *     requests_grant(-1);    // memory is back
 */
#ifndef TESTS_REQUESTS_H
#define TESTS_REQUESTS_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

static long requests_left = -1;            /* that are granted yet; negative: any number */
static long requests_to_refuse = LONG_MAX; /* then, before all are granted again */
static size_t requests_made, requests_refused;

static inline void requests_grant(long n)
{
    requests_to_refuse = LONG_MAX;
    __atomic_store_n(&requests_left, n, __ATOMIC_RELAXED);
}

/* One less of so many, in any thread; false: there were none any more. */
static inline bool requests_one_of(long *count)
{
    long before = __atomic_load_n(count, __ATOMIC_RELAXED);
    while (before > 0 &&
           !__atomic_compare_exchange_n(count, &before, before - 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return before != 0;
}

static inline bool request_refused(void)
{
    __atomic_fetch_add(&requests_made, 1, __ATOMIC_RELAXED);
    if (requests_one_of(&requests_left) || !requests_one_of(&requests_to_refuse)) {
        return false;
    }
    __atomic_fetch_add(&requests_refused, 1, __ATOMIC_RELAXED);
    errno = ENOMEM;
    return true;
}

static size_t requests_failed; /* calls, so far */

/* One has failed for want of memory, which is back. */
static inline void requests_note_failure(void)
{
    requests_failed++;
    requests_grant(-1);
}

/* A call that may fail once: then `verify`, and again with memory back. One that returns a pointer, with errno; and one that returns 0 or
 * -ENOMEM. With CHECK. */
#define REQUESTS_TRY(p, call, verify) \
    do {                              \
        errno = 0;                    \
        p = call;                     \
        if (!p) {                     \
            CHECK(errno == ENOMEM);   \
            verify;                   \
            requests_note_failure();  \
            p = call;                 \
            CHECK(p);                 \
        }                             \
    } while (0)

#define REQUESTS_TRY_INT(call, verify) \
    do {                               \
        int wrong_ = call;             \
        CHECK(wrong_ <= 0);            \
        if (wrong_) {                  \
            CHECK(wrong_ == -ENOMEM);  \
            verify;                    \
            requests_note_failure();   \
            CHECK((call) == 0);        \
        }                              \
    } while (0)

/* A function that memory comes from; `none` is what it returns without any. */
#define REQUESTS(type, name, parameters, arguments, none) \
    type __real_##name parameters;                        \
    type __wrap_##name parameters;                        \
    type __wrap_##name parameters { return request_refused() ? (none) : __real_##name arguments; }

#endif
