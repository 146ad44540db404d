/* SPDX-License-Identifier: Apache-2.0 */
/* A test is a sentence and a function. A suite is an array of tests that ends with { 0 }. */
#ifndef TEST_H
#define TEST_H

#include <stdbool.h>

struct test {
	const char *name;
	void (*run)(void);
};

/* Records a failure with its place; the test continues. Returns `ok`, so that the test can stop itself. */
bool check(bool ok, const char *file, int line, const char *format, ...) __attribute__((format(printf, 4, 5)));

#define CHECK(ok, ...) check((ok), __FILE__, __LINE__, __VA_ARGS__)

#endif
