/* fuzz/advice_fuzz.c - verdict and advice of any events in any order, also such as no process could have: what is said has a saving, and no more
 * of it than there is; all passes over the events agree on what they are. */
#include <stdlib.h>
#include <string.h>

#include "advice/advice.h"
#include "verdict.h"

#define STACKS 8

struct trace {
    struct trace_about about;
    const uint8_t *data;
    size_t size;
    unsigned left; /* events: all of it comes again and again */
    uint64_t now;
};

#define EVENTS 6000

static const uint8_t *all;
static size_t all_size;

static uint64_t next(struct trace *t, unsigned bytes)
{
    uint64_t value = 0;
    for (; bytes > 0 && t->size > 0; bytes--, t->size--) {
        value = value << 8 | *t->data++;
    }
    return value;
}

/* -- a trace that is the input, and can be read again -- */

struct trace *trace_open(const char *path, struct trace_error *error)
{
    struct trace *t = calloc(1, sizeof *t);
    (void)path, (void)error;
    if (t) {
        *t = (struct trace){.about = {.format = "fuzz", .has_stacks = true, .has_addresses = true},
                            .data = all,
                            .size = all_size,
                            .left = EVENTS};
        t->about.has_times = next(t, 1) & 1;
    }
    return t;
}

void trace_close(struct trace *t) { free(t); }

/* All of it comes again and again: what is found needs thousands of events. */
int trace_next(struct trace *t, struct trace_event *e, struct trace_error *error)
{
    static const enum trace_op op[] = {TRACE_ALLOC,   TRACE_ALLOC, TRACE_FREE,    TRACE_FREE,
                                       TRACE_REALLOC, TRACE_ALLOC, TRACE_VERDICT, TRACE_EXIT};
    (void)error;
    if (t->size == 0 && t->left > 0) {
        t->data = all;
        t->size = all_size;
    }
    if (t->size == 0 || t->left == 0) {
        return 0;
    }
    t->left--;
    uint64_t what = next(t, 1), where = next(t, 1);
    *e = (struct trace_event){
        .op = op[what & 7], .process = 1 + (uint32_t)(what >> 7), .thread = 1 + (what >> 3 & 1), .text = "x"};
    e->stack = 1 + (uint32_t)(what >> 4 & 7) % (STACKS - 1);
    e->time = t->about.has_times ? t->now += 300 : 0;
    e->address = (where & 63) * 24 + 4096 * (where >> 6);
    e->old = (where >> 2) * 24;
    e->size = (where & 15) == 15 ? next(t, 6) : next(t, 1) * 4;
    e->verdict = (uint32_t)where % 6;
    return 1;
}

const struct trace_about *trace_about(const struct trace *t) { return &t->about; }
const struct trace_total *trace_totals(const struct trace *t, uint32_t *count) { return (void)t, *count = 0, NULL; }
const struct trace_node *trace_nodes(const struct trace *t, uint32_t *count) { return (void)t, *count = STACKS, NULL; }

/* -- names and progress, of which there are none -- */

size_t names_put(FILE *to, const struct symbol_frame *frame, size_t width)
{
    return (void)frame, (void)width, (size_t)fprintf(to, "f");
}

void names_json_place(struct json *json, const struct symbol_frame *frame) { json_number(json, "line", frame->line); }

void look_again(const struct look *look, const struct trace *trace, uint64_t event)
{
    (void)look, (void)trace, (void)event;
}
trace_progress *look_progress(const char *path) { return (void)path, NULL; }
void look_progress_end(void) {}

static void require(bool what)
{
    if (!what) {
        abort();
    }
}

/* Each stack is a place. */
static bool group(struct look *look)
{
    look->groups = STACKS + 1;
    look->group = calloc(look->groups, sizeof *look->group);
    look->group_of_site = calloc((size_t)look->profile->sites + 1, sizeof *look->group_of_site);
    for (uint32_t g = 0; look->group && g < look->groups; g++) {
        look->group[g].sum.life_least = UINT64_MAX;
    }
    for (uint32_t i = 1; look->group && look->group_of_site && i <= look->profile->sites; i++) {
        uint32_t stack = look->profile->site[i].stack, g = stack < STACKS ? stack : STACKS;
        look->group_of_site[i] = g;
        look->group[g].widest = i;
        profile_add(&look->group[g].sum, &look->profile->site[i]);
    }
    return look->group && look->group_of_site;
}

static void say(struct look *look, const char *base)
{
    static struct advice_list list;
    static struct verdict verdict;
    struct trace_error error;
    if (advice_of(look, NULL, &(struct advice_wanted){.base = base}, &list, &error) == 0) {
        require(list.count <= ADVICE_MOST && list.count + list.refused <= list.tried + 1u);
        for (size_t i = 0; i < list.count; i++) {
            const struct advice *a = &list.advice[i];
            require(a->saving_bytes || a->saving_calls || a->kind == ADVICE_SHARING);
            require(a->saving_part > 0 && a->saving_part <= 1 && a->text[0] && a->replay[0]);
        }
    }
    verdict_with(look, &(struct verdict_beside){.advice = &list}, &verdict);
    require(verdict.count <= VERDICT_SENTENCES);
    for (size_t i = 1; i < verdict.count; i++) {
        require((verdict.sentence[i].weight == 0) >= (verdict.sentence[i - 1].weight == 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const base[] = {"allot", "best", "two-level", "buddy"};
    struct look look = {.path = "/proc/self/exe"};
    struct trace_error error;
    all = data;
    all_size = size;
    look.trace = trace_open(look.path, &error);
    look.profile =
        look.trace ? profile_read(look.trace, &(struct profile_wanted){.memory_most = 1 << 20}, &error) : NULL;
    if (look.profile && group(&look)) {
        say(&look, base[size % 4]);
    }
    free(look.group);
    free(look.group_of_site);
    profile_end(look.profile);
    if (look.trace) {
        trace_close(look.trace);
    }
    return 0;
}
