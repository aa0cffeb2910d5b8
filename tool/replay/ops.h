/* replay/ops.h - a trace made ready to be replayed: what was asked of malloc, step by step, and nothing else.
 *
 *   trace events --> ops:  alloc(block 0, 24 B)  alloc(block 1, 4 KiB)  free(block 0)  alloc(block 0, 80 B)  resize(block 1, 8 KiB) ...
 *
 * Blocks are numbered densely, and a number is given again when its block has died: so few as ever lived at once, and who replays
 * needs an array of that length. Addresses are gone. Processes are put one after another unless one is chosen: each begins with
 * nothing live, as what is live at a process's end is freed there (marked, and not timed). Blocks from before recording began are
 * allocated first, from no known site.
 *
 * Ops lie in a file without a name, mapped: the kernel may write them out, 10 million take 160 MB, and a process that is started with
 * its descriptor reads them too.
 */
#ifndef ALLOT_REPLAY_OPS_H
#define ALLOT_REPLAY_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/trace.h"

enum op_kind {
    OP_ALLOC,
    OP_FREE,
    OP_RESIZE,
    OP_LEFT /* as OP_FREE, of what was still live at the end: no call of the program's */
};

struct op {
    uint32_t block;
    uint32_t site; /* the stack that asked, as in the trace: of OP_ALLOC and OP_RESIZE; 0: unknown */
    uint64_t size : 46, kind : 2, align : 6 /* log2; 0: malloc's own */,
        thread : 10 /* dense, those beyond share the last */;
};
_Static_assert(sizeof(struct op) == 16, "four to a line");

struct ops {
    const struct op *op;
    uint64_t count;
    uint64_t *time;  /* ns of each, or NULL: the trace has none */
    uint32_t blocks; /* numbers in use: at most so many live at once */
    uint32_t threads;
    uint64_t peak_live, peak_at; /* requested bytes, and the op after which they are live */
    uint64_t allocs, frees, resizes, largest;
    int fd; /* the file: struct ops_head (ops_file.h), ops, times */
};

/* Reads `trace` to its end. 0, or -1: it is broken, or no memory or disk: `error` says. `process` 0: all, one after another. `limit` 0: all
 * of it; else so many calls of the program's at most, and what they have left: *cut says whether there were more. `progress`: or NULL. */
int ops_read(struct trace *trace, uint32_t process, uint64_t limit, trace_progress *progress, struct ops *out,
             bool *cut, struct trace_error *error);
void ops_end(struct ops *ops);

#endif
