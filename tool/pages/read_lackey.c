/* pages/read_lackey.c - the output of `valgrind --tool=lackey --trace-mem=yes`.
 *
 *     I  04001000,3        an instruction of 3 bytes
 *      L 1ffeffe7e0,8      a load;  S a store;  M both
 *     ==4711== ...         valgrind's own words, left out, as is what the program wrote in between
 *
 * What lies on two pages is a reference to each.
 */
#include <string.h>

#include "pages/reading.h"

#define SIZE_MOST ((uint64_t)1 << 16) /* the longest there are save whole sets of registers, of some KiB */

/* Where the address is; NULL: no reference. */
static const char *reference(const char *text, size_t length)
{
    bool code = length > 3 && memcmp(text, "I  ", 3) == 0;
    bool data = length > 3 && text[0] == ' ' && text[2] == ' ' && (text[1] == 'L' || text[1] == 'S' || text[1] == 'M');
    return code || data ? text + 3 : NULL;
}

bool is_lackey(const char *head, size_t bytes)
{
    const char *line = head, *end = head + bytes, *next;
    for (; end - line >= 2 && memcmp(line, "==", 2) == 0; line = next ? next + 1 : end) {
        next = memchr(line, '\n', (size_t)(end - line));
    }
    return line == end ? bytes > 0 : reference(line, (size_t)(end - line)) != NULL;
}

static int add_range(struct reading *r, uint64_t address, uint64_t size)
{
    uint64_t last = (address + (size ? size - 1 : 0)) >> r->wanted->page_shift;
    int state = READING_ON;
    for (uint64_t page = address >> r->wanted->page_shift; page <= last && state == READING_ON; page++) {
        state = reading_add(r, page << r->wanted->page_shift);
    }
    return state;
}

int read_lackey(struct reading *r)
{
    struct line line;
    int got, state = READING_ON;
    while (state == READING_ON && (got = reading_line(r, &line)) != 0) {
        if (got < 0) {
            return READING_FAILED;
        }
        const char *at = reference(line.text, line.length), *end = line.text + line.length;
        const char *comma = at ? memchr(at, ',', (size_t)(end - at)) : NULL;
        uint64_t address, size, last;
        if (!at) {
            r->refs->other_lines += line.length > 0 && memcmp(line.text, "==", line.length < 2 ? line.length : 2) != 0;
            continue;
        }
        if (!comma || !word_hex((struct word){at, (size_t)(comma - at)}, &address) ||
            !word_number((struct word){comma + 1, (size_t)(end - comma - 1)}, &size) || size > SIZE_MOST ||
            __builtin_add_overflow(address, size ? size - 1 : 0, &last)) {
            return line_wrong(r->error, &line, at, "no address and size");
        }
        if (reading_beyond(r, last)) {
            return reading_says_beyond(r, &line, at);
        }
        if (line.text[0] != 'I' || !r->wanted->no_code) {
            state = add_range(r, address, size);
        }
    }
    return state;
}
