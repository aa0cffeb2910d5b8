/* What an address is in words: function, the functions inlined there, file and line. After the fact, from the files that the
 * addresses lay in, found by path and held to their build-id; never in the process that is looked at.
 *
 *   (module, offset) --> parse_line   parse.h:12   inlined
 *                        read_all     read.c:88
 *
 * Where a file has changed since, or is not there, what has its build-id is looked for: under /usr/lib/debug, and where
 * DEBUGINFOD_URLS is set, at those servers. A file that tells nothing gives frames that have only module and offset.
 *
 * Each address is looked up once. One thread. Names come from files that may be hostile: print them by words_put only.
 */
#ifndef ALLOT_TOOL_SYMBOLS_H
#define ALLOT_TOOL_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symbol_frame {
    const char *function; /* demangled; NULL: unknown */
    const char *symbol;   /* as the file has it, mangled; NULL: as function */
    const char *file;     /* as the compiler was told it; NULL: unknown */
    const char *module;   /* path of the file that holds the code; NULL: unknown */
    uint64_t offset;      /* in the module's file, or the pc where the module is unknown */
    uint32_t line;        /* 0: unknown */
    bool inlined;         /* into the frame behind it */
};

struct symbols;
struct symbols *symbols_begin(void); /* NULL: out of memory */
void symbols_end(struct symbols *symbols);

/* A file that code lies in: the same number for the same path and build-id. -1: out of memory. */
int symbols_module(struct symbols *symbols, const char *path, const unsigned char *build_id, unsigned build_id_bytes);

/* What is called at `offset` (of module -1: a pc of which nothing is known): the frames, innermost first, in *out, good until
 * symbols_end. `returns`: it is the address that a call returns to, so the call is what stands before it. At least 1, or 0: out
 * of memory. */
size_t symbols_find(struct symbols *symbols, int module, uint64_t offset, bool returns,
                    const struct symbol_frame **out);

/* The same of what the format itself tells (trace.h), which needs no file. */
size_t symbols_known(struct symbols *symbols, const char *function, const char *file, uint32_t line, const char *module,
                     uint64_t offset, const struct symbol_frame **out);

/* Files that are no longer what they were: how many modules asked for had another build-id than the file of now, and none was found
 * elsewhere; and the path of one, or NULL. */
size_t symbols_changed(const struct symbols *symbols, const char **path);

/* `name` without its mangling, which is C++'s or Rust's (both of its kinds); NULL: it has none, or memory is out. To be freed. */
char *symbols_demangle(const char *name);

#endif
