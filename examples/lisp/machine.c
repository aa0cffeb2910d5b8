/* machine.c - evaluation: registers, and a list of continuations in place of a stack.
 *
 *     evaluate EXPR in ENV:   a symbol           its value                                    -> VALUE, and on with CONT
 *                             a form             what it says: if, define, lambda, ...
 *                             a macro's form     the procedure is called with the form as it stands; what it returns takes the form's
 *                                                place in the program, for good
 *                             any other pair     operator and operands, one after the other, each behind a continuation; then a call
 *
 * A call in tail position pushes nothing, so a loop by recursion runs in constant space. (The CEK machine: Felleisen and Friedman,
 * 1986; the collector's part in it: the list of continuations is as deep as the recursion, a million objects long if need be.)
 */
#include "lisp.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define REF          ALLOT_GC_REF
#define PAIR(object) ((struct pair *)(object))

const struct allot_gc_type pair_type = {
    .name = "pair", .size = sizeof(struct pair), .refs = REF(struct pair, car) | REF(struct pair, cdr)};
const struct allot_gc_type number_type = {.name = "number", .size = sizeof(struct number)};
const struct allot_gc_type string_type = {.name = "string", .size = sizeof(struct string)};
const struct allot_gc_type symbol_type = {.name = "symbol",
                                          .size = sizeof(struct symbol),
                                          .refs = REF(struct symbol, name) | REF(struct symbol, value) |
                                                  REF(struct symbol, next)};
const struct allot_gc_type env_type = {.name = "env",
                                       .size = sizeof(struct env),
                                       .refs = REF(struct env, up) | REF(struct env, names) | REF(struct env, values)};
const struct allot_gc_type closure_type = {.name = "closure",
                                           .size = sizeof(struct closure),
                                           .refs = REF(struct closure, names) | REF(struct closure, body) |
                                                   REF(struct closure, env)};
const struct allot_gc_type primitive_type = {.name = "primitive", .size = sizeof(struct primitive)};
const struct allot_gc_type cont_type = {.name = "continuation",
                                        .size = sizeof(struct cont),
                                        .refs = REF(struct cont, up) | REF(struct cont, code) | REF(struct cont, env) |
                                                REF(struct cont, args)};
const struct allot_gc_type escape_type = {
    .name = "escape", .size = sizeof(struct escape), .refs = REF(struct escape, cont)};
const struct allot_gc_type open_type = {.name = "open",
                                        .size = sizeof(struct open),
                                        .refs =
                                            REF(struct open, up) | REF(struct open, first) | REF(struct open, last)};
const struct allot_gc_type table_type = {.name = "table", .flags = ALLOT_GC_REFS};
const struct allot_gc_type constant_type = {.name = "constant", .size = sizeof(int)};

struct allot_gc heap;
struct allot_gc_mutator me;
void **reg;

/* -- objects -- */

void *make(enum reg to, const struct allot_gc_type *type, size_t extra)
{
    void *object = allot_gc_get(&me, type, extra);
    if (!object) {
        lisp_error("out of memory");
    }
    take(to, object);
    return object;
}

/* Stores what a register has in a new object's slot. */
static void put(void *object, void *slot, enum reg from) { allot_gc_write(&me, object, slot, reg[from]); }

/* A new object goes to its register last, which may be among those that it is made of. */
void cons(enum reg to, enum reg car, enum reg cdr)
{
    struct pair *pair = allot_gc_get(&me, &pair_type, 0);
    if (!pair) {
        lisp_error("out of memory");
    }
    put(pair, &pair->car, car);
    put(pair, &pair->cdr, cdr);
    take(to, pair);
}

void make_number(enum reg to, int64_t value) { ((struct number *)make(to, &number_type, 0))->value = value; }

void make_string(enum reg to, const char *text, size_t length)
{
    struct string *string = make(to, &string_type, length);
    string->length = length;
    if (text) {
        memcpy(string->text, text, length);
    }
}

enum { BUCKETS = 256 };

