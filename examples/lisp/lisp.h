/* lisp.h - a Lisp whose every value is an object of one collected heap: the objects, and the machine's registers.
 *
 *     registers:   EXPR  ENV  VALUE  CONT  CODE  ARGS  FN  ...          the roots: one frame, in main
 *                    |     |           |
 *                    v     v           v
 *                  pairs  env -> up   cont -> cont -> cont            what is to be done with VALUE, and with that, ...
 *
 * The program runs on each of the three collectors, so it keeps the rules of all: whatever lives is held by a register or by an object
 * that is; a pointer in a C variable is good until the next allocation and no longer (copy moves objects); objects are changed by
 * allot_gc_write alone; a register owns what it refers to (count). So nothing but `take` and `set` stores in a register, and what
 * makes an object takes what goes into it from registers.
 *
 * C's stack does not grow with the depth of what is evaluated, read or printed: all three keep their own in the heap. An error is a
 * longjmp to the reader's loop, from wherever, since no C function holds anything.
 */
#ifndef LISP_H
#define LISP_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <allot/gc.h>

/* -- objects; the empty list is NULL -- */

struct pair {
    void *car, *cdr;
};

struct number {
    int64_t value;
};

struct string {
    size_t length;
    char text[];
};

/* What the evaluator makes of a pair that a symbol begins. */
enum form { CALL, QUOTE, IF, DEFINE, SET, LAMBDA, BEGIN, DEFINE_MACRO, MACRO };

struct symbol {
    void *name;  /* string */
    void *value; /* global; UNBOUND: none. Of a macro, its procedure */
    void *next;  /* of its bucket */
    enum form form;
};

/* Values of a procedure's parameters, behind those of where it was made. `names` ends in a symbol where that has all that is left. */
struct env {
    void *up, *names, *values;
};

struct closure {
    void *names, *body, *env;
};

struct primitive {
    int index;
};

/* What is to be done with a value: `kind` says what; the rest is what registers were. Never changed once made, so that it can be gone
 * on with again. */
struct cont {
    void *up, *code, *env, *args;
    int kind;
};

/* A continuation as a value. */
struct escape {
    void *cont;
};

/* Reading: a list that has begun. Printing: what comes when this is done. */
struct open {
    void *up, *first, *last;
    int kind;
};

extern const struct allot_gc_type pair_type, number_type, string_type, symbol_type, env_type, closure_type,
    primitive_type, cont_type, escape_type, open_type, table_type, constant_type;

/* -- the machine -- */

enum reg {
    EXPR,  /* to be evaluated */
    ENV,   /* in which; NULL: global values alone */
    VALUE, /* what came of it */
    CONT,  /* and is to be done with it; NULL: nothing */
    CODE,  /* the rest of a form, or a body */
    ARGS,  /* evaluated operands, the last first; of a procedure that is called, the first first */
    FN,    /* the procedure */
    STACK, /* of the reader and the printer */
    SCRATCH,
    SCRATCH2,
    SYMBOLS, /* table of buckets */
    TRUE,
    FALSE,
    UNBOUND,
    REGISTERS
};

extern struct allot_gc heap;
extern struct allot_gc_mutator me;
extern void **reg; /* of the frame in main */

/* The register owns `object`'s reference, which the caller had. */
static inline void take(enum reg to, void *object)
{
    void *before = reg[to];
    reg[to] = object;
    allot_gc_unref(&me, before);
}

/* The register has a reference of its own. */
static inline void set(enum reg to, void *object) { take(to, allot_gc_ref(&me, object)); }

static inline bool is(const void *object, const struct allot_gc_type *type)
{
    return object && allot_gc_type_of(object) == type;
}

static inline bool is_false(const void *object) { return object == reg[FALSE]; }

/* All of these end the evaluation where they cannot do it. */
_Noreturn void lisp_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
struct pair *pair_of(void *object);
int64_t number_of(void *object);
struct string *string_of(void *object);

/* New objects, into a register. What goes into them is in registers too, or is no object. */
void *make(enum reg to, const struct allot_gc_type *type, size_t extra);
void cons(enum reg to, enum reg car, enum reg cdr);
void make_number(enum reg to, int64_t value);
void make_string(enum reg to, const char *text, size_t length); /* `text` lies outside the heap, or is NULL */
void intern(enum reg to, const char *name, size_t length);      /* likewise */

/* -- its parts -- */

void machine_init(void);
void evaluate(void); /* EXPR to VALUE, globally */

/* What a primitive wants the machine to do next: VALUE is there; FN is to be called with ARGS; EXPR is to be evaluated globally. */
enum next { VALUE_IS_THERE, CALL_FN, EVALUATE_EXPR };
void primitives_init(void);
enum next primitive_call(int index); /* with ARGS */

bool read_datum(FILE *from); /* to VALUE; false at the end */
void print(enum reg what, FILE *to, bool quoted);

#endif
