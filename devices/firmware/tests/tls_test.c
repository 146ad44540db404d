/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memmem */
/* The commands of the TLS client: order of requests, repeated openings, garbage. The station's tests do whole handshakes. */
#include "ca.h"
#include "requests.h"
#include "test.h"

#include <string.h>

enum { CLOSED, HANDSHAKING, ESTABLISHED, FAILED };

static struct board board;

/* A board that is ready for a handshake. */
static void start(void)
{
	board_make(&board);
	CHECK(board_start(&board) == PROV_OK, "starting");
	struct hierarchy h = ca_hierarchy(&board);
	CHECK(board_write(&board, SLOT_ANCHOR, h.root.der, h.root.len, 500) == PROV_OK &&
		      board_write(&board, SLOT_CHAIN, h.issuing.der, h.issuing.len, 500) == PROV_OK &&
		      board_write(&board, SLOT_CERTIFICATE, h.leaf.der, h.leaf.len, 500) == PROV_OK,
	      "provisioning");
}

static int state(void)
{
	int64_t st = -1;

	CHECK(answer_number(&board, "st", &st), "an answer without st");
	return (int)st;
}

static void opening_gives_a_client_hello(void)
{
	const uint8_t *o = NULL;
	size_t len = 0;

	start();
	CHECK(ask_tls(&board, 0, "station.example", NULL, 0) == PROV_OK && state() == HANDSHAKING, "opening");
	CHECK(answer_octets(&board, "o", &o, &len) && len > 50 && o[0] == 22 && o[5] == 1, "no ClientHello");
	CHECK(memmem(o, len, "station.example", 15) != NULL, "no server name");
	CHECK(((size_t)o[3] << 8 | o[4]) + 5u == len, "more than one record");
}

static void opening_needs_anchor_and_certificate(void)
{
	board_make(&board);
	(void)board_start(&board);
	struct hierarchy h = ca_hierarchy(&board);
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_ERR_NO_ANCHOR, "an empty store");
	CHECK(board_write(&board, SLOT_ANCHOR, h.root.der, h.root.len, 500) == PROV_OK, "writing the trust anchor");
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_ERR_EMPTY, "no certificate");
	CHECK(ask_tls(&board, 1, NULL, NULL, 0) == PROV_ERR_TLS_STATE, "a session that never opened");
}

static void questions_count_up_by_one(void)
{
	uint8_t first[SMP_MESSAGE_MAX];

	start();
	CHECK(ask_tls(&board, 1, NULL, NULL, 0) == PROV_ERR_TLS_STATE, "q 1 without a session");
	CHECK(ask_tls(&board, UINT32_MAX, NULL, NULL, 0) == PROV_ERR_TLS_STATE, "the largest q without a session");
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK, "opening");
	CHECK(ask_tls(&board, 2, NULL, NULL, 0) == PROV_ERR_OUT_OF_ORDER, "q 2 after q 0");
	CHECK(ask_tls(&board, 1, NULL, NULL, 0) == PROV_OK && state() == HANDSHAKING, "q 1");
	size_t len = board.answer_len;
	memcpy(first, board.answer, len);
	CHECK(ask_tls(&board, 1, NULL, (const uint8_t *)"garbage", 7) == PROV_OK, "q 1 again, with octets");
	CHECK(board.answer_len == len && memcmp(first, board.answer, len) == 0, "q 1 again gives another answer");
	CHECK(ask_tls(&board, 3, NULL, NULL, 0) == PROV_ERR_OUT_OF_ORDER, "q 3 after q 1");
	CHECK(ask_tls(&board, 2, NULL, NULL, 0) == PROV_OK && state() == HANDSHAKING, "q 2: the repeat had an effect");
	CHECK(ask_tls(&board, 1, NULL, NULL, 0) == PROV_ERR_OUT_OF_ORDER, "q 1 after q 2");
}

static void opening_again_drops_the_older_session(void)
{
	uint8_t random[32];
	const uint8_t *o = NULL;
	size_t len = 0;

	start();
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK && answer_octets(&board, "o", &o, &len) && len > 43, "opening");
	memcpy(random, o + 11, sizeof random);
	CHECK(ask_tls(&board, 1, NULL, NULL, 0) == PROV_OK, "q 1");
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK && answer_octets(&board, "o", &o, &len), "opening again");
	CHECK(memcmp(random, o + 11, sizeof random) != 0, "the same session");
	CHECK(ask_tls(&board, 1, NULL, NULL, 0) == PROV_OK, "q 1 of the new session");
}

static void an_opening_that_fails_leaves_no_session(void)
{
	start();
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK, "opening");
	board.fail_at = board.calls + 1u;
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_ERR_STORE_IO, "opening while flash fails");
	CHECK(ask_tls(&board, 1, NULL, NULL, 0) == PROV_ERR_TLS_STATE, "the older session is still there");
}

