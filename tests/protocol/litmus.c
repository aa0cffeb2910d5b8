/* litmus.c - the checker checked: of small programs of which C11 says how they may end, it finds just these ends, and what
 * is wrong with others. (The names are those of the literature on memory models.) */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/check.h"
#include "explore.h"
#include "os/lock.h"

#define LOAD(x, order)         (atomic_load_explicit(&(x), memory_order_##order))
#define STORE(x, value, order) atomic_store_explicit(&(x), value, memory_order_##order)
#define SWAP(x, value, order)  __asm__ volatile("" : : "r"(atomic_exchange_explicit(&(x), value, memory_order_##order)))

static atomic_int a, b;
static int plain, r[10];
static struct os_lock one, other;

/* clang-format off */

/* Store buffering: each writes one and reads the other. */
static void sb_1(void) { STORE(a, 1, seq_cst); r[0] = LOAD(b, seq_cst); }
static void sb_2(void) { STORE(b, 1, seq_cst); r[1] = LOAD(a, seq_cst); }
static void sb_weak_store(void) { SWAP(b, 1, acq_rel); r[1] = LOAD(a, seq_cst); }
static void sb_weak_load(void) { STORE(b, 1, seq_cst); r[1] = LOAD(a, acquire); }
static void sb_swap_1(void) { SWAP(a, 1, seq_cst); r[0] = LOAD(b, seq_cst); }
static void sb_swap_2(void) { SWAP(b, 1, seq_cst); r[1] = LOAD(a, seq_cst); }

/* Message passing: the second reads the flag, then the data. */
static void mp_send(void) { STORE(a, 1, relaxed); STORE(b, 1, release); }
static void mp_send_relaxed(void) { STORE(a, 1, relaxed); STORE(b, 1, relaxed); }
static void mp_receive(void) { r[0] = LOAD(b, acquire); r[1] = LOAD(a, relaxed); }
static void mp_receive_relaxed(void) { r[0] = LOAD(b, relaxed); r[1] = LOAD(a, relaxed); }
static void mp_between(void) { if (LOAD(b, relaxed)) atomic_fetch_add_explicit(&b, 1, memory_order_relaxed); }

/* Coherence: who reads one place twice does not go back. */
static void co_write(void) { STORE(a, 1, relaxed); STORE(a, 2, relaxed); }
static void co_read(void) { r[0] = LOAD(a, relaxed); r[1] = LOAD(a, relaxed); }

/* Two readers of two writers. */
static void iriw_a(void) { STORE(a, 1, seq_cst); }
static void iriw_b(void) { STORE(b, 1, seq_cst); }
static void iriw_read_1(void) { r[0] = LOAD(a, seq_cst); r[1] = LOAD(b, seq_cst); }
static void iriw_read_2(void) { r[2] = LOAD(b, seq_cst); r[3] = LOAD(a, seq_cst); }
static void iriw_a_release(void) { STORE(a, 1, release); }
static void iriw_b_release(void) { STORE(b, 1, release); }
static void iriw_acquire_1(void) { r[0] = LOAD(a, acquire); r[1] = LOAD(b, acquire); }
static void iriw_acquire_2(void) { r[2] = LOAD(b, acquire); r[3] = LOAD(a, acquire); }

/* Load buffering: 11, which C11 allows, is not explored. */
static void lb_1(void) { r[0] = LOAD(a, relaxed); STORE(b, 1, relaxed); }
static void lb_2(void) { r[1] = LOAD(b, relaxed); STORE(a, 1, relaxed); }

/* Counting: with read-modify-writes, with comparisons, under a lock, and wrongly. */
static void add(void) { atomic_fetch_add_explicit(&a, 1, memory_order_relaxed); }
static void compare(void)
{
    int old = LOAD(a, relaxed);
    while (!atomic_compare_exchange_weak_explicit(&a, &old, old + 1, memory_order_relaxed, memory_order_relaxed)) {}
}
static void wrongly(void) { int old = LOAD(a, relaxed); SWAP(a, old + 1, relaxed); }
static void locked(void) { os_lock(&one); plain++; os_unlock(&one); }
static void try_locked(void) { if (os_try_lock(&one)) { plain++; os_unlock(&one); } }
static void count_a(void) { r[0] = LOAD(a, relaxed); }
static void count_plain(void) { r[0] = plain; }

/* A fork: before or after another thread's store, with and without it. */
static void fork_here(void) { r[0] = explore_fork(); r[1] = LOAD(a, relaxed); }
static void write_twice(void) { STORE(a, 1, relaxed); STORE(a, 2, relaxed); }

