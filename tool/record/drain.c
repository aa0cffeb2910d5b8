/* What a thread wrote, word by word. It is another process's memory: every length is held against what there is, and read once. */
#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "record/collector.h"

enum { BATCH = 64, AHEAD_WORDS = 256 };

/* Events whose blocks are being fetched. */
struct batch {
    unsigned count;
    struct file_event event[BATCH];
};

static void finish(struct collector *c, struct thread *t, struct batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++) {
        add_event(c, t, &batch->event[i]);
    }
    batch->count = 0;
}

static uint64_t two(const uint32_t *word) { return word[0] | (uint64_t)word[1] << 32; }

static size_t text_length(const uint32_t *word, size_t words)
{
    return strnlen((const char *)word, words * sizeof *word);
}

/* -- events that are not about a block -- */

enum told { TOLD, TOLD_LATER, TOLD_WRONG };

static void note_event(struct collector *c, struct thread *t, uint64_t time, const unsigned char *note, size_t bytes)
{
    struct file_event event = {.op = FILE_NOTE, .time = time, .note = note, .note_bytes = (uint32_t)bytes};
    add_event(c, t, &event);
}

static void note_text(struct collector *c, struct thread *t, uint64_t time, enum file_note kind, const uint64_t *number,
                      size_t numbers, const void *text, size_t length)
{
    unsigned char note[1 + 3 * FILE_NUMBER_BYTES + 4096], *at = note;

    *at++ = (unsigned char)kind;
    for (size_t i = 0; i < numbers; i++) {
        at = file_put_number(at, number[i]);
    }
    length = size_min(length, 4096);
    if (length) {
        memcpy(at, text, length);
    }
    note_event(c, t, time, note, (size_t)(at - note) + length);
}

void name_thread(struct collector *c, struct thread *t, uint64_t time, const char *name, size_t length)
{
    length = size_min(length, sizeof t->name - 1);
    if (length == strlen(t->name) && memcmp(name, t->name, length) == 0) {
        return;
    }
    memset(t->name, 0, sizeof t->name);
    memcpy(t->name, name, length);
    note_text(c, t, time, FILE_NOTE_THREAD, &(uint64_t){(uint32_t)t->tid}, 1, name, length);
}

/* A fork's child has what its parent had. */
static bool begin_process(struct collector *c, struct process *p, uint32_t parent, uint32_t inherited)
{
    struct node_map *map = node_map_new(parent ? find_nodes(c, parent) : NULL, inherited);

    if (!map) {
        writer_fail(&c->writer, -ENOMEM);
        return false;
    }
    node_map_drop(p->map);
    p->map = map;
    p->begun = true;
    return true;
}

