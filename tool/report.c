/* allot report - what a recorded trace says: in sentences, then in tables, or all of it as JSON. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "export/export.h"
#include "replay/model.h"
#include "report.h"
#include "view.h"
#include "words.h"

#define ADVICE_UNASKED 1000000 /* events */

static const char help[] = /* %s: the formats */
    "usage: allot report [OPTION...] FILE\n"
    "\n"
    "Says what a recorded program did with its memory: in a few sentences, then in tables of the\n"
    "places that allocated; or as a page for a browser, one file that needs nothing else. FILE is a\n"
    "trace of allot record, or one of heaptrack, mtrace, DHAT or malloclab.\n"
    "\n"
    "  -o, --output=FILE    a page: what happened over time, flame graphs, a map of the heap, sizes,\n"
    "                       lifetimes, sites, strategies, leaks, threads; of an export where it goes,\n"
    "                       else to standard output\n"
    "  -v, --view=NAME      one of the page's views as text, or with --json its data: timeline, flame,\n"
    "                       map, sizes, lifetimes, sites, strategies, leaks, threads, diff, or all\n"
    "  -B, --before=FILE    an earlier run, to show this one beside: for --output and --view\n"
    "      --leaks=SNAPSHOT what leaks is by a snapshot of the same process, with paths: see allot snap\n"
    "      --strategies     replays the trace on all strategies however long it is, for --output and\n"
    "                       --view; else where it has at most 2 million calls\n"
    "      --no-strategies  does not\n"
    "  -t, --text           as text, which it is anyway\n"
    "  -j, --json           as JSON, all of it\n"
    "  -s, --sort=WHAT      one table of places only, by peak, end, allocs, temporary, bytes,\n"
    "                       growth, reallocs or slack; a view also by pinned or leaked\n"
    "  -n, --top=N          so many rows of each table; 0: all; 10 unless told\n"
    "  -p, --process=N      of one process only, by its number in the trace\n"
    "  -F, --from=TIME      from there, and\n"
    "  -T, --to=TIME        up to there: 2s, 150ms, since recording began\n"
    "  -l, --lived=TIME     what lives less is temporary; 1ms unless told\n"
    "  -a, --advice[=WHAT]  what to change, each replayed on the trace to know what it saves: no, or\n"
    "                       the strategy that stands for malloc; allot, and of no more than a\n"
    "                       million events, unless told\n"
    "  -x, --export=FORMAT  for another program, in its own format:\n"
    "%s"
    "  -h, --help           this text\n"
    "\n"
    "Exit status: 0; 1 where the trace cannot be read; 2 for wrong usage.\n"
    "\n"
    "Examples:\n"
    "  allot report app.allot                          what happened\n"
    "  allot report -o app.html app.allot              as a page\n"
    "  allot report -o app.html -B old.allot app.allot and what has changed\n"
    "  allot report --view map app.allot               where blocks lay, in a terminal\n"
    "  allot report --sort growth --top 0 app.allot    all that grows\n"
    "  allot report --advice app.allot                 and what to do about it, however long that takes\n"
    "  allot report --from 2s --to 3s app.allot        a second of it\n"
    "  allot report --json app.allot | jq .peak        for a machine to read\n"
    "  allot report -x pprof -o app.pb.gz app.allot    for go tool pprof\n"
    "  allot report -x folded app.allot | flamegraph.pl > app.svg\n";

/* In the order of enum measure, which has more. */
const char *const report_sorts[REPORT_SORTS] = {"peak",  "end",    "allocs",   "temporary",
                                                "bytes", "growth", "reallocs", "slack"};

uint64_t report_figure(const struct look *look, const struct group *g, enum report_sort sort)
{
    switch (sort) {
    case BY_PEAK:
        return g->sum.peak_bytes;
    case BY_END:
        return g->sum.left_bytes;
    case BY_ALLOCS:
        return g->sum.allocs;
    case BY_TEMPORARY:
        return g->sum.temporary;
    case BY_BYTES:
        return g->sum.bytes;
    case BY_GROWTH:
        return profile_growth(look->profile, &g->sum);
    case BY_REALLOCS:
        return g->sum.reallocs;
    default:
        return g->sum.slack;
    }
}

static struct {
    const struct look *look;
    enum report_sort sort;
} order;

static int compare(const void *a, const void *b)
{
    const struct group *x = &order.look->group[*(const uint32_t *)a], *y = &order.look->group[*(const uint32_t *)b];
    uint64_t of_x = report_figure(order.look, x, order.sort), of_y = report_figure(order.look, y, order.sort);
    return of_x != of_y ? (of_x < of_y ? 1 : -1) : names_compare(&x->place, &y->place);
}

