/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An identity survives a firmware update: this firmware reads the store of firmware with
 * three slots ("HMS1"). The test writes that format itself.
 */
#include "history.h"
#include "test.h"

#include <string.h>

#define OLD_SLOTS 3u
#define OLD_HEADER 24u /* octets before the hash */

static struct board board;

static void put32(uint8_t *to, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++) {
		to[i] = (uint8_t)(value >> 8 * i);
	}
}

/* Writes a snapshot of that firmware: each slot at its own multiple of 1024 after the header of 64 octets. */
static void old_snapshot(int sector, uint32_t generation, const struct content *c)
{
	static uint8_t hashed[OLD_HEADER + OLD_SLOTS * 1024u];
	uint8_t *at = board.flash + (uint32_t)sector * BOARD_SECTOR;
	size_t len = OLD_HEADER, hash_len;

	memset(at, 0xff, BOARD_SECTOR);
	memcpy(at, "HMS1", 4);
	put32(at + 4, generation);
	put32(at + 8, c->sealed ? 1u : 0u);
	for (unsigned slot = 0; slot < OLD_SLOTS; slot++) {
		put32(at + 12 + 4 * slot, (uint32_t)c->len[slot]);
		if (c->len[slot] > 0) {
			memcpy(at + 64u + slot * 1024u, c->der[slot], c->len[slot]);
			memcpy(hashed + len, c->der[slot], c->len[slot]);
			len += c->len[slot];
		}
	}
	memcpy(hashed, at, OLD_HEADER);
	(void)psa_hash_compute(PSA_ALG_SHA_256, hashed, len, at + OLD_HEADER, HASH_SIZE, &hash_len);
}

/* The store of an enrolled board of that firmware: three objects of the largest size. */
static struct content enrolled(bool sealed)
{
	return (struct content){ .sealed = sealed, .len = { 1024, 513, 1024 }, .der = { blob(10), blob(20), blob(30) } };
}

/* The flash of a board of that firmware, before its first start with this one. */
static void old_flash(bool sealed)
{
	struct content now = enrolled(sealed), before = now;

	board_make(&board);
	(void)board_start(&board);
	if (!sealed) {
		before.len[SLOT_CERTIFICATE] = 0;
	}
	old_snapshot(0, 7, &now);
	old_snapshot(1, 6, &before); /* that firmware wrote a seal twice */
	board.changes = 0;
}

static int mount(struct store *s)
{
	return prov_store_mount(s, &board.port, board.prov.identity.store_key);
}

static struct store updated(bool sealed)
{
	struct store s;

	old_flash(sealed);
	CHECK(mount(&s) == PROV_OK, "mounting");
	board.changes = 0;
	return s;
}

/*
 * An enrolled board gets a copy with a MAC at the first start, beside the old one, and no later start writes. An image that
 * refuses old stores gives the other copy a MAC, too.
 */
static void an_old_store_gets_a_mac(void)
{
	for (unsigned sealed = 0; sealed < 2; sealed++) {
		struct content c = enrolled(sealed != 0);
		struct store s;

		old_flash(sealed != 0);
		CHECK(mount(&s) == PROV_OK && store_holds(&s, &c) && board.changes > 0, "the first start");
		CHECK(memcmp(board.flash, "HMS1", 4) == 0 && memcmp(board.flash + BOARD_SECTOR, "HMS3", 4) == 0, "one copy of each form");
		board.changes = 0;
		CHECK(mount(&s) == PROV_OK && store_holds(&s, &c) && s.generation == 8u && board.changes == 0, "the second start");
		board.port.flash.refuse_old = true;
		CHECK(mount(&s) == PROV_OK && store_holds(&s, &c) && s.generation == 9u, "the first start of an image that refuses old stores");
		CHECK(memcmp(board.flash, "HMS3", 4) == 0 && memcmp(board.flash + BOARD_SECTOR, "HMS3", 4) == 0, "a sector has no MAC");
		board.changes = 0;
		CHECK(mount(&s) == PROV_OK && store_holds(&s, &c) && s.generation == 9u, "the start after it");
		for (unsigned slot = 0; slot < OLD_SLOTS; slot++) {
			CHECK(prov_store_commit(&s, (enum slot)slot, c.der[slot], c.len[slot]) == PROV_OK, "slot %u again", slot);
		}
		CHECK(board.changes == 0 && board.broken_rules == 0, "it wrote again");
	}
}

/*
 * A boot loader reverts the update after its first start: the firmware before finds its own snapshot, octet for octet, and takes no other
 * sector for one, because it does not know the form. What it writes then counts at the next update.
 */
