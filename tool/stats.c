/* allot stats - what the heap of a running process is like, read from its control page (control.h); and who shares one. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "control.h"

static const char help[] = "usage: allot stats [--json]\n"
                           "       allot stats [OPTION...] PID|NAME\n"
                           "\n"
                           "Without a process: lists those that share their statistics. Else shows what the heap of\n"
                           "that one is like, which it must share: started with ALLOT_OPTIONS=share=on, or by\n"
                           "allot run --share.\n"
                           "\n"
                           "  -c, --classes        of the tables only size classes,\n"
                           "  -t, --heaps          heaps, one for each thread that allocates much,\n"
                           "  -g, --tags           or tags\n"
                           "  -e, --every=SECONDS  again and again, a line each time or such tables, until it ends\n"
                           "  -j, --json           a line of JSON each time\n"
                           "  -h, --help           this text\n"
                           "\n"
                           "Exit status: 0; 1 where there is nothing to show; 2 for wrong usage.\n"
                           "\n"
                           "Examples:\n"
                           "  allot stats                          who shares\n"
                           "  allot stats redis-server             all about one\n"
                           "  allot stats --every 1 4711           how it goes on\n"
                           "  allot stats --json --tags 4711       for a machine to read\n";

struct request {
    bool classes, heaps, tags, json;
    double every; /* seconds; 0: once */
    const char *process;
};

static bool chosen(const struct request *r) { return r->classes || r->heaps || r->tags; }

/* -- words -- */

struct text {
    char text[32];
};

static struct text human(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    struct text out;
    double size = (double)bytes;
    unsigned u = 0;
    for (; size >= 1024 && u < 6; u++) {
        size /= 1024;
    }
    snprintf(out.text, sizeof out.text, u ? "%.1f %s" : "%.0f %s", size, units[u]);
    return out;
}

static struct text human_limit(uint64_t bytes) { return bytes == UINT64_MAX ? (struct text){"-"} : human(bytes); }

static struct text human_time(uint64_t ms)
{
    struct text out;
    uint64_t s = ms / 1000;
    if (s < 120) {
        snprintf(out.text, sizeof out.text, "%d s", (int)s);
    } else if (s < 7200) {
        snprintf(out.text, sizeof out.text, "%d min", (int)(s / 60));
    } else {
        snprintf(out.text, sizeof out.text, "%llu h", (unsigned long long)(s / 3600));
    }
    return out;
}

static uint64_t since(uint64_t at)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    return ms > at ? ms - at : 0;
}

static const char *kind_name(uint64_t kind)
{
    static const char *const names[] = {"thread", "tagged", "waiting", "shared", "private", "lost"};
    return kind < sizeof names / sizeof names[0] ? names[kind] : "?";
}

/* Headings stand out on a terminal. */
static void heading(const char *text)
{
    bool bold = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    printf(bold ? "\033[1m%s\033[0m\n" : "%s\n", text);
}

static size_t rows(uint64_t in_all, size_t most) { return in_all < most ? (size_t)in_all : most; }

static void say_more(uint64_t in_all, size_t most, const char *what)
{
    if (in_all > most) {
        printf("  and %llu %s more, which hold less\n", (unsigned long long)(in_all - most), what);
    }
}

/* A name that may hold anything, without what a terminal would obey. */
static void put_name(const char *name)
{
    for (; *name; name++) {
        unsigned char c = (unsigned char)*name;
        putchar(c < ' ' || c == 0x7f ? '?' : c);
    }
}

/* -- one process, as text -- */

static void show_now(const struct allot_control_now *n, const struct allot_control_tables *t, bool fresh)
{
    printf("  live        %12s", human(fresh ? t->live : n->live).text);
    if (fresh) {
        printf(" in %llu blocks, of which %s in runs of pages", (unsigned long long)t->blocks, human(t->runs).text);
        printf(" and %s in large ones", human(t->large).text);
    }
    printf("\n  peak        %12s\n", human(n->peak).text);
    printf("  held        %12s in use, whole slabs and pages; limit %s, ", human(n->held).text,
           human_limit(n->limit).text);
    printf("soft limit %s\n", human_limit(n->soft_limit).text);
    printf("  kept        %12s for later: ", human(n->kept_slabs + n->kept_runs + n->kept_large).text);
    printf("%s for slabs, ", human(n->kept_slabs).text);
    printf("%s for runs, ", human(n->kept_runs).text);
    printf("%s for large blocks\n", human(n->kept_large).text);
    printf("  given back  %12s so far\n", human(n->given_back).text);
    printf("  mapped      %12s address space, %llu segments of 4 MiB among it\n", human(n->mapped).text,
           (unsigned long long)n->segments);
    printf("  threads     %12llu\n", (unsigned long long)n->threads);
}

