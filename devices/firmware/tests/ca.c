/* SPDX-License-Identifier: Apache-2.0 */
#include "ca.h"

#include <string.h>

#include "requests.h"
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

/* The objects of an update as one map, and the bits of their slots. */
static uint32_t put_objects(const struct update_plan *plan, struct cbor_writer *w)
{
	static const char *const keys[SLOT_COUNT] = { "0", "1", "2", "3" };
	uint32_t slots = 0, pairs = 0;

	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		slots |= plan->objects[slot] != NULL ? 1u << slot : 0u;
		pairs += plan->objects[slot] != NULL ? 1u : 0u;
	}
	prov_cbor_put_map(w, pairs);
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		if (plan->objects[slot] != NULL) {
			prov_cbor_put_key(w, keys[slot]);
			prov_cbor_put_bstr(w, plan->objects[slot]->der, plan->objects[slot]->len);
		}
	}
	return slots;
}

static void put_manifest(const struct update_plan *plan, uint32_t slots, const uint8_t hash[HASH_SIZE], struct cbor_writer *w)
{
	const char *type = plan->type != NULL ? plan->type : "hallmark update 1";

	prov_cbor_put_map(w, 5);
	prov_cbor_put_key(w, "h");
	prov_cbor_put_bstr(w, hash, HASH_SIZE);
	prov_cbor_put_key(w, "n");
	prov_cbor_put_uint(w, plan->counter);
	prov_cbor_put_key(w, "s");
	prov_cbor_put_uint(w, slots ^ plan->other_slots);
	prov_cbor_put_key(w, "t");
	prov_cbor_put_text(w, type, strlen(type));
	prov_cbor_put_key(w, "id");
	prov_cbor_put_bstr(w, plan->board_id, BOARD_ID_SIZE);
}

struct update ca_update(const struct update_plan *plan)
{
	static uint8_t octets[5000];
	uint8_t manifest[128], hash[HASH_SIZE], signature[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
	struct cbor_writer d = { octets, sizeof octets, 0, false }, m = { manifest, sizeof manifest, 0, false };
	mbedtls_pk_context key;
	struct update u = { .len = 0 };
	uint32_t slots = put_objects(plan, &d);
	size_t len, signature_len = 0;

	(void)psa_hash_compute(PSA_ALG_SHA_256, d.buf, d.len, hash, sizeof hash, &len);
	hash[31] ^= plan->other_hash ? 1u : 0u;
	put_manifest(plan, slots, hash, &m);
	(void)psa_hash_compute(PSA_ALG_SHA_256, m.buf, m.len, hash, sizeof hash, &len);
	mbedtls_pk_init(&key);
	CHECK(mbedtls_pk_setup_opaque(&key, plan->key) == 0 &&
		      mbedtls_pk_sign(&key, MBEDTLS_MD_SHA256, hash, len, signature, sizeof signature, &signature_len,
				      mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE) == 0,
	      "signing an update");
	mbedtls_pk_free(&key);
	struct cbor_writer w = { u.octets, sizeof u.octets, 0, false };
	prov_cbor_put_map(&w, 3);
	prov_cbor_put_key(&w, "d");
	prov_cbor_put_bstr(&w, d.buf, d.len);
	prov_cbor_put_key(&w, "m");
	prov_cbor_put_bstr(&w, m.buf, m.len);
	prov_cbor_put_key(&w, "s");
	prov_cbor_put_bstr(&w, signature, signature_len);
	CHECK(!d.overflow && !m.overflow && !w.overflow, "an update that is too large for the test");
	u.len = w.len;
	return u;
}

int board_update(struct board *b, const struct update *u, size_t piece)
{
	int err = PROV_OK;

	for (size_t at = 0; err == PROV_OK && (at == 0 || at < u->len); at += piece) {
		size_t n = u->len - at < piece ? u->len - at : piece;
		err = ask_update(b, at, u->len, u->octets + at, n, at + n == u->len);
	}
	return err;
}
