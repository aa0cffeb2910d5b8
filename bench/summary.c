/* summary - what the pass over a trace costs (tool/profile), by kind of trace: ns an event, and the most memory.
 *
 *   summary [EVENTS [KIND...]]        100 million, all kinds
 *
 * The events are made here, by a model with a known answer, and not read: what a format's reader takes comes on top. What the
 * model itself takes is measured by a pass of its own, and left out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "profile/profile.h"

struct kind {
    const char *name;
    uint32_t places; /* for blocks, of which half are live in the end; 0: nothing is ever freed */
    uint32_t stacks;
    uint32_t threads;
    uint32_t reallocs; /* of 1024 events */
};
static const struct kind kinds[] = {
    {"0.1 M live", 200000, 5000, 4, 30},  {"2 M live", 4000000, 50000, 4, 30},
    {"7 M live", 14000000, 50000, 4, 30}, {"20 M live", 40000000, 50000, 4, 30},
    {"nothing freed", 0, 5000, 1, 0},     {"a million stacks", 200000, 1000000, 4, 30},
};

struct trace {
    struct trace_about about;
    struct kind kind;
    uint64_t events, at, state;
    uint64_t blocks; /* how many live */
    uint32_t *place; /* all places for blocks, the live ones' first; NULL: each allocation has a new one */
};

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    uint64_t x = *state;
    return (x ^ x >> 29) * 0x9e3779b97f4a7c15u >> 16;
}

static uint64_t address_of(uint64_t place) { return 1ull << 46 | place << 6; }

static void swap(uint32_t *a, uint32_t *b)
{
    uint32_t kept = *a;
    *a = *b;
    *b = kept;
}

/* Few stacks have most of the allocations. */
static uint32_t stack_of(const struct trace *t, uint64_t random)
{
    double x = (double)(random & 0xffffff) / 0x1000000;
    return 1 + (uint32_t)(x * x * x * t->kind.stacks);
}

int trace_next(struct trace *t, struct trace_event *e, struct trace_error *error)
{
    (void)error;
    if (t->at == t->events) {
        return 0;
    }
    uint64_t random = next_random(&t->state);
    *e = (struct trace_event){
        .process = 1, .time = 50 * t->at++, .thread = 1 + (uint32_t)(random >> 4) % t->kind.threads};
    e->size = 16 + (random >> 20 & 0xff) * (random >> 28 & 7);
    e->stack = stack_of(t, random);
    if (!t->place) {
        e->op = TRACE_ALLOC;
        e->address = address_of(t->blocks++);
        return 1;
    }
    uint64_t which = next_random(&t->state) % t->kind.places;
    if (which >= t->blocks) {
        e->op = TRACE_ALLOC;
        e->address = address_of(t->place[t->blocks++]);
    } else if (random % 1024 < t->kind.reallocs && t->blocks < t->kind.places) {
        e->op = TRACE_REALLOC;
        e->old = address_of(t->place[which]);
        swap(&t->place[which], &t->place[t->blocks]);
        e->address = address_of(t->place[which]);
    } else {
        e->op = TRACE_FREE;
        e->address = address_of(t->place[which]);
        swap(&t->place[which], &t->place[--t->blocks]);
    }
    return 1;
}

const struct trace_about *trace_about(const struct trace *t) { return &t->about; }

const struct trace_total *trace_totals(const struct trace *t, uint32_t *count)
{
    (void)t;
    *count = 0;
    return NULL;
}

static void begin(struct trace *t, const struct kind *kind, uint64_t events)
{
    free(t->place);
    *t = (struct trace){.about.has_times = true, .kind = *kind, .events = events, .state = 1};
    t->place = kind->places ? malloc(kind->places * sizeof *t->place) : NULL;
    for (uint32_t i = 0; t->place && i < kind->places; i++) {
        t->place[i] = i;
    }
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static long resident_kib(void)
{
    long kib = 0;
    char line[256];
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status)) {
        sscanf(line, "VmHWM: %ld", &kib);
    }
    if (status) {
        fclose(status);
    }
    return kib;
}

static void forget_peak(void)
{
    FILE *refs = fopen("/proc/self/clear_refs", "we");
    if (refs) {
        fputs("5", refs);
        fclose(refs);
    }
}

static int measure(const struct kind *kind, uint64_t events)
{
    static struct trace t;
    struct trace_event e;
    struct trace_error error;
    begin(&t, kind, events);
    double began = seconds();
    while (trace_next(&t, &e, &error) > 0) {
    }
    double model = seconds() - began;
    begin(&t, kind, events);
    long own = kind->places ? (long)((uint64_t)kind->places * sizeof *t.place / 1024) : 0;
    forget_peak();
    began = seconds();
    struct profile *p = profile_read(&t, &(struct profile_wanted){0}, &error);
    double all = seconds() - began;
    if (!p) {
        printf("%-20s %s\n", kind->name, error.line);
        return 1;
    }
    printf("%-20s %11.0f %10.1f %14.0f %12" PRIu64 " %10" PRIu64 "\n", kind->name, 1e9 * (all - model) / (double)events,
           all - model, (double)(resident_kib() - own) / 1024, p->peak_blocks, p->budget.spilled);
    fflush(stdout);
    profile_end(p);
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t events = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000000;
    int failed = 0;
    printf("%" PRIu64 " events       ns an event    seconds  most memory MiB  peak blocks    to disk\n", events);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        bool wanted = argc < 3;
        for (int a = 2; a < argc; a++) {
            wanted |= strcmp(argv[a], kinds[i].name) == 0;
        }
        failed |= wanted && measure(&kinds[i], events);
    }
    return failed;
}
