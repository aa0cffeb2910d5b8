/* core/file.h - an ELF core file, taken apart: which memory it has, which files were mapped where, and each thread's registers.
 *
 *   core:  | ELF header | program headers | notes: threads, files, auxv | memory of PT_LOAD, PT_LOAD ... |
 *                                                                                        ^ a truncated core ends early
 *
 * The file is mapped, never copied. Nothing in it is believed: each offset and count is compared with the file's length before it
 * is used, and a core that contradicts itself gets one line that names the byte. A core that only ends early is read as far as
 * it goes; what is missing is known by its addresses. x86-64 and arm64, little-endian.
 */
#ifndef ALLOT_CORE_FILE_H
#define ALLOT_CORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One line: what, at which byte. */
struct core_error {
    char line[256];
};

/* Memory of the process. `bytes` of it, from its beginning, are in the core; the rest was not dumped, or is cut off. */
struct core_segment {
    uint64_t from, to;
    uint64_t bytes;
    const unsigned char *at; /* where those bytes are */
    uint32_t flags;          /* PF_R, PF_W, PF_X */
    uint32_t cut;            /* 1: the file should have had more of it */
};

struct core_mapping {
    uint64_t from, to;
    uint64_t offset; /* in the file, bytes */
    const char *path;
};

struct core_thread {
    int tid;
    uint64_t stack, code, local; /* stack pointer, program counter, thread pointer (fs_base, tpidr); 0: unknown */
    uint64_t *word;              /* all its registers, the vector ones included, as words */
    size_t words;
};

/* Segments and mappings are by address and do not overlap. */
struct core_file {
    const unsigned char *map;
    size_t bytes;
    bool mapped;      /* by core_file_open, whose it is to unmap */
    unsigned machine; /* EM_X86_64, EM_AARCH64 */
    int signal;       /* that ended it; 0: none, as in a core that a debugger made */
    int pid;
    uint64_t page;
    uint64_t program_headers, program_headers_count, entry, interpreter,
        random; /* as the kernel told the process: AT_PHDR ... */
    struct core_segment *segment;
    size_t segments;
    struct core_mapping *mapping;
    size_t mappings;
    struct core_thread *thread;
    size_t threads;
};

/* Also from memory that is nobody's file: `map` stays the caller's and must stay. */
bool core_file_parse(struct core_file *file, const unsigned char *map, size_t bytes, struct core_error *error);
bool core_file_open(struct core_file *file, const char *path, struct core_error *error);
void core_file_close(struct core_file *file); /* of an opened one unmaps it too */

/* Whether a file begins as a core does. */
bool core_file_is(const char *path);

/* The segment or mapping that an address lies in, or NULL. */
const struct core_segment *core_segment_of(const struct core_file *file, uint64_t address);
const struct core_mapping *core_mapping_of(const struct core_file *file, uint64_t address);

#endif
