/* SPDX-License-Identifier: Apache-2.0 */
/* The command update: a sealed board in the field gets another certificate, chain or anchor from the key of its anchor, and from nobody else. */
#include "ca.h"
#include "requests.h"
#include "test.h"

#include <string.h>

#define PIECE 400u

static struct board board;
static struct hierarchy h;	     /* what the board holds */
static struct certificate next_leaf; /* another certificate for the same key, by the same CA */
static uint8_t flash[BOARD_FLASH];   /* of the sealed board, before any update */

static const uint8_t *own_id(void)
{
	return board.prov.identity.board_id;
}

/* The same octets in each slot that the hierarchy has. */
static bool has(const struct certificate *const objects[SLOT_COUNT])
{
	uint8_t der[SLOT_SIZE];

	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		const struct certificate *c = objects[slot];
		if (board.prov.store.len[slot] != (c != NULL ? c->len : 0) ||
		    (c != NULL && (prov_store_read(&board.prov.store, (enum slot)slot, 0, der, c->len) != PROV_OK || memcmp(der, c->der, c->len) != 0))) {
			return false;
		}
	}
	return prov_store_sealed(&board.prov.store);
}

static bool has_old(void)
{
	return has((const struct certificate *const[]){ &h.root, &h.issuing, &h.leaf, NULL });
}

static bool has_new(void)
{
	return has((const struct certificate *const[]){ &h.root, &h.issuing, &next_leaf, NULL });
}

/* A sealed board. The certificates of a test are made once: keys live until the board stops. */
static void sealed(void)
{
	board_make(&board);
	CHECK(board_start(&board) == PROV_OK, "starting");
	h = ca_hierarchy(&board);
	struct issue leaf = issue_leaf(h.issuing_key, board.prov.identity.keys[PURPOSE_TLS].id);
	next_leaf = ca_issue(&leaf);
	CHECK(board_write(&board, SLOT_ANCHOR, h.root.der, h.root.len, 500) == PROV_OK &&
		      board_write(&board, SLOT_CHAIN, h.issuing.der, h.issuing.len, 500) == PROV_OK &&
		      board_write(&board, SLOT_CERTIFICATE, h.leaf.der, h.leaf.len, 500) == PROV_OK && ask_seal(&board) == PROV_OK,
	      "enrolling");
	memcpy(flash, board.flash, sizeof flash);
}

static struct update_plan plan_of(uint32_t counter)
{
	return (struct update_plan){ .key = h.root_key, .board_id = own_id(), .counter = counter, .objects = { NULL, NULL, &next_leaf, NULL } };
}

/* The store as it is after the next start. The keys of the test's CA stay. */
static int remount(void)
{
	board.off = false;
	board.cut_at = board.fail_at = board.deaf_at = 0;
	return prov_store_mount(&board.prov.store, &board.port, board.prov.identity.store_key);
}

static void a_sealed_board_gets_another_certificate(void)
{
	sealed();
	struct update_plan plan = plan_of(7);
	struct update u = ca_update(&plan);

	CHECK(board_write(&board, SLOT_CERTIFICATE, next_leaf.der, next_leaf.len, 500) == PROV_ERR_SEALED, "write still stores");
	CHECK(board_update(&board, &u, PIECE) == PROV_OK && has_new(), "the update");
	CHECK(remount() == PROV_OK && has_new() && board.prov.store.counter == 7, "after a restart");
	CHECK(board_update(&board, &u, PIECE) == PROV_ERR_UPDATE_OLD && has_new(), "the same file again");
	plan.counter = 8;
	plan.objects[SLOT_CERTIFICATE] = &h.leaf;
	u = ca_update(&plan);
	CHECK(board_update(&board, &u, u.len) == PROV_OK && has_old() && board.prov.store.counter == 8, "another update, in one piece");
	CHECK(remount() == PROV_OK && has_old(), "after a restart");
	CHECK(board_write(&board, SLOT_CERTIFICATE, next_leaf.der, next_leaf.len, 500) == PROV_ERR_SEALED, "write stores after an update");
	CHECK(board.broken_rules == 0, "flash was written against the rules");
}

