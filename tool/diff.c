/* allot diff - two recorded runs: what one took more than the other, by places, which are the same when function, file and line are. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "json.h"
#include "leaks_live.h"
#include "look.h"
#include "profile/type.h"
#include "snapshot/growth.h"
#include "words.h"

static const char help[] =
    "usage: allot diff [OPTION...] BEFORE AFTER\n"
    "\n"
    "What AFTER took more than BEFORE, and less: in all, by place, and by type where stacks tell what\n"
    "was allocated. Places are compared by function, file and line, so that two builds may differ in\n"
    "every address. Where both looked at their end who points to whom (allot record --leaks), what\n"
    "is lost and what is still reachable are told apart.\n"
    "\n"
    "  -s, --sort=WHAT      by the change of peak, end, allocs, bytes or temporary; peak unless told\n"
    "  -n, --top=N          so many places that rose and as many that fell; 0: all; 10 unless told\n"
    "  -f, --functions      lines of one function are one place: for sources that differ\n"
    "  -j, --json           as JSON\n"
    "  -h, --help           this text\n"
    "\n"
    "Two snapshots (allot snap) are compared by kinds of blocks: what leaked, what is reachable and\n"
    "has grown, and threads, stacks and descriptors; of the options --top and --json are for these.\n"
    "\n"
    "Exit status: 0; 1 where a file cannot be read; 2 for wrong usage.\n"
    "\n"
    "Examples:\n"
    "  allot diff yesterday.allot today.allot        what came on top\n"
    "  allot diff --sort allocs old.allot new.allot  who allocates more often\n"
    "  allot diff monday.snap friday.snap            what has grown in a process that runs\n";

enum sort { BY_PEAK, BY_END, BY_ALLOCS, BY_BYTES, BY_TEMPORARY, SORTS };
static const char *const sorts[SORTS] = {"peak", "end", "allocs", "bytes", "temporary"};
static bool in_bytes(enum sort sort) { return sort == BY_PEAK || sort == BY_END || sort == BY_BYTES; }

struct request {
    enum sort sort;
    size_t top;
    bool json, functions;
    const char *path[2];
};

/* A place in both: its figures before and after; NULL where it is not. */
struct pair {
    const struct group *of[2];
};
struct pairs {
    struct pair *pair;
    size_t count;
};

static uint64_t figure_of(const struct group *g, enum sort sort)
{
    if (!g) {
        return 0;
    }
    switch (sort) {
    case BY_PEAK:
        return g->sum.peak_bytes;
    case BY_END:
        return g->sum.left_bytes;
    case BY_ALLOCS:
        return g->sum.allocs;
    case BY_BYTES:
        return g->sum.bytes;
    default:
        return g->sum.temporary;
    }
}

static uint64_t whole_of(const struct profile *p, enum sort sort)
{
    const uint64_t figures[SORTS] = {p->peak_bytes, p->left_bytes, p->allocs, p->bytes, p->temporary};
    return figures[sort];
}

/* -- places of both -- */

static int by_place(const void *a, const void *b)
{
    return names_compare(&((const struct group *)a)->place, &((const struct group *)b)->place);
}

/* In order; and where only functions are wanted, those of one function as one. */
static void arrange(struct look *look, bool functions)
{
    for (uint32_t i = 0; functions && i < look->groups; i++) {
        struct symbol_frame *f = &look->group[i].place;
        f->line = f->function ? 0 : f->line;
        f->file = f->function ? NULL : f->file;
    }
    qsort(look->group, look->groups, sizeof *look->group, by_place);
    uint32_t kept = 0;
    for (uint32_t i = 1; i < look->groups; i++) {
        if (names_same(&look->group[kept].place, &look->group[i].place)) {
            look->group[kept].sites += look->group[i].sites;
            profile_add(&look->group[kept].sum, &look->group[i].sum);
        } else {
            look->group[++kept] = look->group[i];
        }
    }
    look->groups = look->groups ? kept + 1 : 0;
}

