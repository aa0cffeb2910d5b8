/* snapshot/recorded.h - where a snapshot's lost blocks were allocated, by a trace of the same process, of then and up to now.
 *
 *   snapshot: block 0x7f..40, definite        trace: a 0x7f..40 48 s=7 ... (never freed)        its stack: 7
 *
 * What is lost is never freed, so what the trace says last of its address is what it is: exact, whenever the snapshot was taken, for what
 * was allocated while the trace was written. Of blocks that may be in use nothing is said, as they may have been freed since.
 * Of several processes in the trace it is the one that has most of them.
 *
 * A look at each event; memory follows the lost blocks.
 */
#ifndef ALLOT_SNAPSHOT_RECORDED_H
#define ALLOT_SNAPSHOT_RECORDED_H

#include "snapshot/snapshot.h"
#include "symbols.h"

struct recorded;

/* NULL, and it is complained: it cannot be read, or memory is out. */
struct recorded *recorded_read(const char *path, const struct snapshot *s);
void recorded_end(struct recorded *recorded);

/* The frames of a lost block's stack, innermost first: how many were written, `most` at most; 0: it is not known. Good until
 * recorded_end. */
size_t recorded_stack(struct recorded *recorded, uint64_t address, struct symbol_frame *out, size_t most);

#endif
