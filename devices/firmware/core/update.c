/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The update (PROTOCOL.md section 4, "update"): what the key of the trust anchor has signed for this board replaces slots, also on a
 * sealed board. Everything is checked in RAM before the flash is touched.
 */
#include "core.h"

#include <string.h>

#if PROV_UPDATE

#define SIGNATURE_MAX 72u /* ECDSA-Sig-Value of P-256 */
#define MANIFEST_MAX 112u

enum { OBJECTS, MANIFEST, SIGNATURE, FILE_FIELDS };
enum { HASH, COUNTER, SLOTS, TYPE, BOARD, MANIFEST_FIELDS };

static const char type[] = "hallmark update 1";

/* Reads a map in which every field must be present. */
static int read_all(const struct cbor_field *map, struct cbor_field *fields, size_t count)
{
	int err = prov_cbor_read_map(map->as.string.octets, map->as.string.len, fields, count);

	for (size_t i = 0; err == PROV_OK && i < count; i++) {
		err = fields[i].present ? PROV_OK : PROV_ERR_BAD_MAP;
	}
	return err;
}

static bool holds(const struct cbor_field *f, const void *octets, size_t len)
{
	return f->as.string.len == len && memcmp(f->as.string.octets, octets, len) == 0;
}

/* The anchor's key has signed an update that is for this board, newer than the last one, and about these objects. */
static int check(const struct prov *prov, const struct cbor_field *file, struct cbor_field *m)
{
	uint8_t hash[HASH_SIZE];
	size_t len;
	int err = prov_certificate_signed(&prov->store, file[MANIFEST].as.string.octets, file[MANIFEST].as.string.len,
					  file[SIGNATURE].as.string.octets, file[SIGNATURE].as.string.len);

	if (err == PROV_OK) {
		err = read_all(&file[MANIFEST], m, MANIFEST_FIELDS);
	}
	if (err != PROV_OK) {
		return err;
	}
	if (!holds(&m[TYPE], type, sizeof type - 1u)) {
		return PROV_ERR_BAD_MAP;
	}
	if (!holds(&m[BOARD], prov->identity.board_id, BOARD_ID_SIZE)) {
		return PROV_ERR_UPDATE_ELSEWHERE;
	}
	if (m[COUNTER].as.number <= prov->store.counter) {
		return PROV_ERR_UPDATE_OLD;
	}
	if (psa_hash_compute(PSA_ALG_SHA_256, file[OBJECTS].as.string.octets, file[OBJECTS].as.string.len, hash, sizeof hash, &len) != PSA_SUCCESS) {
		return PROV_ERR_CRYPTO;
	}
	return holds(&m[HASH], hash, sizeof hash) ? PROV_OK : PROV_ERR_BAD_HASH;
}

/* Puts the objects into the next snapshot, each checked against those before it. */
static int offer(const struct prov *prov, const struct cbor_field *objects, uint32_t slots, struct store *next)
{
	struct cbor_field der[SLOT_COUNT] = {
		{ .key = "0", .type = CBOR_BSTR, .max = SLOT_SIZE }, { .key = "1", .type = CBOR_BSTR, .max = SLOT_SIZE },
		{ .key = "2", .type = CBOR_BSTR, .max = SLOT_SIZE }, { .key = "3", .type = CBOR_BSTR, .max = SLOT_SIZE },
	};
	int err = prov_cbor_read_map(objects->as.string.octets, objects->as.string.len, der, SLOT_COUNT);

	for (unsigned slot = 0; err == PROV_OK && slot < SLOT_COUNT; slot++) {
		const uint8_t *octets = der[slot].as.string.octets;
		size_t len = der[slot].as.string.len;
		if (der[slot].present) {
			slots ^= 1u << slot;
			err = prov_certificate_check(next, &prov->identity, (enum slot)slot, octets, len);
			prov_store_offer(next, (enum slot)slot, octets, len);
		}
	}
	return err != PROV_OK || slots == 0 ? err : PROV_ERR_BAD_MAP;
}

/* An update must not take a certificate away: a board in the field would get no other. */
static bool takes_away(const struct store *s, const struct store *next)
{
	return (s->len[SLOT_CERTIFICATE] > 0 && next->len[SLOT_CERTIFICATE] == 0) || (s->len[SLOT_COSE] > 0 && next->len[SLOT_COSE] == 0);
}

int prov_update_apply(struct prov *prov, const uint8_t *octets, size_t len)
{
	struct store next = prov->store;
	const struct cbor_field whole = { .as.string = { octets, len } };
	struct cbor_field file[FILE_FIELDS] = {
		[OBJECTS] = { .key = "d", .type = CBOR_BSTR, .max = UPDATE_SIZE },
		[MANIFEST] = { .key = "m", .type = CBOR_BSTR, .max = MANIFEST_MAX },
		[SIGNATURE] = { .key = "s", .type = CBOR_BSTR, .max = SIGNATURE_MAX },
	};
	struct cbor_field m[MANIFEST_FIELDS] = {
		[HASH] = { .key = "h", .type = CBOR_BSTR, .max = HASH_SIZE },
		[COUNTER] = { .key = "n", .type = CBOR_UINT, .max = UINT32_MAX },
		[SLOTS] = { .key = "s", .type = CBOR_UINT, .max = UINT32_MAX },
		[TYPE] = { .key = "t", .type = CBOR_TSTR, .max = sizeof type },
		[BOARD] = { .key = "id", .type = CBOR_BSTR, .max = BOARD_ID_SIZE },
	};
	int err = next.damaged ? PROV_ERR_STORE_IO : next.len[SLOT_ANCHOR] == 0 ? PROV_ERR_NO_ANCHOR : read_all(&whole, file, FILE_FIELDS);

	if (err == PROV_OK) {
		err = check(prov, file, m);
	}
	if (err == PROV_OK) {
		next.counter = m[COUNTER].as.number;
		err = offer(prov, &file[OBJECTS], m[SLOTS].as.number, &next);
	}
	if (err == PROV_OK && takes_away(&prov->store, &next)) {
		err = PROV_ERR_EMPTY;
	}
	if (err == PROV_OK) {
		err = check(prov, file, m); /* again: one fault must not be enough */
	}
	return err == PROV_OK ? prov_store_replace(&prov->store, &next) : err;
}

#endif
