/* What one file with code knows of an address: for symbols.c only. Opened when it is first asked. */
#ifndef ALLOT_TOOL_SYMBOLS_FILE_H
#define ALLOT_TOOL_SYMBOLS_FILE_H

#include "symbols.h"

#define SYMBOLS_DEEPEST 64 /* functions inlined in one another */

struct symbols_file;
struct symbols_file *symbols_file_open(const char *path, const unsigned char *build_id, unsigned build_id_bytes);
void symbols_file_close(struct symbols_file *file);
bool symbols_file_is(const struct symbols_file *file, const char *path, const unsigned char *build_id,
                     unsigned build_id_bytes);

/* Frames innermost first, at least one, SYMBOLS_DEEPEST at most. Names mangled, in `symbol`; texts good until the file is asked
 * again. */
size_t symbols_file_find(struct symbols_file *file, uint64_t offset, struct symbol_frame *out);

/* Its path when it has been asked, and has another build-id now, and was not found elsewhere; else NULL. */
const char *symbols_file_changed(const struct symbols_file *file);

#endif