static void a_new_hierarchy_comes_in_one_step(void)
{
	sealed();
	struct hierarchy old = h, other = ca_hierarchy(&board);
	struct update_plan plan = { .key = old.root_key, .board_id = own_id(), .counter = 1,
				    .objects = { &other.root, &other.issuing, &other.leaf, &other.cose } };
	struct update u = ca_update(&plan);

	CHECK(board_update(&board, &u, PIECE) == PROV_OK && has((const struct certificate *const[]){ &other.root, &other.issuing, &other.leaf, &other.cose }),
	      "anchor, chain and certificates");
	plan.counter = 2;
	u = ca_update(&plan);
	CHECK(board_update(&board, &u, PIECE) == PROV_ERR_UNTRUSTED, "the anchor before still signs updates");
	plan.key = other.root_key;
	u = ca_update(&plan);
	CHECK(board_update(&board, &u, PIECE) == PROV_OK, "the new anchor");
}

/* What is wrong is named, and not one octet of the flash changes. */
static void what_is_wrong_changes_nothing(void)
{
	static const uint8_t other_board[BOARD_ID_SIZE] = { 1 };

	sealed();
	struct hierarchy kept = h, other = ca_hierarchy(&board);
	h = kept;
	struct certificate large = next_leaf;
	large.len = SLOT_SIZE + 1u;
	const struct {
		const char *name;
		int want;
		struct update_plan plan;
	} rows[] = {
		{ "signed by another anchor", PROV_ERR_UNTRUSTED, { other.root_key, own_id(), NULL, 1, { NULL, NULL, &next_leaf, NULL }, 0, false } },
		{ "signed by the issuing CA", PROV_ERR_UNTRUSTED, { h.issuing_key, own_id(), NULL, 1, { NULL, NULL, &next_leaf, NULL }, 0, false } },
		{ "for another board", PROV_ERR_UPDATE_ELSEWHERE, { h.root_key, other_board, NULL, 1, { NULL, NULL, &next_leaf, NULL }, 0, false } },
		{ "with the counter 0", PROV_ERR_UPDATE_OLD, { h.root_key, own_id(), NULL, 0, { NULL, NULL, &next_leaf, NULL }, 0, false } },
		{ "of another type", PROV_ERR_BAD_MAP, { h.root_key, own_id(), "hallmark update 2", 1, { NULL, NULL, &next_leaf, NULL }, 0, false } },
		{ "with another hash", PROV_ERR_BAD_HASH, { h.root_key, own_id(), NULL, 1, { NULL, NULL, &next_leaf, NULL }, 0, true } },
		{ "with other slots", PROV_ERR_BAD_MAP, { h.root_key, own_id(), NULL, 1, { NULL, NULL, &next_leaf, NULL }, 8, false } },
		{ "with a foreign key", PROV_ERR_FOREIGN_KEY, { h.root_key, own_id(), NULL, 1, { NULL, NULL, NULL, &next_leaf }, 0, false } },
		{ "with a stranger's certificate", PROV_ERR_UNTRUSTED, { h.root_key, own_id(), NULL, 1, { NULL, NULL, &other.leaf, NULL }, 0, false } },
		{ "with a stranger's chain", PROV_ERR_UNTRUSTED, { h.root_key, own_id(), NULL, 1, { NULL, &other.issuing, &next_leaf, NULL }, 0, false } },
		{ "that takes the certificate away", PROV_ERR_EMPTY, { h.root_key, own_id(), NULL, 1, { &h.root, NULL, NULL, NULL }, 0, false } },
		{ "with an object that is too large", PROV_ERR_TOO_LONG, { h.root_key, own_id(), NULL, 1, { NULL, NULL, &large, NULL }, 0, false } },
	};
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct update u = ca_update(&rows[i].plan);
		int err = board_update(&board, &u, PIECE);
		CHECK(err == rows[i].want, "an update %s: %d, want %d", rows[i].name, err, rows[i].want);
		CHECK(memcmp(flash, board.flash, sizeof flash) == 0 && has_old(), "an update %s changed the store", rows[i].name);
	}
}

/* Each octet of the file is signed, or is the signature, or the form around both. */
static void no_changed_octet_and_no_cut_file_is_taken(void)
{
	sealed();
	struct update_plan plan = plan_of(1);
	struct update u = ca_update(&plan);

	for (size_t at = 0; at < u.len; at++) {
		struct update changed = u;
		changed.octets[at] ^= 0x04u;
		CHECK(board_update(&board, &changed, sizeof changed.octets) < 0, "octet %u changed", (unsigned)at);
		changed = u;
		changed.len = at;
		CHECK(board_update(&board, &changed, sizeof changed.octets) < 0, "cut to %u octets", (unsigned)at);
	}
	CHECK(ask_update(&board, 0, u.len, u.octets, PIECE, true) == PROV_ERR_OUT_OF_ORDER, "the first piece as the last");
	CHECK(memcmp(flash, board.flash, sizeof flash) == 0 && has_old(), "the store was changed");
	CHECK(board_update(&board, &u, PIECE) == PROV_OK && has_new(), "the whole file");
}

