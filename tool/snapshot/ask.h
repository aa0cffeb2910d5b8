/* snapshot/ask.h - questions about a snapshot, answered on standard output: of one block, and of all by owner and by type. */
#ifndef ALLOT_SNAPSHOT_ASK_H
#define ALLOT_SNAPSHOT_ASK_H

#include "snapshot/names.h"

enum snapshot_question { ASK_SNAP_NOTHING, ASK_SNAP_WHO, ASK_SNAP_PATH, ASK_SNAP_RETAINED, ASK_SNAP_LIST };

/* The exit status; -1: memory is out. */
int snapshot_ask(const struct snapshot *s, enum snapshot_question what, uint64_t address, bool json);

const char *snapshot_verdict(unsigned verdict);

#endif
