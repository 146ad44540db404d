/* SPDX-License-Identifier: Apache-2.0 */
/* Identity ABI version 1 (PROTOCOL.md section 5). Labels, curve and derivation never change. */
#include "core.h"

#include <string.h>

#include <mbedtls/platform_util.h>

#define SCALAR_SIZE 32u

#ifndef PROV_LABEL_SUFFIX
#define PROV_LABEL_SUFFIX "" /* distinguishes emulated boards that share an HUK */
#endif

static const char *const key_labels[PURPOSE_COUNT] = {
	[PURPOSE_TLS] = "HUK_CLIENT_TLS_EC_PRIV_KEY" PROV_LABEL_SUFFIX,
	[PURPOSE_COSE] = "HUK_COSE_EC_PRIV_KEY" PROV_LABEL_SUFFIX,
};
static const char label_id[] = "UUID" PROV_LABEL_SUFFIX;
static const char label_store[] = "HUK_STORE_MAC_KEY" PROV_LABEL_SUFFIX;

static int crypto_error(psa_status_t status)
{
	if (status == PSA_SUCCESS) {
		return PROV_OK;
	}
	return status == PSA_ERROR_INSUFFICIENT_ENTROPY ? PROV_ERR_NO_ENTROPY : PROV_ERR_CRYPTO;
}

/* HKDF-SHA256 of the HUK, without salt, info = label. The caller aborts `op` in every case. */
static psa_status_t derivation(psa_key_derivation_operation_t *op, psa_key_id_t huk, const char *label)
{
	psa_status_t status = psa_key_derivation_setup(op, PSA_ALG_HKDF(PSA_ALG_SHA_256));

	if (status == PSA_SUCCESS) {
		status = psa_key_derivation_input_key(op, PSA_KEY_DERIVATION_INPUT_SECRET, huk);
	}
	if (status == PSA_SUCCESS) {
		status = psa_key_derivation_input_bytes(op, PSA_KEY_DERIVATION_INPUT_INFO, (const uint8_t *)label,
							strlen(label));
	}
	return status;
}

/* Derives a volatile key pair inside PSA. Its usage decides whether the private key can leave PSA. */
static psa_status_t derive_key(psa_key_id_t huk, const char *label, psa_key_usage_t usage, psa_key_id_t *key)
{
	psa_key_derivation_operation_t op = PSA_KEY_DERIVATION_OPERATION_INIT;
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	psa_status_t status = derivation(&op, huk, label);

	psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
	psa_set_key_bits(&attributes, 256);
	psa_set_key_usage_flags(&attributes, usage);
	psa_set_key_algorithm(&attributes, COMPAT_KEY_ALGORITHM);
	if (status == PSA_SUCCESS) {
		status = psa_key_derivation_output_key(&attributes, &op, key);
	}
	(void)psa_key_derivation_abort(&op);
	return status;
}

static psa_status_t derive_board_id(psa_key_id_t huk, uint8_t id[BOARD_ID_SIZE])
{
	psa_key_derivation_operation_t op = PSA_KEY_DERIVATION_OPERATION_INIT;
	psa_status_t status = derivation(&op, huk, label_id);

	if (status == PSA_SUCCESS) {
		status = psa_key_derivation_output_bytes(&op, id, BOARD_ID_SIZE);
	}
	(void)psa_key_derivation_abort(&op);
	id[6] = (uint8_t)((id[6] & 0x0fu) | 0x40u); /* RFC 9562 section 5.4: version 4 */
	id[8] = (uint8_t)((id[8] & 0x3fu) | 0x80u); /* section 4.1: variant */
	return status;
}

/* The text form of RFC 9562 section 4: 8-4-4-4-12 in lower case. */
static void format_uuid(const uint8_t id[BOARD_ID_SIZE], char text[BOARD_ID_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	char *at = text;

	for (size_t i = 0; i < BOARD_ID_SIZE; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10) {
			*at++ = '-';
		}
		*at++ = digits[id[i] >> 4];
		*at++ = digits[id[i] & 0x0fu];
	}
	*at = '\0';
}

static psa_status_t derive_pair(psa_key_id_t huk, const char *label, struct key_pair *pair)
{
	size_t len;
	psa_status_t status = derive_key(huk, label, PSA_KEY_USAGE_SIGN_HASH, &pair->id);

	return status != PSA_SUCCESS
		       ? status
		       : psa_export_public_key(pair->id, pair->public_key, sizeof pair->public_key, &len);
}

