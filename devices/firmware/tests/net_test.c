/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memmem */
/* The board's own network: the core's calls of the port's stream or sockets. The station's tests do whole handshakes. */
#include "ca.h"
#include "peer.h"
#include "requests.h"
#include "test.h"

#include <string.h>

enum { CLOSED, HANDSHAKING, ESTABLISHED, FAILED };

#define BODY(text) text, sizeof text - 1u

static struct board board;

/* A board with this network, ready for a handshake. */
static struct hierarchy start(const struct prov_stream *tcp, const struct prov_tls_sockets *sockets)
{
	board_make(&board);
	memset(&peer, 0, sizeof peer);
	peer.takes = sizeof peer.received;
	board.port.stream = tcp;
	board.port.tls_sockets = sockets;
	CHECK(board_start(&board) == PROV_OK, "starting");
	struct hierarchy h = ca_hierarchy(&board);
	CHECK(board_write(&board, SLOT_ANCHOR, h.root.der, h.root.len, 500) == PROV_OK &&
		      board_write(&board, SLOT_CHAIN, h.issuing.der, h.issuing.len, 500) == PROV_OK &&
		      board_write(&board, SLOT_CERTIFICATE, h.leaf.der, h.leaf.len, 500) == PROV_OK,
	      "provisioning");
	return h;
}

static int state(void)
{
	int64_t st = -1;

	CHECK(answer_number(&board, "st", &st), "an answer without st");
	return (int)st;
}

static int64_t number(const char *key)
{
	int64_t value = 0;

	(void)answer_number(&board, key, &value);
	return value;
}

static int dial(void)
{
	return ask_net(&board, "192.0.2.17", 8443, "station.example");
}

static void only_a_board_with_a_network_has_the_command(void)
{
	static const struct {
		const char *name;
		const struct prov_stream *tcp;
		const struct prov_tls_sockets *sockets;
		int want;
	} rows[] = {
		{ "no network", NULL, NULL, PROV_UNKNOWN_COMMAND },
		{ "streams", &peer_stream, NULL, PROV_OK },
		{ "sockets", NULL, &peer_raw_sockets, PROV_OK },
	};

	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		(void)start(rows[i].tcp, rows[i].sockets);
		CHECK(dial() == rows[i].want, "%s: net", rows[i].name);
		CHECK(ask_hello(&board) == PROV_OK && ((number("ca") & 2) != 0) == (rows[i].want == PROV_OK), "%s: ca",
		      rows[i].name);
	}
}

static void opening_dials_and_sends_a_client_hello(void)
{
	(void)start(&peer_stream, NULL);
	CHECK(dial() == PROV_OK && state() == HANDSHAKING && peer.received_len == 0, "opening");
	CHECK(peer.opened == 1 && strcmp(peer.address, "192.0.2.17") == 0 && peer.port == 8443, "%s:%u", peer.address,
	      peer.port);
	peer.takes = 0;
	CHECK(ask_net_again(&board, 1) == PROV_OK && state() == HANDSHAKING && peer.received_len == 0, "not connected yet");
	peer.takes = 7; /* a socket buffer that is nearly full */
	CHECK(ask_net_again(&board, 2) == PROV_OK && state() == HANDSHAKING, "connected");
	const uint8_t *o = peer.received;
	CHECK(peer.received_len > 50 && o[0] == 22 && o[5] == 1 && ((size_t)o[3] << 8 | o[4]) + 5u == peer.received_len,
	      "no ClientHello");
	CHECK(memmem(o, peer.received_len, "station.example", 15) != NULL, "no server name");
}

