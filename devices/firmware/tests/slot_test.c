/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of a transfer, and reading slots (PROTOCOL.md section 4, "write" and "read"). */
#include "ca.h"
#include "requests.h"
#include "test.h"

#include <string.h>

static struct board board;
static struct certificate root;
static const uint8_t *whole; /* NULL: pieces without a hash */

static void start(void)
{
	board_make(&board);
	CHECK(board_start(&board) == PROV_OK, "starting");
	struct issue i = issue_root(ca_key());
	root = ca_issue(&i);
	whole = root.der;
}

static int piece(size_t at, size_t len, bool commit)
{
	struct write_request w = { .slot = SLOT_ANCHOR, .offset = at, .total = root.len, .whole = whole,
				   .data = root.der + at, .len = len, .commit = commit };

	return ask_write(&board, &w);
}

static void check_piece(size_t at, size_t len, bool commit, int want, size_t next)
{
	int64_t o = -1;
	int err = piece(at, len, commit);

	CHECK(err == want, "piece at %u: %d, want %d", (unsigned)at, err, want);
	CHECK(want != PROV_OK || (answer_number(&board, "o", &o) && (size_t)o == next), "piece at %u: next is %d",
	      (unsigned)at, (int)o);
}

static void pieces_may_be_repeated_but_not_skipped(void)
{
	start();
	check_piece(100, 50, false, PROV_ERR_OUT_OF_ORDER, 0);
	check_piece(0, 100, false, PROV_OK, 100);
	check_piece(0, 100, false, PROV_OK, 100);
	check_piece(100, 100, false, PROV_OK, 200);
	check_piece(100, 100, false, PROV_OK, 200);
	check_piece(201, 10, false, PROV_ERR_OUT_OF_ORDER, 0);
	check_piece(150, 100, false, PROV_ERR_OUT_OF_ORDER, 0);
	check_piece(200, root.len - 200u, false, PROV_OK, root.len);
	check_piece(200, root.len - 200u, true, PROV_OK, root.len);
	unsigned changes = board.changes;
	check_piece(200, root.len - 200u, true, PROV_OK, root.len);
	CHECK(board.changes == changes, "a repeated commit writes");
}

/*
 * A station with a small buffer writes the object that it has just written, or another one of the same length that begins alike, as a
 * renewed certificate may: each answer is the offset behind the piece, with and without a hash.
 */
static void a_write_after_a_commit_begins_anew(void)
{
	for (unsigned without_hash = 0; without_hash < 2; without_hash++) {
		start();
		whole = without_hash ? NULL : root.der;
		for (unsigned times = 0; times < 2; times++) {
			check_piece(0, 100, false, PROV_OK, 100);
			check_piece(100, 100, false, PROV_OK, 200);
			check_piece(200, root.len - 200u, true, PROV_OK, root.len);
		}
		unsigned changes = board.changes;
		root.der[root.len - 1u] ^= 1u; /* of the signature */
		check_piece(0, 100, false, PROV_OK, 100);
		check_piece(100, root.len - 101u, false, PROV_OK, root.len - 1u);
		check_piece(root.len - 1u, 1, true, PROV_ERR_UNTRUSTED, 0);
		CHECK(board.changes == changes, "it was written");
	}
}

/* The station gave up a transfer, and writes another object of the same length that begins alike. */
static void no_piece_of_a_transfer_that_was_given_up_stays(void)
{
	start();
	whole = NULL;
	check_piece(0, 100, false, PROV_OK, 100);
	root.der[150] ^= 1u;
	check_piece(100, 100, false, PROV_OK, 200);
	root.der[150] ^= 1u;
	check_piece(100, 100, false, PROV_ERR_OUT_OF_ORDER, 0);
	check_piece(0, 100, false, PROV_OK, 100);
	check_piece(100, 100, false, PROV_OK, 200);
	check_piece(200, root.len - 200u, true, PROV_OK, root.len);
}

