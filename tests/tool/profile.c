/* tool/profile.c - the figures of a trace are those that going over its events by hand gives; and their equations hold. */
#include "common/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "profile/profile.h"

/* -- a trace that is made here -- */

#define EVENTS 60000
#define PLACES 700
#define STACKS 40
#define PROCS  4

struct trace {
    struct trace_about about;
    const struct trace_event *event;
    size_t count, at;
};

int trace_next(struct trace *t, struct trace_event *e, struct trace_error *error)
{
    (void)error;
    if (t->at == t->count) {
        return 0;
    }
    *e = t->event[t->at++];
    return 1;
}

const struct trace_about *trace_about(const struct trace *t) { return &t->about; }

const struct trace_total *trace_totals(const struct trace *t, uint32_t *count)
{
    (void)t;
    *count = 0;
    return NULL;
}

static struct profile *profile_of(const struct trace_event *event, size_t count, struct profile_wanted wanted)
{
    struct trace t = {.about.has_times = true, .event = event, .count = count};
    struct trace_error error = {""};
    struct profile *p = profile_read(&t, &wanted, &error);
    assert_non_null(p);
    return p;
}

/* -- the same by hand -- */

struct by_hand {
    uint64_t live_blocks, live_bytes, peak_blocks, peak_bytes, own_peak, allocs, bytes, frees, passed, temporary,
        left_blocks, left_bytes, same;
    uint64_t before, life_least, life_most;
    double life_sum;
};
struct live_by_hand {
    uint64_t size, time;
    uint32_t stack, thread;
    bool there;
};
static struct by_hand hand[PROCS + 1][STACKS + 1];
static struct live_by_hand live[PROCS + 1][PLACES];
static uint64_t all_live, all_peak, all_peak_time;

static unsigned place_of(uint64_t address) { return (unsigned)((address - 0x10000) / 16); }

static void hand_remove(const struct trace_event *e, uint64_t address, bool freed, bool counts)
{
    struct live_by_hand *b = &live[e->process][place_of(address)];
    struct by_hand *s = &hand[e->process][b->stack];
    assert_true(b->there);
    s->live_blocks--;
    s->live_bytes -= b->size;
    all_live -= b->size;
    b->there = false;
    if (!counts) {
        s->before--;
        return;
    }
    s->frees++;
    s->passed += !freed;
    if (freed) {
        uint64_t life = e->time - b->time;
        s->temporary += life < 1000000;
        s->life_sum += (double)life;
        s->life_least = life < s->life_least ? life : s->life_least;
        s->life_most = life > s->life_most ? life : s->life_most;
        s->same += b->thread == e->thread;
    }
}

static void hand_peak(const struct trace_event *e)
{
    if (all_live > all_peak) {
        all_peak = all_live;
        all_peak_time = e->time;
        for (unsigned p = 1; p <= PROCS; p++) {
            for (unsigned i = 0; i <= STACKS; i++) {
                hand[p][i].peak_blocks = hand[p][i].live_blocks;
                hand[p][i].peak_bytes = hand[p][i].live_bytes;
            }
        }
    }
}

static void hand_add(const struct trace_event *e, uint64_t born, bool counts)
{
    struct by_hand *s = &hand[e->process][e->stack];
    live[e->process][place_of(e->address)] = (struct live_by_hand){e->size, born, e->stack, e->thread, true};
    s->live_blocks++;
    s->live_bytes += e->size;
    s->own_peak = s->live_bytes > s->own_peak ? s->live_bytes : s->own_peak;
    all_live += e->size;
    if (!counts) {
        s->before++;
        return;
    }
    s->allocs++;
    s->bytes += e->size;
    hand_peak(e);
}

static void hand_end(uint32_t process)
{
    for (unsigned i = 0; i <= STACKS; i++) {
        struct by_hand *s = &hand[process][i];
        s->left_blocks += s->live_blocks;
        s->left_bytes += s->live_bytes;
        all_live -= s->live_bytes;
        s->live_blocks = s->live_bytes = 0;
    }
    memset(live[process], 0, sizeof live[process]);
}

