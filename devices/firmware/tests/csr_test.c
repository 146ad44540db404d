/* SPDX-License-Identifier: Apache-2.0 */
/* The CSR, octet by octet (PROTOCOL.md section 4, "csr"). */
#define _GNU_SOURCE /* memmem */
#include "requests.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static struct board board;

static void start(void)
{
	board_make(&board);
	CHECK(board_start(&board) == PROV_OK, "starting");
}

/* A DER element: its contents and the place of the next element. */
struct der {
	uint8_t tag;
	const uint8_t *at, *next;
	size_t len;
};

static struct der der_read(const uint8_t *at, const uint8_t *end)
{
	struct der d = { 0 };

	if (!CHECK(end - at >= 2, "DER ends early")) {
		return d;
	}
	d.tag = *at++;
	d.len = *at++;
	if (d.len > 0x80) {
		unsigned octets = d.len & 0x7fu;
		for (d.len = 0; octets > 0; octets--) {
			d.len = d.len << 8 | *at++;
		}
	}
	CHECK((size_t)(end - at) >= d.len, "DER is longer than what holds it");
	d.at = at;
	d.next = at + d.len;
	return d;
}

static struct der der_in(struct der outer)
{
	return der_read(outer.at, outer.next);
}

/* Finds the CSR in the last answer. */
static struct der csr_in(int err, const char *o, const char *ou)
{
	const uint8_t *der = NULL;
	size_t len = 0;

	CHECK(err == PROV_OK && answer_octets(&board, "csr", &der, &len), "\"%s\" \"%s\": %d", o, ou, err);
	if (der == NULL) {
		return (struct der){ 0 };
	}
	CHECK(len <= 768, "%u octets", (unsigned)len);
	struct der d = der_read(der, der + len);
	CHECK(d.next == der + len, "octets behind the CSR");
	return d;
}

static struct der csr_of(const char *o, const char *ou)
{
	return csr_in(ask_csr(&board, o, ou), o, ou);
}

/* The subject as text: "last octet of the OID = value" for each attribute, in order. */
static void spell_subject(struct der subject, char *text)
{
	*text = '\0';
	for (const uint8_t *at = subject.at; at < subject.next;) {
		struct der set = der_read(at, subject.next), pair = der_in(set), oid = der_in(pair);
		struct der value = der_read(oid.next, pair.next);
		CHECK(value.tag == 0x0c, "an attribute of type %02x", value.tag);
		CHECK(set.next == pair.next && pair.next == value.next, "more than one attribute in a set");
		CHECK(oid.len == 3 && memcmp(oid.at, "\x55\x04", 2) == 0, "an OID outside 2.5.4");
		if (at != subject.at) {
			*text++ = ';';
		}
		*text++ = (char)('a' + oid.at[2]);
		memcpy(text, value.at, value.len);
		text[value.len] = '\0';
		text += value.len;
		at = set.next;
	}
}

static void check_subject(const char *o, const char *ou, const char *want)
{
	char text[256];
	struct der info = der_in(csr_of(o, ou)), version = der_in(info);

	CHECK(version.tag == 2 && version.len == 1 && *version.at == 0, "not version 1");
	spell_subject(der_read(version.next, info.next), text);
	CHECK(strcmp(text, want) == 0, "subject %s, want %s", text, want);
}

/* 'd': CN (3), 'k': O (10), 'l': OU (11). */
static void the_subject_is_o_cn_ou(void)
{
	char want[256];
	const char *text = "33333333333333333333333333333333"; /* 32 characters */

	start();
	const char *id = board.prov.identity.text;
#define WANT(...) (snprintf(want, sizeof want, __VA_ARGS__), want)
	check_subject("Acme", "Line 4", WANT("kAcme;d%s;lLine 4", id));
	check_subject("", "", WANT("d%s", id));
	check_subject("Acme", "", WANT("kAcme;d%s", id));
	check_subject("", "Line", WANT("d%s;lLine", id));
	check_subject(text, text, WANT("k%s;d%s;l%s", text, id, text));
	check_subject("A/S & Co. (Ltd): 100%", "!$*?@[]^_`{|}~'-", WANT("kA/S & Co. (Ltd): 100%%;d%s;l!$*?@[]^_`{|}~'-", id));
	check_subject(" a ", " b", WANT("k a ;d%s;l b", id));
}

