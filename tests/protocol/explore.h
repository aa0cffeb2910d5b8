/* explore.h - runs a few threads in every order that can make a difference. See explore.c; what they may see: memory.c. */
#ifndef PROTOCOL_EXPLORE_H
#define PROTOCOL_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { THREADS = 4, NOBODY = THREADS, PLACES = 128 };

/* Variables of the checker's own, which nothing restores. */
#define CHECKERS __attribute__((section("checkers")))

/* What a thread does that others can see. All between two of these is the thread's own, which memory.c proves. */
enum op_kind { OP_LOAD, OP_STORE, OP_MODIFY, OP_COMPARE, OP_LOCK, OP_TRY_LOCK, OP_UNLOCK, OP_FORK };
enum modify { EXCHANGE, ADD, SUB, AND, OR, XOR };

struct op {
    uint8_t kind, modify, size; /* `size` in bytes */
    uint8_t order, on_failure;  /* as memory_order */
    uint8_t place;              /* the index of `at` in this execution */
    void *at;
    uint64_t operand, expected;
    const void *code; /* where in the program */
};

/* The calling thread comes to an operation: others may run first. Returns what was read; of a comparison, *done tells
 * whether it wrote. Outside of an exploration it is done at once. */
uint64_t explore_op(const struct op *op);
bool exploring(void);
bool freeing_twice(void); /* the scenario does: who does it may look at what is another's by now */
unsigned running_thread(void);

/* Two branches: the process goes on as the parent (false), or as a child in which there is only this thread. */
bool explore_fork(void);

/* Outside of an exploration: whose thread-local variables to use. */
void act_as(unsigned thread);

/* A crime or a broken invariant in what is tested: ends the program, or, when it is the one that was expected, the thread. The
 * process would be no more: what the others do from there on only shows which orders there are. */
_Noreturn void explore_fault(const char *text);

struct scenario {
    const char *name;
    void (*setup)(void);           /* once; every execution begins with what it leaves */
    void (*thread[THREADS])(void); /* NULL from the last one on */
    void (*finish)(void);          /* after each execution, alone, as thread 0, or as the child */
    void **
        freed_twice; /* or NULL: the block of which each execution has to find a second free; of any, where that is NULL */
    bool unreduced; /* really all orders; without locks, which then would be thought to order all */
};

/* Explores all of it and prints a line; when something breaks, prints how and exits with 1. */
void explore(const struct scenario *scenario);

#endif
