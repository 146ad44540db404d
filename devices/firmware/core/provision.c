/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands that change a board: csr, write and seal (PROTOCOL.md section 4). A
 * product's image (PROV_PROVISIONING 0) is built without this file's code.
 */
#include "core.h"

#include <string.h>

#if PROV_PROVISIONING

/* Printable ASCII without the special characters of RFC 4514, so that no text can add another attribute to the name. */
static bool plain(const struct cbor_field *f)
{
	for (size_t i = 0; i < f->as.string.len; i++) {
		uint8_t c = f->as.string.octets[i];
		if (c < 0x20 || c > 0x7e || strchr(",+\"\\<>;=#", c) != NULL) {
			return false;
		}
	}
	return true;
}

int prov_provision_csr(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w)
{
	uint8_t der[SLOT_SIZE];
	size_t der_len;
	struct cbor_field f[] = {
		{ .key = "n", .type = CBOR_BSTR, .max = NONCE_SIZE },
		{ .key = "o", .type = CBOR_TSTR, .max = SUBJECT_MAX },
		{ .key = "ou", .type = CBOR_TSTR, .max = SUBJECT_MAX },
		{ .key = "p", .type = CBOR_UINT, .max = UINT32_MAX },
	};
	int err = prov_cbor_read_map(in, len, f, 4);
	uint32_t purpose = f[3].present ? f[3].as.number : PURPOSE_TLS;

	if (err != PROV_OK) {
		return err;
	}
	if (!f[0].present || !f[1].present || !f[2].present || f[0].as.string.len != NONCE_SIZE || !plain(&f[1]) ||
	    !plain(&f[2]) || purpose >= PURPOSE_COUNT) {
		return PROV_ERR_BAD_MAP;
	}
	if (prov->store.damaged) {
		return PROV_ERR_STORE_IO; /* the certificate could not be stored, and the store before may have been sealed */
	}
	err = prov_csr_write(&prov->identity, (enum purpose)purpose, f[0].as.string.octets, &f[1], &f[2], der, sizeof der,
			     &der_len);
	if (err == PROV_OK) {
		prov_cbor_put_map(w, 1);
		prov_cbor_put_key(w, "csr");
		prov_cbor_put_bstr(w, der, der_len);
	}
	return err;
}

enum { S, O, L, H, D, C, WRITE_FIELDS };

static uint8_t *buffer_of(struct prov *prov)
{
#if PROV_HANDSHAKE
	_Static_assert(sizeof prov->tls.credentials >= SLOT_SIZE, "no room for an object");
	return prov->tls.credentials;
#else
	return prov->transfer.octets;
#endif
}

/* Offset 0 always begins anew, also for the object that was written before: the answer is the offset behind this piece, as the station expects. */
static int begin_transfer(struct prov *prov, const struct cbor_field *f)
{
	struct transfer *t = &prov->transfer;
	int err;

	if (!f[L].present || (f[H].present && f[H].as.string.len != HASH_SIZE)) {
		return PROV_ERR_BAD_MAP;
	}
	if (f[L].as.number > SLOT_SIZE) {
		return PROV_ERR_STORE_FULL;
	}
	err = prov_session_end(prov, true);
	if (err != PROV_OK) {
		return err;
	}
	t->der = buffer_of(prov);
	t->open = true;
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
	int err = t->received == t->total ? check_hash(t) : PROV_ERR_OUT_OF_ORDER;

	if (err != PROV_OK) {
		return err;
	}
	if (prov_store_sealed(&prov->store)) {
		return prov_store_commit(&prov->store, t->slot, t->der, t->total); /* the stored object again, or sealed: no certificate has to be parsed */
	}
	err = prov_certificate_check(&prov->store, &prov->identity, t->slot, t->der, t->total);
	return err == PROV_OK ? prov_store_commit(&prov->store, t->slot, t->der, t->total) : err;
}

static int read_write_request(const uint8_t *in, size_t len, struct cbor_field f[WRITE_FIELDS])
{
	int err = prov_cbor_read_map(in, len, f, WRITE_FIELDS);

	if (err != PROV_OK) {
		return err;
	}
	if (!f[S].present || !f[O].present || !f[D].present) {
		return PROV_ERR_BAD_MAP;
	}
	if (f[S].as.number >= SLOT_COUNT) {
		return PROV_ERR_BAD_SLOT;
	}
	if (f[O].as.number != 0 && (f[L].present || f[H].present)) {
		return PROV_ERR_BAD_MAP;
	}
	return PROV_OK;
}

int prov_provision_write(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w)
{
	struct cbor_field f[WRITE_FIELDS] = {
		[S] = { .key = "s", .type = CBOR_UINT, .max = UINT32_MAX },
		[O] = { .key = "o", .type = CBOR_UINT, .max = SLOT_SIZE },
		[L] = { .key = "l", .type = CBOR_UINT, .max = UINT32_MAX },
		[H] = { .key = "h", .type = CBOR_BSTR, .max = HASH_SIZE },
		[D] = { .key = "d", .type = CBOR_BSTR, .max = PROV_BUF_SIZE },
		[C] = { .key = "c", .type = CBOR_TRUE },
	};
	int err = read_write_request(in, len, f);

	if (err == PROV_OK && f[O].as.number == 0) {
		err = begin_transfer(prov, f);
	}
	if (err == PROV_OK) {
		err = add_piece(&prov->transfer, f);
	}
	if (err == PROV_OK && f[C].present) {
		err = commit(prov);
	}
	if (err == PROV_OK) {
		prov_cbor_put_map(w, 1);
		prov_cbor_put_key(w, "o");
		prov_cbor_put_uint(w, prov->transfer.received);
	}
	return err;
}

int prov_provision_seal(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w)
{
	int err = prov_cbor_read_map(in, len, NULL, 0);

	if (err == PROV_OK && !prov->store.damaged && !prov_store_sealed(&prov->store) && prov->store.len[SLOT_CERTIFICATE] == 0) {
		err = PROV_ERR_EMPTY; /* a board that is sealed without a certificate could never get one */
	}
	if (err == PROV_OK) {
		err = prov_store_seal(&prov->store);
	}
	if (err == PROV_OK) {
		prov_cbor_put_map(w, 0);
	}
	return err;
}

#endif
