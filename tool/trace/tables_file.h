/* tables_file.h - modules, frames and nodes as they stand in a file: a frame of tables (docs/format.md).
 *
 *   raw payload: | bytes of each column, 4 bytes each | column 0 | column 1 | ...        count of the frame's head: nodes
 *
 * A node's first byte: how many steps out from the node before its parent is; or TABLE_BY_NUMBER; and what its frame is: the next
 * one of the file that no node had, the one that the last node below a node of the parent's frame had, or a number. Nodes are
 * numbered from 1 through the whole file, frames and modules from 0. What has no parent counts as below frame 0 in this.
 */
#ifndef ALLOT_TRACE_TABLES_FILE_H
#define ALLOT_TRACE_TABLES_FILE_H

#include "trace/columns.h"

enum table_column {
    TABLE_MODULE,       /* numbers start, end, bias, bytes of build-id; build-id; bytes of path; path */
    TABLE_FRAME_MODULE, /* numbers: 1 + module, 0: none */
    TABLE_FRAME_OFFSET, /* numbers */
    TABLE_NODE,         /* a byte a node */
    TABLE_NODE_PARENT,  /* numbers: how many nodes before this one */
    TABLE_NODE_FRAME,   /* numbers */
    TABLE_COLUMNS,
};
enum {
    TABLE_BY_NUMBER = 63,
    TABLE_FRAME_FRESH = 64,
    TABLE_FRAME_EXPECTED = 128,
};
#define TABLES_IDS_MOST (64u << 20) /* numbers of a process's nodes */

#endif
