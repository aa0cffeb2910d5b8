/* unit/lease.c - another process looks on: sampling for its sake, the page that is made for it, and that all is as before afterwards. */
#include "common/unit.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include <allot/malloc.h>
#include <allot/sample.h>

#include "control.h"
#include "heap/describe.h"
#include "os/process.h"

extern struct core_desc allot_core_desc;
static struct allot_control page;

static void put_word(int fd, uint64_t word, size_t at)
{
    assert_int_equal(pwrite(fd, &word, sizeof word, (off_t)at), sizeof word);
}

/* By slow paths, on which requests are heard; and so much that it is sampled, whatever the chance. */
static void work(void)
{
    for (int i = 0; i < 2000; i++) {
        allot_free(allot_malloc(200000));
    }
}

static void lease(int fd, uint64_t mean, uint64_t number)
{
    put_word(fd, mean, offsetof(struct allot_control, lease_mean));
    put_word(fd, number, offsetof(struct allot_control, lease));
}

static void knock(void) { atomic_fetch_add(&allot_core_desc.asked, 0x10000); }

static void read_page(int fd) { assert_int_equal(control_read(fd, &page), 0); }

static int open_apart(void)
{
    bool by_memory;
    int fd = control_open_any(getpid(), &by_memory);
    assert_true(fd < 0 || by_memory);
    return fd;
}

static void one_that_shares_is_sampled_while_the_lease_lasts(void **state)
{
    (void)state;
    assert_int_equal(allot_option("share", "on"), 0);
    int fd = control_open(getpid());
    lease(fd, 1 << 20, 1);
    work();
    read_page(fd);
    assert_int_equal(page.lease_heard, 1);
    assert_int_equal(page.now.sample_mean, 1 << 20);
    lease(fd, 2 << 20, 2);
    put_word(fd, 1, offsetof(struct allot_control, asked));
    work();
    read_page(fd);
    assert_int_equal(page.now.sample_mean, 2 << 20);
    assert_true(page.now.samples > 0 && page.now.alloc_bytes > 0 && page.now.alloc_bytes >= page.now.free_bytes);
    assert_int_equal(page.answered, 1);
    assert_true(page.answer_ns > 0);
    lease(fd, 0, 3);
    work();
    read_page(fd);
    assert_int_equal(page.lease_heard, 3);
    assert_int_equal(page.now.sample_mean, 0);
    uint64_t before = page.now.samples;
    work();
    put_word(fd, 2, offsetof(struct allot_control, asked));
    work();
    read_page(fd);
    assert_int_equal(page.now.samples, before);
    close(fd);
    assert_int_equal(allot_option("share", "off"), 0);
}

static void what_the_program_samples_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(allot_sample_rate(300000), 0);
    assert_int_equal(allot_option("share", "on"), 0);
    int fd = control_open(getpid());
    lease(fd, 1 << 20, 1);
    work();
    lease(fd, 0, 2);
    work();
    put_word(fd, 1, offsetof(struct allot_control, asked));
    work();
    read_page(fd);
    assert_int_equal(page.now.sample_mean, 300000);
    close(fd);
    assert_int_equal(allot_option("share", "off"), 0);
    assert_int_equal(allot_sample_rate(0), 0);
}

static void __attribute__((noinline)) * make_one(size_t size) { return allot_malloc(size); }

static void who_is_asked_in_its_memory_has_a_page_for_as_long(void **state)
{
    (void)state;
    void *kept[64];
    assert_int_equal(open_apart(), -ENOENT);
    knock();
    work();
    int fd = open_apart();
    assert_true(fd >= 0);
    assert_int_equal(control_open(getpid()), -ENOENT);
    assert_int_equal(allot_core_desc.page_error, 0);
    lease(fd, 64 << 10, 1);
    put_word(fd, 1, offsetof(struct allot_control, asked));
    work(); /* it is not looked at by itself */
    read_page(fd);
    assert_int_equal(page.lease_heard, 0);
    assert_int_equal(page.answered, 0);
    knock();
    work();
    read_page(fd);
    assert_int_equal(page.lease_heard, 1);
    assert_int_equal(page.now.sample_mean, 64 << 10);
    for (int i = 0; i < 64; i++) {
        kept[i] = make_one(300000);
    }
    put_word(fd, 2, offsetof(struct allot_control, asked));
    knock();
    work();
    read_page(fd);
    assert_int_equal(page.answered, 2);
    assert_true(page.tables.live >= 64 * 300000 && page.tables.sites > 0 && page.tables.cells > 0);
    bool found = false, filled = false;
    for (size_t i = 0; i < page.tables.sites && i < ALLOT_CONTROL_SITES; i++) {
        const struct allot_control_site *s = &page.tables.of_site[i];
        assert_true(s->frames > 0 && s->frames <= ALLOT_CONTROL_FRAMES && s->id);
        found |= s->live_bytes > 60 * 300000 && s->live_bytes < 68 * 300000 && s->live_blocks >= 60;
    }
    for (size_t i = 0; i < page.tables.cells; i++) {
        filled |= page.tables.cell[i] > 0;
    }
    assert_true(found && filled);
    lease(fd, 0, 2);
    knock();
    work();
    close(fd); /* or it would be found by this one */
    assert_int_equal(open_apart(), -ENOENT);
    for (int i = 0; i < 64; i++) {
        allot_free(kept[i]);
    }
}

/* Nobody looks at the child of a fork, and it is not sampled for anybody. */
static void a_child_is_left_alone(void **state)
{
    (void)state;
    int status;
    knock();
    work();
    int fd = open_apart();
    lease(fd, 1 << 20, 1);
    knock();
    work();
    pid_t pid = fork();
    if (pid == 0) {
        bool by_memory;
        close(fd);
        work();
        int none = control_open_any(getpid(), &by_memory);
        knock();
        work();
        int own = control_open_any(getpid(), &by_memory);
        bool fine = none == -ENOENT && own >= 0 && control_read(own, &page) == 0 && page.pid == getpid() &&
                    page.now.sample_mean == 0;
        _exit(fine ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    read_page(fd);
    assert_int_equal(page.now.sample_mean, 1 << 20);
    lease(fd, 0, 2);
    knock();
    work();
    close(fd);
    assert_int_equal(open_apart(), -ENOENT);
}

/* The program shares while somebody looks on: the page is its own from then on, and who looks on finds that. */
static void the_program_shares_meanwhile(void **state)
{
    (void)state;
    knock();
    work();
    int fd = open_apart();
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(allot_option("share", "on"), 0);
    fd = control_open(getpid());
    assert_true(fd >= 0);
    lease(fd, 1 << 20, 1);
    knock();
    work();
    lease(fd, 0, 2);
    work();
    close(fd);
    fd = control_open(getpid());
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(allot_option("share", "off"), 0);
    assert_int_equal(control_open(getpid()), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_asked_in_its_memory_has_a_page_for_as_long),
        cmocka_unit_test(one_that_shares_is_sampled_while_the_lease_lasts),
        cmocka_unit_test(what_the_program_samples_is_left_alone),
        cmocka_unit_test(a_child_is_left_alone),
        cmocka_unit_test(the_program_shares_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
