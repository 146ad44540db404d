/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that arrive in pieces: the commands write and update (PROTOCOL.md section 4). */
#include "core.h"

#include <string.h>

#if HAS_TRANSFER

enum { O, L, D, C, UPDATE_FIELDS, S = UPDATE_FIELDS, H, WRITE_FIELDS };

static uint8_t *buffer_of(struct prov *prov)
{
#if PROV_HANDSHAKE
	_Static_assert(sizeof prov->tls.credentials >= TRANSFER_SIZE, "no room for an object");
	return prov->tls.credentials;
#else
	return prov->transfer.octets;
#endif
}

/* f[S] of an update is SLOT_COUNT. Offset 0 always begins anew, also for the object that was written before: the answer is the offset behind this piece, as the station expects. */
static int begin_transfer(struct prov *prov, const struct cbor_field *f)
{
	struct transfer *t = &prov->transfer;
	int err;

	if (!f[L].present || (f[H].present && f[H].as.string.len != HASH_SIZE)) {
		return PROV_ERR_BAD_MAP;
	}
	if (f[L].as.number > f[O].max) {
		return PROV_ERR_STORE_FULL;
	}
	err = prov_session_end(prov, true);
	if (err != PROV_OK) {
		return err;
	}
	t->der = buffer_of(prov);
	t->open = true;
	t->applied = false;
	t->slot = (enum slot)f[S].as.number;
	t->total = f[L].as.number;
	t->received = 0;
	t->has_hash = f[H].present;
	if (t->has_hash) {
		memcpy(t->hash, f[H].as.string.octets, HASH_SIZE);
	}
	return PROV_OK;
}

static int add_piece(struct transfer *t, const struct cbor_field *f)
{
	uint32_t offset = f[O].as.number;
	size_t len = f[D].as.string.len;

	if (!t->open || t->slot != (enum slot)f[S].as.number || offset > t->received) {
		return PROV_ERR_OUT_OF_ORDER;
	}
	if (offset > t->total || len > t->total - offset) {
		return PROV_ERR_TOO_LONG;
	}
	if (offset + len <= t->received && memcmp(t->der + offset, f[D].as.string.octets, len) == 0) {
		return PROV_OK; /* a repeated piece */
	}
	if (offset != t->received) {
		return PROV_ERR_OUT_OF_ORDER;
	}
	memcpy(t->der + offset, f[D].as.string.octets, len);
	t->received += (uint32_t)len;
	return PROV_OK;
}

#if PROV_PROVISIONING
/* Without `h` (version 2) the signature on each object that is stored shows damage. */
static int check_hash(struct transfer *t)
{
	uint8_t hash[HASH_SIZE];
	size_t len;

	if (!t->has_hash) {
		return PROV_OK;
	}
	if (psa_hash_compute(PSA_ALG_SHA_256, t->der, t->total, hash, sizeof hash, &len) != PSA_SUCCESS) {
		return PROV_ERR_CRYPTO;
	}
	if (memcmp(hash, t->hash, HASH_SIZE) != 0) {
		t->open = false;
		return PROV_ERR_BAD_HASH;
	}
	return PROV_OK;
}

static int commit(struct prov *prov)
{
	struct transfer *t = &prov->transfer;
	int err = check_hash(t);

	if (err != PROV_OK) {
		return err;
	}
	if (prov_store_sealed(&prov->store)) {
		return prov_store_commit(&prov->store, t->slot, t->der, t->total); /* the stored object again, or sealed: no certificate has to be parsed */
	}
	err = prov_certificate_check(&prov->store, &prov->identity, t->slot, t->der, t->total);
	return err == PROV_OK ? prov_store_commit(&prov->store, t->slot, t->der, t->total) : err;
}
#endif

/* Reads the request of the first `count` fields. */
static int read_piece(const uint8_t *in, size_t len, struct cbor_field f[WRITE_FIELDS], size_t count)
{
	int err = prov_cbor_read_map(in, len, f, count);

	if (err != PROV_OK) {
		return err;
	}
	if (!f[O].present || !f[D].present || (f[O].as.number != 0 && (f[L].present || f[H].present))) {
		return PROV_ERR_BAD_MAP;
	}
	return PROV_OK;
}

/* Takes a piece. *whole: it is the last one, and all of them are there. */
static int take_piece(struct prov *prov, const struct cbor_field *f, bool *whole)
{
	int err = f[O].as.number == 0 ? begin_transfer(prov, f) : PROV_OK;

	if (err == PROV_OK) {
		err = add_piece(&prov->transfer, f);
	}
	*whole = f[C].present;
	return err == PROV_OK && *whole && prov->transfer.received != prov->transfer.total ? PROV_ERR_OUT_OF_ORDER : err;
}

static void answer(const struct prov *prov, struct cbor_writer *w)
{
	prov_cbor_put_map(w, 1);
	prov_cbor_put_key(w, "o");
	prov_cbor_put_uint(w, prov->transfer.received);
}

#define FIELDS(most)                                                                                                   \
	{                                                                                                              \
		[O] = { .key = "o", .type = CBOR_UINT, .max = (most) }, [L] = { .key = "l", .type = CBOR_UINT, .max = UINT32_MAX }, \
		[D] = { .key = "d", .type = CBOR_BSTR, .max = PROV_BUF_SIZE }, [C] = { .key = "c", .type = CBOR_TRUE },        \
		[S] = { .key = "s", .type = CBOR_UINT, .max = UINT32_MAX, .as.number = SLOT_COUNT },                     \
		[H] = { .key = "h", .type = CBOR_BSTR, .max = HASH_SIZE },                                                \
	}

#if PROV_PROVISIONING
int prov_transfer_write(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w)
{
	struct cbor_field f[WRITE_FIELDS] = FIELDS(SLOT_SIZE);
	bool whole = false;
	int err = read_piece(in, len, f, WRITE_FIELDS);

	if (err == PROV_OK && f[S].as.number >= SLOT_COUNT) {
		err = f[S].present ? PROV_ERR_BAD_SLOT : PROV_ERR_BAD_MAP;
	}
	if (err == PROV_OK) {
		err = take_piece(prov, f, &whole);
	}
	if (err == PROV_OK && whole) {
		err = commit(prov);
	}
	if (err == PROV_OK) {
		answer(prov, w);
	}
	return err;
}
#endif

#if PROV_UPDATE
int prov_transfer_update(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w)
{
	struct cbor_field f[WRITE_FIELDS] = FIELDS(UPDATE_SIZE);
	struct transfer *t = &prov->transfer;
	const bool again = t->applied && prov->smp.again; /* the UART delivered the last piece twice */
	bool whole = false;
	int err = read_piece(in, len, f, UPDATE_FIELDS);

	if (err == PROV_OK && !again) {
		err = take_piece(prov, f, &whole);
	}
	if (err == PROV_OK && whole) {
		err = prov_update_apply(prov, t->der, t->total);
		t->applied = err == PROV_OK;
	}
	if (err == PROV_OK) {
		answer(prov, w);
	}
	return err;
}
#endif

#endif
