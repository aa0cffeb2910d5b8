/* replay/script.c - see replayer/script.h for what a script is, and why it does not lock up.
 *
 *   pass 1: epochs, how many steps each thread has -> the file's length      pass 2: the steps, each to the end of its thread's
 *
 * Both passes ask the same `dealer` what comes next, so they cannot disagree. A trace of one thread has nobody to wait for: its steps
 * have no epochs.
 *
 * Memory: 16 bytes a block, 24 a thread, 4 an epoch; the steps themselves are in the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "replay/script.h"
#include "scratch.h"

const struct script_pace script_exact = {128, 64 << 10, 1024}, script_loose = {16, 1 << 20, 16384};

/* A step and whose it is, as they come in the trace's order. */
struct dealt {
    struct step step;
    uint32_t thread;
};

struct dealer {
    const struct ops *ops;
    const uint64_t *moment;
    uint32_t moments;
    uint64_t room;       /* of an epoch, bytes, */
    uint32_t steps_most; /* and steps */

    uint64_t op;     /* the next */
    uint32_t marked; /* moments that have been dealt */
    bool untimed;    /* of thread 0, whose all OP_LEFT are */
    uint64_t asked;  /* bytes, and */
    uint32_t steps;  /* steps of the epoch so far */
    uint32_t epoch;
    bool alone;  /* the epoch is one step */
    bool strict; /* it waits for all before it */
};

/* Whose epoch it is: a new one where this one is full, or where the step has to be alone or comes after such. */
static void put_in_epoch(struct dealer *d, struct step *step)
{
    bool alone = step->kind == STEP_MEASURE || step->size > d->room;
    if (d->ops->threads < 2) {
        return;
    }
    if (d->steps > 0 && (alone || d->alone || d->steps == d->steps_most || d->asked + step->size > d->room)) {
        d->epoch++;
        d->steps = 0;
        d->asked = 0;
        d->strict = alone || d->alone;
        d->alone = alone;
    } else if (d->steps == 0) {
        d->strict = d->alone = alone;
    }
    d->steps++;
    d->asked += step->size;
    step->epoch = d->epoch;
    step->alone = d->strict;
}

static bool deal(struct dealer *d, struct dealt *out)
{
    static const enum step_kind kinds[] = {
        [OP_ALLOC] = STEP_ALLOC, [OP_FREE] = STEP_FREE, [OP_RESIZE] = STEP_RESIZE, [OP_LEFT] = STEP_FREE};
    const struct ops *ops = d->ops;
    *out = (struct dealt){0};
    if (d->marked < d->moments && d->moment[d->marked] < d->op) {
        d->marked++;
        out->step.kind = STEP_MEASURE;
    } else if (d->op == ops->count) {
        return false;
    } else {
        const struct op *op = &ops->op[d->op];
        bool left = op->kind == OP_LEFT;
        if (left != d->untimed && (left || op->thread == 0)) {
            d->untimed = left;
            out->step.kind = left ? STEP_PAUSE : STEP_RESUME;
        } else {
            out->thread = left ? 0 : op->thread;
            out->step = (struct step){.block = op->block,
                                      .size = op->kind == OP_FREE || left ? 0
                                              : op->size < STEP_LARGEST   ? op->size
                                                                          : STEP_LARGEST,
                                      .kind = kinds[op->kind],
                                      .align = op->align};
            d->op++;
        }
    }
    put_in_epoch(d, &out->step);
    return true;
}

/* -- the file -- */

#define NONE UINT64_MAX

struct writer {
    struct script_head *head; /* the file, mapped */
    uint64_t bytes;
    uint32_t *left;
    uint64_t *next;   /* of each thread: where its next step goes, in steps from the file's beginning */
    uint64_t *last;   /* of each thread: its last step; NONE */
    uint64_t *before; /* of each block: the last step on it; NONE */
    uint32_t *by;     /* and whose it was */
};

static struct step *step_at(const struct writer *w, uint64_t at) { return (struct step *)w->head + at; }

static void write_step(struct writer *w, const struct dealt *d, bool alone)
{
    uint64_t at = w->next[d->thread]++;
    struct step *step = step_at(w, at);
    *step = d->step;
    if (alone) { /* nobody to wait for */
        return;
    }
    uint64_t *last = &w->last[d->thread];
    if (*last == NONE || step_at(w, *last)->epoch != step->epoch) {
        step->enter = 1;
        w->left[step->epoch]++;
        if (*last != NONE) {
            step_at(w, *last)->leave = 1;
        }
    }
    *last = at;
    if (step->kind <= STEP_RESIZE) {
        uint64_t *before = &w->before[step->block];
        if (*before != NONE && w->by[step->block] != d->thread) {
            step_at(w, *before)->tell = d->thread + 1;
            step->wait = 1;
        }
        *before = at;
        w->by[step->block] = d->thread;
    }
}

