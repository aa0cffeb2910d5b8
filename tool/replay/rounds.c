/* See rounds.h.
 *
 *   space:  glibc | jemalloc | ...                       untimed, looked at at each moment
 *   round:  empty jemalloc allot glibc ...               timed, each once, in an order that is drawn anew
 *   round:  glibc empty ...
 *
 * The empty replay is one more that takes part: its median is what steps cost without calls, and is taken off from each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library.h"
#include "replay/real.h"
#include "replay/rounds.h"
#include "words.h"

#define ROUNDS_MOST 1000

struct rounds {
    const struct ops *ops;
    const struct comparison_wanted *wanted;
    struct replay_result *out;
    struct script script, loose; /* to be measured and to be timed: the same where one thread has nobody to wait for */
    uint64_t moment[REPLAY_MOMENTS + 1]; /* ops, ascending, with that of the live peak */
    uint64_t live[REPLAY_MOMENTS + 1];
    uint32_t moments, peak; /* peak: which of them */
    bool peak_is_moment;    /* and not between two */
    unsigned rounds;
    double *ns;       /* [real or, behind them, empty][round]: a call; */
    uint64_t *faults; /* likewise */
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *value, unsigned count)
{
    qsort(value, count, sizeof *value, by_value);
    return count % 2 ? value[count / 2] : (value[count / 2 - 1] + value[count / 2]) / 2;
}

/* -- moments -- */

/* As the models have them, and the live peak's. */
static void choose_moments(struct rounds *r)
{
    uint64_t count = r->ops->count;
    uint32_t equal = count < REPLAY_MOMENTS ? (uint32_t)count : REPLAY_MOMENTS;
    bool placed = false;
    for (uint32_t i = 0; i < equal; i++) {
        uint64_t op = (uint64_t)((unsigned __int128)(i + 1) * count / equal) - 1;
        if (!placed && op >= r->ops->peak_at) {
            r->peak = r->moments;
            r->peak_is_moment = op == r->ops->peak_at;
            placed = true;
            if (!r->peak_is_moment) {
                r->moment[r->moments++] = r->ops->peak_at;
            }
        }
        r->moment[r->moments++] = op;
    }
}

static int count_live(struct rounds *r)
{
    const struct ops *ops = r->ops;
    uint64_t *size = calloc((size_t)ops->blocks + 1, sizeof *size), live = 0;
    uint32_t at = 0;
    for (uint64_t i = 0; size && i < ops->count; i++) {
        const struct op *op = &ops->op[i];
        live -= size[op->block];
        size[op->block] = op->kind == OP_FREE || op->kind == OP_LEFT ? 0 : op->size;
        live += size[op->block];
        if (at < r->moments && r->moment[at] == i) {
            r->live[at++] = live;
        }
    }
    free(size);
    return size ? 0 : -1;
}

static void fill_moments(const struct rounds *r, const struct replayer_result *from, struct replay_result *out)
{
    double held = 0, live = 0;
    for (uint32_t i = 0; i < r->moments; i++) {
        struct replay_moment now = {.op = r->moment[i], .live = r->live[i], .held = from->resident[i]};
        if (i == r->peak) {
            out->at_live_peak = now;
        }
        if (i == r->peak && !r->peak_is_moment) {
            continue;
        }
        out->moment[out->moments++] = now;
        held += (double)now.held;
        live += (double)now.live;
        if (now.held > out->peak_held) {
            out->peak_held = now.held;
            out->peak_held_op = now.op;
        }
    }
    out->peak_held = from->peak > out->peak_held ? from->peak : out->peak_held;
    out->mean_held_over_live = live > 0 ? held / live : 0;
}

/* -- replays -- */

static bool replay(struct rounds *r, unsigned which, enum replayer_mode mode, struct replayer_result *out)
{
    static const struct comparison_real empty = {"calls left out", ""};
    const struct replay_wanted *wanted = &r->wanted->replay;
    struct real_watch watch = {wanted->progress, wanted->arg, r->ops->count};
    char failed[160];
    bool is_empty = which == r->wanted->reals;
    const struct script *script = mode == REPLAY_RESIDENT || r->ops->threads < 2 ? &r->script : &r->loose;
    bool done = real_replay(script, is_empty ? &empty : &r->wanted->real[which], mode, &watch, out, failed);
    for (unsigned i = is_empty ? 0 : which; !done && i < (is_empty ? which : which + 1); i++) {
        memcpy(r->out[i].failed, failed, sizeof r->out[i].failed); /* without the empty one nobody has a time */
    }
    return done;
}

/* What it says of itself, else where it lies; allot's own is of this build. */
static void name_version(struct replay_result *out, const struct replayer_result *got)
{
    const char *version = *got->version                           ? got->version
                          : strstr(got->path, "/" LIBRARY_MALLOC) ? ALLOT_VERSION
                                                                  : got->path;
    snprintf(out->version, sizeof out->version, "%.63s", version);
}

