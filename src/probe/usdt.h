/* probe/usdt.h - points of a program that tracers know by name, at the price of an instruction that does nothing.
 *
 *   .note.stapsdt:  where the point is | its semaphore | provider | name | where each argument is: "8@%rdi 8@%rsi"
 *
 * The notes are as SystemTap's sys/sdt.h writes them, which bpftrace, bcc, perf and the eBPF profilers read; they are written here
 * so that no header is needed. A tracer counts the semaphore up while it is there: USDT_WANTED is then true, and arguments that
 * cost something may be left out while it is not.
 */
#ifndef PROBE_USDT_H
#define PROBE_USDT_H

#include <stdint.h>

/* In one source file, for each point. */
#define USDT_SEMAPHORE(provider, name)                                                   \
    extern uint16_t provider##_##name##_semaphore __attribute__((visibility("hidden"))); \
    uint16_t provider##_##name##_semaphore __attribute__((section(".probes"), visibility("hidden")))

#define USDT_WANTED(provider, name) \
    __builtin_expect(__atomic_load_n(&provider##_##name##_semaphore, __ATOMIC_RELAXED) != 0, 0)

#define USDT_POINT(provider, name, arguments, ...)                                           \
    __asm__ volatile("990: nop\n"                                                            \
                     ".pushsection .note.stapsdt,\"\",\"note\"\n"                            \
                     ".balign 4\n"                                                           \
                     ".4byte 992f-991f, 994f-993f, 3\n"                                      \
                     "991: .asciz \"stapsdt\"\n"                                             \
                     "992: .balign 4\n"                                                      \
                     "993: .8byte 990b\n"                                                    \
                     ".8byte _.stapsdt.base\n"                                               \
                     ".8byte " #provider "_" #name "_semaphore\n"                            \
                     ".asciz \"" #provider "\"\n"                                            \
                     ".asciz \"" #name "\"\n"                                                \
                     ".asciz \"" arguments "\"\n"                                            \
                     "994: .balign 4\n"                                                      \
                     ".popsection\n"                                                         \
                     ".ifndef _.stapsdt.base\n"                                              \
                     ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n" \
                     ".weak _.stapsdt.base\n"                                                \
                     ".hidden _.stapsdt.base\n"                                              \
                     "_.stapsdt.base: .space 1\n"                                            \
                     ".size _.stapsdt.base, 1\n"                                             \
                     ".popsection\n"                                                         \
                     ".endif\n" ::__VA_ARGS__)

/* Each argument is a word of 8 bytes, unsigned. */
#define USDT_1(provider, name, a) USDT_POINT(provider, name, "8@%0", "r"((uint64_t)(a)))
#define USDT_3(provider, name, a, b, c) \
    USDT_POINT(provider, name, "8@%0 8@%1 8@%2", "r"((uint64_t)(a)), "r"((uint64_t)(b)), "r"((uint64_t)(c)))

#endif
