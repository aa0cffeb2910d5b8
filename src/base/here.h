/* base/here.h - where the stack of the function that asks is in use from. */
#ifndef BASE_HERE_H
#define BASE_HERE_H

#include <stdint.h>

static inline __attribute__((always_inline)) uintptr_t stack_pointer(void)
{
    uintptr_t here;
#if defined(__x86_64__)
    __asm__ volatile("mov %%rsp, %0" : "=r"(here));
#elif defined(__aarch64__)
    __asm__ volatile("mov %0, sp" : "=r"(here));
#else
    here = (uintptr_t)__builtin_frame_address(0);
#endif
    return here;
}

/* The same with the registers of the caller on it, which the function keeps there then. */
static inline __attribute__((always_inline)) uintptr_t stack_with_registers(void)
{
    __builtin_unwind_init();
    return stack_pointer();
}

#endif
