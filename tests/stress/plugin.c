/* plugin.c - a library to be loaded late: allocates when it is loaded, has a thread's object of its own, hands blocks out.
 */
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

static char *loaded;
static __thread char *of_thread;

__attribute__((constructor)) static void load(void)
{
    loaded = malloc(5000);
    memset(loaded, 'p', 5000);
}

__attribute__((destructor)) static void unload(void) { free(loaded); }

char *plugin_text(size_t length)
{
    if (!of_thread)
        of_thread = strdup("a thread's own");
    char *text = malloc(length + 1);
    memset(text, loaded[length % 5000], length);
    text[length] = 0;
    return text;
}

void plugin_thread_ends(void)
{
    free(of_thread);
    of_thread = NULL;
}
