/* A store of tiles of a picture, each 32 KiB of pixels behind a head of 64 bytes: just more than what the largest size class holds, and
 * so each takes a page more than it needs, an eighth of all memory. Done well, the head is within the 32 KiB. */
#include <stdlib.h>

#include "plant.h"

#define TILES  1000
#define PIXELS 32768

struct tile {
    int x, y;
    char head[56];
    unsigned char pixel[];
};

static NOINLINE struct tile *new_tile(int number, size_t bytes)
{
    struct tile *tile = malloc(bytes); /* PLANTED: 32 KiB and 64 bytes take 36 KiB */
    memset(tile, number, bytes);
    tile->x = number;
    return tile;
}

int main(int argc, char **argv)
{
    int well = plant_is_well(argc, argv);
    static struct tile *tile[TILES];
    unsigned long sum = 0;
    if (well < 0) {
        return 2;
    }
    for (int i = 0; i < 20 * TILES; i++) { /* the oldest goes, a new one comes */
        if (i >= TILES) {
            sum += tile[i % TILES]->pixel[0];
            free(tile[i % TILES]);
        }
        tile[i % TILES] = new_tile(i, well ? PIXELS : sizeof(struct tile) + PIXELS);
    }
    for (int i = 0; i < TILES; i++) {
        free(tile[i]);
    }
    printf("%lu\n", sum);
    return 0;
}
