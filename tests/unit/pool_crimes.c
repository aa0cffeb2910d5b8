/* pool_crimes.c - each misuse of a pool ends the process with one line that names crime, object and pool. */
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "unit/pool.h"

struct crime {
    const char *line; /* of what is said before the address */
    const void *named;
    struct allot_pool pool;
    void *object;
    int kind;
    enum allot_pool_mode mode;
};

static void *put_elsewhere(void *p)
{
    allot_put(p);
    return NULL;
}

static void put_in_thread(void *p)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, put_elsewhere, p), 0);
    pthread_join(thread, NULL);
}

static void commit(void *arg)
{
    struct crime *c = arg;
    void *volatile p = c->object;
    switch (c->kind) {
    case 0: /* twice */
        allot_pool_put(&c->pool, p);
        allot_pool_put(&c->pool, p);
        break;
    case 1: /* twice, others between, and by address alone */
        allot_put(allot_pool_get(&c->pool));
        allot_put(p);
        for (int i = 0; i < 100; i++) {
            allot_put(allot_pool_get(&c->pool) == p ? allot_pool_get(&c->pool) : p);
        }
        break;
    case 2: /* inside */
        allot_pool_put(&c->pool, (char *)p + 8);
        break;
    case 3:
        allot_put((char *)p + 8);
        break;
    case 4: /* never handed out */
        allot_pool_put(&c->pool, (char *)p + 100 * 512);
        break;
    case 5:
        allot_free(p);
        break;
    case 6:
        p = allot_realloc(p, 1000);
        break;
    case 7: /* another's */
        allot_pool_put(&c->pool, allot_malloc(100));
        break;
    case 8:
        allot_pool_done(&c->pool);
        break;
    case 9: /* twice by others, or one and the other */
        if (c->mode != ALLOT_POOL_PRIVATE) {
            put_in_thread(p);
        } else {
            allot_put(p);
        }
        allot_put(p);
        break;
    case 10:
        allot_put(p);
        if (c->mode != ALLOT_POOL_PRIVATE) {
            put_in_thread(p);
        }
        allot_put(p);
        break;
    case 11:
        allot_free_sized(p, 400);
        break;
    }
}

static void expect_line(const struct crime *c, const char *line, const void *named)
{
    struct child_end end = child_run(commit, (void *)c);
    char expected[200];
    snprintf(expected, sizeof expected, "allot: %s at %p\n", line, named);
    if (strncmp(end.text, expected, strlen(expected)) != 0) {
        print_error("kind %d, mode %d: said \"%s\", expected \"%s\"\n", c->kind, (int)c->mode, end.text, expected);
    }
    assert_int_equal(strncmp(end.text, expected, strlen(expected)), 0);
    assert_true(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT);
}

static void crimes(void **state)
{
    (void)state;
    static const char twice[] = "double free: object of 400 bytes of pool \"tried\"",
                      none[] = "put of what is no object: object of 400 bytes of pool \"tried\"",
                      freed[] = "free of what is no live block: object of 400 bytes of pool \"tried\"",
                      again[] = "realloc of what is no live block: object of 400 bytes of pool \"tried\"",
                      live[] = "done while objects are in use: object of 400 bytes of pool \"tried\"";
    EACH_MODE(mode)
    {
        struct crime c = {.mode = mode};
        init(&c.pool, 400, 512, mode);
        char *p = c.object = allot_pool_get(&c.pool);
        static const char *const lines[] = {twice, NULL, none, none,  none,  freed,
                                            again, NULL, live, twice, twice, freed};
        static const int offset[] = {0, 0, 8, 8, 100 * 512};
        for (c.kind = 0; c.kind < 12; c.kind++) {
            if (lines[c.kind]) {
                expect_line(&c, lines[c.kind], p + (c.kind < 5 ? offset[c.kind] : 0));
            }
        }
        allot_put(p);
        allot_pool_done(&c.pool);
        /* the same of one with pages of its own */
        for (size_t size = 50000; size < 10000000; size *= 100) {
            char line[160];
            init(&c.pool, size, 0, mode);
            p = c.object = allot_pool_get(&c.pool);
            static const char *const said[] = {"double free",
                                               "",
                                               "put of what is no object",
                                               "",
                                               "",
                                               "free of what is no live block",
                                               "realloc of what is no live block",
                                               "",
                                               "done while objects are in use",
                                               "double free",
                                               "double free"};
            static const int kinds[] = {0, 2, 5, 6, 8, 9, 10};
            for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
                c.kind = kinds[k];
                snprintf(line, sizeof line, "%s: object of %zu bytes of pool \"tried\"", said[c.kind], size);
                expect_line(&c, line, p + (c.kind == 2 ? 8 : 0));
            }
            allot_put(p);
            allot_pool_done(&c.pool);
        }
    }
}

static struct allot_pool one, other;

static void put_to_other(void *p) { allot_pool_put(&other, p); }
static void put_block(void *p) { allot_put(p); }
static void get_of_done(void *p)
{
    allot_pool_done(&one);
    p = allot_pool_get(&one);
    allot_put(p);
}
static void put_of_done(void *p)
{
    allot_pool_done(&one);
    allot_pool_put(&one, p);
}
static void late(void *p)
{
    allot_put(p);
    allot_pool_done(&one);
    allot_put(p);
}

static void expect_said(void (*code)(void *), void *arg, const char *line, const void *at)
{
    struct child_end end = child_run(code, arg);
    char expected[200];
    snprintf(expected, sizeof expected, "allot: %s at %p\n", line, at);
    assert_true(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT);
    end.text[strcspn(end.text, "\n") + 1] = 0;
    assert_string_equal(end.text, expected);
}

static void others(void **state)
{
    (void)state;
    EACH_MODE(mode)
    {
        assert_int_equal(allot_pool_init(&one, 50, &(struct allot_pool_opts){.name = "one", .mode = mode}), 0);
        assert_int_equal(allot_pool_init(&other, 60, &(struct allot_pool_opts){.name = "other", .mode = mode}), 0);
        void *p = allot_pool_get(&one), *block = allot_malloc(100);
        expect_said(put_to_other, p, "put of another's object: object of 50 bytes of pool \"one\"", p);
        expect_said(put_to_other, block, "put of what is no object: object of 60 bytes of pool \"other\"", block);
        expect_said(put_block, block, "put of what is no object: address", block);
        expect_said(late, p, "put of what is no object: address", p);
        allot_put(p);
        expect_said(get_of_done, p, "use of a pool that was not initialised, or is done: pool", &one);
        expect_said(put_of_done, p, "use of a pool that was not initialised, or is done: pool", &one);
        allot_free(block);
        allot_pool_done(&one);
        allot_pool_done(&other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crimes),
        cmocka_unit_test(others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
