/* preload/lost.c - see preload/lost.h. */
#define _GNU_SOURCE
#include "preload/lost.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "os/fault.h"
#include "os/noscan.h"
#include "preload/blocks.h"
#include "snap/foreign.h"

struct listing {
    struct graph_block *block;
    size_t count;
};

static bool list(void *arg, struct graph_block **block, size_t *count)
{
    struct listing *listing = arg;
    bool all = blocks_list(&listing->block, &listing->count);
    *block = listing->block;
    *count = listing->count;
    return all;
}

static void tell(void *r, const void *block, uint64_t retains, unsigned verdict)
{
    recorder_verdict(r, block, retains, verdict);
}

/* The minor version of libc, where it is glibc and the malloc that serves is its. */
static unsigned version_of_glibc(uintptr_t other_malloc)
{
    const char *(*version)(void) = (const char *(*)(void))dlsym(RTLD_DEFAULT, "gnu_get_libc_version");
    Dl_info libc, malloc_is;
    bool own = version && dladdr((const void *)version, &libc) && dladdr((const void *)other_malloc, &malloc_is) &&
               libc.dli_fbase == malloc_is.dli_fbase;
    return own && strncmp(version(), "2.", 2) == 0 ? (unsigned)strtoul(version() + 2, NULL, 10) : 0;
}

/* Threads that change the table wait, or are stopped outside of it. */
void lost_tell(struct recorder *r, uintptr_t other_malloc, uintptr_t sp)
{
    struct listing listing = {0};
    const struct snap_foreign of = {other_malloc, version_of_glibc(other_malloc), list, &listing};
    blocks_lock();
    bool told = snap_foreign_verdicts(&of, sp, tell, r);
    blocks_unlock();
    if (listing.block) {
        os_unmap_noscan(listing.block, blocks_list_bytes(listing.count));
    }
    if (!told) {
        os_say("record: memory is out, or threads cannot be listed; nothing is known of leaks");
    }
}
