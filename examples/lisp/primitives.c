/* primitives.c - the procedures that are C's: numbers, pairs, strings, output, and those that steer the machine.
 *
 * Each finds its operands in ARGS, as many as its line in the table says, and leaves its value in VALUE.
 */
#include "lisp.h"

#include <inttypes.h>
#include <string.h>

#define PAIR(object) ((struct pair *)(object))

static void *argument(int at)
{
    struct pair *args = reg[ARGS];
    for (; at > 0; at--) {
        args = args->cdr;
    }
    return args->car;
}

static int64_t number(int at) { return number_of(argument(at)); }
static struct string *string(int at) { return string_of(argument(at)); }

static enum next done(void) { return VALUE_IS_THERE; }

static enum next truth(bool yes)
{
    set(VALUE, reg[yes ? TRUE : FALSE]);
    return done();
}

static enum next counted(int64_t value)
{
    make_number(VALUE, value);
    return done();
}

/* -- pairs -- */

static enum next do_cons(void)
{
    set(SCRATCH, argument(0));
    set(SCRATCH2, argument(1));
    cons(VALUE, SCRATCH, SCRATCH2);
    return done();
}

static enum next do_car(void)
{
    set(VALUE, pair_of(argument(0))->car);
    return done();
}

static enum next do_cdr(void)
{
    set(VALUE, pair_of(argument(0))->cdr);
    return done();
}

static enum next do_set_car(void)
{
    struct pair *pair = pair_of(argument(0));
    allot_gc_write(&me, pair, &pair->car, argument(1));
    return done();
}

static enum next do_set_cdr(void)
{
    struct pair *pair = pair_of(argument(0));
    allot_gc_write(&me, pair, &pair->cdr, argument(1));
    return done();
}

/* -- what something is -- */

static enum next do_is_null(void) { return truth(!argument(0)); }
static enum next do_is_pair(void) { return truth(is(argument(0), &pair_type)); }
static enum next do_is_symbol(void) { return truth(is(argument(0), &symbol_type)); }
static enum next do_is_string(void) { return truth(is(argument(0), &string_type)); }
static enum next do_is_number(void) { return truth(is(argument(0), &number_type)); }

static enum next do_is_procedure(void)
{
    const void *what = argument(0);
    return truth(is(what, &closure_type) || is(what, &primitive_type) || is(what, &escape_type));
}

/* Numbers are the same when they are equal, everything else when it is one object. */
static enum next do_eq(void)
{
    const void *a = argument(0), *b = argument(1);
    if (is(a, &number_type) && is(b, &number_type)) {
        return truth(number(0) == number(1));
    }
    return truth(a == b);
}

/* -- numbers -- */

static enum next arithmetic(int64_t start, bool (*step)(int64_t, int64_t, int64_t *))
{
    const struct pair *args = reg[ARGS];
    int64_t value = start;
    if (args && args->cdr) {
        value = number_of(args->car);
        args = args->cdr;
    }
    for (; args; args = args->cdr) {
        if (step(value, number_of(args->car), &value)) {
            lisp_error("a number is too large");
        }
    }
    return counted(value);
}

static bool add(int64_t a, int64_t b, int64_t *out) { return __builtin_add_overflow(a, b, out); }
static bool subtract(int64_t a, int64_t b, int64_t *out) { return __builtin_sub_overflow(a, b, out); }
static bool multiply(int64_t a, int64_t b, int64_t *out) { return __builtin_mul_overflow(a, b, out); }

static enum next do_add(void) { return arithmetic(0, add); }
static enum next do_subtract(void) { return arithmetic(0, subtract); }
static enum next do_multiply(void) { return arithmetic(1, multiply); }

static int64_t divisor(void)
{
    if (number(1) == 0 || (number(1) == -1 && number(0) == INT64_MIN)) {
        lisp_error("a division that has no result");
    }
    return number(1);
}

static enum next do_quotient(void) { return counted(number(0) / divisor()); }
static enum next do_remainder(void) { return counted(number(0) % divisor()); }
static enum next do_equals(void) { return truth(number(0) == number(1)); }
static enum next do_less(void) { return truth(number(0) < number(1)); }

/* -- strings and symbols -- */

static enum next do_string_length(void) { return counted((int64_t)string(0)->length); }

static enum next do_string_ref(void)
{
    const struct string *from = string(0);
    uint64_t at = (uint64_t)number(1);
    if (at >= from->length) {
        lisp_error("a string has no such place");
    }
    return counted((unsigned char)from->text[at]);
}

static enum next do_string_append(void)
{
    size_t length = 0;
    for (const struct pair *args = reg[ARGS]; args; args = args->cdr) {
        length += string_of(args->car)->length;
    }
    make_string(VALUE, NULL, length);
    char *to = ((struct string *)reg[VALUE])->text;
    for (const struct pair *args = reg[ARGS]; args; args = args->cdr) {
        const struct string *from = args->car;
        memcpy(to, from->text, from->length);
        to += from->length;
    }
    return done();
}

