/* What the first bytes of a program file say about how the kernel would run it. */
#ifndef ALLOT_TOOL_PROGRAM_H
#define ALLOT_TOOL_PROGRAM_H

#include <limits.h>
#include <stdint.h>

enum program_kind {
    PROGRAM_UNKNOWN, /* not readable, damaged, or of a format that is for the kernel to judge */
    PROGRAM_TEXT,    /* neither ELF nor #!, but text: what a shell would hand to /bin/sh */
    PROGRAM_SCRIPT,  /* begins with #! */
    PROGRAM_FOREIGN, /* ELF of another class, byte order or machine than this command is */
    PROGRAM_STATIC,  /* ELF that asks for no dynamic loader, static-pie and the loader itself included */
    PROGRAM_DYNAMIC, /* ELF that asks for a dynamic loader */
};

struct program {
    enum program_kind kind;
    unsigned bits;              /* of FOREIGN: 32 or 64 */
    uint16_t machine;           /* of FOREIGN: EM_* */
    char interpreter[PATH_MAX]; /* of SCRIPT: after the #!; of DYNAMIC: the loader; else "" */
};

/* Reads headers only, never more than 64 KiB of them, and trusts none of their figures. */
void program_read(const char *path, struct program *out);

#endif
