/* See leaks_print.h. */
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "leaks_print.h"
#include "profile/names.h"
#include "suppress.h"
#include "words.h"

#define VERDICTS     (GRAPH_DEFINITE + 1)
#define SHOWN_FRAMES 12
#define MANY         UINT32_MAX /* processes */

struct leak_group {
    struct leak sum; /* texts and frames are its own */
};

struct leaks {
    struct suppressions *suppressions;
    struct leak_group *group;
    size_t groups, room;
    uint32_t *index; /* of groups, and 1; by verdict, stack, type and owner */
    size_t index_room;
    struct {
        uint64_t blocks, bytes, groups;
    } sum[VERDICTS], suppressed;
};

/* How each is called and what it means, in the order in which they are shown. */
static const struct {
    enum graph_verdict verdict;
    const char *name, *meaning;
} verdicts[VERDICTS] = {
    {GRAPH_DEFINITE, "definite", "nothing points to them"},
    {GRAPH_POSSIBLE, "possible", "something points into their middle only"},
    {GRAPH_UNKNOWN, "never freed", "nobody looked whether something points to them"},
    {GRAPH_INDIRECT, "indirect", "only other lost blocks point to them"},
    {GRAPH_THREAD_ONLY, "thread-only", "only a stack or a register points to them: in use"},
    {GRAPH_REACHABLE, "reachable", "globals lead to them"},
};

static const char *name_of(enum graph_verdict verdict)
{
    for (size_t i = 0; i < VERDICTS; i++) {
        if (verdicts[i].verdict == verdict) {
            return verdicts[i].name;
        }
    }
    return "?";
}

/* Whether its blocks are shown one by one, or only their sum. */
static bool is_news(enum graph_verdict verdict)
{
    return verdict == GRAPH_DEFINITE || verdict == GRAPH_POSSIBLE || verdict == GRAPH_UNKNOWN;
}

struct leaks *leaks_begin(void)
{
    struct leaks *leaks = calloc(1, sizeof *leaks);
    if (leaks && !(leaks->suppressions = suppressions_begin())) {
        free(leaks);
        return NULL;
    }
    return leaks;
}

static void drop_texts(struct leak *leak)
{
    for (size_t i = 0; i < leak->frames; i++) {
        free((char *)leak->frame[i].function);
        free((char *)leak->frame[i].symbol);
        free((char *)leak->frame[i].file);
        free((char *)leak->frame[i].module);
    }
    free((struct symbol_frame *)leak->frame);
    free((char *)leak->type);
    free((char *)leak->owner);
    free((char *)leak->path);
}

void leaks_end(struct leaks *leaks)
{
    if (!leaks) {
        return;
    }
    for (size_t i = 0; i < leaks->groups; i++) {
        drop_texts(&leaks->group[i].sum);
    }
    suppressions_end(leaks->suppressions);
    free(leaks->group);
    free(leaks->index);
    free(leaks);
}

bool leaks_suppress(struct leaks *leaks, const char *path) { return suppressions_read(leaks->suppressions, path); }

uint64_t leaks_failed(const struct leaks *leaks)
{
    return leaks->sum[GRAPH_DEFINITE].blocks + leaks->sum[GRAPH_UNKNOWN].blocks;
}

/* -- groups -- */

static uint64_t mix_text(uint64_t hash, const char *text)
{
    for (; text && *text; text++) {
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    }
    return hash * 31 + 1;
}

static uint64_t hash_leak(const struct leak *leak)
{
    uint64_t hash = 0xcbf29ce484222325u + leak->verdict;
    for (size_t i = 0; i < leak->frames; i++) {
        const struct symbol_frame *f = &leak->frame[i];
        hash = mix_text(mix_text(hash, f->function), f->file) * 31 + f->line + (f->function ? 0 : f->offset);
    }
    if (leak->frames == 0) {
        hash = mix_text(mix_text(hash, leak->type), leak->owner);
    }
    hash *= 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}

