/* memory.c - what a thread may read, by C11's rules; that it reads nothing else; and how memory comes to be as before.
 *
 *   a place (what atomics were seen to touch)     0: value, view   1: value, view   2: value, view      newest last
 *   a thread's view                               has seen up to here ---^
 *
 * A store adds a message; a load reads any from the last one that the thread has seen on, and takes over the view that the
 * message carries, when one releases and the other acquires. A read-modify-write reads the newest, and what it adds carries
 * on the view of that (release sequences). A seq_cst load reads nothing older than the last seq_cst store. So relaxed and
 * acquire loads may be stale, and one thread's stores may be seen in another order by another. (Views: Kang et al., "A
 * promising semantics for relaxed-memory concurrency", POPL 2017, without promises.)
 *
 * All other memory must not be raced for, so it holds one value: each access is checked against those of other threads
 * that the view does not cover (happens-before, by vector clocks).
 *
 * Not explored: loads that read from stores yet to come (load buffering, which out-of-order stores allow); a seq_cst order
 * that contradicts the order in which things are read; stores that come before others of their place which the thread has
 * not seen, which are a fault but for relaxed ones (the heap's are of counters that need not be right); weak comparisons that fail for no reason, after which all loops here do the same again.
 */
#include "explore.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "memory.h"
#include "system.h"

enum { MESSAGES = 32, BUCKETS = 256 };

struct view {
    uint16_t clock[THREADS]; /* of each thread's operations, so many have happened before */
    uint8_t seen[PLACES];    /* of each place, the newest message that was read, written or heard of */
};

struct message {
    uint64_t value;
    struct view view;
};

struct place {
    void *at;
    uint8_t size, count, last_seq_cst;
    struct message message[MESSAGES];
    struct view released; /* of a lock: what its last holders knew */
};

enum access { READ, WRITE, ATOMIC_READ, ATOMIC_WRITE, ACCESSES };
static const uint8_t conflicts[ACCESSES] = {
    [READ] = 1 << WRITE | 1 << ATOMIC_WRITE,
    [WRITE] = 1 << READ | 1 << WRITE | 1 << ATOMIC_READ | 1 << ATOMIC_WRITE,
    [ATOMIC_READ] = 1 << WRITE,
    [ATOMIC_WRITE] = 1 << READ | 1 << WRITE,
};

/* Of a word of memory, each byte's last access of each kind by each thread, as its clock then. */
struct shadow {
    unsigned long execution; /* else none was in this one */
    unsigned long saved;     /* the execution in which what it was before went to the log */
    uint16_t last[8][ACCESSES][THREADS];
};

struct saved {
    uint64_t *at, value;
};

static CHECKERS struct {
    struct place place[PLACES];
    unsigned places;
    uint8_t bucket[BUCKETS]; /* index + 1 */
    struct view view[THREADS];
    unsigned long execution;
    struct shadow *shadow[2];
    struct saved *log;
    size_t logged, log_room;
    bool watching;
} m;

/* The two ranges that are watched: the program's variables and what system.c maps. */
extern char __data_start[], _end[];
extern char __start_thread_local[], __stop_thread_local[], __start_checkers[], __stop_checkers[];

static struct shadow *shadow_of(uintptr_t at)
{
    if (at - (uintptr_t)arena < ARENA_SIZE) {
        return &m.shadow[0][(at - (uintptr_t)arena) / 8];
    }
    bool apart = (at >= (uintptr_t)__start_thread_local && at < (uintptr_t)__stop_thread_local) ||
                 (at >= (uintptr_t)__start_checkers && at < (uintptr_t)__stop_checkers);
    if (at >= (uintptr_t)__data_start && at < (uintptr_t)_end && !apart) {
        return &m.shadow[1][at / 8 - (uintptr_t)__data_start / 8];
    }
    return NULL; /* a stack, a thread's own variable, the checker's */
}

static void save(struct shadow *shadow, uint64_t *word)
{
    if (shadow->saved == m.execution) {
        return;
    }
    shadow->saved = m.execution;
    if (m.logged == m.log_room) {
        m.log_room = m.log_room ? 2 * m.log_room : 4096;
        m.log = realloc(m.log, m.log_room * sizeof *m.log);
        if (!m.log) {
            abort();
        }
    }
    m.log[m.logged++] = (struct saved){word, *word};
}

static _Noreturn void races(const void *at, unsigned other)
{
    char text[100];
    snprintf(text, sizeof text, "a race with thread %u for %p", other, at);
    explore_fault(text);
}

static void check_byte(unsigned t, struct shadow *shadow, unsigned byte, enum access access, const void *at)
{
    for (unsigned kind = 0; kind < ACCESSES; kind++) {
        for (unsigned other = 0; other < THREADS && (conflicts[access] >> kind & 1); other++) {
            if (other != t && shadow->last[byte][kind][other] > m.view[t].clock[other] && !freeing_twice()) {
                races(at, other);
            }
        }
    }
    shadow->last[byte][access][t] = m.view[t].clock[t];
}

