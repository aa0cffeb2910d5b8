/* probe/rule.c - see probe/rule.h. */
#include "probe/rule.h"

#include <string.h>

enum { WORD = sizeof(uintptr_t) };

/* HARD when it does not fit. */
static uint64_t rule_of(enum rule_kind kind, int32_t cfa, int32_t fp, int32_t return_address)
{
    if (cfa % WORD != 0 || fp % WORD != 0 || return_address % WORD != 0 || fp / WORD != (int16_t)(fp / WORD) ||
        return_address / WORD != (int16_t)(return_address / WORD) || cfa / WORD >= 1 << 27 || cfa / WORD < -(1 << 27)) {
        return HARD;
    }
    return (uint64_t)kind | (uint64_t)(uint16_t)(return_address / WORD) << 4 | (uint64_t)(uint16_t)(fp / WORD) << 20 |
           (uint64_t)(cfa / WORD) << 36;
}

/* The offset in an expression that is the frame pointer + offset, and `after`; false when it is another. */
static bool is_fp_plus(const struct cfi_image *image, int32_t place, const char *after, int32_t *offset)
{
    const unsigned char *bytes = (const unsigned char *)(image->start + (uintptr_t)place);
    size_t length = 2 + strlen(after);
    if (bytes[0] != length || bytes[1] != 0x70 + CFI_FP || bytes[2] >= 0x80 ||
        memcmp(bytes + 3, after, length - 2) != 0) {
        return false;
    }
    *offset = (int32_t)((uint32_t)bytes[2] << 25) >> 25;
    return true;
}

uint64_t rule_of_row(const struct cfi_image *image, const struct cfi_row *row)
{
    const struct cfi_rule *back = &row->registers[row->return_register], *fp = &row->registers[CFI_FP];
    bool saved = back->kind == CFI_AT_OFFSET;
    int32_t zero, offset = 0;
    if (back->kind == CFI_UNDEFINED) {
        return LAST;
    }
    if (row->return_register != CFI_RETURN || (saved ? back->value == 0 : back->kind != CFI_SAME) || row->signal ||
        row->registers[CFI_SP].kind != CFI_SAME) {
        return HARD;
    }
    int32_t return_address = saved ? back->value : 0;
    if (row->cfa.kind == CFI_IS_EXPRESSION && fp->kind == CFI_AT_EXPRESSION) {
        bool aligned =
            is_fp_plus(image, row->cfa.value, "\x06", &offset) && is_fp_plus(image, fp->value, "", &zero) && zero == 0;
        return aligned ? rule_of(AT_FP, offset, 0, return_address) : HARD;
    }
    if (row->cfa.kind != CFI_REGISTER_PLUS || (row->cfa_register != CFI_SP && row->cfa_register != CFI_FP) ||
        (fp->kind != CFI_SAME && fp->kind != CFI_UNDEFINED && (fp->kind != CFI_AT_OFFSET || fp->value == 0))) {
        return HARD;
    }
    return rule_of(row->cfa_register == CFI_SP ? FROM_SP : FROM_FP, row->cfa.value,
                   fp->kind == CFI_AT_OFFSET ? fp->value : 0, return_address);
}
