/* SPDX-License-Identifier: Apache-2.0 */
/* The laws of the firmware, each over one kind of input. */
#include "fuzz.h"

#include <string.h>

#include "ca.h"
#include "frames.h"
#include "requests.h"
#include "test.h"
#include "vectors.h"

static struct board board;
static struct hierarchy ca;
static uint8_t flash[BOARD_FLASH]; /* before each input */
static struct store before;

/* A board with a whole store. */
static void enrol(void)
{
	board_make(&board);
	CHECK(board_start(&board) == PROV_OK, "starting");
	ca = ca_hierarchy(&board);
	CHECK(board_write(&board, SLOT_ANCHOR, ca.root.der, ca.root.len, 500) == PROV_OK &&
		      board_write(&board, SLOT_CHAIN, ca.issuing.der, ca.issuing.len, 500) == PROV_OK &&
		      board_write(&board, SLOT_CERTIFICATE, ca.leaf.der, ca.leaf.len, 500) == PROV_OK,
	      "enrolling");
}

static void remember(void)
{
	memcpy(flash, board.flash, sizeof flash);
	before = board.prov.store;
}

/* The board as it was before the first input. Keys and identity stay: no input changes them. */
static void restore(void)
{
	(void)prov_session_end(&board.prov, false);
	memset(&board.prov.transfer, 0, sizeof board.prov.transfer);
	memset(&board.prov.smp, 0, sizeof board.prov.smp);
	memcpy(board.flash, flash, sizeof flash);
	board.prov.store = before;
	board.broken_rules = 0;
	board.sent_len = 0;
}

/* After every input the board answers, flash and RAM agree, and no rule of NOR was broken. */
static void still_whole(void)
{
	struct store s;

	CHECK(ask_hello(&board) == PROV_OK, "no hello");
	CHECK(board.broken_rules == 0, "flash was written against the rules");
	CHECK(prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_OK, "the store is lost");
	CHECK(memcmp(s.len, board.prov.store.len, sizeof s.len) == 0 && prov_store_sealed(&s) == prov_store_sealed(&board.prov.store),
	      "flash and RAM differ");
}

static void answers_on_the_line(void)
{
	uint8_t request[64], answer[PROV_BUF_SIZE];
	size_t n = message_write(request, 1, 2, 0, 0, "\xa1\x61" "d\x61" "1", 5);

	board.sent_len = 0;
	uart_send(&board, (const uint8_t *)"\n", 1); /* ends a line that may be open */
	CHECK(uart_ask(&board, request, n, answer) == SMP_HEADER_SIZE + 5u, "no echo");
}

/* 1. Whatever comes over the line, the next request is answered. */
static void seed_line(const struct vector *v)
{
	fuzz_seed(v->line, v->line_len);
}

static void start_lines(void)
{
	enrol();
	remember();
	CHECK(vectors_each("request-", seed_line) + vectors_each("frame-", seed_line) > 80, "vectors are missing");
}

static void check_lines(const uint8_t *input, size_t len)
{
	restore();
	uart_send(&board, input, len);
	answers_on_the_line();
	still_whole();
}

/* 2. Whatever a whole frame carries, the next request is answered. */
static void seed_message(const struct vector *v)
{
	fuzz_seed(v->message, v->message_len);
}

static void start_messages(void)
{
	enrol();
	remember();
	(void)vectors_each("request-", seed_message);
}

static void check_messages(const uint8_t *input, size_t len)
{
	static uint8_t lines[3u * INPUT_MAX];

	restore();
	if (len > 0 && len <= SMP_MESSAGE_MAX) {
		uart_send(&board, lines, frame_write(input, len, 93, lines, sizeof lines));
	}
	answers_on_the_line();
	still_whole();
}

