/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mutated requests from a fixed seed, as an attacker on the UART sends them. The sanitizers
 * check the memory. These tests check two laws: the board answers the next valid request,
 * and its store can be mounted.
 */
#include "ca.h"
#include "frames.h"
#include "requests.h"
#include "test.h"
#include "vectors.h"

#include <stdlib.h>
#include <string.h>

#define SEEDS_MAX 64u
#define ROUNDS_LINE 12000u
#define ROUNDS_BODY 20000u

struct octets {
	uint8_t at[4096];
	size_t len;
};

static struct board board;
static struct octets frames[SEEDS_MAX], bodies[SEEDS_MAX];
static uint8_t commands[SEEDS_MAX];
static unsigned frame_count, body_count;
static uint32_t random_state;

static unsigned below(unsigned n)
{
	return next_random(&random_state) % n;
}

static void collect(const struct vector *v)
{
	if (frame_count < SEEDS_MAX && v->line_len <= sizeof frames[0].at) {
		memcpy(frames[frame_count].at, v->line, v->line_len);
		frames[frame_count++].len = v->line_len;
	}
	if (body_count < SEEDS_MAX && v->message_len > SMP_HEADER_SIZE && v->message[5] == 64) {
		bodies[body_count].len = v->message_len - SMP_HEADER_SIZE;
		memcpy(bodies[body_count].at, v->message + SMP_HEADER_SIZE, bodies[body_count].len);
		commands[body_count++] = v->message[7];
	}
}

/* A network on which every connection succeeds and no peer answers. */
static int dead_connect(void *ctx, const char *address, uint16_t port)
{
	(void)ctx;
	return address[0] != '\0' && port != 0 ? PROV_OK : PROV_ERR_BAD_MAP;
}

static int dead_send(void *ctx, const uint8_t *buf, size_t len)
{
	(void)ctx;
	(void)buf;
	return (int)len;
}

static int dead_receive(void *ctx, uint8_t *buf, size_t size)
{
	(void)ctx;
	memset(buf, 0, size);
	return 0;
}

static void dead_close(void *ctx)
{
	(void)ctx;
}

static const struct prov_stream dead = { dead_connect, dead_send, dead_receive, dead_close };

/* A board with a full store, an open transfer and an open TLS session. */
static void start(uint32_t seed)
{
	board_make(&board);
	board.port.stream = &dead;
	CHECK(board_start(&board) == PROV_OK, "starting");
	random_state = seed;
	frame_count = body_count = 0;
	CHECK(vectors_each("request-", collect) > 30, "vectors are missing");
	struct hierarchy h = ca_hierarchy(&board);
	(void)board_write(&board, SLOT_ANCHOR, h.root.der, h.root.len, 500);
	(void)board_write(&board, SLOT_CHAIN, h.issuing.der, h.issuing.len, 500);
	(void)board_write(&board, SLOT_CERTIFICATE, h.leaf.der, h.leaf.len, 500);
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK, "opening a session");
}

static void mutate(struct octets *o)
{
	for (unsigned times = 1u + below(4); times > 0 && o->len > 0; times--) {
		size_t at = below((unsigned)o->len), n = 1u + below(8);
		switch (below(6)) {
		case 0:
			o->at[at] = (uint8_t)(o->at[at] ^ 1u << below(8));
			break;
		case 1:
			o->at[at] = (uint8_t)below(256);
			break;
		case 2: /* cut out some octets */
			n = n < o->len - at ? n : o->len - at;
			memmove(o->at + at, o->at + at + n, o->len - at - n);
			o->len -= n;
			break;
		case 3: /* repeat some octets */
			if (o->len + n <= sizeof o->at && at + n <= o->len) {
				memmove(o->at + at + n, o->at + at, o->len - at);
				o->len += n;
			}
			break;
		case 4:
			o->len = at;
			break;
		default: /* change a length or another head of CBOR */
			o->at[at] = (uint8_t)("\x00\x17\x18\x19\x1a\x1b\x5f\xbf\xff\xa0\x58\x7a"[below(12)]);
			break;
		}
	}
}

static void check_board(const char *what, unsigned round)
{
	struct store s;

	CHECK(ask_hello(&board) == PROV_OK, "%s %u: no hello", what, round);
	CHECK(board.broken_rules == 0, "%s %u: flash was written against the rules", what, round);
	CHECK(prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_OK, "%s %u: the store is lost", what, round);
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		CHECK(s.len[slot] == board.prov.store.len[slot], "%s %u: flash and RAM differ", what, round);
	}
}

/* Sends a valid request, in whatever state the mutation left the board. */
static void check_line(unsigned round)
{
	uint8_t request[64], answer[PROV_BUF_SIZE];
	size_t n = message_write(request, 1, 2, 0, 0, "\xa1\x61" "d\x61" "1", 5);

	board.sent_len = 0;
	uart_send(&board, (const uint8_t *)"\n", 1); /* the station ends a line that may be open */
	n = uart_ask(&board, request, n, answer);
	CHECK(n == SMP_HEADER_SIZE + 5u, "round %u: no echo", round);
}

