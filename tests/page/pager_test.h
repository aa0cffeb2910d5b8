/* page/pager_test.h - what the tests of the pager share: one over a disk that fails when it is told to, pages all of whose bytes are one
 * value, and a store that notes what is written.
 */
#ifndef PAGE_PAGER_TEST_H
#define PAGE_PAGER_TEST_H

#include "common/unit.h"

#include <errno.h>
#include <string.h>

#include <allot/pager.h>

#include "page/frail.h"

enum {
    READ = ALLOT_PAGER_READ,
    WRITE = ALLOT_PAGER_WRITE,
    FRESH = ALLOT_PAGER_FRESH,
    COLD = ALLOT_PAGER_COLD,
    TRY = ALLOT_PAGER_TRY
};
enum { PAGES = 200, PAGE = 4096 };

static struct machine always = {.left = -1};
static struct frail home;
static struct allot_pager pager;
static struct allot_pager_stats stats;

static inline void begin(struct allot_pager_opts opts)
{
    frail_init(&home, &always, (size_t)PAGES * PAGE, 1);
    struct allot_store store = frail_store(&home);
    assert_int_equal(allot_pager_init(&pager, &store, &opts), 0);
}

static inline void end(void)
{
    allot_pager_check(&pager);
    assert_int_equal(allot_pager_done(&pager), 0);
    frail_done(&home);
}

static inline void put(uint64_t page, int value)
{
    char *at = allot_pager_pin(&pager, page, WRITE);
    assert_non_null(at);
    memset(at, value, PAGE);
    allot_pager_unpin(&pager, at, WRITE);
}

static inline int get(uint64_t page)
{
    unsigned char *at = allot_pager_pin(&pager, page, READ);
    assert_non_null(at);
    int value = at[PAGE - 1];
    assert_int_equal(at[0], value);
    allot_pager_unpin(&pager, at, READ);
    return value;
}

static inline void told(void) { allot_pager_stats(&pager, &stats); }

/* -- a store that notes what is written -- */

struct seen {
    uint64_t page[64];
    size_t count[64], calls;
    int answer;
};

static inline int sees_write(void *self, uint64_t page, size_t size, void *const *from, size_t count)
{
    struct seen *seen = self;
    (void)from;
    assert_int_equal(size, PAGE);
    seen->page[seen->calls] = page;
    seen->count[seen->calls++] = count;
    return seen->answer;
}

static inline int reads_nothing(void *self, uint64_t page, size_t size, void *const *into, size_t count)
{
    (void)self, (void)page;
    for (size_t i = 0; i < count; i++) {
        memset(into[i], 0, size);
    }
    return 0;
}

#endif
