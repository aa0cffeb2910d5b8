/* Puts an answer together piece by piece: the buffer grows by just what the next piece takes, each time. Done well, it doubles. */
#include <stdlib.h>

#include "plant.h"

struct buffer {
    char *text;
    size_t used, room;
};

static int well;

static NOINLINE void append(struct buffer *buffer, const char *piece, size_t length)
{
    size_t wanted = buffer->used + length;
    if (wanted > buffer->room) {
        buffer->room = well ? 2 * wanted : wanted;
        buffer->text = realloc(buffer->text, buffer->room); /* PLANTED: by a piece each time */
    }
    memcpy(buffer->text + buffer->used, piece, length);
    buffer->used = wanted;
}

int main(int argc, char **argv)
{
    unsigned long sum = 0;
    well = plant_is_well(argc, argv);
    if (well < 0) {
        return 2;
    }
    for (int answer = 0; answer < 50; answer++) {
        struct buffer buffer = {NULL, 0, 0};
        for (int i = 0; i < 4000; i++) {
            append(&buffer, "<li>one more</li>", 17);
        }
        sum += buffer.used + (unsigned char)buffer.text[buffer.used - 1];
        free(buffer.text);
    }
    printf("%lu\n", sum);
    return 0;
}