static struct pairs join(const struct look *look)
{
    struct pair *pair = malloc(((size_t)look[0].groups + look[1].groups + 1) * sizeof *pair);
    size_t n = 0;
    for (uint32_t a = 0, b = 0; pair && (a < look[0].groups || b < look[1].groups); n++) {
        const struct group *x = a < look[0].groups ? &look[0].group[a] : NULL,
                           *y = b < look[1].groups ? &look[1].group[b] : NULL;
        int order = !x ? 1 : !y ? -1 : names_compare(&x->place, &y->place);
        pair[n] = (struct pair){{order <= 0 ? x : NULL, order >= 0 ? y : NULL}};
        a += order <= 0;
        b += order >= 0;
    }
    return (struct pairs){pair, n};
}

static enum sort ordered_by;

/* What rose most is first, what fell most last. */
static int by_change(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    __int128 of_x = (__int128)figure_of(x->of[1], ordered_by) - figure_of(x->of[0], ordered_by);
    __int128 of_y = (__int128)figure_of(y->of[1], ordered_by) - figure_of(y->of[0], ordered_by);
    if (of_x != of_y) {
        return of_x < of_y ? 1 : -1;
    }
    return names_compare(&(x->of[0] ? x->of[0] : x->of[1])->place, &(y->of[0] ? y->of[0] : y->of[1])->place);
}

/* -- types -- */

/* The sites of a trace by type, in place of those by place; those without one are left out. To be freed. False: memory is out. */
static bool group_by_type(const struct look *look, struct look *out)
{
    static struct symbol_frame frame[NAMES_DEEPEST];
    const struct profile *p = look->profile;
    *out = (struct look){.profile = look->profile, .group = calloc((size_t)p->sites + 1, sizeof *out->group)};
    for (uint32_t s = 1; out->group && s <= p->sites; s++) {
        char text[512];
        struct group *g = &out->group[out->groups];
        size_t frames = names_stack(look->names, p->site[s].stack, frame, NAMES_DEEPEST);
        if (type_of_stack(frame, frames, text, sizeof text)) {
            const struct symbol_frame *name;
            if (symbols_known(look->symbols, text, NULL, 0, NULL, 0, &name) == 0) {
                return false;
            }
            *g = (struct group){.place = *name, .sites = 1, .sum.life_least = UINT64_MAX};
            profile_add(&g->sum, &p->site[s]);
            out->groups++;
        }
    }
    return out->group;
}

/* -- printing -- */

/* What is lost, or else still reachable, at the end; false: nobody looked. */
static bool looked_at(const struct profile *p, bool lost, uint64_t *bytes)
{
    *bytes = 0;
    for (uint32_t i = 0; i < p->verdicts; i++) {
        bool is_lost = p->verdict[i].verdict == GRAPH_DEFINITE || p->verdict[i].verdict == GRAPH_INDIRECT;
        *bytes += is_lost == lost ? p->verdict[i].bytes : 0;
    }
    return p->verdicts > 0;
}

static struct words amount(uint64_t value, bool bytes) { return bytes ? words_bytes(value) : words_count(value); }

static struct words changed(uint64_t before, uint64_t after, bool bytes)
{
    if (bytes) {
        return words_change(before, after);
    }
    struct words out, count = words_count(after > before ? after - before : before - after);
    snprintf(out.text, sizeof out.text, "%s%.30s", after > before ? "+" : after < before ? "-" : "", count.text);
    return out;
}

static void put_pair(const struct pair *pair, enum sort sort)
{
    uint64_t before = figure_of(pair->of[0], sort), after = figure_of(pair->of[1], sort);
    bool bytes = in_bytes(sort);
    printf("%13s %13s %13s  ", changed(before, after, bytes).text, pair->of[0] ? amount(before, bytes).text : "new",
           pair->of[1] ? amount(after, bytes).text : "gone");
    names_put(stdout, &(pair->of[1] ? pair->of[1] : pair->of[0])->place, 80);
    putchar('\n');
}