uint32_t report_order(const struct look *look, enum report_sort sort, uint32_t *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < look->groups; i++) {
        if (report_figure(look, &look->group[i], sort) > 0) {
            out[count++] = i;
        }
    }
    order.look = look;
    order.sort = sort;
    qsort(out, count, sizeof *out, compare);
    return count;
}

/* -- the command -- */

struct request {
    struct report_wanted report;
    struct profile_wanted profile;
    bool window;
    bool advice, no_advice; /* neither: where it takes no time */
    const char *base;       /* of advice; NULL: its own */
    const char *path;
    const char *format, *output; /* of an export; NULL */
    struct view_wanted view;
};

static bool read_time(const char *option, const char *text, uint64_t *out)
{
    if (!words_read_ns(text, out)) {
        complain("report: --%s %s, on the command line, takes a time like 1.5s or 200ms", option, text);
        return false;
    }
    return true;
}

static bool take_option(struct request *r, int option)
{
    uint64_t number;
    size_t i = 0;
    switch (option) {
    case 'j':
        r->report.json = true;
        return true;
    case 't':
        return true;
    case 's':
        while (i < MEASURES && strcmp(measures[i].name, optarg) != 0) {
            i++;
        }
        if (i == MEASURES) {
            complain("report: --sort %s, on the command line, takes peak, end, allocs, temporary, bytes, growth, "
                     "reallocs or slack; with --view also pinned or leaked",
                     optarg);
            return false;
        }
        r->view.by = (enum measure)i;
        r->report.all_tables = false;
        return true;
    case 'n':
        if (!take_number("report", "top", optarg, 0, UINT32_MAX, &number)) {
            return false;
        }
        r->report.top = number;
        return true;
    case 'p':
        if (!take_number("report", "process", optarg, 0, UINT32_MAX, &number)) {
            return false;
        }
        if (number == 0) {
            complain("report: --process 0, on the command line, processes are numbered from 1");
            return false;
        }
        r->profile.process = (uint32_t)number;
        return true;
    case 'F':
        r->window = true;
        return read_time("from", optarg, &r->profile.from);
    case 'T':
        r->window = true;
        return read_time("to", optarg, &r->profile.to);
    case 'x':
        r->format = optarg;
        if (!export_is_format(optarg)) {
            complain("report: --export %s, on the command line, see allot report --help for the formats", optarg);
        }
        return export_is_format(optarg);
    case 'o':
        r->output = optarg;
        return true;
    case 'L':
        r->view.snapshot = optarg;
        return true;
    case 'B':
        r->view.before = optarg;
        return true;
    case 'R':
    case 'r':
        r->view.replay = option == 'R';
        r->view.no_replay = option == 'r';
        return true;
    case 'v':
        r->view.view = optarg;
        if (!view_is(optarg)) {
            complain("report: --view %s, on the command line, see allot report --help for the views", optarg);
        }
        return view_is(optarg);
    case 'a':
        r->no_advice = optarg && strcmp(optarg, "no") == 0;
        r->advice = !r->no_advice;
        r->base = r->advice ? optarg : NULL;
        if (r->base && !model_kind_of(r->base)) {
            complain("report: --advice=%s, on the command line, takes no, or a strategy of allot compare", optarg);
            return false;
        }
        return true;
    default:
        return read_time("lived", optarg, &r->profile.temporary);
    }
}

