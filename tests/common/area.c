/* See area.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "common/area.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "common/check.h"

static struct ring_chunk *chunk_at(const struct area *area, uint32_t i)
{
    return (struct ring_chunk *)((char *)area->ring + area->ring->first + (size_t)i * RING_CHUNK);
}

void area_open(struct area *area, uint32_t chunks, uint32_t flags)
{
    size_t first = (sizeof(struct ring_area) + chunks * sizeof(uint64_t) + 65535) & ~(size_t)65535;
    area->bytes = first + (size_t)chunks * RING_CHUNK;
    area->fd = memfd_create("area", MFD_CLOEXEC);
    CHECK(area->fd >= 0 && ftruncate(area->fd, (off_t)area->bytes) == 0);
    snprintf(area->path, sizeof area->path, "/proc/%d/fd/%d", (int)getpid(), area->fd);
    area->ring = mmap(NULL, area->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, area->fd, 0);
    CHECK(area->ring != MAP_FAILED);
    memcpy(area->ring->magic, RING_MAGIC, sizeof area->ring->magic);
    area->ring->version = RING_VERSION;
    area->ring->chunks = chunks;
    area->ring->first = first;
    area->ring->flags = flags;
    area->ring->patience_us = 1000;
    area->ring->clock = RING_CLOCK_COUNTER;
    area->ring->collector = getpid();
}

void area_close(struct area *area)
{
    area->ring->ended = 1;
    munmap(area->ring, area->bytes);
    close(area->fd);
}

void area_beat(struct area *area) { atomic_fetch_add(&area->ring->beat, 1); }

static struct area_event *add(struct area_events *out)
{
    if (out->count == out->room) {
        out->room = out->room ? 2 * out->room : 1024;
        out->at = realloc(out->at, out->room * sizeof *out->at);
        CHECK(out->at);
    }
    return &out->at[out->count++];
}

static void copy_text(struct area_event *e, uint32_t from)
{
    size_t bytes = (e->count - from) * sizeof(uint32_t);
    bytes = bytes < sizeof e->text ? bytes : sizeof e->text - 1;
    memcpy(e->text, e->words + from, bytes);
    e->text[bytes] = 0;
}

/* One event at *word; how many words it has. */
static uint32_t read_event(struct area_event *e, const uint32_t *word, uint32_t left, uint64_t *high)
{
    CHECK(left >= 3);
    e->op = ring_op(word[2]);
    CHECK(e->op != RING_NONE && e->op <= RING_LOST);
    e->clock = *high << 32 | word[0];
    if (e->op >= RING_CLOCK) {
        CHECK(word[2] == (uint32_t)e->op && word[1] <= left - 3);
        e->words = word + 3;
        e->count = word[1];
        if (e->op == RING_CLOCK) {
            CHECK(e->count == 1);
            *high = e->words[0];
            e->clock = *high << 32 | word[0];
        } else if (e->op == RING_TEXT || e->op == RING_PROCESS) {
            copy_text(e, e->op == RING_TEXT ? 1 : 3);
        }
        return 3 + word[1];
    }
    uint32_t at = 3;
    e->address = ring_address(word[1], word[2]);
    e->size = ring_size(word[2]);
    if (e->size == RING_LONG) {
        e->size = word[3] | (uint64_t)word[4] << 32;
        at = 5;
    }
    if (e->op != RING_FREE && e->op != RING_REALLOC_FROM && e->op != RING_BEFORE) {
        e->stack = word[at++];
    }
    if (e->op == RING_ALIGNED) {
        e->align = word[at++];
    }
    CHECK(at <= left);
    return at;
}

static void read_chunk(const struct ring_chunk *chunk, struct area_events *out)
{
    uint32_t head = atomic_load_explicit(&chunk->head, memory_order_acquire);
    uint64_t high = chunk->clock >> 32;
    CHECK(head <= RING_WORDS);
    for (uint32_t at = 0; at < head;) {
        struct area_event *e = add(out);
        *e = (struct area_event){
            .process = chunk->process, .thread = chunk->thread, .tid = chunk->tid, .sequence = chunk->sequence};
        at += read_event(e, chunk->word + at, head - at, &high);
        CHECK(at <= head);
    }
}

static const struct area *sorted;

