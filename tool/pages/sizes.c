/* See sizes.h. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pages/sizes.h"

#define SERIES 20

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static unsigned sort(uint32_t *frames, unsigned count)
{
    unsigned kept = 0;
    qsort(frames, count, sizeof *frames, by_size);
    for (unsigned i = 0; i < count; i++) {
        if (kept == 0 || frames[i] != frames[kept - 1]) {
            frames[kept++] = frames[i];
        }
    }
    return kept;
}

static bool read_one(const char *text, uint32_t pages, uint32_t *out)
{
    char *end;
    if ((*text < '0' || *text > '9') && *text != '.') {
        return false;
    }
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (!*end && !errno) {
        *out = (uint32_t)number;
        return number >= 1 && number <= ALLOT_EVICT_MAX;
    }
    double percent = strtod(text, &end);
    if (strcmp(end, "%") != 0 || !(percent > 0 && percent <= 100)) {
        return false;
    }
    double frames = percent / 100 * pages * (1 + 1e-12); /* a tenth is a bit less than a tenth */
    frames = frames < ALLOT_EVICT_MAX ? frames : (double)ALLOT_EVICT_MAX;
    *out = frames < 1 ? 1 : (uint32_t)frames;
    return true;
}

unsigned sizes_read(char *text, uint32_t pages, uint32_t frames[CURVES_FRAMES_MOST], const char **wrong)
{
    unsigned count = 0;
    *wrong = NULL;
    for (char *size; (size = strsep(&text, ",")) != NULL; count++) {
        if (count == CURVES_FRAMES_MOST) {
            return 0;
        }
        if (!read_one(size, pages, &frames[count])) {
            *wrong = size;
            return 0;
        }
    }
    return sort(frames, count);
}

unsigned sizes_series(const struct refs *refs, uint32_t frames[CURVES_FRAMES_MOST])
{
    double most = refs->ids.count < ALLOT_EVICT_MAX ? refs->ids.count : (double)ALLOT_EVICT_MAX;
    double least = fmin(fmax(fmax(most / 1000, 1), refs->window), most);
    for (unsigned i = 0; i < SERIES; i++) {
        frames[i] = (uint32_t)(least * pow(most / least, (double)i / (SERIES - 1)) + 0.5);
    }
    return sort(frames, SERIES);
}