static void opening_needs_anchor_and_certificate(void)
{
	static const struct prov_tls_sockets *const sockets[] = { NULL, &peer_raw_sockets };

	for (unsigned i = 0; i < 2; i++) {
		board_make(&board);
		memset(&peer, 0, sizeof peer);
		board.port.tls_sockets = sockets[i];
		board.port.stream = sockets[i] == NULL ? &peer_stream : NULL;
		(void)board_start(&board);
		struct hierarchy h = ca_hierarchy(&board);
		CHECK(dial() == PROV_ERR_NO_ANCHOR, "an empty store");
		CHECK(board_write(&board, SLOT_ANCHOR, h.root.der, h.root.len, 500) == PROV_OK, "writing the trust anchor");
		CHECK(dial() == PROV_ERR_EMPTY, "no certificate");
		CHECK(peer.opened == 0, "it dialled all the same");
		CHECK(ask_net_again(&board, 1) == PROV_ERR_TLS_STATE, "a session that never opened");
	}
}

static void an_opening_that_fails_leaves_nothing_open(void)
{
	static const struct {
		const char *name;
		const struct prov_stream *tcp;
		const struct prov_tls_sockets *sockets;
		int error;
	} rows[] = {
		{ "no address literal", &peer_stream, NULL, PROV_ERR_BAD_MAP },
		{ "no network", &peer_stream, NULL, PROV_ERR_NO_NETWORK },
		{ "no address literal for sockets", NULL, &peer_raw_sockets, PROV_ERR_BAD_MAP },
		{ "a credential that is not taken", NULL, &peer_psa_sockets, PROV_ERR_CRYPTO },
	};

	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		(void)start(rows[i].tcp, rows[i].sockets);
		peer.open_error = rows[i].error;
		CHECK(dial() == rows[i].error && peer.closed == 1, "%s", rows[i].name);
		CHECK(ask_net_again(&board, 1) == PROV_ERR_TLS_STATE, "%s: a session is open", rows[i].name);
	}
	(void)start(&peer_stream, NULL);
	CHECK(dial() == PROV_OK, "opening");
	board.fail_at = board.calls + 1u;
	CHECK(dial() == PROV_ERR_STORE_IO, "opening while flash fails");
	CHECK(ask_net_again(&board, 1) == PROV_ERR_TLS_STATE && peer.opened == 1 && peer.closed >= 1,
	      "the older session is still there");
}

static void questions_count_up_by_one(void)
{
	(void)start(&peer_stream, NULL);
	CHECK(ask_net_again(&board, 1) == PROV_ERR_TLS_STATE, "q 1 without a session");
	CHECK(dial() == PROV_OK, "opening");
	CHECK(ask_net_again(&board, 2) == PROV_ERR_OUT_OF_ORDER, "q 2 after q 0");
	CHECK(ask_net_again(&board, 1) == PROV_OK && state() == HANDSHAKING, "q 1");
	peer.receive_error = PROV_NET_ENDED;
	CHECK(ask_net_again(&board, 1) == PROV_OK && state() == HANDSHAKING, "q 1 again looked anew");
	CHECK(ask_net_again(&board, 2) == PROV_OK && state() == FAILED, "q 2");
	CHECK(ask_net_again(&board, 1) == PROV_ERR_OUT_OF_ORDER, "q 1 after q 2");
}

static void a_connection_that_ends_fails_the_session_with_its_reason(void)
{
	static const struct {
		const char *name;
		int send, receive;
	} rows[] = {
		{ "nobody listens", PROV_NET_UNREACHABLE, 0 },
		{ "reset while the board speaks", PROV_NET_RESET, 0 },
		{ "reset while it listens", 0, PROV_NET_RESET },
		{ "closed by the server", 0, PROV_NET_ENDED },
	};

	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		(void)start(&peer_stream, NULL);
		CHECK(dial() == PROV_OK && state() == HANDSHAKING, "%s: opening", rows[i].name);
		peer.send_error = rows[i].send;
		peer.receive_error = rows[i].receive;
		CHECK(ask_net_again(&board, 1) == PROV_OK && state() == FAILED, "%s", rows[i].name);
		CHECK(number("e") == rows[i].send + rows[i].receive, "%s: e %d", rows[i].name, (int)number("e"));
		peer.send_error = peer.receive_error = 0;
		CHECK(ask_net_again(&board, 2) == PROV_OK && state() == FAILED, "%s: it recovered", rows[i].name);
	}
}

