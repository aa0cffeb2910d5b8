/* allot leaks - what leaks, by what a trace or a core knows of it. */
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "core/leaks.h"
#include "core/print.h"
#include "leaks_live.h"
#include "leaks_print.h"
#include "look.h"
#include "snapshot/ways.h"
#include "words.h"

static const char help[] =
    "usage: allot leaks [OPTION...] FILE\n"
    "       allot leaks [OPTION...] -p PID\n"
    "       allot leaks [OPTION...] -- PROGRAM [ARGUMENT...]\n"
    "\n"
    "Says what leaks, grouped by where it was allocated, worst first. FILE is a trace: where the\n"
    "program looked at its end who points to whom (allot record --leaks), the verdicts are those;\n"
    "else all that was never freed is shown, which is not the same, as much of it may be in use\n"
    "to the end. FILE may also be a snapshot (allot snap). Of a process that runs on allot's malloc a\n"
    "snapshot is taken now; where its blocks were allocated is known if it was started with\n"
    "ALLOT_OPTIONS=sites=1, and of some with sample=on. A PROGRAM is run on allot's malloc, and it and\n"
    "all that it starts keep where each block was allocated, and look at their end who points to whom.\n"
    "FILE may also be a core file: see allot core for more about one.\n"
    "\n"
    "  -s, --suppressions=FILE  leaves out what FILE says, in LSan's or memcheck's syntax; may be\n"
    "                           given more than once\n"
    "  -r, --reachable      what is still reachable as well\n"
    "  -n, --top=N          so many places of each verdict; 0: all; 10 unless told\n"
    "  -p, --pid=PID        of this process\n"
    "      --trace=FILE     of a process that is recorded, or a snapshot of it: where it allocates, by that\n"
    "      --no-stacks      PROGRAM runs at full speed: where blocks were allocated is not known then\n"
    "      --process=N      of one process only, by its number in the trace\n"
    "  -e, --exit-code=N    the status when something leaks; 0 unless told\n"
    "  -j, --json           as JSON\n"
    "  -h, --help           this text\n"
    "\n"
    "Exit status: 0, or the PROGRAM's; 1 where the trace cannot be read; 2 for wrong usage; N of --exit-code.\n"
    "\n"
    "Examples:\n"
    "  allot leaks app.allot                             what leaks\n"
    "  allot leaks --suppressions known.supp app.allot   but for what is known\n"
    "  allot leaks -p 4711                               of one that runs\n"
    "  allot leaks --trace app.allot -p 4711             of one that runs, and is recorded there\n"
    "  allot leaks -- build/server --selftest            of one that is run, at its end\n"
    "  allot leaks --exit-code 23 app.allot              for a test to fail by\n"
    "  allot leaks core                                  of a program that has died\n";

#define FRAMES 64

struct request {
    struct leaks_wanted print;
    uint32_t process;
    int status;
    const char *path;
    pid_t pid;         /* 0: none */
    char **argv;       /* of a program; NULL: none */
    bool no_stacks;    /* of that */
    const char *trace; /* with stacks for a snapshot or a process; or NULL */
};

static bool parse(int argc, char **argv, struct leaks *leaks, struct request *out)
{
    static const struct option options[] = {
        {"suppressions", required_argument, NULL, 's'},
        {"reachable", no_argument, NULL, 'r'},
        {"top", required_argument, NULL, 'n'},
        {"process", required_argument, NULL, 'P'},
        {"exit-code", required_argument, NULL, 'e'},
        {"json", no_argument, NULL, 'j'},
        {"pid", required_argument, NULL, 'p'},
        {"no-stacks", no_argument, NULL, 'S'},
        {"trace", required_argument, NULL, 'T'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":s:rn:p:e:jh", options, NULL)) != -1) {
        uint64_t number = 0, most = option == 'e' ? 255 : option == 'p' ? INT32_MAX : UINT32_MAX;
        if (strchr("npeP", option) && !words_read_number(optarg, most, &number)) {
            complain("leaks: %s %s, on the command line, takes a number%s",
                     option == 'P' ? "--process" : (char[]){'-', (char)option, 0}, optarg,
                     option == 'e' ? " up to 255" : "");
            return false;
        }
        switch (option) {
        case 's':
            if (!leaks_suppress(leaks, optarg)) {
                return false;
            }
            break;
        case 'r':
            out->print.reachable = true;
            break;
        case 'n':
            out->print.top = number;
            break;
        case 'P':
            out->process = (uint32_t)number;
            break;
        case 'e':
            out->status = (int)number;
            break;
        case 'p':
            out->pid = (pid_t)number;
            break;
        case 'S':
            out->no_stacks = true;
            break;
        case 'T':
            out->trace = optarg;
            break;
        case 'j':
            out->print.json = true;
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            complain_option("leaks", option, argv);
            return false;
        }
    }
    if (optind < argc && optind > 1 && strcmp(argv[optind - 1], "--") == 0) {
        out->argv = argv + optind;
        return true;
    }
    if (out->pid && optind == argc) {
        return true;
    }
    if (argc - optind != 1 || out->pid) {
        complain("leaks: %s, on the command line, name one", argc == optind ? "no trace" : "more than one trace");
        return false;
    }
    out->path = argv[optind];
    return true;
}

