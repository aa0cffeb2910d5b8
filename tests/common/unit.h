/* common/unit.h - what every unit test includes before anything else: cmocka wants these headers first. */
#ifndef COMMON_UNIT_H
#define COMMON_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