static void garbage_fails_the_session_and_the_server_is_told(void)
{
	(void)start(&peer_stream, NULL);
	peer.output = (const uint8_t *)"HTTP/1.1 400 Bad Request\r\n\r\n";
	peer.output_len = 28;
	CHECK(dial() == PROV_OK && ask_net_again(&board, 1) == PROV_OK && state() == FAILED, "text");
	CHECK(number("e") == MBEDTLS_ERR_SSL_INVALID_RECORD, "e %d", (int)number("e"));
	peer.output = (const uint8_t *)"\x16\x03\x03\x00\x06\x02\x00\x00\x02\x03\x03";
	peer.output_len = 11;
	peer.received_len = 0;
	CHECK(dial() == PROV_OK && ask_net_again(&board, 1) == PROV_OK && state() == FAILED, "a short ServerHello");
	CHECK(number("e") == MBEDTLS_ERR_SSL_DECODE_ERROR, "e %d", (int)number("e"));
	CHECK(peer.received_len > 7 && memcmp(peer.received + peer.received_len - 7, "\x15\x03\x03\x00\x02\x02", 6) == 0, "no alert");
}

static void a_board_has_one_session(void)
{
	(void)start(&peer_stream, NULL);
	CHECK(dial() == PROV_OK && peer.closed == 0, "dialling");
	CHECK(ask_tls(&board, 1, NULL, NULL, 0) == PROV_ERR_TLS_STATE, "the session of net answers tls");
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK && state() == HANDSHAKING && peer.closed == 1, "opening tls");
	CHECK(ask_net_again(&board, 1) == PROV_ERR_TLS_STATE, "net goes on beside tls");
	CHECK(ask_tls(&board, 1, NULL, NULL, 0) == PROV_OK && state() == HANDSHAKING, "tls goes on");
	CHECK(dial() == PROV_OK && ask_tls(&board, 2, NULL, NULL, 0) == PROV_ERR_TLS_STATE, "tls goes on beside net");
	CHECK(dial() == PROV_OK && peer.closed == 2 && peer.opened == 3, "dialling again");
	board_stop(&board);
	CHECK(peer.closed == 3, "the core ended, and the connection did not");
}

static void closing_ends_the_connection(void)
{
	(void)start(&peer_stream, NULL);
	CHECK(dial() == PROV_OK && ask_net_close(&board, 1) == PROV_OK && state() == CLOSED && peer.closed == 1, "closing");
	CHECK(ask_net_close(&board, 1) == PROV_OK && state() == CLOSED && peer.closed == 1, "closing again");
	peer.receive_error = PROV_NET_RESET;
	CHECK(ask_net_again(&board, 2) == PROV_OK && state() == CLOSED && number("e") == 0, "a question after it");
	CHECK(dial() == PROV_OK && peer.opened == 2, "dialling again");
}

static int hello(void)
{
	return ask_hello(&board);
}

static int read_anchor(void)
{
	return ask_read(&board, SLOT_ANCHOR, 0);
}

static int csr(void)
{
	return ask_csr(&board, "Test", "Boards");
}

static int seal(void)
{
	return ask_seal(&board);
}

/* A port may do the handshake in a thread of its own, and PSA need not be thread-safe. */
static void what_computes_ends_a_visit(void)
{
	static const struct {
		const char *name;
		int (*ask)(void);
		bool ends;
	} rows[] = { { "hello", hello, false }, { "read", read_anchor, false }, { "csr", csr, true }, { "seal", seal, true } };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		(void)start(NULL, &peer_raw_sockets);
		CHECK(dial() == PROV_OK && rows[i].ask() == PROV_OK, "%s is refused beside a visit", rows[i].name);
		CHECK(peer.closed == (rows[i].ends ? 1u : 0u), "%s: closed %u times", rows[i].name, (unsigned)peer.closed);
		CHECK(ask_net_again(&board, 1) == (rows[i].ends ? PROV_ERR_TLS_STATE : PROV_OK), "%s: the session", rows[i].name);
		board_stop(&board);
	}
}

