/* A cache of rendered pages by address. What is put over an older page is forgotten, and never freed: a leak. */
#include <stdlib.h>

#include "plant.h"

#define SLOTS 256

struct page {
    char url[40];
    char *html;
};

static struct page *cache[SLOTS];
static int well;

static void drop_page(struct page *page)
{
    if (page) {
        free(page->html);
        free(page);
    }
}

static NOINLINE char *render(int number, size_t bytes)
{
    char *html = malloc(bytes);
    memset(html, 'a' + number % 26, bytes);
    return html;
}

static NOINLINE void cache_put(int number)
{
    struct page *page = malloc(sizeof *page); /* PLANTED: forgotten below, and its text with it */
    snprintf(page->url, sizeof page->url, "/articles/%d", number);
    page->html = render(number, 500);
    if (well) {
        drop_page(cache[number % SLOTS]);
    }
    cache[number % SLOTS] = page;
}

int main(int argc, char **argv)
{
    unsigned long sum = 0;
    well = plant_is_well(argc, argv);
    if (well < 0) {
        return 2;
    }
    for (int number = 0; number < 20000; number++) {
        cache_put(number);
        sum += (unsigned char)cache[number % SLOTS]->html[number % 500];
    }
    printf("%lu\n", sum);
    return 0;
}