static enum next do_substring(void)
{
    uint64_t from = (uint64_t)number(1), to = (uint64_t)number(2);
    if (from > to || to > string(0)->length) {
        lisp_error("a string has no such part");
    }
    make_string(VALUE, NULL, to - from);
    memcpy(((struct string *)reg[VALUE])->text, string(0)->text + from, to - from);
    return done();
}

static enum next do_string_equals(void)
{
    const struct string *a = string(0), *b = string(1);
    return truth(a->length == b->length && memcmp(a->text, b->text, a->length) == 0);
}

static enum next do_number_to_string(void)
{
    char text[24];
    make_string(VALUE, text, (size_t)snprintf(text, sizeof text, "%" PRId64, number(0)));
    return done();
}

static enum next do_symbol_to_string(void)
{
    if (!is(argument(0), &symbol_type)) {
        lisp_error("a symbol is wanted");
    }
    set(VALUE, ((struct symbol *)argument(0))->name);
    return done();
}

static enum next do_string_to_symbol(void)
{
    char name[256];
    const struct string *from = string(0);
    size_t length = from->length;
    if (length >= sizeof name) {
        lisp_error("a symbol has at most %zu bytes", sizeof name - 1);
    }
    memcpy(name, from->text, length);
    intern(VALUE, name, length);
    return done();
}

/* -- output -- */

static enum next do_display(void)
{
    set(VALUE, argument(0));
    print(VALUE, stdout, false);
    return done();
}

static enum next do_write(void)
{
    set(VALUE, argument(0));
    print(VALUE, stdout, true);
    return done();
}

static enum next do_newline(void)
{
    putchar('\n');
    return done();
}

/* -- the machine -- */

static enum next do_error(void) { lisp_error("%.*s", (int)string(0)->length, string(0)->text); }

static enum next do_eval(void)
{
    set(EXPR, argument(0));
    return EVALUATE_EXPR;
}

/* (apply procedure list) */
static enum next do_apply(void)
{
    for (void *rest = argument(1); rest; rest = PAIR(rest)->cdr) {
        pair_of(rest);
    }
    set(FN, argument(0));
    set(ARGS, argument(1));
    return CALL_FN;
}

/* The procedure is called with the continuation: a call of that goes on from here, once more if need be. */
static enum next do_call_cc(void)
{
    set(FN, argument(0));
    struct escape *escape = make(SCRATCH, &escape_type, 0);
    allot_gc_write(&me, escape, &escape->cont, reg[CONT]);
    set(SCRATCH2, NULL);
    cons(ARGS, SCRATCH, SCRATCH2);
    return CALL_FN;
}

static enum next do_collect(void) { return counted((int64_t)allot_gc_collect(&me)); }

static const struct {
    const char *name;
    int least, most; /* operands; -1: any */
    enum next (*call)(void);
} table[] = {
    {"cons", 2, 2, do_cons},
    {"car", 1, 1, do_car},
    {"cdr", 1, 1, do_cdr},
    {"set-car!", 2, 2, do_set_car},
    {"set-cdr!", 2, 2, do_set_cdr},
    {"null?", 1, 1, do_is_null},
    {"pair?", 1, 1, do_is_pair},
    {"symbol?", 1, 1, do_is_symbol},
    {"string?", 1, 1, do_is_string},
    {"number?", 1, 1, do_is_number},
    {"procedure?", 1, 1, do_is_procedure},
    {"eq?", 2, 2, do_eq},
    {"+", 0, -1, do_add},
    {"-", 1, -1, do_subtract},
    {"*", 0, -1, do_multiply},
    {"quotient", 2, 2, do_quotient},
    {"remainder", 2, 2, do_remainder},
    {"=", 2, 2, do_equals},
    {"<", 2, 2, do_less},
    {"string-length", 1, 1, do_string_length},
    {"string-ref", 2, 2, do_string_ref},
    {"string-append", 0, -1, do_string_append},
    {"substring", 3, 3, do_substring},
    {"string=?", 2, 2, do_string_equals},
    {"number->string", 1, 1, do_number_to_string},
    {"symbol->string", 1, 1, do_symbol_to_string},
    {"string->symbol", 1, 1, do_string_to_symbol},
    {"display", 1, 1, do_display},
    {"write", 1, 1, do_write},
    {"newline", 0, 0, do_newline},
    {"error", 1, 1, do_error},
    {"eval", 1, 1, do_eval},
    {"apply", 2, 2, do_apply},
    {"call/cc", 1, 1, do_call_cc},
    {"collect", 0, 0, do_collect},
};

enum next primitive_call(int index)
{
    int count = 0;
    for (const struct pair *args = reg[ARGS]; args; args = args->cdr) {
        count++;
    }
    if (count < table[index].least || (table[index].most >= 0 && count > table[index].most)) {
        lisp_error("%s has too %s arguments", table[index].name, count < table[index].least ? "few" : "many");
    }
    set(VALUE, NULL);
    return table[index].call();
}

void primitives_init(void)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        ((struct primitive *)make(FN, &primitive_type, 0))->index = (int)i;
        intern(VALUE, table[i].name, strlen(table[i].name));
        struct symbol *symbol = reg[VALUE];
        allot_gc_write(&me, symbol, &symbol->value, reg[FN]);
    }
}
