/* tool/suppress.c - LSan's and memcheck's suppressions do what they do there. */
#include "common/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suppress.h"

static struct suppressions *read_text(const char *text)
{
    char path[] = P_tmpdir "/allot-suppress-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    struct suppressions *s = suppressions_begin();
    bool good = suppressions_read(s, path);
    unlink(path);
    if (!good) {
        suppressions_end(s);
        return NULL;
    }
    return s;
}

static const struct symbol_frame stack[] = {
    {.function = "app::Buffer::grow(unsigned long)",
     .symbol = "_ZN3app6Buffer4growEm",
     .file = "/src/app/buffer.cc",
     .line = 12,
     .module = "/usr/lib/libapp.so.1"},
    {.function = "load_config", .file = "/src/app/config.c", .line = 40, .module = "/usr/bin/app"},
    {.function = "main", .file = "/src/app/main.c", .line = 7, .module = "/usr/bin/app"},
};
#define FRAMES (sizeof stack / sizeof stack[0])

static bool matches_as(const char *text, enum graph_verdict verdict)
{
    struct suppressions *s = read_text(text);
    assert_non_null(s);
    bool match = suppressions_match(s, verdict, stack, FRAMES);
    suppressions_end(s);
    return match;
}

static bool matches(const char *text) { return matches_as(text, GRAPH_DEFINITE); }

static void lsan(void **state)
{
    (void)state;
    assert_true(matches("leak:Buffer::grow\n"));
    assert_true(matches("# mine\n\nleak:load_\n"));
    assert_true(matches("leak:^load_config$\n"));
    assert_false(matches("leak:^oad_config\n"));
    assert_false(matches("leak:load_conf$\n"));
    assert_true(matches("leak:app::*grow\n"));
    assert_true(matches("leak:libapp.so\n"));
    assert_true(matches("leak:config.c"));
    assert_false(matches("leak:nothing\n"));
    assert_true(matches("leak:^app::*::grow*long)$\n"));
    assert_false(matches("leak:load?config\n")); /* no pattern there */
    assert_true(matches("leak:^/usr/bin/app$\n"));
    assert_false(matches("leak:^app$\n"));
}

/* A leak without a stack has its class and its owner. */
static void named(void **state)
{
    (void)state;
    struct suppressions *s = read_text("leak:^Session$\nleak:pool \"conn*\"\n{\nn\nMemcheck:Leak\nfun:Other\n}\n");
    assert_non_null(s);
    assert_true(suppressions_name(s, "Session"));
    assert_false(suppressions_name(s, "OtherSession"));
    assert_true(suppressions_name(s, "pool \"connections\""));
    assert_false(suppressions_name(s, "Other"));
    assert_false(suppressions_name(s, NULL));
    suppressions_end(s);
}

static void memcheck(void **state)
{
    (void)state;
    assert_true(matches("{\n  name\n  Memcheck:Leak\n  fun:_ZN3app6Buffer4growEm\n  fun:load_config\n}\n"));
    assert_true(matches("{\n  name\n  Memcheck:Leak\n  fun:app::Buffer::grow*\n}\n"));
    assert_true(matches("{\nname\nMemcheck:Leak\nfun:malloc\nfun:_ZN3app*\nfun:load_config\n}\n"));
    assert_false(matches("{\nname\nMemcheck:Leak\nfun:malloc\nfun:load_config\n}\n"));
    assert_true(matches("{\nname\nMemcheck:Leak\nfun:malloc\n...\nfun:main\n}\n"));
    assert_true(matches("{\nname\nMemcheck:Leak\n...\nobj:*/bin/app\n}\n"));
    assert_true(matches("{\nname\nMemcheck:Leak\nobj:/usr/lib/libapp.so.?\nsrc:config.c:40\n}\n"));
    assert_false(matches("{\nname\nMemcheck:Leak\nfun:*\nsrc:config.c:41\n}\n"));
    assert_false(matches("{\nname\nMemcheck:Leak\nfun:*\nfun:*\nfun:*\nfun:*\nfun:*\n}\n"));
}

/* "..." stands for any number of frames, none as well; what follows need not be at once behind. */
static void frame_wildcards(void **state)
{
    (void)state;
    assert_true(matches("{\nname\nMemcheck:Leak\n...\n}\n"));
    assert_true(matches("{\nname\nMemcheck:Leak\n...\nfun:load_config\n...\nfun:main\n...\n}\n"));
    assert_true(matches("{\nname\nMemcheck:Leak\nfun:*grow*\n...\nfun:main\n}\n"));
    assert_false(matches("{\nname\nMemcheck:Leak\nfun:load_con?ig\n}\n"));
    assert_true(matches("{\nname\nMemcheck:Leak\n...\nfun:load_con?ig\n}\n"));
    assert_false(matches("{\nname\nMemcheck:Leak\n...\nfun:load_config\n...\nfun:load_config\n}\n"));
    assert_false(matches("{\nname\nMemcheck:Leak\n...\nfun:main\nfun:*\n}\n"));
    assert_true(matches("{\nname\nMemcheck:Leak\n...\nobj:*libapp*\nobj:*\nobj:/usr/bin/app\n}\n"));
    assert_false(matches("{\nname\nMemcheck:Leak\nobj:/usr/lib/libapp.so\n}\n"));
}

