/* allot compare - which allocation strategy serves a program best: what it asked for is asked again of each.
 *
 *   trace --> ops (replay/ops.h) --> models and real mallocs (replay/comparison.h) --> text, JSON, a page
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "compare.h"
#include "page/html.h"
#include "page/replayed.h"
#include "progress.h"
#include "words.h"

#define NAMES_MOST 64
#define ROWS       100
#define SHORT      200000 /* ops: the smallest memory is looked for unasked */

static const char help[] =
    "usage: allot compare [OPTION...] FILE\n"
    "       allot compare [OPTION...] [--] PROGRAM [ARGUMENT...]\n"
    "\n"
    "Says which allocation strategy serves a program best, what that would save, and why. What the\n"
    "program asked of malloc is replayed on each strategy and on each real malloc at hand. FILE is a\n"
    "trace of allot record, or one of heaptrack, mtrace or malloclab; with -- in front, PROGRAM is run\n"
    "and recorded first.\n"
    "\n"
    "      --only=NAMES      these only, by names with commas between: strategies and mallocs\n"
    "      --no-models       real mallocs only\n"
    "      --no-real         strategies only, which takes no time that counts\n"
    "      --with=NAME=PATH  a malloc more: a library to preload; may be given often\n"
    "      --rounds=N        so many timed runs of each malloc; 3 to 15 unless told\n"
    "      --smallest        the least memory in which each strategy still serves the trace, also where\n"
    "                        it is longer than 200,000 operations\n"
    "      --table[=NAME]    the memory table of a strategy, by default of the best: block, start,\n"
    "                        size, owner, and what is free\n"
    "      --at=MOMENT       of the table: peak, a time (2s, 150ms), or after which operation\n"
    "      --rows=N          of the table; 0: all; 100 unless told\n"
    "  -o, --output=PAGE     all of it as one HTML file that opens from disk\n"
    "      --no-advice       no advice; it is given where the trace has stacks\n"
    "  -p, --process=N       of one process only, by its number in the trace\n"
    "      --limit=N         the first N calls only\n"
    "      --no-stacks       record without them: faster, but nobody is named\n"
    "      --trace=FILE      keep what is recorded\n"
    "  -j, --json            all of it as JSON\n"
    "  -h, --help            this text\n"
    "\n"
    "Strategies: first next best worst next-best groups bins buddy slab two-level pool arena compact\n"
    "pages segments mcache allot. Mallocs: glibc, and jemalloc, mimalloc, tcmalloc and allot where they\n"
    "are installed. allot is both. Of a strategy, space and counts are exact; time comes from real\n"
    "mallocs only, each in a fresh process whose blocks' pages are touched.\n"
    "\n"
    "Exit status: 0; 1 where there is nothing to compare; 2 for wrong usage; where PROGRAM cannot be\n"
    "run 125 to 127, as allot record has it.\n"
    "\n"
    "Examples:\n"
    "  allot compare -- python3 job.py                    record it, and compare\n"
    "  allot compare app.allot                            what was recorded before\n"
    "  allot compare -o app.html app.allot                to look at it\n"
    "  allot compare --no-real --smallest app.allot       in how little memory could it run?\n"
    "  allot compare --no-models --with my=./libmy.so app.allot\n"
    "  allot compare --table=best --at 2s app.allot       what lay where, on best fit, after 2 s\n"
    "  allot compare --json app.allot | jq .sentence      for a machine to read\n";

struct request {
    char **argv; /* of a program; NULL */
    const char *path, *keep, *page;
    char *only; /* with commas; NULL */
    struct comparison_real with[NAMES_MOST];
    unsigned withs, rounds;
    bool models, reals, smallest, table, stacks, advice, json;
    const char *strategy, *at;
    uint64_t rows, limit;
    uint32_t process;
};

/* -- options -- */

static bool add_malloc(struct request *r, char *text)
{
    char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1]) {
        complain("compare: --with %s, on the command line, takes NAME=PATH", text);
        return false;
    }
    if (r->withs == NAMES_MOST) {
        complain("compare: more than %d --with, on the command line, leave some out", NAMES_MOST);
        return false;
    }
    *equals = '\0';
    for (const char *c = text; *c; c++) {
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_+", *c)) {
            complain("compare: --with %s, on the command line, a name has letters, digits, '.', '-', '_' and '+'",
                     text);
            return false;
        }
    }
    r->with[r->withs++] = (struct comparison_real){text, equals + 1};
    return true;
}

