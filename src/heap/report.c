/* heap/report.c - the statistics as text and as JSON, without allocating; and at exit, when the options say so. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <allot/malloc.h>

#include "heap/describe.h"
#include "heap/heap.h"
#include "heap/instance.h"
#include "heap/options.h"
#include "heap/tag.h"
#include "os/fault.h"
#include "os/print.h"

/* "1.5 MiB", in a buffer of the caller's. */
struct size_text {
    char text[32];
};
static struct size_text human(size_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    struct size_text out;
    unsigned u = 0;
    size_t scale = 1;
    while (u < 4 && bytes / scale >= 1024) {
        scale *= 1024;
        u++;
    }
    size_t tenths = bytes / scale * 10 + bytes % scale * 10 / scale;
    if (u == 0) {
        snprintf(out.text, sizeof out.text, "%zu B", bytes);
    } else {
        snprintf(out.text, sizeof out.text, "%zu.%zu %s", tenths / 10, tenths % 10, units[u]);
    }
    return out;
}

enum { MAX_HEAPS = 256 };

static const char *kind_name(enum allot_heap_kind kind)
{
    static const char *const names[] = {"thread", "tagged", "waiting", "shared", "private", "lost"};
    return names[kind];
}

/* All of them, however many, when there are any. */
static void put_tags(struct page *page)
{
    const struct allot_tag *tag;
    for (uint32_t i = 1; (tag = tag_by_index(i)) != NULL; i++) {
        struct allot_tag_stats s = tag_stats(tag);
        if (i == 1) {
            put(page, "\n  %12s %12s %10s  %s\n", "used", "limit", "refused", "tag");
        }
        put(page, "  %12s ", human(s.used).text);
        put(page, "%12s ", s.limit == SIZE_MAX ? "-" : human(s.limit).text);
        put(page, "%10zu  %s\n", s.refused, s.name);
    }
}

static void print_text(struct page *page, const struct allot_stats *all, size_t resident,
                       const struct allot_class_stats *class, size_t classes, const struct allot_heap_stats *heap,
                       size_t heaps)
{
    put(page, "allot: statistics of process %d (%s)\n", (int)getpid(), program_invocation_short_name);
    put(page, "  live      %12s in %zu blocks", human(all->live).text, all->blocks);
    put(page, ", of which %s in %zu runs of pages", human(all->runs).text, all->run_blocks);
    put(page, " and %s in %zu large ones\n", human(all->large).text, all->large_blocks);
    put(page, "  peak      %12s\n", human(all->peak).text);
    put(page, "  mapped    %12s in %zu segments; ", human(all->mapped).text, all->segments);
    put(page, "%s of it records\n", human(all->metadata).text);
    put(page, "  resident  %12s; ", human(resident).text);
    put(page, "kept for later, at most %s; ", human(all->kept).text);
    put(page, "given back so far %s\n", human(all->given_back).text);
    if (all->hugetlb) {
        put(page, "  hugetlb   %12s in explicit huge pages\n", human(all->hugetlb).text);
    }
    put(page, "\n  %10s %12s %12s %8s\n", "class", "live", "free", "slabs");
    for (size_t i = 0; i < classes; i++) {
        put(page, "  %10zu %12zu %12zu %8zu\n", class[i].size, class[i].blocks, class[i].free, class[i].slabs);
    }
    put(page, "\n  %10s %10s %12s %12s\n", "heap", "thread", "live", "held");
    for (size_t i = 0; i < heaps && i < MAX_HEAPS; i++) {
        char thread[16];
        snprintf(thread, sizeof thread, "%d", heap[i].tid);
        put(page, "  %10u %10s %12s ", heap[i].id, heap[i].tid ? thread : kind_name(heap[i].kind),
            human(heap[i].live).text);
        put(page, "%12s\n", human(heap[i].held).text);
    }
    if (heaps > MAX_HEAPS) {
        put(page, "  and %zu heaps more\n", heaps - MAX_HEAPS);
    }
    put_tags(page);
}

static void put_json_string(struct page *page, const char *text)
{
    put(page, "\"");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            put(page, "\\%c", c);
        } else if (c < 0x20 || c >= 0x7f) {
            put(page, "\\u%04x", c);
        } else {
            put(page, "%c", c);
        }
    }
    put(page, "\"");
}

