/* region_tlsf.c - Matthew Conte's tlsf. It keeps its headers in the memory that it manages: that memory is made resident first. */
#include <sys/mman.h>

#include <tlsf.h>

#include "region.h"

static void *mapping;
static uint64_t mapped;

static void *tlsf_open(uint64_t size, uint64_t unit, int mode)
{
    (void)unit, (void)mode;
    mapped = size;
    mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return mapping == MAP_FAILED ? NULL : tlsf_create_with_pool(mapping, size);
}

static bool tlsf_take(void *self, struct held *held)
{
    void *p = tlsf_malloc(self, held->size);
    held->handle[0] = (uint64_t)p;
    return p;
}

static void tlsf_give(void *self, struct held *held) { tlsf_free(self, (void *)held->handle[0]); }

static void tlsf_close(void *self)
{
    tlsf_destroy(self);
    munmap(mapping, mapped);
}

const struct engine tlsf_engine = {tlsf_open, tlsf_take, tlsf_give, tlsf_close};
