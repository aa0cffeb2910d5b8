/* unit/options.c - ALLOT_OPTIONS and allot_option: what is taken, what is said of the rest, and that the default stays.
 */
#define _GNU_SOURCE
#include "common/unit.h"

#include <errno.h>
#include <signal.h>

#include <allot/malloc.h>

#include "common/child.h"
#include "heap/options.h"
#include "os/process.h"

/* Reads the options anew from an environment of `arg`; then says what they are. */
static void read_environment(void *arg)
{
    setenv("ALLOT_OPTIONS", arg, 1);
    options = (struct options){0};
    options_init();
    fprintf(stderr, "[%s|%d|%ld]", options.stats, options.stats_json, options.stats_pid);
    options = (struct options){0};
}

static void the_environment(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "[|0|0]"},
        {",,", "[|0|0]"},
        {"stats=/tmp/x,stats_format=json,stats_pid=12", "[/tmp/x|1|12]"},
        {"stats_format=json,stats_format=text", "[|0|0]"},
        {"speed=11,stats_pid=4",
         "allot: ALLOT_OPTIONS: speed: no such option; there are stats, stats_format, stats_pid, limit, "
         "soft_limit, hugetlb, share, leaks, leaks_status, leaks_suppressions, leaks_file, guard, sample, "
         "sample_write, sites, harden, fill, redzone, quarantine, watch, record\n[|0|4]"},
        {"stats", "allot: ALLOT_OPTIONS: stats: has no value; options are written name=value,name=value\n[|0|0]"},
        {"stats_format=xml",
         "allot: ALLOT_OPTIONS: stats_format=xml: not a value of this option, which takes text or json; "
         "it stays as it was\n[|0|0]"},
        {"limit=2G,soft_limit=900M,limit=none,soft_limit=none,limit=17,limit=none,stats_pid=4", "[|0|4]"},
        {"hugetlb=2M,hugetlb=1G,hugetlb=off,stats_pid=4", "[|0|4]"},
        {"hugetlb=4M",
         "allot: ALLOT_OPTIONS: hugetlb=4M: not a value of this option, which takes off, 2M or 1G; it stays as "
         "it was\n[|0|0]"},
        {"limit=2X", "allot: ALLOT_OPTIONS: limit=2X: not a value of this option, which takes bytes, as 900M or 2G, or "
                     "none; it stays as it was\n[|0|0]"},
        {"soft_limit=99999999T", "allot: ALLOT_OPTIONS: soft_limit=99999999T: not a value of this option, which takes "
                                 "bytes, as 900M or 2G, or none; it stays as it was\n[|0|0]"},
        {"stats_pid=12x",
         "allot: ALLOT_OPTIONS: stats_pid=12x: not a value of this option, which takes a process id, or 0 "
         "for every process; it stays as it was\n[|0|0]"},
        {"stats_pid=-1",
         "allot: ALLOT_OPTIONS: stats_pid=-1: not a value of this option, which takes a process id, or 0 "
         "for every process; it stays as it was\n[|0|0]"},
        {"stats=",
         "allot: ALLOT_OPTIONS: stats=: not a value of this option, which takes stderr or a file's path of at "
         "most 255 bytes; it stays as it was\n[|0|0]"},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct child_end end = child_run(read_environment, (void *)cases[i].text);
        assert_int_equal(end.status, 0);
        assert_string_equal(end.text, cases[i].says);
    }
}

static void too_long_to_be_read_whole(void **state)
{
    (void)state;
    char text[1100] = "stats_pid=4,stats=/";
    memset(text + strlen(text), 'x', sizeof text - 1 - strlen(text));
    struct child_end end = child_run(read_environment, text);
    assert_string_equal(end.text, "allot: ALLOT_OPTIONS: 1099 bytes long, more than 1023: none of it is taken\n[|0|0]");
}

/* The program's own variables are not there yet when the dynamic linker allocates: the kernel's copy is read. */
static void before_libc_is_ready(void *arg)
{
    (void)arg;
    char value[8];
    char **kept = environ;
    environ = NULL;
    long length = os_getenv("TESTED_VARIABLE", value, sizeof value), none = os_getenv("TESTED_VARIABL", value, 1);
    environ = kept;
    fprintf(stderr, "%ld %s %ld", length, value, none);
}

static void the_kernels_environment(void **state)
{
    (void)state;
    if (!getenv("TESTED_VARIABLE")) {
        setenv("TESTED_VARIABLE", "12345678901", 1);
        execl("/proc/self/exe", "options", NULL);
        fail_msg("exec failed");
    }
    struct child_end end = child_run(before_libc_is_ready, NULL);
    assert_string_equal(end.text, "11 1234567 -1");
}

static void call(void *arg)
{
    (void)arg;
    int error = allot_option("stats_format", "yaml");
    fprintf(stderr, "%d", error == -EINVAL);
}

static void the_function(void **state)
{
    (void)state;
    assert_int_equal(allot_option("stats_pid", "77"), 0);
    assert_int_equal(options.stats_pid, 77);
    assert_int_equal(allot_option("stats_pid", "0"), 0);
    struct child_end end = child_run(call, NULL);
    assert_string_equal(end.text,
                        "allot: allot_option: stats_format=yaml: not a value of this option, which takes text or "
                        "json; it stays as it was\n1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_environment),
        cmocka_unit_test(too_long_to_be_read_whole),
        cmocka_unit_test(the_kernels_environment),
        cmocka_unit_test(the_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
