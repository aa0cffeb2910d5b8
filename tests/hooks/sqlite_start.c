/* sqlite_start.c - SQLite's pages in the pager from the program's start on, for programs that have SQLite in them and know nothing
 * of it: its own testfixture, say, linked with this file and liballot.a.
 *
 *     cc ... testfixture's sources ... sqlite_start.c -I include liballot.a -pthread
 *     SQLITE_PAGES=s3-fifo testfixture test/trans.test       SQLITE_PAGES=own: with its own cache, to compare
 */
#define main example_main
#include "../../examples/hooks/sqlite_pages.c"
#undef main

static __attribute__((constructor)) void start(void)
{
    const char *wanted = getenv("SQLITE_PAGES");
    if (wanted && strcmp(wanted, "own") == 0) {
        return;
    }
    sqlite_policy = wanted ? allot_evict_named(wanted) : ALLOT_GRADUAL;
    assert(sqlite_policy < ALLOT_EVICT_POLICIES && sqlite_pages_on_allot() == SQLITE_OK);
}
