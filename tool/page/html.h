/* page/html.h - a page in one file: the built page of web/ with the data in its place.
 *
 *   <!doctype html> ... <script type="application/octet-stream;base64" id="data">H4sIA...</script> ...
 *
 * The data is JSON, gzip, base64: nothing that a trace holds can end the element or be markup. The file is whole or not there.
 */
#ifndef ALLOT_PAGE_HTML_H
#define ALLOT_PAGE_HTML_H

#include "page/page.h"

/* What web/ has built, part of the command; of 0 bytes: it was built without. */
const char *html_template(size_t *bytes);

/* Complains and returns false where there can be no page, before anything is read. */
bool html_ready(const char *output);

/* False: it is complained. */
bool html_write(const char *output, const struct page *page);

#endif
