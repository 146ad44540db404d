/* SPDX-License-Identifier: Apache-2.0 */
/* Memory runs out in every allocation of every command: the refusal blames neither board nor station, and the next try succeeds. */
#include "ca.h"
#include "requests.h"
#include "test.h"

#include <stdlib.h>

#include <mbedtls/platform.h>

static struct board board;
static struct hierarchy h;
static unsigned allocations, fail_at;

static void *scarce(size_t count, size_t size)
{
	return ++allocations == fail_at ? NULL : calloc(count, size);
}

static int hello(void)
{
	return ask_hello(&board);
}

static int csr(void)
{
	return ask_csr(&board, "Acme", "Line 4");
}

static int second_csr(void)
{
	return ask_csr_for(&board, PURPOSE_COSE, "Acme", "Line 4");
}

static int anchor(void)
{
	return board_write(&board, SLOT_ANCHOR, h.root.der, h.root.len, 400);
}

static int chain(void)
{
	return board_write(&board, SLOT_CHAIN, h.issuing.der, h.issuing.len, 400);
}

static int certificate(void)
{
	return board_write(&board, SLOT_CERTIFICATE, h.leaf.der, h.leaf.len, 400);
}

static int second_certificate(void)
{
	return board_write(&board, SLOT_COSE, h.cose.der, h.cose.len, 400);
}

static int open_tls(void)
{
	return ask_tls(&board, 0, "name", NULL, 0);
}

static int seal(void)
{
	return ask_seal(&board);
}

static int restart(void)
{
	return board_start(&board);
}

/* A failed handshake reports state 3 and mbedTLS's error. A start without a random generator or without the HUK reports that. */
static bool is_shortage(int err, int (*ask)(void))
{
	int64_t state = 0, error = 0;

	if (err == PROV_OK && ask == open_tls) {
		return answer_number(&board, "st", &state) && state == TLS_FAILED && answer_number(&board, "e", &error) &&
		       error < 0;
	}
	return err == PROV_ERR_CRYPTO || err == PROV_ERR_INTERNAL ||
	       (ask == restart && (err == PROV_ERR_NO_ENTROPY || err == PROV_ERR_NO_HUK));
}

/* Counts the allocations of a good try. Each of the first 128 fails once; of the many allocations of arithmetic only some fail. */
static unsigned starve(const char *name, int (*ask)(void))
{
	for (fail_at = 1;; fail_at += 1u + (fail_at > 128u ? fail_at / 8u : 0u)) {
		allocations = 0;
		int err = ask();
		if (allocations < fail_at) {
			CHECK(err == PROV_OK, "%s with all its memory: %d", name, err);
			return allocations;
		}
		CHECK(is_shortage(err, ask), "%s, allocation %u: %d", name, fail_at, err);
	}
}

static void memory_may_run_out_anywhere(void)
{
	static const struct {
		const char *name;
		int (*ask)(void);
	} rows[] = { { "hello", hello }, { "csr", csr },   { "second csr", second_csr },
		     { "anchor", anchor }, { "chain", chain }, { "certificate", certificate },
		     { "second certificate", second_certificate }, { "tls", open_tls }, { "seal", seal }, { "a start", restart } };
	unsigned total = 0;

	board_make(&board);
	CHECK(board_start(&board) == PROV_OK, "starting");
	h = ca_hierarchy(&board);
	(void)mbedtls_platform_set_calloc_free(scarce, free);
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		total += starve(rows[i].name, rows[i].ask);
	}
	(void)mbedtls_platform_set_calloc_free(calloc, free);
	CHECK(total > 30, "%u allocations", total);
	board_stop(&board);
}

const struct test memory_tests[] = {
	{ "memory may run out in any allocation, and the next try succeeds", memory_may_run_out_anywhere },
	{ 0 },
};