static enum told tell(struct collector *c, struct thread *t, enum ring_op op, const uint32_t *word, uint32_t words,
                      uint64_t time, bool forced)
{
    struct process *p = t->process;

    switch (op) {
    case RING_CLOCK:
        if (words < 1) {
            return TOLD_WRONG;
        }
        t->high = word[0];
        return TOLD;
    case RING_NODE: {
        if (words < 4) {
            return TOLD_WRONG;
        }
        uint32_t id = word[0], parent = word[1];
        if (!forced && parent && node_map_find(p->map, parent) == NODES_UNKNOWN) {
            return TOLD_LATER;
        }
        if (!nodes_add(c->nodes, p->map, id, parent, two(word + 2))) {
            writer_fail(&c->writer, -ENOMEM);
        }
        if (nodes_pending(c->nodes) > MIB) {
            nodes_write(c->nodes, &c->writer, c->since);
        }
        return TOLD;
    }
    case RING_MODULE: {
        uint32_t id_bytes = words >= 7 ? word[6] : 0, id_words = (id_bytes + 3) / 4;
        if (words < 7 || id_bytes > 256 || id_words > words - 7) {
            return TOLD_WRONG;
        }
        const uint32_t *path = word + 7 + id_words;
        unsigned char id[256];
        memcpy(id, word + 7, id_bytes);
        if (!nodes_module(c->nodes, p->map,
                          &(struct module_seen){two(word), two(word + 2), two(word + 4), id, id_bytes,
                                                (const char *)path,
                                                size_min(text_length(path, words - 7 - id_words), 4096)})) {
            writer_fail(&c->writer, -ENOMEM);
        }
        return TOLD;
    }
    case RING_TEXT: {
        if (words < 1) {
            return TOLD_WRONG;
        }
        uint32_t what = word[0];
        if (what == RING_TEXT_EXIT) {
            p->exits = true;
        } else if (what == RING_TEXT_MARK) {
            note_text(c, t, time, FILE_NOTE_MARK, NULL, 0, word + 1, text_length(word + 1, words - 1));
        } else if (what == RING_TEXT_THREAD) {
            name_thread(c, t, time, (const char *)(word + 1), text_length(word + 1, words - 1));
        }
        return TOLD;
    }
    case RING_PROCESS: {
        if (words < 3) {
            return TOLD_WRONG;
        }
        uint32_t parent = word[0], inherited = word[1], how = word[2];
        const struct process *from = find_process(c, parent);
        if (from && !from->begun && !forced) {
            return TOLD_LATER;
        }
        if (!p->begun && begin_process(c, p, parent, inherited)) {
            note_text(c, t, time, FILE_NOTE_PROCESS, (uint64_t[]){parent, how, (uint32_t)p->pid}, 3, word + 3,
                      text_length(word + 3, words - 3));
        }
        return TOLD;
    }
    case RING_LOST: {
        if (words < 2) {
            return TOLD_WRONG;
        }
        note_text(c, t, time, FILE_NOTE_LOST, &(uint64_t){two(word)}, 1, NULL, 0);
        return TOLD;
    }
    default:
        return TOLD_WRONG;
    }
}

/* -- events about blocks -- */

static const unsigned char op_in_file[] = {
    [RING_MALLOC] = FILE_MALLOC,
    [RING_CALLOC] = FILE_CALLOC,
    [RING_ALIGNED] = FILE_ALIGNED,
    [RING_FREE] = FILE_FREE,
    [RING_REALLOC_FROM] = FILE_REALLOC_FROM,
    [RING_REALLOC_TO] = FILE_REALLOC_TO,
    [RING_FAILED] = FILE_FAILED,
    [RING_BEFORE] = FILE_BEFORE,
    [RING_VERDICT] = FILE_VERDICT,
};

/* How many words it has after the first three, but for a long size. */
static const unsigned char more_words[] = {
    [RING_MALLOC] = 1,     [RING_CALLOC] = 1, [RING_ALIGNED] = 2,
    [RING_REALLOC_TO] = 1, [RING_FAILED] = 1, [RING_VERDICT] = 1,
};

/* Words it took; 0: it is not all there; -1: what stack it has is not known yet. */
static int block_event(struct collector *c, struct thread *t, enum ring_op op, const uint32_t *word, uint32_t there,
                       bool forced, struct file_event *e)
{
    uint32_t second = word[2], size = ring_size(second), used = 3 + more_words[op] + (size == RING_LONG ? 2 : 0);

    if (there < used) {
        return 0;
    }
    e->op = (enum file_op)op_in_file[op];
    e->time = area_units(&c->area, t->high << 32 | word[0]);
    e->address = ring_address(word[1], second);
    e->size = size;
    e->stack = e->extra = 0;
    e->note = NULL;
    e->note_bytes = 0;
    word += 3;
    if (size == RING_LONG) {
        e->size = two(word);
        word += 2;
    }
    if (op == RING_VERDICT) {
        e->extra = word[0] & 0xff;
    } else if (more_words[op]) {
        e->stack = node_map_find(t->process->map, word[0]);
        if (unlikely(e->stack == NODES_UNKNOWN)) {
            if (!forced) {
                return -1;
            }
            e->stack = 0;
        }
        if (op == RING_ALIGNED) {
            e->extra = word[1] & 63;
        }
    }
    return (int)used;
}

