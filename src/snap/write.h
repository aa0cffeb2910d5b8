/* snap/write.h - a process that looks at itself writes a snapshot (snap/format.h). Allocates from the system only; no lock. */
#ifndef SNAP_WRITE_H
#define SNAP_WRITE_H

#include "snap/self.h"

/* 0 or -errno. */
int snap_write(int fd, const struct snap_self *self, uint32_t flags);

#endif
