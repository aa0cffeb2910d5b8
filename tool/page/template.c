/* The page that web/ builds, as it stands in the command. */
#include "page/html.h"

__asm__(".pushsection .rodata\n"
        "page_template: .incbin \"" PAGE_TEMPLATE "\"\n"
        "page_template_end: .byte 0\n"
        ".popsection\n");
extern const char page_template[], page_template_end[];

const char *html_template(size_t *bytes)
{
    *bytes = (size_t)(page_template_end - page_template);
    return page_template;
}