static const char *const figures[SORTS] = {"peak", "never freed", "allocations", "bytes in all", "temporary"};

static void put_whole(const char *name, uint64_t before, uint64_t after, bool bytes)
{
    printf("%-13s%13s %13s %13s", name, amount(before, bytes).text, amount(after, bytes).text,
           changed(before, after, bytes).text);
    if (before > 0) {
        printf("  %+.1f %%", 100.0 * ((double)after - (double)before) / (double)before);
    }
    putchar('\n');
}

/* What rose and what fell of places or types. Whether any did. */
static bool put_pairs(const char *by, const struct request *r, const struct pair *pair, size_t count)
{
    size_t rose = 0, fell = 0;
    bool bold = words_colour();
    for (size_t i = 0; i < count; i++) {
        uint64_t before = figure_of(pair[i].of[0], r->sort), after = figure_of(pair[i].of[1], r->sort);
        rose += after > before;
        fell += after < before;
    }
    for (int down = 0; down <= 1; down++) {
        size_t all = down ? fell : rose, most = r->top && r->top < all ? r->top : all;
        if (all > 0) {
            printf("\n%s%s: %s%s\n       change        before         after  %s\n", bold ? "\033[1m" : "",
                   down ? "Less" : "More", figures[r->sort], bold ? "\033[0m" : "", by);
        }
        for (size_t i = 0; i < most; i++) {
            put_pair(&pair[down ? count - 1 - i : i], r->sort);
        }
        if (most < all) {
            printf("  and %zu %s%s more\n", all - most, by, words_s(all - most));
        }
    }
    return rose + fell > 0;
}

/* By place, and then by type. */
static void print_text(const struct look *look, const struct request *r, const struct pairs by[2])
{
    uint64_t lost[2], reachable[2];
    printf("                    before         after        change\n");
    for (enum sort s = 0; s < SORTS; s++) {
        put_whole(figures[s], whole_of(look[0].profile, s), whole_of(look[1].profile, s), in_bytes(s));
    }
    if (looked_at(look[0].profile, true, &lost[0]) && looked_at(look[1].profile, true, &lost[1])) {
        looked_at(look[0].profile, false, &reachable[0]);
        looked_at(look[1].profile, false, &reachable[1]);
        put_whole("lost", lost[0], lost[1], true);
        put_whole("reachable", reachable[0], reachable[1], true);
    }
    if (!put_pairs("place", r, by[0].pair, by[0].count)) {
        printf("\nNo place differs.\n");
    }
    put_pairs("type", r, by[1].pair, by[1].count);
}

static void json_figures(struct json *j, const char *key, const struct group *g)
{
    if (!g) {
        json_text(j, key, NULL);
        return;
    }
    json_object(j, key);
    for (enum sort s = 0; s < SORTS; s++) {
        json_number(j, sorts[s], figure_of(g, s));
    }
    json_end(j);
}

/* Those that differ, but what neither rose nor fell enough. */
static void json_pairs(struct json *j, const struct request *r, const struct pairs *pairs, bool types)
{
    json_array(j, types ? "types" : "places");
    for (size_t i = 0; i < pairs->count; i++) {
        const struct pair *pair = &pairs->pair[i];
        const struct symbol_frame *f = &(pair->of[1] ? pair->of[1] : pair->of[0])->place;
        bool far_down = r->top && i >= r->top && pairs->count - 1 - i >= r->top;
        if (figure_of(pair->of[0], r->sort) == figure_of(pair->of[1], r->sort) || far_down) {
            continue;
        }
        json_object(j, NULL);
        json_text(j, types ? "type" : "function", f->function);
        if (!types) {
            json_text(j, "file", f->file);
            json_number(j, "line", f->line);
            json_text(j, "module", f->module);
        }
        json_figures(j, "before", pair->of[0]);
        json_figures(j, "after", pair->of[1]);
        json_end(j);
    }
    json_end(j);
}