static void a_reverted_update_keeps_the_certificate(void)
{
	for (unsigned sealed = 0; sealed < 2; sealed++) {
		static uint8_t before[BOARD_SECTOR];
		struct content c = enrolled(sealed != 0), later = c;
		struct store s;

		old_flash(sealed != 0);
		memcpy(before, board.flash, sizeof before);
		for (unsigned starts = 0; starts < 3; starts++) {
			CHECK(mount(&s) == PROV_OK && store_holds(&s, &c), "start %u", starts);
		}
		CHECK(memcmp(before, board.flash, sizeof before) == 0, "the old snapshot was changed");
		CHECK(memcmp(board.flash + BOARD_SECTOR, "HMS3", 4) == 0, "the other sector is one that old firmware reads");
		later.der[SLOT_CERTIFICATE] = blob(31);
		old_snapshot(1, 8, &later); /* as the old firmware writes it: to the sector that is not its own */
		CHECK(mount(&s) == PROV_OK && store_holds(&s, &later), "the next update");
	}
}

/* After the first write of the new firmware there is no way back, and both copies have a MAC. */
static void the_first_write_ends_the_way_back(void)
{
	struct content c = enrolled(false);
	struct store s = updated(false);

	c.der[SLOT_CERTIFICATE] = blob(31);
	CHECK(prov_store_commit(&s, SLOT_CERTIFICATE, blob(31), c.len[SLOT_CERTIFICATE]) == PROV_OK && store_holds(&s, &c), "writing");
	CHECK(memcmp(board.flash, "HMS3", 4) == 0 && memcmp(board.flash + BOARD_SECTOR, "HMS3", 4) == 0, "an old snapshot stays");
}

/* Somebody writes a store of the old format into the flash, with another anchor and a newer number. */
static void an_old_store_counts_less_than_one_with_a_mac(void)
{
	struct content c = enrolled(true), forged = c;
	struct store s;

	forged.sealed = false;
	forged.der[SLOT_ANCHOR] = blob(77);
	old_flash(true);
	CHECK(mount(&s) == PROV_OK && s.active == 1, "the snapshot with a MAC is in sector 1");
	old_snapshot(0, 1000, &forged);
	CHECK(mount(&s) == PROV_OK && store_holds(&s, &c), "one old sector beside a valid one");
	old_snapshot(0, 1000, &forged);
	old_snapshot(1, 1001, &forged);
	board.port.flash.refuse_old = true;
	CHECK(mount(&s) == PROV_ERR_STORE_IO && s.damaged, "a port that refuses old stores takes one");
}

/* The first start after an update, cut in each flash operation and torn in each way: nothing is lost, and the next start ends it. */
static void power_may_go_in_the_first_start_after_an_update(void)
{
	struct store s;

	old_flash(true);
	(void)mount(&s);
	unsigned changes = board.changes;
	for (unsigned at = 1; at <= changes; at++) {
		for (enum tear tear = 0; tear < TEAR_COUNT; tear++) {
			struct content c = enrolled(true);

			old_flash(true);
			board.random += at * 77u + (unsigned)tear;
			board.cut_at = at;
			board.tear = tear;
			(void)mount(&s);
			board.off = false;
			board.cut_at = 0;
			CHECK(mount(&s) == PROV_OK && store_holds(&s, &c), "cut %u, tear %u: lost", at, (unsigned)tear);
			board.port.flash.refuse_old = true;
			CHECK(mount(&s) == PROV_OK && store_holds(&s, &c), "cut %u, tear %u: no MAC after the next start", at, (unsigned)tear);
		}
	}
}

static void an_old_store_takes_the_new_slot(void)
{
	struct store s = updated(false);
	struct content c = enrolled(false);

	c.len[SLOT_COSE] = 480;
	c.der[SLOT_COSE] = blob(40);
	CHECK(prov_store_commit(&s, SLOT_COSE, blob(40), 480) == PROV_OK && store_holds(&s, &c), "writing");
	CHECK(mount(&s) == PROV_OK && store_holds(&s, &c) && s.generation == 9u, "lost after a reset");
	CHECK(prov_store_seal(&s) == PROV_OK, "sealing");
	c.sealed = true;
	CHECK(mount(&s) == PROV_OK && store_holds(&s, &c), "lost with the seal");
	CHECK(board.broken_rules == 0, "%u rules of NOR broken", board.broken_rules);
}

/* The new firmware's first write, cut in each flash operation and torn in each way: all contents are old, or all are new. */
static void power_may_go_in_the_first_write_after_an_update(void)
{
	struct store s = updated(false);
	struct content old = enrolled(false), new = old;

	new.len[SLOT_COSE] = 480;
	new.der[SLOT_COSE] = blob(40);
	CHECK(prov_store_commit(&s, SLOT_COSE, blob(40), 480) == PROV_OK, "writing");
	unsigned changes = board.changes;
	for (unsigned at = 1; at <= changes; at++) {
		for (enum tear tear = 0; tear < TEAR_COUNT; tear++) {
			s = updated(false);
			board.random += at * 77u + (unsigned)tear;
			board.cut_at = at;
			board.tear = tear;
			CHECK(prov_store_commit(&s, SLOT_COSE, blob(40), 480) == PROV_ERR_STORE_IO, "cut %u: success", at);
			board.off = false;
			board.cut_at = 0;
			CHECK(prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_OK && (store_holds(&s, &old) || store_holds(&s, &new)),
			      "cut %u, tear %u: neither old nor new", at, (unsigned)tear);
			CHECK(prov_store_commit(&s, SLOT_COSE, blob(40), 480) == PROV_OK && store_holds(&s, &new),
			      "cut %u, tear %u: not written again", at, (unsigned)tear);
		}
	}
}