static void mutated_lines(void)
{
	start(88172645u);
	for (unsigned round = 0; round < ROUNDS_LINE; round++) {
		struct octets o = frames[below(frame_count)];
		mutate(&o);
		uart_send(&board, o.at, o.len);
		if (round % 16 == 0) {
			check_line(round);
			check_board("line", round);
		}
	}
}

/* Header and body are damaged, and the CRC fits them. */
static void mutated_messages_in_whole_frames(void)
{
	start(362436069u);
	for (unsigned round = 0; round < ROUNDS_LINE; round++) {
		static uint8_t lines[16384];
		struct octets o;
		unsigned i = below(body_count);
		o.len = message_write(o.at, below(2), commands[i] == 0 || commands[i] == 1 || commands[i] == 3 ? 0 : 2, 64,
				      commands[i], bodies[i].at, bodies[i].len);
		mutate(&o);
		if (o.len >= 4 && below(4) != 0) {
			o.at[2] = (uint8_t)((o.len - 8u) >> 8);
			o.at[3] = (uint8_t)(o.len - 8u);
		}
		uart_send(&board, lines, frame_write(o.at, o.len, 93, lines, sizeof lines));
		if (round % 16 == 0) {
			check_line(round);
			check_board("message", round);
		}
	}
}

static void mutated_bodies(void)
{
	start(521288629u);
	for (unsigned round = 0; round < ROUNDS_BODY; round++) {
		struct octets o = bodies[below(body_count)];
		uint8_t command = (uint8_t)(below(4) == 0 ? below(8) : commands[round % body_count]);
		size_t len = 0;
		mutate(&o);
		uint8_t *exact = malloc(o.len + 1u), *out = malloc(2044);
		memcpy(exact + 1, o.at, o.len);
		int err = prov_group_handle(&board.prov, command, below(2) == 0, exact + 1, o.len, out, 2044, &len);
		CHECK(err == PROV_UNKNOWN_COMMAND || (err <= 0 && err >= PROV_ERR_NO_NETWORK), "round %u: %d", round, err);
		CHECK(err != PROV_OK || (len > 0 && len <= 2044 && out[0] >> 5 == 5), "round %u: no map", round);
		free(exact);
		free(out);
		if (round % 64 == 0) {
			check_board("body", round);
		}
	}
}

/* Mutated records of a TLS server, in a new session each time. */
static void mutated_records(void)
{
	static const char hello[] = "\x16\x03\x03\x00\x2c\x02\x00\x00\x28\x03\x03" "0123456789abcdef0123456789abcdef"
				    "\x00\xc0\x2b\x00\x00\x00";

	start(123456789u);
	for (unsigned round = 0; round < 1500; round++) {
		struct octets o;
		o.len = sizeof hello - 1u;
		memcpy(o.at, hello, o.len);
		mutate(&o);
		CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK, "round %u: opening", round);
		for (uint32_t q = 1; q < 3; q++) {
			int err = ask_tls(&board, q, NULL, o.at, o.len);
			CHECK(err == PROV_OK, "round %u: %d", round, err);
		}
	}
	check_board("records", 0);
}

/* Certificates that were changed on the way, with the hash of the changed octets. */
static void mutated_certificates(void)
{
	start(1597334677u);
	struct hierarchy h = ca_hierarchy(&board);
	const struct certificate *const seeds[SLOT_COUNT] = { &h.root, &h.issuing, &h.leaf, &h.cose };

	for (unsigned round = 0; round < 3000; round++) {
		unsigned slot = below(SLOT_COUNT);
		struct octets o;
		o.len = seeds[slot]->len;
		memcpy(o.at, seeds[slot]->der, o.len);
		mutate(&o);
		int err = board_write(&board, slot, o.at, o.len, SLOT_SIZE);
		CHECK(err <= PROV_OK && err != PROV_ERR_INTERNAL && err != PROV_ERR_STORE_IO, "round %u: %d", round, err);
		CHECK(err != PROV_OK || (o.len == seeds[slot]->len && memcmp(o.at, seeds[slot]->der, o.len) == 0) ||
			      slot == SLOT_ANCHOR,
		      "round %u: a changed certificate was stored in slot %u", round, slot);
	}
	check_board("certificates", 0);
	board_stop(&board);
}

const struct test mutation_tests[] = {
	{ "mutated lines leave a board that answers", mutated_lines },
	{ "mutated messages in whole frames leave a board that answers", mutated_messages_in_whole_frames },
	{ "mutated bodies are answered or refused by name", mutated_bodies },
	{ "mutated records end a session and nothing else", mutated_records },
	{ "mutated certificates are refused by name", mutated_certificates },
	{ 0 },
};
