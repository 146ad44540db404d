/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handshake over the board's own network (PROTOCOL.md section 4, "net"). Over a
 * port's stream the core's own TLS client does it; over a port's TLS sockets the
 * port does it. A session makes progress only when the station asks for its state.
 */
#include "core.h"

#if PROV_HANDSHAKE

#include <string.h>

#include <mbedtls/platform_util.h>

#define ANSWER_MIN 160u /* as in tls.c: a smaller buffer is a wrong configuration */

/* Offsets of the credentials for TLS sockets, in a buffer of the core's TLS client, which is idle then. */
enum { AT_ANCHOR = 0, AT_CHAIN = SLOT_SIZE, AT_CERTIFICATE = 2 * SLOT_SIZE, AT_KEY = 3 * SLOT_SIZE };
_Static_assert(sizeof((struct tls *)0)->credentials >= AT_KEY + RAW_KEY_SIZE, "no room for credentials");

/* tls.c and port.h number the states alike. */
_Static_assert((int)TLS_CLOSED == (int)PROV_VISIT_CLOSED && (int)TLS_HANDSHAKING == (int)PROV_VISIT_SHAKING &&
	       (int)TLS_ESTABLISHED == (int)PROV_VISIT_ESTABLISHED && (int)TLS_FAILED == (int)PROV_VISIT_FAILED, "states");

/* Sends the output of the TLS client. True: the stream has taken all of it. */
static bool flush(struct prov *prov, int *error)
{
	const struct prov_port *port = prov->port;
	struct tls *tls = &prov->tls;

	while (tls->out_len > 0) {
		int n = port->stream->send(port->ctx, tls->out, tls->out_len);
		if (n <= 0 || (size_t)n > tls->out_len) {
			*error = n < 0 ? n : 0;
			return false;
		}
		memmove(tls->out, tls->out + n, tls->out_len - (size_t)n);
		tls->out_len -= (size_t)n;
	}
	return true;
}

/* Runs the TLS client and sends its output, until it has no more; the output may be larger than its buffer. */
static bool pump_and_flush(struct prov *prov, int *error)
{
	do {
		prov_tls_pump(&prov->tls);
		if (!flush(prov, error)) {
			return false;
		}
	} while (prov->tls.blocked);
	return true;
}

/* Sends close_notify, so that a server that waits for the end need not wait for its time-out. */
static void send_close_notify(struct prov *prov)
{
	int ignored;

	if (prov->tls.state == TLS_ESTABLISHED && mbedtls_ssl_close_notify(&prov->tls.ssl) == 0) {
		(void)flush(prov, &ignored);
	}
}

int prov_net_release(struct prov *prov, bool notify)
{
	const struct prov_port *port = prov->port;

	if (prov->net.via == NET_STREAM) {
		if (notify) {
			send_close_notify(prov);
		}
		port->stream->close(port->ctx);
		prov_tls_close(&prov->tls);
	} else if (prov->net.via == NET_SOCKETS) {
		if (port->tls_sockets->close(port->ctx) != PROV_OK) {
			return PROV_ERR_TLS_BUSY;
		}
		mbedtls_platform_zeroize(prov->tls.credentials, sizeof prov->tls.credentials);
	}
	prov->net.via = NET_OFF;
	return PROV_OK;
}

static int load_object(struct prov *prov, enum slot slot, size_t at, struct prov_der *der)
{
	der->octets = prov->tls.credentials + at;
	der->len = prov->store.len[slot];
	return prov_store_read(&prov->store, slot, 0, prov->tls.credentials + at, der->len);
}

static int load_key(struct prov *prov, struct prov_visit *visit)
{
	visit->psa_key_id = (uint32_t)prov->identity.keys[PURPOSE_TLS].id;
	if (!prov->port->tls_sockets->raw_key) {
		return PROV_OK;
	}
#if defined(PROV_RAW_KEY)
	visit->private_key.octets = prov->tls.credentials + AT_KEY;
	return prov_identity_raw_key(&prov->identity, prov->port, prov->tls.credentials + AT_KEY, &visit->private_key.len);
#else
	return PROV_ERR_INTERNAL; /* the port asks for a key that this build cannot give */
#endif
}

