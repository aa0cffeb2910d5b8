/* core/made.h - a core file made by hand, of a few pages: a process with a stripped libc of one arena, whose heap a test fills chunk by
 * chunk.
 *
 *   libc:   | ELF header | RELRO-less globals: main_arena, mp_ | a root for the test |
 *   heap:   | chunk | chunk | ... | top |         two pages
 *   mapped: one chunk that was mapped for itself
 *   stack:  one page
 */
#ifndef TESTS_CORE_MADE_H
#define TESTS_CORE_MADE_H

#include <stddef.h>
#include <stdint.h>

enum { MADE_PAGE = 4096, MADE_BYTES = 9 * MADE_PAGE, MADE_HEAP_BYTES = 2 * MADE_PAGE, MADE_TID = 77 };
#define MADE_LIBC   0x7f1000000000ull
#define MADE_GLOBAL (MADE_LIBC + MADE_PAGE) /* and its page of globals */
#define MADE_ARENA  (MADE_GLOBAL + 0x100)
#define MADE_BASE   (MADE_GLOBAL + 0xa80) /* of mp_: where brk was at first */
#define MADE_ROOT   (MADE_GLOBAL + 0xf00) /* words for the test */
#define MADE_HEAP   0x555555560000ull
#define MADE_MAPPED 0x7e1000000000ull
#define MADE_STACK  0x7ffff0000000ull
#define MADE_SP     (MADE_STACK + 0x800)

struct made {
    unsigned char file[MADE_BYTES];
    size_t bytes;
    uint64_t end; /* of the chunks so far */
};

/* A core with an empty heap; the first chunk goes to MADE_HEAP. */
void made_begin(struct made *made);
/* A used chunk of that many bytes with its head; the address of what malloc gave. */
uint64_t made_chunk(struct made *made, uint64_t bytes);
/* One that is free: the next chunk does not say that it is used. */
uint64_t made_free(struct made *made, uint64_t bytes);
/* The rest of the heap becomes its top. */
void made_end(struct made *made);
/* A word of the process's memory. */
void made_put(struct made *made, uint64_t address, uint64_t word);
uint64_t made_get(const struct made *made, uint64_t address);

#endif