static bool add(struct leaks *leaks, const struct look *look, const struct profile_site *site, struct leak leak)
{
    struct symbol_frame frame[FRAMES];
    leak.frames = names_stack(look->names, site->stack, frame, FRAMES);
    leak.frame = frame;
    if (leak.frames == 1 && frame[0].function && frame[0].function[0] == '(' && !frame[0].module) {
        leak.owner = site->stack ? frame[0].function : NULL; /* it stands for stacks that are not known */
        leak.frames = 0;
    }
    leak.process = look->profile->processes > 1 ? site->process : 0;
    return leaks_add(leaks, &leak);
}

/* What the processes said at their ends; and of those that said nothing, what they did not free. */
static bool add_all(struct leaks *leaks, const struct look *look, bool *some_looked, bool *some_did_not)
{
    const struct profile *p = look->profile;
    bool good = true;
    bool *looked = calloc((size_t)p->processes + 1, sizeof *looked);
    struct way_of *way = calloc((size_t)p->verdicts + 1, sizeof *way);
    if (!looked || !way) {
        free(looked);
        free(way);
        return false;
    }
    for (uint32_t i = 0; i < p->verdicts; i++) {
        const struct profile_verdict *v = &p->verdict[i];
        way[i] = (struct way_of){.process = p->site[v->site].process, .address = v->address, .bytes = v->bytes};
    }
    if (p->verdicts > 0) {
        ways_find(look->path, p, way, p->verdicts);
    }
    for (uint32_t i = 0; good && i < p->verdicts; i++) {
        const struct profile_verdict *v = &p->verdict[i];
        const struct profile_site *site = &p->site[v->site];
        looked[p->process_index[site->process]] = true;
        *some_looked = true;
        good = add(leaks, look, site,
                   (struct leak){.verdict = v->verdict,
                                 .count = v->blocks,
                                 .bytes = v->bytes,
                                 .retained = v->retained,
                                 .type = way[i].type,
                                 .path = way[i].way});
    }
    ways_end(way, p->verdicts);
    for (uint32_t s = 1; good && s <= p->sites; s++) {
        const struct profile_site *site = &p->site[s];
        if (site->left_blocks > 0 && !looked[p->process_index[site->process]]) {
            *some_did_not = true;
            good = add(leaks, look, site,
                       (struct leak){.verdict = GRAPH_UNKNOWN, .count = site->left_blocks, .bytes = site->left_bytes});
        }
    }
    free(looked);
    return good;
}

static int from_trace(struct leaks *leaks, struct request *r)
{
    struct look look;
    bool looked = false, not_looked = false;
    char source[300];
    if (!look_at(&look, r->path, &(struct profile_wanted){.process = r->process})) {
        return 1;
    }
    if (!add_all(leaks, &look, &looked, &not_looked)) {
        complain("out of memory, %s, end other programs", r->path);
        return 1;
    }
    snprintf(source, sizeof source, "trace %.250s", words_base(r->path));
    r->print.source = source;
    if (not_looked) {
        r->print.note = looked ? "Of some processes only what they never freed is known: they did not look at their "
                                 "end what is reachable."
                               : "This is what was never freed, not what is lost: who points to whom was not looked at "
                                 "when the program ended.";
    }
    r->print.colour = words_colour();
    r->print.suppressions = true;
    leaks_print(leaks, &r->print);
    look_end(&look);
    return leaks_failed(leaks) > 0 ? r->status : 0;
}

static int from_core(struct leaks *leaks, struct request *r)
{
    static struct dead dead;
    struct core_error error;
    char source[300], note[512];
    if (!dead_open(&dead, r->path, NULL, NULL, &error)) {
        complain("%s: %s", r->path, error.line);
        return 1;
    }
    if (!core_heap_known(&dead)) {
        complain("%s, %s, see allot core --heap", core_heap_trouble(&dead), r->path);
        return 1;
    }
    if (!dead_mark(&dead) || !dead_leaks(&dead, leaks, r->print.reachable)) {
        complain("out of memory, %s, end other programs", r->path);
        return 1;
    }
    snprintf(source, sizeof source, "core %.250s", words_base(r->path));
    r->print.source = source;
    r->print.note = core_note(&dead, note, sizeof note);
    r->print.colour = words_colour();
    leaks_print(leaks, &r->print);
    dead_close(&dead);
    return leaks_failed(leaks) > 0 ? r->status : 0;
}

int command_leaks(int argc, char **argv)
{
    struct request r = {.print = {.top = 10}};
    struct leaks *leaks = leaks_begin();
    if (!leaks) {
        complain("out of memory, leaks, end other programs");
        return 1;
    }
    int status = EXIT_USAGE;
    if (parse(argc, argv, leaks, &r)) {
        status = r.argv                      ? leaks_of_command(leaks, &r.print, r.argv, !r.no_stacks, r.status)
                 : r.pid                     ? leaks_of_process(leaks, &r.print, r.pid, r.trace, r.status)
                 : leaks_is_snapshot(r.path) ? leaks_of_snapshot(leaks, &r.print, r.path, r.trace, r.status)
                 : core_file_is(r.path)      ? from_core(leaks, &r)
                                             : from_trace(leaks, &r);
    }
    leaks_end(leaks);
    return status;
}
