/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TLS client (PROTOCOL.md section 4, "tls"). The station carries the records between
 * client and verifier. The station can drop records, but cannot read them.
 */
#include "core.h"

#if PROV_HANDSHAKE

#include <string.h>

#include <mbedtls/platform_util.h>

#define ANSWER_OVERHEAD 32u /* octets of map, keys, numbers and string heads around `o` and `r` */
#define ANSWER_MIN 160u	    /* a smaller buffer leaves no room for records: a wrong configuration */

static const int suites[] = {
	MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	0,
};
static const uint16_t groups[] = { MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE };
static const uint16_t signatures[] = { MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_NONE };

/* mbedTLS's output: records for the server. */
static int push(void *ctx, const unsigned char *octets, size_t len)
{
	struct tls *tls = ctx;
	size_t room = sizeof tls->out - tls->out_len;

	if (room == 0) {
		tls->blocked = true;
		return MBEDTLS_ERR_SSL_WANT_WRITE;
	}
	if (len > room) {
		len = room;
	}
	memcpy(tls->out + tls->out_len, octets, len);
	tls->out_len += len;
	return (int)len;
}

/* mbedTLS's input: records from the server. */
static int pull(void *ctx, unsigned char *octets, size_t len)
{
	struct tls *tls = ctx;
	size_t left = tls->in_len - tls->in_at;

	if (left == 0) {
		return MBEDTLS_ERR_SSL_WANT_READ;
	}
	if (len > left) {
		len = left;
	}
	memcpy(octets, tls->in + tls->in_at, len);
	tls->in_at += len;
	return (int)len;
}

void prov_tls_release(struct tls *tls)
{
	if (!tls->open) {
		return;
	}
	mbedtls_ssl_free(&tls->ssl);
	mbedtls_ssl_config_free(&tls->config);
	mbedtls_x509_crt_free(&tls->anchor);
	mbedtls_x509_crt_free(&tls->own);
	mbedtls_pk_free(&tls->key);
	mbedtls_platform_zeroize(tls->in, sizeof tls->in);
	tls->in_at = tls->in_len = 0;
	tls->open = tls->blocked = false;
}

void prov_tls_close(struct tls *tls)
{
	prov_tls_release(tls);
	mbedtls_platform_zeroize(tls, sizeof *tls);
}

bool prov_tls_over(const struct tls *tls)
{
	return tls->state != TLS_HANDSHAKING && (tls->state != TLS_ESTABLISHED || tls->app_len > 0);
}

static int load(struct prov *prov, enum slot slot, mbedtls_x509_crt *crt)
{
	uint8_t der[SLOT_SIZE];
	size_t len = prov->store.len[slot];
	int err;

	if (len == 0) {
		return slot == SLOT_ANCHOR ? PROV_ERR_NO_ANCHOR : PROV_ERR_EMPTY;
	}
	err = prov_store_read(&prov->store, slot, 0, der, len);
	if (err == PROV_OK && mbedtls_x509_crt_parse_der(crt, der, len) != 0) {
		err = PROV_ERR_CRYPTO; /* out of memory, because the certificate was parsed when it was stored */
	}
	return err;
}

static int load_credentials(struct prov *prov, bool with_chain)
{
	struct tls *tls = &prov->tls;
	int err = load(prov, SLOT_ANCHOR, &tls->anchor);

	if (err == PROV_OK) {
		err = load(prov, SLOT_CERTIFICATE, &tls->own);
	}
	if (err == PROV_OK && with_chain && prov->store.len[SLOT_CHAIN] > 0) {
		err = load(prov, SLOT_CHAIN, &tls->own);
	}
	if (err == PROV_OK && compat_pk_in_psa(&tls->key, prov->identity.keys[PURPOSE_TLS].id) != 0) {
		err = PROV_ERR_CRYPTO;
	}
	return err;
}

