/* leaks/plugin.c - a library that loses a block, and may be unloaded then. See leaks/lost.cpp. */
#include <stdint.h>
#include <stdlib.h>

void plugin_lose(void);

static volatile uintptr_t sink;

void plugin_lose(void) { sink = ~(uintptr_t)malloc(7777); /* LINE: plugin */ }
