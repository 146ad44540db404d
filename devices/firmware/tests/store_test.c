/* SPDX-License-Identifier: Apache-2.0 */
/* The store's own functions on flash in every condition. */
#include "history.h"
#include "requests.h"
#include "test.h"

#include <string.h>

static struct board board;

static struct store mounted(uint8_t fill)
{
	struct store s;

	board_make(&board);
	(void)board_start(&board);
	memset(board.flash, fill, sizeof board.flash);
	int err = prov_store_mount(&s, &board.port, board.prov.identity.store_key);
	CHECK(err == PROV_OK, "mounting flash full of %02x: %d", fill, err);
	return s;
}

static void fresh_flash_is_an_empty_store(void)
{
	static const uint8_t fills[] = { 0x00, 0xff };

	for (unsigned i = 0; i < 2; i++) {
		struct store s = mounted(fills[i]);
		struct content nothing = history_content(0), one = history_content(1);
		uint8_t octet;

		CHECK(store_holds(&s, &nothing), "%02x is not empty", fills[i]);
		CHECK(prov_store_read(&s, SLOT_ANCHOR, 0, &octet, 1) == PROV_ERR_TOO_LONG, "an octet from an empty slot");
		CHECK(history_step(&s, 0) == PROV_OK, "writing to flash full of %02x", fills[i]);
		CHECK(prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_OK && store_holds(&s, &one), "%02x: lost", fills[i]);
	}
}

static void flash_with_something_else_in_it_is_no_store(void)
{
	struct store s = mounted(0xff);
	uint8_t octet;

	memset(board.flash, 0x5a, sizeof board.flash);
	CHECK(prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_ERR_STORE_IO, "mounted");
	CHECK(prov_store_read(&s, SLOT_ANCHOR, 0, &octet, 1) == PROV_ERR_STORE_IO, "read");
	CHECK(history_step(&s, 0) == PROV_ERR_STORE_IO, "written");
	CHECK(prov_store_seal(&s) == PROV_ERR_STORE_IO, "sealed");
}

static int remounted(struct store *s)
{
	return prov_store_mount(s, &board.port, board.prov.identity.store_key);
}

/* Two sectors with a snapshot each; `active` is the newer one. */
static struct store two_snapshots(void)
{
	struct store s = mounted(0xff);

	for (unsigned step = 0; step < 3; step++) {
		CHECK(history_step(&s, step) == PROV_OK, "step %u", step);
	}
	return s;
}

static void any_bit_of_the_newer_snapshot_may_go(void)
{
	struct store s = two_snapshots();
	struct content newer = history_content(3);
	uint32_t start = (uint32_t)s.active * BOARD_SECTOR, used = 64u + 608u + 544u + 1024u;

	for (uint32_t at = 0; at < used; at += at < 64u ? 1u : 61u) {
		uint8_t kept = board.flash[start + at];
		board.flash[start + at] = (uint8_t)(kept ^ 0x10u);
		int err = prov_store_mount(&s, &board.port, board.prov.identity.store_key);
		bool unused = (at >= 60u && at < 64u) || (at >= 64u + 600u && at < 64u + 608u) ||
			      (at >= 64u + 608u + 513u && at < 64u + 608u + 544u);
		struct content want = history_content(unused ? 3 : 2);
		CHECK(err == PROV_OK && store_holds(&s, &want), "octet %u: %d", (unsigned)at, err);
		board.flash[start + at] = kept;
	}
	CHECK(prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_OK && store_holds(&s, &newer), "the newer one is not there again");
}

static void both_sectors_damaged_is_store_io(void)
{
	struct store s = two_snapshots();

	board.flash[30] ^= 1u;
	board.flash[BOARD_SECTOR + 30] ^= 1u;
	CHECK(prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_ERR_STORE_IO && s.damaged, "a lost store passes for an empty one");
	unsigned changes = board.changes;
	CHECK(history_step(&s, 0) == PROV_ERR_STORE_IO && prov_store_seal(&s) == PROV_ERR_STORE_IO, "written over");
	CHECK(board.changes == changes, "flash was changed");
}

static void the_board_says_store_io_when_its_store_is_lost(void)
{
	(void)two_snapshots();
	board.flash[30] ^= 1u;
	board.flash[BOARD_SECTOR + 30] ^= 1u;
	CHECK(board_start(&board) == PROV_OK && board.prov.store.damaged, "starting");
}