static void subjects_that_could_mean_something_else_are_refused(void)
{
	start();
	for (unsigned c = 0; c < 256; c++) {
		char o[4] = { 'a', (char)c, 'b', 0 };
		bool plain = c >= 0x20 && c <= 0x7e && strchr(",+\"\\<>;=#", (int)c) == NULL;
		int want = plain ? PROV_OK : PROV_ERR_BAD_MAP;
		if (c != 0) {
			CHECK(ask_csr(&board, o, "x") == want, "%02x in o", c);
			CHECK(ask_csr(&board, "x", o) == want, "%02x in ou", c);
		}
	}
	CHECK(ask_raw(&board, CSR, "\xa3\x61n\x50" "0123456789abcdef\x61o\x61\x00\x62ou\x60", 28) == PROV_ERR_BAD_MAP, "NUL");
	CHECK(ask_csr(&board, "333333333333333333333333333333333", "") == PROV_ERR_TOO_LONG, "33 octets");
}

static void the_nonce_is_the_one_extension(void)
{
	static const uint8_t request[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e };
	static const uint8_t nonce[] = { 0x69, 0x81, 0xf8, 0x9f, 0xb6, 0xc3, 0xc7, 0xa5, 0x92, 0xbc, 0x97, 0x9d, 0xb0,
					 0xd4, 0xd4, 0xcc, 0xc7, 0x86, 0xef, 0x73 };

	start();
	struct der info = der_in(csr_of("o", "u")), version = der_in(info), subject = der_read(version.next, info.next),
		   spki = der_read(subject.next, info.next), attributes = der_read(spki.next, info.next),
		   attribute = der_in(attributes), oid = der_in(attribute), set = der_read(oid.next, attribute.next),
		   extensions = der_in(set), extension = der_in(extensions), id = der_in(extension),
		   value = der_read(id.next, extension.next), inner = der_in(value);

	CHECK(attributes.tag == 0xa0 && attributes.next == info.next && attribute.next == attributes.next, "attributes");
	CHECK(oid.len == sizeof request && memcmp(oid.at, request, oid.len) == 0, "not extensionRequest");
	CHECK(set.tag == 0x31 && extensions.next == set.next && extension.next == extensions.next, "not one extension");
	CHECK(id.len == sizeof nonce && memcmp(id.at, nonce, id.len) == 0, "another OID");
	CHECK(value.tag == 4 && value.next == extension.next, "critical, or no OCTET STRING");
	CHECK(inner.tag == 4 && inner.len == NONCE_SIZE && memcmp(inner.at, test_nonce, NONCE_SIZE) == 0, "another nonce");
}

/* The signature is ECDSA with SHA-256, by the key in the CSR, over the signed part of the CSR. */
static void check_signature(struct der csr, enum purpose purpose)
{
	uint8_t hash[HASH_SIZE];
	size_t len;
	struct der info = der_in(csr), algorithm = der_read(info.next, csr.next),
		   bits = der_read(algorithm.next, csr.next), version = der_in(info),
		   subject = der_read(version.next, info.next), spki = der_read(subject.next, info.next);
	mbedtls_pk_context key;

	mbedtls_pk_init(&key);
	CHECK(memcmp(spki.next - P256_POINT_SIZE, board.prov.identity.keys[purpose].public_key, P256_POINT_SIZE) == 0, "another key");
	CHECK(mbedtls_pk_copy_public_from_psa(board.prov.identity.keys[purpose].id, &key) == 0, "the key");
	CHECK(algorithm.len == 10 && memcmp(algorithm.at, "\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02", 10) == 0, "algorithm");
	(void)psa_hash_compute(PSA_ALG_SHA_256, csr.at, (size_t)(info.next - csr.at), hash, sizeof hash, &len);
	CHECK(bits.tag == 3 && mbedtls_pk_verify(&key, MBEDTLS_MD_SHA256, hash, len, bits.at + 1, bits.len - 1u) == 0,
	      "the signature does not verify");
	mbedtls_pk_free(&key);
}