static int load_credentials(struct prov *prov, struct prov_visit *visit, bool with_chain)
{
	int err;

	if (prov->store.len[SLOT_ANCHOR] == 0 || prov->store.len[SLOT_CERTIFICATE] == 0) {
		return prov->store.len[SLOT_ANCHOR] == 0 ? PROV_ERR_NO_ANCHOR : PROV_ERR_EMPTY;
	}
	err = load_object(prov, SLOT_ANCHOR, AT_ANCHOR, &visit->anchor);
	if (err == PROV_OK) {
		err = load_object(prov, SLOT_CERTIFICATE, AT_CERTIFICATE, &visit->certificate);
	}
	if (err == PROV_OK && with_chain) {
		err = load_object(prov, SLOT_CHAIN, AT_CHAIN, &visit->chain);
	}
	return err == PROV_OK ? load_key(prov, visit) : err;
}

static int open_sockets(struct prov *prov, bool with_chain)
{
	const struct prov_port *port = prov->port;
	int err;

	prov->net.via = NET_SOCKETS; /* from here on prov_net_release wipes the credentials */
	err = load_credentials(prov, &prov->net.visit, with_chain);
	return err == PROV_OK ? port->tls_sockets->start(port->ctx, &prov->net.visit) : err;
}

static int open_stream(struct prov *prov, bool with_chain)
{
	const struct prov_port *port = prov->port;
	int err = prov_tls_open(prov, prov->net.server_name, with_chain);

	prov->net.via = NET_STREAM;
	return err == PROV_OK ? port->stream->connect(port->ctx, prov->net.address, prov->net.visit.port) : err;
}

/* One step of the TLS client: output, input, output. An ended connection is an error only while TLS has not ended. */
static void step_stream(struct prov *prov)
{
	const struct prov_port *port = prov->port;
	struct tls *tls = &prov->tls;
	int error = 0;
	size_t room;

	if (pump_and_flush(prov, &error) && (tls->state == TLS_HANDSHAKING || tls->state == TLS_ESTABLISHED)) {
		room = prov_tls_room(tls);
		int n = port->stream->receive(port->ctx, tls->in + tls->in_len, room);
		if (n > 0 && (size_t)n <= room) {
			tls->in_len += (size_t)n;
			(void)pump_and_flush(prov, &error);
		} else if (n < 0) {
			error = n;
		}
	}
	if (error != 0 && (tls->state == TLS_HANDSHAKING || tls->state == TLS_ESTABLISHED)) {
		tls->state = TLS_FAILED;
		tls->error = error;
	}
}

static void report_stream(struct prov *prov, struct prov_visit_report *report)
{
	struct tls *tls = &prov->tls;

	step_stream(prov);
	report->state = (enum prov_visit_state)tls->state;
	report->error = tls->error;
	report->verify_flags = tls->verify_flags;
	memcpy(report->data, tls->app, tls->app_len);
	report->data_len = tls->app_len;
	tls->app_len = 0;
}

static void poll_session(struct prov *prov)
{
	const struct prov_port *port = prov->port;
	struct prov_visit_report *report = &prov->net.report;

	report->data_len = 0;
	if (prov->net.over) {
		if (report->state == PROV_VISIT_ESTABLISHED) {
			report->state = PROV_VISIT_CLOSED; /* the board ended the session when it had read the server's answer */
		}
		return;
	}
	if (prov->net.via == NET_STREAM) {
		report_stream(prov, report);
	} else {
		port->tls_sockets->poll(port->ctx, report);
	}
	if (report->data_len > sizeof report->data) {
		report->data_len = 0; /* a fault of the port */
	}
	prov->net.over = report->state == PROV_VISIT_CLOSED || report->state == PROV_VISIT_FAILED || report->data_len > 0;
	if (prov->net.over) {
		(void)prov_session_release(prov, true); /* busy sockets: prov_poll tries again */
	}
}

/* Gives the same answer until the next request, because only the next request changes the report. */
static void answer(const struct net *net, struct cbor_writer *w)
{
	const struct prov_visit_report *r = &net->report;

	prov_cbor_put_map(w, 1u + (r->data_len > 0) + (r->error != 0) + (r->verify_flags != 0));
	prov_cbor_put_key(w, "st");
	prov_cbor_put_uint(w, (uint32_t)r->state);
	if (r->data_len > 0) {
		prov_cbor_put_key(w, "r");
		prov_cbor_put_bstr(w, r->data, r->data_len);
	}
	if (r->error != 0) {
		prov_cbor_put_key(w, "e");
		prov_cbor_put_int(w, r->error);
	}
	if (r->verify_flags != 0) {
		prov_cbor_put_key(w, "vf");
		prov_cbor_put_uint(w, r->verify_flags);
	}
}

