/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificate store: one of two sectors holds a snapshot of all slots. A commit
 * writes the next snapshot to the other sector: first the data, then the header with
 * the hash. The header is the commit point: a power cut before its last octet leaves
 * the old snapshot valid, a power cut after it the new one.
 *
 * Sector of "HMS3": magic | generation | seal | len[4] | first 16 octets of M | first 16
 * octets of H | padding to 64 octets | data. H is the SHA-256 of the fields before M and
 * of the data, and finds damage. M is the HMAC-SHA256 of H with a key from the HUK:
 * whoever can write the flash can make no "HMS3" that this board accepts. They can still
 * erase it, and put back an older snapshot of the same board. H is the last field, so a
 * header that was cut is damaged, and never a whole one of another board. Numbers are
 * little-endian.
 * The slots follow each other, and each begins at a multiple of ALIGN. Four full slots
 * need 4160 octets, so a sector of 4096 octets may be full before each slot is.
 * "HMS4" has one more number after the lengths, the counter of the last update (core/update.c), and is else the same. The core writes it
 * only after an update, so that a store that was never updated stays readable for earlier firmware.
 *
 * Earlier firmware has H in 32 octets, no M, and a seal of 0 or 1: "HMS2", and "HMS1"
 * with three lengths and SLOT_SIZE octets for each slot. An identity survives an update,
 * so the core reads them, unless the port refuses them, and writes the other sector anew at
 * the first start. Beside a valid "HMS3" they do not count.
 */
#include "core.h"

#include <string.h>

#define HEADER_SIZE 64u
#define SECTOR_MIN 4096u
#define SNAPSHOT_MAX (HEADER_SIZE + SLOT_COUNT * SLOT_SIZE)
#define ALIGN 32u /* a multiple of every write_size */
#define PIECE 128u /* a multiple of ALIGN */

static const struct store_layout {
	uint8_t magic[4];
	uint8_t slots;
	uint8_t numbers; /* after the seal: the lengths, and the counter */
	bool packed;
	bool has_mac;
} layouts[] = { { { 'H', 'M', 'S', '3' }, SLOT_COUNT, SLOT_COUNT, true, true },
		{ { 'H', 'M', 'S', '4' }, SLOT_COUNT, SLOT_COUNT + 1u, true, true },
		{ { 'H', 'M', 'S', '2' }, SLOT_COUNT, SLOT_COUNT, true, false },
		{ { 'H', 'M', 'S', '1' }, 3, 3, false, false } };

#define TAG_SIZE 16u /* stored octets of H and of M */

/* Values of the seal that no single fault turns into each other. */
#define SEAL_OPEN 0x2e8a51c7u
#define SEAL_SET 0xd175ae38u

#define HASH_OFFSET(layout) (12u + 4u * (layout)->numbers) /* the hash covers the header up to here */

/* The form in which a store is written. */
static const struct store_layout *layout_for(const struct store *s)
{
	return &layouts[s->counter > 0 ? 1 : 0];
}

static uint32_t aligned(uint32_t len)
{
	return (len + ALIGN - 1u) / ALIGN * ALIGN;
}

/* Offset of a slot in its sector; SLOT_COUNT: end of the data. */
static uint32_t data_offset(const struct store *s, unsigned slot)
{
	uint32_t at = HEADER_SIZE;

	for (unsigned i = 0; i < slot; i++) {
		at += s->layout->packed ? aligned(s->len[i]) : SLOT_SIZE;
	}
	return at;
}

static void put32(uint8_t *to, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++) {
		to[i] = (uint8_t)(value >> 8 * i);
	}
}

