/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands csr and seal (PROTOCOL.md section 4). A
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