/* They share a buffer, so each ends the other, and nothing of the one is taken for the other. */
static void a_transfer_and_a_session_end_each_other(void)
{
	board_make(&board);
	CHECK(board_start(&board) == PROV_OK, "starting");
	struct hierarchy h = ca_hierarchy(&board);
	CHECK(board_write(&board, SLOT_ANCHOR, h.root.der, h.root.len, 500) == PROV_OK &&
		      board_write(&board, SLOT_CHAIN, h.issuing.der, h.issuing.len, 500) == PROV_OK &&
		      board_write(&board, SLOT_CERTIFICATE, h.leaf.der, h.leaf.len, 500) == PROV_OK,
	      "enrolling");
	root = h.root;
	whole = NULL;
	check_piece(0, 100, false, PROV_OK, 100);
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK, "a session begins in a transfer");
	check_piece(100, 100, false, PROV_ERR_OUT_OF_ORDER, 0);
	CHECK(ask_tls(&board, 1, NULL, NULL, 0) == PROV_OK, "the session goes on");
	check_piece(0, 100, false, PROV_OK, 100);
	CHECK(ask_tls(&board, 2, NULL, NULL, 0) == PROV_ERR_TLS_STATE, "the session has ended");
	check_piece(100, root.len - 100u, true, PROV_OK, root.len);
	CHECK(ask_tls(&board, 0, "name", NULL, 0) == PROV_OK, "another session");
}

/* The station begins again with another size of pieces. */
static void a_longer_first_piece_starts_anew(void)
{
	start();
	check_piece(0, 100, false, PROV_OK, 100);
	check_piece(0, 150, false, PROV_OK, 150);
	check_piece(100, 50, false, PROV_OK, 150);
	check_piece(0, root.len, true, PROV_OK, root.len);
	check_piece(0, root.len, true, PROV_OK, root.len);
}

static void a_commit_needs_every_octet(void)
{
	start();
	check_piece(0, 100, true, PROV_ERR_OUT_OF_ORDER, 0);
	check_piece(100, 100, true, PROV_ERR_OUT_OF_ORDER, 0);
	CHECK(board.changes == 0 && ask_read(&board, SLOT_ANCHOR, 0) == PROV_ERR_EMPTY, "something was stored");
}

static void a_piece_stays_inside_the_object(void)
{
	static uint8_t large[SLOT_SIZE + 600u];
	struct write_request w = { .slot = SLOT_ANCHOR, .total = 100, .whole = large, .data = large, .len = 101 };

	start();
	CHECK(ask_write(&board, &w) == PROV_ERR_TOO_LONG, "101 of 100 octets");
	w.len = 100;
	CHECK(ask_write(&board, &w) == PROV_OK, "100 of 100 octets");
	w.offset = 100;
	w.len = 1;
	CHECK(ask_write(&board, &w) == PROV_ERR_TOO_LONG, "an octet behind the end");
	w.offset = SLOT_SIZE + 1u;
	CHECK(ask_write(&board, &w) == PROV_ERR_TOO_LONG, "an offset behind the slot");
	w = (struct write_request){ .slot = SLOT_ANCHOR, .total = SLOT_SIZE, .whole = large, .data = large,
				    .len = SLOT_SIZE + 512u };
	CHECK(ask_write(&board, &w) == PROV_ERR_TOO_LONG, "a piece longer than the slot");
	w.total = SLOT_SIZE + 1u;
	CHECK(ask_write(&board, &w) == PROV_ERR_STORE_FULL, "an object longer than the slot");
}

static void a_wrong_hash_is_bad_hash_and_ends_the_transfer(void)
{
	start();
	struct write_request w = { .slot = SLOT_ANCHOR, .total = root.len, .whole = root.der, .data = root.der,
				   .len = root.len, .commit = true, .wrong_hash = true };
	CHECK(ask_write(&board, &w) == PROV_ERR_BAD_HASH && board.changes == 0, "a wrong hash");
	check_piece(200, 10, false, PROV_ERR_OUT_OF_ORDER, 0);
	w.wrong_hash = false;
	CHECK(ask_write(&board, &w) == PROV_OK, "the right hash after it");
}

static void another_slot_or_object_is_another_transfer(void)
{
	start();
	struct write_request other = { .slot = SLOT_CHAIN, .offset = 100, .data = root.der + 100, .len = 10 };
	check_piece(0, 100, false, PROV_OK, 100);
	CHECK(ask_write(&board, &other) == PROV_ERR_OUT_OF_ORDER, "a piece of another slot");
	other = (struct write_request){ .slot = SLOT_ANCHOR, .total = 300, .whole = root.der, .data = root.der, .len = 10 };
	CHECK(ask_write(&board, &other) == PROV_OK, "another object");
	check_piece(100, 100, false, PROV_ERR_OUT_OF_ORDER, 0);
}

