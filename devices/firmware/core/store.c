/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificate store: one of two sectors holds a snapshot of all slots. A commit
 * writes the next snapshot to the other sector: first the data, then the header with
 * the hash. The header is the commit point: a power cut before its last octet leaves
 * the old snapshot valid, a power cut after it the new one.
 *
 * Sector: magic | generation | sealed | len[] | SHA-256 of these fields and of the
 * data | padding to 64 octets | data. Numbers are little-endian.
 *
 * "HMS2" has four lengths. The slots follow each other, and each begins at a multiple
 * of ALIGN. Four full slots need 4160 octets, so a sector of 4096 octets may be full
 * before each slot is. "HMS1" of earlier firmware has three lengths and SLOT_SIZE octets
 * for each slot. The core reads it for ever, because an identity survives an update,
 * and never writes it.
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
	unsigned slots;
	bool packed;
} layouts[] = { { { 'H', 'M', 'S', '2' }, SLOT_COUNT, true }, { { 'H', 'M', 'S', '1' }, 3, false } };

#define HASH_OFFSET(layout) (12u + 4u * (layout)->slots) /* the hash covers the header up to here */

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
	put32(header + 8, s->sealed ? 1u : 0u);
	for (unsigned i = 0; i < s->layout->slots; i++) {
		put32(header + 12 + 4 * i, s->len[i]);
	}
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
	if (s->layout == NULL || get32(header + 8) > 1u) {
		return false;
	}
	s->generation = get32(header + 4);
	s->sealed = get32(header + 8) == 1u;
	memset(s->len, 0, sizeof s->len);
	for (unsigned i = 0; i < s->layout->slots; i++) {
		s->len[i] = get32(header + 12 + 4 * i);
		if (s->len[i] > SLOT_SIZE) {
			return false;
		}
	}
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

