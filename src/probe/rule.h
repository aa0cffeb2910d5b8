/* probe/rule.h - a row of call frame information in one word: what a walk needs to get from most frames to their callers.
 *
 *   bits   4 kind | 16 return address | 16 frame pointer | 28 CFA        offsets, signed, in words
 *
 * Return address and frame pointer are where they are saved, from the CFA; 0: they are still in their registers.
 */
#ifndef PROBE_RULE_H
#define PROBE_RULE_H

#include <stdint.h>

#include "probe/cfi.h"

enum rule_kind {
    NONE,
    FROM_SP, /* the CFA is stack pointer + offset */
    FROM_FP, /* ... frame pointer + offset */
    AT_FP, /* ... saved at frame pointer + offset; the frame pointer, where it points. So are frames that were aligned */
    SIGNAL, /* a signal's handler returns to here */
    BARE,   /* there is no call frame information */
    LAST,   /* there is no caller */
    HARD,   /* for walk_fully */
};

static inline enum rule_kind kind_of(uint64_t rule) { return rule & 15; }
static inline intptr_t rule_return(uint64_t rule) { return (int16_t)(rule >> 4) * (intptr_t)sizeof(uintptr_t); }
static inline intptr_t rule_fp(uint64_t rule) { return (int16_t)(rule >> 20) * (intptr_t)sizeof(uintptr_t); }
static inline intptr_t rule_cfa(uint64_t rule) { return ((int64_t)rule >> 36) * (intptr_t)sizeof(uintptr_t); }

/* HARD when it does not fit. */
uint64_t rule_of_row(const struct cfi_image *image, const struct cfi_row *row);

#endif
