/* print.c - a dead process's heap in words; see print.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "core/print.h"
#include "core/types.h"
#include "json.h"
#include "words.h"

enum { SHOWN = 8 };

static const char *const verdicts[GRAPH_DEFINITE + 1] = {
    [GRAPH_UNKNOWN] = "unknown",   [GRAPH_REACHABLE] = "reachable", [GRAPH_THREAD_ONLY] = "thread-only",
    [GRAPH_POSSIBLE] = "possible", [GRAPH_INDIRECT] = "indirect",   [GRAPH_DEFINITE] = "definite",
};

const char *core_verdict(enum graph_verdict verdict)
{
    return verdicts[verdict <= GRAPH_DEFINITE ? verdict : GRAPH_UNKNOWN];
}

const char *core_owner(const struct dead *dead, uint32_t owner, char *out, size_t room)
{
    if (owner >= dead->blocks.owners || dead->blocks.owner[owner].kind == GRAPH_MALLOC) {
        return NULL;
    }
    const struct graph_owner *o = &dead->blocks.owner[owner];
    snprintf(out, room, "%s%s%.64s", graph_owner_kind_name(o->kind), o->name ? " " : "", o->name ? o->name : "");
    return out;
}

/* -- limits -- */

bool core_limits_read(struct core_limits *limits, const char *text)
{
    while (*text) {
        size_t name = strcspn(text, "=,"), verdict = GRAPH_REACHABLE;
        const char *end = text + strcspn(text, ",");
        while (verdict <= GRAPH_DEFINITE &&
               (strlen(verdicts[verdict]) != name || strncmp(verdicts[verdict], text, name) != 0)) {
            verdict++;
        }
        if (verdict > GRAPH_DEFINITE || text[name] != '=' ||
            !words_read_part(text + name + 1, end, UINT64_MAX, &limits->most[verdict])) {
            complain("no limit '%s', --fail-on, give VERDICT=N as definite=0", text);
            return false;
        }
        text = *end ? end + 1 : end;
    }
    return true;
}

int core_limits_check(const struct core_limits *limits, const struct dead *dead, const struct leaks *leaks)
{
    struct graph_sum sum[GRAPH_DEFINITE + 1] = {0};
    int status = 0;
    graph_sums(&dead->graph, sum);
    sum[GRAPH_DEFINITE].blocks = leaks_failed(leaks);
    for (size_t i = 0; i <= GRAPH_DEFINITE; i++) {
        if (sum[i].blocks > limits->most[i]) {
            complain("%" PRIu64 " %s block%s, --fail-on allows %" PRIu64 ", see above", sum[i].blocks, verdicts[i],
                     words_s(sum[i].blocks), limits->most[i]);
            status = 1;
        }
    }
    return status;
}

/* -- troubles -- */

bool core_heap_known(const struct dead *dead)
{
    return dead->glibc.arenas > 0 || (dead->on_allot && dead->trouble == SNAP_OK);
}

const char *core_heap_trouble(const struct dead *dead)
{
    return dead->on_allot ? "its heap is of another version of allot" : "no heap of allot's or glibc's malloc is in it";
}

static size_t count_files(const struct dead *dead, enum core_module_file state)
{
    size_t count = 0;
    for (size_t i = 0; i < dead->core.modules.count; i++) {
        count += dead->core.modules.module[i].state == state;
    }
    return count;
}

const char *core_note(const struct dead *dead, char *out, size_t room)
{
    size_t changed = count_files(dead, CORE_FILE_CHANGED) + count_files(dead, CORE_FILE_MISSING);
    FILE *to = fmemopen(out, room, "w");
    if (!to) {
        return NULL;
    }
    const char *before = "";
    if (dead->core.missing_bytes > 0) {
        fprintf(to, "%s of memory that could be written %s not in the core", words_bytes(dead->core.missing_bytes).text,
                dead->core.missings == 1 ? "is" : "are");
        before = "; ";
    }
    if (dead->glibc.damages > 0) {
        fprintf(to, "%sthe heap is damaged in %s place%s", before, words_count(dead->glibc.damages).text,
                words_s(dead->glibc.damages));
        before = "; ";
    }
    if (dead->unread > 0) {
        fprintf(to, "%s%s of the heap's records cannot be read", before, words_count(dead->unread).text);
        before = "; ";
    }
    if (dead->glibc.mapped_told != UINT64_MAX && dead->glibc.arenas > 0 &&
        dead->glibc.mapped.blocks != dead->glibc.mapped_told) {
        fprintf(to, "%s%" PRIu64 " of %" PRIu64 " blocks that were mapped for themselves were found", before,
                dead->glibc.mapped.blocks, dead->glibc.mapped_told);
        before = "; ";
    }
    if (changed > 0) {
        fprintf(to, "%s%zu file%s no longer what the process had", before, changed, changed == 1 ? " is" : "s are");
        before = "; ";
    }
    if (*before) {
        fputs(": see allot core --heap", to);
    }
    fclose(to);
    return *before ? out : NULL;
}

