/* page/memory.c - memory as a store: a table of pages, each a block of its own, made when it is written. A page that never was is
 * zeros. */
#include <errno.h>
#include <string.h>

#include <allot/malloc.h>

#include "page/pager.h"
#include "page/store.h"

struct memory {
    struct table page; /* words that are addresses */
    size_t most;
    _Atomic size_t held; /* bytes */
};

static void *address(entry *at) { return at ? (void *)(uintptr_t)atomic_load(at) : NULL; }

static int memory_read(void *self, uint64_t page, size_t size, void *const *into, size_t count)
{
    struct memory *m = self;
    for (size_t i = 0; i < count; i++) {
        const void *from = page + i < ALLOT_PAGER_PAGES ? address(table_find(&m->page, page + i)) : NULL;
        if (from) {
            memcpy(into[i], from, size);
        } else {
            memset(into[i], 0, size);
        }
    }
    return 0;
}

static void *block_of(struct memory *m, uint64_t page, size_t size, int *wrong)
{
    entry *at = page < ALLOT_PAGER_PAGES ? table_make(&m->page, page) : NULL;
    void *block = address(at);
    *wrong = at ? 0 : page < ALLOT_PAGER_PAGES ? -ENOMEM : -EFBIG;
    if (*wrong || block) {
        return block;
    }
    size_t held = atomic_fetch_add(&m->held, size) + size;
    block = m->most && held > m->most ? NULL : allot_malloc(size);
    if (block) {
        atomic_store(at, (uintptr_t)block);
        return block;
    }
    *wrong = m->most && held > m->most ? -ENOSPC : -ENOMEM;
    atomic_fetch_sub(&m->held, size);
    return NULL;
}

static int memory_write(void *self, uint64_t page, size_t size, void *const *from, size_t count)
{
    int saved = errno, wrong = 0;
    for (size_t i = 0; i < count && !wrong; i++) {
        void *into = block_of(self, page + i, size, &wrong);
        if (into) {
            memcpy(into, from[i], size);
        }
    }
    errno = saved;
    return wrong;
}

int allot_store_memory(struct allot_store *store, size_t most)
{
    int saved = errno;
    struct memory *m = allot_calloc(1, sizeof *m);
    *store = (struct allot_store){0};
    if (m) {
        m->most = most;
        *store = (struct allot_store){.read = memory_read, .write = memory_write, .self = m};
    }
    errno = saved;
    return m ? 0 : -ENOMEM;
}

static void memory_done(struct memory *m)
{
    for (uint64_t page = 0; (page = table_next(&m->page, page)) != UINT64_MAX; page++) {
        allot_free(address(table_find(&m->page, page)));
    }
    table_done(&m->page);
    allot_free(m);
}

void allot_store_done(struct allot_store *store)
{
    if (store->read == memory_read) {
        memory_done(store->self);
    } else if (store_is_file(store)) {
        store_file_done(store);
    } else {
        allot_fault("done of a store that is not allot's", "store", store);
    }
    *store = (struct allot_store){0};
}
