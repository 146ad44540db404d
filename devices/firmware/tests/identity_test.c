/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memmem */
/* BoardID and keys from the HUK (PROTOCOL.md section 5), compared with vectors of another implementation. */
#include "requests.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static struct board board;

static size_t unhex(const char *text, uint8_t *out, size_t size)
{
	unsigned octet;
	size_t n = 0;

	for (; n < size && sscanf(text, "%2x", &octet) == 1; text += 2) {
		out[n++] = (uint8_t)octet;
	}
	return n;
}

static void check_key(enum purpose purpose, const char *id, const char *key)
{
	uint8_t public_key[P256_POINT_SIZE];
	const uint8_t *octets = NULL;
	size_t len = 0;

	CHECK(unhex(key, public_key, sizeof public_key) == sizeof public_key, "key %s", key);
	CHECK(ask_csr_for(&board, purpose, "", "") == PROV_OK && answer_octets(&board, "csr", &octets, &len) &&
		      memmem(octets, len, public_key, sizeof public_key) != NULL && memmem(octets, len, id, 36) != NULL,
	      "BoardID %s: the CSR for purpose %d has another key or name", id, (int)purpose);
}

static void check_identity(const char *huk, const char *id, const char *tls, const char *cose)
{
	const uint8_t *octets = NULL;
	int64_t purposes = 0;
	size_t len = 0;

	board_make(&board);
	CHECK(unhex(huk, board.huk, sizeof board.huk) == sizeof board.huk, "HUK %s", huk);
	CHECK(board_start(&board) == PROV_OK && strcmp(board.prov.identity.text, id) == 0, "HUK %s: BoardID %s, want %s",
	      huk, board.prov.identity.text, id);
	CHECK(ask_hello(&board) == PROV_OK && answer_octets(&board, "id", &octets, &len) && len == BOARD_ID_SIZE &&
		      memcmp(octets, board.prov.identity.board_id, len) == 0,
	      "HUK %s: hello names another BoardID", huk);
	CHECK(answer_number(&board, "pu", &purposes) && purposes == 3, "HUK %s: hello lists purposes %d", huk, (int)purposes);
	check_key(PURPOSE_TLS, id, tls);
	check_key(PURPOSE_COSE, id, cose);
}

static void the_identity_is_that_of_the_vectors(void)
{
	char row[1024], huk[128], suffix[32], id[64], tls[256], cose[256];
	unsigned count = 0;
	FILE *f = fopen(IDENTITIES, "r");

	if (!CHECK(f != NULL, "opening %s", IDENTITIES)) {
		return;
	}
	while (fgets(row, sizeof row, f) != NULL) {
		bool fields = row[0] != '#' && sscanf(row, "%127s %31s %63s %255s %255s", huk, suffix, id, tls, cose) == 5;
		if (fields && strcmp(suffix, ".") == 0) { /* this image is built without a suffix */
			check_identity(huk, id, tls, cose);
			count++;
		}
	}
	fclose(f);
	CHECK(count >= 4, "%u vectors", count);
}

static void the_identity_is_the_same_after_each_start(void)
{
	struct identity first;

	board_make(&board);
	(void)board_start(&board);
	first = board.prov.identity;
	uint8_t boot_id[BOOT_ID_SIZE];
	memcpy(boot_id, board.prov.boot_id, sizeof boot_id);
	CHECK(board_start(&board) == PROV_OK, "starting again");
	CHECK(memcmp(first.board_id, board.prov.identity.board_id, BOARD_ID_SIZE) == 0, "another BoardID");
	for (unsigned i = 0; i < PURPOSE_COUNT; i++) {
		CHECK(memcmp(first.keys[i].public_key, board.prov.identity.keys[i].public_key, P256_POINT_SIZE) == 0,
		      "another key for purpose %u", i);
	}
	CHECK(memcmp(boot_id, board.prov.boot_id, BOOT_ID_SIZE) != 0, "the same boot id");
}

static void check_usage(const struct key_pair *pair)
{
	uint8_t out[128], hash[HASH_SIZE] = { 1 };
	size_t len;
	psa_key_id_t copy = PSA_KEY_ID_NULL;
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	psa_key_id_t key = pair->id;

	CHECK(psa_export_key(key, out, sizeof out, &len) == PSA_ERROR_NOT_PERMITTED, "the key was exported");
	CHECK(psa_copy_key(key, &attributes, &copy) != PSA_SUCCESS, "the key was copied");
	CHECK(psa_raw_key_agreement(PSA_ALG_ECDH, key, pair->public_key, P256_POINT_SIZE, out, sizeof out,
				    &len) != PSA_SUCCESS,
	      "the key agreed on a secret");
	CHECK(psa_sign_hash(key, prov_key_algorithm(), hash, sizeof hash, out, sizeof out, &len) == PSA_SUCCESS,
	      "the key does not sign");
	CHECK(psa_get_key_attributes(key, &attributes) == PSA_SUCCESS &&
		      psa_get_key_usage_flags(&attributes) == PSA_KEY_USAGE_SIGN_HASH + PSA_KEY_USAGE_SIGN_MESSAGE &&
		      PSA_KEY_LIFETIME_IS_VOLATILE(psa_get_key_lifetime(&attributes)),
	      "usage %x", (unsigned)psa_get_key_usage_flags(&attributes));
}