static void garbage_fails_the_session(void)
{
	static const struct {
		const char *name, *in;
		size_t len;
	} rows[] = {
		{ "text", "HTTP/1.1 400 Bad Request\r\n\r\n", 28 },
		{ "a record of a strange version", "\x16\x05\x05\x00\x02\x00\x00", 7 },
		{ "a record of a strange type", "\x63\x03\x03\x00\x02\x00\x00", 7 },
		{ "a record longer than a record may be", "\x16\x03\x03\xff\xff\x00\x00\x00", 8 },
		{ "a fatal alert", "\x15\x03\x03\x00\x02\x02\x28", 7 },
		{ "application data before the handshake", "\x17\x03\x03\x00\x02\x00\x00", 7 },
		{ "a ServerHello that is too short", "\x16\x03\x03\x00\x06\x02\x00\x00\x02\x03\x03", 11 },
	};

	start();
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t e = 0;
		CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK, "opening");
		CHECK(ask_tls(&board, 1, NULL, (const uint8_t *)rows[i].in, rows[i].len) == PROV_OK && state() == FAILED,
		      "%s", rows[i].name);
		CHECK(answer_number(&board, "e", &e) && e < 0, "%s: no reason", rows[i].name);
		CHECK(ask_tls(&board, 2, NULL, NULL, 0) == PROV_OK && state() == FAILED, "%s: it recovered", rows[i].name);
	}
}

static void half_a_record_waits_for_the_rest(void)
{
	start();
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK, "opening");
	for (uint32_t q = 1; q < 8; q++) {
		int want = q < 7 ? HANDSHAKING : FAILED;
		const uint8_t *octet = (const uint8_t *)"\x15\x03\x03\x00\x02\x02\x28" + q - 1u;
		CHECK(ask_tls(&board, q, NULL, octet, 1) == PROV_OK && state() == want, "octet %u", (unsigned)q);
	}
}

static void octets_after_the_end_are_thrown_away(void)
{
	static const uint8_t octets[1500] = { 1 };

	start();
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK, "opening");
	for (uint32_t q = 1; q < 6; q++) {
		CHECK(ask_tls(&board, q, NULL, octets, sizeof octets) == PROV_OK && state() == FAILED, "q %u", (unsigned)q);
	}
}

static void closing_ends_the_session(void)
{
	int64_t e;

	start();
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK && ask_tls_close(&board, 1) == PROV_OK, "closing");
	CHECK(state() == CLOSED && !answer_number(&board, "e", &e), "it is not closed");
	CHECK(ask_tls_close(&board, 1) == PROV_OK && state() == CLOSED, "closing again");
	CHECK(ask_tls(&board, 2, NULL, (const uint8_t *)"\x15\x03\x03\x00\x02\x02\x28", 7) == PROV_OK && state() == CLOSED,
	      "octets after it");
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK && state() == HANDSHAKING, "opening again");
}

/* In every end of a session mbedTLS's memory is freed at once, and the answer can still be repeated. */
static void what_ends_a_session_frees_it(void)
{
	static const char garbage[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
	size_t len;
	uint8_t last[SMP_MESSAGE_MAX];

	for (unsigned closes = 0; closes < 2; closes++) {
		start();
		CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK && board.prov.tls.open, "opening");
		int err = closes ? ask_tls_close(&board, 1) : ask_tls(&board, 1, NULL, (const uint8_t *)garbage, sizeof garbage - 1);
		CHECK(err == PROV_OK && !board.prov.tls.open, "a session is open after its end");
		len = board.answer_len;
		memcpy(last, board.answer, len);
		CHECK(ask_tls(&board, 1, NULL, NULL, 0) == PROV_OK && board.answer_len == len && memcmp(last, board.answer, len) == 0,
		      "the same question has another answer");
	}
}

static void a_session_of_a_silent_station_ends(void)
{
	start();
	CHECK(prov_poll(&board.prov) == UINT32_MAX, "there is a deadline without a session");
	board.uptime = UINT32_MAX - 1000u; /* the clock wraps during the session */
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK && prov_poll(&board.prov) == PROV_SILENCE_MS, "opening");
	board.uptime += PROV_SILENCE_MS - 1u;
	CHECK(prov_poll(&board.prov) == 1u && board.prov.tls.open, "it ended too early");
	CHECK(ask_tls(&board, 1, NULL, NULL, 0) == PROV_OK && prov_poll(&board.prov) == PROV_SILENCE_MS, "a request counts");
	board.uptime += PROV_SILENCE_MS;
	CHECK(prov_poll(&board.prov) == UINT32_MAX && !board.prov.tls.open, "it goes on");
	CHECK(ask_tls(&board, 2, NULL, NULL, 0) == PROV_ERR_TLS_STATE, "the session is still there");
	board.port.silence_ms = 50;
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK && prov_poll(&board.prov) == 50u, "opening with the port's limit");
	board.uptime += 50u;
	CHECK(ask_hello(&board) == PROV_OK && !board.prov.tls.open, "a port that forgets prov_poll");
}

