/* allot snap - a running process's heap: a picture of it, taken by itself, and looked into. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "json.h"
#include "outfile.h"
#include "progress.h"
#include "snapshot/around.h"
#include "snapshot/ask.h"
#include "snapshot/growth.h"
#include "snapshot/leaks.h"
#include "snapshot/request.h"
#include "words.h"

static const char help[] =
    "usage: allot snap [OPTION...] -p PID\n"
    "       allot snap [OPTION...] FILE\n"
    "       allot snap [OPTION...] BEFORE AFTER\n"
    "\n"
    "Looks at the heap of a running process on allot's malloc: which blocks live, whose they are,\n"
    "who points to whom, and what nobody points to any more. The process takes the picture itself,\n"
    "by a fork that nobody hears of, the next time it allocates; it is stopped for that long. No\n"
    "ptrace. Of two pictures: what has grown in between, and apart from that what has leaked.\n"
    "\n"
    "  -p, --pid=PID             the process; by its user, or root\n"
    "  -o, --output=FILE         the picture is kept there, and nothing else is done\n"
    "  -l, --leaks               what leaks, as allot leaks has it\n"
    "  -a, --all                 with --leaks: the blocks as well that are not lost\n"
    "  -s, --suppressions=FILE   with --leaks: what is no news, as LSan or memcheck read it\n"
    "      --list                every block: address, bytes, verdict, owner, class\n"
    "  -w, --who=ADDRESS         who points to the block that an address lies in, and to whom it does\n"
    "      --path=ADDRESS        how it is reached: a shortest way from a variable, stack or register\n"
    "  -r, --retained=ADDRESS    bytes that would go with it\n"
    "  -n, --top=N               so many kinds or groups; 20, 0 is all\n"
    "  -j, --json                for a machine to read\n"
    "  -h, --help                this text\n"
    "\n"
    "Exit status: 0; 1 where there is no picture; 2 for wrong usage.\n"
    "\n"
    "Examples:\n"
    "  allot snap -p 4711                          sums, by verdict, owner and class\n"
    "  allot snap -p 4711 -o one.snap              and a while later\n"
    "  allot snap -p 4711 -o two.snap\n"
    "  allot snap one.snap two.snap                what has grown\n"
    "  allot snap --path 0x7f0e0a4010 two.snap     why a block is still there\n";

enum { LIST = 256, PATH };

struct request {
    pid_t pid; /* 0: a file */
    const char *file[2], *output, *suppressions;
    bool leaks, all, json;
    size_t top;
    enum snapshot_question ask;
    uint64_t address;
};

static bool ask(struct request *r, enum snapshot_question what, const char *address)
{
    if (r->ask != ASK_SNAP_NOTHING) {
        complain("snap: one question at a time, on the command line, ask again");
        return false;
    }
    r->ask = what;
    if (address && !words_read_address(address, &r->address)) {
        complain("snap: no address '%s', on the command line, give one as 0x7f0e0a4010", address);
        return false;
    }
    return true;
}

static bool read_option(void *request, int option)
{
    struct request *r = request;
    uint64_t number = 0;
    switch (option) {
    case 'p':
        r->pid = words_read_number(optarg, INT32_MAX, &number) ? (pid_t)number : 0;
        if (r->pid == 0) {
            complain("snap: no process '%s', on the command line, give its number", optarg);
        }
        return r->pid;
    case 'n':
        if (!words_read_number(optarg, SIZE_MAX, &number)) {
            complain("snap: no number '%s', --top, give how many to show", optarg);
            return false;
        }
        r->top = number;
        return true;
    case 'o':
        r->output = optarg;
        return true;
    case 's':
        r->suppressions = optarg;
        r->leaks = true;
        return true;
    case 'l':
        return r->leaks = true;
    case 'a':
        return r->all = r->leaks = true;
    case LIST:
        return ask(r, ASK_SNAP_LIST, NULL);
    case 'w':
        return ask(r, ASK_SNAP_WHO, optarg);
    case PATH:
        return ask(r, ASK_SNAP_PATH, optarg);
    case 'r':
        return ask(r, ASK_SNAP_RETAINED, optarg);
    default:
        return r->json = true;
    }
}