enum {
    OPTION_ONLY = 256,
    OPTION_NO_MODELS,
    OPTION_NO_REAL,
    OPTION_WITH,
    OPTION_ROUNDS,
    OPTION_SMALLEST,
    OPTION_TABLE,
    OPTION_AT,
    OPTION_ROWS,
    OPTION_LIMIT,
    OPTION_NO_STACKS,
    OPTION_NO_ADVICE,
    OPTION_TRACE
};

static bool take_option(struct request *r, int option)
{
    uint64_t number;
    switch (option) {
    case OPTION_ONLY:
        r->only = optarg;
        return true;
    case OPTION_NO_MODELS:
        r->models = false;
        return true;
    case OPTION_NO_REAL:
        r->reals = false;
        return true;
    case OPTION_WITH:
        return add_malloc(r, optarg);
    case OPTION_ROUNDS:
        if (!take_number("compare", "rounds", optarg, 1, 1000, &number)) {
            return false;
        }
        r->rounds = (unsigned)number;
        return true;
    case OPTION_SMALLEST:
        r->smallest = true;
        return true;
    case OPTION_TABLE:
        r->table = true;
        r->strategy = optarg;
        return true;
    case OPTION_AT:
        r->at = optarg;
        return true;
    case OPTION_ROWS:
        return take_number("compare", "rows", optarg, 0, UINT64_MAX, &r->rows);
    case 'p':
        if (!take_number("compare", "process", optarg, 1, UINT32_MAX, &number)) {
            return false;
        }
        r->process = (uint32_t)number;
        return true;
    case OPTION_LIMIT:
        return take_number("compare", "limit", optarg, 1, UINT64_MAX, &r->limit);
    case OPTION_NO_STACKS:
        r->stacks = false;
        return true;
    case OPTION_NO_ADVICE:
        r->advice = false;
        return true;
    case 'o':
        r->page = optarg;
        return true;
    case OPTION_TRACE:
        r->keep = optarg;
        return true;
    default:
        r->json = true;
        return true;
    }
}

static bool is_model(const char *name)
{
    for (const char *const *model = replay_models; *model; model++) {
        if (strcmp(*model, name) == 0) {
            return true;
        }
    }
    return false;
}

/* What does not go together; and what is what of the words that are left. */
static bool check(struct request *r, int argc, char **argv, bool dashes)
{
    if (r->strategy && !is_model(r->strategy)) {
        complain("compare: no strategy %s, after --table, see allot compare --help for them", r->strategy);
        return false;
    }
    if (r->page && r->table) {
        complain("compare: --output and --table, on the command line, leave one out");
        return false;
    }
    if (r->at && !r->table) {
        complain("compare: --at without --table, on the command line, see allot compare --help");
        return false;
    }
    if (!r->models && (!r->reals || r->table)) {
        complain("compare: --no-models and %s, on the command line, leave one out", r->table ? "--table" : "--no-real");
        return false;
    }
    if (optind == argc) {
        complain("compare: no trace and no program, on the command line, see allot compare --help");
        return false;
    }
    if (dashes) {
        r->argv = argv + optind;
        return true;
    }
    if (argc - optind > 1) {
        complain("compare: more than one trace, on the command line, name one, or a program after --");
        return false;
    }
    if (r->keep || !r->stacks) {
        complain("compare: %s without a program, on the command line, see allot compare --help",
                 r->keep ? "--trace" : "--no-stacks");
        return false;
    }
    r->path = argv[optind];
    return true;
}

static bool parse(int argc, char **argv, struct request *out)
{
    static const struct option options[] = {
        {"only", required_argument, NULL, OPTION_ONLY},
        {"no-models", no_argument, NULL, OPTION_NO_MODELS},
        {"no-real", no_argument, NULL, OPTION_NO_REAL},
        {"with", required_argument, NULL, OPTION_WITH},
        {"rounds", required_argument, NULL, OPTION_ROUNDS},
        {"smallest", no_argument, NULL, OPTION_SMALLEST},
        {"table", optional_argument, NULL, OPTION_TABLE},
        {"at", required_argument, NULL, OPTION_AT},
        {"rows", required_argument, NULL, OPTION_ROWS},
        {"process", required_argument, NULL, 'p'},
        {"limit", required_argument, NULL, OPTION_LIMIT},
        {"no-stacks", no_argument, NULL, OPTION_NO_STACKS},
        {"trace", required_argument, NULL, OPTION_TRACE},
        {"output", required_argument, NULL, 'o'},
        {"no-advice", no_argument, NULL, OPTION_NO_ADVICE},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+:o:p:jh", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            exit(0);
        }
        if (option == ':' || option == '?') {
            complain_option("compare", option, argv);
            return false;
        }
        if (!take_option(out, option)) {
            return false;
        }
    }
    return check(out, argc, argv, strcmp(argv[optind - 1], "--") == 0);
}

