/* snap/own.c - this process's own allot heap, for who looks at the process: where it is, and that it stands still. */
#include "heap/sample.h"
#include "snap/self.h"

const struct core_desc *snap_self_desc(void)
{
    return atomic_load_explicit(&own_core_desc.in_use, memory_order_acquire) ? &own_core_desc : NULL;
}

struct os_threads snap_stop(uintptr_t sp)
{
    sample_lock();
    return os_stop(sp);
}

void snap_go(void)
{
    os_go();
    sample_unlock();
}

static bool find_areas(void *arg, struct snap_self *self, const struct image *own)
{
    (void)arg;
    return snap_self_desc() && snap_areas(own, (uintptr_t)snap_self_desc(), &self->areas) == SNAP_OK;
}

bool snap_self_begin(struct snap_self *self, const struct os_threads *threads, const void *apart, size_t apart_bytes)
{
    return snap_self_make(self, threads, apart, apart_bytes, find_areas, NULL);
}
