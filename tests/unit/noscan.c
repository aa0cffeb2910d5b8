/* unit/noscan.c - memory in which nobody looks for pointers: all of it is listed while it is there, by complements only. */
#include "common/unit.h"

#include <pthread.h>
#include <stdbool.h>

#include "os/memory.h"
#include "os/noscan.h"

/* How many places say `at`; and how many are taken. */
static size_t listed(const void *at, size_t *all)
{
    size_t found = 0;
    *all = 0;
    for (const struct noscan_table *table = os_noscan.first; table; table = table->next) {
        for (size_t i = 0; i < noscan_places(table); i++) {
            uintptr_t hidden = table->place[i].hidden;
            *all += hidden != 0;
            found += hidden == ~(uintptr_t)at;
            assert_true(hidden == 0 || table->place[i].length % os_page == 0);
        }
    }
    return found;
}

static void is_listed_while_it_is_there(void **state)
{
    (void)state;
    size_t before, all;
    listed(NULL, &before);
    char *p = os_map_noscan(3 * os_page + 1);
    assert_non_null(p);
    assert_int_equal(listed(p, &all), 1);
    assert_int_equal(all, before + 1);
    p[3 * os_page] = 1;
    os_unmap_noscan(p, 3 * os_page + 1);
    assert_int_equal(listed(p, &all), 0);
    assert_int_equal(all, before);
}

static void many(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    static char *p[MANY];
    size_t before, all;
    listed(NULL, &before);
    for (size_t i = 0; i < MANY; i++) {
        p[i] = os_map_noscan(os_page);
        assert_non_null(p[i]);
    }
    for (size_t i = 0; i < MANY; i += 97) {
        assert_int_equal(listed(p[i], &all), 1);
        assert_int_equal(all, before + MANY);
    }
    for (size_t i = 0; i < MANY; i++) {
        os_unmap_noscan(p[i], os_page);
    }
    listed(NULL, &all);
    assert_int_equal(all, before);
}

/* What cannot be listed is not had, and nothing is left of it. */
static void memory_ends_at_each_request(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    static char *p[MANY];
    size_t had = 0, before = os_mapped(), tables = 0, all;
    for (long n = 0; n < MANY; n++) {
        os_fail_after(n % 3);
        p[had] = os_map_noscan(os_page);
        os_fail_after(-1);
        had += p[had] != NULL;
    }
    for (const struct noscan_table *table = os_noscan.first; table; table = table->next) {
        tables++;
    }
    assert_true(tables > 1 && had >= MANY / 3);
    for (size_t i = 0; i < had; i++) {
        assert_int_equal(listed(p[i], &all), 1);
        os_unmap_noscan(p[i], os_page);
    }
    listed(NULL, &all);
    assert_int_equal(all, 0);
    assert_true(os_mapped() >= before); /* the tables stay */
}

static void *come_and_go(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        void *p[8];
        for (int k = 0; k < 8; k++) {
            p[k] = os_map_noscan(os_page);
        }
        for (int k = 0; k < 8; k++) {
            os_unmap_noscan(p[k], os_page);
        }
    }
    return NULL;
}

static void by_threads(void **state)
{
    (void)state;
    pthread_t thread[4];
    size_t all;
    for (int i = 0; i < 4; i++) {
        pthread_create(&thread[i], NULL, come_and_go, NULL);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], NULL);
    }
    listed(NULL, &all);
    assert_int_equal(all, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_ends_at_each_request),
        cmocka_unit_test(is_listed_while_it_is_there),
        cmocka_unit_test(many),
        cmocka_unit_test(by_threads),
    };
    os_memory_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
