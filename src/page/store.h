/* page/store.h - the stores that are the library's own. */
#ifndef PAGE_STORE_H
#define PAGE_STORE_H

#include <stdbool.h>

#include <allot/pager.h>

bool store_is_file(const struct allot_store *store);
void store_file_done(struct allot_store *store);

#endif