static void begin_by_hand(void)
{
    memset(hand, 0, sizeof hand);
    memset(live, 0, sizeof live);
    all_live = all_peak = all_peak_time = 0;
    for (unsigned p = 0; p <= PROCS; p++) {
        for (unsigned i = 0; i <= STACKS; i++) {
            hand[p][i].life_least = UINT64_MAX;
        }
    }
}

static void by_hand(const struct trace_event *event, size_t count, uint64_t from, uint64_t to)
{
    bool counts = from == 0;
    begin_by_hand();
    for (size_t i = 0; i < count && (!to || event[i].time <= to); i++) {
        const struct trace_event *e = &event[i];
        if (!counts && e->time >= from) {
            counts = true;
            for (unsigned p = 1; p <= PROCS; p++) {
                for (unsigned s = 0; s <= STACKS; s++) {
                    hand[p][s].own_peak = hand[p][s].live_bytes;
                }
            }
            all_peak = 0;
            hand_peak(e);
            all_peak_time = from;
        }
        switch (e->op) {
        case TRACE_ALLOC:
            hand_add(e, e->time, counts);
            break;
        case TRACE_FREE:
            hand_remove(e, e->address, true, counts);
            break;
        case TRACE_REALLOC: {
            uint64_t born = live[e->process][place_of(e->old)].time;
            hand_remove(e, e->old, false, counts);
            hand_add(e, born, counts);
            break;
        }
        case TRACE_EXIT:
            hand_end(e->process);
            break;
        default:
            break;
        }
    }
    for (uint32_t p = 1; p <= PROCS; p++) {
        hand_end(p);
    }
}

/* Blocks come and go at random, by random stacks and threads, in processes of which some end. */
static size_t make_events(struct trace_event *event, uint64_t seed)
{
    struct random random = {seed};
    static bool there[PROCS + 1][PLACES];
    bool ended[PROCS + 1] = {false};
    size_t n = 0;
    memset(there, 0, sizeof there);
    for (uint64_t time = 1; n < EVENTS; time += random_below(&random, 400000)) {
        struct trace_event e = {.process = 1 + (uint32_t)random_below(&random, PROCS),
                                .thread = 1 + (uint32_t)random_below(&random, 90),
                                .time = time};
        unsigned place = (unsigned)random_below(&random, PLACES), to = (unsigned)random_below(&random, PLACES);
        /* Fuller and emptier by turns, so that there are many peaks, and the last of them is not at the end. */
        unsigned fullness = 20 + (unsigned)(60 * ((n / 5000) % 2));
        if (ended[e.process]) {
            continue;
        }
        e.address = 0x10000 + 16 * (uint64_t)place;
        e.stack = (uint32_t)random_below(&random, STACKS);
        e.size = 1 + random_below(&random, 5000);
        bool *it = &there[e.process][place];
        if (!*it && random_below(&random, 100) < fullness) {
            e.op = TRACE_ALLOC;
            e.call = TRACE_MALLOC;
            *it = true;
        } else if (*it && random_below(&random, 10) == 0 && (to == place || !there[e.process][to])) {
            e.op = TRACE_REALLOC;
            e.old = e.address;
            e.begun = e.time;
            e.address = 0x10000 + 16 * (uint64_t)to;
            *it = false;
            there[e.process][to] = true;
        } else if (*it && random_below(&random, 100) >= fullness) {
            e.op = TRACE_FREE;
            e.stack = 0;
            e.size = 0;
            *it = false;
        } else {
            continue;
        }
        event[n++] = e;
        uint32_t ends = n == EVENTS / 2 ? 2 : n == EVENTS / 4 ? 3 : 0;
        if (ends) {
            event[n++] = (struct trace_event){.op = TRACE_EXIT, .process = ends, .thread = 1, .time = time, .size = 1};
            ended[ends] = true;
        }
    }
    return n;
}

