/* parcel.h - blocks that say themselves how long they are and what is in them, so that any thread, or a forked child, can
 * check and free what another has made.
 */
#ifndef TESTS_PARCEL_H
#define TESTS_PARCEL_H

#include <stdint.h>

/* A parcel of a random size by a random function of the family: mostly small, now and then up to some MiB. Each thread
 * has a random state of its own. */
void *parcel_make(uint64_t *random);

/* The same of a size given, at least 16 bytes. */
void *parcel_make_sized(uint64_t *random, size_t size);

/* Moves a parcel to another random size. */
void *parcel_resize(void *parcel, uint64_t *random);

/* Aborts unless the parcel is as it was made. */
void parcel_verify(const void *parcel);

/* Verifies it and frees it; NULL is ignored. */
void parcel_free(void *parcel);

#endif
