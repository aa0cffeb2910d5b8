/* names/rpmalloc.c - the names under which rpmalloc's stress test calls malloc, by the standard ones: whatever malloc is
 * the process's answers. What starts and ends threads there is nothing here.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void *rpmalloc(size_t size) { return malloc(size); }
void *rpzalloc(size_t size) { return calloc(1, size); }
void *rpcalloc(size_t n, size_t size) { return calloc(n, size); }
void *rprealloc(void *p, size_t size) { return realloc(p, size); }
void *rpaligned_alloc(size_t align, size_t size) { return memalign(align, size); }
void rpfree(void *p) { free(p); }
size_t rpmalloc_usable_size(void *p) { return malloc_usable_size(p); }

int rpmalloc_initialize(void *interface) { return interface != NULL; }
void rpmalloc_finalize(void) {}
void rpmalloc_thread_initialize(void) {}
void rpmalloc_thread_finalize(void) {}
