/* SPDX-License-Identifier: Apache-2.0 */
#include "requests.h"

#include <string.h>

const uint8_t test_nonce[NONCE_SIZE] = "sixteen octets..";

static uint8_t body[PROV_BUF_SIZE];

static struct cbor_writer begin(uint32_t pairs)
{
	struct cbor_writer w = { body, sizeof body, 0, false };

	prov_cbor_put_map(&w, pairs);
	return w;
}

static void put_number(struct cbor_writer *w, const char *key, size_t value)
{
	prov_cbor_put_key(w, key);
	prov_cbor_put_uint(w, (uint32_t)value);
}

static void put_octets(struct cbor_writer *w, const char *key, const uint8_t *octets, size_t len)
{
	prov_cbor_put_key(w, key);
	prov_cbor_put_bstr(w, octets, len);
}

static void put_text(struct cbor_writer *w, const char *key, const char *text)
{
	prov_cbor_put_key(w, key);
	prov_cbor_put_text(w, text, strlen(text));
}

static void put_true(struct cbor_writer *w, const char *key)
{
	prov_cbor_put_key(w, key);
	prov_cbor_put_bool(w, true);
}

int ask_write(struct board *b, const struct write_request *r)
{
	bool first = r->offset == 0;
	bool has_hash = first && r->whole != NULL;
	struct cbor_writer w = begin(3u + (first ? 1u : 0u) + (has_hash ? 1u : 0u) + (r->commit ? 1u : 0u));
	uint8_t hash[HASH_SIZE];
	size_t len;

	put_number(&w, "s", r->slot);
	put_number(&w, "o", r->offset);
	if (first) {
		put_number(&w, "l", r->total);
	}
	if (has_hash) {
		(void)psa_hash_compute(PSA_ALG_SHA_256, r->whole, r->total, hash, sizeof hash, &len);
		hash[0] = (uint8_t)(hash[0] ^ (r->wrong_hash ? 1 : 0));
		put_octets(&w, "h", hash, sizeof hash);
	}
	put_octets(&w, "d", r->data, r->len);
	if (r->commit) {
		put_true(&w, "c");
	}
	return board_ask(b, WRITE, true, &w);
}

int ask_update(struct board *b, size_t offset, size_t total, const uint8_t *data, size_t len, bool commit)
{
	struct cbor_writer w = begin(2u + (offset == 0 ? 1u : 0u) + (commit ? 1u : 0u));

	put_number(&w, "o", offset);
	if (offset == 0) {
		put_number(&w, "l", total);
	}
	put_octets(&w, "d", data, len);
	if (commit) {
		put_true(&w, "c");
	}
	return board_ask(b, UPDATE, true, &w);
}

int ask_read(struct board *b, unsigned slot, unsigned offset)
{
	struct cbor_writer w = begin(2);

	put_number(&w, "s", slot);
	put_number(&w, "o", offset);
	return board_ask(b, READ, false, &w);
}

int ask_seal(struct board *b)
{
	struct cbor_writer w = begin(0);

	return board_ask(b, SEAL, true, &w);
}

int ask_hello(struct board *b)
{
	struct cbor_writer w = begin(0);

	return board_ask(b, HELLO, false, &w);
}

static void put_csr(struct cbor_writer *w, const char *o, const char *ou)
{
	put_octets(w, "n", test_nonce, sizeof test_nonce);
	put_text(w, "o", o);
	put_text(w, "ou", ou);
}

int ask_csr(struct board *b, const char *o, const char *ou)
{
	struct cbor_writer w = begin(3);

	put_csr(&w, o, ou);
	return board_ask(b, CSR, false, &w);
}

int ask_csr_for(struct board *b, uint32_t purpose, const char *o, const char *ou)
{
	struct cbor_writer w = begin(4);

	put_csr(&w, o, ou);
	put_number(&w, "p", purpose);
	return board_ask(b, CSR, false, &w);
}

int ask_tls(struct board *b, uint32_t q, const char *server_name, const uint8_t *in, size_t in_len)
{
	struct cbor_writer w = begin(1u + (server_name != NULL ? 1u : 0u) + (in != NULL ? 1u : 0u));

	put_number(&w, "q", q);
	if (server_name != NULL) {
		put_text(&w, "sn", server_name);
	}
	if (in != NULL) {
		put_octets(&w, "i", in, in_len);
	}
	return board_ask(b, TLS, true, &w);
}

int ask_tls_close(struct board *b, uint32_t q)
{
	struct cbor_writer w = begin(2);

	put_number(&w, "q", q);
	put_true(&w, "x");
	return board_ask(b, TLS, true, &w);
}

int ask_net(struct board *b, const char *address, uint32_t port, const char *server_name)
{
	struct cbor_writer w = begin(5);

	put_number(&w, "q", 0);
	put_text(&w, "a", address);
	put_number(&w, "p", port);
	put_true(&w, "ch");
	put_text(&w, "sn", server_name);
	return board_ask(b, NET, true, &w);
}

int ask_net_again(struct board *b, uint32_t q)
{
	struct cbor_writer w = begin(1);

	put_number(&w, "q", q);
	return board_ask(b, NET, true, &w);
}

int ask_net_close(struct board *b, uint32_t q)
{
	struct cbor_writer w = begin(2);

	put_number(&w, "q", q);
	put_true(&w, "x");
	return board_ask(b, NET, true, &w);
}

int ask_raw(struct board *b, uint8_t command, const void *octets, size_t len)
{
	struct cbor_writer w = { body, sizeof body, len, false };

	if (len > 0) {
		memcpy(body, octets, len);
	}
	return board_ask(b, command, command != HELLO && command != CSR && command != READ, &w);
}

/* A reader for answers. It does not use the core's reader, which takes no negative numbers. */
static uint32_t head(const uint8_t **at)
{
	uint8_t info = *(*at)++ & 0x1fu;
	uint32_t value = info;

	if (info >= 24) {
		value = 0;
		for (unsigned i = 0; i < 1u << (info - 24u); i++) {
			value = value << 8 | *(*at)++;
		}
	}
	return value;
}

/* Returns the value of a key, or NULL. */
static const uint8_t *value_of(const struct board *b, const char *key)
{
	const uint8_t *at = b->answer, *end = b->answer + b->answer_len;
	uint32_t pairs = b->answer_len > 0 ? head(&at) : 0;

	while (pairs-- > 0 && at < end) {
		uint32_t len = head(&at);
		bool found = len == strlen(key) && memcmp(at, key, len) == 0;
		at += len;
		if (found) {
			return at;
		}
		bool string = *at >> 5 == 2 || *at >> 5 == 3;
		len = head(&at);
		at += string ? len : 0;
	}
	return NULL;
}

bool answer_number(const struct board *b, const char *key, int64_t *value)
{
	const uint8_t *at = value_of(b, key);

	if (at == NULL) {
		return false;
	}
	bool negative = *at >> 5 == 1;
	*value = head(&at);
	*value = negative ? -1 - *value : *value;
	return true;
}

bool answer_octets(const struct board *b, const char *key, const uint8_t **octets, size_t *len)
{
	const uint8_t *at = value_of(b, key);

	if (at == NULL) {
		return false;
	}
	*len = head(&at);
	*octets = at;
	return true;
}