void intern(enum reg to, const char *name, size_t length)
{
    unsigned hash = 5381;
    for (size_t i = 0; i < length; i++) {
        hash = hash * 33 + (unsigned char)name[i];
    }
    void **buckets = reg[SYMBOLS];
    for (struct symbol *symbol = buckets[hash % BUCKETS]; symbol; symbol = symbol->next) {
        const struct string *other = symbol->name;
        if (other->length == length && memcmp(other->text, name, length) == 0) {
            set(to, symbol);
            return;
        }
    }
    make_string(SCRATCH, name, length);
    struct symbol *symbol = make(to, &symbol_type, 0);
    put(symbol, &symbol->name, SCRATCH);
    put(symbol, &symbol->value, UNBOUND);
    buckets = reg[SYMBOLS];
    allot_gc_write(&me, symbol, &symbol->next, buckets[hash % BUCKETS]);
    allot_gc_write(&me, buckets, &buckets[hash % BUCKETS], symbol);
}

/* -- wrong programs -- */

struct pair *pair_of(void *object)
{
    if (!is(object, &pair_type)) {
        lisp_error("a pair is wanted");
    }
    return object;
}

int64_t number_of(void *object)
{
    if (!is(object, &number_type)) {
        lisp_error("a number is wanted");
    }
    return ((struct number *)object)->value;
}

struct string *string_of(void *object)
{
    if (!is(object, &string_type)) {
        lisp_error("a string is wanted");
    }
    return object;
}

static struct symbol *symbol_of(void *object)
{
    if (!is(object, &symbol_type)) {
        lisp_error("a symbol is wanted");
    }
    return object;
}

/* -- variables -- */

struct place {
    void *object; /* whose slot it is */
    void **slot;
};

/* Where the symbol's value is, seen from ENV. Good until the next allocation. */
static struct place place_of(struct symbol *symbol)
{
    for (struct env *env = reg[ENV]; env; env = env->up) {
        struct place at = {env, &env->values};
        void *names = env->names;
        for (; is(names, &pair_type); names = PAIR(names)->cdr) {
            struct pair *values = *at.slot;
            if (PAIR(names)->car == symbol) {
                return (struct place){values, &values->car};
            }
            at = (struct place){values, &values->cdr};
        }
        if (names == symbol) {
            return at;
        }
    }
    return (struct place){symbol, &symbol->value};
}

/* Of CODE's first, which is a symbol, VALUE. In a procedure the innermost environment grows by it. */
static void define(enum form form)
{
    struct symbol *symbol = symbol_of(reg[CODE]);
    struct env *env = reg[ENV];
    if (!env || form == MACRO) {
        put(symbol, &symbol->value, VALUE);
        symbol->form = form;
        return;
    }
    struct place at = place_of(symbol);
    for (void *names = env->names; is(names, &pair_type); names = PAIR(names)->cdr) {
        if (PAIR(names)->car == symbol) {
            put(at.object, at.slot, VALUE);
            return;
        }
    }
    set(SCRATCH, env->names);
    cons(SCRATCH, CODE, SCRATCH);
    set(SCRATCH2, ((struct env *)reg[ENV])->values);
    cons(SCRATCH2, VALUE, SCRATCH2);
    env = reg[ENV];
    put(env, &env->names, SCRATCH);
    put(env, &env->values, SCRATCH2);
}

/* -- continuations -- */

enum { AFTER_TEST, AFTER_DEFINE, AFTER_DEFINE_MACRO, AFTER_SET, AFTER_FIRST, AFTER_OPERAND, AFTER_EXPANSION };

static void push(int kind)
{
    struct cont *cont = allot_gc_get(&me, &cont_type, 0);
    if (!cont) {
        lisp_error("out of memory: the recursion is too deep");
    }
    cont->kind = kind;
    put(cont, &cont->up, CONT);
    put(cont, &cont->code, CODE);
    put(cont, &cont->env, ENV);
    put(cont, &cont->args, ARGS);
    take(CONT, cont);
}

static int pop(void)
{
    struct cont *cont = reg[CONT];
    int kind = cont->kind;
    set(CODE, cont->code);
    set(ENV, cont->env);
    set(ARGS, cont->args);
    set(CONT, cont->up);
    return kind;
}

/* -- evaluation -- */