static void look_at_space(struct rounds *r)
{
    struct replayer_result got;
    for (unsigned i = 0; i < r->wanted->reals; i++) {
        struct replay_result *out = &r->out[i];
        if (replay(r, i, REPLAY_RESIDENT, &got)) {
            out->ops = r->ops->count;
            out->refused = got.refused;
            name_version(out, &got);
            fill_moments(r, &got, out);
        }
    }
}

static void shuffle(unsigned *order, unsigned count, uint64_t *state)
{
    for (unsigned i = count; i > 1; i--) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        unsigned j = (unsigned)((*state >> 33) % i), was = order[i - 1];
        order[i - 1] = order[j];
        order[j] = was;
    }
}

static void take_times(struct rounds *r)
{
    struct replayer_result got;
    unsigned all = r->wanted->reals + 1, order[all];
    uint64_t state = 1;
    for (unsigned i = 0; i < all; i++) {
        order[i] = i;
    }
    for (unsigned round = 0; round < r->rounds; round++) {
        shuffle(order, all, &state);
        for (unsigned k = 0; k < all; k++) {
            unsigned i = order[k];
            bool is_empty = i == all - 1;
            if ((!is_empty && *r->out[i].failed) || !replay(r, i, is_empty ? REPLAY_EMPTY : REPLAY_TIMED, &got)) {
                continue;
            }
            double calls = r->script.calls ? (double)r->script.calls : 1;
            r->ns[i * r->rounds + round] = (double)got.ns / calls;
            r->faults[i * r->rounds + round] = got.faults;
        }
    }
}

static void sum_up(struct rounds *r)
{
    unsigned rounds = r->rounds, reals = r->wanted->reals;
    double empty = median(r->ns + reals * rounds, rounds), faults[rounds];
    for (unsigned i = 0; i < reals; i++) {
        struct replay_result *out = &r->out[i];
        if (*out->failed || r->script.calls == 0) {
            continue;
        }
        double *ns = r->ns + i * rounds;
        for (unsigned k = 0; k < rounds; k++) {
            ns[k] = ns[k] > empty ? ns[k] - empty : 0;
            faults[k] = (double)r->faults[i * rounds + k];
        }
        out->ns_op = median(ns, rounds);
        out->ns_op_least = ns[0];
        out->ns_op_most = ns[rounds - 1];
        out->faults = (uint64_t)median(faults, rounds);
        out->runs = rounds;
    }
}

/* A replay of few calls says little, but takes little. */
static unsigned good_rounds(const struct ops *ops, unsigned asked)
{
    if (asked) {
        return asked < ROUNDS_MOST ? asked : ROUNDS_MOST;
    }
    return ops->count < 100000 ? 15 : ops->count < 3000000 ? 7 : 5;
}

/* Every page is touched: what a program asked for and never used would take this machine's memory. */
static bool fits(const struct ops *ops, char failed[160])
{
    char line[128];
    unsigned long long kib, have = 0;
    FILE *info = fopen("/proc/meminfo", "re");
    while (info && fgets(line, sizeof line, info)) {
        if (sscanf(line, "MemAvailable: %llu", &kib) == 1 || sscanf(line, "SwapFree: %llu", &kib) == 1) {
            have += kib << 10;
        }
    }
    if (info) {
        fclose(info);
    }
    if (have && ops->peak_live > have) {
        snprintf(failed, 160, "not tried: %s were live, and there are %s of memory", words_bytes(ops->peak_live).text,
                 words_bytes(have).text);
        return false;
    }
    return true;
}

unsigned rounds_run(const struct ops *ops, const struct comparison_wanted *wanted, struct replay_result *out)
{
    struct rounds r = {.ops = ops, .wanted = wanted, .out = out, .rounds = good_rounds(ops, wanted->rounds)};
    r.ns = calloc((wanted->reals + 1) * r.rounds, sizeof *r.ns);
    r.faults = calloc((wanted->reals + 1) * r.rounds, sizeof *r.faults);
    for (unsigned i = 0; i < wanted->reals; i++) {
        out[i] = (struct replay_result){.name = wanted->real[i].name, .real = true};
    }
    choose_moments(&r);
    int failed = r.ns && r.faults && count_live(&r) == 0 ? 0 : -1;
    char why[160] = "no room for what it is to replay, set TMPDIR to where there is";
    r.script.fd = r.loose.fd = -1;
    if (!failed && !fits(ops, why)) {
        failed = -1;
    }
    if (!failed) {
        failed = script_make(ops, &script_exact, r.moment, r.moments, &r.script);
    }
    if (!failed && ops->threads > 1) {
        failed = script_make(ops, &script_loose, NULL, 0, &r.loose);
    }
    if (!failed) {
        look_at_space(&r);
        take_times(&r);
        sum_up(&r);
    }
    script_end(&r.script);
    script_end(&r.loose);
    for (unsigned i = 0; failed && i < wanted->reals; i++) {
        memcpy(out[i].failed, why, sizeof out[i].failed);
    }
    free(r.ns);
    free(r.faults);
    return failed ? 0 : r.rounds;
}