static void the_csr_is_signed_by_the_key_of_its_purpose(void)
{
	start();
	check_signature(csr_of("o", "u"), PURPOSE_TLS); /* without a purpose the key is that of client TLS */
	check_signature(csr_in(ask_csr_for(&board, PURPOSE_TLS, "o", "u"), "o", "u"), PURPOSE_TLS);
	check_signature(csr_in(ask_csr_for(&board, PURPOSE_COSE, "o", "u"), "o", "u"), PURPOSE_COSE);
	CHECK(ask_csr_for(&board, PURPOSE_COUNT, "o", "u") == PROV_ERR_BAD_MAP, "a purpose that is not there");
	CHECK(ask_csr_for(&board, UINT32_MAX, "o", "u") == PROV_ERR_BAD_MAP, "the largest purpose");
	CHECK(ask_raw(&board, CSR, "\xa4\x61n\x50" "0123456789abcdef\x61o\x60\x62ou\x60\x61p\x41\x01", 32) == PROV_ERR_BAD_MAP,
	      "a purpose that is no number");
}

static void what_is_missing_is_bad_map(void)
{
	static const struct {
		const char *name, *body;
		size_t len;
		int want;
	} rows[] = {
		{ "nothing", "\xa0", 1, PROV_ERR_BAD_MAP },
		{ "no n", "\xa2\x61o\x60\x62ou\x60", 8, PROV_ERR_BAD_MAP },
		{ "no o", "\xa2\x61n\x50" "0123456789abcdef\x62ou\x60", 24, PROV_ERR_BAD_MAP },
		{ "no ou", "\xa2\x61n\x50" "0123456789abcdef\x61o\x60", 23, PROV_ERR_BAD_MAP },
		{ "a short nonce", "\xa3\x61n\x4f" "0123456789abcde\x61o\x60\x62ou\x60", 26, PROV_ERR_BAD_MAP },
		{ "a long nonce", "\xa3\x61n\x51" "0123456789abcdefg\x61o\x60\x62ou\x60", 28, PROV_ERR_TOO_LONG },
	};

	start();
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		int err = ask_raw(&board, CSR, rows[i].body, rows[i].len);
		CHECK(err == rows[i].want, "%s: %d, want %d", rows[i].name, err, rows[i].want);
	}
	board_stop(&board);
}

/* A CSR as mbedTLS before 3.5 writes it: NULL after the OID of the signature, and two lengths larger by two. */
static void null_behind_the_signature_algorithm_is_dropped(void)
{
	static const uint8_t algorithm[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 };
	uint8_t der[SLOT_SIZE];
	const uint8_t *good = NULL;
	size_t good_len = 0, len, at;

	start();
	CHECK(ask_csr(&board, "Linaro", "") == PROV_OK && answer_octets(&board, "csr", &good, &good_len), "a CSR");
	const uint8_t *found = memmem(good, good_len, algorithm, sizeof algorithm);
	if (!CHECK(found != NULL && good[1] == 0x82, "the algorithm is not there")) {
		return;
	}
	at = (size_t)(found - good) + sizeof algorithm;
	memcpy(der, good, at);
	memcpy(der + at, "\x05\x00", 2);
	memcpy(der + at + 2, good + at, good_len - at);
	der[3] = (uint8_t)(der[3] + 2);
	der[at - sizeof algorithm + 1] = 0x0c;
	len = good_len + 2;
	CHECK(prov_csr_drop_null(der, &len) == PROV_OK && len == good_len && memcmp(der, good, len) == 0, "NULL is still there");
	CHECK(prov_csr_drop_null(der, &len) == PROV_OK && len == good_len && memcmp(der, good, len) == 0, "without NULL it changes");
	len = 3;
	CHECK(prov_csr_drop_null(der, &len) == PROV_ERR_INTERNAL, "what is no CSR");
	board_stop(&board);
}

const struct test csr_tests[] = {
	{ "the subject is O, CN, OU, and what is empty is left out", the_subject_is_o_cn_ou },
	{ "a subject that could mean something else is refused", subjects_that_could_mean_something_else_are_refused },
	{ "the station's nonce is the one extension", the_nonce_is_the_one_extension },
	{ "the CSR is signed by the key of its purpose", the_csr_is_signed_by_the_key_of_its_purpose },
	{ "what is missing or has another length is refused", what_is_missing_is_bad_map },
	{ "NULL parameters of the signature algorithm are dropped", null_behind_the_signature_algorithm_is_dropped },
	{ 0 },
};