/* Crimes. */
static void race(void) { plain++; }
static void publish(void) { plain = 1; STORE(a, 1, relaxed); }
static void read_published(void) { if (LOAD(a, acquire)) { r[0] = plain; } }
static void one_other(void) { os_lock(&one); os_lock(&other); os_unlock(&other); os_unlock(&one); }
static void other_one(void) { os_lock(&other); os_lock(&one); os_unlock(&one); os_unlock(&other); }
static void for_ever(void) { while (!LOAD(a, relaxed)) {} }

/* clang-format on */

/* -- programs of any kind: each thread does a few operations, of which nothing is known -- */

enum { STEPS = 3, RUNNERS = 3, PROGRAMS = 30 };

static struct op program[RUNNERS][STEPS];

static void run_program(void)
{
    unsigned t = running_thread();
    for (unsigned i = 0; i < STEPS; i++) {
        r[t * STEPS + i] = (int)explore_op(&program[t][i]) & 7;
    }
}

/* No plain stores: the checker refuses those to what others write to. */
static void make_program(uint64_t *random)
{
    static const uint8_t kinds[] = {OP_LOAD, OP_MODIFY, OP_COMPARE};
    static const uint8_t orders[] = {memory_order_relaxed, memory_order_acq_rel, memory_order_seq_cst};
    for (unsigned i = 0; i < RUNNERS * STEPS; i++) {
        struct op *op = &program[i / STEPS][i % STEPS];
        *op = (struct op){
            .kind = kinds[random_below(random, 3)],
            .modify = random_below(random, 2) ? EXCHANGE : ADD,
            .size = sizeof a,
            .order = orders[random_below(random, 3)],
            .on_failure = random_below(random, 2) ? memory_order_relaxed : memory_order_seq_cst,
            .at = random_below(random, 2) ? &a : &b,
            .operand = 1 + random_below(random, 2),
            .expected = random_below(random, 2),
        };
        op->order = op->kind == OP_LOAD && op->order == memory_order_acq_rel ? memory_order_acquire : op->order;
    }
}

/* -- running them -- */

enum { ENDS = 20000, TEXT = ENDS * 10 };
static char (*ends)[10]; /* the outcomes seen; not in what each execution restores */
static unsigned digits, *seen;
static void (*last)(void);

static void set_up(void) {}

static void note_end(void)
{
    if (last) {
        last();
    }
    char end[10] = "";
    for (unsigned i = 0; i < digits; i++) {
        end[i] = (char)('0' + r[i]);
    }
    for (unsigned i = 0; i < *seen; i++) {
        if (strcmp(ends[i], end) == 0) {
            return;
        }
    }
    if (*seen == ENDS) {
        explore_fault("more ends than there is room for");
    }
    strcpy(ends[(*seen)++], end);
}

struct litmus {
    const char *name;
    void (*thread[THREADS])(void);
    void (*last)(void);
    const char *ends;  /* all of them, with a space after each, in order */
    const char *crime; /* or what is said of it */
    bool unreduced;
};

/* clang-format off */
static const struct litmus all[] = {
    {"SB, seq_cst", {sb_1, sb_2}, NULL, "01 10 11 ", NULL, false},
    {"SB, seq_cst modifications", {sb_swap_1, sb_swap_2}, NULL, "01 10 11 ", NULL, false},
    {"SB, one store not seq_cst", {sb_1, sb_weak_store}, NULL, "00 01 10 11 ", NULL, false},
    {"SB, one load not seq_cst", {sb_1, sb_weak_load}, NULL, "00 01 10 11 ", NULL, false},
    {"MP, release and acquire", {mp_send, mp_receive}, NULL, "00 01 11 ", NULL, false},
    {"MP, relaxed store", {mp_send_relaxed, mp_receive}, NULL, "00 01 10 11 ", NULL, false},
    {"MP, relaxed load", {mp_send, mp_receive_relaxed}, NULL, "00 01 10 11 ", NULL, false},
    {"MP, a release sequence", {mp_send, mp_between, mp_receive}, NULL, "00 01 11 21 ", NULL, false},
    {"CoRR", {co_write, co_read}, NULL, "00 01 02 11 12 22 ", NULL, false},
    {"IRIW, seq_cst", {iriw_a, iriw_b, iriw_read_1, iriw_read_2}, NULL,
     "0000 0001 0010 0011 0100 0101 0110 0111 1000 1001 1011 1100 1101 1110 1111 ", NULL, false},
    {"IRIW, release and acquire", {iriw_a_release, iriw_b_release, iriw_acquire_1, iriw_acquire_2}, NULL,
     "0000 0001 0010 0011 0100 0101 0110 0111 1000 1001 1010 1011 1100 1101 1110 1111 ", NULL, false},
    {"LB", {lb_1, lb_2}, NULL, "00 01 10 ", NULL, false},
    {"modifications count", {add, add, add}, count_a, "3 ", NULL, false},
    {"comparisons count", {compare, compare, compare}, count_a, "3 ", NULL, false},
    {"others do not", {wrongly, wrongly, wrongly}, count_a, "1 2 3 ", NULL, false},
    {"a lock", {locked, locked, locked}, count_plain, "3 ", NULL, false},
    {"a lock that is only tried", {try_locked, locked, try_locked}, count_plain, "1 2 3 ", NULL, false},
    {"a fork", {fork_here, write_twice}, NULL, "00 01 02 10 11 12 ", NULL, false},
    {"a race", {race, race}, NULL, NULL, "a race with thread", false},
    {"publishing without release", {publish, read_published}, NULL, NULL, "a race with thread", false},
    {"a deadlock", {one_other, other_one}, NULL, NULL, "deadlock", false},
    {"no end", {for_ever}, NULL, NULL, "does not end", false},
};
/* clang-format on */

