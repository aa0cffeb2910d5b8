/* os/fault.h - words to the person at the terminal. Nothing here allocates or needs stdio's streams. */
#ifndef OS_FAULT_H
#define OS_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is done between that line and the end, when somebody has set it. */
extern void (*os_after_fault)(void);

/* A crime that many parts name. */
extern const char fault_free_of_none[];

/* Ends the process after one line that names the crime, the object and the address. */
void allot_fault(const char *crime, const char *object, const void *address) __attribute__((noreturn, cold));

void allot_fault_block(const char *crime, const char *kind, size_t bytes, const void *address)
    __attribute__((noreturn, cold));

/* One line "allot: ..." on standard error. */
void os_say(const char *format, ...) __attribute__((format(printf, 1, 2), cold));

/* Writes all of it, or as much as the descriptor takes: 0 or -errno. */
int os_write(int fd, const char *text, size_t length);

/* A broken invariant is a bug of this library or memory that somebody overwrote; allot_check looks for them. */
#define CHECK(condition, object, address)                        \
    do {                                                         \
        if (__builtin_expect(!(condition), 0)) {                 \
            allot_fault("broken: " #condition, object, address); \
        }                                                        \
    } while (0)

#endif
