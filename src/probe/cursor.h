/* probe/cursor.h - reading what DWARF writes: numbers of many widths in a row, within bounds. Addresses are integers throughout:
 * what an image says is not to be trusted as a pointer.
 */
#ifndef PROBE_CURSOR_H
#define PROBE_CURSOR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "probe/cfi.h"

/* Reads forward to `end`; from the first byte that is missing on, all are 0 and `broken` says so. */
struct cursor {
    uintptr_t at, end;
    bool broken;
};

static inline uint64_t take(struct cursor *from, unsigned bytes)
{
    uint64_t value = 0;
    if (from->broken || from->end - from->at < bytes) {
        from->broken = true;
        return 0;
    }
    memcpy(&value, (const void *)from->at, bytes); /* both machines have the low byte first */
    from->at += bytes;
    return value;
}

static inline void skip(struct cursor *from, uint64_t bytes)
{
    if (from->broken || from->end - from->at < bytes) {
        from->broken = true;
    } else {
        from->at += bytes;
    }
}

static inline int64_t take_signed(struct cursor *from, unsigned bytes)
{
    unsigned unused = 64 - 8 * bytes;
    return (int64_t)(take(from, bytes) << unused) >> unused;
}

/* LEB128; what does not fit into 64 bits is cut off. */
static inline uint64_t take_uleb(struct cursor *from)
{
    uint64_t value = 0;
    for (unsigned shift = 0; !from->broken; shift += 7) {
        uint64_t byte = take(from, 1);
        value |= shift < 64 ? (byte & 0x7f) << shift : 0;
        if (!(byte & 0x80)) {
            break;
        }
    }
    return value;
}

static inline int64_t take_sleb(struct cursor *from)
{
    uint64_t value = 0;
    for (unsigned shift = 0; !from->broken;) {
        uint64_t byte = take(from, 1);
        value |= shift < 64 ? (byte & 0x7f) << shift : 0;
        shift += 7;
        if (!(byte & 0x80)) {
            if (byte & 0x40 && shift < 64) {
                value |= ~(uint64_t)0 << shift;
            }
            break;
        }
    }
    return (int64_t)value;
}

static inline struct cursor cursor_at(const struct cfi_image *image, uintptr_t at)
{
    bool inside = at >= image->start && at < image->end;
    return (struct cursor){inside ? at : image->end, image->end, !inside};
}

/* The rest of a cursor, cut to what lies before `at`. */
static inline struct cursor cut(struct cursor from, uint64_t bytes)
{
    from.broken |= from.end - from.at < bytes;
    from.end = from.broken ? from.at : from.at + bytes;
    return from;
}

#endif
