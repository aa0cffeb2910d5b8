/* core/classes.h - the classes of objects by their vtables, of a dead process or of a snapshot: each is looked up once, as it costs a
 * search of symbols and a demangling, and a heap has as many objects of a class as it likes. */
#ifndef ALLOT_CORE_CLASSES_H
#define ALLOT_CORE_CLASSES_H

#include "core/objects.h"

struct classes;
struct classes *classes_begin(struct objects *objects); /* which have to last; NULL: out of memory */
void classes_end(struct classes *classes);

/* The class whose vtable (behind its two words of offset and type) an address is, or NULL. Good until classes_end. */
const char *classes_name(struct classes *classes, uint64_t vtable);

#endif
