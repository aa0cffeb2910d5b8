/* pager_fuzz.c - libFuzzer plays the pager's calls. */
#include "../page/calls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) {
        calls_play((struct calls_source){.bytes = data, .left = size}, SIZE_MAX);
    }
    return 0;
}