static int by_text(const void *p, const void *q) { return strcmp(p, q); }

static void run(const struct litmus *litmus)
{
    struct scenario scenario = {.name = "", .setup = set_up, .finish = note_end, .unreduced = litmus->unreduced};
    memcpy(scenario.thread, litmus->thread, sizeof scenario.thread);
    digits = litmus->ends ? (unsigned)strcspn(litmus->ends, " ") : 1;
    last = litmus->last;
    explore(&scenario);
    qsort(ends, *seen, sizeof *ends, by_text);
    for (unsigned i = 0; i < *seen; i++) {
        printf("%s ", ends[i]);
    }
    fflush(stdout);
    _exit(0);
}

/* The program's output, and true when it exits with 0. */
static bool output_of(const struct litmus *litmus, char *text, size_t size)
{
    int out[2], status;
    fflush(stdout);
    if (pipe(out) != 0) {
        abort();
    }
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(out[1], STDERR_FILENO);
        run(litmus);
    }
    close(out[1]);
    size_t length = 0;
    char rest[4096];
    for (ssize_t n; (n = read(out[0], rest, sizeof rest)) > 0;) { /* all of it, though only the beginning is wanted */
        size_t more = (size_t)n < size - 1 - length ? (size_t)n : size - 1 - length;
        memcpy(text + length, rest, more);
        length += more;
    }
    text[length] = '\0';
    close(out[0]);
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static bool check(const struct litmus *litmus)
{
    static char text[TEXT];
    bool ended = output_of(litmus, text, TEXT);
    const char *line = strchr(text, '\n');
    bool right =
        litmus->ends ? ended && line && strcmp(line + 1, litmus->ends) == 0 : !ended && strstr(text, litmus->crime);
    printf("%s%s: %s\n", right ? "" : "WRONG: ", litmus->name, text);
    return right;
}

/* With and without the reduction a program has the same ends. */
static bool check_program(unsigned number)
{
    static char reduced[TEXT], all_orders[TEXT];
    char nines[STEPS * RUNNERS + 2] = "000000000 ";
    struct litmus litmus = {.name = "any", .thread = {run_program, run_program, run_program}, .ends = nines};
    if (!output_of(&litmus, reduced, TEXT)) {
        printf("WRONG: program %u: %s\n", number, reduced);
        return false;
    }
    litmus.unreduced = true;
    bool same = output_of(&litmus, all_orders, TEXT) && strcmp(strchr(reduced, '\n'), strchr(all_orders, '\n')) == 0;
    if (!same || number == 0) {
        printf("%sprogram %u: %s\n%s\n", same ? "" : "WRONG: ", number, reduced, all_orders);
    }
    return same;
}

int main(void)
{
    uint64_t random = 1;
    ends = calloc(ENDS, sizeof *ends);
    seen = calloc(1, sizeof *seen);
    bool right = ends && seen;
    for (size_t i = 0; right && i < sizeof all / sizeof *all; i++) {
        right &= check(&all[i]);
    }
    for (unsigned i = 0; right && i < PROGRAMS; i++) {
        make_program(&random);
        right &= check_program(i);
    }
    return !right;
}
