/* heap/bind.c - the toolkit's way to find a drop-in that is in the process already. See heap/instance.h. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>

#include "heap/instance.h"
#include "os/fault.h"

/* A static program has no dynamic linker to ask, and no second copy to find. */
#pragma weak dlsym

const struct instance *instance_find(void)
{
    const struct instance *first = dlsym ? dlsym(RTLD_DEFAULT, "allot_instance") : NULL;
    if (!first || first == &own_instance) {
        return NULL;
    }
    if (first->abi != INSTANCE_ABI) {
        os_say(
            "the preloaded library and the linked one are of versions that cannot share a process (%u and %u): use one "
            "version of allot",
            first->abi, INSTANCE_ABI);
        abort();
    }
    return first;
}

/* A program may use parts that have no need of the heap, and what these know is to be known. */
__attribute__((constructor)) static void bind_early(void) { instance_in_use(); }