/* -- the heap -- */

static void put_sum(const char *name, const struct glibc_sum *sum, const char *meaning)
{
    if (sum->blocks > 0) {
        printf("  %-8s %10s in %s block%s: %s\n", name, words_bytes(sum->bytes).text, words_count(sum->blocks).text,
               words_s(sum->blocks), meaning);
    }
}

static void json_sum(struct json *j, const char *key, const struct glibc_sum *sum)
{
    json_object(j, key);
    json_number(j, "blocks", sum->blocks);
    json_number(j, "bytes", sum->bytes);
    json_end(j);
}

static void json_address(struct json *j, const char *key, uint64_t address)
{
    char text[32];
    snprintf(text, sizeof text, "0x%" PRIx64, address);
    json_text(j, key, text);
}

static const char *file_trouble(const struct core_module *m)
{
    return m->state == CORE_FILE_MISSING ? "missing" : m->state == CORE_FILE_CHANGED ? "of another build" : NULL;
}

static void print_json(const struct dead *dead, const char *path)
{
    const struct glibc_report *g = &dead->glibc;
    struct json j;
    json_begin(&j, stdout);
    json_object(&j, NULL);
    json_text(&j, "core", path);
    json_number(&j, "signal", (uint64_t)dead->core.file.signal);
    json_number(&j, "threads", dead->core.file.threads);
    if (dead->on_allot) {
        json_object(&j, "allot");
        json_flag(&j, "read", dead->trouble == SNAP_OK);
        json_number(&j, "blocks", dead->allot.blocks);
        json_number(&j, "bytes", dead->allot.bytes);
        json_number(&j, "unread", dead->unread);
        json_end(&j);
    }
    if (g->arenas > 0) {
        json_object(&j, "glibc");
        json_text(&j, "version", *g->version ? g->version : NULL);
        json_number(&j, "arenas", g->arenas);
        json_number(&j, "system", g->system);
        json_sum(&j, "used", &g->used);
        json_sum(&j, "tcache", &g->tcache);
        json_sum(&j, "fast", &g->fast);
        json_sum(&j, "free", &g->free);
        json_sum(&j, "top", &g->top);
        json_sum(&j, "mapped", &g->mapped);
        if (g->mapped_told != UINT64_MAX) {
            json_number(&j, "mapped_told", g->mapped_told);
        }
        json_number(&j, "damages", g->damages);
        json_array(&j, "damage");
        for (size_t i = 0; i < g->damages && i < GLIBC_SAID; i++) {
            json_object(&j, NULL);
            json_address(&j, "address", g->damage[i].address);
            json_text(&j, "what", g->damage[i].what);
            json_end(&j);
        }
        json_end(&j);
        json_end(&j);
    }
    json_array(&j, "missing");
    for (size_t i = 0; i < dead->core.missings; i++) {
        const struct core_missing *m = &dead->core.missing[i];
        json_object(&j, NULL);
        json_address(&j, "from", m->from);
        json_address(&j, "to", m->to);
        json_text(&j, "why", m->why == CORE_CUT ? "cut" : "not dumped");
        json_text(&j, "file", m->name);
        json_end(&j);
    }
    json_end(&j);
    json_array(&j, "files");
    for (size_t i = 0; i < dead->core.modules.count; i++) {
        const struct core_module *m = &dead->core.modules.module[i];
        if (file_trouble(m)) {
            json_object(&j, NULL);
            json_text(&j, "path", m->file);
            json_text(&j, "trouble", file_trouble(m));
            json_end(&j);
        }
    }
    json_end(&j);
    json_end(&j);
    putchar('\n');
}

