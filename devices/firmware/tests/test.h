/* SPDX-License-Identifier: Apache-2.0 */
/* The harness: a test is a sentence and a function; a suite is a list of them that ends with { 0 }. */
#ifndef TEST_H
#define TEST_H

#include <stdbool.h>

struct test {
	const char *name;
	void (*run)(void);
};

/* Notes a failure with its place and goes on; gives `ok` back, so that a test can stop. */
bool check(bool ok, const char *file, int line, const char *format, ...) __attribute__((format(printf, 4, 5)));

#define CHECK(ok, ...) check((ok), __FILE__, __LINE__, __VA_ARGS__)

#endif
