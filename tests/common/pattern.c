/* pattern.c - see pattern.h. */
#include "pattern.h"

#include <string.h>

enum { WORD = sizeof(uint64_t), TAIL = 16 };

#define DENSE ((size_t)64 << 10)
#define PAGES ((size_t)256 << 10)
#define FAR   ((size_t)15 * 4096 + WORD)

/* The eight bytes at offset 8 * index. */
static uint64_t word_at(uint64_t tag, size_t index) { return (tag + index) * 0x9e3779b97f4a7c15u ^ tag; }

static unsigned char byte_at(uint64_t tag, size_t offset)
{
    uint64_t word = word_at(tag, offset / WORD);
    unsigned char bytes[WORD];
    memcpy(bytes, &word, WORD);
    return bytes[offset % WORD];
}

/* The offset of the next word to write or check. */
static size_t next_word(size_t offset) { return offset + (offset < DENSE ? WORD : offset < PAGES ? 4096 : FAR); }

static size_t tail_start(size_t size) { return size > TAIL ? size - TAIL : 0; }

void pattern_fill(void *p, size_t size, uint64_t tag)
{
    unsigned char *bytes = p;
    for (size_t at = 0; at + WORD <= size; at = next_word(at)) {
        uint64_t word = word_at(tag, at / WORD);
        memcpy(bytes + at, &word, WORD);
    }
    for (size_t at = tail_start(size); at < size; at++)
        bytes[at] = byte_at(tag, at);
}

bool pattern_holds(const void *p, size_t size, uint64_t tag, bool whole)
{
    const unsigned char *bytes = p;
    for (size_t at = 0; at + WORD <= size; at = next_word(at)) {
        uint64_t word;
        memcpy(&word, bytes + at, WORD);
        if (word != word_at(tag, at / WORD))
            return false;
    }
    size_t tail = whole ? tail_start(size) : size < DENSE ? size / WORD * WORD : size;
    for (size_t at = tail; at < size; at++) {
        if (bytes[at] != byte_at(tag, at))
            return false;
    }
    return true;
}

bool pattern_zero(const void *p, size_t size)
{
    const unsigned char *bytes = p;
    size_t dense = (size_t)1 << 20, at = 0;
    while (at + WORD <= size) {
        uint64_t word;
        memcpy(&word, bytes + at, WORD);
        if (word != 0)
            return false;
        at += at < dense ? WORD : FAR;
    }
    for (at = tail_start(size); at < size; at++) {
        if (bytes[at] != 0)
            return false;
    }
    return true;
}