enum { Q, SN, A, P, CH, X, FIELDS };

/* True if the text may become a C string: it is not empty and has no NUL. */
static bool is_text(const struct cbor_field *f)
{
	return f->present && f->as.string.len > 0 && memchr(f->as.string.octets, 0, f->as.string.len) == NULL;
}

static int open_from(struct prov *prov, const struct cbor_field *f)
{
	struct net *net = &prov->net;
	bool with_chain = f[CH].present;
	int err;

	if (!is_text(&f[SN]) || !is_text(&f[A]) || !f[P].present || f[P].as.number == 0 || f[X].present) {
		return PROV_ERR_BAD_MAP;
	}
	err = prov_session_end(prov, true);
	if (err != PROV_OK) {
		return err;
	}
	prov_session_begin(prov);
	memcpy(net->server_name, f[SN].as.string.octets, f[SN].as.string.len); /* net is zero, so the string is terminated */
	memcpy(net->address, f[A].as.string.octets, f[A].as.string.len);
	net->visit.address = net->address;
	net->visit.port = (uint16_t)f[P].as.number;
	net->visit.server_name = net->server_name;
	err = prov->port->stream != NULL ? open_stream(prov, with_chain) : open_sockets(prov, with_chain);
	if (err != PROV_OK) {
		(void)prov_session_end(prov, false);
		return err;
	}
	net->report.state = PROV_VISIT_SHAKING; /* the first answer does not wait for the peer */
	return PROV_OK;
}

/* Ends connection and keys. The session stays, so that this request can be answered again. */
static int close_from(struct prov *prov)
{
	int err = prov_session_release(prov, true);

	prov->net.over = true;
	memset(&prov->net.report, 0, sizeof prov->net.report);
	return err;
}

static int continue_from(struct prov *prov, const struct cbor_field *f)
{
	if (f[SN].present || f[A].present || f[P].present || f[CH].present) {
		return PROV_ERR_BAD_MAP;
	}
	return f[X].present ? close_from(prov) : PROV_OK;
}

static int read_request(const uint8_t *in, size_t in_len, struct cbor_field *f)
{
	int err = prov_cbor_read_map(in, in_len, f, FIELDS);

	if (err == PROV_OK && !f[Q].present) {
		err = PROV_ERR_BAD_MAP;
	}
	return err;
}

int prov_net_handle(struct prov *prov, const uint8_t *in, size_t in_len, struct cbor_writer *w)
{
	struct net *net = &prov->net;
	struct cbor_field f[FIELDS] = {
		[Q] = { .key = "q", .type = CBOR_UINT, .max = UINT32_MAX },
		[SN] = { .key = "sn", .type = CBOR_TSTR, .max = SERVER_NAME_MAX },
		[A] = { .key = "a", .type = CBOR_TSTR, .max = ADDRESS_MAX },
		[P] = { .key = "p", .type = CBOR_UINT, .max = UINT16_MAX },
		[CH] = { .key = "ch", .type = CBOR_TRUE },
		[X] = { .key = "x", .type = CBOR_TRUE },
	};
	int err = read_request(in, in_len, f);

	if (err == PROV_OK && w->size < ANSWER_MIN) {
		err = PROV_ERR_INTERNAL;
	}
	if (err == PROV_OK) {
		err = prov_session_turn(prov, SESSION_NET, f[Q].as.number);
	}
	if (err == SESSION_AGAIN) {
		answer(net, w);
		return PROV_OK;
	}
	if (err != PROV_OK) {
		return err;
	}
	err = f[Q].as.number == 0 ? open_from(prov, f) : continue_from(prov, f);
	if (err != PROV_OK) {
		return err;
	}
	prov_session_answered(prov, SESSION_NET, f[Q].as.number);
	if (f[Q].as.number > 0) {
		poll_session(prov);
	}
	answer(net, w);
	return PROV_OK;
}

#endif