/* Computes hash and MAC again for a header that a test changed. */
static void rehash_with(int sector, psa_key_id_t key)
{
	uint8_t *at = board.flash + (uint32_t)sector * BOARD_SECTOR, data[BOARD_SECTOR];
	size_t len = 28, from = 64, hash_len;

	memcpy(data, at, 28);
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		size_t n = (size_t)at[12 + 4 * slot] | (size_t)at[13 + 4 * slot] << 8;
		memcpy(data + len, at + from, n);
		from += (n + 31u) / 32u * 32u;
		len += n;
	}
	uint8_t hash[HASH_SIZE], mac[HASH_SIZE];
	(void)psa_hash_compute(PSA_ALG_SHA_256, data, len, hash, sizeof hash, &hash_len);
	(void)psa_mac_compute(key, PSA_ALG_HMAC(PSA_ALG_SHA_256), hash, sizeof hash, mac, sizeof mac, &hash_len);
	memcpy(at + 28, mac, 16);
	memcpy(at + 44, hash, 16);
}

static void rehash(int sector)
{
	rehash_with(sector, board.prov.identity.store_key);
}

/* Another board's key, which somebody with a tool for the flash does not have either. */
static psa_key_id_t another_key(void)
{
	static const uint8_t octets[32] = { 1, 2, 3 };
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	psa_key_id_t key = PSA_KEY_ID_NULL;

	psa_set_key_type(&attributes, PSA_KEY_TYPE_HMAC);
	psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_SIGN_MESSAGE);
	psa_set_key_algorithm(&attributes, PSA_ALG_HMAC(PSA_ALG_SHA_256));
	CHECK(psa_import_key(&attributes, octets, sizeof octets, &key) == PSA_SUCCESS, "a key");
	return key;
}

/* Changes the anchor and the seal of a snapshot, with hashes that fit. */
static void forge(int sector, psa_key_id_t key)
{
	uint8_t *at = board.flash + (uint32_t)sector * BOARD_SECTOR;

	at[64] ^= 0x55u;
	memcpy(at + 8, "\xc7\x51\x8a\x2e", 4); /* open */
	rehash_with(sector, key);
}

static void a_store_that_the_board_did_not_write_does_not_count(void)
{
	struct store s = two_snapshots();
	struct content c = history_content(3);
	psa_key_id_t key = another_key();

	c.sealed = true;
	CHECK(prov_store_seal(&s) == PROV_OK, "sealing");
	forge(s.active, key);
	CHECK(remounted(&s) == PROV_OK && store_holds(&s, &c), "one forged sector counts");
	forge(0, key);
	forge(1, key);
	CHECK(remounted(&s) == PROV_ERR_STORE_IO && s.damaged, "two forged sectors are a store");
	memset(board.flash + BOARD_SECTOR, 0xff, BOARD_SECTOR);
	CHECK(remounted(&s) == PROV_ERR_STORE_IO && s.damaged, "a forged sector and a blank one are an empty store");
	(void)psa_destroy_key(key);
}

/* A flash chip from another board, or a board whose HUK is derived in another way after an update. */
static void the_store_of_another_identity_is_damaged(void)
{
	int64_t lc = -1;

	(void)two_snapshots();
	board.huk[0] ^= 1u;
	CHECK(board_start(&board) == PROV_OK && board.prov.store.damaged, "another HUK reads the store");
	CHECK(ask_hello(&board) == PROV_ERR_STORE_IO, "hello of version 1 has no word for it");
	CHECK(ask_raw(&board, HELLO, "\xa1\x61v\x02", 4) == PROV_OK && answer_number(&board, "lc", &lc) && lc == 2, "lc %d", (int)lc);
	CHECK(ask_csr(&board, "o", "ou") == PROV_ERR_STORE_IO, "a CSR for a certificate that cannot be stored");
}

static void no_single_fault_unseals(void)
{
	struct store s = two_snapshots();

	CHECK(prov_store_seal(&s) == PROV_OK, "sealing");
	for (unsigned bit = 0; bit < 64; bit++) {
		struct store hit = s;
		*(bit < 32 ? &hit.seal : &hit.not_seal) ^= 1u << bit % 32;
		CHECK(prov_store_sealed(&hit), "bit %u", bit);
	}
	s.seal = 0x2e8a51c7u; /* a whole word that says "open" */
	CHECK(prov_store_sealed(&s), "one word is enough");
}

static void set_generation(int sector, uint32_t generation)
{
	for (unsigned i = 0; i < 4; i++) {
		board.flash[(uint32_t)sector * BOARD_SECTOR + 4u + i] = (uint8_t)(generation >> 8 * i);
	}
	rehash(sector);
}

