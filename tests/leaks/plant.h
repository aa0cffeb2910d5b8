/* leaks/plant.h - what programs with planted leaks share: what is expected of each planted block, told on standard output, a line
 * each, when all are planted.
 *
 *   definite 0x7f...:48          its verdict, address and size as it was asked for
 *   circle-3 0x7f...:32          of all blocks of circle 3 one is definite, the others are indirect
 *   ready
 *
 * Then the program does as its argument says: `exit` ends by exit(0) from within; `wait` allocates now and then until standard
 * input ends; `abort` dies and leaves a core; `grow` is `wait` that for each line of input makes its containers grow.
 * Addresses are kept as complements, so the table holds nothing.
 */
#ifndef LEAKS_PLANT_H
#define LEAKS_PLANT_H

#include <stddef.h>

/* p is planted; gives p. */
void *expect(const char *verdict, void *p, size_t size);
/* A block of malloc's, all of its bytes 1, so that none is an address. */
void *plant(const char *verdict, size_t size);

/* Overwrites what calls have left on the stack, and in registers. */
void scrub(void);

/* Prints what is expected and goes on as `how` says. `grow` may be NULL. */
void finish(const char *how, void (*grow)(void));

#endif