static void any_size_of_pieces_gives_the_same(void)
{
	static const size_t sizes[] = { 1, 2, 93, 127, 128, 129, SLOT_SIZE };

	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		start();
		CHECK(board_write(&board, SLOT_ANCHOR, root.der, root.len, sizes[i]) == PROV_OK, "pieces of %u",
		      (unsigned)sizes[i]);
	}
}

static void reading_starts_at_any_octet(void)
{
	start();
	CHECK(board_write(&board, SLOT_ANCHOR, root.der, root.len, 500) == PROV_OK, "writing");
	for (unsigned at = 0; at <= root.len; at++) {
		const uint8_t *d = NULL;
		size_t len = 0;
		int err = ask_read(&board, SLOT_ANCHOR, at);
		CHECK(err == PROV_OK && answer_octets(&board, "d", &d, &len) && len == root.len - at &&
			      memcmp(d, root.der + at, len) == 0,
		      "from %u: %d", at, err);
	}
	CHECK(ask_read(&board, SLOT_ANCHOR, (unsigned)root.len + 1u) == PROV_ERR_OUT_OF_ORDER, "behind the end");
	CHECK(ask_read(&board, SLOT_ANCHOR, SLOT_SIZE + 1u) == PROV_ERR_TOO_LONG, "behind the slot");
	CHECK(ask_read(&board, SLOT_CHAIN, 0) == PROV_ERR_EMPTY, "an empty slot");
	CHECK(ask_read(&board, SLOT_COUNT, 0) == PROV_ERR_BAD_SLOT, "no slot");
	CHECK(ask_read(&board, UINT32_MAX, 0) == PROV_ERR_BAD_SLOT, "no slot at all");
}

/* Zephyr's MCUmgr may provide a small buffer. */
static void an_answer_that_does_not_fit_is_cut_or_refused(void)
{
	static const uint8_t request[] = { 0xa2, 0x61, 's', 0, 0x61, 'o', 0 }, hello[] = { 0xa0 };
	uint8_t out[SMP_MESSAGE_MAX];
	size_t len;

	start();
	CHECK(board_write(&board, SLOT_ANCHOR, root.der, root.len, 500) == PROV_OK, "writing");
	for (size_t size = 0; size < 600; size++) {
		len = 0;
		int err = prov_group_handle(&board.prov, READ, false, request, sizeof request, out, size, &len);
		CHECK((err == PROV_OK && len <= size) || err == PROV_ERR_INTERNAL, "%u octets: %d", (unsigned)size, err);
		CHECK(err == PROV_OK || size < 64u, "nothing fits into %u octets", (unsigned)size);
		err = prov_group_handle(&board.prov, HELLO, false, hello, sizeof hello, out, size, &len);
		CHECK((err == PROV_OK && len <= size) || err == PROV_ERR_INTERNAL, "hello in %u octets: %d", (unsigned)size,
		      err);
	}
	board_stop(&board);
}

const struct test slot_tests[] = {
	{ "pieces may be repeated but not skipped", pieces_may_be_repeated_but_not_skipped },
	{ "a write after a commit begins anew", a_write_after_a_commit_begins_anew },
	{ "no piece of a transfer that was given up stays", no_piece_of_a_transfer_that_was_given_up_stays },
	{ "a transfer and a session end each other", a_transfer_and_a_session_end_each_other },
	{ "a longer first piece starts the transfer anew", a_longer_first_piece_starts_anew },
	{ "a commit needs every octet", a_commit_needs_every_octet },
	{ "a piece stays inside the object", a_piece_stays_inside_the_object },
	{ "a wrong hash is bad-hash and ends the transfer", a_wrong_hash_is_bad_hash_and_ends_the_transfer },
	{ "another slot or object is another transfer", another_slot_or_object_is_another_transfer },
	{ "any size of pieces gives the same", any_size_of_pieces_gives_the_same },
	{ "reading starts at any octet of a slot", reading_starts_at_any_octet },
	{ "an answer larger than the buffer is cut or refused", an_answer_that_does_not_fit_is_cut_or_refused },
	{ 0 },
};
