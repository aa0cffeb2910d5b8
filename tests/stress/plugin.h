/* plugin.h - what plugins.c calls in plugin.c. */
#ifndef TESTS_PLUGIN_H
#define TESTS_PLUGIN_H

#include <stddef.h>

/* A text of that length, which the caller frees. */
char *plugin_text(size_t length);

void plugin_thread_ends(void);

#endif