static void the_power_may_go_in_each_flash_operation(void)
{
	sealed();
	struct update_plan plan = plan_of(1);
	struct update u = ca_update(&plan);
	unsigned before = board.changes;

	CHECK(board_update(&board, &u, PIECE) == PROV_OK, "the update");
	unsigned changes = board.changes - before, kept = 0, renewed = 0;
	for (unsigned at = 1; at <= changes; at++) {
		for (unsigned tear = 0; tear < TEAR_COUNT; tear++) {
			memcpy(board.flash, flash, sizeof flash);
			CHECK(remount() == PROV_OK && has_old(), "cut %u: the board before", at);
			board.tear = (enum tear)tear;
			board.cut_at = board.changes + at;
			int err = board_update(&board, &u, PIECE);
			CHECK(err == PROV_ERR_STORE_IO, "cut %u, tear %u: %d", at, tear, err);
			CHECK(remount() == PROV_OK && (has_old() || has_new()), "cut %u, tear %u: neither the old nor the new", at, tear);
			*(has_new() ? &renewed : &kept) += 1;
			CHECK(has_new() || board_update(&board, &u, PIECE) == PROV_OK, "cut %u, tear %u: the file again", at, tear);
			CHECK(remount() == PROV_OK && has_new(), "cut %u, tear %u: at the end", at, tear);
		}
	}
	CHECK(changes > 5 && kept > changes, "%u operations, %u kept the old, %u have the new", changes, kept, renewed);
}

/* A UART may deliver the last piece twice; the answer of the first may be lost. */
static void the_last_piece_may_come_twice(void)
{
	sealed();
	struct update_plan plan = plan_of(1);
	struct update u = ca_update(&plan);
	static const uint8_t first[SMP_HEADER_SIZE] = { 0x0a, 0, 0, 1, 0, 64, 5, 8 }, later[SMP_HEADER_SIZE] = { 0x0a, 0, 0, 1, 0, 64, 6, 8 };

	prov_smp_notice(&board.prov, first, 1);
	CHECK(ask_update(&board, 0, u.len, u.octets, u.len, true) == PROV_OK && has_new(), "the update");
	unsigned changes = board.changes;
	prov_smp_notice(&board.prov, first, 1);
	CHECK(ask_update(&board, 0, u.len, u.octets, u.len, true) == PROV_OK && board.changes == changes, "the same request twice");
	prov_smp_notice(&board.prov, later, 1);
	CHECK(ask_update(&board, 0, u.len, u.octets, u.len, true) == PROV_ERR_UPDATE_OLD, "another request with the same file");
}

static void what_the_request_lacks_is_named(void)
{
	static const uint8_t slot[] = { 0xa4, 0x61, 's', 2, 0x61, 'o', 0, 0x61, 'l', 1, 0x61, 'd', 0x41, 0 };
	struct update whole = { .len = UPDATE_SIZE + 1u };

	board_make(&board);
	CHECK(board_start(&board) == PROV_OK, "starting");
	CHECK(ask_raw(&board, UPDATE, slot, sizeof slot) == PROV_ERR_BAD_MAP, "a slot");
	CHECK(ask_update(&board, 3, 0, slot, 1, false) == PROV_ERR_OUT_OF_ORDER, "a piece without a beginning");
	CHECK(ask_update(&board, 0, whole.len, slot, 1, false) == PROV_ERR_STORE_FULL, "a file that is too large");
	whole.len = 10;
	CHECK(board_update(&board, &whole, PIECE) == PROV_ERR_NO_ANCHOR, "a board without an anchor");
	board_stop(&board);
}

const struct test renewal_tests[] = {
	{ "an update gives a sealed board another certificate, once", a_sealed_board_gets_another_certificate },
	{ "an update brings a whole hierarchy in one step", a_new_hierarchy_comes_in_one_step },
	{ "an update that is wrong is named and changes nothing", what_is_wrong_changes_nothing },
	{ "an update of which an octet was changed or cut off changes nothing", no_changed_octet_and_no_cut_file_is_taken },
	{ "the power may go in each flash operation of an update", the_power_may_go_in_each_flash_operation },
	{ "the last piece of an update may come twice", the_last_piece_may_come_twice },
	{ "a request for an update that lacks something is named", what_the_request_lacks_is_named },
	{ 0 },
};
