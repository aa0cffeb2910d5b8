/* probe/print.c - an address of a stack as text, see probe/stack.h. */
#include <stdint.h>

#include "probe/object.h"
#include "probe/stack.h"

struct line {
    char *text;
    size_t size, length;
};

static void add(struct line *line, const char *text)
{
    for (; *text && line->length + 1 < line->size; text++) {
        line->text[line->length++] = *text;
    }
    line->text[line->length] = 0;
}

static void add_hex(struct line *line, uintptr_t value)
{
    char digits[2 * sizeof value + 3], *first = digits + sizeof digits;
    *--first = 0;
    do {
        *--first = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value != 0);
    *--first = 'x';
    *--first = '0';
    add(line, first);
}

size_t stack_print(char *text, size_t size, const void *pc, bool exact)
{
    struct line line = {text, size, 0};
    struct object object;
    char name[128];
    uintptr_t address = (uintptr_t)pc, at = address - !exact, begin;
    if (!object_find(at, &object)) {
        add_hex(&line, address);
        return line.length;
    }
    begin = object_function(&object, at, name, sizeof name);
    if (begin) {
        add(&line, name);
        add(&line, "+");
        add_hex(&line, address - begin);
        add(&line, " (");
    }
    object_name(&object, name, sizeof name);
    add(&line, name);
    add(&line, "+");
    add_hex(&line, address - object_bias(&object));
    add(&line, begin ? ")" : "");
    return line.length;
}
