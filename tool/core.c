/* allot core - the heap of a dead process: what of it was lost, and who pointed to what. Reading the core is core/'s, finding who points
 * to whom graph/'s, grouping and printing leaks leaks_print's. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "core/ask.h"
#include "core/dead.h"
#include "core/leaks.h"
#include "core/print.h"
#include "leaks_print.h"
#include "progress.h"
#include "words.h"

static const char help[] =
    "usage: allot core [OPTION...] CORE [PROGRAM]\n"
    "\n"
    "What the heap of a dead process was like, from its core file: which blocks were lost, and\n"
    "what each of them kept. The program ran on allot's malloc or on glibc's. PROGRAM is its\n"
    "file, where that is no longer where the core says.\n"
    "\n"
    "  -a, --all                 the blocks as well that were not lost, and their types\n"
    "  -n, --top=N               so many groups of each verdict at most; 20, 0 is all\n"
    "  -s, --suppressions=FILE   what is no news, as LSan or memcheck read it\n"
    "  -f, --fail-on=VERDICT=N   exit status 1 where more than N blocks are definite, possible,\n"
    "                            indirect, thread-only or reachable; several with commas\n"
    "      --heap                only what the heap was like: sums, damage, what the core lacks\n"
    "      --list                every block: address, bytes, verdict, type\n"
    "  -w, --who=ADDRESS         who points to the block that an address lies in, and to whom it does\n"
    "  -p, --path=ADDRESS        how it was reached: a shortest way from a variable, stack or register\n"
    "  -r, --retained=ADDRESS    bytes that would have gone with it\n"
    "  -j, --json                for a machine to read\n"
    "  -h, --help                this text\n"
    "\n"
    "Exit status: 0; 1 where the core cannot be read, has no heap that is known, or --fail-on says\n"
    "so; 2 for wrong usage.\n"
    "\n"
    "Examples:\n"
    "  allot core core.4711                       what was lost\n"
    "  allot core --fail-on definite=0 core       the same, and exit status 1 if anything was\n"
    "  allot core core.4711 build/server          of a program that has been moved since\n"
    "  allot core --path 0x5581e0c3f2a0 core      why a block was still there\n"
    "  gcore 4711; allot core --heap core.4711    what the heap of one that runs is like\n";

/* -- the command line -- */

enum { HEAP = 256, LIST };

struct request {
    bool all, heap, list, json;
    size_t top;
    const char *suppressions;
    struct core_limits limits;
    struct ask ask;
    const char *core, *program;
};

static bool ask_for(struct request *r, enum ask_what what, const char *text)
{
    if (r->ask.what != ASK_NOTHING) {
        complain("one question at a time, %s, ask again", text);
        return false;
    }
    r->ask.what = what;
    if (!words_read_address(text, &r->ask.address)) {
        complain("no address '%s', on the command line, give one as 0x5581e0c3f2a0", text);
        return false;
    }
    return true;
}

static bool read_option(void *request, int option)
{
    struct request *r = request;
    uint64_t number;
    switch (option) {
    case 'a':
        r->all = true;
        return true;
    case HEAP:
        r->heap = true;
        return true;
    case LIST:
        r->list = true;
        return true;
    case 's':
        r->suppressions = optarg;
        return true;
    case 'n':
        if (!words_read_number(optarg, SIZE_MAX, &number)) {
            complain("no number '%s', --top, give how many groups to show", optarg);
            return false;
        }
        r->top = number;
        return true;
    case 'f':
        return core_limits_read(&r->limits, optarg);
    case 'w':
        return ask_for(r, ASK_WHO, optarg);
    case 'p':
        return ask_for(r, ASK_PATH, optarg);
    case 'r':
        return ask_for(r, ASK_RETAINED, optarg);
    default:
        return r->json = true;
    }
}

/* 0: go on; else the exit status and 1. */
static int read_arguments(int argc, char **argv, struct request *r)
{
    static const struct option options[] = {
        {"all", no_argument, NULL, 'a'},
        {"top", required_argument, NULL, 'n'},
        {"suppressions", required_argument, NULL, 's'},
        {"fail-on", required_argument, NULL, 'f'},
        {"heap", no_argument, NULL, HEAP},
        {"list", no_argument, NULL, LIST},
        {"who", required_argument, NULL, 'w'},
        {"path", required_argument, NULL, 'p'},
        {"retained", required_argument, NULL, 'r'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    *r = (struct request){.top = 20, .limits = CORE_LIMITS_NONE};
    int status = command_options("core", argc, argv, ":an:s:f:w:p:r:jh", options, help, read_option, r);
    if (status) {
        return status;
    }
    if (optind == argc || argc - optind > 2) {
        complain("%s, on the command line, see allot core --help",
                 optind == argc ? "no core file" : "too many arguments");
        return EXIT_USAGE + 1;
    }
    r->core = argv[optind];
    r->program = argv[optind + 1];
    return 0;
}

/* -- answers -- */

static int no_memory(void)
{
    progress_show(NULL);
    complain("no memory to look into it, core, have more memory");
    return 1;
}

static int show_leaks(const struct request *r, const struct dead *dead)
{
    struct leaks *leaks = leaks_begin();
    int status = 1;
    if (!leaks) {
        return no_memory();
    }
    if (!r->suppressions || leaks_suppress(leaks, r->suppressions)) {
        char source[256], note[512];
        snprintf(source, sizeof source, "core %s", r->core);
        struct leaks_wanted wanted = {.json = r->json,
                                      .colour = words_colour(),
                                      .reachable = r->all,
                                      .top = r->top,
                                      .source = source,
                                      .note = core_note(dead, note, sizeof note)};
        if (dead_leaks(dead, leaks, r->all)) {
            progress_show(NULL);
            leaks_print(leaks, &wanted);
            status = core_limits_check(&r->limits, dead, leaks);
        } else {
            status = no_memory();
        }
    }
    leaks_end(leaks);
    return status;
}

static int show(const struct request *r, struct dead *dead)
{
    if (r->heap) {
        progress_show(NULL);
        core_print_heap(dead, r->core, r->json);
        return core_heap_known(dead) ? 0 : 1;
    }
    if (!core_heap_known(dead)) {
        progress_show(NULL);
        complain("%s, %s, see allot core --heap", core_heap_trouble(dead), r->core);
        return 1;
    }
    progress_show("finding who points to whom");
    if (!dead_mark(dead)) {
        return no_memory();
    }
    if (r->ask.what != ASK_NOTHING) {
        int status = ask_answer(&r->ask, dead, r->json, progress_show);
        return status < 0 ? no_memory() : status;
    }
    if (r->list) {
        progress_show(NULL);
        return core_print_list(dead, r->json) ? 0 : no_memory();
    }
    return show_leaks(r, dead);
}

int command_core(int argc, char **argv)
{
    struct request r;
    struct dead dead;
    struct core_error error;
    int status = read_arguments(argc, argv, &r);
    if (status) {
        return status - 1;
    }
    if (!dead_open(&dead, r.core, r.program, progress_show, &error)) {
        progress_show(NULL);
        complain("%s: %s", r.core, error.line);
        return 1;
    }
    status = show(&r, &dead);
    dead_close(&dead);
    return status;
}