static void put_json_tags(struct page *page)
{
    const struct allot_tag *tag;
    for (uint32_t i = 1; (tag = tag_by_index(i)) != NULL; i++) {
        struct allot_tag_stats s = tag_stats(tag);
        put(page, i == 1 ? ",\"tags\":[{\"name\":" : ",{\"name\":");
        put_json_string(page, s.name);
        put(page, ",\"used\":%zu,\"refused\":%zu,\"limit\":", s.used, s.refused);
        if (s.limit == SIZE_MAX) {
            put(page, "null}");
        } else {
            put(page, "%zu}", s.limit);
        }
    }
    put(page, tags_exist() ? "]" : "");
}

static void print_json(struct page *page, const struct allot_stats *all, size_t resident,
                       const struct allot_class_stats *class, size_t classes, const struct allot_heap_stats *heap,
                       size_t heaps)
{
    put(page, "{\"pid\":%d,\"program\":", (int)getpid());
    put_json_string(page, program_invocation_short_name);
    put(page, ",\"live\":%zu,\"blocks\":%zu,\"peak\":%zu,", all->live, all->blocks, all->peak);
    put(page, "\"mapped\":%zu,\"resident\":%zu,\"metadata\":%zu,", all->mapped, resident, all->metadata);
    put(page, "\"held\":%zu,\"kept\":%zu,\"given_back\":%zu,", all->held, all->kept, all->given_back);
    put(page, "\"runs\":%zu,\"run_blocks\":%zu,", all->runs, all->run_blocks);
    put(page, "\"large\":%zu,\"large_blocks\":%zu,", all->large, all->large_blocks);
    put(page, "\"segments\":%zu,\"threads\":%zu,\"hugetlb\":%zu,\"classes\":[", all->segments, all->threads,
        all->hugetlb);
    for (size_t i = 0; i < classes; i++) {
        put(page, "%s{\"size\":%zu,\"blocks\":%zu,\"free\":%zu,\"slabs\":%zu}", i ? "," : "", class[i].size,
            class[i].blocks, class[i].free, class[i].slabs);
    }
    put(page, "],\"heaps\":[");
    for (size_t i = 0; i < heaps && i < MAX_HEAPS; i++) {
        put(page, "%s{\"id\":%u,\"tid\":%d,\"kind\":\"%s\",\"live\":%zu,\"held\":%zu,\"slabs\":%zu}", i ? "," : "",
            heap[i].id, heap[i].tid, kind_name(heap[i].kind), heap[i].live, heap[i].held, heap[i].slabs);
    }
    put(page, "],\"heaps_in_all\":%zu", heaps);
    put_json_tags(page);
    put(page, "}\n");
}

int allot_stats_print(int fd, bool json)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->stats_print(fd, json);
    }
    int saved = errno;
    struct allot_stats all;
    struct allot_class_stats class[CLASSES];
    struct allot_heap_stats heap[MAX_HEAPS];
    allot_stats(&all);
    size_t classes = allot_stats_classes(class, CLASSES);
    size_t heaps = allot_stats_heaps(heap, MAX_HEAPS);
    struct page page = {.fd = fd};
    (json ? print_json : print_text)(&page, &all, allot_resident(), class, classes, heap, heaps);
    flush(&page);
    errno = saved;
    return page.error;
}

/* Options are read at the first allocation; a program that never allocates has its statistics too. */
__attribute__((constructor)) static void prepare(void)
{
    if (!instance_in_use()) {
        heap_init();
    }
}

static bool is_stderr(int fd)
{
    struct stat now;
    return fstat(fd, &now) == 0 && now.st_dev == options.stderr_then.st_dev && now.st_ino == options.stderr_then.st_ino;
}

static int open_output(void)
{
    if (strcmp(options.stats, "stderr") != 0) {
        return open(options.stats, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    }
    int fd = is_stderr(STDERR_FILENO) ? STDERR_FILENO : is_stderr(options.stderr_kept) ? options.stderr_kept : -1;
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static void print_statistics(void)
{
    if (options.stats[0] == 0 || (options.stats_pid != 0 && options.stats_pid != getpid())) {
        return;
    }
    int fd = open_output();
    int error = fd < 0 ? -errno : allot_stats_print(fd, options.stats_json);
    /* Not when standard error is gone: the line would go into whatever has its number now. */
    if (error && strcmp(options.stats, "stderr") != 0) {
        os_say("statistics: %s: %s; choose another file with ALLOT_OPTIONS=stats=FILE", options.stats,
               strerror(-error));
    }
    if (fd >= 0) {
        close(fd);
    }
}

__attribute__((destructor)) static void at_exit(void)
{
    if (!instance_in_use()) {
        print_statistics();
        snap_at_exit();
    }
}
