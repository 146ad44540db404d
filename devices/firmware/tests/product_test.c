/* SPDX-License-Identifier: Apache-2.0 */
/* A product's use of its identity: prov_key and prov_certificate. */
#include "ca.h"
#include "requests.h"
#include "test.h"

#include <string.h>

static struct board board;

static const struct {
	unsigned purpose, slot;
} rows[] = { { PROV_PURPOSE_TLS, SLOT_CERTIFICATE }, { PROV_PURPOSE_COSE, SLOT_COSE } };

static struct hierarchy enrolled(void)
{
	board_make(&board);
	CHECK(board_start(&board) == PROV_OK, "starting");
	struct hierarchy h = ca_hierarchy(&board);
	CHECK(board_write(&board, SLOT_ANCHOR, h.root.der, h.root.len, 500) == PROV_OK &&
		      board_write(&board, SLOT_CHAIN, h.issuing.der, h.issuing.len, 500) == PROV_OK &&
		      board_write(&board, SLOT_CERTIFICATE, h.leaf.der, h.leaf.len, 500) == PROV_OK &&
		      board_write(&board, SLOT_COSE, h.cose.der, h.cose.len, 500) == PROV_OK,
	      "enrolling");
	return h;
}

/* The certificate that the product reads verifies a signature of its key, and none of the other key. */
static void a_product_signs_and_shows_its_certificate(void)
{
	uint8_t der[SLOT_SIZE], hash[HASH_SIZE] = { 1, 2, 3 }, signature[64];
	size_t len, signature_len;

	(void)enrolled();
	CHECK(board_start(&board) == PROV_OK, "starting again");
	for (unsigned signer = 0; signer < 2; signer++) {
		uint32_t key = 0;
		CHECK(prov_key(&board.prov, rows[signer].purpose, &key) == PROV_OK &&
			      psa_sign_hash(key, prov_key_algorithm(), hash, sizeof hash, signature, sizeof signature,
					    &signature_len) == PSA_SUCCESS,
		      "signing for purpose %u", rows[signer].purpose);
		for (unsigned shown = 0; shown < 2; shown++) {
			mbedtls_x509_crt crt;
			psa_key_id_t public_key = PSA_KEY_ID_NULL;
			psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
			mbedtls_x509_crt_init(&crt);
			CHECK(prov_certificate(&board.prov, rows[shown].purpose, der, sizeof der, &len) == PROV_OK &&
				      mbedtls_x509_crt_parse_der(&crt, der, len) == 0,
			      "the certificate for purpose %u", rows[shown].purpose);
			psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1));
			psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_VERIFY_HASH);
			psa_set_key_algorithm(&attributes, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
			CHECK(psa_import_key(&attributes, crt.pk_raw.p + crt.pk_raw.len - P256_POINT_SIZE, P256_POINT_SIZE, &public_key) ==
				      PSA_SUCCESS, "the certificate's key");
			psa_status_t status = psa_verify_hash(public_key, PSA_ALG_ECDSA(PSA_ALG_SHA_256), hash, sizeof hash, signature,
							      signature_len);
			CHECK(status == (signer == shown ? PSA_SUCCESS : PSA_ERROR_INVALID_SIGNATURE), "%u signs, %u is shown: %d",
			      signer, shown, (int)status);
			(void)psa_destroy_key(public_key);
			mbedtls_x509_crt_free(&crt);
		}
	}
}

static void the_keys_sign_deterministically_and_in_no_other_way(void)
{
	uint8_t hash[HASH_SIZE] = { 1, 2, 3 }, first[64], second[64], csr[SLOT_SIZE];
	const uint8_t *der;
	size_t len, csr_len;

	(void)enrolled();
	CHECK(PSA_ALG_IS_DETERMINISTIC_ECDSA(prov_key_algorithm()), "algorithm %08x", (unsigned)prov_key_algorithm());
	for (unsigned purpose = 0; purpose < PURPOSE_COUNT; purpose++) {
		uint32_t key = 0;
		CHECK(prov_key(&board.prov, purpose, &key) == PROV_OK &&
			      psa_sign_hash(key, prov_key_algorithm(), hash, sizeof hash, first, sizeof first, &len) == PSA_SUCCESS &&
			      psa_sign_hash(key, prov_key_algorithm(), hash, sizeof hash, second, sizeof second, &len) == PSA_SUCCESS &&
			      memcmp(first, second, len) == 0,
		      "two signatures over one hash, purpose %u", purpose);
		CHECK(psa_sign_hash(key, PSA_ALG_ECDSA(PSA_ALG_SHA_256), hash, sizeof hash, first, sizeof first, &len) ==
			      PSA_ERROR_NOT_PERMITTED, "a random signature, purpose %u", purpose);
		CHECK(ask_csr_for(&board, purpose, "o", "ou") == PROV_OK && answer_octets(&board, "csr", &der, &csr_len) &&
			      csr_len <= sizeof csr, "a CSR");
		memcpy(csr, der, csr_len);
		CHECK(ask_csr_for(&board, purpose, "o", "ou") == PROV_OK && answer_octets(&board, "csr", &der, &len) && len == csr_len &&
			      memcmp(csr, der, len) == 0, "two CSRs for one nonce differ, purpose %u", purpose);
	}
}

