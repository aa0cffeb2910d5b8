/* snap/describe.c - the one struct that tells a stranger where this process's heap is. See heap/describe.h. */
#include "heap/describe.h"

#include "heap/guard.h"
#include "heap/heap.h"
#include "heap/instance.h"
#include "heap/part.h"
#include "heap/seal.h"
#include "heap/tag.h"
#include "os/memory.h"
#include "os/owned.h"
#include "snap/layout.h"
#include "span/large.h"
#include "span/run.h"

struct core_desc own_core_desc = {
    .magic = {'a', 'l', 'l', 'o', 't', ' ', 'c', 'o', 'r', 'e', ' ', 'd', 'e', 's', 'c', '\n'},
    .self = &own_core_desc,
    .version = CORE_DESC_VERSION,
    .bytes = sizeof(struct core_desc),
    .abi = INSTANCE_ABI,
    .page = &os_page,
    .segments = &segments_list,
    .heaps = &heaps_list,
    .epoch = &heaps_epoch,
    .fronts = &fronts_list,
    .large = &large_list,
    .kept = large_kept_list,
    .kept_count = &large_kept_count,
    .deferred = &large_deferred,
    .guards = guard_places,
    .guard_count = &guard_places_count,
    .parts = parts_table,
    .tags = tags_table,
    .hardening = &hardening,
    .secret = seal_secret,
    .known = &os_known,
};

void core_desc_begin(void)
{
    own_core_desc.layout = snap_layout();
    atomic_store_explicit(&own_core_desc.in_use, 1, memory_order_release);
}

extern ALLOT_API struct core_desc allot_core_desc __attribute__((alias("own_core_desc")));
