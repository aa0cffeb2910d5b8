/* allot check - whether a recorded program kept to its budgets of memory: for a build to fail by. */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "command.h"
#include "look.h"
#include "verdict.h"
#include "words.h"

static const char help[] =
    "usage: allot check [OPTION...] FILE\n"
    "\n"
    "Holds a recorded run to budgets: whether it is over any is said in one line each, and by the\n"
    "exit status. Bytes may be written as 200M or 1.5G. With a baseline, another trace, a budget\n"
    "may be what that one took and some more: +5% or 5%.\n"
    "\n"
    "  -P, --max-peak=BYTES    live at once\n"
    "  -L, --max-live=BYTES    live at the end\n"
    "  -l, --max-leak=BYTES    lost; or never freed, where the program did not look at its end\n"
    "  -a, --max-allocs=N      allocations\n"
    "  -t, --max-temporary=N   of those that lived less than 1 ms\n"
    "  -b, --baseline=FILE     trace that N% is reckoned from, and that is compared to\n"
    "      --junit=FILE        the same for a build server, as JUnit's XML\n"
    "      --markdown=FILE     and as a table for people\n"
    "  -j, --json              as JSON\n"
    "  -h, --help              this text\n"
    "\n"
    "Exit status: 0: all budgets are kept; 1: some are not; 2: wrong usage, or a trace that cannot\n"
    "be read.\n"
    "\n"
    "Examples:\n"
    "  allot check --max-peak 200M --max-leak 0 app.allot\n"
    "  allot check --max-allocs +2% --baseline base.allot app.allot\n"
    "  allot check --max-peak 1G --junit memory.xml app.allot\n";

enum figure { PEAK, LIVE, LEAK, ALLOCS, TEMPORARY, FIGURES };
static const struct {
    const char *name, *option;
    bool bytes;
} figures[FIGURES] = {
    [PEAK] = {"peak", "max-peak", true},
    [LIVE] = {"live", "max-live", true},
    [LEAK] = {"leak", "max-leak", true},
    [ALLOCS] = {"allocs", "max-allocs", false},
    [TEMPORARY] = {"temporary", "max-temporary", false},
};

struct limit {
    const char *text; /* NULL: none */
    bool percent;
    double more; /* percent over the baseline */
    uint64_t most;
};

struct request {
    struct limit limit[FIGURES];
    const char *path, *baseline, *junit, *markdown;
    bool json;
};

static bool read_limit(enum figure f, const char *text, struct limit *out)
{
    char *end;
    const char *number = text + (text[0] == '+');
    size_t length = strlen(text);
    *out = (struct limit){.text = text};
    if (length > 1 && text[length - 1] == '%') {
        out->percent = true;
        out->more = strtod(number, &end);
        if (((number[0] >= '0' && number[0] <= '9') || number[0] == '-') && end == text + length - 1 &&
            out->more > -100 && out->more < 1e6) {
            return true;
        }
    } else if (figures[f].bytes) {
        if (words_read_bytes(text, &out->most)) {
            return true;
        }
    } else {
        if (words_read_number(text, UINT64_MAX, &out->most)) {
            return true;
        }
    }
    complain("check: --%s %s, on the command line, takes %s or a percentage over the baseline like +2%%",
             figures[f].option, text, figures[f].bytes ? "bytes like 200M" : "a number");
    return false;
}

static bool parse(int argc, char **argv, struct request *out)
{
    enum { JUNIT = 256, MARKDOWN };
    static const struct option options[] = {
        {"max-peak", required_argument, NULL, 'P'},
        {"max-live", required_argument, NULL, 'L'},
        {"max-leak", required_argument, NULL, 'l'},
        {"max-allocs", required_argument, NULL, 'a'},
        {"max-temporary", required_argument, NULL, 't'},
        {"baseline", required_argument, NULL, 'b'},
        {"junit", required_argument, NULL, JUNIT},
        {"markdown", required_argument, NULL, MARKDOWN},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    static const char letters[] = "PLlat"; /* in the order of enum figure */
    int option, some = 0;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":P:L:l:a:t:b:jh", options, NULL)) != -1) {
        const char *letter = option < 256 ? strchr(letters, option) : NULL;
        if (letter) {
            if (!read_limit((enum figure)(letter - letters), optarg, &out->limit[letter - letters])) {
                return false;
            }
            some++;
            continue;
        }
        switch (option) {
        case 'b':
            out->baseline = optarg;
            break;
        case JUNIT:
            out->junit = optarg;
            break;
        case MARKDOWN:
            out->markdown = optarg;
            break;
        case 'j':
            out->json = true;
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            complain_option("check", option, argv);
            return false;
        }
    }
    if (argc - optind != 1) {
        complain("check: %s, on the command line, name one", argc == optind ? "no trace" : "more than one trace");
        return false;
    }
    if (some == 0) {
        complain("check: no budget, on the command line, give one: --max-peak 200M");
        return false;
    }
    for (int f = 0; f < FIGURES; f++) {
        if (out->limit[f].percent && !out->baseline) {
            complain("check: --%s %s, on the command line, needs a --baseline", figures[f].option, out->limit[f].text);
            return false;
        }
    }
    out->path = argv[optind];
    return true;
}