static void a_key_signs_and_does_nothing_else(void)
{
	board_make(&board);
	(void)board_start(&board);
	for (unsigned i = 0; i < PURPOSE_COUNT; i++) {
		check_usage(&board.prov.identity.keys[i]);
	}
}

/* Only the identity's own keys and that of the store are left in PSA; the HUK's handle is closed. */
static void the_huk_is_closed_after_the_derivation(void)
{
	mbedtls_psa_stats_t stats;

	board_make(&board);
	(void)board_start(&board);
	mbedtls_psa_get_stats(&stats);
	CHECK(stats.MBEDTLS_PRIVATE(volatile_slots) == PURPOSE_COUNT + 1, "%u volatile keys", (unsigned)stats.MBEDTLS_PRIVATE(volatile_slots));
	CHECK(prov_free(&board.prov) == PROV_OK, "ending");
	board.running = false;
	mbedtls_psa_get_stats(&stats);
	CHECK(stats.MBEDTLS_PRIVATE(volatile_slots) == 0, "a key outlives the core");
}

static void every_command_is_refused(int want)
{
	static const uint8_t der[1];
	struct write_request w = { .slot = SLOT_ANCHOR, .total = 1, .whole = der, .data = der, .len = 1, .commit = true };
	int errs[] = { ask_hello(&board), ask_csr(&board, "", ""), ask_write(&board, &w), ask_read(&board, 0, 0),
		       ask_tls(&board, 0, "name", NULL, 0), ask_seal(&board), ask_raw(&board, HELLO, "\xff", 1) };

	for (unsigned i = 0; i < sizeof errs / sizeof *errs; i++) {
		CHECK(errs[i] == want, "command %u: %d, want %d", i, errs[i], want);
	}
	CHECK(board.changes == 0, "flash was changed");
}

static void a_board_without_huk_refuses_everything(void)
{
	board_make(&board);
	board.huk_missing = true;
	CHECK(board_start(&board) == PROV_ERR_NO_HUK, "it starts");
	every_command_is_refused(PROV_ERR_NO_HUK);
	board.huk_missing = false;
	CHECK(board_start(&board) == PROV_OK && ask_hello(&board) == PROV_OK, "after a reset with a HUK");
}

static void a_board_without_entropy_refuses_everything(void)
{
	board_make(&board);
	board.entropy_missing = true;
	CHECK(board_start(&board) == PROV_ERR_NO_ENTROPY, "it starts");
	every_command_is_refused(PROV_ERR_NO_ENTROPY);
	board.entropy_missing = false;
	CHECK(board_start(&board) == PROV_OK && ask_hello(&board) == PROV_OK, "after a reset with entropy");
}

/* While the board starts, each call of the port fails once. */
static void a_start_that_fails_is_named(void)
{
	board_make(&board);
	(void)board_start(&board);
	unsigned calls = board.calls;

	for (unsigned at = 1; at <= calls; at++) {
		board_make(&board);
		board.fail_at = at;
		int err = board_start(&board);
		int hello = ask_hello(&board);
		CHECK(hello == (err == PROV_OK ? PROV_ERR_STORE_IO : err), "call %u: start gives %d, hello %d", at, err, hello);
		CHECK(err == PROV_OK ? board.prov.store.damaged && ask_seal(&board) == PROV_ERR_STORE_IO
				     : err == PROV_ERR_NO_HUK || err == PROV_ERR_NO_ENTROPY,
		      "call %u: %d", at, err);
	}
	board_stop(&board);
}

/* With TF-M the caller is part of the identity; other sources have no caller. */
static void hello_names_the_caller_exactly_under_tfm(void)
{
	static const int32_t callers[] = { -1, 0x4c690100, INT32_MIN };

	for (unsigned source = PROV_HUK_TFM; source <= PROV_HUK_TFM_DUMMY; source++) {
		bool tfm = source == PROV_HUK_TFM || source == PROV_HUK_TFM_DUMMY;
		for (unsigned i = 0; i < sizeof callers / sizeof *callers; i++) {
			int64_t caller = 0;
			board_make(&board);
			board.port.facts.huk_source = (enum prov_huk_source)source;
			board.port.facts.huk_caller = callers[i];
			CHECK(board_start(&board) == PROV_OK && ask_hello(&board) == PROV_OK, "source %u", source);
			CHECK(answer_number(&board, "dc", &caller) == tfm && (!tfm || caller == callers[i]),
			      "source %u, caller %d: hello says %d", source, (int)callers[i], (int)caller);
		}
	}
	board_stop(&board);
}

const struct test identity_tests[] = {
	{ "BoardID and key are those of the vectors", the_identity_is_that_of_the_vectors },
	{ "the identity is the same after each start, the boot id is not", the_identity_is_the_same_after_each_start },
	{ "a key signs, and cannot be exported, copied or agreed with", a_key_signs_and_does_nothing_else },
	{ "the HUK is closed after the derivation, the keys with the core", the_huk_is_closed_after_the_derivation },
	{ "a board without HUK answers no-huk to everything", a_board_without_huk_refuses_everything },
	{ "a board without entropy answers no-entropy to everything", a_board_without_entropy_refuses_everything },
	{ "hello names the caller exactly when the HUK is TF-M's", hello_names_the_caller_exactly_under_tfm },
	{ "a start in which any call of the port fails is named", a_start_that_fails_is_named },
	{ 0 },
};
