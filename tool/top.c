/* allot top - what a running process does with its heap, as it does it. What is asked of the process, and what that costs it, is top/feed's;
 * the screen is top/screen's. */
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "json.h"
#include "top/feed.h"
#include "top/lines.h"
#include "top/places.h"
#include "top/rows.h"
#include "top/screen.h"
#include "words.h"

static const char help[] =
    "usage: allot top [OPTION...] -p PID\n"
    "\n"
    "Shows what a process on allot's malloc does with its heap, live: what lives and is resident, how\n"
    "much is allocated each second and where, size classes, threads, tags, how full the heap is. The\n"
    "process need not have been started for it, and pays less than 0.1 % of its time: it is asked in\n"
    "its memory, without ptrace, to sample a little and to tell, and stops both when this ends.\n"
    "\n"
    "  -p, --pid=PID         the process; by its user, or root\n"
    "  -e, --every=SECONDS   how often; 1\n"
    "  -v, --view=VIEW       sites, classes, threads or tags; keys 1 to 4 change it\n"
    "  -s, --sort=FIGURE     live, rate, blocks, total or since; of sites\n"
    "      --folder=FOLDER   where key s puts snapshots; the current one\n"
    "      --once            one table as text, after a second: also where there is no terminal\n"
    "  -n, --top=N           so many rows of that; 20, 0 is all\n"
    "  -j, --json            a line of JSON each time; with --once one\n"
    "  -h, --help            this text\n"
    "\n"
    "Keys: h shows them. Exit status: 0, also when the process ends meanwhile; 1 where there is\n"
    "nothing to show; 2 for wrong usage.\n"
    "\n"
    "Examples:\n"
    "  allot top -p 4711                       until q\n"
    "  allot top -p $(pidof server) -s rate    who allocates most, each second\n"
    "  allot top --once -p 4711                for a mail or a log\n"
    "  allot top --json -e 10 -p 4711          a line each ten seconds, for a machine to read\n";

enum { FOLDER = 256, ONCE };

struct request {
    pid_t pid;
    struct screen_wanted screen;
    size_t top;
    bool once, json;
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

/* -- the command line -- */

static bool read_choice(const char *option, const char *const *names, size_t count, unsigned *out)
{
    for (*out = 0; *out < count; ++*out) {
        if (strcmp(names[*out], optarg) == 0) {
            return true;
        }
    }
    complain("top: --%s %s, on the command line, takes %s", option, optarg,
             count == ROWS_VIEWS ? "sites, classes, threads or tags" : "live, rate, blocks, total or since");
    return false;
}

static bool read_option(void *request, int option)
{
    struct request *r = request;
    uint64_t number;
    unsigned choice;
    char *end;
    switch (option) {
    case 'p':
        if (!take_number("top", "pid", optarg, 1, INT32_MAX, &number)) {
            return false;
        }
        r->pid = (pid_t)number;
        return true;
    case 'e':
        r->screen.every = strtod(optarg, &end);
        if (!*optarg || *end || !(r->screen.every >= 0.1 && r->screen.every <= 3600)) {
            complain("top: --every %s, on the command line, takes seconds from 0.1 to 3600", optarg);
            return false;
        }
        return true;
    case 'v':
        if (!read_choice("view", rows_names, ROWS_VIEWS, &choice)) {
            return false;
        }
        r->screen.view = (enum rows_view)choice;
        return true;
    case 's':
        if (!read_choice("sort", rows_sorts, ROWS_SORTS, &choice)) {
            return false;
        }
        r->screen.sort = (enum rows_sort)choice;
        return true;
    case 'n':
        if (!take_number("top", "top", optarg, 0, INT32_MAX, &number)) {
            return false;
        }
        r->top = number;
        return true;
    case FOLDER:
        r->screen.folder = optarg;
        return true;
    case ONCE:
        return r->once = true;
    default:
        return r->json = true;
    }
}

/* 0: go on; else the exit status and 1. */
static int read_arguments(int argc, char **argv, struct request *r)
{
    static const struct option options[] = {
        {"pid", required_argument, NULL, 'p'},  {"every", required_argument, NULL, 'e'},
        {"view", required_argument, NULL, 'v'}, {"sort", required_argument, NULL, 's'},
        {"top", required_argument, NULL, 'n'},  {"folder", required_argument, NULL, FOLDER},
        {"once", no_argument, NULL, ONCE},      {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0},
    };
    *r = (struct request){.top = 20, .screen = {.every = 1, .folder = "."}};
    int status = command_options("top", argc, argv, ":p:e:v:s:n:jh", options, help, read_option, r);
    if (status) {
        return status;
    }
    if (!r->pid || optind != argc) {
        complain("top: %s, on the command line, see allot top --help",
                 r->pid ? "too many arguments" : "no process (--pid)");
        return EXIT_USAGE + 1;
    }
    r->screen.colour = !getenv("NO_COLOR");
    return 0;
}

/* -- without a screen -- */

/* So many seconds, and the lease is kept. False: it is over. */
static bool wait_seconds(struct feed *f, double seconds)
{
    uint64_t until = feed_now() + (uint64_t)(seconds * 1e9);
    for (uint64_t now; (now = feed_now()) < until && !stopped;) {
        uint64_t left = until - now, step = left < 100000000 ? left : 100000000;
        struct timespec pause = {0, (long)step};
        nanosleep(&pause, NULL);
        feed_keep(f);
        if (f->state == FEED_ENDED || f->state == FEED_REFUSED) {
            return false;
        }
    }
    return !stopped;
}

/* Until it has answered: 10 s. */
static bool wait_for_tables(struct feed *f, double every)
{
    uint64_t began = feed_now();
    for (;;) {
        feed_turn(f);
        if (f->state == FEED_ENDED || f->state == FEED_REFUSED || stopped) {
            return false;
        }
        if (feed_is_whole(f)) {
            return true;
        }
        if (feed_now() - began > 10000000000) {
            if (f->tables) { /* nothing is sampled */
                return true;
            }
            complain("process %d does not answer, it has not allocated for 10 s, ask when it does something",
                     (int)f->pid);
            return false;
        }
        if (!wait_seconds(f, every)) {
            return false;
        }
    }
}

static void put_table(struct feed *f, struct places *places, const struct request *r, enum rows_view view)
{
    static struct rows rows;
    rows_make(&rows, f, places, view, r->screen.sort, false);
    size_t shown = r->top == 0 || rows.count < r->top ? rows.count : r->top;
    if (rows.count == 0) {
        return;
    }
    printf("\n%s\n", rows.heading);
    for (size_t i = 0; i < shown; i++) {
        printf("%s  %s\n", rows.row[i].figures, rows.row[i].name);
    }
    if (rows.all > shown) {
        printf("%11s and %s more\n", "", words_count(rows.all - shown).text);
    }
}

static void put_text(struct feed *f, struct places *places, const struct request *r)
{
    static char text[1024];
    static uint64_t value[128];
    char line[LINES_LONGEST];
    size_t columns = words_columns(), width = columns > 20 && columns < 134 ? columns - 6 : 94;
    void (*const lines[])(const struct feed *f, char out[LINES_LONGEST]) = {lines_title, lines_held, lines_rates,
                                                                            lines_sampled};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        lines[i](f, line);
        puts(line);
    }
    size_t cells = lines_strip(f, width, value);
    lines_bars(value, cells, 255, words_utf8(), text, sizeof text);
    printf("heap %s\n", text);
    for (int view = 0; view < ROWS_VIEWS; view++) {
        put_table(f, places, r, (enum rows_view)view);
    }
}

