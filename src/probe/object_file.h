/* probe/object_file.h - the file of an object (probe/object.h): whoever reads a recording later finds it by its build id or
 * its path. */
#ifndef PROBE_OBJECT_FILE_H
#define PROBE_OBJECT_FILE_H

#include <stddef.h>

#include "probe/object.h"

/* Its build id, cut to `size` bytes; how many they are, 0 when it has none. */
size_t object_build_id(const struct object *object, unsigned char *id, size_t size);

/* The path of its file as it was loaded, cut to `size` with the 0 behind it; "" when it is not known. */
void object_path(const struct object *object, char *path, size_t size);

#endif