static void check_equations(const struct profile *p)
{
    uint64_t peak = 0, left = 0, allocs = 0, frees = 0;
    for (uint32_t i = 1; i <= p->sites; i++) {
        const struct profile_site *s = &p->site[i];
        assert_int_equal(s->allocs + s->before_blocks, s->frees + s->replaced_blocks + s->live_blocks + s->left_blocks);
        assert_int_equal(s->bytes + s->before_bytes,
                         s->freed_bytes + s->replaced_bytes + s->live_bytes + s->left_bytes);
        peak += s->peak_bytes;
        left += s->left_bytes;
        allocs += s->allocs;
        frees += s->frees;
    }
    assert_int_equal(peak, p->peak_bytes);
    assert_int_equal(left, p->left_bytes);
    assert_int_equal(allocs, p->allocs);
    assert_int_equal(frees, p->frees);
    assert_int_equal(p->allocs + p->before_blocks, p->frees + p->replaced_blocks + p->live_blocks + p->left_blocks);
    assert_int_equal(p->live_blocks, 0);
}

static void compare(const struct profile *p)
{
    assert_int_equal(p->peak_bytes, all_peak);
    assert_int_equal(p->peak_time, all_peak_time);
    for (uint32_t i = 1; i <= p->sites; i++) {
        const struct profile_site *s = &p->site[i];
        const struct by_hand *h = &hand[s->process][s->stack];
        assert_int_equal(s->peak_blocks, h->peak_blocks);
        assert_int_equal(s->peak_bytes, h->peak_bytes);
        assert_int_equal(s->own_peak_bytes, h->own_peak);
        assert_int_equal(s->allocs, h->allocs);
        assert_int_equal(s->bytes, h->bytes);
        assert_int_equal(s->frees, h->frees);
        assert_int_equal(s->passed, h->passed);
        assert_int_equal(s->before_blocks, h->before);
        assert_int_equal(s->temporary, h->temporary);
        assert_int_equal(s->same_thread, h->same);
        assert_int_equal(s->left_blocks, h->left_blocks);
        assert_int_equal(s->left_bytes, h->left_bytes);
        assert_int_equal(s->life_least, h->life_least);
        assert_int_equal(s->life_most, h->life_most);
        assert_true(s->life_sum == h->life_sum);
    }
}

static struct trace_event event[EVENTS + 8];

static void as_by_hand(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        size_t count = make_events(event, seed);
        struct profile *p = profile_of(event, count, (struct profile_wanted){0});
        by_hand(event, count, 0, 0);
        compare(p);
        check_equations(p);
        profile_end(p);
    }
}

/* The same, with room for hardly any block in memory. */
static void from_disk(void **state)
{
    (void)state;
    size_t count = make_events(event, 6);
    struct profile *p = profile_of(event, count, (struct profile_wanted){.memory_most = 16384});
    by_hand(event, count, 0, 0);
    assert_true(p->budget.spilled > 1000);
    compare(p);
    check_equations(p);
    profile_end(p);
}

static void of_a_while(void **state)
{
    (void)state;
    size_t count = make_events(event, 7);
    uint64_t from = event[count / 3].time, to = event[2 * count / 3].time;
    struct profile *p = profile_of(event, count, (struct profile_wanted){.from = from, .to = to});
    by_hand(event, count, from, to);
    compare(p);
    check_equations(p);
    assert_int_equal(p->begin, from);
    profile_end(p);
}

/* Stacks that are too many to be told apart are still counted. */
static void too_many_stacks(void **state)
{
    (void)state;
    size_t count = make_events(event, 8);
    struct profile *p =
        profile_of(event, count, (struct profile_wanted){.sites_most = 20 * sizeof(struct profile_site)});
    by_hand(event, count, 0, 0);
    assert_int_equal(p->sites, 20 + PROCS);
    assert_true(p->folded > 0);
    assert_int_equal(p->peak_bytes, all_peak);
    check_equations(p);
    profile_end(p);
}

static void one_process(void **state)
{
    (void)state;
    size_t count = make_events(event, 9), of_it = 0;
    static struct trace_event its[EVENTS + 8];
    for (size_t i = 0; i < count; i++) {
        if (event[i].process == 2) {
            its[of_it++] = event[i];
        }
    }
    struct profile *p = profile_of(event, count, (struct profile_wanted){.process = 2});
    by_hand(its, of_it, 0, 0);
    compare(p);
    check_equations(p);
    assert_int_equal(p->processes, 1);
    assert_true(p->process[0]->exited);
    profile_end(p);
}