static int configure(struct tls *tls, const char *server_name)
{
	mbedtls_ssl_config *c = &tls->config;

	if (mbedtls_ssl_config_defaults(c, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
					MBEDTLS_SSL_PRESET_DEFAULT) != 0) {
		return PROV_ERR_CRYPTO;
	}
	mbedtls_ssl_conf_authmode(c, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_ciphersuites(c, suites);
	mbedtls_ssl_conf_groups(c, groups);
	mbedtls_ssl_conf_sig_algs(c, signatures);
	compat_ssl_random(c);
	mbedtls_ssl_conf_ca_chain(c, &tls->anchor, NULL);
	if (mbedtls_ssl_conf_own_cert(c, &tls->own, &tls->key) != 0 || mbedtls_ssl_setup(&tls->ssl, c) != 0 ||
	    mbedtls_ssl_set_hostname(&tls->ssl, server_name) != 0) {
		return PROV_ERR_CRYPTO;
	}
	mbedtls_ssl_set_bio(&tls->ssl, tls, push, pull, NULL);
	return PROV_OK;
}

int prov_tls_open(struct prov *prov, const char *server_name, bool with_chain)
{
	struct tls *tls = &prov->tls;
	int err;

	prov_tls_close(tls);
	mbedtls_ssl_init(&tls->ssl);
	mbedtls_ssl_config_init(&tls->config);
	mbedtls_x509_crt_init(&tls->anchor);
	mbedtls_x509_crt_init(&tls->own);
	mbedtls_pk_init(&tls->key);
	tls->open = true;
	err = load_credentials(prov, with_chain);
	if (err == PROV_OK) {
		err = configure(tls, server_name);
	}
	if (err != PROV_OK) {
		prov_tls_close(tls);
		return err;
	}
	tls->state = TLS_HANDSHAKING;
	return PROV_OK;
}

static bool waiting(int err)
{
	return err == MBEDTLS_ERR_SSL_WANT_READ || err == MBEDTLS_ERR_SSL_WANT_WRITE;
}

static void fail(struct tls *tls, int err)
{
	tls->state = TLS_FAILED;
	tls->error = err;
	tls->verify_flags = mbedtls_ssl_get_verify_result(&tls->ssl);
	if (tls->verify_flags == UINT32_MAX) {
		tls->verify_flags = 0; /* the peer has sent no certificate yet */
	}
}

static void read_application(struct tls *tls)
{
	while (tls->state == TLS_ESTABLISHED && tls->app_len < sizeof tls->app) {
		int n = mbedtls_ssl_read(&tls->ssl, tls->app + tls->app_len, sizeof tls->app - tls->app_len);
		if (waiting(n)) {
			return;
		}
		if (n == 0 || n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
			tls->state = TLS_CLOSED;
		} else if (n < 0) {
			fail(tls, n);
		} else {
			tls->app_len += (size_t)n;
		}
	}
}

void prov_tls_pump(struct tls *tls)
{
	if (!tls->open) {
		return;
	}
	tls->blocked = false;
	if (tls->state == TLS_HANDSHAKING) {
		int err = mbedtls_ssl_handshake(&tls->ssl);
		if (err == 0) {
			tls->state = TLS_ESTABLISHED;
		} else if (!waiting(err)) {
			fail(tls, err);
		}
	}
	read_application(tls);
	if (tls->in_at == tls->in_len) {
		tls->in_at = tls->in_len = 0;
	}
}

size_t prov_tls_room(struct tls *tls)
{
	memmove(tls->in, tls->in + tls->in_at, tls->in_len - tls->in_at);
	tls->in_len -= tls->in_at;
	tls->in_at = 0;
	return sizeof tls->in - tls->in_len;
}

static int add_input(struct tls *tls, const uint8_t *octets, size_t len)
{
	if (!tls->open) {
		return PROV_OK; /* the session has ended, so the octets are dropped */
	}
	if (len > prov_tls_room(tls)) {
		return PROV_ERR_TOO_LONG;
	}
	memcpy(tls->in + tls->in_len, octets, len);
	tls->in_len += len;
	return PROV_OK;
}

/* Drops the output of the last answer, which has arrived when the next request comes. */
static void drop_given(struct tls *tls)
{
	memmove(tls->out, tls->out + tls->given, tls->out_len - tls->given);
	tls->out_len -= tls->given;
	memmove(tls->app, tls->app + tls->app_given, tls->app_len - tls->app_given);
	tls->app_len -= tls->app_given;
	tls->given = tls->app_given = 0;
}

/* Chooses the octets of an answer of at most `size` octets: all of `app`, then as much of `out` as fits. */
static void choose_given(struct tls *tls, size_t size)
{
	size_t room = size - ANSWER_OVERHEAD - tls->app_len;

	tls->given = tls->out_len < room ? tls->out_len : room;
	tls->app_given = tls->app_len;
}

/* Gives the same answer until the next request, because only the next request changes the chosen octets. */
static void answer(const struct tls *tls, struct cbor_writer *w)
{
	bool more = tls->given < tls->out_len || tls->blocked;
	uint32_t pairs = 1u + (tls->given > 0) + more + (tls->app_len > 0) + (tls->error != 0) + (tls->verify_flags != 0);

	prov_cbor_put_map(w, pairs);
	prov_cbor_put_key(w, "st");
	prov_cbor_put_uint(w, (uint32_t)tls->state);
	if (tls->given > 0) {
		prov_cbor_put_key(w, "o");
		prov_cbor_put_bstr(w, tls->out, tls->given);
	}
	if (more) {
		prov_cbor_put_key(w, "m");
		prov_cbor_put_bool(w, true);
	}
	if (tls->app_len > 0) {
		prov_cbor_put_key(w, "r");
		prov_cbor_put_bstr(w, tls->app, tls->app_len);
	}
	if (tls->error != 0) {
		prov_cbor_put_key(w, "e");
		prov_cbor_put_int(w, tls->error);
	}
	if (tls->verify_flags != 0) {
		prov_cbor_put_key(w, "vf");
		prov_cbor_put_uint(w, tls->verify_flags);
	}
}

enum { Q, SN, CH, I, X, FIELDS };

static int open_from(struct prov *prov, const struct cbor_field *f)
{
	char name[SERVER_NAME_MAX + 1u] = { 0 };
	int err;

	if (!f[SN].present || f[I].present || f[X].present || f[SN].as.string.len == 0 ||
	    memchr(f[SN].as.string.octets, 0, f[SN].as.string.len) != NULL) {
		return PROV_ERR_BAD_MAP;
	}
	memcpy(name, f[SN].as.string.octets, f[SN].as.string.len);
	err = prov_session_end(prov, true);
	if (err == PROV_OK) {
		prov_session_begin(prov);
		err = prov_tls_open(prov, name, f[CH].present);
	}
	return err;
}

static int continue_from(struct tls *tls, const struct cbor_field *f)
{
	if (f[SN].present || f[CH].present || (f[I].present && f[X].present)) {
		return PROV_ERR_BAD_MAP;
	}
	if (f[X].present) {
		tls->state = TLS_CLOSED;
		tls->error = 0;
		tls->verify_flags = 0;
		tls->out_len = tls->given = 0;
		prov_tls_release(tls);
	} else if (tls->state == TLS_ESTABLISHED && !tls->open) {
		tls->state = TLS_CLOSED; /* the board ended the session when it had read the server's answer */
	}
	return f[I].present ? add_input(tls, f[I].as.string.octets, f[I].as.string.len) : PROV_OK;
}

int prov_tls_handle(struct prov *prov, const uint8_t *in, size_t in_len, struct cbor_writer *w)
{
	struct tls *tls = &prov->tls;
	struct cbor_field f[FIELDS] = {
		[Q] = { .key = "q", .type = CBOR_UINT, .max = UINT32_MAX },
		[SN] = { .key = "sn", .type = CBOR_TSTR, .max = SERVER_NAME_MAX },
		[CH] = { .key = "ch", .type = CBOR_TRUE },
		[I] = { .key = "i", .type = CBOR_BSTR, .max = PROV_BUF_SIZE },
		[X] = { .key = "x", .type = CBOR_TRUE },
	};
	int err = prov_cbor_read_map(in, in_len, f, FIELDS);
	uint32_t q = f[Q].as.number;

	if (err == PROV_OK && !f[Q].present) {
		err = PROV_ERR_BAD_MAP;
	}
	if (err == PROV_OK && w->size < ANSWER_MIN) {
		err = PROV_ERR_INTERNAL;
	}
	if (err != PROV_OK) {
		return err;
	}
	err = prov_session_turn(prov, SESSION_TLS, q);
	if (err == SESSION_AGAIN) {
		answer(tls, w);
		return PROV_OK;
	}
	if (err != PROV_OK) {
		return err;
	}
	err = q == 0 ? open_from(prov, f) : continue_from(tls, f);
	if (err != PROV_OK) {
		return err;
	}
	prov_session_answered(prov, SESSION_TLS, q);
	drop_given(tls);
	prov_tls_pump(tls);
	if (prov_tls_over(tls)) {
		prov_tls_release(tls);
	}
	choose_given(tls, w->size);
	answer(tls, w);
	return PROV_OK;
}

#endif
