/* map/blocks.h - a picture out of a block list: of a snapshot, or of a core. Who has a block: the place that its stack names where that is
 * known, else its class, else whose it is and its size.
 */
#ifndef ALLOT_MAP_BLOCKS_H
#define ALLOT_MAP_BLOCKS_H

#include "core/dead.h"
#include "map/picture.h"
#include "snapshot/snapshot.h"

/* False: out of memory. */
bool picture_of_snapshot(const struct snapshot *s, uint32_t rows, struct picture *out);
bool picture_of_core(const struct dead *dead, uint32_t rows, struct picture *out);

#endif