static void put_json(struct feed *f, struct places *places, const struct request *r)
{
    const struct allot_control_now *n = &f->page.now;
    struct json j;
    json_begin(&j, stdout);
    json_object(&j, NULL);
    json_signed(&j, "pid", f->pid);
    json_text(&j, "program", f->name);
    json_number(&j, "time_ms", feed_now() / 1000000);
    json_number(&j, "live", f->live);
    json_number(&j, "peak", n->peak);
    json_number(&j, "resident", f->resident);
    json_number(&j, "held", n->held);
    json_number(&j, "kept", n->kept_slabs + n->kept_runs + n->kept_large);
    json_number(&j, "threads", n->threads);
    json_number(&j, "blocks", f->page.tables.blocks);
    json_real(&j, "allocs_rate", f->rates.allocs < 0 ? NAN : f->rates.allocs);
    json_real(&j, "bytes_rate", f->rates.bytes < 0 ? NAN : f->rates.bytes);
    json_real(&j, "frees_rate", f->rates.frees < 0 ? NAN : f->rates.frees);
    json_real(&j, "freed_rate", f->rates.freed < 0 ? NAN : f->rates.freed);
    json_real(&j, "processors", f->cpu);
    json_number(&j, "sample_mean", n->sample_mean);
    json_number(&j, "samples", n->samples);
    json_real(&j, "silent_s", f->silent);
    json_number(&j, "tables_age_ms", f->tables ? feed_now() / 1000000 - f->tables_at : 0);
    json_number(&j, "answers", f->answers);
    json_number(&j, "answer_ns", f->page.answer_ns);
    json_real(&j, "table_period_s", f->table_period);
    rows_tell(&j, f, places, r->top);
    json_end(&j);
    putchar('\n');
}

static int without_screen(struct feed *f, struct places *places, const struct request *r)
{
    /* A line that is being written is written whole; who does not want to wait for a reader asks twice. */
    struct sigaction action = {.sa_handler = stop, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    double first = r->once && r->screen.every > 1 ? 1 : r->screen.every;
    if (!wait_for_tables(f, first)) {
        return f->state == FEED_ENDED ? 0 : stopped ? 0 : 1;
    }
    for (;;) {
        if (r->json) {
            put_json(f, places, r);
        } else {
            put_text(f, places, r);
        }
        if (fflush(stdout) != 0 || r->once || !r->json || !wait_seconds(f, r->screen.every)) {
            return 0;
        }
        feed_turn(f);
        if (f->state == FEED_ENDED || f->state == FEED_REFUSED) {
            return 0;
        }
    }
}

/* How it ended, where that is for somebody to know. */
static int say_end(const struct feed *f, int status)
{
    if (f->state == FEED_REFUSED) {
        complain("%s", f->why);
        return 1;
    }
    if (f->state == FEED_ENDED) {
        fprintf(stderr, "allot: process %d (%s) has ended", (int)f->pid, f->name);
        if (f->at) {
            fprintf(stderr, ", last seen with %s live", words_bytes(f->live).text);
        }
        fputs("\n", stderr);
    }
    return status;
}

int command_top(int argc, char **argv)
{
    static struct feed feed;
    struct request r;
    int status = read_arguments(argc, argv, &r);
    if (status) {
        return status - 1;
    }
    struct places *places = places_begin(r.pid);
    if (!places || !feed_begin(&feed, r.pid, r.screen.every)) {
        complain("out of memory, process %d, end other programs", (int)r.pid);
        places_end(places);
        return 1;
    }
    if (feed.state != FEED_REFUSED) {
        bool screen = !r.once && !r.json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
        status = screen ? !screen_run(&feed, places, &r.screen) : without_screen(&feed, places, &r);
    }
    status = say_end(&feed, status);
    feed_end(&feed);
    places_end(places);
    return status;
}
