/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS#10 (RFC 2986) with the station's nonce (PROTOCOL.md section 4, "csr"). */
#include "core.h"

#include <stdio.h>
#include <string.h>

#include <mbedtls/asn1.h>
#include <mbedtls/x509_csr.h>

/* DER contents of OID 2.25.164987444589834856896386638716508157939. */
static const char nonce_oid[] = "\x69\x81\xf8\x9f\xb6\xc3\xc7\xa5\x92\xbc\x97\x9d\xb0\xd4\xd4\xcc\xc7\x86\xef\x73";

/* "O=" + text + ",CN=" + BoardID + ",OU=" + text + NUL */
#define NAME_SIZE (2u + SUBJECT_MAX + 4u + BOARD_ID_TEXT + 4u + SUBJECT_MAX + 1u)

static size_t append(char *name, size_t at, const char *text, size_t len)
{
	memcpy(name + at, text, len);
	return at + len;
}

static void format_subject(char name[NAME_SIZE], const struct identity *id, const struct cbor_field *o,
			   const struct cbor_field *ou)
{
	size_t at = 0;

	if (o->as.string.len > 0) {
		at = append(name, at, "O=", 2);
		at = append(name, at, (const char *)o->as.string.octets, o->as.string.len);
		at = append(name, at, ",", 1);
	}
	at = append(name, at, "CN=", 3);
	at = append(name, at, id->text, BOARD_ID_TEXT - 1u);
	if (ou->as.string.len > 0) {
		at = append(name, at, ",OU=", 4);
		at = append(name, at, (const char *)ou->as.string.octets, ou->as.string.len);
	}
	name[at] = '\0';
}

static int fill(mbedtls_x509write_csr *csr, const char *subject, const uint8_t nonce[NONCE_SIZE])
{
	uint8_t value[2u + NONCE_SIZE] = { MBEDTLS_ASN1_OCTET_STRING, NONCE_SIZE };
	int err = mbedtls_x509write_csr_set_subject_name(csr, subject);

	memcpy(value + 2, nonce, NONCE_SIZE);
	mbedtls_x509write_csr_set_md_alg(csr, MBEDTLS_MD_SHA256);
	if (err == 0) {
		err = mbedtls_x509write_csr_set_extension(csr, nonce_oid, sizeof nonce_oid - 1u, 0, value, sizeof value);
	}
	return err;
}

/* ecdsa-with-SHA256 with NULL parameters, and without parameters. */
static const uint8_t with_null[] = { 0x30, 0x0c, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02, 0x05, 0x00 };
static const uint8_t without_null[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 };

/*
 * Removes NULL parameters, which mbedTLS before 3.5 writes: RFC 5758 section 3.2
 * allows no parameters. The signature does not cover the algorithm after the signed
 * part, so the CSR stays valid.
 */
int prov_csr_drop_null(uint8_t *der, size_t *len)
{
	uint8_t *at = der, *end = der + *len;
	size_t whole, info;
	const size_t gone = sizeof with_null - sizeof without_null;

	if (mbedtls_asn1_get_tag(&at, end, &whole, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) != 0 ||
	    mbedtls_asn1_get_tag(&at, end, &info, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) != 0) {
		return PROV_ERR_INTERNAL;
	}
	at += info;
	if ((size_t)(end - at) < sizeof with_null || memcmp(at, with_null, sizeof with_null) != 0) {
		return PROV_OK;
	}
	whole -= gone;
	if (der[1] != 0x82 || whole < 0x100) {
		return PROV_ERR_INTERNAL; /* a shorter length has another form, but no CSR with two P-256 numbers and a name is so short */
	}
	der[2] = (uint8_t)(whole >> 8);
	der[3] = (uint8_t)whole;
	memcpy(at, without_null, sizeof without_null);
	memmove(at + sizeof without_null, at + sizeof with_null, (size_t)(end - at) - sizeof with_null);
	*len -= gone;
	return PROV_OK;
}

/* Moves the DER to the start of the buffer, because mbedTLS writes it at the end. */
static int write_der(mbedtls_x509write_csr *csr, uint8_t *out, size_t size, size_t *len)
{
	int n = compat_csr_der(csr, out, size);

	if (n < 0) {
		return PROV_ERR_CRYPTO;
	}
	*len = (size_t)n;
	memmove(out, out + size - *len, *len);
	return prov_csr_drop_null(out, len);
}

int prov_csr_write(const struct identity *id, enum purpose purpose, const uint8_t nonce[NONCE_SIZE],
		   const struct cbor_field *o, const struct cbor_field *ou, uint8_t *out, size_t size, size_t *len)
{
	mbedtls_x509write_csr csr;
	mbedtls_pk_context key;
	char subject[NAME_SIZE];
	int err;

	mbedtls_x509write_csr_init(&csr);
	mbedtls_pk_init(&key);
	format_subject(subject, id, o, ou);
	err = compat_pk_in_psa(&key, id->keys[purpose].id);
	if (err == 0) {
		mbedtls_x509write_csr_set_key(&csr, &key);
		err = fill(&csr, subject, nonce);
	}
	err = err == 0 ? write_der(&csr, out, size, len) : PROV_ERR_CRYPTO;
	mbedtls_pk_free(&key);
	mbedtls_x509write_csr_free(&csr);
	return err;
}