/* -- figures -- */

static uint64_t figure_of(const struct look *look, enum figure f)
{
    const struct profile *p = look->profile;
    bool known;
    uint64_t blocks;
    switch (f) {
    case PEAK:
        return p->peak_bytes;
    case LIVE:
        return p->left_bytes;
    case LEAK:
        return verdict_leaked(p, &known, &blocks);
    case ALLOCS:
        return p->allocs;
    default:
        return p->temporary;
    }
}

static uint64_t lost_at(const struct look *look, uint32_t group)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < look->profile->verdicts; i++) {
        const struct profile_verdict *v = &look->profile->verdict[i];
        if ((v->verdict == GRAPH_DEFINITE || v->verdict == GRAPH_INDIRECT) && look->group_of_site[v->site] == group) {
            bytes += v->bytes;
        }
    }
    return bytes;
}

static uint64_t figure_at(const struct look *look, uint32_t group, enum figure f)
{
    const struct profile_site *s = &look->group[group].sum;
    switch (f) {
    case PEAK:
        return s->peak_bytes;
    case LIVE:
        return s->left_bytes;
    case LEAK:
        return look->profile->verdicts ? lost_at(look, group) : s->left_bytes;
    case ALLOCS:
        return s->allocs;
    default:
        return s->temporary;
    }
}

static void say_from(const struct look *look, enum figure f, struct budget *b)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < look->groups; i++) {
        best = figure_at(look, i, f) > figure_at(look, best, f) ? i : best;
    }
    FILE *to = look->groups && figure_at(look, best, f) ? fmemopen(b->from, sizeof b->from - 1, "w") : NULL;
    if (to) {
        names_put(to, &look->group[best].place, 150);
        fprintf(to, ", %s", words_percent(figure_at(look, best, f), b->is).text);
        fclose(to);
    }
}

static bool check(const struct request *r, struct checked *c)
{
    static char option[FIGURES][64];
    struct look look, base;
    const struct profile_wanted all = {0};
    uint64_t of_base[FIGURES] = {0};
    if (r->baseline) {
        if (!look_at(&base, r->baseline, &all)) {
            return false;
        }
        for (int f = 0; f < FIGURES; f++) {
            of_base[f] = figure_of(&base, f);
        }
        look_end(&base);
    }
    if (!look_at(&look, r->path, &all)) {
        return false;
    }
    for (int f = 0; f < FIGURES; f++) {
        const struct limit *limit = &r->limit[f];
        if (!limit->text) {
            continue;
        }
        struct budget *b = &c->budget[c->budgets++];
        snprintf(option[f], sizeof option[f], "--%s %.40s", figures[f].option, limit->text);
        *b = (struct budget){
            .name = figures[f].name,
            .option = option[f],
            .bytes = figures[f].bytes,
            .is = figure_of(&look, f),
            .most = limit->percent ? (uint64_t)fmin((double)of_base[f] * (1 + limit->more / 100), 1.8e19) : limit->most,
            .has_base = r->baseline != NULL,
            .base = of_base[f]};
        say_from(&look, f, b);
    }
    const struct trace_about *about = trace_about(look.trace);
    uint64_t lost = about->lost > look.profile->lost ? about->lost : look.profile->lost;
    if (lost || about->truncated) {
        snprintf(c->note, sizeof c->note, "The recording is not whole%s: the figures may be too small.",
                 lost ? ", events were lost" : ", it ends early");
    } else if (r->limit[LEAK].text && look.profile->verdicts == 0) {
        snprintf(c->note, sizeof c->note,
                 "leak: all that was never freed, as the program did not look at its end what is reachable.");
    }
    look_end(&look);
    return true;
}

int command_check(int argc, char **argv)
{
    struct request r = {0};
    struct checked c = {0};
    if (!parse(argc, argv, &r)) {
        return EXIT_USAGE;
    }
    c.trace = r.path;
    c.baseline = r.baseline;
    if (!check(&r, &c) || (r.junit && !check_write_junit(&c, r.junit)) ||
        (r.markdown && !check_write_markdown(&c, r.markdown))) {
        return EXIT_USAGE;
    }
    check_print(&c, r.json);
    for (size_t i = 0; i < c.budgets; i++) {
        if (!budget_kept(&c.budget[i])) {
            return 1;
        }
    }
    return 0;
}
