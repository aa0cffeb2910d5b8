/* apart.h - the collector in a process of its own: what tool/record/collect.h has, for who may be killed with the program.
 *
 *   allot record ---fork---> collector (a session of its own) ---> file
 *        |  <--- socket --->     |
 *   program ---------------------+  its threads write to the area
 *
 * Whoever kills the program, `allot record`, or all of their group or session does not reach it: it takes what was written until
 * then, ends the file, and ends. Who kills it ends the recording: the file goes as far as it had come, and the program goes on.
 */
#ifndef ALLOT_RECORD_APART_H
#define ALLOT_RECORD_APART_H

#include "record/collect.h"

struct apart;
/* NULL with *error set. It collects from now on. The options' file is taken. */
struct apart *apart_begin(const struct collect_options *options, int *error);
/* Where recorded processes find the area. */
const char *apart_area(const struct apart *apart);
/* Has it collect what is there and end; result->error is -EOWNERDEAD when it was killed. */
void apart_end(struct apart *apart, struct collect_result *result);

#endif