/* A sequence of requests: each has the octets command with bit 7 for write, length (2), body. */
static void seed_sequence(const struct vector *v)
{
	static uint8_t sequence[INPUT_MAX];
	size_t len = v->message_len - SMP_HEADER_SIZE;

	if (v->message_len < SMP_HEADER_SIZE || v->message[5] != 64 || len > INPUT_MAX - 3u) {
		return;
	}
	sequence[0] = (uint8_t)(v->message[7] | (v->message[0] & 7u) << 6);
	sequence[1] = (uint8_t)(len >> 8);
	sequence[2] = (uint8_t)len;
	memcpy(sequence + 3, v->message + SMP_HEADER_SIZE, len);
	fuzz_seed(sequence, len + 3u);
}

static void run_sequence(const uint8_t *input, size_t len)
{
	static uint8_t out[SMP_MESSAGE_MAX];

	while (len >= 3) {
		size_t n = (size_t)(input[1] << 8 | input[2]), written = 0;
		n = n < len - 3u ? n : len - 3u;
		int err = prov_group_handle(&board.prov, input[0] & 0x0fu, (input[0] & 0x80u) != 0, input + 3, n, out, sizeof out, &written);
		CHECK(err == PROV_UNKNOWN_COMMAND || (err <= 0 && err >= PROV_ERR_UPDATE_OLD), "answer %d", err);
		CHECK(err != PROV_OK || (written > 0 && written <= sizeof out && out[0] >> 5 == 5), "no map");
		input += 3u + n;
		len -= 3u + n;
	}
}

/* An update as one request of a sequence, and then the same file again in two. */
static void seed_update(const struct update *u)
{
	static uint8_t sequence[INPUT_MAX];
	uint8_t *at = sequence;
	size_t half = u->len / 2u;
	const struct {
		size_t from, len;
		bool last;
	} pieces[] = { { 0, u->len, true }, { 0, half, false }, { half, u->len - half, true } };

	for (unsigned i = 0; i < 3; i++) {
		struct cbor_writer w = { at + 3, (size_t)(sequence + sizeof sequence - at) - 3u, 0, false };
		prov_cbor_put_map(&w, 2u + (pieces[i].from == 0 ? 1u : 0u) + (pieces[i].last ? 1u : 0u));
		prov_cbor_put_key(&w, "o");
		prov_cbor_put_uint(&w, (uint32_t)pieces[i].from);
		if (pieces[i].from == 0) {
			prov_cbor_put_key(&w, "l");
			prov_cbor_put_uint(&w, (uint32_t)u->len);
		}
		prov_cbor_put_key(&w, "d");
		prov_cbor_put_bstr(&w, u->octets + pieces[i].from, pieces[i].len);
		if (pieces[i].last) {
			prov_cbor_put_key(&w, "c");
			prov_cbor_put_bool(&w, true);
		}
		if (w.overflow) {
			break;
		}
		at[0] = 0x80u | UPDATE;
		at[1] = (uint8_t)(w.len >> 8);
		at[2] = (uint8_t)w.len;
		at += 3u + w.len;
	}
	fuzz_seed(sequence, (size_t)(at - sequence));
}

/* An update of the certificate, by the key of the anchor. */
static struct update update_for(const uint8_t *board_id)
{
	struct update_plan plan = { .key = ca.root_key, .board_id = board_id, .counter = 5, .objects = { NULL, NULL, &ca.leaf, &ca.cose } };

	return ca_update(&plan);
}

/* 3. Any requests in any order: each is answered or refused by name, and the store stays whole. */
static void start_open(void)
{
	enrol();
	remember();
	struct update u = update_for(board.prov.identity.board_id);
	seed_update(&u);
	(void)vectors_each("request-", seed_sequence);
}

static void check_open(const uint8_t *input, size_t len)
{
	restore();
	run_sequence(input, len);
	still_whole();
}

/* 4. On a sealed board no request changes an octet of the flash. */
static void start_sealed(void)
{
	enrol();
	CHECK(ask_seal(&board) == PROV_OK, "sealing");
	remember();
	static const uint8_t other_board[BOARD_ID_SIZE] = { 1 };
	struct update u = update_for(other_board);
	seed_update(&u);
	(void)vectors_each("request-", seed_sequence);
}