/* -- progress, on a terminal, once it takes over a second -- */

static const char *compared; /* its path */

static void show_progress(void *arg, const char *name, uint64_t done, uint64_t of)
{
    (void)arg;
    unsigned tenths = progress_due();
    if (tenths) {
        words_put(stderr, words_base(compared), 50);
        fprintf(stderr, ": %u s, on %s %d %%", tenths / 10, name, of ? (int)(100.0 * (double)done / (double)of) : 100);
    }
}

/* -- what is compared -- */

struct chosen {
    const char *model[NAMES_MOST];
    struct comparison_real real[2 * NAMES_MOST];
    unsigned models, reals;
};

static bool is_chosen(const char *only, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = only; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0')) {
            return true;
        }
    }
    return !only;
}

static bool are_known(const struct request *r, const struct comparison_real *at_hand, unsigned count)
{
    char name[64];
    for (const char *at = r->only; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at, ","), at);
        bool known = is_model(name);
        for (unsigned i = 0; i < count; i++) {
            known |= strcmp(at_hand[i].name, name) == 0;
        }
        if (!known) {
            complain("compare: no %s here, after --only, there are the strategies of allot compare --help, and mallocs "
                     "that are installed or given by --with",
                     name);
            return false;
        }
    }
    return true;
}

/* A malloc given by --with takes the place of one of its name. */
static bool choose(const struct request *r, struct chosen *out)
{
    struct comparison_real all[2 * NAMES_MOST];
    unsigned count = comparison_at_hand(all, NAMES_MOST);
    for (unsigned i = 0; i < r->withs; i++) {
        unsigned at = 0;
        while (at < count && strcmp(all[at].name, r->with[i].name) != 0) {
            at++;
        }
        all[at] = r->with[i];
        count += at == count;
    }
    *out = (struct chosen){0};
    if (!are_known(r, all, count)) {
        return false;
    }
    for (const char *const *model = replay_models; r->models && *model; model++) {
        if (is_chosen(r->only, *model)) {
            out->model[out->models++] = *model;
        }
    }
    for (unsigned i = 0; r->reals && i < count; i++) {
        if (is_chosen(r->only, all[i].name)) {
            out->real[out->reals++] = all[i];
        }
    }
    if (out->models + out->reals == 0) {
        complain("compare: nothing is left of --only %s, on the command line, leave %s out", r->only,
                 r->models ? "--no-real" : "--no-models");
    }
    return out->models + out->reals > 0;
}

/* -- the moment of the table -- */

static uint64_t last_until(const struct ops *ops, uint64_t time)
{
    uint64_t found = 0;
    for (uint64_t i = 0; i < ops->count; i++) {
        found = ops->time[i] <= time ? i : found;
    }
    return found;
}

static bool find_moment(const struct request *r, const struct ops *ops, uint64_t *at)
{
    uint64_t time;
    *at = UINT64_MAX;
    if (!r->at || strcmp(r->at, "peak") == 0) {
        return true;
    }
    if (r->at[strspn(r->at, "0123456789")] == '\0' && *r->at) {
        *at = strtoull(r->at, NULL, 10);
        if (*at == 0 || *at > ops->count) {
            complain("compare: no operation %s, after --at, there are 1 to %s", r->at, words_count(ops->count).text);
            return false;
        }
        *at -= 1;
        return true;
    }
    if (!words_read_ns(r->at, &time)) {
        complain("compare: --at %s, on the command line, takes peak, a time like 1.5s, or an operation's number",
                 r->at);
        return false;
    }
    if (!ops->time) {
        complain("compare: the trace has no times, after --at, name an operation's number");
        return false;
    }
    *at = last_until(ops, time);
    return true;
}

/* -- all of it -- */