static bool same(struct prov_der der, const struct certificate *want)
{
	return der.len == want->len && memcmp(der.octets, want->der, der.len) == 0;
}

static bool is_the_boards_key(struct prov_der der)
{
	uint8_t point[P256_POINT_SIZE];
	mbedtls_pk_context key;
	size_t len = 0;

	mbedtls_pk_init(&key);
	bool ok = mbedtls_pk_parse_key(&key, der.octets, der.len, NULL, 0, mbedtls_psa_get_random,
				       MBEDTLS_PSA_RANDOM_STATE) == 0 &&
		  mbedtls_ecp_point_write_binary(&mbedtls_pk_ec(key)->MBEDTLS_PRIVATE(grp),
						 &mbedtls_pk_ec(key)->MBEDTLS_PRIVATE(Q), MBEDTLS_ECP_PF_UNCOMPRESSED,
						 &len, point, sizeof point) == 0 &&
		  mbedtls_ecp_check_pub_priv(mbedtls_pk_ec(key), mbedtls_pk_ec(key), mbedtls_psa_get_random,
					     MBEDTLS_PSA_RANDOM_STATE) == 0;
	mbedtls_pk_free(&key);
	return ok && memcmp(point, board.prov.identity.keys[PURPOSE_TLS].public_key, sizeof point) == 0;
}

static void sockets_get_the_credentials_and_nothing_is_left_of_them(void)
{
	struct hierarchy h = start(NULL, &peer_raw_sockets);

	CHECK(dial() == PROV_OK && state() == HANDSHAKING, "opening");
	const struct prov_visit *visit = peer.visit;
	CHECK(strcmp(visit->address, "192.0.2.17") == 0 && visit->port == 8443 &&
		      strcmp(visit->server_name, "station.example") == 0,
	      "%s:%u, %s", visit->address, visit->port, visit->server_name);
	CHECK(same(visit->anchor, &h.root) && same(visit->certificate, &h.leaf) && same(visit->chain, &h.issuing),
	      "other certificates");
	CHECK(is_the_boards_key(visit->private_key), "another key");
	uint8_t scalar[32];
	memcpy(scalar, visit->private_key.octets + 7, sizeof scalar);
	CHECK(memmem(&board.prov, sizeof board.prov, scalar, sizeof scalar) != NULL, "the key is somewhere else");
	CHECK(ask_net_close(&board, 1) == PROV_OK && peer.closed == 1, "closing");
	CHECK(memmem(&board.prov, sizeof board.prov, scalar, sizeof scalar) == NULL, "the key is still in RAM");
}

static void sockets_that_take_psa_keys_get_no_octets_of_one(void)
{
	(void)start(NULL, &peer_psa_sockets);
	CHECK(dial() == PROV_OK && peer.visit->private_key.len == 0, "there is a key in RAM");
	CHECK(peer.visit->psa_key_id == (uint32_t)board.prov.identity.keys[PURPOSE_TLS].id && peer.visit->psa_key_id != 0,
	      "another key");
	/* Without `ch` the chain is not sent. */
	CHECK(ask_raw(&board, NET, BODY("\xa4\x61q\x00\x61" "a\x62::\x61p\x01\x62sn\x61n")) == PROV_OK &&
		      peer.visit->chain.len == 0 && strcmp(peer.visit->address, "::") == 0,
	      "the chain is sent without being asked for");
}

