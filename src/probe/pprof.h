/* probe/pprof.h - a profile in pprof's format, profile.proto, as it is known: written piece by piece, nothing is kept.
 *
 *   sample types | strings, mappings, functions, locations, samples in any order | time, period
 *
 * The format is a protobuf message whose fields may come in any order, so each piece goes out when it is told, and what refers to
 * another does so by a number that the caller chose (from 1), or, for a text, by the one that pprof_string gave. Not compressed;
 * readers take that as well as gzip. Allocates nothing, calls nothing but the sink: for use in any process.
 *
 * Every location has to have a mapping, and every mapping a build id: there are readers that crash without (pprof_build_id makes
 * one for what has none).
 */
#ifndef PROBE_PPROF_H
#define PROBE_PPROF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Takes all of it, or says false; is not called any more then. */
typedef bool pprof_sink(void *arg, const void *bytes, size_t length);

#define PPROF_BUFFER     4096
#define PPROF_TYPES_MOST 16

struct pprof {
    pprof_sink *sink;
    void *arg;
    bool failed;
    unsigned types;   /* of samples, told so far: as many values has each */
    uint64_t strings; /* told so far; 0 is "" */
    size_t held;      /* bytes in: */
    unsigned char buffer[PPROF_BUFFER];
};

/* Begins; and hands on what is held: false when the sink did not take everything. */
void pprof_begin(struct pprof *p, pprof_sink *sink, void *arg);
bool pprof_end(struct pprof *p);

/* A text's number, from 1; 0 for "" and NULL. The same text told twice has two, which is no error but a waste. */
uint64_t pprof_string(struct pprof *p, const char *text);

/* What the values of samples are, one by one, ahead of the first sample: its name and unit. */
void pprof_sample_type(struct pprof *p, const char *type, const char *unit);
/* Those of a heap profile, in the order and under the names that its readers know: alloc_objects, alloc_space, inuse_objects,
 * inuse_space; which one is shown unless another is asked for, is the last. */
enum { PPROF_ALLOC_OBJECTS, PPROF_ALLOC_SPACE, PPROF_INUSE_OBJECTS, PPROF_INUSE_SPACE, PPROF_HEAP_TYPES };
void pprof_heap_types(struct pprof *p);

/* Once each, if at all. */
void pprof_default_type(struct pprof *p, const char *type);
void pprof_period(struct pprof *p, const char *type, const char *unit, int64_t period);
void pprof_time(struct pprof *p, int64_t unix_ns, int64_t duration_ns);
void pprof_comment(struct pprof *p, const char *text);
/* Functions whose whole name matches (RE2) are left out by readers, and what they call as well: of an allocator, its own. */
void pprof_drop(struct pprof *p, const char *names);

/* A part of a file that was mapped. Texts are numbers of pprof_string. What is resolved says that its locations have functions and
 * lines, so that nobody tries to find them again. */
struct pprof_mapping {
    uint64_t id, start, limit, offset;
    uint64_t file, build_id;
    bool has_functions, has_files, has_lines, has_inlined;
};
void pprof_mapping(struct pprof *p, const struct pprof_mapping *mapping);

/* `system_name`: as linkers know it. */
void pprof_function(struct pprof *p, uint64_t id, uint64_t name, uint64_t system_name, uint64_t file, int64_t line);

/* An address; where a call returns to, less one. With its lines, an inlined function before who it is inlined into. */
struct pprof_line {
    uint64_t function;
    int64_t line;
};
void pprof_location(struct pprof *p, uint64_t id, uint64_t mapping, uint64_t address, const struct pprof_line *lines,
                    size_t count);

/* A text, or, when that is 0, a number with a unit or 0. */
struct pprof_label {
    uint64_t key, text;
    int64_t number;
    uint64_t unit;
};
/* Locations, innermost first; as many values as there are sample types. */
void pprof_sample(struct pprof *p, const uint64_t *locations, size_t depth, const int64_t *values,
                  const struct pprof_label *labels, size_t label_count);

/* A build id in hexadecimal digits, cut to 40 of these; of a file without one (length 0) made of its path. */
#define PPROF_BUILD_ID 41
void pprof_build_id(char out[PPROF_BUILD_ID], const unsigned char *id, size_t length, const char *path);

#endif
