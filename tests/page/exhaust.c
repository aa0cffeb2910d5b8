/* page/exhaust.c - memory ends at every possible moment of a pager's life: for n = 0, 1, 2, ... the heap and the system grant n
 * more requests and none after, while a script runs that uses every function. Each failure is the return with ENOMEM, and leaves
 * all as it was; when memory is back the same call works. The last n is the one at which nothing fails.
 */
#include "common/check.h"

#include <allot/malloc.h>
#include <allot/pager.h>

#include "common/requests.h"

REQUESTS(void *, allot_malloc, (size_t size), (size), NULL)
REQUESTS(void *, allot_calloc, (size_t n, size_t size), (n, size), NULL)
REQUESTS(void *, os_map_aligned, (size_t size, size_t align), (size, align), NULL)

#define TRY(call)                        \
    do {                                 \
        errno = 7;                       \
        REQUESTS_TRY_INT(call, (void)0); \
        CHECK(errno == 7);               \
    } while (0)

static void put(struct allot_pager *pager, uint64_t page)
{
    uint64_t *at;
    REQUESTS_TRY(at, allot_pager_pin(pager, page, ALLOT_PAGER_WRITE), (void)0);
    at[3] = page;
    allot_pager_unpin(pager, at, ALLOT_PAGER_WRITE);
}

static void get(struct allot_pager *pager, uint64_t page, uint64_t wanted)
{
    uint64_t *at = allot_pager_pin(pager, page, ALLOT_PAGER_READ);
    CHECK(at && at[3] == wanted);
    allot_pager_unpin(pager, at, ALLOT_PAGER_READ);
}

static void script(void)
{
    static const uint64_t pages[] = {1, 2, 3, 5000, (uint64_t)1 << 25, (uint64_t)1 << 45, 4, 1 << 22};
    enum { COUNT = sizeof pages / sizeof *pages };
    struct allot_store store, journal;
    struct allot_pager pager;
    TRY(allot_store_memory(&store, 0));
    TRY(allot_store_memory(&journal, 0));
    struct allot_pager_opts opts = {.frames = 4, .journal = &journal, .policy = ALLOT_ARC};
    TRY(allot_pager_init(&pager, &store, &opts));
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            put(&pager, pages[i]);
        }
        TRY(allot_pager_flush(&pager));
    }
    TRY(allot_pager_prefetch(&pager, 1 << 27, 3));
    void *at = allot_pager_pin(&pager, 4, ALLOT_PAGER_WRITE);
    CHECK(at);
    TRY(allot_pager_rename(&pager, at, (uint64_t)1 << 40));
    allot_pager_unpin(&pager, at, ALLOT_PAGER_WRITE);
    TRY(allot_pager_sync(&pager));
    allot_pager_check(&pager);
    get(&pager, (uint64_t)1 << 40, 4);
    for (size_t i = 0; i < COUNT; i++) {
        get(&pager, pages[i], pages[i]);
    }
    TRY(allot_pager_done(&pager));
    allot_store_done(&store);
    allot_store_done(&journal);
}

int main(void)
{
    check_watch_aborts();
    size_t total = 0;
    for (long n = 0;; n++) {
        requests_grant(n);
        requests_failed = 0;
        snprintf(check_context, sizeof check_context, "%ld requests granted", n);
        script();
        CHECK(requests_failed <= 1);
        if (requests_failed == 0) {
            break;
        }
        total++;
    }
    CHECK(total > 20);
    return 0;
}