static void check_word(unsigned thread, struct shadow *shadow, uintptr_t from, uintptr_t to, enum access access)
{
    if (shadow->execution != m.execution) {
        memset(shadow->last, 0, sizeof shadow->last);
        shadow->execution = m.execution;
    }
    for (; from < to; from++) {
        check_byte(thread, shadow, from % 8, access, (void *)from);
    }
}

static void touch(unsigned thread, const void *at, size_t bytes, enum access access)
{
    bool writes = access == WRITE || access == ATOMIC_WRITE;
    if (!m.watching || !(writes || exploring())) {
        return;
    }
    for (uintptr_t a = (uintptr_t)at, end = a + bytes, next; a < end; a = next) {
        uintptr_t word = a & ~(uintptr_t)7;
        struct shadow *shadow = shadow_of(a);
        next = word + 8 < end ? word + 8 : end;
        if (!shadow) {
            return;
        }
        if (writes) {
            save(shadow, (uint64_t *)word);
        }
        if (exploring()) {
            check_word(thread, shadow, a, next, access);
        }
    }
}

void memory_touch(const void *at, size_t bytes, bool write)
{
    touch(running_thread(), at, bytes, write ? WRITE : READ);
}

void memory_watch(void)
{
    size_t words[] = {ARENA_SIZE / 8, (size_t)(_end - __data_start) / 8 + 2};
    for (int i = 0; i < 2; i++) {
        m.shadow[i] = mmap(NULL, words[i] * sizeof *m.shadow[i], PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (m.shadow[i] == MAP_FAILED) {
            abort();
        }
    }
    m.watching = true;
}

void memory_begin(void)
{
    m.execution++;
    m.places = 0;
    memset(m.bucket, 0, sizeof m.bucket);
    memset(m.view, 0, sizeof m.view);
    for (unsigned t = 0; t < THREADS; t++) {
        m.view[t].clock[t] = 1;
    }
}

void memory_restore(void)
{
    while (m.logged > 0) {
        struct saved *saved = &m.log[--m.logged];
        *saved->at = saved->value;
    }
}

/* -- values -- */

static uint64_t read_memory(const void *at, unsigned size)
{
    switch (size) {
    case 1:
        return *(const uint8_t *)at;
    case 2:
        return *(const uint16_t *)at;
    case 4:
        return *(const uint32_t *)at;
    default:
        return *(const uint64_t *)at;
    }
}

static void write_memory(unsigned thread, void *at, unsigned size, uint64_t value)
{
    touch(thread, at, size, ATOMIC_WRITE);
    switch (size) {
    case 1:
        *(uint8_t *)at = (uint8_t)value;
        break;
    case 2:
        *(uint16_t *)at = (uint16_t)value;
        break;
    case 4:
        *(uint32_t *)at = (uint32_t)value;
        break;
    default:
        *(uint64_t *)at = value;
    }
}

/* What a read-modify-write makes of a value. */
static uint64_t modified(const struct op *op, uint64_t value)
{
    switch ((enum modify)op->modify) {
    case EXCHANGE:
        return op->operand;
    case ADD:
        return value + op->operand;
    case SUB:
        return value - op->operand;
    case AND:
        return value & op->operand;
    case OR:
        return value | op->operand;
    default:
        return value ^ op->operand;
    }
}

static uint64_t lock_alone(const struct op *op, uint64_t held)
{
    if (held && op->kind == OP_LOCK) {
        explore_fault("a lock that nobody will release");
    }
    write_memory(0, op->at, op->size, op->kind != OP_UNLOCK);
    return !held;
}

uint64_t memory_do_alone(const struct op *op)
{
    uint64_t value = read_memory(op->at, op->size);
    switch ((enum op_kind)op->kind) {
    case OP_STORE:
        write_memory(0, op->at, op->size, op->operand);
        break;
    case OP_MODIFY:
        write_memory(0, op->at, op->size, modified(op, value));
        break;
    case OP_COMPARE:
        if (value == op->expected) {
            write_memory(0, op->at, op->size, op->operand);
        }
        break;
    case OP_LOCK:
    case OP_TRY_LOCK:
    case OP_UNLOCK:
        return lock_alone(op, value);
    default:
        break;
    }
    return value;
}

/* -- places -- */

uint8_t memory_place(void *at, unsigned size)
{
    unsigned hash = (unsigned)((uintptr_t)at * 0x9e3779b97f4a7c15u >> 56);
    for (;; hash = (hash + 1) % BUCKETS) {
        unsigned i = m.bucket[hash];
        if (i == 0) {
            break;
        }
        if (m.place[i - 1].at == at) {
            return (uint8_t)(i - 1);
        }
    }
    if (m.places == PLACES) {
        explore_fault("more places than there is room for");
    }
    struct place *p = &m.place[m.places++];
    p->at = at;
    p->size = (uint8_t)size;
    p->count = 1;
    p->last_seq_cst = 0;
    p->message[0] = (struct message){.value = read_memory(at, size)};
    p->released = (struct view){0};
    m.bucket[hash] = (uint8_t)m.places;
    return (uint8_t)(m.places - 1);
}

static void join(struct view *view, const struct view *other)
{
    for (unsigned t = 0; t < THREADS; t++) {
        view->clock[t] = view->clock[t] > other->clock[t] ? view->clock[t] : other->clock[t];
    }
    for (unsigned i = 0; i < m.places; i++) {
        view->seen[i] = view->seen[i] > other->seen[i] ? view->seen[i] : other->seen[i];
    }
}

static bool acquires(unsigned order) { return order != memory_order_relaxed && order != memory_order_release; }

static bool releases(unsigned order)
{
    return order == memory_order_release || order == memory_order_acq_rel || order == memory_order_seq_cst;
}

static struct message *newest(struct place *p) { return &p->message[p->count - 1]; }

/* The oldest message that a load may read. */
static unsigned oldest(unsigned thread, unsigned place, unsigned order)
{
    unsigned seen = m.view[thread].seen[place], last = m.place[place].last_seq_cst;
    return order == memory_order_seq_cst && last > seen ? last : seen;
}

static bool compares(const struct op *op) { return newest(&m.place[op->place])->value == op->expected; }

/* Whether it may read that message, newest last. A comparison that finds what it expects reads the newest, and writes. */
static bool may_read(const struct op *op, unsigned message)
{
    const struct place *p = &m.place[op->place];
    return op->kind == OP_LOAD || message + 1u == p->count || p->message[message].value != op->expected;
}

unsigned memory_choices(unsigned thread, const struct op *op)
{
    if (op->kind != OP_LOAD && op->kind != OP_COMPARE) {
        return 1;
    }
    unsigned choices = 0, from = oldest(thread, op->place, op->kind == OP_LOAD ? op->order : op->on_failure);
    for (unsigned i = from; i < m.place[op->place].count; i++) {
        choices += may_read(op, i);
    }
    return choices;
}

static uint64_t load(unsigned thread, const struct op *op, unsigned order, unsigned choice)
{
    struct place *p = &m.place[op->place];
    unsigned i = p->count - 1u;
    while (choice > 0) {
        choice -= may_read(op, --i);
    }
    m.view[thread].seen[op->place] = (uint8_t)i;
    if (acquires(order)) {
        join(&m.view[thread], &p->message[i].view);
    }
    return p->message[i].value;
}

/* Adds a message; a read-modify-write's carries on what the one it has read did. */
static void store(unsigned thread, const struct op *op, uint64_t value, bool modifies)
{
    struct place *p = &m.place[op->place];
    struct view *view = &m.view[thread];
    if (p->count == MESSAGES) {
        explore_fault("more stores to a place than there is room for");
    }
    if (!modifies && op->order != memory_order_relaxed && view->seen[op->place] + 1u != p->count) {
        explore_fault("a store to what another thread stores to");
    }
    struct message *message = &p->message[p->count];
    *message = (struct message){.value = value};
    view->seen[op->place] = message->view.seen[op->place] = p->count;
    if (modifies) {
        join(&message->view, &newest(p)->view);
    }
    if (releases(op->order)) {
        join(&message->view, view);
    }
    p->last_seq_cst = op->order == memory_order_seq_cst ? p->count : p->last_seq_cst;
    p->count++;
    write_memory(thread, op->at, op->size, value);
}

static uint64_t modify(unsigned thread, const struct op *op, uint64_t value)
{
    uint64_t old = load(thread, op, op->order, 0);
    store(thread, op, value, true);
    return old;
}

void memory_see_newest(unsigned thread)
{
    for (unsigned i = 0; i < m.places; i++) {
        m.view[thread].seen[i] = (uint8_t)(m.place[i].count - 1);
    }
}

bool memory_is_locked(const struct op *op) { return read_memory(op->at, op->size) != 0; }

static uint64_t lock(unsigned thread, const struct op *op)
{
    struct view *released = &m.place[op->place].released;
    bool held = memory_is_locked(op);
    if (op->kind == OP_UNLOCK) {
        *released = m.view[thread];
    } else if (!held) {
        join(&m.view[thread], released);
    } else if (op->kind == OP_TRY_LOCK) {
        return false;
    } else {
        explore_fault("the checker let a thread take a lock that is held");
    }
    write_memory(thread, op->at, op->size, op->kind != OP_UNLOCK);
    return true;
}

uint64_t memory_do(unsigned thread, const struct op *op, unsigned choice)
{
    const struct place *p = &m.place[op->place];
    uint64_t mask = ~(uint64_t)0 >> (64 - 8 * op->size), result = 0;
    if (p->size != op->size) {
        explore_fault("a place of two sizes");
    }
    switch ((enum op_kind)op->kind) {
    case OP_LOAD:
        touch(thread, op->at, op->size, ATOMIC_READ);
        result = load(thread, op, op->order, choice);
        break;
    case OP_STORE:
        store(thread, op, op->operand, false);
        break;
    case OP_MODIFY:
        result = modify(thread, op, modified(op, newest(&m.place[op->place])->value) & mask);
        break;
    case OP_COMPARE:
        result =
            choice == 0 && compares(op) ? modify(thread, op, op->operand) : load(thread, op, op->on_failure, choice);
        break;
    default:
        result = lock(thread, op);
    }
    m.view[thread].clock[thread]++;
    return result;
}