static int open_file(struct writer *w, int *fd)
{
    *fd = scratch_open(NULL);
    if (*fd < 0) {
        return -errno;
    }
    int failed = posix_fallocate(*fd, 0, (off_t)w->bytes); /* a hole for which there is no room would be a SIGBUS */
    void *file = failed ? MAP_FAILED : mmap(NULL, w->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (file == MAP_FAILED) {
        return failed ? -failed : -errno;
    }
    w->head = file;
    return 0;
}

/* Steps of each thread, and epochs. */
static void count(struct dealer d, uint64_t *steps, uint32_t *epochs)
{
    for (struct dealt next; deal(&d, &next);) {
        steps[next.thread]++;
    }
    *epochs = d.ops->threads < 2 ? 0 : d.epoch + 1;
}

static uint64_t round_up(uint64_t bytes) { return (bytes + sizeof(struct step) - 1) & ~(sizeof(struct step) - 1); }

/* Where all begins, from how many steps each thread has, which `next` holds. */
static void lay_out(struct writer *w, uint32_t threads, uint32_t blocks, uint32_t moments, uint32_t epochs,
                    struct script_head *head)
{
    uint64_t at = round_up(sizeof *head + threads * sizeof head->thread[0]);
    *head = (struct script_head){
        .magic = SCRIPT_MAGIC, .threads = threads, .blocks = blocks, .epochs = epochs, .moments = moments, .left = at};
    at = round_up(at + epochs * sizeof *w->left);
    for (uint32_t i = 0; i < threads; i++) {
        uint64_t steps = w->next[i];
        w->next[i] = at / sizeof(struct step);
        at += steps * sizeof(struct step);
    }
    w->bytes = at;
}

static int write_all(struct writer *w, struct dealer dealer, uint32_t epochs, int *fd)
{
    const struct ops *ops = dealer.ops;
    uint32_t threads = ops->threads ? ops->threads : 1;
    struct script_head head;
    lay_out(w, threads, ops->blocks, dealer.moments, epochs, &head);
    int failed = open_file(w, fd);
    if (failed) {
        return failed;
    }
    *w->head = head;
    w->left = (uint32_t *)((char *)w->head + head.left);
    for (uint32_t i = 0; i < threads; i++) {
        w->head->thread[i] = w->next[i] * sizeof(struct step);
    }
    w->head->thread[threads] = w->bytes;
    for (struct dealt next; deal(&dealer, &next);) {
        write_step(w, &next, threads == 1);
    }
    for (uint32_t i = 0; i < threads && threads > 1; i++) {
        if (w->last[i] != NONE) {
            step_at(w, w->last[i])->leave = 1;
        }
    }
    munmap(w->head, w->bytes);
    return 0;
}

int script_make(const struct ops *ops, const struct script_pace *pace, const uint64_t *moment, uint32_t moments,
                struct script *out)
{
    struct dealer dealer = {
        .ops = ops, .moment = moment, .moments = moments, .room = ops->peak_live / pace->part, .steps_most = pace->ops};
    dealer.room = dealer.room > pace->least ? dealer.room : pace->least;
    uint32_t threads = ops->threads ? ops->threads : 1, epochs;
    size_t blocks = ops->blocks ? ops->blocks : 1;
    struct writer w = {.next = calloc(threads, sizeof *w.next),
                       .last = malloc(threads * sizeof *w.last),
                       .before = malloc(blocks * sizeof *w.before),
                       .by = malloc(blocks * sizeof *w.by)};
    *out = (struct script){.fd = -1, .calls = ops->allocs + ops->frees + ops->resizes};
    int failed = -ENOMEM;
    if (w.next && w.last && w.before && w.by) {
        memset(w.last, 0xff, threads * sizeof *w.last);
        memset(w.before, 0xff, blocks * sizeof *w.before);
        count(dealer, w.next, &epochs);
        failed = write_all(&w, dealer, epochs, &out->fd);
    }
    free(w.next);
    free(w.last);
    free(w.before);
    free(w.by);
    if (failed) {
        script_end(out);
    }
    return failed;
}

void script_end(struct script *script)
{
    if (script->fd >= 0) {
        close(script->fd);
    }
    script->fd = -1;
}