static struct trace_event at(uint64_t time, enum trace_op op, uint64_t address, uint64_t size, uint32_t stack,
                             uint32_t thread)
{
    return (struct trace_event){
        .op = op, .process = 1, .thread = thread, .time = time, .address = address, .size = size, .stack = stack};
}

/* Who grows: what is kept rises in each of the last windows. Not who goes up and down, rose once, or is freed at the end only. */
static void growth(void **state)
{
    (void)state;
    size_t n = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        uint64_t time = i * 1000000;
        event[n++] = at(time, TRACE_ALLOC, 0x100000 + i * 16, 16, 1, 1); /* grows */
        event[n++] = at(time, TRACE_ALLOC, 0x900000, 5000, 2, 1);        /* comes and goes */
        event[n++] = at(time + 1, TRACE_FREE, 0x900000, 0, 0, 1);
        if (i < 1000) {
            event[n++] = at(time, TRACE_ALLOC, 0xa00000 + i * 16, 16, 3, 1); /* rose once */
        }
    }
    for (uint64_t i = 0; i < 10000; i++) {
        event[n++] = at(10000000000, TRACE_FREE, 0x100000 + i * 16, 0, 0, 1);
    }
    struct profile *p = profile_of(event, n, (struct profile_wanted){0});
    for (uint32_t i = 1; i <= p->sites; i++) {
        uint64_t grew = profile_growth(p, &p->site[i]);
        assert_true(p->site[i].stack == 1 ? grew > 50000 && grew < 160000 : grew == 0);
    }
    check_equations(p);
    profile_end(p);
}

/* Threads beyond those that have a bit each are counted, and each once. */
static void threads(void **state)
{
    (void)state;
    size_t n = 0;
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t thread = 1; thread <= 500; thread++) {
            event[n] = at(n, TRACE_ALLOC, 0x100000 + n * 16, 16, thread % 2, thread);
            n++;
        }
    }
    event[n] = at(n, TRACE_FREE, 0x100000, 0, 0, 7);
    n++;
    struct profile *p = profile_of(event, n, (struct profile_wanted){0});
    assert_int_equal(p->sites, 2);
    assert_int_equal(p->site[1].threads, 250);
    assert_int_equal(p->site[2].threads, 250);
    assert_int_equal(p->process[0]->thread[7].freed_others, 1);
    assert_int_equal(p->process[0]->thread[400].allocs, 3);
    profile_end(p);
}

/* Many processes with high numbers of threads: those that would take too much memory count under number 0. */
static void threads_of_many(void **state)
{
    (void)state;
    size_t n = 0;
    for (uint32_t process = 1; process <= 500; process++) {
        event[n] = at(n, TRACE_ALLOC, 0x10, 16, 1, PROFILE_THREADS);
        event[n++].process = process;
    }
    struct profile *p = profile_of(event, n, (struct profile_wanted){0});
    uint64_t room = 0, known = 0, others = 0;
    for (uint32_t i = 0; i < p->processes; i++) {
        const struct profile_process *process = p->process[i];
        room += process->threads_room;
        others += process->thread[0].allocs;
        known += process->threads > PROFILE_THREADS ? process->thread[PROFILE_THREADS].allocs : 0;
    }
    assert_true(room <= PROFILE_ALL_THREADS + n && room == p->threads);
    assert_true(known > 50 && others > 50);
    assert_int_equal(known + others, n);
    profile_end(p);
}

