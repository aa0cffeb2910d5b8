#include "page/pager.h"
char *window_at(const struct pager *p, uint64_t page) { (void)p; (void)page; return NULL; }
uint64_t window_page(const struct pager *p, const char *at) { (void)p; (void)at; return UINT64_MAX; }
void window_freeze(struct pager *p, char *at) { (void)p; (void)at; }
void window_thaw(struct pager *p, char *at) { (void)p; (void)at; }
void window_forget(struct pager *p, char *at) { (void)p; (void)at; }
void windows_abandon(struct pager *p) { (void)p; }
void *allot_pager_map(struct allot_pager *pager, uint64_t page, size_t count) { (void)pager; (void)page; (void)count; errno = ENOTSUP; return NULL; }
void allot_pager_unmap(struct allot_pager *pager, void *window) { (void)pager; (void)window; }