static bool same_text(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

static bool same_group(const struct leak *a, const struct leak *b)
{
    if (a->verdict != b->verdict || a->frames != b->frames) {
        return false;
    }
    for (size_t i = 0; i < a->frames; i++) {
        if (!names_same(&a->frame[i], &b->frame[i])) {
            return false;
        }
    }
    return a->frames > 0 || (same_text(a->type, b->type) && same_text(a->owner, b->owner));
}

static uint32_t *find(const struct leaks *leaks, const struct leak *leak)
{
    size_t mask = leaks->index_room - 1, i = hash_leak(leak) & mask;
    while (leaks->index[i] && !same_group(&leaks->group[leaks->index[i] - 1].sum, leak)) {
        i = (i + 1) & mask;
    }
    return &leaks->index[i];
}

static bool make_room(struct leaks *leaks)
{
    if (leaks->groups < leaks->room) {
        return true;
    }
    size_t room = leaks->room ? 2 * leaks->room : 256;
    struct leak_group *grown = realloc(leaks->group, room * sizeof *grown);
    if (!grown) {
        return false;
    }
    leaks->group = grown;
    uint32_t *index = calloc(2 * room, sizeof *index);
    if (!index) {
        return false;
    }
    free(leaks->index);
    leaks->index = index;
    leaks->index_room = 2 * room;
    leaks->room = room;
    for (size_t i = 0; i < leaks->groups; i++) {
        *find(leaks, &leaks->group[i].sum) = (uint32_t)i + 1;
    }
    return true;
}

static bool copy_text(const char **to, const char *from) { return !from || (*to = strdup(from)); }

/* A leak of its own texts, with no figures. On failure what it has is dropped. */
static bool copy_leak(struct leak *to, const struct leak *from)
{
    struct symbol_frame *frame = calloc(from->frames + 1, sizeof *frame);
    *to = (struct leak){.verdict = from->verdict, .frame = frame, .address = from->address, .process = from->process};
    bool good = frame != NULL;
    for (size_t i = 0; good && i < from->frames; i++) {
        const struct symbol_frame *f = &from->frame[i];
        frame[i] = (struct symbol_frame){.offset = f->offset, .line = f->line, .inlined = f->inlined};
        to->frames = i + 1;
        good = copy_text(&frame[i].function, f->function) && copy_text(&frame[i].symbol, f->symbol) &&
               copy_text(&frame[i].file, f->file) && copy_text(&frame[i].module, f->module);
    }
    good = good && copy_text(&to->type, from->type) && copy_text(&to->owner, from->owner) &&
           copy_text(&to->path, from->path);
    if (!good) {
        drop_texts(to);
    }
    return good;
}

static bool is_suppressed(struct suppressions *s, enum graph_verdict verdict, const struct leak *leak)
{
    return suppressions_match(s, verdict, leak->frame, leak->frames) || suppressions_name(s, leak->type) ||
           suppressions_name(s, leak->owner);
}

bool leaks_add(struct leaks *leaks, const struct leak *leak)
{
    enum graph_verdict verdict = leak->verdict < VERDICTS ? leak->verdict : GRAPH_UNKNOWN;
    if (is_news(verdict) && is_suppressed(leaks->suppressions, verdict, leak)) {
        leaks->suppressed.blocks += leak->count;
        leaks->suppressed.bytes += leak->bytes;
        leaks->suppressed.groups++;
        return true;
    }
    if (!make_room(leaks)) {
        return false;
    }
    uint32_t *slot = find(leaks, leak);
    if (!*slot) {
        if (!copy_leak(&leaks->group[leaks->groups].sum, leak)) {
            return false;
        }
        *slot = (uint32_t)++leaks->groups;
        /* Of those that are no news their sum may be all that is known. */
        bool placed = leak->frames || leak->type || leak->owner || leak->address;
        leaks->sum[verdict].groups += placed || is_news(verdict);
    }
    struct leak *sum = &leaks->group[*slot - 1].sum;
    sum->count += leak->count;
    sum->bytes += leak->bytes;
    sum->retained += leak->retained;
    sum->process = sum->process == leak->process ? sum->process : MANY;
    leaks->sum[verdict].blocks += leak->count;
    leaks->sum[verdict].bytes += leak->bytes;
    return true;
}

/* -- order -- */

static unsigned rank(enum graph_verdict verdict)
{
    unsigned i = 0;
    while (i < VERDICTS - 1 && verdicts[i].verdict != verdict) {
        i++;
    }
    return i;
}

static int compare_groups(const void *a, const void *b)
{
    const struct leak *x = &((const struct leak_group *)a)->sum, *y = &((const struct leak_group *)b)->sum;
    uint64_t of_x = x->retained ? x->retained : x->bytes, of_y = y->retained ? y->retained : y->bytes;
    if (x->verdict != y->verdict) {
        return rank(x->verdict) < rank(y->verdict) ? -1 : 1;
    }
    if (of_x != of_y) {
        return of_x < of_y ? 1 : -1;
    }
    if (x->count != y->count) {
        return x->count < y->count ? 1 : -1;
    }
    for (size_t i = 0; i < x->frames && i < y->frames; i++) {
        int by = names_compare(&x->frame[i], &y->frame[i]);
        if (by) {
            return by;
        }
    }
    return x->frames != y->frames ? (x->frames < y->frames ? -1 : 1) : 0;
}

void leaks_each(const struct leaks *leaks, void (*tell)(void *arg, const struct leak *leak), void *arg)
{
    for (size_t i = 0; i < leaks->groups; i++) {
        tell(arg, &leaks->group[i].sum);
    }
}

/* -- who holds them -- */

static bool is_held(const struct leak *leak)
{
    return leak->verdict == GRAPH_POSSIBLE || leak->verdict == GRAPH_THREAD_ONLY || leak->verdict == GRAPH_REACHABLE;
}

void leaks_hold(struct leaks *leaks, size_t most, char *(*way)(void *arg, uintptr_t address), void *arg)
{
    bool *asked = calloc(leaks->groups + 1, sizeof *asked);
    for (size_t n = 0; asked && n < most; n++) {
        size_t next = leaks->groups;
        for (size_t i = 0; i < leaks->groups; i++) {
            const struct leak *leak = &leaks->group[i].sum;
            bool wanted = !asked[i] && is_held(leak) && leak->address && !leak->path;
            if (wanted && (next == leaks->groups || leak->bytes > leaks->group[next].sum.bytes)) {
                next = i;
            }
        }
        if (next == leaks->groups) {
            break;
        }
        asked[next] = true;
        leaks->group[next].sum.path = way(arg, leaks->group[next].sum.address);
    }
    free(asked);
}

/* -- a suppression for it -- */

bool leaks_suppression(const struct leak *leak, char *out, size_t room)
{
    const struct symbol_frame *f = leak->frames ? &leak->frame[names_place(leak->frame, leak->frames)] : NULL;
    size_t length = f && f->function ? names_length(f->function) : 0;
    if (length > 0) {
        snprintf(out, room, "leak:%.*s", (int)length, f->function);
    } else if (f && f->module) {
        snprintf(out, room, "leak:%s", words_base(f->module));
    } else if (!leak->frames && (leak->type || leak->owner)) {
        snprintf(out, room, "leak:^%s$", leak->type ? leak->type : leak->owner);
    } else {
        return false;
    }
    return true;
}

/* -- text -- */

static void print_sums(const struct leaks *leaks)
{
    for (size_t i = 0; i < VERDICTS; i++) {
        uint64_t blocks = leaks->sum[verdicts[i].verdict].blocks, groups = leaks->sum[verdicts[i].verdict].groups;
        if (blocks > 0) {
            printf("  %-12s %10s in %s block%s", verdicts[i].name,
                   words_bytes(leaks->sum[verdicts[i].verdict].bytes).text, words_count(blocks).text, words_s(blocks));
            if (groups > 0) {
                printf(" from %s place%s", words_count(groups).text, words_s(groups));
            }
            printf(": %s\n", verdicts[i].meaning);
        }
    }
    if (leaks->suppressed.blocks > 0) {
        printf("  %-12s %10s in %s block%s\n", "suppressed", words_bytes(leaks->suppressed.bytes).text,
               words_count(leaks->suppressed.blocks).text, words_s(leaks->suppressed.blocks));
    }
}

static void print_frames(const struct leak *leak)
{
    for (size_t i = 0; i < leak->frames && i < SHOWN_FRAMES; i++) {
        fputs("      ", stdout);
        names_put(stdout, &leak->frame[i], 110);
        putchar('\n');
    }
    if (leak->frames > SHOWN_FRAMES) {
        printf("      and %zu more\n", leak->frames - SHOWN_FRAMES);
    }
    if (leak->frames == 0 && !leak->type && !leak->owner) {
        printf("      nothing is known of where they were allocated\n");
    }
}

static void print_about(const char *what, const char *text)
{
    if (text) {
        printf("    %s: ", what);
        words_put(stdout, text, 110);
        putchar('\n');
    }
}

static void print_group(const struct leak *leak, const struct leaks_wanted *wanted)
{
    char line[512];
    printf("%s%s%s: %s in %s block%s", wanted->colour ? "\033[1m" : "", name_of(leak->verdict),
           wanted->colour ? "\033[0m" : "", words_bytes(leak->bytes).text, words_count(leak->count).text,
           words_s(leak->count));
    if (leak->retained > leak->bytes) {
        printf(", and %s that only %s to", words_bytes(leak->retained - leak->bytes).text,
               leak->count == 1 ? "it leads" : "they lead");
    }
    if (leak->address) {
        printf("%s at 0x%llx", leak->count == 1 ? "," : ", one of them", (unsigned long long)leak->address);
    }
    if (leak->process) {
        printf(leak->process == MANY ? ", in several processes" : ", in process %u", leak->process);
    }
    putchar('\n');
    print_about("type", leak->type);
    print_about("owner", leak->owner);
    print_about("held by", leak->path);
    print_frames(leak);
    if (wanted->suppressions && is_news(leak->verdict) && leaks_suppression(leak, line, sizeof line)) {
        print_about("to suppress", line);
    }
}

static void print_text(const struct leaks *leaks, const struct leaks_wanted *wanted)
{
    size_t hidden = 0;
    words_put(stdout, wanted->source, 0);
    putchar('\n');
    print_sums(leaks);
    if (leaks->groups == 0) {
        printf("  no leaks%s\n", leaks->suppressed.blocks ? " but what is suppressed" : "");
    }
    if (wanted->note) {
        printf("  %s\n", wanted->note);
    }
    for (size_t i = 0, of_verdict = 0; i < leaks->groups; i++) {
        const struct leak *leak = &leaks->group[i].sum;
        of_verdict = i > 0 && leaks->group[i - 1].sum.verdict == leak->verdict ? of_verdict + 1 : 0;
        if (!is_news(leak->verdict) && !wanted->reachable) {
            continue;
        }
        if (wanted->top && of_verdict >= wanted->top) {
            hidden++;
            continue;
        }
        putchar('\n');
        print_group(leak, wanted);
    }
    if (hidden > 0) {
        printf("\nand %zu place%s more, each with less: --top 0 shows all\n", hidden, words_s(hidden));
    }
}

/* -- JSON -- */

static void json_leak(struct json *json, const struct leak *leak)
{
    char line[512];
    json_object(json, NULL);
    json_text(json, "verdict", name_of(leak->verdict));
    json_number(json, "blocks", leak->count);
    json_number(json, "bytes", leak->bytes);
    json_number(json, "retained", leak->retained);
    json_number(json, "address", leak->address);
    json_text(json, "type", leak->type);
    json_text(json, "owner", leak->owner);
    json_text(json, "path", leak->path);
    if (leak->process && leak->process != MANY) {
        json_number(json, "process", leak->process);
    } else {
        json_text(json, "process", leak->process ? "several" : NULL);
    }
    json_text(json, "suppression", leaks_suppression(leak, line, sizeof line) ? line : NULL);
    names_json(json, "frames", leak->frame, leak->frames);
    json_end(json);
}

static void print_json(const struct leaks *leaks, const struct leaks_wanted *wanted)
{
    struct json json;
    json_begin(&json, stdout);
    json_object(&json, NULL);
    json_text(&json, "source", wanted->source);
    json_text(&json, "note", wanted->note);
    json_object(&json, "sums");
    for (size_t i = 0; i < VERDICTS; i++) {
        json_object(&json, verdicts[i].name);
        json_number(&json, "blocks", leaks->sum[verdicts[i].verdict].blocks);
        json_number(&json, "bytes", leaks->sum[verdicts[i].verdict].bytes);
        json_number(&json, "sites", leaks->sum[verdicts[i].verdict].groups);
        json_end(&json);
    }
    json_end(&json);
    json_object(&json, "suppressed");
    json_number(&json, "blocks", leaks->suppressed.blocks);
    json_number(&json, "bytes", leaks->suppressed.bytes);
    json_end(&json);
    json_array(&json, "leaks");
    for (size_t i = 0, of_verdict = 0; i < leaks->groups; i++) {
        const struct leak *leak = &leaks->group[i].sum;
        of_verdict = i > 0 && leaks->group[i - 1].sum.verdict == leak->verdict ? of_verdict + 1 : 0;
        if ((is_news(leak->verdict) || wanted->reachable) && (!wanted->top || of_verdict < wanted->top)) {
            json_leak(&json, leak);
        }
    }
    json_end(&json);
    json_end(&json);
    putchar('\n');
}

void leaks_print(struct leaks *leaks, const struct leaks_wanted *wanted)
{
    if (leaks->groups) {
        qsort(leaks->group, leaks->groups, sizeof *leaks->group, compare_groups);
    }
    if (wanted->json) {
        print_json(leaks, wanted);
    } else {
        print_text(leaks, wanted);
    }
}
