/* behind.h - puts snapshots behind the end of a trace that has been written (trace/behind.h). */
#ifndef ALLOT_RECORD_BEHIND_H
#define ALLOT_RECORD_BEHIND_H

/* Those of the files in a folder, which are removed, and the folder with them. `trace` NULL: they go nowhere. 0, or -errno of the trace: it
 * is whole, but for snapshots, up to its end. */
int behind_put(const char *trace, const char *folder);

#endif