static void what_sockets_report_is_answered_until_the_end(void)
{
	const uint8_t *r = NULL;
	size_t len = 0;

	(void)start(NULL, &peer_raw_sockets);
	CHECK(dial() == PROV_OK && state() == HANDSHAKING, "opening");
	peer.report = (struct prov_visit_report){ .state = PROV_VISIT_ESTABLISHED, .data = "ok 123456\n", .data_len = 10 };
	CHECK(ask_net_again(&board, 1) == PROV_OK && state() == ESTABLISHED, "established");
	CHECK(answer_octets(&board, "r", &r, &len) && len == 10 && memcmp(r, "ok 123456\n", 10) == 0, "its data");
	CHECK(peer.closed == 1, "the answer is here, and the session goes on");
	CHECK(ask_net_again(&board, 2) == PROV_OK && state() == CLOSED, "the session ended");
	CHECK(dial() == PROV_OK, "opening again");
	peer.report = (struct prov_visit_report){ .state = PROV_VISIT_FAILED, .error = -0x2700, .verify_flags = 0xfffffffe,
						  .data_len = 64 };
	CHECK(ask_net_again(&board, 1) == PROV_OK && state() == FAILED, "failed");
	CHECK(number("e") == -0x2700 && number("vf") == 0xfffffffe && answer_octets(&board, "r", &r, &len) && len == 64,
	      "the longest answer");
	peer.report = (struct prov_visit_report){ .state = PROV_VISIT_ESTABLISHED };
	CHECK(ask_net_again(&board, 2) == PROV_OK && state() == FAILED && !answer_octets(&board, "r", &r, &len),
	      "it came back to life");
	(void)dial();
	peer.report = (struct prov_visit_report){ .state = PROV_VISIT_ESTABLISHED, .data_len = 65 };
	CHECK(ask_net_again(&board, 1) == PROV_OK && !answer_octets(&board, "r", &r, &len), "more data than there is room");
}

/* Every way in which a session ends: afterwards no octet of the key is in the core's memory. */
static void the_key_leaves_ram_with_the_session(void)
{
	enum { ANSWERED, FAILS, CLOSES, SILENT, OTHER_COMMAND, COUNT };
	static const char *const names[COUNT] = { "the server's answer", "a failure", "x", "silence", "another command" };
	uint8_t scalar[32];

	for (unsigned how = 0; how < COUNT; how++) {
		(void)start(NULL, &peer_raw_sockets);
		CHECK(dial() == PROV_OK, "%s: opening", names[how]);
		memcpy(scalar, peer.visit->private_key.octets + 7, sizeof scalar);
		CHECK(memmem(&board.prov, sizeof board.prov, scalar, 8) != NULL, "%s: there is no key to wipe", names[how]);
		peer.report = (struct prov_visit_report){ .state = how == FAILS ? PROV_VISIT_FAILED : PROV_VISIT_ESTABLISHED,
							  .data = "ok\n", .data_len = how == ANSWERED ? 3 : 0 };
		CHECK(how != CLOSES || ask_net_close(&board, 1) == PROV_OK, "closing");
		CHECK(how != OTHER_COMMAND || csr() == PROV_OK, "csr");
		CHECK(how > FAILS || ask_net_again(&board, 1) == PROV_OK, "%s: asking", names[how]);
		board.uptime += how == SILENT ? PROV_SILENCE_MS : 0;
		(void)prov_poll(&board.prov);
		CHECK(peer.closed == 1, "%s: closed %u times", names[how], peer.closed);
		for (size_t at = 0; at + 8 <= sizeof scalar; at++) {
			CHECK(memmem(&board.prov, sizeof board.prov, scalar + at, 8) == NULL, "%s: the key is in RAM", names[how]);
		}
	}
}