static void check_sealed(const uint8_t *input, size_t len)
{
	restore();
	run_sequence(input, len);
	CHECK(memcmp(board.flash, flash, sizeof flash) == 0, "a sealed board's flash was changed");
	CHECK(prov_store_sealed(&board.prov.store), "the seal is gone");
	still_whole();
}

static bool is_same(const uint8_t *der, size_t len, const struct certificate *c)
{
	return len == c->len && memcmp(der, c->der, len) == 0;
}

/* 5. A slot below the anchor takes no certificate but those of the CA; a root has signed itself, so it is a chain, too. The first octet is the slot. */
static void seed_certificate(unsigned slot, const struct certificate *c)
{
	uint8_t input[CERTIFICATE_MAX + 1u];

	input[0] = (uint8_t)slot;
	memcpy(input + 1, c->der, c->len);
	fuzz_seed(input, c->len + 1u);
}

static void start_certificates(void)
{
	enrol();
	remember();
	seed_certificate(SLOT_ANCHOR, &ca.root);
	seed_certificate(SLOT_CHAIN, &ca.issuing);
	seed_certificate(SLOT_CERTIFICATE, &ca.leaf);
	seed_certificate(SLOT_COSE, &ca.cose);
}

static void check_certificates(const uint8_t *input, size_t len)
{
	const struct certificate *const own[SLOT_COUNT] = { &ca.root, &ca.issuing, &ca.leaf, &ca.cose };

	if (len == 0) {
		return;
	}
	restore();
	unsigned slot = input[0] % SLOT_COUNT;
	int err = board_write(&board, slot, input + 1, len - 1u, SLOT_SIZE);
	CHECK(err <= PROV_OK && err != PROV_ERR_INTERNAL && err != PROV_ERR_STORE_IO, "answer %d", err);
	CHECK(err != PROV_OK || slot == SLOT_ANCHOR || is_same(input + 1, len - 1u, own[slot]) ||
		      (slot == SLOT_CHAIN && is_same(input + 1, len - 1u, &ca.root)),
	      "slot %u took a changed certificate", slot);
	still_whole();
}

/* 6. Whatever a server sends, the session ends or goes on, and another one can begin. The first octet is the size of the pieces. */
static void start_records(void)
{
	static const char hello[] = "\x40\x16\x03\x03\x00\x2c\x02\x00\x00\x28\x03\x03" "0123456789abcdef0123456789abcdef"
				    "\x00\xc0\x2b\x00\x00\x00";
	static const char hello13[] = "\xff\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" "0123456789abcdef0123456789abcdef" "\x20"
				      "0123456789abcdef0123456789abcdef" "\x13\x01\x00\x00\x2e\x00\x2b\x00\x02\x03\x04\x00\x33\x00\x24\x00\x17\x00\x20"
				      "0123456789abcdef0123456789abcdef";
	static const char alert[] = "\xff\x15\x03\x03\x00\x02\x02\x28";

	enrol();
	remember();
	fuzz_seed((const uint8_t *)hello, sizeof hello - 1u);
	fuzz_seed((const uint8_t *)hello13, sizeof hello13 - 1u);
	fuzz_seed((const uint8_t *)alert, sizeof alert - 1u);
}

static void check_records(const uint8_t *input, size_t len)
{
	size_t piece = len > 0 ? 1u + input[0] * 4u : 1u;
	uint32_t q = 0;

	restore();
	CHECK(ask_tls(&board, q++, "name", NULL, 0) == PROV_OK, "opening");
	for (size_t at = 1; at < len && q < 64u; at += piece, q++) {
		int err = ask_tls(&board, q, NULL, input + at, len - at < piece ? len - at : piece);
		CHECK(err == PROV_OK || err == PROV_ERR_TOO_LONG, "answer %d", err);
		if (err != PROV_OK) {
			break;
		}
	}
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK, "opening another one");
	still_whole();
}