static int by_thread(const void *a, const void *b)
{
    const struct ring_chunk *x = chunk_at(sorted, *(const uint32_t *)a), *y = chunk_at(sorted, *(const uint32_t *)b);
    if (x->process != y->process) {
        return x->process < y->process ? -1 : 1;
    }
    if (x->thread != y->thread) {
        return x->thread < y->thread ? -1 : 1;
    }
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

void area_read(const struct area *area, struct area_events *out)
{
    *out = (struct area_events){0};
    uint32_t *order = malloc(area->ring->chunks * sizeof *order), count = 0;
    CHECK(order);
    for (uint32_t i = 0; i < area->ring->chunks; i++) {
        if (area->ring->owner[i] != 0 && chunk_at(area, i)->process != 0) {
            order[count++] = i;
        }
    }
    sorted = area;
    qsort(order, count, sizeof *order, by_thread);
    for (uint32_t i = 0; i < count; i++) {
        read_chunk(chunk_at(area, order[i]), out);
    }
    free(order);
}

size_t area_words(const struct area *area)
{
    size_t words = 0;
    for (uint32_t i = 0; i < area->ring->chunks; i++) {
        words += area->ring->owner[i] ? atomic_load_explicit(&chunk_at(area, i)->head, memory_order_acquire) : 0;
    }
    return words;
}

void area_free(struct area_events *events)
{
    free(events->at);
    *events = (struct area_events){0};
}

size_t area_give_back(struct area *area)
{
    size_t count = 0;
    for (uint32_t i = 0; i < area->ring->chunks; i++) {
        struct ring_chunk *chunk = chunk_at(area, i);
        uint64_t owner = area->ring->owner[i];
        bool gone = owner != 0 && syscall(SYS_tgkill, (pid_t)(owner >> 32), (pid_t)owner, 0) != 0 && errno == ESRCH;
        if (owner != 0 && (gone || atomic_load_explicit(&chunk->done, memory_order_acquire))) {
            memset(chunk, 0, sizeof *chunk);
            atomic_store_explicit(&area->ring->owner[i], 0, memory_order_release);
            atomic_fetch_add(&area->ring->freed, 1);
            count++;
        }
    }
    if (count && area->ring->waiting) {
        syscall(SYS_futex, &area->ring->freed, FUTEX_WAKE, 1000, NULL, NULL, 0);
    }
    return count;
}

/* A thread's order stands; that a free comes before what has the same clock makes an allocation come after it. */
static int by_clock(const void *a, const void *b)
{
    const struct area_event *x = a, *y = b;
    if (x->process != y->process) {
        return x->process < y->process ? -1 : 1;
    }
    if (x->clock != y->clock) {
        return x->clock < y->clock ? -1 : 1;
    }
    bool gives = x->op == RING_FREE || x->op == RING_REALLOC_FROM,
         gives_too = y->op == RING_FREE || y->op == RING_REALLOC_FROM;
    if (x->thread != y->thread && gives != gives_too) {
        return gives ? -1 : 1;
    }
    return x < y ? -1 : x > y;
}

void area_sort_by_clock(struct area_events *events) { qsort(events->at, events->count, sizeof *events->at, by_clock); }

const struct area_event *area_next(const struct area_events *events, uint32_t process, enum ring_op op, size_t *from)
{
    for (; *from < events->count; (*from)++) {
        const struct area_event *e = &events->at[*from];
        if ((process == 0 || e->process == process) && (op == RING_NONE || e->op == op)) {
            return &events->at[(*from)++];
        }
    }
    return NULL;
}

size_t area_count(const struct area_events *events, uint32_t process, enum ring_op op)
{
    size_t count = 0;
    for (size_t from = 0; area_next(events, process, op, &from);) {
        count++;
    }
    return count;
}

/* A set of addresses, open; at most half of it is used. 1 stands for one that was taken out. */
struct set {
    uint64_t *at;
    size_t size;
};

static uint64_t *place_of(struct set *set, uint64_t address)
{
    uint64_t *hole = NULL;
    for (size_t i = address / 8 * 0x9e3779b97f4a7c15u % set->size;; i = (i + 1) % set->size) {
        if (set->at[i] == address) {
            return &set->at[i];
        }
        if (set->at[i] == 1 && !hole) {
            hole = &set->at[i];
        }
        if (set->at[i] == 0) {
            return hole ? hole : &set->at[i];
        }
    }
}

size_t area_replay(struct area_events *events, uint32_t process)
{
    size_t live = 0;
    area_sort_by_clock(events);
    struct set set = {.size = 4 * events->count + 16};
    set.at = calloc(set.size, sizeof *set.at);
    CHECK(set.at);
    const struct area_event *e;
    for (size_t from = 0; (e = area_next(events, process, RING_NONE, &from));) {
        uint64_t *place = e->address ? place_of(&set, e->address) : NULL;
        switch (e->op) {
        case RING_MALLOC:
        case RING_CALLOC:
        case RING_ALIGNED:
        case RING_REALLOC_TO:
        case RING_BEFORE:
            CHECK(place && *place != e->address);
            *place = e->address;
            live++;
            break;
        case RING_FREE:
        case RING_REALLOC_FROM:
            CHECK(place && *place == e->address);
            *place = 1;
            live--;
            break;
        default:
            break;
        }
    }
    free(set.at);
    return live;
}
