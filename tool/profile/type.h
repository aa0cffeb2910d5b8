/* profile/type.h - what a block was allocated for, as far as its stack tells: the container or smart pointer whose function called the
 * allocator, with what it holds.
 *
 *   operator new <- std::allocator<int>::allocate <- std::vector<int, std::allocator<int> >::reserve <- cache_add       std::vector<int>
 *   operator new <- std::make_shared<Session>() <- open_session                                                         Session
 *   malloc <- open_session                                                                                              not known
 *
 * By the names of functions, inlined ones among them, so only where there is debug information. What a class's own new has made is
 * not known by this: a snapshot tells it by vtables.
 */
#ifndef ALLOT_PROFILE_TYPE_H
#define ALLOT_PROFILE_TYPE_H

#include <stdbool.h>

#include "symbols.h"

/* Of a stack, innermost frame first. False: not known, or longer than `room`. */
bool type_of_stack(const struct symbol_frame *frame, size_t count, char *out, size_t room);

#endif