static void show_classes(const struct allot_control_tables *t)
{
    heading("\n       class         live         free    slabs");
    for (size_t i = 0; i < rows(t->classes, ALLOT_CONTROL_CLASSES); i++) {
        const struct allot_control_class *c = &t->of_class[i];
        printf("  %10llu %12llu %12llu %8llu\n", (unsigned long long)c->size, (unsigned long long)c->blocks,
               (unsigned long long)c->free, (unsigned long long)c->slabs);
    }
}

static void show_heaps(const struct allot_control_tables *t)
{
    heading("\n        heap  kind         thread         live         held");
    for (size_t i = 0; i < rows(t->heaps, ALLOT_CONTROL_HEAPS); i++) {
        const struct allot_control_heap *h = &t->of_heap[i];
        char thread[16];
        snprintf(thread, sizeof thread, "%d", h->tid);
        printf("  %10u  %-8s %10s %12s ", h->id, kind_name(h->kind), h->tid ? thread : "-", human(h->live).text);
        printf("%12s\n", human(h->held).text);
    }
    say_more(t->heaps, ALLOT_CONTROL_HEAPS, "heaps");
}

static void show_tags(const struct allot_control_tables *t)
{
    heading("\n        used        limit    refused  tag");
    for (size_t i = 0; i < rows(t->tags, ALLOT_CONTROL_TAGS); i++) {
        const struct allot_control_tag *tag = &t->of_tag[i];
        printf("  %10s ", human(tag->used).text);
        printf("%12s %10llu  ", human_limit(tag->limit).text, (unsigned long long)tag->refused);
        put_name(tag->name);
        putchar('\n');
    }
    say_more(t->tags, ALLOT_CONTROL_TAGS, "tags");
}

static void show(const struct request *r, pid_t pid, const struct allot_control *page, bool fresh)
{
    const struct allot_control_tables *t = &page->tables;
    char name[64], title[160];
    control_process_name(pid, name);
    snprintf(title, sizeof title, "process %d (%s), shared for %s", (int)pid, name,
             human_time(since(page->started_at)).text);
    heading(title);
    if (!chosen(r)) {
        show_now(&page->now, t, fresh);
    }
    if (!fresh && page->tables_at == 0) {
        printf("\n  no tables: it has not allocated or freed since they were asked for\n");
        return;
    }
    if (!fresh) {
        printf("\n  tables of %s ago: it has not allocated or freed since\n", human_time(since(page->tables_at)).text);
    }
    if (r->classes || !chosen(r)) {
        show_classes(t);
    }
    if (r->heaps || !chosen(r)) {
        show_heaps(t);
    }
    if (r->tags || (!chosen(r) && t->tags)) {
        show_tags(t);
    }
}

static void show_line(const struct allot_control *page, bool fresh, bool first)
{
    const struct allot_control_now *n = &page->now;
    if (first) {
        heading("        live         peak         held         kept   given back   threads");
    }
    printf("%12s ", human(fresh ? page->tables.live : n->live).text);
    printf("%12s ", human(n->peak).text);
    printf("%12s ", human(n->held).text);
    printf("%12s ", human(n->kept_slabs + n->kept_runs + n->kept_large).text);
    printf("%12s %9llu\n", human(n->given_back).text, (unsigned long long)n->threads);
}

/* -- as JSON -- */

static void json_string(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            printf("\\%c", c);
        } else if (c < 0x20 || c >= 0x7f) {
            printf("\\u%04x", c);
        } else {
            putchar(c);
        }
    }
    putchar('"');
}

/* A word that may have no value: no limit, no time. */
static void json_word(const char *name, uint64_t value, uint64_t none)
{
    if (value == none) {
        printf("\"%s\":null", name);
    } else {
        printf("\"%s\":%llu", name, (unsigned long long)value);
    }
}

static void json_number(const char *name, uint64_t value) { printf("\"%s\":%llu,", name, (unsigned long long)value); }

static void json_now(pid_t pid, const struct allot_control *page)
{
    const struct allot_control_now *n = &page->now;
    char name[64];
    control_process_name(pid, name);
    printf("{\"pid\":%d,\"program\":", (int)pid);
    json_string(name);
    putchar(',');
    json_number("shared_ms", since(page->started_at));
    json_number("live", n->live);
    json_number("peak", n->peak);
    json_number("held", n->held);
    json_word("limit", n->limit, UINT64_MAX);
    putchar(',');
    json_word("soft_limit", n->soft_limit, UINT64_MAX);
    putchar(',');
    json_number("kept_slabs", n->kept_slabs);
    json_number("kept_runs", n->kept_runs);
    json_number("kept_large", n->kept_large);
    json_number("given_back", n->given_back);
    json_number("mapped", n->mapped);
    json_number("segments", n->segments);
    printf("\"threads\":%llu", (unsigned long long)n->threads);
}

