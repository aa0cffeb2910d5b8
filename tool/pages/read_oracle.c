/* pages/read_oracle.c - libCacheSim's oracleGeneral: records of 24 bytes without a head, little-endian.
 *
 *   | time, 4 | object, 8 | its size, 4 | number of the request that has it next, 8; or -1 |
 *
 * The last one is not believed but found anew: a part of a trace has wrong ones.
 */
#include <stdio.h>
#include <string.h>

#include "pages/reading.h"

enum { RECORD = 24, CHUNK = RECORD * 2730 };

static uint64_t number(const unsigned char *at, unsigned bytes)
{
    uint64_t value = 0;
    while (bytes-- > 0) {
        value = value << 8 | at[bytes];
    }
    return value;
}

bool is_oracle(const unsigned char *head, size_t bytes)
{
    for (size_t at = 0; at + RECORD <= bytes; at += RECORD) {
        uint64_t next = number(head + at + 16, 8);
        if (next == 0 || (next >> 40 && next != UINT64_MAX && next != INT64_MAX)) {
            return false;
        }
    }
    return bytes >= RECORD;
}

static int add_records(struct reading *r, const unsigned char *from, size_t bytes, uint64_t byte)
{
    int state = READING_ON;
    for (size_t at = 0; at + RECORD <= bytes && state == READING_ON; at += RECORD) {
        uint64_t id = number(from + at + 4, 8);
        if (number(from + at + 12, 4) == 0) {
            r->refs->without_size++;
            continue;
        }
        if (r->refs->addresses && reading_beyond(r, id)) {
            snprintf(r->error->line, sizeof r->error->line,
                     "an address beyond the page table, 0x%llx in record %llu, byte %llu", (unsigned long long)id,
                     (unsigned long long)(byte + at) / RECORD + 1, (unsigned long long)(byte + at + 4));
            r->todo = "give --table more bits";
            return READING_FAILED;
        }
        state = reading_add(r, id);
    }
    return state;
}

int read_oracle(struct reading *r)
{
    unsigned char chunk[CHUNK];
    size_t filled = 0;
    uint64_t byte = 0;
    int state = READING_ON;
    while (state == READING_ON) {
        ssize_t got = input_read(r->input, chunk + filled, sizeof chunk - filled, r->error);
        if (got < 0) {
            return READING_FAILED;
        }
        if (got == 0) {
            break;
        }
        filled += (size_t)got;
        size_t whole = filled - filled % RECORD;
        state = add_records(r, chunk, whole, byte);
        memmove(chunk, chunk + whole, filled - whole);
        filled -= whole;
        byte += whole;
        for (size_t i = 0; i < whole / RECORD; i++) {
            reading_step(r);
        }
    }
    if (state == READING_ON && filled > 0 && !r->about.truncated) {
        snprintf(r->error->line, sizeof r->error->line, "half a record of 24 bytes at byte %llu",
                 (unsigned long long)byte);
        r->todo = "get all of it, or give its --format";
        return READING_FAILED;
    }
    return state;
}
