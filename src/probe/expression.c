/* probe/expression.c - the expressions of DWARF, of which call frame information has a few: for the PLT, where the CFA depends on how
 * far into an entry it is; for frames that were aligned; for the frame that a signal leaves. */
#include "probe/cfi.h"
#include "probe/cursor.h"

enum { DEEPEST = 16 };

/* The stack of an expression: one value more or less at a time, `broken` when there is none or no room. */
struct values {
    unsigned count;
    bool broken;
    uintptr_t value[DEEPEST];
};

static void push(struct values *values, uintptr_t value)
{
    if (values->count == DEEPEST) {
        values->broken = true;
    } else {
        values->value[values->count++] = value;
    }
}

static uintptr_t pop(struct values *values)
{
    if (values->count == 0) {
        values->broken = true;
        return 0;
    }
    return values->value[--values->count];
}

static void push_copy(struct values *values, uint64_t from_top)
{
    if (from_top >= values->count) {
        values->broken = true;
    } else {
        push(values, values->value[values->count - 1 - from_top]);
    }
}

static void push_register(struct values *values, const uintptr_t *registers, uint64_t number, int64_t offset)
{
    if (number >= CFI_REGISTERS) {
        values->broken = true;
    } else {
        push(values, registers[number] + (uintptr_t)offset);
    }
}

/* A part of the word it lies in. */
static void push_loaded(struct values *values, cfi_load *load, void *context, uint64_t bytes)
{
    uintptr_t address = pop(values), word = 0, within = address & 7;
    if (bytes == 0 || within + bytes > 8 || !load(context, address - within, &word)) {
        values->broken = true;
    } else {
        push(values, word << (64 - 8 * (within + bytes)) >> (64 - 8 * bytes));
    }
}

static void push_result(struct values *values, uint8_t code)
{
    uintptr_t b = pop(values), a = pop(values);
    intptr_t signed_a = (intptr_t)a, signed_b = (intptr_t)b;
    switch (code) {
    case 0x1a:
        push(values, a & b);
        break;
    case 0x1b: /* by 0, and the one quotient that does not fit */
        values->broken |= b == 0 || (signed_b == -1 && signed_a == INTPTR_MIN);
        push(values, values->broken ? 0 : (uintptr_t)(signed_a / signed_b));
        break;
    case 0x1c:
        push(values, a - b);
        break;
    case 0x1d:
        values->broken |= b == 0;
        push(values, values->broken ? 0 : a % b);
        break;
    case 0x1e:
        push(values, a * b);
        break;
    case 0x21:
        push(values, a | b);
        break;
    case 0x22:
        push(values, a + b);
        break;
    case 0x24:
        push(values, b < 64 ? a << b : 0);
        break;
    case 0x25:
        push(values, b < 64 ? a >> b : 0);
        break;
    case 0x26:
        push(values, (uintptr_t)(signed_a >> (b < 64 ? b : 63)));
        break;
    case 0x27:
        push(values, a ^ b);
        break;
    case 0x29:
        push(values, signed_a == signed_b);
        break;
    case 0x2a:
        push(values, signed_a >= signed_b);
        break;
    case 0x2b:
        push(values, signed_a > signed_b);
        break;
    case 0x2c:
        push(values, signed_a <= signed_b);
        break;
    case 0x2d:
        push(values, signed_a < signed_b);
        break;
    case 0x2e:
        push(values, signed_a != signed_b);
        break;
    default:
        values->broken = true;
    }
}

/* A jump within the expression. */
static void jump(struct cursor *from, uintptr_t start, bool taken)
{
    int64_t distance = take_signed(from, 2);
    uintptr_t to = from->at + (uintptr_t)distance;
    if (taken) {
        from->broken |= to < start || to > from->end;
        from->at = from->broken ? from->end : to;
    }
}

bool cfi_evaluate(const struct cfi_image *image, int32_t place, const uintptr_t registers[CFI_REGISTERS],
                  const uintptr_t *on_stack, cfi_load *load, void *context, uintptr_t *value)
{
    struct cursor from = cursor_at(image, image->start + (uintptr_t)(intptr_t)place);
    uint64_t length = take_uleb(&from);
    from = cut(from, length);
    uintptr_t start = from.at;
    struct values values = {.count = 0};
    if (on_stack) {
        push(&values, *on_stack);
    }
    enum { STEPS = 256 }; /* the longest there is has a dozen; jumps may go back */
    unsigned steps = 0;
    for (; steps < STEPS && from.at < from.end && !from.broken && !values.broken; steps++) {
        uint8_t code = (uint8_t)take(&from, 1);
        uint64_t number;
        if (code >= 0x30 && code <= 0x4f) { /* lit */
            push(&values, code - 0x30u);
        } else if (code >= 0x70 && code <= 0x8f) { /* breg */
            push_register(&values, registers, code - 0x70u, take_sleb(&from));
        } else {
            switch (code) {
            case 0x03: /* addr */
                push(&values, take(&from, 8));
                break;
            case 0x06: /* deref */
                push_loaded(&values, load, context, 8);
                break;
            case 0x08: /* const1u, 1s, 2u, ... 8s */
            case 0x0a:
            case 0x0c:
            case 0x0e:
                push(&values, take(&from, 1u << (code - 0x08) / 2));
                break;
            case 0x09:
            case 0x0b:
            case 0x0d:
            case 0x0f:
                push(&values, (uintptr_t)take_signed(&from, 1u << (code - 0x09) / 2));
                break;
            case 0x10: /* constu */
                push(&values, take_uleb(&from));
                break;
            case 0x11: /* consts */
                push(&values, (uintptr_t)take_sleb(&from));
                break;
            case 0x12: /* dup */
                push_copy(&values, 0);
                break;
            case 0x13: /* drop */
                pop(&values);
                break;
            case 0x14: /* over */
                push_copy(&values, 1);
                break;
            case 0x15: /* pick */
                push_copy(&values, take(&from, 1));
                break;
            case 0x16: { /* swap */
                uintptr_t b = pop(&values), a = pop(&values);
                push(&values, b);
                push(&values, a);
                break;
            }
            case 0x19: { /* abs */
                uintptr_t a = pop(&values);
                push(&values, (intptr_t)a < 0 ? 0 - a : a);
                break;
            }
            case 0x1f: /* neg */
                push(&values, 0 - pop(&values));
                break;
            case 0x20: /* not */
                push(&values, ~pop(&values));
                break;
            case 0x23: /* plus_uconst */
                push(&values, pop(&values) + take_uleb(&from));
                break;
            case 0x28: /* bra */
                jump(&from, start, pop(&values) != 0);
                break;
            case 0x2f: /* skip */
                jump(&from, start, true);
                break;
            case 0x92: /* bregx */
                number = take_uleb(&from);
                push_register(&values, registers, number, take_sleb(&from));
                break;
            case 0x94: /* deref_size */
                push_loaded(&values, load, context, take(&from, 1));
                break;
            case 0x96: /* nop */
                break;
            default:
                push_result(&values, code);
            }
        }
    }
    *value = pop(&values);
    return steps < STEPS && !from.broken && !values.broken;
}