static void the_generation_may_wrap(void)
{
	struct store s = two_snapshots();
	struct content three = history_content(3), all = history_content(HISTORY_STEPS);

	set_generation(s.active, 0xffffffffu);
	set_generation(1 - s.active, 0xfffffffeu);
	CHECK(prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_OK && s.generation == 0xffffffffu, "mounting before the wrap");
	CHECK(store_holds(&s, &three), "before the wrap");
	for (unsigned step = 3; step < HISTORY_STEPS; step++) {
		struct content now = history_content(step + 1u);
		CHECK(history_step(&s, step) == PROV_OK, "step %u", step);
		CHECK(prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_OK && store_holds(&s, &now), "step %u is lost", step);
	}
	/* Seven writes: the seal, the last step, is written twice. */
	CHECK(store_holds(&s, &all) && s.generation == 6u, "after the wrap: generation %u", (unsigned)s.generation);
}

static void lengths_in_a_header_are_bounded(void)
{
	struct store s = two_snapshots();
	uint8_t *at = board.flash + (uint32_t)s.active * BOARD_SECTOR;
	struct content old = history_content(2);

	at[12] = 0x01; /* a trust anchor of 1025 octets, in a header whose hash is right */
	at[13] = 0x04;
	rehash(s.active);
	CHECK(prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_OK && store_holds(&s, &old), "a slot longer than a slot");
}

static void what_the_slot_holds_is_not_written_again(void)
{
	struct store s = two_snapshots();
	unsigned changes = board.changes;

	for (unsigned step = 0; step < 3; step++) {
		CHECK(history_step(&s, step) == PROV_OK, "step %u again", step);
	}
	CHECK(prov_store_seal(&s) == PROV_OK && board.changes > changes, "sealing writes");
	changes = board.changes;
	CHECK(prov_store_seal(&s) == PROV_OK && history_step(&s, 2) == PROV_OK, "again on a sealed store");
	CHECK(board.changes == changes, "%u flash operations for nothing", board.changes - changes);
}

static void a_seal_survives_damage_to_either_snapshot(void)
{
	for (unsigned sector = 0; sector < 2; sector++) {
		struct store s = two_snapshots();
		struct content c = history_content(3);

		c.sealed = true;
		CHECK(prov_store_seal(&s) == PROV_OK, "sealing");
		board.flash[sector * board.port.flash.sector_size + 20u] ^= 1;
		CHECK(prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_OK && store_holds(&s, &c), "sector %u damaged: the seal is gone", sector);
	}
}

static void an_object_larger_than_the_slot_is_store_full(void)
{
	static uint8_t large[SLOT_SIZE + 1u];
	struct store s = mounted(0xff);

	CHECK(prov_store_commit(&s, SLOT_CHAIN, large, sizeof large) == PROV_ERR_STORE_FULL, "taken");
	CHECK(board.changes == 0, "flash was changed");
}

static void flash_that_cannot_hold_a_store_is_refused(void)
{
	struct store s;

	board_make(&board);
	board.port.flash.sector_count = 1;
	CHECK(board_start(&board) == PROV_OK && prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_ERR_STORE_IO, "one sector");
	board.port.flash = (struct prov_flash){ 2048, 4, 4, false };
	CHECK(prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_ERR_STORE_IO, "small sectors");
	board_stop(&board);
}

const struct test store_tests[] = {
	{ "fresh flash, all ff or all 00, is an empty store", fresh_flash_is_an_empty_store },
	{ "flash with something else in it is store-io", flash_with_something_else_in_it_is_no_store },
	{ "any bit of the newer snapshot may go: the older one is there", any_bit_of_the_newer_snapshot_may_go },
	{ "both sectors damaged is store-io and stays untouched", both_sectors_damaged_is_store_io },
	{ "a board whose store is lost starts and says so", the_board_says_store_io_when_its_store_is_lost },
	{ "a store that the board did not write does not count", a_store_that_the_board_did_not_write_does_not_count },
	{ "the store of another identity is damaged, and the board says so", the_store_of_another_identity_is_damaged },
	{ "no single fault unseals a store", no_single_fault_unseals },
	{ "the generation may wrap", the_generation_may_wrap },
	{ "a header cannot make a slot longer than it is", lengths_in_a_header_are_bounded },
	{ "what the slot holds is not written again", what_the_slot_holds_is_not_written_again },
	{ "a seal survives damage to either snapshot", a_seal_survives_damage_to_either_snapshot },
	{ "an object larger than the slot is store-full", an_object_larger_than_the_slot_is_store_full },
	{ "flash that cannot hold two snapshots is refused", flash_that_cannot_hold_a_store_is_refused },
	{ 0 },
};