static uint32_t get32(const uint8_t *from)
{
	return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static uint32_t base(const struct store *s, int sector)
{
	return (uint32_t)sector * s->port->flash.sector_size;
}

static int flash_read(const struct store *s, int sector, uint32_t offset, void *buf, size_t len)
{
	return s->port->flash_read(s->port->ctx, base(s, sector) + offset, buf, len) == PROV_OK ? PROV_OK
												 : PROV_ERR_STORE_IO;
}

/* Writes at most PIECE octets and reads them back: worn or locked flash may report success without storing them. */
static int program(const struct store *s, int sector, uint32_t offset, const void *buf, size_t len)
{
	uint8_t held[PIECE];

	if (s->port->flash_write(s->port->ctx, base(s, sector) + offset, buf, len) != PROV_OK ||
	    flash_read(s, sector, offset, held, len) != PROV_OK || memcmp(held, buf, len) != 0) {
		return PROV_ERR_STORE_IO;
	}
	return PROV_OK;
}

static void encode_header(const struct store *s, uint8_t header[HEADER_SIZE])
{
	memset(header, 0xff, HEADER_SIZE);
	memcpy(header, s->layout->magic, sizeof s->layout->magic);
	put32(header + 4, s->generation);
	put32(header + 8, prov_store_sealed(s) ? SEAL_SET : SEAL_OPEN);
	for (unsigned i = 0; i < s->layout->numbers; i++) {
		put32(header + 12 + 4 * i, i < SLOT_COUNT ? s->len[i] : s->counter);
	}
}

static void set_seal(struct store *s, bool sealed)
{
	s->seal = sealed ? SEAL_SET : SEAL_OPEN;
	s->not_seal = ~s->seal;
}

bool prov_store_sealed(const struct store *s)
{
	const volatile uint32_t *seal = &s->seal, *not_seal = &s->not_seal;

	if (*seal != SEAL_OPEN || *not_seal != ~SEAL_OPEN) {
		return true;
	}
	return *seal != SEAL_OPEN || *not_seal != ~SEAL_OPEN;
}

/* False if no store wrote this seal. */
static bool parse_seal(struct store *s, uint32_t seal)
{
	const uint32_t open = s->layout->has_mac ? SEAL_OPEN : 0u, set = s->layout->has_mac ? SEAL_SET : 1u;

	set_seal(s, seal != open);
	return seal == open || seal == set;
}

static const struct store_layout *layout_of(const uint8_t magic[4])
{
	for (unsigned i = 0; i < sizeof layouts / sizeof *layouts; i++) {
		if (memcmp(magic, layouts[i].magic, sizeof layouts[i].magic) == 0) {
			return &layouts[i];
		}
	}
	return NULL;
}

/* Returns false if no store wrote this header; then only some fields of *s are set. */
static bool parse_header(struct store *s, const uint8_t header[HEADER_SIZE])
{
	s->layout = layout_of(header);
	if (s->layout == NULL || !parse_seal(s, get32(header + 8))) {
		return false;
	}
	s->generation = get32(header + 4);
	memset(s->len, 0, sizeof s->len);
	for (unsigned i = 0; i < s->layout->slots; i++) {
		s->len[i] = get32(header + 12 + 4 * i);
		if (s->len[i] > SLOT_SIZE) {
			return false;
		}
	}
	s->counter = s->layout->numbers > SLOT_COUNT ? get32(header + 12 + 4 * SLOT_COUNT) : 0;
	return data_offset(s, s->layout->slots) <= s->port->flash.sector_size;
}

static int hash_slot(const struct store *s, int sector, unsigned slot, psa_hash_operation_t *op)
{
	uint8_t piece[PIECE];

	for (uint32_t at = 0; at < s->len[slot]; at += PIECE) {
		uint32_t n = s->len[slot] - at < PIECE ? s->len[slot] - at : PIECE;
		int err = flash_read(s, sector, data_offset(s, slot) + at, piece, n);
		if (err != PROV_OK) {
			return err;
		}
		if (psa_hash_update(op, piece, n) != PSA_SUCCESS) {
			return PROV_ERR_CRYPTO;
		}
	}
	return PROV_OK;
}

int prov_store_hash(const struct store *s, enum slot slot, uint8_t hash[HASH_SIZE])
{
	psa_hash_operation_t op = PSA_HASH_OPERATION_INIT;
	size_t len;
	int err = psa_hash_setup(&op, PSA_ALG_SHA_256) == PSA_SUCCESS ? PROV_OK : PROV_ERR_CRYPTO;

	if (err == PROV_OK) {
		err = hash_slot(s, s->active, slot, &op);
	}
	if (err == PROV_OK && psa_hash_finish(&op, hash, HASH_SIZE, &len) != PSA_SUCCESS) {
		err = PROV_ERR_CRYPTO;
	}
	(void)psa_hash_abort(&op);
	return err;
}

static int hash_snapshot(const struct store *s, int sector, const uint8_t header[HEADER_SIZE], uint8_t hash[HASH_SIZE])
{
	psa_hash_operation_t op = PSA_HASH_OPERATION_INIT;
	size_t len;
	int err = PROV_ERR_CRYPTO;

	if (psa_hash_setup(&op, PSA_ALG_SHA_256) == PSA_SUCCESS &&
	    psa_hash_update(&op, header, HASH_OFFSET(s->layout)) == PSA_SUCCESS) {
		err = PROV_OK;
	}
	for (unsigned slot = 0; err == PROV_OK && slot < SLOT_COUNT; slot++) {
		err = hash_slot(s, sector, slot, &op);
	}
	if (err == PROV_OK && psa_hash_finish(&op, hash, HASH_SIZE, &len) != PSA_SUCCESS) {
		err = PROV_ERR_CRYPTO;
	}
	(void)psa_hash_abort(&op);
	return err;
}

/* Writes the tags of a header: the first octets of M and of H. `hash` is H. */
static int make_tags(const struct store *s, const uint8_t hash[HASH_SIZE], uint8_t tags[2u * TAG_SIZE])
{
	uint8_t mac[HASH_SIZE];
	size_t len;

	if (psa_mac_compute(s->key, PSA_ALG_HMAC(PSA_ALG_SHA_256), hash, HASH_SIZE, mac, sizeof mac, &len) != PSA_SUCCESS) {
		return PROV_ERR_CRYPTO;
	}
	memcpy(tags, mac, TAG_SIZE);
	memcpy(tags + TAG_SIZE, hash, TAG_SIZE);
	return PROV_OK;
}

/* The time does not depend on the octets. */
static bool same_tag(const uint8_t *a, const uint8_t *b)
{
	uint8_t differs = 0;

	for (unsigned i = 0; i < TAG_SIZE; i++) {
		differs |= (uint8_t)(a[i] ^ b[i]);
	}
	return differs == 0;
}

/* What a sector holds. FOREIGN: a whole snapshot that this board did not write. */
enum sector_state { SECTOR_INVALID, SECTOR_FOREIGN, SECTOR_OLD, SECTOR_VALID };

static enum sector_state judge(const struct store *s, const uint8_t *stored, const uint8_t hash[HASH_SIZE], int *err)
{
	uint8_t tags[2u * TAG_SIZE];

	if (!s->layout->has_mac) {
		return memcmp(hash, stored, HASH_SIZE) != 0 ? SECTOR_INVALID : s->port->flash.refuse_old ? SECTOR_FOREIGN : SECTOR_OLD;
	}
	*err = make_tags(s, hash, tags);
	if (*err != PROV_OK || !same_tag(tags + TAG_SIZE, stored + TAG_SIZE)) {
		return SECTOR_INVALID;
	}
	return same_tag(tags, stored) ? SECTOR_VALID : SECTOR_FOREIGN;
}

/* Reads the header of a sector into `found`, and checks the sector. *err is a read error. */
static enum sector_state read_sector(const struct store *s, int sector, struct store *found, int *err)
{
	uint8_t header[HEADER_SIZE], hash[HASH_SIZE];

	memset(found, 0, sizeof *found);
	found->port = s->port;
	found->key = s->key;
	found->active = sector;
	*err = flash_read(found, sector, 0, header, sizeof header);
	if (*err != PROV_OK || !parse_header(found, header)) {
		return SECTOR_INVALID;
	}
	*err = hash_snapshot(found, sector, header, hash);
	return *err == PROV_OK ? judge(found, header + HASH_OFFSET(found->layout), hash, err) : SECTOR_INVALID;
}

static int blank_sector(const struct store *s, int sector, bool *blank)
{
	uint32_t size = s->port->flash.sector_size < SNAPSHOT_MAX ? s->port->flash.sector_size : SNAPSHOT_MAX;
	uint8_t piece[PIECE], any = 0, all = 0xff;

	for (uint32_t at = 0; at < size; at += PIECE) {
		uint32_t n = size - at < PIECE ? size - at : PIECE;
		int err = flash_read(s, sector, at, piece, n);
		if (err != PROV_OK) {
			return err;
		}
		for (uint32_t i = 0; i < n; i++) {
			any |= piece[i];
			all &= piece[i];
		}
	}
	*blank = any == 0 || all == 0xff;
	return PROV_OK;
}

/*
 * No snapshot is valid. A store whose first commit was cut has at most one sector that
 * is not blank. Two such sectors mean that a store was lost, which must not be hidden,
 * because the lost store may have been sealed.
 */
static int mount_blank(struct store *s)
{
	bool blank[2];

	for (int sector = 0; sector < 2; sector++) {
		int err = blank_sector(s, sector, &blank[sector]);
		if (err != PROV_OK) {
			return err;
		}
	}
	s->damaged = !blank[0] && !blank[1];
	return s->damaged ? PROV_ERR_STORE_IO : PROV_OK;
}

/* Generations differ by one, so the comparison also works when the number wraps after 2^32 writes. */
static bool newer(const struct store *a, const struct store *b)
{
	return (int32_t)(a->generation - b->generation) > 0;
}

static int write_snapshot(struct store *s, struct store *next);

/* Writes the valid snapshot to the other sector, in the newest form. When flash refuses, the old one counts until the next start. */
static void renew_other(struct store *s)
{
	struct store next = *s;

	(void)write_snapshot(s, &next);
}

/*
 * An old snapshot is written anew beside itself, and stays until the next write: firmware before "HMS3", to which a boot loader may
 * revert an update, finds it there. An image that refuses old stores says that there is no way back, so the second
 * copy gets a MAC, too.
 */
static bool has_to_renew(const struct store *s, enum sector_state best, enum sector_state other)
{
	return best == SECTOR_OLD || (s->port->flash.refuse_old && other == SECTOR_FOREIGN);
}

static int mount(struct store *s)
{
	struct store found[2];
	enum sector_state state[2];
	int err, best;

	for (int sector = 0; sector < 2; sector++) {
		state[sector] = read_sector(s, sector, &found[sector], &err);
		if (err != PROV_OK) {
			return err;
		}
	}
	best = state[0] > state[1] || (state[0] == state[1] && !newer(&found[1], &found[0])) ? 0 : 1;
	if (state[best] >= SECTOR_OLD) {
		*s = found[best];
		if (has_to_renew(s, state[best], state[1 - best])) {
			renew_other(s);
		}
		return PROV_OK;
	}
	return state[best] == SECTOR_FOREIGN ? PROV_ERR_STORE_IO : mount_blank(s);
}

int prov_store_mount(struct store *s, const struct prov_port *port, psa_key_id_t key)
{
	int err;

	memset(s, 0, sizeof *s);
	s->port = port;
	s->key = key;
	s->active = -1;
	s->layout = &layouts[0];
	set_seal(s, false);
	if (port->flash.sector_count < 2 || port->flash.sector_size < SECTOR_MIN) {
		s->damaged = true;
		return PROV_ERR_STORE_IO;
	}
	err = mount(s);
	s->damaged = err != PROV_OK;
	return err;
}

int prov_store_read(const struct store *s, enum slot slot, uint32_t offset, uint8_t *buf, size_t len)
{
	if (s->damaged) {
		return PROV_ERR_STORE_IO;
	}
	if (offset > s->len[slot] || len > s->len[slot] - offset) {
		return PROV_ERR_TOO_LONG;
	}
	if (s->pending[slot] != NULL) {
		memcpy(buf, s->pending[slot] + offset, len);
		return PROV_OK;
	}
	if (s->active < 0) {
		return PROV_ERR_TOO_LONG;
	}
	return flash_read(s, s->active, data_offset(s, slot) + offset, buf, len);
}

static int copy_slot(const struct store *s, const struct store *next, unsigned slot)
{
	const struct store *from = next->pending[slot] != NULL ? next : s;
	uint8_t piece[PIECE];

	for (uint32_t at = 0; at < next->len[slot]; at += PIECE) {
		uint32_t n = next->len[slot] - at < PIECE ? next->len[slot] - at : PIECE;
		int err;

		memset(piece, 0xff, sizeof piece);
		err = prov_store_read(from, (enum slot)slot, at, piece, n);
		if (err == PROV_OK) {
			err = program(next, next->active, data_offset(next, slot) + at, piece, aligned(n));
		}
		if (err != PROV_OK) {
			return err;
		}
	}
	return PROV_OK;
}

/* Writes `next`, with its pending objects, to the other sector and makes it the valid snapshot. */
static int write_snapshot(struct store *s, struct store *next)
{
	uint8_t header[HEADER_SIZE], hash[HASH_SIZE];
	int err;

	next->active = s->active == 0 ? 1 : 0;
	next->generation = s->generation + 1u;
	next->layout = layout_for(next);
	err = s->port->flash_erase(s->port->ctx, (uint32_t)next->active) == PROV_OK ? PROV_OK : PROV_ERR_STORE_IO;
	for (unsigned i = 0; err == PROV_OK && i < SLOT_COUNT; i++) {
		err = copy_slot(s, next, i);
	}
	encode_header(next, header);
	if (err == PROV_OK) {
		err = hash_snapshot(next, next->active, header, hash);
	}
	if (err == PROV_OK) {
		err = make_tags(next, hash, header + HASH_OFFSET(next->layout));
	}
	if (err == PROV_OK) {
		err = program(next, next->active, 0, header, sizeof header); /* commit point */
	}
	if (err == PROV_OK) {
		memset(next->pending, 0, sizeof next->pending);
		*s = *next;
	}
	return err;
}

void prov_store_offer(struct store *next, enum slot slot, const uint8_t *der, size_t len)
{
	next->pending[slot] = der;
	next->len[slot] = (uint32_t)len;
	for (unsigned later = slot + 1u; slot < SLOT_CERTIFICATE && later < SLOT_COUNT; later++) {
		next->pending[later] = NULL; /* it was checked against the object that is replaced now */
		next->len[later] = 0;
	}
}

/* A sealed store takes objects only with an update's counter. Callers ask before, too: one fault must not be enough. */
int prov_store_replace(struct store *s, struct store *next)
{
	if (prov_store_sealed(s) && next->counter <= s->counter) {
		return PROV_ERR_SEALED;
	}
	next->layout = layout_for(next);
	if (data_offset(next, SLOT_COUNT) > s->port->flash.sector_size) {
		return PROV_ERR_STORE_FULL;
	}
	return write_snapshot(s, next);
}

/* 1: the slot holds exactly these octets; 0: it does not; negative: error. */
static int holds(const struct store *s, enum slot slot, const uint8_t *der, size_t len)
{
	uint8_t piece[PIECE];

	if (s->len[slot] != len) {
		return 0;
	}
	for (uint32_t at = 0; at < len; at += PIECE) {
		uint32_t n = (uint32_t)len - at < PIECE ? (uint32_t)len - at : PIECE;
		int err = prov_store_read(s, slot, at, piece, n);
		if (err != PROV_OK) {
			return err;
		}
		if (memcmp(piece, der + at, n) != 0) {
			return 0;
		}
	}
	return 1;
}

int prov_store_commit(struct store *s, enum slot slot, const uint8_t *der, size_t len)
{
	struct store next = *s;
	int err = s->damaged ? PROV_ERR_STORE_IO : PROV_OK;
	int same = err == PROV_OK ? holds(s, slot, der, len) : err;

	if (same != 0) {
		return same > 0 ? PROV_OK : same;
	}
	if (prov_store_sealed(s)) {
		return PROV_ERR_SEALED;
	}
	if (len > SLOT_SIZE) {
		return PROV_ERR_STORE_FULL;
	}
	prov_store_offer(&next, slot, der, len);
	return prov_store_replace(s, &next);
}

/* 1: the other sector holds a seal, too; 0: it does not; negative: error. */
static int sealed_twice(const struct store *s)
{
	struct store other;
	int err;
	enum sector_state state = read_sector(s, s->active == 0 ? 1 : 0, &other, &err);

	return err != PROV_OK ? err : state == SECTOR_VALID && prov_store_sealed(&other);
}

/* Both sectors get the seal, so that damage to one of them cannot bring back an unsealed snapshot. */
int prov_store_seal(struct store *s)
{
	int err = s->damaged ? PROV_ERR_STORE_IO : PROV_OK;
	int done = err == PROV_OK && prov_store_sealed(s) ? sealed_twice(s) : err;

	for (unsigned copy = 0; done == 0 && copy < 2u; copy++) {
		struct store next = *s;

		set_seal(&next, true);
		err = write_snapshot(s, &next);
		done = err == PROV_OK ? sealed_twice(s) : err;
	}
	return done > 0 ? PROV_OK : done < 0 ? done : PROV_ERR_STORE_IO;
}