static void json_tables(const struct request *r, const struct allot_control *page, bool fresh)
{
    const struct allot_control_tables *t = &page->tables;
    printf(",\"tables\":{\"fresh\":%s,\"age_ms\":%llu,", fresh ? "true" : "false",
           (unsigned long long)since(page->tables_at));
    json_number("live", t->live);
    json_number("blocks", t->blocks);
    json_number("runs", t->runs);
    json_number("run_blocks", t->run_blocks);
    json_number("large", t->large);
    json_number("large_blocks", t->large_blocks);
    printf("\"metadata\":%llu", (unsigned long long)t->metadata);
    if (r->classes || !chosen(r)) {
        printf(",\"classes\":[");
        for (size_t i = 0; i < rows(t->classes, ALLOT_CONTROL_CLASSES); i++) {
            const struct allot_control_class *c = &t->of_class[i];
            printf(i ? ",{" : "{");
            json_number("size", c->size);
            json_number("blocks", c->blocks);
            json_number("free", c->free);
            printf("\"slabs\":%llu}", (unsigned long long)c->slabs);
        }
        putchar(']');
    }
    if (r->heaps || !chosen(r)) {
        printf(",\"heaps_in_all\":%llu,\"heaps\":[", (unsigned long long)t->heaps);
        for (size_t i = 0; i < rows(t->heaps, ALLOT_CONTROL_HEAPS); i++) {
            const struct allot_control_heap *h = &t->of_heap[i];
            printf("%s{\"id\":%u,\"kind\":\"%s\",\"tid\":%d,", i ? "," : "", h->id, kind_name(h->kind), h->tid);
            json_number("live", h->live);
            json_number("held", h->held);
            printf("\"slabs\":%llu}", (unsigned long long)h->slabs);
        }
        putchar(']');
    }
    if (r->tags || !chosen(r)) {
        printf(",\"tags_in_all\":%llu,\"tags\":[", (unsigned long long)t->tags);
        for (size_t i = 0; i < rows(t->tags, ALLOT_CONTROL_TAGS); i++) {
            const struct allot_control_tag *tag = &t->of_tag[i];
            printf(i ? ",{\"name\":" : "{\"name\":");
            json_string(tag->name);
            putchar(',');
            json_number("used", tag->used);
            json_word("limit", tag->limit, UINT64_MAX);
            printf(",\"refused\":%llu}", (unsigned long long)tag->refused);
        }
        putchar(']');
    }
    putchar('}');
}

/* -- which process -- */

/* Calls `visit` for each process that shares and that the caller may look into. */
static void each_sharing(void (*visit)(pid_t pid, int fd, void *arg), void *arg)
{
    DIR *folder = opendir("/proc");
    for (const struct dirent *entry; folder && (entry = readdir(folder));) {
        pid_t pid = atoi(entry->d_name);
        int fd = pid > 0 ? control_open(pid) : -1;
        if (fd >= 0) {
            visit(pid, fd, arg);
            close(fd);
        }
    }
    if (folder) {
        closedir(folder);
    }
}

struct search {
    const char *name;
    pid_t found[8];
    size_t count;
};

static void compare_name(pid_t pid, int fd, void *arg)
{
    (void)fd;
    struct search *s = arg;
    char name[64];
    control_process_name(pid, name);
    if (strcmp(name, s->name) == 0) {
        if (s->count < sizeof s->found / sizeof s->found[0]) {
            s->found[s->count] = pid;
        }
        s->count++;
    }
}

/* The id that a word means; 0, and it is said why, when it means none. */
static pid_t find(const char *process)
{
    char *end;
    long pid = strtol(process, &end, 10);
    if (*process && !*end && pid > 0 && pid == (pid_t)pid) {
        return (pid_t)pid;
    }
    struct search s = {.name = process};
    each_sharing(compare_name, &s);
    if (s.count == 0) {
        complain("no process of that name shares its statistics, %s, see allot stats for those that do", process);
    } else if (s.count > 1) {
        complain("%zu processes have that name, %s, choose one by its number: %d or %d%s", s.count, process,
                 (int)s.found[0], (int)s.found[1], s.count > 2 ? " or another of allot stats" : "");
    }
    return s.count == 1 ? s.found[0] : 0;
}

