/* See picture.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "control.h"
#include "core/file.h"
#include "core/print.h"
#include "leaks_live.h"
#include "look.h"
#include "map/blocks.h"
#include "map/picture.h"
#include "snapshot/request.h"
#include "words.h"

static bool no_memory(const char *of)
{
    complain("out of memory, %s, end other programs", of);
    return false;
}

/* `text` in `out`, of what is printable. */
static void put_safe(char *out, size_t room, const char *text, size_t width)
{
    FILE *to = fmemopen(out, room, "w");
    if (to) {
        words_put(to, text, width);
        fclose(to);
    }
    out[room - 1] = 0;
}

/* -- who has most of the pages -- */

/* Has a colour already. */
static bool is_top(const struct picture *p, uint32_t pin)
{
    uint32_t i = 0;
    while (i < p->tops && p->top[i] != pin) {
        i++;
    }
    return i < p->tops;
}

/* That most pages are charged to, of those that have no colour yet; SIZE_MAX: none. */
static size_t next_by_charge(const struct picture *p)
{
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < p->look.pins; i++) {
        if ((found == SIZE_MAX || p->look.pin[i].charged > p->look.pin[found].charged) && !is_top(p, (uint32_t)i)) {
            found = i;
        }
    }
    return found;
}

static size_t next_by_waste(const struct picture *p)
{
    size_t i = 0;
    while (i < p->look.pins && is_top(p, (uint32_t)i)) {
        i++;
    }
    return i < p->look.pins ? i : SIZE_MAX;
}

static int by_charge(const void *a, const void *b, void *arg)
{
    const struct heap_map_pin *pin = arg, *x = &pin[*(const uint32_t *)a], *y = &pin[*(const uint32_t *)b];
    return x->charged != y->charged ? (x->charged < y->charged ? 1 : -1) : (x->site > y->site) - (x->site < y->site);
}

static void rank(struct picture *p)
{
    size_t next;
    while (p->tops < PICTURE_SITES &&
           (next = p->tops < PICTURE_BY_CHARGE ? next_by_charge(p) : next_by_waste(p)) != SIZE_MAX) {
        p->top[p->tops++] = (uint32_t)next;
    }
    if (p->tops) {
        qsort_r(p->top, p->tops, sizeof *p->top, by_charge, p->look.pin);
    }
}

uint32_t picture_rank(const struct picture *p, uint32_t site)
{
    uint32_t i = 0;
    while (i < p->tops && p->look.pin[p->top[i]].site != site) {
        i++;
    }
    return i < p->tops ? i : PICTURE_SITES;
}

const char *picture_label(const struct picture *p, uint32_t site)
{
    return site < p->labels ? p->label[site] : "(stack unknown)";
}

/* -- of a trace -- */

static void say_moment(struct picture *p, const struct heap_map_trace *t, const struct picture_wanted *wanted)
{
    static const char *const when[] = {[HEAP_MAP_AT_PEAK] = "at its peak", [HEAP_MAP_AT_END] = "at its end"};
    const char *at = wanted->at == HEAP_MAP_AT_TIME ? "" : when[wanted->at];
    if (p->timed) {
        snprintf(p->moment, sizeof p->moment, "%s%s%s", at, *at ? ", " : "at ", words_ns(t->time).text);
    } else {
        snprintf(p->moment, sizeof p->moment, "%s%safter event %" PRIu64, at, *at ? ", " : "", t->time);
    }
}

static bool label_groups(struct picture *p, const struct look *look)
{
    bool done = true;
    p->label = calloc(look->groups + 1, sizeof *p->label);
    for (uint32_t g = 0; p->label && done && g < look->groups; g++) {
        size_t length;
        FILE *to = open_memstream(&p->label[g], &length);
        if (to) {
            names_put(to, &look->group[g].place, 0);
        }
        done = to && fclose(to) == 0;
        p->labels = g + 1;
    }
    return done && p->label;
}

static bool has_addresses(const struct look *look, const char *path)
{
    const struct trace_about *about = trace_about(look->trace);
    if (!about->has_addresses || about->is_profile) {
        complain("the trace has no addresses, %s, record with allot record, or have one that has them", path);
        return false;
    }
    return true;
}

static void say_source(struct picture *p, const struct look *look, const struct heap_map_trace *t, const char *path)
{
    char name[120], program[80];
    put_safe(name, sizeof name, words_base(path), 100);
    put_safe(program, sizeof program, t->process->program ? words_base(t->process->program) : "?", 60);
    if (look->profile->processes > 1) {
        snprintf(p->source, sizeof p->source, "%s, process %" PRIu32 " (%s)", name, t->process->number, program);
    } else {
        snprintf(p->source, sizeof p->source, "%s", name);
    }
}

