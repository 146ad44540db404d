/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS#10 (RFC 2986) with the station's nonce: PROTOCOL.md section 4, "csr". */
#include "core.h"

#include <stdio.h>
#include <string.h>

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

static void spell_subject(char name[NAME_SIZE], const struct identity *id, const struct cbor_field *o,
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

/* mbedTLS writes at the end of the buffer. */
static int write_der(mbedtls_x509write_csr *csr, uint8_t *out, size_t size, size_t *len)
{
	int n = mbedtls_x509write_csr_der(csr, out, size, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);

	if (n < 0) {
		return PROV_ERR_CRYPTO;
	}
	*len = (size_t)n;
	memmove(out, out + size - *len, *len);
	return PROV_OK;
}

int csr_write(const struct identity *id, enum purpose purpose, const uint8_t nonce[NONCE_SIZE],
	      const struct cbor_field *o, const struct cbor_field *ou, uint8_t *out, size_t size, size_t *len)
{
	mbedtls_x509write_csr csr;
	mbedtls_pk_context key;
	char subject[NAME_SIZE];
	int err;

	mbedtls_x509write_csr_init(&csr);
	mbedtls_pk_init(&key);
	spell_subject(subject, id, o, ou);
	err = mbedtls_pk_setup_opaque(&key, id->keys[purpose].id);
	if (err == 0) {
		mbedtls_x509write_csr_set_key(&csr, &key);
		err = fill(&csr, subject, nonce);
	}
	err = err == 0 ? write_der(&csr, out, size, len) : PROV_ERR_CRYPTO;
	mbedtls_pk_free(&key);
	mbedtls_x509write_csr_free(&csr);
	return err;
}