/* The longest answer: the buffer for the server is full, and there are application data, an error and flags. */
static void the_longest_answer_fits(void)
{
	struct tls *tls = &board.prov.tls;
	const uint8_t *o = NULL, *r = NULL;
	size_t sent = 0, len = 0;
	int64_t number;

	start();
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK, "opening");
	tls->state = TLS_FAILED;
	tls->error = -0x2700;
	tls->verify_flags = UINT32_MAX - 1u;
	tls->out_len = sizeof tls->out;
	tls->given = 0;
	for (size_t i = 0; i < sizeof tls->out; i++) {
		tls->out[i] = (uint8_t)(i * 7u);
	}
	tls->app_len = sizeof tls->app;
	for (uint32_t q = 1; sent < sizeof tls->out && q < 9; q++) {
		int err = ask_tls(&board, q, NULL, NULL, 0);
		CHECK(err == PROV_OK && answer_octets(&board, "o", &o, &len), "q %u: %d", (unsigned)q, err);
		for (size_t i = 0; err == PROV_OK && i < len; i++) {
			CHECK(o[i] == (uint8_t)((sent + i) * 7u), "octet %u", (unsigned)(sent + i));
		}
		sent += len;
		CHECK(answer_octets(&board, "m", &r, &len) == (sent < sizeof tls->out), "m after %u octets", (unsigned)sent);
		CHECK(answer_octets(&board, "r", &r, &len) == (q == 1), "r in answer %u", (unsigned)q);
		CHECK(answer_number(&board, "e", &number) && number == -0x2700, "e");
	}
	CHECK(sent == sizeof tls->out, "%u octets for the server", (unsigned)sent);
}

static void a_small_buffer_is_refused_before_anything_happens(void)
{
	static const uint8_t open[] = "\xa2\x61q\x00\x62sn\x64name", next[] = "\xa1\x61q\x01";
	uint8_t out[SMP_MESSAGE_MAX];
	size_t len;

	start();
	for (size_t size = 0; size < 400; size++) {
		len = 0;
		int err = prov_group_handle(&board.prov, TLS, true, open, sizeof open - 1u, out, size, &len);
		CHECK((err == PROV_OK && len <= size) || err == PROV_ERR_INTERNAL, "%u octets: %d", (unsigned)size, err);
		CHECK(err == PROV_OK || size < 256u, "%u octets are not enough", (unsigned)size);
		CHECK((err == PROV_OK) == (board.prov.session.owner == SESSION_TLS), "%u octets: refused, and a session is open", (unsigned)size);
		if (err == PROV_OK) {
			err = prov_group_handle(&board.prov, TLS, true, next, sizeof next - 1u, out, size, &len);
			CHECK(err == PROV_OK && len <= size, "%u octets for the rest: %d", (unsigned)size, err);
		}
	}
}

static void what_does_not_belong_together_is_bad_map(void)
{
	static const struct {
		const char *name, *body;
		size_t len;
	} rows[] = {
		{ "no q", "\xa1\x62sn\x64name", 9 },
		{ "no server name", "\xa1\x61q\x00", 4 },
		{ "an empty server name", "\xa2\x61q\x00\x62sn\x60", 8 },
		{ "a NUL in the server name", "\xa2\x61q\x00\x62sn\x63" "a\0b", 11 },
		{ "octets with the opening", "\xa3\x61q\x00\x62sn\x61n\x61i\x41x", 13 },
		{ "opening and closing at once", "\xa3\x61q\x00\x62sn\x61n\x61x\xf5", 12 },
		{ "a server name with q 1", "\xa2\x61q\x01\x62sn\x61n", 9 },
		{ "the chain with q 1", "\xa2\x61q\x01\x62" "ch\xf5", 8 },
		{ "octets and closing at once", "\xa3\x61q\x01\x61i\x41x\x61x\xf5", 11 },
		{ "x that is false", "\xa2\x61q\x01\x61x\xf4", 7 },
	};

	start();
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK, "opening");
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		int err = ask_raw(&board, TLS, rows[i].body, rows[i].len);
		CHECK(err == PROV_ERR_BAD_MAP, "%s: %d", rows[i].name, err);
	}
	CHECK(ask_tls(&board, 1, NULL, NULL, 0) == PROV_OK && state() == HANDSHAKING, "the session suffered");
	board_stop(&board);
}

const struct test tls_tests[] = {
	{ "opening gives one ClientHello with the server name", opening_gives_a_client_hello },
	{ "opening needs a trust anchor and a certificate", opening_needs_anchor_and_certificate },
	{ "questions count up by one, a repeat gives the same answer", questions_count_up_by_one },
	{ "opening again drops the older session", opening_again_drops_the_older_session },
	{ "an opening that fails leaves no session", an_opening_that_fails_leaves_no_session },
	{ "garbage fails the session with the library's reason", garbage_fails_the_session },
	{ "half a record waits for the rest", half_a_record_waits_for_the_rest },
	{ "octets after the end are thrown away", octets_after_the_end_are_thrown_away },
	{ "closing ends the session", closing_ends_the_session },
	{ "what ends a session frees it at once", what_ends_a_session_frees_it },
	{ "a session whose station is silent ends by itself", a_session_of_a_silent_station_ends },
	{ "the longest answer fits", the_longest_answer_fits },
	{ "a buffer too small for an answer is refused before anything happens",
	  a_small_buffer_is_refused_before_anything_happens },
	{ "keys of tls that do not belong together are bad-map", what_does_not_belong_together_is_bad_map },
	{ 0 },
};