static bool from_trace(const struct picture_wanted *wanted, struct picture *p)
{
    struct look look;
    if (!look_at(&look, wanted->path, &(struct profile_wanted){0})) {
        return false;
    }
    struct heap_map_wanted map = {.process = wanted->process,
                                  .rows_most = wanted->rows,
                                  .columns = wanted->columns,
                                  .at = wanted->at,
                                  .time = wanted->time,
                                  .groups = look.group_of_site,
                                  .progress = look_progress(wanted->path)};
    struct heap_map_trace t = {0};
    struct trace_error error;
    bool done = has_addresses(&look, wanted->path);
    if (done && !heap_map_trace_read(wanted->path, look.profile, &map, &t, &error)) {
        look_progress_end();
        complain("%s", error.line);
        done = false;
    }
    look_progress_end();
    if (done) {
        p->timed = look.profile->timed;
        p->begin = look.profile->begin;
        p->end = look.profile->end;
        p->time = t.time;
        say_source(p, &look, &t, wanted->path);
        say_moment(p, &t, wanted);
        p->blocks = t.blocks;
        p->bytes = t.bytes;
        p->held = t.held;
        done = label_groups(p, &look) || no_memory(wanted->path);
        p->map = t.map;
        p->look = t.look;
        t.map = NULL;
        t.look = (struct heap_map_look){0};
        if (wanted->columns) {
            p->column_time = t.column_time;
            p->column_holes = t.column_holes;
            p->column_live = t.column_live;
            t.column_time = t.column_holes = t.column_live = NULL;
        }
    }
    heap_map_trace_end(&t);
    look_end(&look);
    return done;
}

/* -- of a snapshot, a core, a process -- */

static bool from_snapshot(const struct picture_wanted *wanted, const char *path, const char *name, struct picture *p)
{
    struct snapshot s;
    struct snapshot_error error;
    if (!snapshot_open(&s, path, &error)) {
        complain("%s: %s", name, error.line);
        return false;
    }
    char command[100];
    put_safe(command, sizeof command, *s.command ? words_base(s.command) : "?", 60);
    snprintf(p->source, sizeof p->source, "process %d (%s)", s.header.pid, command);
    bool done = picture_of_snapshot(&s, wanted->rows, p) || no_memory(name);
    snapshot_close(&s);
    return done;
}

static bool from_process(const struct picture_wanted *wanted, struct picture *p, void (*told)(const char *what))
{
    int fd;
    char path[32];
    if (!snapshot_request(wanted->pid, &fd, told)) {
        return false;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return from_snapshot(wanted, path, "snapshot", p);
}

static bool from_core(const struct picture_wanted *wanted, struct picture *p, void (*told)(const char *what))
{
    static struct dead dead;
    struct core_error error;
    if (!dead_open(&dead, wanted->path, NULL, told, &error)) {
        told(NULL);
        complain("%s: %s", wanted->path, error.line);
        return false;
    }
    told(NULL);
    bool known = core_heap_known(&dead), done = known;
    if (!known) {
        complain("%s, %s, see allot core --heap", core_heap_trouble(&dead), wanted->path);
    }
    put_safe(p->source, sizeof p->source, words_base(wanted->path), 100);
    done = known && (picture_of_core(&dead, wanted->rows, p) || no_memory(wanted->path));
    dead_close(&dead);
    return done;
}

bool picture_make(const struct picture_wanted *wanted, struct picture *out, void (*told)(const char *what))
{
    *out = (struct picture){0};
    bool snapshot = wanted->path && leaks_is_snapshot(wanted->path);
    bool trace = wanted->path && !snapshot && !core_file_is(wanted->path);
    if (!trace && (wanted->columns || wanted->process || wanted->at != HEAP_MAP_AT_PEAK)) {
        complain("%s is of one moment and one process, on the command line, leave --time, --at and --process out",
                 wanted->path ? wanted->path : "a process that runs");
        return false;
    }
    bool done = !wanted->path ? from_process(wanted, out, told)
                : snapshot    ? from_snapshot(wanted, wanted->path, wanted->path, out)
                : trace       ? from_trace(wanted, out)
                              : from_core(wanted, out, told);
    if (done) {
        rank(out);
    }
    return done;
}

void picture_end(struct picture *p)
{
    heap_map_end(p->map);
    heap_map_look_end(&p->look);
    for (size_t i = 0; i < p->labels; i++) {
        free(p->label[i]);
    }
    free(p->label);
    free(p->column_time);
    free(p->column_holes);
    free(p->column_live);
    *p = (struct picture){0};
}