/* 0: go on; else the exit status + 1. */
static int read_arguments(int argc, char **argv, struct request *r)
{
    static const struct option options[] = {
        {"pid", required_argument, NULL, 'p'},
        {"output", required_argument, NULL, 'o'},
        {"leaks", no_argument, NULL, 'l'},
        {"all", no_argument, NULL, 'a'},
        {"suppressions", required_argument, NULL, 's'},
        {"list", no_argument, NULL, LIST},
        {"who", required_argument, NULL, 'w'},
        {"path", required_argument, NULL, PATH},
        {"retained", required_argument, NULL, 'r'},
        {"top", required_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    *r = (struct request){.top = 20};
    int status = command_options("snap", argc, argv, ":p:o:las:w:r:n:jh", options, help, read_option, r);
    if (status) {
        return status;
    }
    int files = argc - optind;
    if (r->pid ? files != 0 : files < 1 || files > 2 || r->output) {
        complain("snap: %s, on the command line, see allot snap --help", r->pid       ? "a process and a file"
                                                                         : r->output  ? "--output without --pid"
                                                                         : files == 0 ? "neither a process nor a file"
                                                                                      : "more than two files");
        return EXIT_USAGE + 1;
    }
    r->file[0] = argv[optind];
    r->file[1] = files == 2 ? argv[optind + 1] : NULL;
    return 0;
}

static int no_memory(void)
{
    complain("no memory to look into it, snapshot, have more memory");
    return 1;
}

/* -- sums -- */

/* Of one owner, or one class. */
struct row {
    const char *name;
    uint64_t blocks, bytes;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

static int by_bytes(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return x->bytes != y->bytes ? (x->bytes < y->bytes ? 1 : -1) : by_name(a, b);
}

static size_t fold(struct row *row, size_t count)
{
    size_t kept = 0;
    qsort(row, count, sizeof *row, by_name);
    for (size_t i = 0; i < count; i++) {
        if (kept && strcmp(row[kept - 1].name, row[i].name) == 0) {
            row[kept - 1].blocks += row[i].blocks;
            row[kept - 1].bytes += row[i].bytes;
        } else {
            row[kept++] = row[i];
        }
    }
    qsort(row, kept, sizeof *row, by_bytes);
    return kept;
}

static void put_rows(struct row *row, size_t count, size_t top, const char *title, struct json *j)
{
    if (j) {
        json_array(j, title);
    } else if (count) {
        printf("%s:\n", title);
    }
    for (size_t i = 0; i < count && (top == 0 || i < top); i++) {
        if (j) {
            json_object(j, NULL);
            json_text(j, "name", row[i].name);
            json_number(j, "blocks", row[i].blocks);
            json_number(j, "bytes", row[i].bytes);
            json_end(j);
        } else {
            printf("  %10s in %s block%s: ", words_bytes(row[i].bytes).text, words_count(row[i].blocks).text,
                   words_s(row[i].blocks));
            words_put(stdout, row[i].name, 100);
            putchar('\n');
        }
    }
    if (j) {
        json_end(j);
    }
}

static bool put_owners(const struct request *r, const struct snapshot *s, struct json *j)
{
    size_t count = s->blocks.owners;
    struct row *row = calloc(count + 1, sizeof *row);
    uint64_t(*sum)[2] = calloc(count + 1, sizeof *sum);
    char(*name)[128] = calloc(count + 1, sizeof *name);
    bool done = row && sum && name;
    for (size_t i = 0; done && i < s->blocks.count; i++) {
        const struct graph_block *b = &s->blocks.block[i];
        if (sum[b->owner][0]++ == 0 && !snapshot_owner(s, i, name[b->owner], sizeof *name)) {
            strcpy(name[b->owner], "malloc");
        }
        sum[b->owner][1] += b->size;
    }
    size_t rows = 0;
    for (size_t i = 0; done && i < count; i++) {
        if (sum[i][0]) {
            row[rows++] = (struct row){name[i], sum[i][0], sum[i][1]};
        }
    }
    if (done) {
        put_rows(row, fold(row, rows), r->top, "owners", j);
    }
    free(row);
    free(sum);
    free(name);
    return done;
}

static bool put_types(const struct request *r, const struct snapshot *s, struct json *j)
{
    struct row *row = calloc(s->types + 1, sizeof *row);
    struct snapshot_names *names = snapshot_names_begin(s);
    size_t rows = 0;
    for (size_t i = 0; row && names && i < s->types; i++) {
        const char *type = snapshot_type(names, s->type[i].block);
        if (type) {
            row[rows++] = (struct row){type, 1, s->blocks.block[s->type[i].block].size};
        }
    }
    if (row && names) {
        put_rows(row, fold(row, rows), r->top, "classes", j);
    }
    bool done = row && names;
    free(row);
    snapshot_names_end(names);
    return done;
}

static int show_sums(const struct request *r, const struct snapshot *s)
{
    struct graph_sum sum[GRAPH_DEFINITE + 1];
    struct json json, *j = r->json ? &json : NULL;
    graph_sums(&s->graph, sum);
    if (j) {
        json_begin(j, stdout);
        json_object(j, NULL);
        json_signed(j, "pid", s->header.pid);
        json_text(j, "command", s->command);
        json_number(j, "threads", s->threads);
        json_number(j, "stack_bytes", around_stacks(s));
        json_number(j, "descriptors", s->descriptors);
        json_number(j, "edges", s->graph.edges.count);
        json_flag(j, "all_stopped", !(s->header.flags & SNAP_SOME_UNSTOPPED));
    } else {
        printf("process %d, ", s->header.pid);
        words_put(stdout, *s->command ? s->command : "?", 100);
        printf(": %zu thread%s with %s of stack, %zu descriptors\n", s->threads, words_s(s->threads),
               words_bytes(around_stacks(s)).text, s->descriptors);
        if (snapshot_note(s)) {
            puts(snapshot_note(s));
        }
    }
    for (unsigned v = GRAPH_DEFINITE; v > GRAPH_UNKNOWN; v--) {
        if (j) {
            json_object(j, snapshot_verdict(v));
            json_number(j, "blocks", sum[v].blocks);
            json_number(j, "bytes", sum[v].bytes);
            json_end(j);
        } else {
            printf("  %-12s %10s in %s block%s\n", snapshot_verdict(v), words_bytes(sum[v].bytes).text,
                   words_count(sum[v].blocks).text, words_s(sum[v].blocks));
        }
    }
    bool done = put_owners(r, s, j) && put_types(r, s, j);
    if (j) {
        json_end(j);
        putchar('\n');
    }
    return done ? 0 : no_memory();
}

/* -- what is wanted -- */

static int show_leaks(const struct request *r, const struct snapshot *s)
{
    struct leaks *leaks = leaks_begin();
    char source[64];
    snprintf(source, sizeof source, "process %d", s->header.pid);
    struct leaks_wanted wanted = {.json = r->json,
                                  .colour = words_colour(),
                                  .reachable = r->all,
                                  .top = r->top,
                                  .source = source,
                                  .note = snapshot_note(s)};
    bool read = leaks && (!r->suppressions || leaks_suppress(leaks, r->suppressions));
    bool done = read && snapshot_leaks(s, leaks, NULL, r->all);
    if (done) {
        leaks_print(leaks, &wanted);
    }
    if (leaks) {
        leaks_end(leaks);
    }
    return done ? 0 : read || !leaks ? no_memory() : 1;
}

static int show(const struct request *r, const char *path)
{
    struct snapshot s, other;
    struct snapshot_error error;
    if (!snapshot_open(&s, path, &error)) {
        complain("%s: %s", r->pid ? "snapshot" : path, error.line);
        return 1;
    }
    int status = 1;
    if (r->file[1]) {
        if (!snapshot_open(&other, r->file[1], &error)) {
            complain("%s: %s", r->file[1], error.line);
        } else {
            status = snapshot_growth(&s, &other, r->top, r->json) ? 0 : no_memory();
            snapshot_close(&other);
        }
    } else if (r->ask != ASK_SNAP_NOTHING) {
        status = snapshot_ask(&s, r->ask, r->address, r->json);
        status = status < 0 ? no_memory() : status;
    } else {
        status = r->leaks ? show_leaks(r, &s) : show_sums(r, &s);
    }
    snapshot_close(&s);
    return status;
}

int command_snap(int argc, char **argv)
{
    struct request r;
    int status = read_arguments(argc, argv, &r), fd;
    if (status) {
        return status - 1;
    }
    if (!r.pid) {
        return show(&r, r.file[0]);
    }
    int error = r.output ? outfile_check(r.output) : 0;
    if (error) {
        complain("%s: %s, give another --output", r.output, strerror(-error));
        return 1;
    }
    if (!snapshot_request(r.pid, &fd, progress_show)) {
        return 1;
    }
    if (r.output) {
        error = outfile_write(r.output, fd);
        if (error) {
            complain("%s: %s, give another --output", r.output, strerror(-error));
        }
        return error != 0;
    }
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return show(&r, path);
}
