/* SPDX-License-Identifier: Apache-2.0 */
#include "ca.h"

#include <string.h>

#include "test.h"

#define ROOT "O=Test,CN=Root"
#define ISSUING "O=Test,CN=Issuing"

psa_key_id_t ca_key(void)
{
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	psa_key_id_t id = PSA_KEY_ID_NULL;

	psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
	psa_set_key_bits(&attributes, 256);
	psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_SIGN_HASH);
	psa_set_key_algorithm(&attributes, PSA_ALG_ECDSA(PSA_ALG_ANY_HASH));
	CHECK(psa_generate_key(&attributes, &id) == PSA_SUCCESS, "generating a key");
	return id;
}

static int describe(mbedtls_x509write_cert *crt, const struct issue *issue)
{
	static const uint8_t padding[CERTIFICATE_MAX];
	static unsigned char serial[] = { 0x10, 0x01 };
	int err = mbedtls_x509write_crt_set_subject_name(crt, issue->subject);

	serial[1]++;
	err = err != 0 ? err : mbedtls_x509write_crt_set_issuer_name(crt, issue->issuer);
	err = err != 0 ? err : mbedtls_x509write_crt_set_serial_raw(crt, serial, sizeof serial);
	err = err != 0 ? err : mbedtls_x509write_crt_set_validity(crt, "20260101000000", "20560101000000");
	err = err != 0 ? err : mbedtls_x509write_crt_set_basic_constraints(crt, issue->is_ca, issue->path_length);
	if (err == 0 && issue->key_usage != 0) {
		err = mbedtls_x509write_crt_set_key_usage(crt, issue->key_usage);
	}
	if (err == 0 && issue->padding > 0) {
		err = mbedtls_x509write_crt_set_extension(crt, "\x2a\x03\x04", 3, 0, padding, issue->padding);
	}
	return err;
}

struct certificate ca_issue(const struct issue *issue)
{
	struct certificate c = { .len = 0 };
	mbedtls_x509write_cert crt;
	mbedtls_pk_context issuer, subject;

	mbedtls_x509write_crt_init(&crt);
	mbedtls_pk_init(&issuer);
	mbedtls_pk_init(&subject);
	int err = mbedtls_pk_setup_opaque(&issuer, issue->issuer_key);
	err = err != 0 ? err : mbedtls_pk_copy_public_from_psa(issue->subject_key, &subject);
	mbedtls_x509write_crt_set_md_alg(&crt, issue->sha512 ? MBEDTLS_MD_SHA512 : MBEDTLS_MD_SHA256);
	mbedtls_x509write_crt_set_issuer_key(&crt, &issuer);
	mbedtls_x509write_crt_set_subject_key(&crt, &subject);
	err = err != 0 ? err : describe(&crt, issue);
	int n = err != 0 ? err : mbedtls_x509write_crt_der(&crt, c.der, sizeof c.der, mbedtls_psa_get_random,
							   MBEDTLS_PSA_RANDOM_STATE);
	if (CHECK(n > 0, "issuing %s: -0x%x", issue->subject, (unsigned)-n)) {
		c.len = (size_t)n;
		memmove(c.der, c.der + sizeof c.der - c.len, c.len);
	}
	mbedtls_x509write_crt_free(&crt);
	mbedtls_pk_free(&issuer);
	mbedtls_pk_free(&subject);
	return c;
}

struct issue issue_root(psa_key_id_t root)
{
	return (struct issue){ .issuer = ROOT, .subject = ROOT, .issuer_key = root, .subject_key = root, .is_ca = true,
			       .path_length = -1, .key_usage = MBEDTLS_X509_KU_KEY_CERT_SIGN };
}

struct issue issue_issuing(psa_key_id_t root, psa_key_id_t issuing)
{
	return (struct issue){ .issuer = ROOT, .subject = ISSUING, .issuer_key = root, .subject_key = issuing,
			       .is_ca = true, .path_length = 0, .key_usage = MBEDTLS_X509_KU_KEY_CERT_SIGN };
}

struct issue issue_leaf(psa_key_id_t issuing, psa_key_id_t board)
{
	return (struct issue){ .issuer = ISSUING, .subject = "CN=board", .issuer_key = issuing, .subject_key = board,
			       .path_length = -1, .key_usage = MBEDTLS_X509_KU_DIGITAL_SIGNATURE };
}

struct hierarchy ca_hierarchy(const struct board *b)
{
	static struct hierarchy h;
	psa_key_id_t root = ca_key(), issuing = ca_key();
	struct issue r = issue_root(root), i = issue_issuing(root, issuing),
		     l = issue_leaf(issuing, b->prov.identity.keys[PURPOSE_TLS].id),
		     c = issue_leaf(issuing, b->prov.identity.keys[PURPOSE_COSE].id);

	h.root_key = root;
	h.issuing_key = issuing;
	h.root = ca_issue(&r);
	h.issuing = ca_issue(&i);
	h.leaf = ca_issue(&l);
	h.cose = ca_issue(&c);
	return h;
}
