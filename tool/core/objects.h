/* core/objects.h - variables and vtables of a dead process's modules: what an address in them is called, and the other way round.
 * From the files of now (module.h), their separate debug files, .gnu_debugdata or debuginfod. Read module by module when first
 * asked. Names are mangled, and from files that may be hostile. */
#ifndef ALLOT_CORE_OBJECTS_H
#define ALLOT_CORE_OBJECTS_H

#include "core/module.h"

struct objects;
struct objects *objects_begin(const struct core_modules *modules); /* NULL: out of memory */
void objects_end(struct objects *objects);

/* The object that an address lies in, and how far; NULL: none that is known. Good until objects_end. */
const char *objects_name(struct objects *objects, uint64_t address, uint64_t *offset);
/* Where a module has an object of that name; 0: it has none, or tells of none. */
uint64_t objects_address(struct objects *objects, const struct core_module *module, const char *name);

#endif