static void make_closure(enum reg names, enum reg body)
{
    struct closure *closure = allot_gc_get(&me, &closure_type, 0);
    if (!closure) {
        lisp_error("out of memory");
    }
    put(closure, &closure->names, names);
    put(closure, &closure->body, body);
    put(closure, &closure->env, ENV);
    take(VALUE, closure);
}

/* ARGS, the last first, become FN and ARGS, the first first. */
static void operands_to_call(void)
{
    set(SCRATCH, NULL);
    while (reg[ARGS]) {
        set(SCRATCH2, PAIR(reg[ARGS])->car);
        cons(SCRATCH, SCRATCH2, SCRATCH);
        set(ARGS, PAIR(reg[ARGS])->cdr);
    }
    set(FN, PAIR(reg[SCRATCH])->car);
    set(ARGS, PAIR(reg[SCRATCH])->cdr);
}

/* ENV and CODE for the body of the closure in FN, called with ARGS. */
static void enter_closure(void)
{
    const struct closure *closure = reg[FN];
    void *names = closure->names, *values = reg[ARGS];
    for (; is(names, &pair_type) && values; values = PAIR(values)->cdr) {
        names = PAIR(names)->cdr;
    }
    if (is(names, &pair_type) || (values && !names)) {
        lisp_error("a procedure has too %s arguments", values ? "many" : "few");
    }
    struct env *env = make(ENV, &env_type, 0);
    closure = reg[FN];
    allot_gc_write(&me, env, &env->up, closure->env);
    allot_gc_write(&me, env, &env->names, closure->names);
    put(env, &env->values, ARGS);
    set(CODE, closure->body);
}

/* The form that CODE is takes on what its expansion, VALUE, is. */
static void replace_form(void)
{
    if (!is(reg[VALUE], &pair_type)) {
        intern(FN, "begin", 5);
        cons(VALUE, VALUE, STACK); /* STACK is empty while programs run */
        cons(VALUE, FN, VALUE);
    }
    struct pair *form = reg[CODE];
    const struct pair *expansion = reg[VALUE];
    allot_gc_write(&me, form, &form->car, expansion->car);
    allot_gc_write(&me, form, &form->cdr, expansion->cdr);
    set(EXPR, form);
}

static enum form form_of(void *operator)
{
    return is(operator, & symbol_type) ? ((struct symbol *)operator)->form : CALL;
}