/* Sockets that are still at work keep their buffers, and nothing else computes. */
static void busy_sockets_keep_what_they_use(void)
{
	uint8_t scalar[32];

	(void)start(NULL, &peer_raw_sockets);
	CHECK(dial() == PROV_OK, "opening");
	memcpy(scalar, peer.visit->private_key.octets + 7, sizeof scalar);
	peer.busy = 5;
	CHECK(csr() == PROV_ERR_TLS_BUSY && seal() == PROV_ERR_TLS_BUSY, "something computes beside the sockets"); /* two tries each: prov_poll, too */
	CHECK(memmem(&board.prov, sizeof board.prov, scalar, sizeof scalar) != NULL, "the sockets' key was wiped under them");
	CHECK(hello() == PROV_OK && read_anchor() == PROV_OK, "what does not compute");
	peer.busy = 2;
	CHECK(prov_quiet(&board.prov) == PROV_ERR_TLS_BUSY && prov_poll(&board.prov) < 1000u, "quiet");
	CHECK(prov_poll(&board.prov) == UINT32_MAX && peer.closed == 1, "the sockets have ended");
	CHECK(memmem(&board.prov, sizeof board.prov, scalar, sizeof scalar) == NULL, "the key is in RAM");
	CHECK(csr() == PROV_OK, "afterwards");
	board_stop(&board);
}

/* Sockets that never end hold up the end of the core for some tries only, and their key stays with them. */
static void the_end_of_the_core_has_a_bound(void)
{
	uint32_t key = 0;

	(void)start(NULL, &peer_raw_sockets);
	CHECK(dial() == PROV_OK && prov_key(&board.prov, PROV_PURPOSE_TLS, &key) == PROV_OK, "opening");
	peer.busy = 1000;
	CHECK(prov_free(&board.prov) == PROV_ERR_TLS_BUSY && peer.busy >= 990u, "it gave up after %u tries", 1000u - peer.busy);
	CHECK(prov_key(&board.prov, PROV_PURPOSE_TLS, &key) == PROV_OK && board.prov.identity.keys[0].id == key, "the key is gone");
	peer.busy = 0;
	CHECK(prov_free(&board.prov) == PROV_OK && board.prov.identity.keys[0].id == PSA_KEY_ID_NULL, "the next try");
	board.running = false;
	board_stop(&board);
}

static void without_the_huk_no_raw_key_is_given(void)
{
	(void)start(NULL, &peer_raw_sockets);
	board.huk_missing = true;
	CHECK(dial() == PROV_ERR_NO_HUK && peer.opened == 0, "dialling without a HUK");
	CHECK(ask_net_again(&board, 1) == PROV_ERR_TLS_STATE, "a session is open");
}

static void a_small_buffer_is_refused_before_anything_happens(void)
{
	static const uint8_t open[] = "\xa4\x61q\x00\x61" "a\x62::\x61p\x01\x62sn\x61n";
	uint8_t out[SMP_MESSAGE_MAX];

	(void)start(&peer_stream, NULL);
	for (size_t size = 0; size < 400; size++) {
		size_t len = 0;
		unsigned before = peer.opened;
		peer.received_len = 0;
		int err = prov_group_handle(&board.prov, NET, true, open, sizeof open - 1u, out, size, &len);
		CHECK((err == PROV_OK && len <= size) || err == PROV_ERR_INTERNAL, "%u octets: %d", (unsigned)size, err);
		CHECK((err == PROV_OK) == (peer.opened > before), "%u octets: refused, and it dialled", (unsigned)size);
		CHECK(err == PROV_OK || size < 256u, "%u octets are not enough", (unsigned)size);
	}
}