static void a_seal_survives_an_update(void)
{
	for (unsigned damaged = 0; damaged < 3; damaged++) {
		struct content c = enrolled(true);
		struct store s;

		old_flash(true);
		if (damaged < 2) {
			board.flash[damaged * BOARD_SECTOR + 20u] ^= 1u;
		}
		CHECK(mount(&s) == PROV_OK && store_holds(&s, &c), "sector %u damaged: lost", damaged);
		CHECK(prov_store_commit(&s, SLOT_COSE, blob(40), 480) == PROV_ERR_SEALED, "a sealed store takes something new");
	}
}

/* The old format has no room for this slot, so its length must be wrong. */
static void an_old_header_is_checked_as_before(void)
{
	struct content c = enrolled(false);
	struct store s;

	c.len[SLOT_CERTIFICATE] = 0;
	old_flash(false);
	board.flash[12 + 8] = 1; /* a certificate of 1025 octets */
	board.flash[12 + 9] = 4;
	CHECK(mount(&s) == PROV_OK && store_holds(&s, &c) && s.generation == 7u, "a slot that is too long");
	old_flash(false);
	board.flash[OLD_HEADER] ^= 1u;
	board.flash[BOARD_SECTOR + OLD_HEADER] ^= 1u;
	CHECK(mount(&s) == PROV_ERR_STORE_IO && s.damaged, "two damaged snapshots are no empty store");
}

static void a_larger_sector_holds_four_full_slots(void)
{
	struct content c = { .len = { SLOT_SIZE, SLOT_SIZE, SLOT_SIZE, SLOT_SIZE },
			     .der = { blob(1), blob(2), blob(3), blob(4) } };
	struct store s;

	board_make(&board);
	board.port.flash.sector_size = BOARD_LARGE_SECTOR;
	CHECK(board_start(&board) == PROV_OK && prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_OK, "mounting");
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		CHECK(prov_store_commit(&s, (enum slot)slot, c.der[slot], c.len[slot]) == PROV_OK, "slot %u", slot);
	}
	CHECK(prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_OK && store_holds(&s, &c), "lost");
	board_stop(&board);
}

/* 64 octets of header leave 4032 of 4096: the limit is exact, in multiples of 32. */
static void a_sector_is_full_to_the_octet(void)
{
	struct content c = { .len = { SLOT_SIZE, SLOT_SIZE, SLOT_SIZE, 4032u - 3u * SLOT_SIZE },
			     .der = { blob(1), blob(2), blob(3), blob(4) } };
	struct store s;

	board_make(&board);
	CHECK(board_start(&board) == PROV_OK && prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_OK, "mounting");
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		CHECK(prov_store_commit(&s, (enum slot)slot, c.der[slot], c.len[slot]) == PROV_OK, "slot %u", slot);
	}
	unsigned changes = board.changes;
	CHECK(prov_store_commit(&s, SLOT_COSE, blob(5), c.len[SLOT_COSE] + 1u) == PROV_ERR_STORE_FULL, "one octet more");
	CHECK(board.changes == changes, "a refusal wrote to flash");
	CHECK(prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_OK && store_holds(&s, &c), "something was lost");
	board_stop(&board);
}

const struct test update_tests[] = {
	{ "the store of older firmware gets a MAC at the first start", an_old_store_gets_a_mac },
	{ "an update that is reverted keeps the certificate", a_reverted_update_keeps_the_certificate },
	{ "the first write ends the way back", the_first_write_ends_the_way_back },
	{ "an old store counts less than one with a MAC", an_old_store_counts_less_than_one_with_a_mac },
	{ "power may go in the first start after an update", power_may_go_in_the_first_start_after_an_update },
	{ "the store of older firmware takes the new slot", an_old_store_takes_the_new_slot },
	{ "power may go in the first write after an update", power_may_go_in_the_first_write_after_an_update },
	{ "a seal survives an update, with either sector damaged", a_seal_survives_an_update },
	{ "a header of older firmware is checked as before", an_old_header_is_checked_as_before },
	{ "a larger sector holds four full slots", a_larger_sector_holds_four_full_slots },
	{ "a sector of 4096 octets is full to the octet", a_sector_is_full_to_the_octet },
	{ 0 },
};