static void print_json(const struct look *look, const struct request *r, const struct pairs by[2])
{
    static const char *const keys[] = {"before", "after"};
    struct json j;
    uint64_t bytes;
    json_begin(&j, stdout);
    json_object(&j, NULL);
    for (int i = 0; i < 2; i++) {
        json_object(&j, keys[i]);
        json_text(&j, "file", look[i].path);
        for (enum sort s = 0; s < SORTS; s++) {
            json_number(&j, sorts[s], whole_of(look[i].profile, s));
        }
        for (int lost = 1; lost >= 0; lost--) {
            if (looked_at(look[i].profile, lost, &bytes)) {
                json_number(&j, lost ? "lost" : "reachable", bytes);
            } else {
                json_text(&j, lost ? "lost" : "reachable", NULL);
            }
        }
        json_end(&j);
    }
    json_text(&j, "places_by", sorts[r->sort]);
    json_pairs(&j, r, &by[0], false);
    json_pairs(&j, r, &by[1], true);
    json_end(&j);
    putchar('\n');
}

/* -- the command -- */

static bool parse(int argc, char **argv, struct request *out)
{
    static const struct option options[] = {
        {"sort", required_argument, NULL, 's'}, {"top", required_argument, NULL, 'n'},
        {"functions", no_argument, NULL, 'f'},  {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0},
    };
    int option;
    uint64_t number;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":s:n:fjh", options, NULL)) != -1) {
        switch (option) {
        case 's':
            for (out->sort = 0; out->sort < SORTS && strcmp(sorts[out->sort], optarg) != 0;) {
                out->sort++;
            }
            if (out->sort == SORTS) {
                complain("diff: --sort %s, on the command line, takes peak, end, allocs, bytes or temporary", optarg);
                return false;
            }
            break;
        case 'n':
            if (!words_read_number(optarg, SIZE_MAX, &number)) {
                complain("diff: --top %s, on the command line, takes a number", optarg);
                return false;
            }
            out->top = number;
            break;
        case 'f':
            out->functions = true;
            break;
        case 'j':
            out->json = true;
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            complain_option("diff", option, argv);
            return false;
        }
    }
    if (argc - optind != 2) {
        complain("diff: %d file%s, on the command line, name two", argc - optind, argc - optind == 1 ? "" : "s");
        return false;
    }
    out->path[0] = argv[optind];
    out->path[1] = argv[optind + 1];
    return true;
}

/* In order of change. False: memory is out. */
static bool compare(struct look *look, bool functions, const struct request *r, struct pairs *out)
{
    arrange(&look[0], functions);
    arrange(&look[1], functions);
    *out = join(look);
    ordered_by = r->sort;
    if (out->count) {
        qsort(out->pair, out->count, sizeof *out->pair, by_change);
    }
    return out->pair;
}

static int diff_traces(const struct request *r)
{
    struct look look[2], types[2] = {{0}, {0}};
    struct pairs by[2] = {{0}, {0}};
    const struct profile_wanted all = {0};
    if (!look_at(&look[0], r->path[0], &all) || !look_at(&look[1], r->path[1], &all)) {
        return 1;
    }
    bool done = group_by_type(&look[0], &types[0]) && group_by_type(&look[1], &types[1]) &&
                compare(look, r->functions, r, &by[0]) && compare(types, false, r, &by[1]);
    if (done) {
        (r->json ? print_json : print_text)(look, r, by);
    } else {
        complain("out of memory, %s and %s, end other programs", r->path[0], r->path[1]);
    }
    for (int i = 0; i < 2; i++) {
        free(by[i].pair);
        free(types[i].group);
        look_end(&look[i]);
    }
    return done ? 0 : 1;
}

int command_diff(int argc, char **argv)
{
    struct request r = {.top = 10};
    if (!parse(argc, argv, &r)) {
        return EXIT_USAGE;
    }
    return leaks_is_snapshot(r.path[0]) ? snapshot_growth_of(r.path, r.top, r.json) : diff_traces(&r);
}