static void cannot(pid_t pid, int error)
{
    switch (error) {
    case ESRCH:
        complain("no such process, %d, see allot stats for those that share their statistics", (int)pid);
        return;
    case ENOENT:
        complain("process does not share its statistics, %d, start it with ALLOT_OPTIONS=share=on or allot run --share",
                 (int)pid);
        return;
    case EACCES:
    case EPERM:
        complain("not allowed to look into the process, %d, be its user or root", (int)pid);
        return;
    case EPROTO:
        complain("process has another version of allot, %d, use that one's command", (int)pid);
        return;
    case EAGAIN:
        complain("process stopped while it wrote its statistics, %d, try again when it goes on", (int)pid);
        return;
    default:
        complain("cannot read the process's statistics, %d, %s", (int)pid, strerror(error));
    }
}

/* -- the command -- */

static bool print(const struct request *r, pid_t pid, bool first)
{
    static struct allot_control page;
    bool line = r->every > 0 && !chosen(r) && !r->json, fresh = false;
    int fd = control_open(pid);
    int error = fd < 0 ? fd : control_ask_and_read(fd, &page, &fresh);
    if (fd >= 0) {
        close(fd);
    }
    if (error < 0) {
        if (first || (error != -ESRCH && error != -ENOENT)) {
            cannot(pid, -error);
        }
        return false;
    }
    if (fresh && page.now.peak < page.tables.live) { /* it is told of the sum by and by */
        page.now.peak = page.tables.live;
    }
    if (line) {
        show_line(&page, fresh, first);
    } else if (r->json) {
        json_now(pid, &page);
        if (fresh || page.tables_at) {
            json_tables(r, &page, fresh);
        }
        printf("}\n");
    } else {
        printf(first ? "" : "\n");
        show(r, pid, &page, fresh);
    }
    return fflush(stdout) == 0;
}

static void wait_seconds(double seconds)
{
    struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&left, NULL);
}

struct listing {
    bool json;
    size_t count;
};

static void list_one(pid_t pid, int fd, void *arg)
{
    static struct allot_control page;
    struct listing *l = arg;
    char name[64];
    if (control_read(fd, &page) != 0) {
        return;
    }
    if (l->json) {
        printf(l->count ? "," : "");
        json_now(pid, &page);
        putchar('}');
    } else {
        if (l->count == 0) {
            heading("  process  program                 live         peak         held   threads");
        }
        control_process_name(pid, name);
        printf("%9d  %-16s %11s ", (int)pid, name, human(page.now.live).text);
        printf("%12s ", human(page.now.peak).text);
        printf("%12s %9llu\n", human(page.now.held).text, (unsigned long long)page.now.threads);
    }
    l->count++;
}

static int list(const struct request *r)
{
    struct listing l = {.json = r->json};
    printf(r->json ? "[" : "");
    each_sharing(list_one, &l);
    printf(r->json ? "]\n" : "");
    if (l.count == 0 && !r->json) {
        complain("nobody shares statistics, in any process of yours, start one with ALLOT_OPTIONS=share=on or "
                 "allot run --share");
        return 1;
    }
    return 0;
}

static bool parse(int argc, char **argv, struct request *out)
{
    static const struct option options[] = {
        {"classes", no_argument, NULL, 'c'},
        {"heaps", no_argument, NULL, 't'},
        {"tags", no_argument, NULL, 'g'},
        {"every", required_argument, NULL, 'e'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    char *end;
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":ctge:jh", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            out->classes = true;
            break;
        case 't':
            out->heaps = true;
            break;
        case 'g':
            out->tags = true;
            break;
        case 'j':
            out->json = true;
            break;
        case 'e':
            out->every = strtod(optarg, &end);
            if (!*optarg || *end || !(out->every >= 0.01 && out->every <= 1e6)) {
                complain("stats: --every %s, on the command line, takes seconds from 0.01 on", optarg);
                return false;
            }
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        case ':':
            complain("stats: option -%c without its value, on the command line, see allot stats --help", optopt);
            return false;
        default:
            if (optopt) {
                complain("stats: no option -%c, or it has no value, on the command line, see allot stats --help",
                         optopt);
            } else {
                complain("stats: no option %s, on the command line, see allot stats --help", argv[optind - 1]);
            }
            return false;
        }
    }
    if (argc - optind > 1) {
        complain("stats: more than one process, on the command line, name one");
        return false;
    }
    out->process = argv[optind];
    if (!out->process && (out->every > 0 || chosen(out))) {
        complain("stats: no process, on the command line, name one of those that allot stats lists");
        return false;
    }
    return true;
}

int command_stats(int argc, char **argv)
{
    struct request request = {0};

    if (!parse(argc, argv, &request)) {
        return EXIT_USAGE;
    }
    if (!request.process) {
        return list(&request);
    }
    pid_t pid = find(request.process);
    if (pid == 0 || !print(&request, pid, true)) {
        return 1;
    }
    while (request.every > 0) {
        wait_seconds(request.every);
        if (!print(&request, pid, false)) {
            break;
        }
    }
    return 0;
}
