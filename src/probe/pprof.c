/* probe/pprof.c - see probe/pprof.h. A message within another goes out behind its length, so that is reckoned first.
 *
 *   Profile: 1 ValueType*  2 Sample*  3 Mapping*  4 Location*  5 Function*  6 string*
 *            7 what is left out  9 time  10 duration  11 ValueType  12 period  13 comment*  14 default type
 */
#include "probe/pprof.h"

#include <string.h>

enum { VARINT, TEXT = 2 }; /* protobuf's wire types */
enum {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE,
    PROFILE_MAPPING,
    PROFILE_LOCATION,
    PROFILE_FUNCTION,
    PROFILE_STRING,
    PROFILE_DROP,
    PROFILE_TIME = 9,
    PROFILE_DURATION,
    PROFILE_PERIOD_TYPE,
    PROFILE_PERIOD,
    PROFILE_COMMENT,
    PROFILE_DEFAULT_TYPE
};

/* -- bytes -- */

static void hand_on(struct pprof *p)
{
    if (p->held && !p->failed && !p->sink(p->arg, p->buffer, p->held)) {
        p->failed = true;
    }
    p->held = 0;
}

static void put_bytes(struct pprof *p, const void *bytes, size_t length)
{
    const char *from = bytes;
    while (length) {
        size_t room = sizeof p->buffer - p->held, n = length < room ? length : room;
        memcpy(p->buffer + p->held, from, n);
        p->held += n;
        from += n;
        length -= n;
        if (p->held == sizeof p->buffer) {
            hand_on(p);
        }
    }
}

static size_t varint_length(uint64_t value) { return (size_t)(63 - __builtin_clzll(value | 1)) / 7 + 1; }

static void put_varint(struct pprof *p, uint64_t value)
{
    unsigned char bytes[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7) {
        bytes[n++] = (unsigned char)(value | 0x80);
    }
    bytes[n++] = (unsigned char)value;
    put_bytes(p, bytes, n);
}

static void put_key(struct pprof *p, unsigned field, unsigned type) { put_varint(p, field << 3 | type); }

/* -- fields: all have numbers below 16, so keys are one byte. What is 0 is left out, which means the same. -- */

static size_t number_length(uint64_t value) { return value ? 1 + varint_length(value) : 0; }

static void put_number(struct pprof *p, unsigned field, uint64_t value)
{
    if (value) {
        put_key(p, field, VARINT);
        put_varint(p, value);
    }
}

static void put_head(struct pprof *p, unsigned field, size_t length)
{
    put_key(p, field, TEXT);
    put_varint(p, length);
}

static size_t framed(size_t length) { return 1 + varint_length(length) + length; }

/* A message of numbers only, those of the fields from 1 on. */
static size_t numbers_length(const uint64_t *values, unsigned count)
{
    size_t length = 0;
    for (unsigned i = 0; i < count; i++) {
        length += number_length(values[i]);
    }
    return length;
}

static void put_numbers(struct pprof *p, unsigned field, const uint64_t *values, unsigned count)
{
    put_head(p, field, numbers_length(values, count));
    for (unsigned i = 0; i < count; i++) {
        put_number(p, i + 1, values[i]);
    }
}

/* Numbers packed into one field. */
static size_t packed_length(const uint64_t *values, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        length += varint_length(values[i]);
    }
    return length;
}

static void put_packed(struct pprof *p, unsigned field, const uint64_t *values, size_t count)
{
    put_head(p, field, packed_length(values, count));
    for (size_t i = 0; i < count; i++) {
        put_varint(p, values[i]);
    }
}

/* -- the profile -- */

static void put_string(struct pprof *p, const char *text)
{
    size_t length = strlen(text);
    put_head(p, PROFILE_STRING, length);
    put_bytes(p, text, length);
}

void pprof_begin(struct pprof *p, pprof_sink *sink, void *arg)
{
    p->sink = sink;
    p->arg = arg;
    p->failed = false;
    p->types = 0;
    p->strings = 0;
    p->held = 0;
    put_string(p, "");
}

bool pprof_end(struct pprof *p)
{
    hand_on(p);
    return !p->failed;
}

uint64_t pprof_string(struct pprof *p, const char *text)
{
    if (!text || !*text) {
        return 0;
    }
    put_string(p, text);
    return ++p->strings;
}

static void put_value_type(struct pprof *p, unsigned field, const char *type, const char *unit)
{
    uint64_t texts[2];
    texts[0] = pprof_string(p, type);
    texts[1] = pprof_string(p, unit);
    put_numbers(p, field, texts, 2);
}

void pprof_sample_type(struct pprof *p, const char *type, const char *unit)
{
    put_value_type(p, PROFILE_SAMPLE_TYPE, type, unit);
    p->types++;
}