/* True if the sector holds a valid snapshot, which is then in `found`. *err is a read error. */
static bool valid_sector(const struct prov_port *port, int sector, struct store *found, int *err)
{
	uint8_t header[HEADER_SIZE], hash[HASH_SIZE];

	found->port = port;
	found->active = sector;
	*err = flash_read(found, sector, 0, header, sizeof header);
	if (*err != PROV_OK || !parse_header(found, header)) {
		return false;
	}
	*err = hash_snapshot(found, sector, header, hash);
	return *err == PROV_OK && memcmp(hash, header + HASH_OFFSET(found->layout), HASH_SIZE) == 0;
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

static int mount(struct store *s, const struct prov_port *port)
{
	struct store found[2];
	bool valid[2];
	int err;

	memset(found, 0, sizeof found);
	for (int sector = 0; sector < 2; sector++) {
		valid[sector] = valid_sector(port, sector, &found[sector], &err);
		if (err != PROV_OK) {
			return err;
		}
	}
	if (valid[0] || valid[1]) {
		*s = found[!valid[0] || (valid[1] && newer(&found[1], &found[0])) ? 1 : 0];
		return PROV_OK;
	}
	return mount_blank(s);
}

int prov_store_mount(struct store *s, const struct prov_port *port)
{
	int err;

	memset(s, 0, sizeof *s);
	s->port = port;
	s->active = -1;
	s->layout = &layouts[0];
	if (port->flash.sector_count < 2 || port->flash.sector_size < SECTOR_MIN) {
		s->damaged = true;
		return PROV_ERR_STORE_IO;
	}
	err = mount(s, port);
	s->damaged = err != PROV_OK;
	return err;
}

int prov_store_read(const struct store *s, enum slot slot, uint32_t offset, uint8_t *buf, size_t len)
{
	if (s->damaged) {
		return PROV_ERR_STORE_IO;
	}
	if (s->active < 0 || offset > s->len[slot] || len > s->len[slot] - offset) {
		return PROV_ERR_TOO_LONG;
	}
	return flash_read(s, s->active, data_offset(s, slot) + offset, buf, len);
}

/* Reads a piece of a slot for the next snapshot: from der, or from the valid snapshot if der is NULL. */
static int piece_of(const struct store *s, unsigned slot, const uint8_t *der, uint32_t at, uint8_t *piece, uint32_t n)
{
	if (der == NULL) {
		return flash_read(s, s->active, data_offset(s, slot) + at, piece, n);
	}
	memcpy(piece, der + at, n);
	return PROV_OK;
}

static int copy_slot(const struct store *s, const struct store *next, unsigned slot, const uint8_t *der)
{
	uint8_t piece[PIECE];

	for (uint32_t at = 0; at < next->len[slot]; at += PIECE) {
		uint32_t n = next->len[slot] - at < PIECE ? next->len[slot] - at : PIECE;
		int err;

		memset(piece, 0xff, sizeof piece);
		err = piece_of(s, slot, der, at, piece, n);
		if (err == PROV_OK) {
			err = program(next, next->active, data_offset(next, slot) + at, piece, aligned(n));
		}
		if (err != PROV_OK) {
			return err;
		}
	}
	return PROV_OK;
}

/* Writes `next` to the other sector and makes it the valid snapshot. `slot` gets der; SLOT_COUNT: no slot does. */
static int write_snapshot(struct store *s, struct store *next, unsigned slot, const uint8_t *der)
{
	uint8_t header[HEADER_SIZE];
	int err;

	next->active = s->active == 0 ? 1 : 0;
	next->generation = s->generation + 1u;
	next->layout = &layouts[0];
	err = s->port->flash_erase(s->port->ctx, (uint32_t)next->active) == PROV_OK ? PROV_OK : PROV_ERR_STORE_IO;
	for (unsigned i = 0; err == PROV_OK && i < SLOT_COUNT; i++) {
		err = copy_slot(s, next, i, i == slot ? der : NULL);
	}
	encode_header(next, header);
	if (err == PROV_OK) {
		err = hash_snapshot(next, next->active, header, header + HASH_OFFSET(next->layout));
	}
	if (err == PROV_OK) {
		err = program(next, next->active, 0, header, sizeof header); /* commit point */
	}
	if (err == PROV_OK) {
		*s = *next;
	}
	return err;
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
	if (s->sealed) {
		return PROV_ERR_SEALED;
	}
	if (len > SLOT_SIZE) {
		return PROV_ERR_STORE_FULL;
	}
	next.layout = &layouts[0];
	next.len[slot] = (uint32_t)len;
	for (unsigned later = slot + 1u; slot < SLOT_CERTIFICATE && later < SLOT_COUNT; later++) {
		next.len[later] = 0; /* it was checked against the object that is replaced now */
	}
	if (data_offset(&next, SLOT_COUNT) > s->port->flash.sector_size) {
		return PROV_ERR_STORE_FULL;
	}
	return write_snapshot(s, &next, slot, der);
}

/* 1: the other sector holds a seal, too; 0: it does not; negative: error. */
static int sealed_twice(const struct store *s)
{
	struct store other;
	int err;
	bool valid = valid_sector(s->port, s->active == 0 ? 1 : 0, &other, &err);

	return err != PROV_OK ? err : valid && other.sealed;
}

/* Both sectors get the seal, so that damage to one of them cannot bring back an unsealed snapshot. */
int prov_store_seal(struct store *s)
{
	int err = s->damaged ? PROV_ERR_STORE_IO : PROV_OK;
	int done = err == PROV_OK && s->sealed ? sealed_twice(s) : err;

	for (unsigned copy = 0; done == 0 && copy < 2u; copy++) {
		struct store next = *s;

		next.sealed = true;
		err = write_snapshot(s, &next, SLOT_COUNT, NULL);
		done = err == PROV_OK ? sealed_twice(s) : err;
	}
	return done > 0 ? PROV_OK : done < 0 ? done : PROV_ERR_STORE_IO;
}