/* As valgrind --gen-suppressions=all prints it. */
static void printed_by_memcheck(void **state)
{
    (void)state;
    assert_true(matches(
        "{\n   <insert_a_suppression_name_here>\n   Memcheck:Leak\n   match-leak-kinds: definite\n   fun:malloc\n"
        "   fun:_ZN3app6Buffer4growEm\n   fun:load_config\n   fun:main\n}\n"));
    assert_true(matches(
        "{\n   name\n   Memcheck:Leak\n   match-leak-kinds: definite\n   fun:_Znwm\n   obj:/usr/lib/libapp.so.1\n"
        "   fun:load_config\n   ...\n}\n"));
}

static void kinds(void **state)
{
    (void)state;
    static const char possible[] = "{\nname\nMemcheck:Leak\nmatch-leak-kinds: possible,reachable\nfun:*\n}\n";
    assert_false(matches_as(possible, GRAPH_DEFINITE));
    assert_true(matches_as(possible, GRAPH_POSSIBLE));
    assert_true(matches_as(possible, GRAPH_REACHABLE));
    assert_true(matches_as("{\nn\nMemcheck:Leak\nmatch-leak-kinds: definite\nfun:*\n}\n", GRAPH_UNKNOWN));
    for (enum graph_verdict v = GRAPH_UNKNOWN; v <= GRAPH_DEFINITE; v++) {
        assert_true(matches_as("{\nn\nMemcheck:Leak\nmatch-leak-kinds: all\nfun:*\n}\n", v));
        assert_true(matches_as("{\nn\nMemcheck:Leak\nfun:*\n}\n", v));
        assert_false(matches_as("{\nn\nMemcheck:Leak\nmatch-leak-kinds: none\nfun:*\n}\n", v));
    }
    assert_true(matches_as("{\nn\nMemcheck:Leak\nmatch-leak-kinds:definite,indirect\nfun:*\n}\n", GRAPH_INDIRECT));
    assert_false(matches_as("{\nn\nMemcheck:Leak\nmatch-leak-kinds:definite,indirect\nfun:*\n}\n", GRAPH_POSSIBLE));
}

/* A file for all of valgrind's tools has suppressions of other kinds, which say nothing of leaks. */
static void others_are_passed_over(void **state)
{
    (void)state;
    assert_false(matches("{\nname\nMemcheck:Cond\nfun:*\n}\n{\nname\nHelgrind:Race\nfun:*\n}\n"));
    assert_true(matches(
        "{\nname\nMemcheck:Param\nwrite(buf)\nfun:x\n}\nleak:main\n{\nname\nMemcheck,Addrcheck:Leak\nfun:none\n}\n"));
}

static void refused(void **state)
{
    (void)state;
    assert_null(read_text("leak\n"));
    assert_null(read_text("leak:\n"));
    assert_null(read_text("race:main\n"));
    assert_null(read_text("{\nname\nMemcheck:Leak\nfun:main\n"));
    assert_null(read_text("{\nname\nMemcheck:Leak\nwhat:main\n}\n"));
    assert_null(read_text("{\nname\nMemcheck:Leak\nmatch-leak-kinds: some\nfun:main\n}\n"));
    assert_null(read_text("{\nname\nLeak\nfun:main\n}\n"));
}

static void patterns(void **state)
{
    (void)state;
    assert_true(suppress_like("", ""));
    assert_true(suppress_like("*", ""));
    assert_true(suppress_like("a*b*c", "a-b-b-c"));
    assert_false(suppress_like("a*b*c", "a-b-b-c-"));
    assert_true(suppress_like("?b", "ab"));
    assert_false(suppress_like("?", ""));
    /* Would take for ever by trying all ways. */
    assert_false(suppress_like("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
                               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lsan),
        cmocka_unit_test(memcheck),
        cmocka_unit_test(kinds),
        cmocka_unit_test(others_are_passed_over),
        cmocka_unit_test(refused),
        cmocka_unit_test(patterns),
        cmocka_unit_test(named),
        cmocka_unit_test(frame_wildcards),
        cmocka_unit_test(printed_by_memcheck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
