/* probe/module.h - the objects that stacks lie in, each with a number: what tells an address of one from the same address of another,
 * which was loaded there before or after.
 *
 * Objects that stay have the number 0, as has what lies in none: no two of those were ever at one address. The others count
 * from 1: an object that comes back to where it was has its number again.
 *
 * Whoever follows stacks hears of each object, when it is found first and again when another one has lain there meanwhile.
 * A list that only grows, put to by compare-and-swap. At most 65 535 numbers: what is loaded after has none.
 */
#ifndef PROBE_MODULE_H
#define PROBE_MODULE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "probe/object.h"

struct module {
    struct object object;
    uint32_t number;
    _Atomic bool replaced; /* another one has been found at its addresses since it was told of */
    struct module *next;
};

extern _Atomic(struct module *) modules_first; /* the newest */

typedef void module_told(const struct object *object);

/* NULL when memory or numbers are out. */
struct module *module_of(const struct object *object, module_told *told);

/* That of a number, which is not 0; or NULL. */
const struct module *module_numbered(uint32_t number);

/* Of each that is known, and that no other has replaced. */
void module_each(module_told *told);

/* Told of again, if another has lain there: to be asked when something new is found in it. */
void module_again(struct module *module, module_told *told);

#endif