void evaluate(void)
{
    set(CONT, NULL);
    set(STACK, NULL);

globally:
    set(ENV, NULL);
expression:
    if (is(reg[EXPR], &symbol_type)) {
        struct place at = place_of(reg[EXPR]);
        if (*at.slot == reg[UNBOUND]) {
            const struct string *name = ((struct symbol *)reg[EXPR])->name;
            lisp_error("%.*s has no value", (int)name->length, name->text);
        }
        set(VALUE, *at.slot);
        goto value;
    }
    if (!is(reg[EXPR], &pair_type)) {
        set(VALUE, reg[EXPR]);
        goto value;
    }
    set(CODE, PAIR(reg[EXPR])->cdr);
    enum form form = form_of(PAIR(reg[EXPR])->car);
    switch (form) {
    case QUOTE:
        set(VALUE, pair_of(reg[CODE])->car);
        goto value;
    case IF:
        set(EXPR, pair_of(reg[CODE])->car);
        set(CODE, PAIR(reg[CODE])->cdr);
        push(AFTER_TEST);
        goto expression;
    case LAMBDA:
        set(SCRATCH, pair_of(reg[CODE])->car);
        set(SCRATCH2, PAIR(reg[CODE])->cdr);
        make_closure(SCRATCH, SCRATCH2);
        goto value;
    case BEGIN:
        goto body;
    case DEFINE:
    case DEFINE_MACRO:
        set(SCRATCH, pair_of(reg[CODE])->car);
        if (is(reg[SCRATCH], &pair_type)) { /* (define (name . names) body ...) */
            set(SCRATCH2, PAIR(reg[CODE])->cdr);
            set(CODE, PAIR(reg[SCRATCH])->car);
            set(SCRATCH, PAIR(reg[SCRATCH])->cdr);
            make_closure(SCRATCH, SCRATCH2);
            define(form == DEFINE ? CALL : MACRO);
            goto value;
        }
        /* fall through */
    case SET:
        set(EXPR, pair_of(PAIR(pair_of(reg[CODE]))->cdr)->car);
        set(CODE, PAIR(reg[CODE])->car);
        push(form == SET ? AFTER_SET : form == DEFINE ? AFTER_DEFINE : AFTER_DEFINE_MACRO);
        goto expression;
    case MACRO:
        set(ARGS, reg[CODE]);
        set(FN, ((struct symbol *)PAIR(reg[EXPR])->car)->value);
        set(CODE, reg[EXPR]);
        push(AFTER_EXPANSION);
        goto call;
    case CALL:
        set(ARGS, NULL);
        set(EXPR, PAIR(reg[EXPR])->car);
        push(AFTER_OPERAND);
        goto expression;
    }

body: /* CODE's expressions, the last one in place of the form */
    if (!reg[CODE]) {
        set(VALUE, NULL);
        goto value;
    }
    set(EXPR, pair_of(reg[CODE])->car);
    set(CODE, PAIR(reg[CODE])->cdr);
    if (reg[CODE]) {
        push(AFTER_FIRST);
    }
    goto expression;

call: /* FN with ARGS */
    if (is(reg[FN], &closure_type)) {
        enter_closure();
        goto body;
    }
    if (is(reg[FN], &escape_type)) {
        set(VALUE, pair_of(reg[ARGS])->car);
        set(CONT, ((struct escape *)reg[FN])->cont);
        goto value;
    }
    if (!is(reg[FN], &primitive_type)) {
        lisp_error("a procedure is wanted");
    }
    switch (primitive_call(((struct primitive *)reg[FN])->index)) {
    case VALUE_IS_THERE:
        goto value;
    case CALL_FN:
        goto call;
    case EVALUATE_EXPR:
        goto globally;
    }

value: /* CONT knows what to do with it */
    if (!reg[CONT]) {
        return;
    }
    switch (pop()) {
    case AFTER_TEST:
        if (is_false(reg[VALUE])) {
            set(CODE, pair_of(reg[CODE])->cdr);
        }
        if (!reg[CODE]) {
            set(VALUE, NULL);
            goto value;
        }
        set(EXPR, pair_of(reg[CODE])->car);
        goto expression;
    case AFTER_DEFINE:
        define(CALL);
        goto value;
    case AFTER_DEFINE_MACRO:
        define(MACRO);
        goto value;
    case AFTER_SET: {
        struct place at = place_of(symbol_of(reg[CODE]));
        if (*at.slot == reg[UNBOUND]) {
            lisp_error("set! of what is not defined");
        }
        put(at.object, at.slot, VALUE);
        goto value;
    }
    case AFTER_FIRST:
        goto body;
    case AFTER_OPERAND:
        cons(ARGS, VALUE, ARGS);
        if (reg[CODE]) {
            set(EXPR, pair_of(reg[CODE])->car);
            set(CODE, PAIR(reg[CODE])->cdr);
            push(AFTER_OPERAND);
            goto expression;
        }
        operands_to_call();
        goto call;
    case AFTER_EXPANSION:
        replace_form();
        goto expression;
    }
}

static void constant(enum reg to, int which) { *(int *)make(to, &constant_type, 0) = which; }

void machine_init(void)
{
    static const struct {
        const char *name;
        enum form form;
    } forms[] = {{"quote", QUOTE},
                 {"if", IF},
                 {"define", DEFINE},
                 {"set!", SET},
                 {"lambda", LAMBDA},
                 {"begin", BEGIN},
                 {"define-macro", DEFINE_MACRO}};
    make(SYMBOLS, &table_type, BUCKETS * sizeof(void *));
    constant(TRUE, 1);
    constant(FALSE, 0);
    constant(UNBOUND, 2);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        intern(VALUE, forms[i].name, strlen(forms[i].name));
        ((struct symbol *)reg[VALUE])->form = forms[i].form;
    }
    primitives_init();
}
