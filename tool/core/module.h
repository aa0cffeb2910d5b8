/* core/module.h - the executable and the libraries of a dead process: where they lay, and their files of now.
 *
 *   mappings of one file --> ELF header in the core --> program headers, build-id --> is the file of now the same?
 *
 * What a core leaves out because it can be read from the files (code, constants) is read from there, if the file still has the
 * build-id that it had. Else the file counts as missing, and that is said.
 */
#ifndef ALLOT_CORE_MODULE_H
#define ALLOT_CORE_MODULE_H

#include <elf.h>

#include "core/file.h"

enum core_module_file {
    CORE_FILE_SAME,      /* by its build-id */
    CORE_FILE_UNCHECKED, /* the core or the file has no build-id to tell */
    CORE_FILE_MISSING,
    CORE_FILE_CHANGED, /* it has another build-id */
};

struct core_module {
    const char *path; /* as it was mapped */
    const char *file; /* where it is read: `path`, or what the user named */
    uint64_t from, to, bias;
    enum core_module_file state;
    bool program; /* the executable, not a library */
    unsigned char build_id[64];
    unsigned build_id_bytes;
    Elf64_Phdr *header;
    size_t headers;
    const unsigned char *map; /* the file of now, NULL where it does not serve */
    size_t bytes;
};

struct core_modules {
    struct core_module *module;
    size_t count;
};

/* `program`: the executable's file of now, or NULL for the one that the core names. False: out of memory. */
bool core_modules_find(struct core_modules *modules, const struct core_file *file, const char *program);
void core_modules_close(struct core_modules *modules);

/* The module that an address lies in, or NULL. */
const struct core_module *core_module_of(const struct core_modules *modules, uint64_t address);

#endif