/* Frees of what is not known, allocations over what lives, lost events: counted, and nothing else is wrong. */
static void holes(void **state)
{
    (void)state;
    size_t n = 0;
    event[n++] = at(1, TRACE_BEFORE, 0x30, 300, 0, 1);
    event[n++] = at(1, TRACE_ALLOC, 0x10, 100, 1, 1);
    event[n++] = at(2, TRACE_LOST, 0, 5, 0, 1);
    event[n++] = at(3, TRACE_ALLOC, 0x10, 200, 2, 1);
    event[n++] = at(4, TRACE_FREE, 0x20, 0, 0, 1);
    event[n] = at(5, TRACE_REALLOC, 0x40, 400, 3, 1);
    event[n++].old = 0x50;
    event[n++] = at(6, TRACE_FAILED, 0, 1 << 30, 3, 1);
    event[n++] = at(7, TRACE_FREE, 0x30, 0, 0, 1);
    struct profile *p = profile_of(event, n, (struct profile_wanted){0});
    check_equations(p);
    assert_int_equal(p->replaced_blocks, 1);
    assert_int_equal(p->replaced_bytes, 100);
    assert_int_equal(p->unknown_frees, 2);
    assert_int_equal(p->lost, 5);
    assert_int_equal(p->failed, 1);
    assert_int_equal(p->before_bytes, 300);
    assert_int_equal(p->left_bytes, 600);
    assert_int_equal(p->peak_bytes, 900);
    profile_end(p);
}

static void verdicts(void **state)
{
    (void)state;
    size_t n = 0;
    event[n++] = at(1, TRACE_ALLOC, 0x10, 100, 1, 1);
    event[n++] = at(1, TRACE_ALLOC, 0x20, 30, 1, 1);
    event[n++] = at(1, TRACE_ALLOC, 0x30, 7, 2, 1);
    event[n] = at(2, TRACE_VERDICT, 0x10, 500, 0, 1);
    event[n++].verdict = GRAPH_DEFINITE;
    event[n] = at(2, TRACE_VERDICT, 0x20, 30, 0, 1);
    event[n++].verdict = GRAPH_DEFINITE;
    event[n] = at(2, TRACE_VERDICT, 0x30, 7, 0, 1);
    event[n++].verdict = GRAPH_REACHABLE;
    event[n] = at(2, TRACE_VERDICT, 0x40, 7, 0, 1);
    event[n++].verdict = GRAPH_DEFINITE;
    event[n] = at(2, TRACE_VERDICT, 0x10, 500, 0, 1);
    event[n++].verdict = 77;
    struct profile *p = profile_of(event, n, (struct profile_wanted){0});
    assert_int_equal(p->verdicts, 2);
    assert_int_equal(p->verdict[0].verdict, GRAPH_DEFINITE);
    assert_int_equal(p->verdict[0].blocks, 2);
    assert_int_equal(p->verdict[0].bytes, 130);
    assert_int_equal(p->verdict[0].retained, 530);
    assert_int_equal(p->verdict[1].verdict, GRAPH_REACHABLE);
    profile_end(p);
}

static void timeline(void **state)
{
    (void)state;
    static struct timeline t;
    timeline_begin(&t, 100, 2);
    for (uint64_t time = 100; time < 100000; time++) {
        struct timeline_point *point = timeline_at(&t, time);
        point->live_bytes = time;
        point->high = time > point->high ? time : point->high;
        point->allocs++;
    }
    uint64_t allocs = 0;
    assert_true(t.count <= TIMELINE_POINTS && t.count > TIMELINE_POINTS / 2 - 1);
    for (uint32_t i = 0; i < t.count; i++) {
        uint64_t last = t.begin + (i + 1) * t.length - 1;
        assert_int_equal(t.point[i].live_bytes, last < 100000 ? last : 99999);
        assert_int_equal(t.point[i].high, t.point[i].live_bytes);
        allocs += t.point[i].allocs;
    }
    assert_int_equal(allocs, 100000 - 100);
    /* A gap is a row of points that hold what was last there. */
    timeline_at(&t, 130000);
    assert_int_equal(t.point[t.count - 1].live_bytes, 99999);
    assert_int_equal(t.point[t.count - 1].allocs, 0);
    timeline_at(&t, (uint64_t)1 << 62);
    assert_true(t.count <= TIMELINE_POINTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_by_hand),      cmocka_unit_test(from_disk),       cmocka_unit_test(of_a_while),
        cmocka_unit_test(too_many_stacks), cmocka_unit_test(one_process),     cmocka_unit_test(growth),
        cmocka_unit_test(threads),         cmocka_unit_test(threads_of_many), cmocka_unit_test(holes),
        cmocka_unit_test(verdicts),        cmocka_unit_test(timeline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
