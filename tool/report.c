/* allot report - what a recorded trace says: in sentences, then in tables, or all of it as JSON. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "export/export.h"
#include "report.h"
#include "words.h"

static const char help[] = /* %s: the formats */
    "usage: allot report [OPTION...] FILE\n"
    "\n"
    "Says what a recorded program did with its memory: in a few sentences, then in tables of the\n"
    "places that allocated. FILE is a trace of allot record, or one of heaptrack, mtrace, DHAT or\n"
    "malloclab.\n"
    "\n"
    "  -t, --text           as text, which it is anyway\n"
    "  -j, --json           as JSON, all of it\n"
    "  -s, --sort=WHAT      one table of places only, by peak, end, allocs, temporary, bytes,\n"
    "                       growth, reallocs or slack\n"
    "  -n, --top=N          so many rows of each table; 0: all; 10 unless told\n"
    "  -p, --process=N      of one process only, by its number in the trace\n"
    "  -F, --from=TIME      from there, and\n"
    "  -T, --to=TIME        up to there: 2s, 150ms, since recording began\n"
    "  -l, --lived=TIME     what lives less is temporary; 1ms unless told\n"
    "  -x, --export=FORMAT  for another program, in its own format:\n"
    "%s"
    "  -o, --output=FILE    the export goes there; to standard output unless told\n"
    "  -h, --help           this text\n"
    "\n"
    "Exit status: 0; 1 where the trace cannot be read; 2 for wrong usage.\n"
    "\n"
    "Examples:\n"
    "  allot report app.allot                        what happened\n"
    "  allot report --sort growth --top 0 app.allot  all that grows\n"
    "  allot report --from 2s --to 3s app.allot      a second of it\n"
    "  allot report --json app.allot | jq .peak      for a machine to read\n"
    "  allot report -x pprof -o app.pb.gz app.allot  for go tool pprof\n"
    "  allot report -x folded app.allot | flamegraph.pl > app.svg\n";

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
    const char *path;
    const char *format, *output; /* of an export; NULL */
};

static bool read_number(const char *option, const char *text, uint64_t most, uint64_t *out)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || value > most) {
        complain("report: --%s %s, on the command line, takes a number", option, text);
        return false;
    }
    *out = value;
    return true;
}

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
        while (i < REPORT_SORTS && strcmp(report_sorts[i], optarg) != 0) {
            i++;
        }
        if (i == REPORT_SORTS) {
            complain("report: --sort %s, on the command line, takes peak, end, allocs, temporary, bytes, growth, "
                     "reallocs or slack",
                     optarg);
            return false;
        }
        r->report.sort = (enum report_sort)i;
        r->report.all_tables = false;
        return true;
    case 'n':
        if (!read_number("top", optarg, UINT32_MAX, &number)) {
            return false;
        }
        r->report.top = number;
        return true;
    case 'p':
        if (!read_number("process", optarg, UINT32_MAX, &number)) {
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
        {"export", required_argument, NULL, 'x'},  {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
    };
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":tjs:n:p:F:T:l:x:o:h", options, NULL)) != -1) {
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
    if (out->output && !out->format) {
        complain("report: --output, on the command line, goes with --export");
        return false;
    }
    out->path = argv[optind];
    return true;
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
    if (!look_at(&look, r.path, &r.profile)) {
        return 1;
    }
    if (r.window && !look.profile->timed) {
        complain("report: the trace has no times, %s, leave --from and --to out", r.path);
        look_end(&look);
        return EXIT_USAGE;
    }
    if (r.profile.process && look.profile->processes == 0) {
        complain("report: no process of that number, %s, see its list in allot report %s", r.path, r.path);
        look_end(&look);
        return 1;
    }
    if (r.report.json) {
        report_json(&look, &r.report);
    } else {
        report_text(&look, &r.report);
    }
    look_end(&look);
    return 0;
}