static bool parse(int argc, char **argv, struct request *out)
{
    static const struct option options[] = {
        {"text", no_argument, NULL, 't'},          {"json", no_argument, NULL, 'j'},
        {"sort", required_argument, NULL, 's'},    {"top", required_argument, NULL, 'n'},
        {"process", required_argument, NULL, 'p'}, {"from", required_argument, NULL, 'F'},
        {"to", required_argument, NULL, 'T'},      {"lived", required_argument, NULL, 'l'},
        {"advice", optional_argument, NULL, 'a'},  {"export", required_argument, NULL, 'x'},
        {"output", required_argument, NULL, 'o'},  {"view", required_argument, NULL, 'v'},
        {"before", required_argument, NULL, 'B'},  {"leaks", required_argument, NULL, 'L'},
        {"strategies", no_argument, NULL, 'R'},    {"no-strategies", no_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
    };
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":tjs:n:p:F:T:l:a::x:o:v:B:h", options, NULL)) != -1) {
        if (option == 'h') {
            printf(help, export_help);
            exit(0);
        }
        if (option == ':' || option == '?') {
            complain_option("report", option, argv);
            return false;
        }
        if (!take_option(out, option)) {
            return false;
        }
    }
    if (argc - optind != 1) {
        complain("report: %s, on the command line, name one", argc == optind ? "no trace" : "more than one trace");
        return false;
    }
    if (out->profile.to && out->profile.from >= out->profile.to) {
        complain("report: --to, on the command line, has to be after --from");
        return false;
    }
    if (out->format && out->view.view) {
        complain("report: --export, on the command line, goes without --view");
        return false;
    }
    if (out->advice && (out->window || (!out->report.all_tables && !out->view.view))) {
        complain("report: --advice, on the command line, is of the whole trace: leave --from, --to and --sort out");
        return false;
    }
    if ((out->view.before || out->view.snapshot) && !out->view.view && !out->output) {
        complain("report: --%s, on the command line, goes with --view or --output",
                 out->view.before ? "before" : "leaks");
        return false;
    }
    if (!out->report.all_tables && !out->view.view) {
        if (out->view.by >= (enum measure)REPORT_SORTS) {
            complain("report: --sort %s, on the command line, goes with --view", measures[out->view.by].name);
            return false;
        }
        out->report.sort = (enum report_sort)out->view.by;
    }
    out->path = argv[optind];
    return true;
}

/* -- advice -- */

struct progress {
    time_t began;
    bool shown;
};

static void show_progress(void *arg, const char *name, uint64_t done, uint64_t of)
{
    struct progress *p = arg;
    if (time(NULL) - p->began >= 1) {
        fprintf(stderr, "\r\033[Kreplaying: %s, %d %%", name, (int)(100.0 * (double)done / (double)of));
        p->shown = true;
    }
}

/* Where it was asked for, or takes no time. False: it is complained. */
static bool advise(struct request *r, const struct look *look, struct advice_list *out)
{
    struct progress progress = {.began = time(NULL)};
    struct advice_wanted wanted = {
        .base = r->base, .progress = isatty(STDERR_FILENO) ? show_progress : NULL, .arg = &progress};
    struct trace_error error;
    struct stat is;
    bool again = stat(r->path, &is) == 0 && S_ISREG(is.st_mode); /* what came through a pipe is gone */
    bool quick = look->profile->events <= ADVICE_UNASKED && !r->window && r->report.all_tables;
    if (r->no_advice || !(r->advice || (quick && again))) {
        return true;
    }
    int failed = advice_of(look, NULL, &wanted, out, &error);
    if (progress.shown) {
        fputs("\r\033[K", stderr);
    }
    if (failed) {
        complain("%s", error.line);
        return false;
    }
    r->report.advice = out;
    return true;
}

int report_misfit(const struct look *look, const struct profile_wanted *wanted, bool window)
{
    if (window && !look->profile->timed) {
        complain("report: the trace has no times, %s, leave --from and --to out", look->path);
        return EXIT_USAGE;
    }
    if (wanted->process && look->profile->processes == 0) {
        complain("report: no process of that number, %s, see its list in allot report %s", look->path, look->path);
        return 1;
    }
    return 0;
}

int command_report(int argc, char **argv)
{
    struct request r = {.report = {.all_tables = true, .top = 10}};
    struct look look;
    if (!parse(argc, argv, &r)) {
        return EXIT_USAGE;
    }
    if (r.format) {
        r.profile.name = r.path;
        return export_trace(r.path, r.format, r.output, &r.profile);
    }
    if (r.view.view || r.output) {
        r.view.output = r.output;
        r.view.json = r.report.json;
        r.view.top = r.report.top;
        r.view.window = r.window;
        r.view.advice = (struct replayed_advice){r.no_advice, r.base};
        return view_report(r.path, &r.profile, &r.view);
    }
    if (!look_at(&look, r.path, &r.profile)) {
        return 1;
    }
    int misfit = report_misfit(&look, &r.profile, r.window);
    if (misfit) {
        look_end(&look);
        return misfit;
    }
    struct advice_list *advice = calloc(1, sizeof *advice);
    bool good = advice && advise(&r, &look, advice);
    if (good && r.report.json) {
        report_json(&look, &r.report);
    } else if (good) {
        report_text(&look, &r.report);
    }
    free(advice);
    look_end(&look);
    return good ? 0 : 1;
}
