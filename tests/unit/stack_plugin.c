/* unit/stack_plugin.c - a plugin for unit/stack.c: a call from it back, out of a frame of SIZE bytes; and, where asked for, a
 * constructor that takes its time. */
#include <stddef.h>

void plugin_call(void (*back)(void *), void *arg);

__attribute__((noinline)) void plugin_call(void (*back)(void *), void *arg)
{
    char bytes[SIZE];
    __asm__ volatile("" : : "r"(bytes) : "memory");
    back(arg);
    __asm__ volatile("" : : "r"(bytes) : "memory");
}

/* The program has this variable where the plugin is to wait as it is loaded. */
extern void (*stack_plugin_waits)(void) __attribute__((weak));

__attribute__((constructor)) static void loaded(void)
{
    if (&stack_plugin_waits && stack_plugin_waits) {
        stack_plugin_waits();
    }
}
