/* broken.c - a malloc that ends the process: what tests/bench/smoke gives to the benchmark for a peer. */
#include <stdlib.h>

void *malloc(size_t size)
{
    (void)size;
    abort();
}