void pprof_heap_types(struct pprof *p)
{
    pprof_sample_type(p, "alloc_objects", "count");
    pprof_sample_type(p, "alloc_space", "bytes");
    pprof_sample_type(p, "inuse_objects", "count");
    pprof_sample_type(p, "inuse_space", "bytes");
    pprof_default_type(p, "inuse_space");
}

void pprof_default_type(struct pprof *p, const char *type)
{
    put_number(p, PROFILE_DEFAULT_TYPE, pprof_string(p, type));
}

void pprof_period(struct pprof *p, const char *type, const char *unit, int64_t period)
{
    put_value_type(p, PROFILE_PERIOD_TYPE, type, unit);
    put_number(p, PROFILE_PERIOD, (uint64_t)period);
}

void pprof_time(struct pprof *p, int64_t unix_ns, int64_t duration_ns)
{
    put_number(p, PROFILE_TIME, (uint64_t)unix_ns);
    put_number(p, PROFILE_DURATION, (uint64_t)duration_ns);
}

void pprof_comment(struct pprof *p, const char *text) { put_number(p, PROFILE_COMMENT, pprof_string(p, text)); }

void pprof_drop(struct pprof *p, const char *names) { put_number(p, PROFILE_DROP, pprof_string(p, names)); }

void pprof_mapping(struct pprof *p, const struct pprof_mapping *m)
{
    const uint64_t fields[] = {m->id,       m->start,         m->limit,     m->offset,    m->file,
                               m->build_id, m->has_functions, m->has_files, m->has_lines, m->has_inlined};
    put_numbers(p, PROFILE_MAPPING, fields, sizeof fields / sizeof fields[0]);
}

void pprof_function(struct pprof *p, uint64_t id, uint64_t name, uint64_t system_name, uint64_t file, int64_t line)
{
    const uint64_t fields[] = {id, name, system_name, file, (uint64_t)line};
    put_numbers(p, PROFILE_FUNCTION, fields, sizeof fields / sizeof fields[0]);
}

void pprof_location(struct pprof *p, uint64_t id, uint64_t mapping, uint64_t address, const struct pprof_line *lines,
                    size_t count)
{
    enum { LOCATION_LINE = 4 };
    const uint64_t fields[] = {id, mapping, address};
    size_t length = numbers_length(fields, 3);
    for (size_t i = 0; i < count; i++) {
        const uint64_t line[] = {lines[i].function, (uint64_t)lines[i].line};
        length += framed(numbers_length(line, 2));
    }
    put_head(p, PROFILE_LOCATION, length);
    for (unsigned i = 0; i < 3; i++) {
        put_number(p, i + 1, fields[i]);
    }
    for (size_t i = 0; i < count; i++) {
        const uint64_t line[] = {lines[i].function, (uint64_t)lines[i].line};
        put_numbers(p, LOCATION_LINE, line, 2);
    }
}

void pprof_sample(struct pprof *p, const uint64_t *locations, size_t depth, const int64_t *values,
                  const struct pprof_label *labels, size_t label_count)
{
    enum { SAMPLE_LOCATION = 1, SAMPLE_VALUE, SAMPLE_LABEL };
    const uint64_t *numbers = (const uint64_t *)values;
    size_t length = framed(packed_length(locations, depth)) + framed(packed_length(numbers, p->types));
    for (size_t i = 0; i < label_count; i++) {
        length += framed(numbers_length((const uint64_t *)&labels[i], 4));
    }
    put_head(p, PROFILE_SAMPLE, length);
    put_packed(p, SAMPLE_LOCATION, locations, depth);
    put_packed(p, SAMPLE_VALUE, numbers, p->types);
    for (size_t i = 0; i < label_count; i++) {
        put_numbers(p, SAMPLE_LABEL, (const uint64_t *)&labels[i], 4);
    }
}

_Static_assert(sizeof(struct pprof_label) == 4 * sizeof(uint64_t), "a label is its fields, in their order");

void pprof_build_id(char out[PPROF_BUILD_ID], const unsigned char *id, size_t length, const char *path)
{
    enum { MOST = (PPROF_BUILD_ID - 1) / 2 };
    unsigned char made[16];
    if (length == 0) { /* FNV-1a, of the path and of that once more */
        uint64_t h = 0xcbf29ce484222325u;
        for (size_t i = 0; i < sizeof made; i++) {
            for (const char *c = path; i % 8 == 0 && *c; c++) {
                h = (h ^ (unsigned char)*c) * 0x100000001b3u;
            }
            made[i] = (unsigned char)(h >> (i % 8 * 8));
        }
        id = made;
        length = sizeof made;
    }
    length = length < MOST ? length : MOST;
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = "0123456789abcdef"[id[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[id[i] & 15];
    }
    out[2 * length] = 0;
}
