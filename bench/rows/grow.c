/* grow COUNT BUFFERS MOST - buffers that grow under realloc while others do: vectors by half of their length, strings by a few
 * bytes at a time, each up to a length of its own of at most MOST; COUNT steps. */
#include "row.h"

struct buffer {
    char *at;
    size_t size, end; /* end: where it is done growing */
};

/* Every line of what was added is written, as much as realloc must bring along. */
static void grow_to(struct buffer *buffer, size_t size)
{
    buffer->at = realloc(buffer->at, size);
    if (!buffer->at)
        fail("out of memory");
    for (size_t at = (buffer->size + 63) / 64 * 64; at < size; at += 64)
        buffer->at[at] = (char)(at / 64);
    buffer->size = size;
}

static uint64_t sum_of_lines(const struct buffer *buffer)
{
    uint64_t sum = 0;
    for (size_t at = 0; at < buffer->size; at += 64)
        sum += (unsigned char)buffer->at[at];
    return sum;
}

int main(int argc, char **argv)
{
    uint64_t count = number(argc, argv, 1), state = 5, sum = 0;
    size_t length = number(argc, argv, 2), most = number(argc, argv, 3);
    struct buffer *buffers = calloc(length, sizeof *buffers);
    if (!buffers)
        fail("out of memory");
    for (uint64_t i = 0; i < count; i++) {
        size_t which = below(&state, length);
        struct buffer *buffer = &buffers[which];
        int string = which % 2;
        if (buffer->size >= buffer->end) {
            sum += sum_of_lines(buffer);
            free(buffer->at);
            *buffer = (struct buffer){.end = some_size(&state, 64, string ? 4096 : most)};
        }
        grow_to(buffer, string ? buffer->size + 8 + below(&state, 56) : buffer->size + buffer->size / 2 + 16);
    }
    for (size_t b = 0; b < length; b++) {
        sum += sum_of_lines(&buffers[b]);
        free(buffers[b].at);
    }
    free(buffers);
    print_sum(sum);
    return 0;
}
