/* place_fuzz.c - libFuzzer plays the model of regions: the first byte is the rule. */
#include "../place/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) {
        place_model(data, size, 0);
    }
    return 0;
}
