/* pool/single.h - objects that are too long for a slab's slots: whole pages each, of their own.
 *
 *   one[]   sorted by address: where it lies, and whether it is out        free[]   those that are not; the last one put
 *                                                                                   is the first out
 *
 * For the larger ones that is a page run, above 2 MiB a mapping (span). What is put stays for the next get as long as there are no
 * more than `keep` such. A get or put costs a search in the table, and moves it when an object is made or goes: not for many
 * thousands. Its owner, or who holds the lock.
 */
#ifndef POOL_SINGLE_H
#define POOL_SINGLE_H

#include <stdbool.h>
#include <stddef.h>

#include "pool/set.h"

struct single {
    char *at;
    bool out;
};

struct singles {
    struct single *one;
    char **free;
    size_t count, free_count, room; /* room: of both tables */
    size_t keep, most;
    size_t each, align; /* bytes of one; as it was asked for until the first is made */
};

void singles_init(struct singles *all, size_t size, size_t align, size_t keep);
void *single_take(struct singles *all, struct set *set, bool lowest);
void single_put(struct singles *all, struct set *set, void *p);
/* 0, or what is wrong. */
int singles_reserve(struct singles *all, struct set *set, size_t objects);
/* Those that are free go, but for so many; returns the bytes. */
size_t singles_trim(struct singles *all, struct set *set, size_t keep);
bool single_is_out(const struct singles *all, const void *p);
size_t singles_count(const struct singles *all);
int singles_walk(const struct singles *all, int (*visit)(void *object, void *arg), void *arg);
/* None is out any more. */
void singles_done(struct singles *all, struct set *set);
bool singles_check(const struct singles *all, const struct set *set);

#endif