static void what_does_not_belong_together_is_bad_map(void)
{
	static const struct {
		const char *name, *body;
		size_t len;
	} rows[] = {
		{ "no q", BODY("\xa3\x61" "a\x62::\x61p\x01\x62sn\x61n") },
		{ "no address", BODY("\xa3\x61q\x00\x61p\x01\x62sn\x61n") },
		{ "no port", BODY("\xa3\x61q\x00\x61" "a\x62::\x62sn\x61n") },
		{ "no server name", BODY("\xa3\x61q\x00\x61" "a\x62::\x61p\x01") },
		{ "an empty address", BODY("\xa4\x61q\x00\x61" "a\x60\x61p\x01\x62sn\x61n") },
		{ "an empty server name", BODY("\xa4\x61q\x00\x61" "a\x62::\x61p\x01\x62sn\x60") },
		{ "port 0", BODY("\xa4\x61q\x00\x61" "a\x62::\x61p\x00\x62sn\x61n") },
		{ "a NUL in the address", BODY("\xa4\x61q\x00\x61" "a\x62:\0\x61p\x01\x62sn\x61n") },
		{ "a NUL in the server name", BODY("\xa4\x61q\x00\x61" "a\x62::\x61p\x01\x62sn\x61\0") },
		{ "dialling and closing at once", BODY("\xa5\x61q\x00\x61" "a\x62::\x61p\x01\x62sn\x61n\x61x\xf5") },
		{ "an address with q 1", BODY("\xa2\x61q\x01\x61" "a\x62::") },
		{ "a port with q 1", BODY("\xa2\x61q\x01\x61p\x01") },
		{ "a server name with q 1", BODY("\xa2\x61q\x01\x62sn\x61n") },
		{ "the chain with q 1", BODY("\xa2\x61q\x01\x62" "ch\xf5") },
		{ "octets, as tls has them", BODY("\xa2\x61q\x01\x61i\x41x") },
		{ "x that is false", BODY("\xa2\x61q\x01\x61x\xf4") },
	};

	(void)start(&peer_stream, NULL);
	CHECK(dial() == PROV_OK, "opening");
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		int err = ask_raw(&board, NET, rows[i].body, rows[i].len);
		CHECK(err == PROV_ERR_BAD_MAP, "%s: %d", rows[i].name, err);
	}
	CHECK(ask_raw(&board, NET, BODY("\xa4\x61q\x00\x61" "a\x62::\x61p\x1a\x00\x01\x00\x00\x62sn\x61n")) == PROV_ERR_TOO_LONG,
	      "port 65536");
	CHECK(ask_net(&board, "0123456789012345678901234567890123456789012345", 1, "n") == PROV_ERR_TOO_LONG,
	      "an address of 46 octets");
	CHECK(ask_net_again(&board, 1) == PROV_OK && state() == HANDSHAKING && peer.opened == 1 && peer.closed == 0,
	      "the session suffered");
	board_stop(&board);
}

const struct test net_tests[] = {
	{ "only a board with a network has the command and says so", only_a_board_with_a_network_has_the_command },
	{ "dialling connects and sends a ClientHello, in whatever pieces", opening_dials_and_sends_a_client_hello },
	{ "dialling needs a trust anchor and a certificate", opening_needs_anchor_and_certificate },
	{ "dialling that fails leaves nothing open", an_opening_that_fails_leaves_nothing_open },
	{ "questions about a network handshake count up by one", questions_count_up_by_one },
	{ "a connection that ends fails the session with its reason",
	  a_connection_that_ends_fails_the_session_with_its_reason },
	{ "garbage over the network fails the session, and the server is told",
	  garbage_fails_the_session_and_the_server_is_told },
	{ "a board has one TLS session, of tls or of net", a_board_has_one_session },
	{ "closing ends the connection", closing_ends_the_connection },
	{ "what computes ends a visit first; hello and read do not", what_computes_ends_a_visit },
	{ "TLS sockets get the credentials, and nothing is left of them",
	  sockets_get_the_credentials_and_nothing_is_left_of_them },
	{ "TLS sockets that take PSA keys get no octets of one", sockets_that_take_psa_keys_get_no_octets_of_one },
	{ "what TLS sockets report is answered until the end", what_sockets_report_is_answered_until_the_end },
	{ "the key leaves RAM with the session, however the session ends", the_key_leaves_ram_with_the_session },
	{ "sockets that are busy keep what they use, and nothing else computes", busy_sockets_keep_what_they_use },
	{ "the end of the core has a bound", the_end_of_the_core_has_a_bound },
	{ "without the HUK no raw key is given", without_the_huk_no_raw_key_is_given },
	{ "net: a buffer too small for an answer is refused before anything happens",
	  a_small_buffer_is_refused_before_anything_happens },
	{ "keys of net that do not belong together are bad-map", what_does_not_belong_together_is_bad_map },
	{ 0 },
};
