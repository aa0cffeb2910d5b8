/* probe/elf.h - a loaded object, as its own headers tell of it: nothing is read but what they say is mapped.
 */
#ifndef PROBE_ELF_H
#define PROBE_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ELF_PAGE = 4096 }; /* the smallest there is */

/* The program headers of an object, as addresses of this process. */
struct elf {
    uintptr_t bias, start, end;
    uintptr_t frame_header, dynamic; /* 0: none */
    unsigned notes, loads;
    struct {
        uintptr_t start, end;
    } load[8], note[4]; /* what of the file is mapped, readable */
};

/* Where the program's ELF header is, 0 when that is not known. */
uintptr_t elf_program(void);

/* Given where its ELF header is. False when there is none, or its program headers are not in the first page; the program's may be
 * anywhere. */
bool elf_read(uintptr_t head, struct elf *elf);

/* Where the program headers are of one that could be read. */
uintptr_t elf_headers(uintptr_t head);

/* The end of the part of the file that is mapped at an address, 0 when none is. */
uintptr_t elf_mapped_until(const struct elf *elf, uintptr_t address);

/* Where in its first page the note with its build id is; 0 when there is none, or elsewhere. */
uintptr_t elf_build_id(const struct elf *elf);

/* The function that others may link to, and `address` lies in; 0 when there is none. The name is cut to `size`. */
uintptr_t elf_function_at(const struct elf *elf, uintptr_t address, char *name, size_t size);

/* Where the next entry of a function of this name is in the table of symbols, from entry *next on, which is moved; 0: there is no more. */
uintptr_t elf_entry_named(const struct elf *elf, const char *name, size_t *next);

/* The function of this name; 0 when there is none. */
uintptr_t elf_function_named(const struct elf *elf, const char *name);

#endif