/* 7. A damaged flash never holds another store: what is mounted is one of the two snapshots, sealed as before, or nothing. Triples: offset (2), octet. */
static void start_flash(void)
{
	static const uint8_t seal[] = { 0, 8, 0xc7, 0, 9, 0x51 }, old[] = { 0, 3, '2' }, length[] = { 0, 12, 1, 0, 13, 0 };

	enrol();
	CHECK(ask_seal(&board) == PROV_OK, "sealing");
	remember();
	fuzz_seed(seal, sizeof seal);
	fuzz_seed(old, sizeof old);
	fuzz_seed(length, sizeof length);
}

static void check_flash(const uint8_t *input, size_t len)
{
	uint8_t der[SLOT_SIZE];
	struct store s;

	restore();
	for (size_t at = 0; at + 3u <= len; at += 3u) {
		board.flash[(size_t)(input[at] << 8 | input[at + 1u]) % (2u * BOARD_SECTOR)] = input[at + 2u];
	}
	int err = prov_store_mount(&s, &board.port, board.prov.identity.store_key);
	if (err != PROV_OK) {
		CHECK(err == PROV_ERR_STORE_IO && s.damaged, "answer %d", err);
		return;
	}
	if (s.active < 0) {
		return; /* the input blanked a sector */
	}
	CHECK(prov_store_sealed(&s), "the damage unsealed the board");
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		const struct certificate *const own[SLOT_COUNT] = { &ca.root, &ca.issuing, &ca.leaf, NULL };
		CHECK(s.len[slot] == (own[slot] != NULL ? own[slot]->len : 0), "slot %u has another length", slot);
		CHECK(own[slot] == NULL || (prov_store_read(&s, (enum slot)slot, 0, der, s.len[slot]) == PROV_OK &&
					    memcmp(der, own[slot]->der, s.len[slot]) == 0),
		      "slot %u has other contents", slot);
	}
}

/* 8. A sealed board takes no file but the one that its anchor has signed. The first octet is the size of the pieces. */
static struct update signed_update;

static void start_updates(void)
{
	uint8_t input[sizeof signed_update.octets + 1u] = { 100 };

	enrol();
	CHECK(ask_seal(&board) == PROV_OK, "sealing");
	remember();
	signed_update = update_for(board.prov.identity.board_id);
	memcpy(input + 1, signed_update.octets, signed_update.len);
	fuzz_seed(input, signed_update.len + 1u);
}

static void check_updates(const uint8_t *input, size_t len)
{
	static struct update u;

	if (len == 0 || len - 1u > sizeof u.octets) {
		return;
	}
	restore();
	u.len = len - 1u;
	memcpy(u.octets, input + 1, u.len);
	int err = board_update(&board, &u, 1u + 8u * (size_t)input[0]);
	CHECK(err <= PROV_OK && err != PROV_ERR_INTERNAL && err != PROV_ERR_STORE_IO, "answer %d", err);
	CHECK(err != PROV_OK || (u.len == signed_update.len && memcmp(u.octets, signed_update.octets, u.len) == 0), "a changed file was taken");
	CHECK(err == PROV_OK || memcmp(board.flash, flash, sizeof flash) == 0, "a refused file changed the flash");
	CHECK(prov_store_sealed(&board.prov.store), "the seal is gone");
	still_whole();
}

const struct law laws[] = {
	{ "lines", start_lines, check_lines },
	{ "messages", start_messages, check_messages },
	{ "open", start_open, check_open },
	{ "sealed", start_sealed, check_sealed },
	{ "certificates", start_certificates, check_certificates },
	{ "records", start_records, check_records },
	{ "flash", start_flash, check_flash },
	{ "updates", start_updates, check_updates },
	{ 0 },
};
