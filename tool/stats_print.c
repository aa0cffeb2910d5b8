/* See stats_print.h. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stats_print.h"
#include "words.h"

/* -- words -- */

static struct words limit_words(uint64_t bytes)
{
    return bytes == UINT64_MAX ? (struct words){"-"} : words_bytes(bytes);
}

static struct words human_time(uint64_t ms)
{
    struct words out;
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

/* Those that hold most first; then in the order of their ids and names. */
static int compare_heaps(const void *a, const void *b)
{
    const struct allot_control_heap *x = a, *y = b;
    return x->held != y->held ? (x->held < y->held ? 1 : -1) : (x->id > y->id) - (x->id < y->id);
}

static int compare_tags(const void *a, const void *b)
{
    const struct allot_control_tag *x = a, *y = b;
    return x->used != y->used ? (x->used < y->used ? 1 : -1) : strcmp(x->name, y->name);
}

void stats_sort(struct allot_control_tables *t)
{
    qsort(t->of_heap, rows(t->heaps, ALLOT_CONTROL_HEAPS), sizeof t->of_heap[0], compare_heaps);
    qsort(t->of_tag, rows(t->tags, ALLOT_CONTROL_TAGS), sizeof t->of_tag[0], compare_tags);
}

/* -- one process, as text -- */

static void show_now(const struct allot_control_now *n, const struct allot_control_tables *t, bool fresh)
{
    printf("  live        %12s", words_bytes(fresh ? t->live : n->live).text);
    if (fresh) {
        printf(" in %llu blocks, of which %s in runs of pages", (unsigned long long)t->blocks,
               words_bytes(t->runs).text);
        printf(" and %s in large ones", words_bytes(t->large).text);
    }
    printf("\n  peak        %12s\n", words_bytes(n->peak).text);
    printf("  held        %12s in use, whole slabs and pages; limit %s, ", words_bytes(n->held).text,
           limit_words(n->limit).text);
    printf("soft limit %s\n", limit_words(n->soft_limit).text);
    printf("  kept        %12s for later: ", words_bytes(n->kept_slabs + n->kept_runs + n->kept_large).text);
    printf("%s for slabs, ", words_bytes(n->kept_slabs).text);
    printf("%s for runs, ", words_bytes(n->kept_runs).text);
    printf("%s for large blocks\n", words_bytes(n->kept_large).text);
    printf("  given back  %12s so far\n", words_bytes(n->given_back).text);
    printf("  mapped      %12s address space, %llu segments of 4 MiB among it\n", words_bytes(n->mapped).text,
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
        printf("  %10u  %-8s %10s %12s ", h->id, kind_name(h->kind), h->tid ? thread : "-", words_bytes(h->live).text);
        printf("%12s\n", words_bytes(h->held).text);
    }
    say_more(t->heaps, ALLOT_CONTROL_HEAPS, "heaps");
}

static void show_tags(const struct allot_control_tables *t)
{
    heading("\n        used        limit    refused  tag");
    for (size_t i = 0; i < rows(t->tags, ALLOT_CONTROL_TAGS); i++) {
        const struct allot_control_tag *tag = &t->of_tag[i];
        printf("  %10s ", words_bytes(tag->used).text);
        printf("%12s %10llu  ", limit_words(tag->limit).text, (unsigned long long)tag->refused);
        put_name(tag->name);
        putchar('\n');
    }
    say_more(t->tags, ALLOT_CONTROL_TAGS, "tags");
}

void stats_show(const struct stats_tables_wanted *wanted, pid_t pid, const struct allot_control *page, bool fresh)
{
    const struct allot_control_tables *t = &page->tables;
    char name[64], title[160];
    control_process_name(pid, name);
    snprintf(title, sizeof title, "process %d (%s), shared for %s", (int)pid, name,
             human_time(since(page->started_at)).text);
    heading(title);
    if (!stats_some(wanted)) {
        show_now(&page->now, t, fresh);
    }
    if (!fresh && page->tables_at == 0) {
        printf("\n  no tables: it has not allocated or freed since they were asked for\n");
        return;
    }
    if (!fresh) {
        printf("\n  tables of %s ago: it has not allocated or freed since\n", human_time(since(page->tables_at)).text);
    }
    if (wanted->classes || !stats_some(wanted)) {
        show_classes(t);
    }
    if (wanted->heaps || !stats_some(wanted)) {
        show_heaps(t);
    }
    if (wanted->tags || (!stats_some(wanted) && t->tags)) {
        show_tags(t);
    }
}

void stats_show_line(const struct allot_control *page, bool fresh, bool first)
{
    const struct allot_control_now *n = &page->now;
    if (first) {
        heading("        live         peak         held         kept   given back   threads");
    }
    printf("%12s ", words_bytes(fresh ? page->tables.live : n->live).text);
    printf("%12s ", words_bytes(n->peak).text);
    printf("%12s ", words_bytes(n->held).text);
    printf("%12s ", words_bytes(n->kept_slabs + n->kept_runs + n->kept_large).text);
    printf("%12s %9llu\n", words_bytes(n->given_back).text, (unsigned long long)n->threads);
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

static void json_tables(const struct stats_tables_wanted *wanted, const struct allot_control *page, bool fresh)
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
    if (wanted->classes || !stats_some(wanted)) {
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
    if (wanted->heaps || !stats_some(wanted)) {
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
    if (wanted->tags || !stats_some(wanted)) {
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

void stats_json(const struct stats_tables_wanted *wanted, pid_t pid, const struct allot_control *page, bool fresh)
{
    json_now(pid, page);
    if (wanted && (fresh || page->tables_at)) {
        json_tables(wanted, page, fresh);
    }
    putchar('}');
}

void stats_show_listed(pid_t pid, const struct allot_control *page, bool first)
{
    char name[64];
    if (first) {
        heading("  process  program                 live         peak         held   threads");
    }
    control_process_name(pid, name);
    printf("%9d  %-16s %11s ", (int)pid, name, words_bytes(page->now.live).text);
    printf("%12s ", words_bytes(page->now.peak).text);
    printf("%12s %9llu\n", words_bytes(page->now.held).text, (unsigned long long)page->now.threads);
}
