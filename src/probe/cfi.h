/* probe/cfi.h - from a frame to its caller: the call frame information that compilers leave in .eh_frame, read.
 *
 *   .eh_frame_hdr    a table by address: where functions begin -> their FDE
 *   .eh_frame        FDE: a function's range, and instructions that make rows of a table: address -> rules
 *                    CIE: what many FDEs have in common, and the instructions before theirs
 *
 * A row tells what the registers were in the caller at one address: first the CFA, which is the caller's stack pointer, then
 * each register as it was saved, mostly at an offset from the CFA. (DWARF 5, 6.4; LSB, .eh_frame; System V ABI x86-64, 3.7;
 * DWARF for the Arm 64-bit architecture.)
 *
 * Nothing outside the image that is given is read, whatever its bytes are, and every loop is bounded by them. No calls of
 * libc's but memcpy and memset, no memory but the stack: 2 KiB.
 */
#ifndef PROBE_CFI_H
#define PROBE_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* DWARF's numbers for the registers. Vectors and flags lie above and are of no use here. */
#if defined(__x86_64__)
enum { CFI_FP = 6, CFI_SP = 7, CFI_RETURN = 16, CFI_PC = 16, CFI_REGISTERS = 17 };
#elif defined(__aarch64__)
enum { CFI_FP = 29, CFI_RETURN = 30, CFI_SP = 31, CFI_PC = 32, CFI_REGISTERS = 33 };
#else
#error "which machine?"
#endif

/* The loaded part of an object that holds both sections: [start, end) can be read. */
struct cfi_image {
    uintptr_t start, end;
    uintptr_t header;  /* .eh_frame_hdr, or 0 */
    uintptr_t section; /* .eh_frame, where there is no header: all of it is looked through */
};

enum cfi_kind {
    CFI_SAME,          /* as it is */
    CFI_UNDEFINED,     /* lost; the return address's: there is no caller */
    CFI_AT_OFFSET,     /* saved at CFA + value */
    CFI_IS_OFFSET,     /* is CFA + value */
    CFI_IN_REGISTER,   /* in the register `value` */
    CFI_AT_EXPRESSION, /* saved where the expression says: `value` is its place, from the image's start */
    CFI_IS_EXPRESSION, /* what the expression says */
    CFI_REGISTER_PLUS, /* the CFA only: cfa_register + value */
};

struct cfi_rule {
    uint32_t kind;
    int32_t value;
};

struct cfi_row {
    struct cfi_rule cfa;
    struct cfi_rule registers[CFI_REGISTERS];
    uint8_t cfa_register;
    uint8_t return_register; /* its rule is the return address's */
    bool signal;             /* the caller was interrupted: its pc is no return address */
};

/* The row for the instruction at `at`. False when the image has none, or is broken. */
bool cfi_find(const struct cfi_image *image, uintptr_t at, struct cfi_row *row);

/* Loads a word of the process's for an expression; false when it cannot be read. */
typedef bool cfi_load(void *context, uintptr_t address, uintptr_t *word);

/* The value of the expression at `place`, with *on_stack to begin with where that is given. False when it is broken. */
bool cfi_evaluate(const struct cfi_image *image, int32_t place, const uintptr_t registers[CFI_REGISTERS],
                  const uintptr_t *on_stack, cfi_load *load, void *context, uintptr_t *value);

#endif
