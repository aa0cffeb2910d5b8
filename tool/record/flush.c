/* Events into frames of their threads, in the order in which the file can be read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/collector.h"

/* What a thread wrote, `t`; else what was noted of its process. */
static void write_packer(struct collector *c, struct process *p, struct thread *t, struct packer *packer)
{
    uint32_t length[COLUMNS];
    struct part part[1 + COLUMNS];

    if (packer->events == 0) {
        return;
    }
    if (t) {
        births_end(c, t);
    }
    nodes_write(c->nodes, &c->writer, c->since);
    part[0] = (struct part){length, sizeof length};
    for (unsigned i = 0; i < COLUMNS; i++) {
        length[i] = packer->column[i].used;
        part[1 + i] = (struct part){packer->column[i].bytes, length[i]};
    }
    writer_frame(&c->writer,
                 (struct file_frame){.kind = FILE_KIND_EVENTS,
                                     .process = p->number,
                                     .thread = t ? t->number : 0,
                                     .since = c->since,
                                     .first = packer->first,
                                     .count = packer->events},
                 part, 1 + COLUMNS);
    packer->events = 0;
}

static void add(struct collector *c, struct process *p, struct thread *t, struct packer *packer,
                const struct file_event *event)
{
    if ((packer->events == 0 && !packer_begin(packer, event->time)) || !packer_add(packer, event)) {
        writer_fail(&c->writer, -ENOMEM);
        packer->events = 0;
        return;
    }
    if (t) {
        births_count(c, t, event);
    }
    c->events += event->op != FILE_NOTE && event->op != FILE_REALLOC_FROM;
    if (packer->events == FILE_EVENTS || packer->column[COLUMN_NOTE].used > MIB) {
        write_packer(c, p, t, packer);
    }
}

static uint64_t not_before(uint64_t time, uint64_t last, uint64_t since)
{
    time = time > last ? time : last;
    return time > since ? time : since;
}

void add_event(struct collector *c, struct thread *t, struct file_event *event)
{
    event->time = t->time = not_before(event->time, t->time, c->since);
    add(c, t->process, t, &t->packer, event);
}

void add_note(struct collector *c, struct process *p, const unsigned char *note, size_t bytes)
{
    struct file_event event = {.op = FILE_NOTE, .note = note, .note_bytes = (uint32_t)bytes};

    event.time = p->time = not_before(area_units(&c->area, area_clock(&c->area)), p->time, c->since);
    add(c, p, NULL, &p->packer, &event);
}

void flush_all(struct collector *c)
{
    nodes_write(c->nodes, &c->writer, c->since);
    for (struct process *p = c->processes; p; p = p->next) {
        for (struct thread *t = p->threads; t; t = t->next) {
            write_packer(c, p, t, &t->packer);
        }
        write_packer(c, p, NULL, &p->packer);
    }
    c->since = c->round;
}

/* -- what is live -- */

struct sum {
    uint64_t blocks, bytes;
};

static bool more(unsigned char **bytes, size_t used, size_t *room, size_t wanted)
{
    if (used + wanted > *room) {
        size_t larger = (*room + wanted) * 2;
        unsigned char *moved = realloc(*bytes, larger);
        if (!moved) {
            return false;
        }
        *bytes = moved;
        *room = larger;
    }
    return true;
}

static void write_process_key(struct collector *c, const struct process *p)
{
    struct sum size[64] = {0}, all = {0};
    uint32_t nodes = nodes_count(c->nodes), before = 0, stacks = 0;
    struct sum *stack = calloc(nodes, sizeof *stack);
    unsigned char *bytes = NULL;
    size_t room = 0, used = 0;
    bool fits = stack && more(&bytes, 0, &room, 4096);

    for (size_t i = 0; fits && p->blocks.entry && i <= p->blocks.mask; i++) {
        const struct block_entry *e = &p->blocks.entry[i];
        if (block_is_live(e)) {
            uint64_t length = block_size(e), weight = block_weight(&p->blocks, e);
            struct sum *of[] = {&all, &stack[block_stack(e)], &size[length ? log2_floor(length) : 0]};
            for (size_t k = 0; k < 3; k++) {
                of[k]->blocks += weight;
                of[k]->bytes += weight * length;
            }
        }
    }
    if (fits) {
        unsigned char *at = file_put_number(bytes, (uint64_t)1 << p->blocks.halvings);
        at = file_put_number(at, all.blocks);
        at = file_put_number(at, all.bytes);
        for (unsigned i = 0; i < 64; i++) {
            at = file_put_number(at, size[i].blocks);
            at = file_put_number(at, size[i].bytes);
        }
        used = (size_t)(at - bytes);
    }
    for (uint32_t i = 0; fits && i < nodes && used < FILE_PAYLOAD - 64; i++) {
        if (stack[i].blocks) {
            fits = more(&bytes, used, &room, 3 * FILE_NUMBER_BYTES);
            if (fits) {
                unsigned char *at = file_put_number(bytes + used, i - before);
                at = file_put_number(at, stack[i].blocks);
                used = (size_t)(file_put_number(at, stack[i].bytes) - bytes);
                before = i;
                stacks++;
            }
        }
    }
    if (fits) {
        writer_frame(
            &c->writer,
            (struct file_frame){
                .kind = FILE_KIND_KEY, .process = p->number, .since = c->since, .first = c->since, .count = stacks},
            &(struct part){bytes, used}, 1);
    }
    free(stack);
    free(bytes);
}

void write_key(struct collector *c)
{
    c->raw = 0;
    if (c->blocks_off || !model_more((void **)&c->key, &c->key_room, c->keys + 1, sizeof *c->key)) {
        return;
    }
    c->key[c->keys++] = c->writer.at;
    for (struct process *p = c->processes; p; p = p->next) {
        write_process_key(c, p);
    }
}

void write_end(struct collector *c)
{
    struct ring_area *ring = c->area.ring;
    unsigned char *bytes = malloc((8 + (size_t)c->keys) * FILE_NUMBER_BYTES), *at = bytes;
    uint64_t end = c->writer.at, before = 0;

    if (!bytes) {
        writer_fail(&c->writer, -ENOMEM);
        return;
    }
    at = file_put_number(at, c->events);
    at = file_put_number(at, atomic_load(&ring->lost) + c->damaged);
    at = file_put_number(at, atomic_load(&ring->waited_ns));
    at = file_put_number(at, c->cpu_ns);
    at = file_put_number(at, c->since);
    at = file_put_number(at, c->seen);
    at = file_put_number(at, c->keys);
    for (uint32_t i = 0; i < c->keys; i++) {
        at = file_put_number(at, c->key[i] - before);
        before = c->key[i];
    }
    writer_frame(&c->writer, (struct file_frame){.kind = FILE_KIND_END, .since = c->since},
                 &(struct part){bytes, (size_t)(at - bytes)}, 1);
    free(bytes);
    writer_close(&c->writer, end);
}