/* Reads up to `head`; false: it waits for a node. */
static bool read_words(struct collector *c, struct thread *t, const struct ring_chunk *chunk, uint32_t head,
                       bool forced)
{
    struct batch batch;
    bool waits = false;

    batch.count = 0;
    while (t->at < head) {
        const uint32_t *word = chunk->word + t->at;
        uint32_t there = head - t->at;
        enum ring_op op = there >= 3 ? ring_op(word[2]) : RING_NONE;
        if (op >= RING_MALLOC && op <= RING_VERDICT) {
            struct file_event *e = &batch.event[batch.count];
            int used = block_event(c, t, op, word, there, forced, e);
            if (used < 0) {
                waits = true;
                break;
            }
            if (used == 0) {
                c->damaged++;
                t->at = head;
                break;
            }
            t->at += (uint32_t)used;
            __builtin_prefetch(word + AHEAD_WORDS);
            packer_prefetch(&t->packer, e->address);
            if (++batch.count == BATCH) {
                finish(c, t, &batch);
            }
            continue;
        }
        uint32_t words = there >= 3 ? *(const volatile uint32_t *)&word[1] : 0;
        finish(c, t, &batch);
        enum told told = there < 3 || words > there - 3
                             ? TOLD_WRONG
                             : tell(c, t, op, word + 3, words, area_units(&c->area, t->high << 32 | word[0]), forced);
        if (told == TOLD_LATER) {
            waits = true;
            break;
        }
        if (told == TOLD_WRONG) {
            /* Where the next event begins is not known. */
            c->damaged++;
            t->at = head;
            break;
        }
        t->at += 3 + words;
    }
    finish(c, t, &batch);
    return !waits;
}

void give_back(struct collector *c, uint32_t i)
{
    struct ring_area *ring = c->area.ring;

    atomic_store_explicit(&ring->owner[i], 0, memory_order_release);
    atomic_fetch_add_explicit(&ring->beat, 1, memory_order_relaxed); /* a round may take long */
    atomic_fetch_add(&ring->freed, 1);
    if (++c->untold >= c->tell_at) {
        tell_of_free(c);
    }
}

void tell_of_free(struct collector *c)
{
    struct ring_area *ring = c->area.ring;

    if (c->untold && atomic_load(&ring->waiting)) {
        syscall(SYS_futex, &ring->freed, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
    }
    c->untold = 0;
}

static unsigned drain_chunks(struct collector *c, struct thread *t, bool forced)
{
    unsigned answer = 0;

    while (t->chunks > 0) {
        struct ring_chunk *chunk = area_chunk(&c->area, t->chunk[0]);
        uint32_t done = atomic_load_explicit(&chunk->done, memory_order_acquire);
        uint32_t head = atomic_load_explicit(&chunk->head, memory_order_acquire);
        uint32_t before = t->at;

        if (chunk->sequence > t->sequence && !forced) {
            break; /* the one before it has not been found yet */
        }
        if (before == 0) {
            t->high = chunk->clock >> 32;
            t->sequence = chunk->sequence;
        }
        head = head < RING_WORDS ? head : RING_WORDS;
        if (head > t->at && !t->process->begun && !forced && (head < 3 || ring_op(chunk->word[2]) != RING_PROCESS)) {
            return answer | DRAINED_WAITS; /* how the process begins has not been read yet: what nodes it has */
        }
        if (head > t->at) {
            bool all = read_words(c, t, chunk, head, forced);
            c->raw += (t->at - before) * sizeof(uint32_t);
            if (t->at > before) {
                answer = DRAINED;
            }
            if (!all) {
                return answer | DRAINED_WAITS;
            }
        }
        if (!done) {
            break;
        }
        /* It is free when its owner word is; the next owner finds nothing of this one in it. */
        uint32_t i = t->chunk[0];
        t->at = 0;
        t->sequence++;
        t->chunks--;
        memmove(t->chunk, t->chunk + 1, t->chunks * sizeof *t->chunk);
        c->reader[i] = NULL;
        chunk->process = 0;
        atomic_store_explicit(&chunk->head, 0, memory_order_relaxed);
        atomic_store_explicit(&chunk->done, 0, memory_order_relaxed);
        give_back(c, i);
        answer = DRAINED;
    }
    return answer;
}

unsigned drain(struct collector *c, struct thread *t, bool forced)
{
    unsigned answer = drain_chunks(c, t, forced);

    tell_of_free(c);
    return answer;
}
