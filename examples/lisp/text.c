/* text.c - the reader and the printer: lists of any depth, on a stack of their own in the heap.
 *
 *     STACK ->  | quote |  ->  | ( 3 datums so far |  ->  | ( 1 datum |        what has been begun, the innermost first
 */
#include "lisp.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PAIR(object) ((struct pair *)(object))

enum { LIST, DOTTED, CLOSED, PREFIX }; /* of what is being read: DOTTED wants one datum more, CLOSED only its end */
enum { DATUM, REST };                  /* of what is to be printed: REST is of a list whose beginning has been */

/* STACK grows by one; `first` is in a register, or NULL. */
static void begin(int kind, enum reg first)
{
    struct open *open = allot_gc_get(&me, &open_type, 0);
    if (!open) {
        lisp_error("out of memory");
    }
    open->kind = kind;
    allot_gc_write(&me, open, &open->up, reg[STACK]);
    allot_gc_write(&me, open, &open->first, reg[first]);
    take(STACK, open);
}

static void end(void) { set(STACK, ((struct open *)reg[STACK])->up); }

/* -- reading -- */

static int next_char(FILE *from)
{
    int c;
    while (isspace(c = getc(from)) || c == ';') {
        while (c == ';' && (c = getc(from)) != '\n' && c != EOF) {
            c = ';';
        }
    }
    return c;
}

static void read_string(FILE *from)
{
    char text[4096];
    size_t length = 0;
    for (int c = getc(from); c != '"'; c = getc(from)) {
        if (c == '\\') {
            c = getc(from);
            c = c == 'n' ? '\n' : c;
        }
        if (c == EOF || length == sizeof text) {
            lisp_error(c == EOF ? "a string has no end" : "a string in a program has at most 4096 bytes");
        }
        text[length++] = (char)c;
    }
    make_string(VALUE, text, length);
}

static void read_atom(FILE *from, int c)
{
    char text[256];
    size_t length = 0;
    for (; c != EOF && !isspace(c) && !strchr("()'`,\";", c); c = getc(from)) {
        if (length == sizeof text - 1) {
            lisp_error("a symbol has at most %zu bytes", sizeof text - 1);
        }
        text[length++] = (char)c;
    }
    ungetc(c, from);
    text[length] = '\0';
    char *rest;
    errno = 0;
    int64_t value = strtoll(text, &rest, 10);
    if (rest > text && !*rest) {
        if (errno) {
            lisp_error("a number is too large");
        }
        make_number(VALUE, value);
    } else if (strcmp(text, "#t") == 0 || strcmp(text, "#f") == 0) {
        set(VALUE, reg[text[1] == 't' ? TRUE : FALSE]);
    } else {
        intern(VALUE, text, length);
    }
}

/* VALUE goes where it belongs: true if it belongs to nothing, and is what was to be read. */
static bool belongs_to_nothing(void)
{
    while (reg[STACK] && ((struct open *)reg[STACK])->kind == PREFIX) { /* 'x: (quote x) */
        set(SCRATCH, NULL);
        cons(VALUE, VALUE, SCRATCH);
        set(SCRATCH, ((struct open *)reg[STACK])->first);
        cons(VALUE, SCRATCH, VALUE);
        end();
    }
    struct open *open = reg[STACK];
    if (!open) {
        return true;
    }
    if (open->kind == CLOSED) {
        lisp_error("more than one datum after a dot");
    }
    if (open->kind == DOTTED) {
        struct pair *last = open->last;
        allot_gc_write(&me, last, &last->cdr, reg[VALUE]);
        open->kind = CLOSED;
        return false;
    }
    set(SCRATCH, NULL);
    cons(SCRATCH, VALUE, SCRATCH);
    open = reg[STACK];
    struct pair *last = open->last;
    if (last) {
        allot_gc_write(&me, last, &last->cdr, reg[SCRATCH]);
    } else {
        allot_gc_write(&me, open, &open->first, reg[SCRATCH]);
    }
    allot_gc_write(&me, open, &open->last, reg[SCRATCH]);
    return false;
}

static void prefix(const char *name)
{
    intern(VALUE, name, strlen(name));
    begin(PREFIX, VALUE);
}

static bool is_dot(FILE *from)
{
    int c = getc(from);
    ungetc(c, from);
    return isspace(c);
}

bool read_datum(FILE *from)
{
    set(STACK, NULL);
    for (;;) {
        struct open *open = reg[STACK];
        int c = next_char(from);
        switch (c) {
        case EOF:
            if (open) {
                lisp_error("the program ends in the middle of a list");
            }
            return false;
        case '(':
            set(VALUE, NULL);
            begin(LIST, VALUE);
            continue;
        case ')':
            if (!open || open->kind == PREFIX || open->kind == DOTTED) {
                lisp_error("a ) that ends nothing");
            }
            set(VALUE, open->first);
            end();
            break;
        case '\'':
            prefix("quote");
            continue;
        case '`':
            prefix("quasiquote");
            continue;
        case ',':
            c = getc(from);
            if (c != '@') {
                ungetc(c, from);
            }
            prefix(c == '@' ? "unquote-splicing" : "unquote");
            continue;
        case '"':
            read_string(from);
            break;
        case '.':
            if (is_dot(from)) {
                if (!open || open->kind != LIST || !open->last) {
                    lisp_error("a dot in the wrong place");
                }
                open->kind = DOTTED;
                continue;
            }
            /* fall through */
        default:
            read_atom(from, c);
        }
        if (belongs_to_nothing()) {
            return true;
        }
    }
}

/* -- printing -- */

static void print_string(const struct string *string, FILE *to, bool quoted)
{
    if (!quoted) {
        fwrite(string->text, 1, string->length, to);
        return;
    }
    putc('"', to);
    for (size_t i = 0; i < string->length; i++) {
        char c = string->text[i];
        if (c == '"' || c == '\\') {
            putc('\\', to);
        }
        fputs(c == '\n' ? "\\n" : (char[]){c, '\0'}, to);
    }
    putc('"', to);
}

static void print_atom(const void *what, FILE *to, bool quoted)
{
    if (!what) {
        fputs("()", to);
    } else if (is(what, &number_type)) {
        fprintf(to, "%" PRId64, ((const struct number *)what)->value);
    } else if (is(what, &string_type)) {
        print_string(what, to, quoted);
    } else if (is(what, &symbol_type)) {
        print_string(((const struct symbol *)what)->name, to, false);
    } else if (is(what, &constant_type)) {
        fputs(what == reg[TRUE] ? "#t" : what == reg[FALSE] ? "#f" : "#nothing", to);
    } else {
        fprintf(to, "#%s", allot_gc_type_of(what)->name);
    }
}

void print(enum reg what, FILE *to, bool quoted)
{
    set(STACK, NULL);
    begin(DATUM, what);
    while (reg[STACK]) {
        const struct open *open = reg[STACK];
        int kind = open->kind;
        set(SCRATCH, open->first);
        end();
        const struct pair *pair = is(reg[SCRATCH], &pair_type) ? reg[SCRATCH] : NULL;
        if (kind == REST && !pair) {
            if (reg[SCRATCH]) {
                fputs(" . ", to);
                print_atom(reg[SCRATCH], to, quoted);
            }
            putc(')', to);
        } else if (!pair) {
            print_atom(reg[SCRATCH], to, quoted);
        } else {
            putc(kind == REST ? ' ' : '(', to);
            set(SCRATCH2, pair->cdr);
            set(SCRATCH, pair->car);
            begin(REST, SCRATCH2);
            begin(DATUM, SCRATCH);
        }
    }
}