static int print_table(const struct request *r, const struct chosen *chosen, const struct ops *ops, struct trace *trace)
{
    struct table_wanted table = {.strategy = r->strategy,
                                 .rows = r->rows,
                                 .json = r->json,
                                 .name = r->argv ? r->argv[0] : r->path,
                                 .trace = trace};
    struct comparison comparison = {0};
    if (!find_moment(r, ops, &table.at)) {
        return EXIT_USAGE;
    }
    if (!table.strategy) {
        struct comparison_wanted wanted = {.model = chosen->model, .replay = {.map_at = UINT64_MAX}};
        wanted.replay.progress = progress_shows() ? show_progress : NULL;
        if (comparison_run(ops, false, &wanted, &comparison) != 0 || comparison.best[BY_PEAK].result < 0) {
            complain("no strategy could be replayed, %s, see allot compare without --table", table.name);
            return 1;
        }
        table.strategy = comparison.result[comparison.best[BY_PEAK].result].name;
    }
    progress_end();
    int status = compare_table(ops, &table);
    comparison_end(&comparison);
    return status;
}

static int print_comparison(const struct request *r, const struct chosen *chosen, const struct ops *ops, bool cut,
                            bool stacks)
{
    struct comparison comparison;
    struct tell_wanted tell = {.path = r->path,
                               .name = r->argv ? r->argv[0] : r->path,
                               .page = r->page,
                               .process = r->process,
                               .json = r->json,
                               .advice = r->advice && r->models && stacks,
                               .progress = progress_shows() ? show_progress : NULL};
    struct comparison_wanted wanted = {
        .model = chosen->model,
        .real = chosen->real,
        .reals = chosen->reals,
        .rounds = r->rounds,
        .replay = {.map_at = UINT64_MAX, .smallest = r->smallest || ops->count <= SHORT}};
    wanted.replay.progress = tell.progress;
    tell.replayed = r->page ? replayed_begin(ops, &wanted) : NULL;
    if ((r->page && !tell.replayed) || comparison_run(ops, cut, &wanted, &comparison) != 0) {
        complain("out of memory, %s, end other programs", tell.name);
        return 1;
    }
    int status = compare_tell(&comparison, &tell, progress_end);
    comparison_end(&comparison);
    return status;
}

static int compare(struct request *r, const struct chosen *chosen)
{
    struct trace_error error;
    struct ops ops;
    bool cut;
    struct stat is;
    if (stat(r->path, &is) == 0 && !S_ISREG(is.st_mode)) { /* a pipe can be read once */
        r->advice = false;
        if (r->page) {
            complain("compare: a page wants the trace twice, %s, put it into a file", r->path);
            return EXIT_USAGE;
        }
    }
    struct trace *trace = trace_open(r->path, &error);
    if (!trace) {
        complain("%s", error.line);
        return 1;
    }
    int status = 1;
    bool profile = trace_about(trace)->is_profile;
    const char *name = r->argv ? r->argv[0] : r->path;
    int failed = profile ? -1 : ops_read(trace, r->process, r->limit, look_progress(name), &ops, &cut, &error);
    look_progress_end();
    compared = name;
    progress_begin();
    if (profile) {
        complain("a profile has no events to replay, %s, record a trace by allot record", r->path);
    } else if (failed) {
        complain("%s", error.line);
    } else if (ops.count == 0) {
        complain("%s, %s, see allot report for what is in it",
                 r->process ? "that process allocated nothing, or is none" : "nothing was allocated", r->path);
        ops_end(&ops);
    } else {
        status = r->table ? print_table(r, chosen, &ops, trace)
                          : print_comparison(r, chosen, &ops, cut, trace_about(trace)->has_stacks);
        ops_end(&ops);
    }
    trace_close(trace);
    return status;
}

int command_compare(int argc, char **argv)
{
    static struct request r = {.models = true, .reals = true, .stacks = true, .advice = true, .rows = ROWS};
    static struct chosen chosen;
    if (!parse(argc, argv, &r) || !choose(&r, &chosen)) {
        return EXIT_USAGE;
    }
    if (r.page && !html_ready(r.page)) {
        return 1;
    }
    struct compare_program program = {.argv = r.argv, .keep = r.keep, .stacks = r.stacks};
    int status = r.argv ? compare_record(&program) : 0;
    if (r.argv) {
        r.path = program.path;
    }
    return status ? status : compare(&r, &chosen);
}
