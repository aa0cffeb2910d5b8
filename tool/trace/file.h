/* file.h - allot's own trace file, as docs/format.md has it byte by byte.
 *
 *   | head | frame | frame | ... | end frame | tail |          every number little-endian
 *
 *   frame:  | frame head, 48 bytes | payload: one zstd frame |   its checksum covers both
 *
 * Behind the tail snapshots may follow, and the tail once more (behind.h).
 * Frames are independent: none needs another one to be unpacked, events need the nodes that came before them by number only. A
 * file may end anywhere: what counts is its whole frames. `since` of a frame's head: no event from here on is earlier.
 */
#ifndef ALLOT_TRACE_FILE_H
#define ALLOT_TRACE_FILE_H

#include <stddef.h>
#include <stdint.h>

#define FILE_MAGIC      "allot\x1a\r\n" /* 8 bytes */
#define FILE_VERSION    1
#define FILE_FRAME      0x466c6c61u /* "allF" */
#define FILE_TAIL       "allotend"
#define FILE_PAYLOAD    (8u << 20)   /* a frame's payload is at most so long, packed or not */
#define FILE_EVENTS     (32u << 10)  /* events of a frame at most */
#define FILE_NODES_MOST (16u << 20)  /* nodes, and frames of nodes, of a file at most */
#define FILE_QUEUE      (256u << 20) /* bytes of frames, packed, between two values of `since` at most */

enum file_flags { FILE_STACKS = 1 };

struct file_head {
    char magic[8];
    uint32_t version;
    uint32_t bytes; /* of this head with the command line: the first frame begins here; a multiple of 8 */
    uint32_t flags;
    uint32_t pid;           /* the recorder's */
    int64_t began;          /* seconds since 1970 */
    uint64_t unit;          /* a unit of time: so many nanoseconds << 32 */
    uint32_t command_bytes; /* the command line that follows; its words end with zeros */
    uint32_t check;         /* CRC-32, as of zlib, of the head before here and of the command line */
};

struct file_frame {
    uint32_t magic;
    uint8_t kind; /* enum file_kind */
    uint8_t zero[3];
    uint32_t bytes; /* of the payload, packed */
    uint32_t raw;   /* and not */
    uint32_t process, thread;
    uint64_t since; /* units of time since the beginning */
    uint64_t first; /* of EVENTS: the time its first event's is counted from; of KEY: as `since` */
    uint32_t count; /* of events; of nodes; of a snapshot 1: its last piece; else 0 */
    uint32_t check; /* CRC-32 of this head before here and of the payload, packed */
};

enum file_kind { FILE_KIND_EVENTS = 1, FILE_KIND_TABLES, FILE_KIND_KEY, FILE_KIND_END, FILE_KIND_SNAPSHOT };

struct file_tail {
    uint64_t end; /* where the end frame begins */
    char magic[8];
};

_Static_assert(sizeof(struct file_head) == 48 && sizeof(struct file_frame) == 48 && sizeof(struct file_tail) == 16,
               "as documented");

/* Events, as they stand in frames. */
enum file_op {
    FILE_MALLOC,
    FILE_CALLOC,
    FILE_ALIGNED, /* extra: log2 */
    FILE_REALLOC_TO,
    FILE_FAILED, /* no address */
    FILE_BEFORE,
    FILE_VERDICT, /* extra: verdict */
    FILE_FREE,    /* this and the next: no size, no stack */
    FILE_REALLOC_FROM,
    FILE_NOTE, /* neither address, size nor stack: text and numbers */
    FILE_OPS,
};

struct file_event {
    enum file_op op;
    uint32_t stack, extra;
    uint64_t time; /* units */
    uint64_t address, size;
    const unsigned char *note; /* its kind, then what that has */
    uint32_t note_bytes;
};

/* What a note's first byte says. Numbers in it are LEB128, texts take up the rest. */
enum file_note {
    FILE_NOTE_PROCESS = 1, /* parent, enum ring_begin, pid, path: the process begins; its first event */
    FILE_NOTE_EXIT,        /* 1: by exit; else killed, or unknown. Of thread 0 */
    FILE_NOTE_THREAD,      /* tid, name */
    FILE_NOTE_MARK,        /* name */
    FILE_NOTE_COUNTERS,    /* resident, mapped bytes. Of thread 0 */
    FILE_NOTE_LOST,        /* so many events */
};

/* LEB128, least significant seven bits first. */
#define FILE_NUMBER_BYTES 10
static inline unsigned char *file_put_number(unsigned char *at, uint64_t number)
{
    while (number >= 0x80) {
        *at++ = (unsigned char)(number | 0x80);
        number >>= 7;
    }
    *at++ = (unsigned char)number;
    return at;
}

/* NULL: it does not end before `end`, or has more than 64 bits. */
static inline const unsigned char *file_get_number(const unsigned char *at, const unsigned char *end, uint64_t *number)
{
    uint64_t got = 0;

    for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
        uint64_t bits = *at & 0x7f;
        if (shift == 63 && bits > 1) {
            return NULL;
        }
        got |= bits << shift;
        if (!(*at++ & 0x80)) {
            *number = got;
            return at;
        }
    }
    return NULL;
}

static inline uint64_t file_zigzag(uint64_t difference) { return difference << 1 ^ -(difference >> 63); }
static inline uint64_t file_unzigzag(uint64_t number) { return number >> 1 ^ -(number & 1); }

#endif
