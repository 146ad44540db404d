/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receipt (PROTOCOL.md section 4, "receipt"): a COSE_Sign1 (RFC 9052 section 4.2) of
 * the TLS key over what the board is and holds. The payload is detached: the station knows
 * every value of it, and so the signature alone passes over the UART. Nothing that the
 * station sends is signed but its nonce, in its place.
 */
#include "core.h"

#include <string.h>

#define SIGNATURE_SIZE 64u
#define PAYLOAD_MAX 224u
#define SIGNED_MAX (PAYLOAD_MAX + 24u)

static const uint8_t protected_header[] = { 0xa1, 0x01, 0x26 }; /* { 1: -7 }: ES256 (RFC 9053 section 2.1) */

static void put_hash(struct cbor_writer *w, const char *key, const uint8_t hash[HASH_SIZE])
{
	prov_cbor_put_key(w, key);
	prov_cbor_put_bstr(w, hash, HASH_SIZE);
}

static void put_number(struct cbor_writer *w, const char *key, uint32_t value)
{
	prov_cbor_put_key(w, key);
	prov_cbor_put_uint(w, value);
}

/* Keys in the order of RFC 8949 section 4.2.1. */
static void put_payload(const struct prov *prov, const uint8_t nonce[NONCE_SIZE], const uint8_t anchor[HASH_SIZE],
			const uint8_t certificate[HASH_SIZE], struct cbor_writer *w)
{
	static const char type[] = "hallmark receipt 1";
	const struct prov_facts *facts = &prov->port->facts;

	prov_cbor_put_map(w, prov_has_caller(facts) ? 11u : 10u);
	prov_cbor_put_key(w, "n");
	prov_cbor_put_bstr(w, nonce, NONCE_SIZE);
	prov_cbor_put_key(w, "t");
	prov_cbor_put_text(w, type, sizeof type - 1u);
	put_hash(w, "ah", anchor);
	prov_cbor_put_key(w, "bi");
	prov_cbor_put_bstr(w, prov->boot_id, BOOT_ID_SIZE);
	put_hash(w, "ch", certificate);
	if (prov_has_caller(facts)) {
		prov_cbor_put_key(w, "dc");
		prov_cbor_put_int(w, facts->huk_caller);
	}
	put_hash(w, "fh", facts->firmware_hash);
	put_number(w, "hs", (uint32_t)facts->huk_source);
	prov_cbor_put_key(w, "id");
	prov_cbor_put_bstr(w, prov->identity.board_id, BOARD_ID_SIZE);
	put_number(w, "lc", (uint32_t)prov_life_cycle(&prov->store));
	put_number(w, "lk", (uint32_t)facts->lock);
}

/* Signs the Sig_structure of RFC 9052 section 4.4: ["Signature1", protected header, no external data, payload]. */
static int sign(const struct prov *prov, const struct cbor_writer *payload, uint8_t signature[SIGNATURE_SIZE])
{
	static const char context[] = "Signature1";
	uint8_t octets[SIGNED_MAX], hash[HASH_SIZE];
	struct cbor_writer w = { octets, sizeof octets, 0, false };
	size_t len;

	prov_cbor_put_array(&w, 4);
	prov_cbor_put_text(&w, context, sizeof context - 1u);
	prov_cbor_put_bstr(&w, protected_header, sizeof protected_header);
	prov_cbor_put_bstr(&w, protected_header, 0);
	prov_cbor_put_bstr(&w, payload->buf, payload->len);
	if (payload->overflow || w.overflow) {
		return PROV_ERR_INTERNAL;
	}
	if (psa_hash_compute(PSA_ALG_SHA_256, octets, w.len, hash, sizeof hash, &len) != PSA_SUCCESS ||
	    psa_sign_hash(prov->identity.keys[PURPOSE_TLS].id, COMPAT_KEY_ALGORITHM, hash, sizeof hash, signature,
			  SIGNATURE_SIZE, &len) != PSA_SUCCESS ||
	    len != SIGNATURE_SIZE) {
		return PROV_ERR_CRYPTO;
	}
	return PROV_OK;
}

static int read_request(const uint8_t *in, size_t len, struct cbor_field *nonce)
{
	int err = prov_cbor_read_map(in, len, nonce, 1);

	if (err == PROV_OK && (!nonce->present || nonce->as.string.len != NONCE_SIZE)) {
		err = PROV_ERR_BAD_MAP;
	}
	return err;
}

int prov_receipt_handle(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w)
{
	struct cbor_field nonce = { .key = "n", .type = CBOR_BSTR, .max = NONCE_SIZE };
	uint8_t anchor[HASH_SIZE], certificate[HASH_SIZE], octets[PAYLOAD_MAX], signature[SIGNATURE_SIZE];
	struct cbor_writer payload = { octets, sizeof octets, 0, false };
	int err = read_request(in, len, &nonce);

	if (err == PROV_OK && prov->store.damaged) {
		err = PROV_ERR_STORE_IO;
	}
	if (err == PROV_OK && prov->store.len[SLOT_CERTIFICATE] == 0) {
		err = PROV_ERR_EMPTY;
	}
	if (err == PROV_OK) {
		err = prov_store_hash(&prov->store, SLOT_ANCHOR, anchor);
	}
	if (err == PROV_OK) {
		err = prov_store_hash(&prov->store, SLOT_CERTIFICATE, certificate);
	}
	if (err == PROV_OK) {
		put_payload(prov, nonce.as.string.octets, anchor, certificate, &payload);
		err = sign(prov, &payload, signature);
	}
	if (err == PROV_OK) {
		prov_cbor_put_map(w, prov->port->facts.lock != PROV_LOCK_UNKNOWN ? 2u : 1u);
		prov_cbor_put_key(w, "s");
		prov_cbor_put_bstr(w, signature, sizeof signature);
		if (prov->port->facts.lock != PROV_LOCK_UNKNOWN) {
			put_number(w, "lk", (uint32_t)prov->port->facts.lock);
		}
	}
	return err;
}
