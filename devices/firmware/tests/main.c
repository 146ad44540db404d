/* SPDX-License-Identifier: Apache-2.0 */
/* Runs all tests, or those whose names contain the first argument. */
#include "test.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FAILURES_SHOWN 10 /* of one test: a law that breaks once breaks a thousand times */

extern const struct test cbor_tests[], certificate_tests[], csr_tests[], identity_tests[], uart_tests[], memory_tests[],
	mutation_tests[], net_tests[], power_tests[], product_tests[], renewal_tests[], slot_tests[], smp_tests[], store_tests[], tls_tests[], update_tests[],
	vector_tests[];

static const struct test *const suites[] = {
	store_tests,  power_tests, update_tests, product_tests, renewal_tests, slot_tests, certificate_tests, cbor_tests,	  smp_tests,	uart_tests,
	vector_tests, csr_tests,   tls_tests,  net_tests,  identity_tests,	  mutation_tests, memory_tests,
};

static const struct test *running;
static unsigned failures; /* of the running test */

bool check(bool ok, const char *file, int line, const char *format, ...)
{
	va_list args;

	if (ok || ++failures > FAILURES_SHOWN) {
		return ok;
	}
	printf("%s:%d: %s: ", file, line, running->name);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	return false;
}

static bool run(const struct test *test)
{
	running = test;
	failures = 0;
	test->run();
	if (failures > FAILURES_SHOWN) {
		printf("%s: and %u more failures\n", test->name, failures - FAILURES_SHOWN);
	}
	return failures == 0;
}

int main(int argc, char **argv)
{
	const char *wanted = argc > 1 ? argv[1] : "";
	unsigned passed = 0, failed = 0;

	for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
		for (const struct test *test = suites[i]; test->name != NULL; test++) {
			if (strstr(test->name, wanted) != NULL) {
				*(run(test) ? &passed : &failed) += 1;
			}
		}
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed > 0 || passed == 0;
}
