/* page/owners.h - who holds which rows and pages: for map.c only. */
#ifndef ALLOT_PAGE_OWNERS_H
#define ALLOT_PAGE_OWNERS_H

#include "page/map.h"

/* Goes over all live blocks where it is worth it, at the end of the interval. */
void owners_if_due(struct map *map, struct profile *profile, uint32_t interval);

#endif