static void print_troubles(const struct dead *dead)
{
    const struct glibc_report *g = &dead->glibc;
    for (size_t i = 0; i < g->damages && i < GLIBC_SAID; i++) {
        printf("damaged: 0x%" PRIx64 ", %s\n", g->damage[i].address, g->damage[i].what);
    }
    if (g->damages > GLIBC_SAID) {
        printf("damaged: and %s more\n", words_count(g->damages - GLIBC_SAID).text);
    }
    for (size_t i = 0; i < dead->core.missings && i < SHOWN; i++) {
        const struct core_missing *m = &dead->core.missing[i];
        printf("missing: 0x%" PRIx64 " to 0x%" PRIx64 ", %s, %s%s", m->from, m->to, words_bytes(m->to - m->from).text,
               m->why == CORE_CUT ? "cut off" : "not dumped", m->name ? ", " : "");
        words_put(stdout, m->name ? m->name : "", 0);
        putchar('\n');
    }
    if (dead->core.missings > SHOWN) {
        printf("missing: and %zu more\n", dead->core.missings - SHOWN);
    }
    for (size_t i = 0; i < dead->core.modules.count; i++) {
        const struct core_module *m = &dead->core.modules.module[i];
        if (file_trouble(m)) {
            printf("file %s: ", file_trouble(m));
            words_put(stdout, m->file, 0);
            putchar('\n');
        }
    }
}

void core_print_heap(const struct dead *dead, const char *path, bool json)
{
    const struct glibc_report *g = &dead->glibc;
    if (json) {
        print_json(dead, path);
        return;
    }
    words_put(stdout, path, 0);
    printf(": %zu thread%s", dead->core.file.threads, words_s(dead->core.file.threads));
    printf(dead->core.file.signal ? ", ended by signal %d\n" : "\n", dead->core.file.signal);
    if (dead->on_allot && dead->trouble == SNAP_OK) {
        printf("allot's heap: %s in %s block%s\n", words_bytes(dead->allot.bytes).text,
               words_count(dead->allot.blocks).text, words_s(dead->allot.blocks));
    }
    if (g->arenas > 0) {
        printf("glibc%s%s's heap: %s from the system in %s arena%s\n", *g->version ? " " : "", g->version,
               words_bytes(g->system).text, words_count(g->arenas).text, words_s(g->arenas));
        put_sum("used", &g->used, "had by the program");
        put_sum("mapped", &g->mapped, "had by the program, mapped each for itself");
        put_sum("tcache", &g->tcache, "kept by threads for the next malloc");
        put_sum("fast", &g->fast, "kept in fast bins");
        put_sum("free", &g->free, "free");
        put_sum("top", &g->top, "free, at the end of each arena");
    }
    if (!core_heap_known(dead)) {
        puts(core_heap_trouble(dead));
    }
    print_troubles(dead);
}

/* -- every block -- */

bool core_print_list(const struct dead *dead, bool json)
{
    struct types *types = types_begin(dead);
    if (!types) {
        return false;
    }
    for (size_t i = 0; i < dead->blocks.count; i++) {
        const struct graph_block *b = &dead->blocks.block[i];
        char owner[96];
        const char *whose = core_owner(dead, b->owner, owner, sizeof owner);
        if (json) { /* a line each */
            struct json j;
            json_begin(&j, stdout);
            json_object(&j, NULL);
            json_address(&j, "address", b->address);
            json_number(&j, "bytes", b->size);
            json_text(&j, "verdict", core_verdict(dead->graph.verdict[i]));
            json_text(&j, "type", types_of(types, b));
            json_text(&j, "owner", whose);
            json_end(&j);
        } else {
            printf("0x%" PRIxPTR " %" PRIu64 " %s ", b->address, (uint64_t)b->size,
                   core_verdict(dead->graph.verdict[i]));
            words_put(stdout, types_of(types, b), 80);
            if (whose) {
                printf(" in ");
                words_put(stdout, whose, 80);
            }
        }
        putchar('\n');
    }
    types_end(types);
    return true;
}
