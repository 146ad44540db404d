/* SPDX-License-Identifier: Apache-2.0 */
/* Decides what may be stored. The check is made at the commit, so that flash holds only checked objects. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS /* mbedTLS 3.6 has no public accessor for the signature of a certificate */
#include "core.h"

#include <string.h>

/* SubjectPublicKeyInfo of an uncompressed P-256 point (RFC 5480 section 2), up to the point. */
static const uint8_t p256_prefix[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
				       0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00 };

/* A lack of memory says nothing about the certificate. Errors have a high-level and a low-level part (mbedtls/error.h). */
static bool out_of_memory(int err)
{
	int low = -(-err & 0x7f), high = -(-err & 0xff80);

	return low == MBEDTLS_ERR_ASN1_ALLOC_FAILED || low == MBEDTLS_ERR_MPI_ALLOC_FAILED ||
	       high == MBEDTLS_ERR_X509_ALLOC_FAILED || high == MBEDTLS_ERR_PK_ALLOC_FAILED ||
	       high == MBEDTLS_ERR_ECP_ALLOC_FAILED;
}

/* Parses exactly one certificate, with no octet after it. The caller frees crt in every case. */
static int parse(mbedtls_x509_crt *crt, const uint8_t *der, size_t len)
{
	int err;

	mbedtls_x509_crt_init(crt);
	err = len > 0 ? mbedtls_x509_crt_parse_der(crt, der, len) : MBEDTLS_ERR_X509_INVALID_FORMAT;
	if (out_of_memory(err)) {
		return PROV_ERR_CRYPTO;
	}
	return err == 0 && crt->raw.len == len ? PROV_OK : PROV_ERR_BAD_CERTIFICATE;
}

static int load(const struct store *s, enum slot slot, mbedtls_x509_crt *crt)
{
	uint8_t der[SLOT_SIZE];
	int err = prov_store_read(s, slot, 0, der, s->len[slot]);

	if (err != PROV_OK) {
		mbedtls_x509_crt_init(crt);
		return err;
	}
	return parse(crt, der, s->len[slot]);
}

static bool may_sign(const mbedtls_x509_crt *ca)
{
	return ca->ca_istrue == 1 && mbedtls_x509_crt_check_key_usage(ca, MBEDTLS_X509_KU_KEY_CERT_SIGN) == 0;
}

static bool same_name(const mbedtls_x509_buf *a, const mbedtls_x509_buf *b)
{
	return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

/* `signature` is an ECDSA-Sig-Value (RFC 3279 section 2.2.3). */
static int verify(mbedtls_x509_crt *ca, const uint8_t *octets, size_t len, const uint8_t *signature, size_t signature_len)
{
	uint8_t hash[HASH_SIZE];
	size_t hash_len;
	int err;

	if (psa_hash_compute(PSA_ALG_SHA_256, octets, len, hash, sizeof hash, &hash_len) != PSA_SUCCESS) {
		return PROV_ERR_CRYPTO;
	}
	err = mbedtls_pk_verify(&ca->pk, MBEDTLS_MD_SHA256, hash, hash_len, signature, signature_len);
	return err == 0 ? PROV_OK : out_of_memory(err) ? PROV_ERR_CRYPTO : PROV_ERR_UNTRUSTED;
}

/* Checks name, right to sign, and signature (RFC 5280 section 6.1.3). It checks no dates, because the board has no clock. */
static int check_signature(const mbedtls_x509_crt *crt, mbedtls_x509_crt *ca)
{
	if (!may_sign(ca) || !same_name(&crt->issuer_raw, &ca->subject_raw) || crt->sig_md != MBEDTLS_MD_SHA256 ||
	    crt->sig_pk != COMPAT_SIGNED_BY_ECDSA) {
		return PROV_ERR_UNTRUSTED;
	}
	return verify(ca, crt->tbs.p, crt->tbs.len, crt->sig.p, crt->sig.len);
}

static bool is_own_key(const mbedtls_x509_crt *crt, const struct key_pair *own)
{
	const mbedtls_x509_buf *spki = &crt->pk_raw;

	return spki->len == sizeof p256_prefix + P256_POINT_SIZE &&
	       memcmp(spki->p, p256_prefix, sizeof p256_prefix) == 0 &&
	       memcmp(spki->p + sizeof p256_prefix, own->public_key, P256_POINT_SIZE) == 0;
}

/* pathLenConstraint (RFC 5280 section 4.2.1.9): 0 allows no CA below. mbedTLS adds 1, so that 0 means "absent". */
static bool may_have_chain(const mbedtls_x509_crt *anchor)
{
	return anchor->max_pathlen != 1;
}

static int signed_by_slot(const struct store *s, enum slot slot, const mbedtls_x509_crt *crt, bool is_chain)
{
	mbedtls_x509_crt ca;
	int err = load(s, slot, &ca);

	if (err == PROV_OK) {
		err = is_chain && !may_have_chain(&ca) ? PROV_ERR_UNTRUSTED : check_signature(crt, &ca);
	}
	mbedtls_x509_crt_free(&ca);
	return err;
}

static int check(const struct store *s, const struct identity *id, enum slot slot, mbedtls_x509_crt *crt)
{
	if (slot == SLOT_ANCHOR) {
		return check_signature(crt, crt);
	}
	if (slot != SLOT_CHAIN && crt->ca_istrue != 0) {
		return PROV_ERR_BAD_CERTIFICATE; /* a board that may sign certificates */
	}
	if (slot != SLOT_CHAIN && !is_own_key(crt, &id->keys[slot == SLOT_COSE ? PURPOSE_COSE : PURPOSE_TLS])) {
		return PROV_ERR_FOREIGN_KEY;
	}
	if (s->len[SLOT_ANCHOR] == 0) {
		return PROV_ERR_NO_ANCHOR;
	}
	if (slot == SLOT_CHAIN) {
		return may_sign(crt) ? signed_by_slot(s, SLOT_ANCHOR, crt, true) : PROV_ERR_UNTRUSTED;
	}
	/* The chain was checked against the anchor when it was stored, and another anchor erases it. */
	return signed_by_slot(s, s->len[SLOT_CHAIN] > 0 ? SLOT_CHAIN : SLOT_ANCHOR, crt, false);
}

int prov_certificate_check(const struct store *s, const struct identity *id, enum slot slot, const uint8_t *der, size_t len)
{
	mbedtls_x509_crt crt;
	int err = parse(&crt, der, len);

	if (err == PROV_OK) {
		err = check(s, id, slot, &crt);
	}
	mbedtls_x509_crt_free(&crt);
	return err;
}

int prov_certificate_signed(const struct store *s, const uint8_t *octets, size_t len, const uint8_t *signature, size_t signature_len)
{
	mbedtls_x509_crt anchor;
	int err = load(s, SLOT_ANCHOR, &anchor);

	if (err == PROV_OK) {
		err = verify(&anchor, octets, len, signature, signature_len);
	}
	mbedtls_x509_crt_free(&anchor);
	return err;
}