/* Not a part of the identity: whoever writes the flash must not be able to make a store that this board accepts. */
static psa_status_t derive_store_key(psa_key_id_t huk, psa_key_id_t *key)
{
	psa_key_derivation_operation_t op = PSA_KEY_DERIVATION_OPERATION_INIT;
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	psa_status_t status = derivation(&op, huk, label_store);

	psa_set_key_type(&attributes, PSA_KEY_TYPE_HMAC);
	psa_set_key_bits(&attributes, 256);
	psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_SIGN_MESSAGE);
	psa_set_key_algorithm(&attributes, PSA_ALG_HMAC(PSA_ALG_SHA_256));
	if (status == PSA_SUCCESS) {
		status = psa_key_derivation_output_key(&attributes, &op, key);
	}
	(void)psa_key_derivation_abort(&op);
	return status;
}

static psa_status_t derive_all(struct identity *id, psa_key_id_t huk)
{
	psa_status_t status = derive_board_id(huk, id->board_id);

	for (unsigned i = 0; status == PSA_SUCCESS && i < PURPOSE_COUNT; i++) {
		status = derive_pair(huk, key_labels[i], &id->keys[i]);
	}
	if (status == PSA_SUCCESS) {
		status = derive_store_key(huk, &id->store_key);
	}
	format_uuid(id->board_id, id->text);
	return status;
}

int prov_identity_derive(struct identity *id, const struct prov_port *port)
{
	uint32_t huk = PSA_KEY_ID_NULL;
	psa_status_t status;
	int err;

	memset(id, 0, sizeof *id); /* all key ids become PSA_KEY_ID_NULL, which is 0 */
	err = port->huk_open(port->ctx, &huk);
	if (err != PROV_OK) {
		return err;
	}
	status = derive_all(id, (psa_key_id_t)huk);
	port->huk_close(port->ctx, huk);
	if (status != PSA_SUCCESS) {
		prov_identity_free(id);
	}
	return crypto_error(status);
}

void prov_identity_free(struct identity *id)
{
	for (unsigned i = 0; i < PURPOSE_COUNT; i++) {
		(void)psa_destroy_key(id->keys[i].id); /* a null or volatile key: this always succeeds */
	}
	(void)psa_destroy_key(id->store_key);
	mbedtls_platform_zeroize(id, sizeof *id);
}

#if defined(PROV_RAW_KEY)
/* The parts of an ECPrivateKey around scalar and point of P-256 (RFC 5915 section 3). */
static const uint8_t before_scalar[] = { 0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20 };
static const uint8_t before_point[] = { 0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
					0x01, 0x07, 0xa1, 0x44, 0x03, 0x42, 0x00 };
#define AT_SCALAR sizeof before_scalar
#define AT_REST (AT_SCALAR + SCALAR_SIZE)
#define AT_POINT (AT_REST + sizeof before_point)
_Static_assert(AT_POINT + P256_POINT_SIZE == RAW_KEY_SIZE, "RAW_KEY_SIZE");

/* Derives the TLS key again, into a key that may be exported and that exists only during this call. */
static psa_status_t export_scalar(psa_key_id_t huk, uint8_t scalar[SCALAR_SIZE])
{
	psa_key_id_t key = PSA_KEY_ID_NULL;
	size_t len;
	psa_status_t status = derive_key(huk, key_labels[PURPOSE_TLS], PSA_KEY_USAGE_EXPORT, &key);

	if (status == PSA_SUCCESS) {
		status = psa_export_key(key, scalar, SCALAR_SIZE, &len);
	}
	(void)psa_destroy_key(key);
	return status;
}

int prov_identity_raw_key(const struct identity *id, const struct prov_port *port, uint8_t der[RAW_KEY_SIZE], size_t *len)
{
	uint32_t huk = PSA_KEY_ID_NULL;
	psa_status_t status;
	int err = port->huk_open(port->ctx, &huk);

	if (err != PROV_OK) {
		return err;
	}
	status = export_scalar((psa_key_id_t)huk, der + AT_SCALAR);
	port->huk_close(port->ctx, huk);
	if (status != PSA_SUCCESS) {
		return crypto_error(status);
	}
	memcpy(der, before_scalar, sizeof before_scalar);
	memcpy(der + AT_REST, before_point, sizeof before_point);
	memcpy(der + AT_POINT, id->keys[PURPOSE_TLS].public_key, P256_POINT_SIZE);
	*len = RAW_KEY_SIZE;
	return PROV_OK;
}
#endif
