/* lisp.c - a Lisp on a collected heap: the command.
 *
 * Usage: lisp [--mark | --copy | --count] [--stress] [--steps] [--limit=MIB] [--stats] [FILE ...]
 *
 * Evaluates what is in the files, or on standard input, one datum after the other. An error says so on standard error, and evaluation goes
 * on with the next datum. --stress collects at every allocation, --steps in steps of 200 us; past --limit memory is out, which
 * is an error like any other. In the end everything is let go, and nothing may be left: exit status 1 if there was an error, 3 if
 * something was.
 */
#include "lisp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "prelude.h"

static jmp_buf next_datum;
static bool failed, ready; /* ready: there is a next datum to go to */

void lisp_error(const char *format, ...)
{
    va_list words;
    va_start(words, format);
    fputs("error: ", stderr);
    vfprintf(stderr, format, words);
    putc('\n', stderr);
    va_end(words);
    failed = true;
    if (!ready) {
        exit(2);
    }
    longjmp(next_datum, 1);
}

static void let_go(enum reg first, enum reg past)
{
    for (enum reg i = first; i < past; i++) {
        set(i, NULL);
    }
}

static void evaluate_all(FILE *from)
{
    ready = true;
    setjmp(next_datum); /* an error comes back here */
    let_go(EXPR, SYMBOLS);
    while (read_datum(from)) {
        set(EXPR, reg[VALUE]);
        evaluate();
        let_go(EXPR, SYMBOLS);
    }
}

static void print_stats(void)
{
    struct allot_gc_stats stats;
    allot_gc_stats(&heap, &stats);
    fprintf(stderr,
            "%" PRIu64 " KiB allocated, %" PRIu64 " KiB held at most, %" PRIu64 " collections, %" PRIu64
            " of the young, ",
            stats.allocated / 1024, stats.use.peak / 1024, stats.collections, stats.young);
    fprintf(stderr, "%" PRIu64 " went in circles, %" PRIu64 " us stood at most\n", stats.cycles,
            stats.longest_ns / 1000);
}

static _Noreturn void usage(void)
{
    fprintf(stderr,
            "usage: lisp [--mark | --copy | --count] [--stress] [--steps] [--limit=MIB] [--stats] [FILE ...]\n");
    exit(2);
}

static struct {
    enum allot_gc_kind kind;
    struct allot_gc_opts heap;
    bool stats;
} options = {.kind = ALLOT_GC_COPY, .heap = {.name = "lisp"}};

/* Where the files begin. */
static int read_options(int argc, char **argv)
{
    int at = 1;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        const char *option = argv[at] + 2;
        if (strcmp(option, "mark") == 0) {
            options.kind = ALLOT_GC_MARK;
        } else if (strcmp(option, "copy") == 0) {
            options.kind = ALLOT_GC_COPY;
        } else if (strcmp(option, "count") == 0) {
            options.kind = ALLOT_GC_COUNT;
        } else if (strcmp(option, "stress") == 0) {
            options.heap.flags |= ALLOT_GC_STRESS;
        } else if (strcmp(option, "steps") == 0) {
            options.heap.step_ns = 200000;
        } else if (strncmp(option, "limit=", 6) == 0) {
            options.heap.limit = strtoull(option + 6, NULL, 10) << 20;
        } else if (strcmp(option, "stats") == 0) {
            options.stats = true;
        } else {
            usage();
        }
    }
    return at;
}

static void evaluate_file(const char *name, FILE *from)
{
    if (!from) {
        perror(name);
        exit(2);
    }
    evaluate_all(from);
    if (from != stdin) {
        fclose(from);
    }
}

int main(int argc, char **argv)
{
    int at = read_options(argc, argv);
    int why = allot_gc_init(&heap, options.kind, &options.heap);
    if (why || (why = allot_gc_attach(&heap, &me))) {
        fprintf(stderr, "lisp: %s\n", strerror(-why));
        return 2;
    }
    ALLOT_GC_FRAME(&me, frame, REGISTERS);
    reg = frame.slot;

    machine_init();
    evaluate_file("the prelude", fmemopen((void *)(uintptr_t)prelude, sizeof prelude - 1, "r"));
    if (at == argc) {
        evaluate_file("standard input", stdin);
    }
    for (; at < argc; at++) {
        evaluate_file(argv[at], fopen(argv[at], "r"));
    }

    fflush(stdout);
    if (options.stats) {
        print_stats();
    }
    let_go(EXPR, REGISTERS);
    allot_gc_collect(&me);
    struct allot_gc_stats left;
    allot_gc_stats(&heap, &left);
    if (left.use.count) {
        fprintf(stderr, "lisp: %" PRIu64 " objects are left\n", left.use.count);
        return 3;
    }
    return failed;
}
