/* heap/seal.c - see heap/seal.h. Costs a pass over the block when it begins and one when it ends. */
#include "heap/seal.h"

#include <stdint.h>
#include <string.h>

#include "base/bits.h"
#include "os/fault.h"
#include "os/process.h"
#include "os/watch.h"

#ifndef ALLOT_UNWATCHED
#define ALLOT_UNWATCHED false
#endif
struct hardening hardening = {.unwatched = ALLOT_UNWATCHED};

uint64_t seal_secret[2];

void harden(size_t level)
{
    static const struct hardening levels[] = {
        {0},
        {.level = 1},
        {.level = 2, .redzone = SEAL_BYTES, .quarantine = 16 * KIB},
        {.level = 3, .redzone = SEAL_BYTES, .quarantine = 64 * KIB},
    };
    hardening.level = levels[level].level;
    hardening.redzone = size_max(hardening.redzone, levels[level].redzone);
    hardening.quarantine = size_max(hardening.quarantine, levels[level].quarantine);
}

void seal_init(void)
{
    os_secret(seal_secret, sizeof seal_secret);
    seal_secret[1] |= 1;
    hardening.plain = hardening.redzone && !hardening.filled && !os_watched;
}

/* Words of zero, or of the pattern: pages that went back to the system are zero. */
static bool words_are(const char *at, const char *end, uint64_t pattern)
{
    uint64_t other = 0;
    for (; at < end; at += 8) {
        other |= *(const seal_word *)at ? *(const seal_word *)at ^ pattern : 0;
    }
    return other == 0;
}

static uint64_t wiped_with(void)
{
    return hardening.filled ? (unsigned char)~hardening.fill * (uint64_t)0x0101010101010101 : 0;
}

static bool is_wiped(const char *p, size_t room)
{
    const char *seal = p + room - SEAL_BYTES;
    return hardening.filled ? words_are(p, seal, wiped_with()) : seal_are_zero(p, seal);
}

/* What follows `size` bytes: the rest of a word, and the words after it. Rooms are multiples of 16. */
static bool slack_is_whole(const void *p, size_t room, size_t size)
{
    if (!hardening.filled) {
        return seal_slack_is_zero(p, (const char *)seal_at(p, room), size);
    }
    const char *at = (const char *)p + (size & ~(size_t)7);
    unsigned bits = size % 8 * 8;
    if (bits) {
        uint64_t rest = *(const seal_word *)at >> bits;
        if (rest && rest != wiped_with() >> bits) {
            return false;
        }
        at += 8;
    }
    return words_are(at, (const char *)p + room - SEAL_BYTES, wiped_with());
}

void seal_begin_any(void *p, size_t room, size_t size, bool checked, const char *kind)
{
    uint64_t *seal = seal_at(p, room);
    watch_allow(p, room);
    if (unlikely((*seal && seal_says(p, *seal) != SEAL_FREED) || (checked && !is_wiped(p, room)))) {
        allot_fault_block("write after free", kind, room, p);
    }
    *seal = seal_of(p, size);
    if (hardening.filled) {
        memset(p, hardening.fill, size);
        memset((char *)p + size, (int)wiped_with() & 0xff, room - SEAL_BYTES - size);
    }
    watch_deny((char *)p + size, room - size);
    watch_begin(p, size, hardening.redzone);
}

size_t seal_size_any(const void *p, size_t room, const char *crime, const char *kind)
{
    watch_allow(seal_at(p, room), SEAL_BYTES);
    uint64_t payload = seal_says(p, *seal_at(p, room));
    if (unlikely(payload == SEAL_FREED)) {
        allot_fault_block(crime, kind, room, p);
    }
    watch_allow((const char *)p + payload, payload < room ? room - payload : 0);
    if (unlikely(payload > room - SEAL_BYTES || !slack_is_whole(p, room, payload))) {
        allot_fault_block("end of a block overwritten", kind, size_min(payload, room - SEAL_BYTES), p);
    }
    watch_deny((const char *)p + payload, room - payload);
    return payload;
}

void seal_expect_slack(const void *p, size_t room, size_t size, const char *kind)
{
    if (unlikely(!slack_is_whole(p, room + SEAL_BYTES, size))) {
        allot_fault_block("end of a block overwritten", kind, size, p);
    }
}

void seal_end_any(void *p, size_t room, const char *kind)
{
    size_t size = seal_size_any(p, room, "double free", kind);
    watch_allow(seal_at(p, room), SEAL_BYTES);
    if (unlikely(!seal_take(seal_at(p, room), seal_of(p, size), seal_of(p, SEAL_FREED)))) {
        allot_fault_block("double free", kind, room, p);
    }
    watch_deny(seal_at(p, room), SEAL_BYTES);
    memset(p, (int)wiped_with() & 0xff, size);
    watch_end(p, size, hardening.redzone);
}

void seal_unwatch(const void *p, size_t room)
{
    watch_allow(seal_at(p, room), SEAL_BYTES);
    uint64_t payload = seal_says(p, *seal_at(p, room));
    watch_end(p, size_min(payload, room), hardening.redzone);
    watch_deny(p, room);
}

void seal_remove(void *p, size_t room, const char *kind)
{
    uint64_t *seal = seal_at(p, room);
    watch_allow(seal, SEAL_BYTES);
    if (unlikely(*seal != 0 && seal_says(p, *seal) != SEAL_FREED)) {
        allot_fault_block("write after free", kind, room, p);
    }
    if (*seal) {
        *seal = 0;
    }
    watch_deny(seal, SEAL_BYTES);
}

bool seal_says_free(const void *p, size_t room)
{
    watch_allow(seal_at(p, room), SEAL_BYTES);
    uint64_t seal = *seal_at(p, room);
    watch_deny(seal_at(p, room), SEAL_BYTES);
    return seal == 0 || seal_says(p, seal) == SEAL_FREED;
}

void seal_resize(void *p, size_t room, size_t size, const char *kind)
{
    size_t was = seal_size(p, room, "realloc of what is no live block", kind);
    watch_allow((char *)p + size_min(was, size), room - size_min(was, size));
    if (size < was) {
        memset((char *)p + size, (int)wiped_with() & 0xff, was - size);
    } else if (hardening.filled) {
        memset((char *)p + was, hardening.fill, size - was);
    }
    *seal_at(p, room) = seal_of(p, size);
    watch_deny((char *)p + size, room - size);
    watch_resize(p, was, size, hardening.redzone);
}