/* RFC 6979 appendix A.2.5: P-256, SHA-256, the message "sample". */
static void mbedtls_signs_as_rfc_6979_says(void)
{
	static const uint8_t scalar[] = "\xc9\xaf\xa9\xd8\x45\xba\x75\x16\x6b\x5c\x21\x57\x67\xb1\xd6\x93"
					"\x4e\x50\xc3\xdb\x36\xe8\x9b\x12\x7b\x8a\x62\x2b\x12\x0f\x67\x21";
	static const uint8_t want[] = "\xef\xd4\x8b\x2a\xac\xb6\xa8\xfd\x11\x40\xdd\x9c\xd4\x5e\x81\xd6"
				      "\x9d\x2c\x87\x7b\x56\xaa\xf9\x91\xc3\x4d\x0e\xa8\x4e\xaf\x37\x16"
				      "\xf7\xcb\x1c\x94\x2d\x65\x7c\x41\xd4\x36\xc7\xa1\xb6\xe2\x9f\x65"
				      "\xf3\xe9\x00\xdb\xb9\xaf\xf4\x06\x4d\xc4\xab\x2f\x84\x3a\xcd\xa8";
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	psa_key_id_t key = PSA_KEY_ID_NULL;
	uint8_t hash[HASH_SIZE], signature[64];
	size_t len;

	board_make(&board);
	CHECK(board_start(&board) == PROV_OK, "starting");
	psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
	psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_SIGN_HASH);
	psa_set_key_algorithm(&attributes, prov_key_algorithm());
	CHECK(psa_import_key(&attributes, scalar, 32, &key) == PSA_SUCCESS &&
		      psa_hash_compute(PSA_ALG_SHA_256, (const uint8_t *)"sample", 6, hash, sizeof hash, &len) == PSA_SUCCESS &&
		      psa_sign_hash(key, prov_key_algorithm(), hash, sizeof hash, signature, sizeof signature, &len) == PSA_SUCCESS &&
		      len == 64 && memcmp(signature, want, 64) == 0,
	      "another signature");
	(void)psa_destroy_key(key);
}

static void what_is_not_there_is_named(void)
{
	uint8_t der[SLOT_SIZE];
	uint32_t key;
	size_t len;

	struct hierarchy h = enrolled();
	CHECK(prov_key(&board.prov, PURPOSE_COUNT, &key) == PROV_ERR_BAD_SLOT &&
		      prov_certificate(&board.prov, PURPOSE_COUNT, der, sizeof der, &len) == PROV_ERR_BAD_SLOT,
	      "a purpose that is not there");
	CHECK(prov_certificate(&board.prov, PROV_PURPOSE_COSE, der, h.cose.len - 1u, &len) == PROV_ERR_TOO_LONG && len == h.cose.len,
	      "a buffer that is too small");
	CHECK(prov_certificate(&board.prov, PROV_PURPOSE_COSE, der, h.cose.len, &len) == PROV_OK &&
		      memcmp(der, h.cose.der, len) == 0, "a buffer that fits");
	board.fail_at = board.calls + 1u;
	CHECK(prov_certificate(&board.prov, PROV_PURPOSE_TLS, der, sizeof der, &len) == PROV_ERR_STORE_IO, "flash that does not read");
	memset(board.flash, 0x5a, sizeof board.flash);
	CHECK(board_start(&board) == PROV_OK && prov_certificate(&board.prov, PROV_PURPOSE_TLS, der, sizeof der, &len) == PROV_ERR_STORE_IO,
	      "a store that is lost");
	memset(board.flash, 0xff, sizeof board.flash);
	CHECK(board_start(&board) == PROV_OK && prov_certificate(&board.prov, PROV_PURPOSE_COSE, der, sizeof der, &len) == PROV_ERR_EMPTY,
	      "no certificate");
	board.huk_missing = true;
	CHECK(board_start(&board) == PROV_ERR_NO_HUK && prov_key(&board.prov, PROV_PURPOSE_COSE, &key) == PROV_ERR_NO_HUK &&
		      prov_certificate(&board.prov, PROV_PURPOSE_COSE, der, sizeof der, &len) == PROV_ERR_NO_HUK,
	      "no identity");
	board_stop(&board);
}

const struct test product_tests[] = {
	{ "a product signs with each key and shows its certificate", a_product_signs_and_shows_its_certificate },
	{ "the keys sign deterministically, and in no other way", the_keys_sign_deterministically_and_in_no_other_way },
	{ "mbedTLS signs as RFC 6979 says", mbedtls_signs_as_rfc_6979_says },
	{ "what is not there is refused by name", what_is_not_there_is_named },
	{ 0 },
};
