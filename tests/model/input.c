/* input.c - see input.h. */
#include "input.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

uint8_t input_byte(struct input *in) { return input_ended(in) ? 0 : in->data[in->at++]; }

size_t input_u16(struct input *in)
{
    size_t high = input_byte(in);
    return high << 8 | input_byte(in);
}

/* -1, 0 or 1, kept from going below zero. */
static size_t beside(size_t edge, uint8_t choice) { return edge + choice % 3 - (edge + choice % 3 > 0); }

size_t input_small_size(struct input *in)
{
    uint8_t kind = input_byte(in);
    if (kind < 128)
        return kind;
    if (kind < 192)
        return beside(16 * (size_t)input_byte(in), kind);
    return input_u16(in) % (2 * KIB);
}

static size_t impossible_size(struct input *in)
{
    static const size_t most[] = {SIZE_MAX,           (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX,   SIZE_MAX / 2 - 64 * KIB,
                                  SIZE_MAX - 4 * MIB, SIZE_MAX - 4095,         SIZE_MAX - 64, (size_t)1 << 60};
    uint8_t choice = input_byte(in);
    return most[choice % 8] - choice / 8;
}

size_t input_size(struct input *in)
{
    static const size_t edges[] = {KIB, 4 * KIB, 8 * KIB, 32 * KIB, 64 * KIB, MIB, 2 * MIB, 4 * MIB};
    uint8_t kind = input_byte(in);
    switch (kind % 16) {
    case 0: /* eighths between powers of two: 8 classes a doubling */
    case 1: {
        size_t eighths = 8 + input_byte(in) % 8;
        return beside(eighths << input_byte(in) % 19, kind / 16);
    }
    case 2: /* around the edges of the heap's own kinds of block */
        return edges[kind / 16 % 8] + input_byte(in) - 128;
    case 3:
        return beside(edges[kind / 16 % 8], input_byte(in));
    case 4:
        return input_u16(in);
    case 5:
        return (input_u16(in) << 8 | kind) % (2 * MIB);
    case 6:
        return beside(4096 * (size_t)input_byte(in), kind / 16);
    case 7: /* few: they cost page faults */
        return kind < 128 ? beside((1 + input_byte(in) % 24) * MIB, kind) : beside(input_u16(in) * KIB, kind);
    case 8:
        return impossible_size(in);
    case 9:
        return kind / 16 % 3;
    default:
        return input_small_size(in);
    }
}

size_t input_align(struct input *in)
{
    uint8_t choice = input_byte(in);
    return (size_t)1 << (choice < 128 ? choice % 13 : choice % 24);
}
