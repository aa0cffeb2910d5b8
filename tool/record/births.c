/* What is live of what the threads' frames have; see blocks.h. */
#include <stdlib.h>

#include "base/bits.h"
#include "record/collector.h"

/* Memory is out. */
static void stop_counting(struct collector *c)
{
    c->blocks_off = true;
    for (struct process *p = c->processes; p; p = p->next) {
        blocks_done(&p->blocks);
    }
}

static bool reserve(struct collector *c, struct thread *t, size_t more)
{
    if (unlikely(!c->blocks_off && !blocks_reserve(&t->process->blocks, more, c->since))) {
        stop_counting(c);
    }
    return !c->blocks_off;
}

static void free_fars(struct collector *c, struct thread *t)
{
    if (reserve(c, t, t->fars)) {
        for (unsigned i = 0; i < t->fars; i++) {
            blocks_free(&t->process->blocks, t->far[i].address, t->far[i].time);
        }
    }
    t->fars = 0;
}

static void free_far(struct collector *c, struct thread *t, uint64_t address, uint64_t time)
{
    if (!blocks_keep(&t->process->blocks, address)) {
        return;
    }
    if (t->process->blocks.entry) {
        blocks_prefetch(&t->process->blocks, address);
    }
    t->far[t->fars].address = address;
    t->far[t->fars].time = time;
    if (++t->fars == FARS) {
        free_fars(c, t);
    }
}

/* A block of the frame that is young is forgotten with it. */
static struct birth birth_of(const struct thread *t)
{
    return t->packer.block ? t->birth[t->packer.block] : (struct birth){.old = true};
}

void births_count(struct collector *c, struct thread *t, const struct file_event *e)
{
    if (c->blocks_off) {
        return;
    }
    if (unlikely(!t->birth) && !(t->birth = malloc((FILE_EVENTS + 1) * sizeof *t->birth))) {
        stop_counting(c);
        return;
    }
    struct birth *birth = &t->birth[t->packer.block];
    switch (e->op) {
    case FILE_FREE:
        if (birth_of(t).old) {
            free_far(c, t, e->address, e->time);
        }
        break;
    case FILE_REALLOC_FROM:
        t->from = e->address;
        t->from_time = e->time;
        t->from_birth = birth_of(t);
        break;
    case FILE_REALLOC_TO:
        if (t->from == e->address && e->size == 0) {
            *birth = t->from_birth; /* it failed: all is as it was */
            t->from = 0;
            break;
        }
        if (t->from && t->from_birth.old) {
            free_far(c, t, t->from, t->from_time);
        }
        t->from = 0;
        /* fallthrough */
    case FILE_MALLOC:
    case FILE_CALLOC:
    case FILE_ALIGNED:
    case FILE_BEFORE:
        *birth = (struct birth){.time = e->time, .size = e->size, .stack = e->stack};
        break;
    default:
        break;
    }
}

void births_end(struct collector *c, struct thread *t)
{
    const struct model *m = &t->packer.model;
    struct blocks *blocks = &t->process->blocks;

    if (c->blocks_off || !t->birth || !reserve(c, t, FARS)) {
        return;
    }
    for (uint32_t at = m->block[0].newer; at && !c->blocks_off;) {
        uint32_t batch[FARS], count = 0;
        for (; at && count < FARS; at = m->block[at].newer) {
            uint64_t address = model_address(m, at) << 3;
            if (!t->birth[at].old && blocks_keep(blocks, address)) {
                batch[count++] = at;
                blocks_prefetch(blocks, address);
            }
        }
        for (uint32_t i = 0; i < count; i++) {
            blocks_alloc(blocks, model_address(m, batch[i]) << 3, &t->birth[batch[i]]);
        }
        reserve(c, t, FARS);
    }
    free_fars(c, t);
}
