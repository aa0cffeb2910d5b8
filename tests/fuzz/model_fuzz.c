/* model_fuzz.c - libFuzzer plays the model: the first byte chooses threads and heaps, the rest are operations. */
#include "../model/model.h"

#include "../common/check.h"
#include "../common/family.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (!toolkit.walk)
        toolkit_find();
    strcpy(check_run, "a fuzzer's input");
    model_run(data + 1, size - 1, MODEL_EXACT | (data[0] & 1 ? MODEL_THREADS : 0) | (data[0] & 2 ? MODEL_HEAPS : 0));
    return 0;
}
