/* See colour.h. The scale of levels follows viridis (S. van der Walt and N. Smith, 2015), whose brightness rises evenly; that of sites P. Tol's bright
 * scheme (SRON, 2021). */
#include "map/colour.h"
#include "map/picture.h"

#define COLOUR(hex)                                                               \
    {                                                                             \
        (uint8_t)((hex) >> 16), (uint8_t)((hex) >> 8 & 255), (uint8_t)((hex)&255) \
    }

static struct colour between(struct colour a, struct colour b, double part)
{
    return (struct colour){(uint8_t)(a.r + part * (b.r - a.r) + 0.5), (uint8_t)(a.g + part * (b.g - a.g) + 0.5),
                           (uint8_t)(a.b + part * (b.b - a.b) + 0.5)};
}

struct colour colour_of_level(uint8_t level, bool dark)
{
    static const struct colour scale[] = {COLOUR(0x482173), COLOUR(0x433e85), COLOUR(0x38588c), COLOUR(0x2d708e),
                                          COLOUR(0x25858e), COLOUR(0x1e9b8a), COLOUR(0x2ab07f), COLOUR(0x52c569),
                                          COLOUR(0x86d549), COLOUR(0xc2df23), COLOUR(0xfde725)};
    enum { LAST = sizeof scale / sizeof scale[0] - 1 };
    static const struct colour never[] = {COLOUR(0xffffff), COLOUR(0x16181d)},
                               empty[] = {COLOUR(0xe4e4e8), COLOUR(0x2c2f38)};
    if (level < HEAP_MAP_LEAST) {
        return (level == HEAP_MAP_NEVER ? never : empty)[dark];
    }
    double at = (double)(level - HEAP_MAP_LEAST) / (HEAP_MAP_FULL - HEAP_MAP_LEAST) * LAST;
    unsigned i = (unsigned)at < LAST ? (unsigned)at : LAST - 1;
    return between(scale[i], scale[i + 1], at - i);
}

struct colour colour_of_rank(uint32_t rank, bool dark)
{
    static const struct colour light_ones[] = {COLOUR(0x4477aa), COLOUR(0xee6677), COLOUR(0x228833), COLOUR(0xccbb44),
                                               COLOUR(0x66ccee), COLOUR(0xaa3377), COLOUR(0xee7733), COLOUR(0xb4b4b8)},
                               dark_ones[] = {COLOUR(0x6699cc), COLOUR(0xee7788), COLOUR(0x44aa55), COLOUR(0xddcc55),
                                              COLOUR(0x77ddff), COLOUR(0xcc66aa), COLOUR(0xff9955), COLOUR(0x777980)};
    return (dark ? dark_ones : light_ones)[rank < PICTURE_SITES ? rank : PICTURE_SITES];
}

static unsigned step(uint8_t value) { return value < 48 ? 0 : value < 115 ? 1 : (value - 35u) / 40; }

unsigned colour_of_terminal(struct colour c)
{
    unsigned most = c.r > c.g ? c.r : c.g, least = c.r < c.g ? c.r : c.g;
    most = c.b > most ? c.b : most;
    least = c.b < least ? c.b : least;
    if (most - least < 14 && most > 8 && most < 238) { /* one of the greys */
        return 232 + (most + least - 16) / 20;
    }
    return 16 + 36 * step(c.r) + 6 * step(c.g) + step(c.b);
}
