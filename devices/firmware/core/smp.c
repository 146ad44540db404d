/* SPDX-License-Identifier: Apache-2.0 */
/* SMP over a console: frames, headers, OS group. PROTOCOL.md sections 1 to 3. */
#include "core.h"

#include <string.h>

/* Markers of section 1: first octet, second octet. */
enum { FIRST_A = 0x06, FIRST_B = 0x09, NEXT_A = 0x04, NEXT_B = 0x14 };
enum { OP_READ = 0, OP_READ_RESPONSE = 1, OP_WRITE = 2, OP_WRITE_RESPONSE = 3 };
enum { GROUP_OS = 0, GROUP_PROV = 64 };
enum { OS_ECHO = 0, OS_RESET = 5, OS_PARAMS = 6, OS_INFO = 7 };
enum { RC_EINVAL = 3, RC_ENOTSUP = 8 };

#define LINE_MAX_OCTETS 127u /* with marker and LF */
#define LINE_RAW 93u	     /* octets of a message on one line */
#define ECHO_MAX 1024u

struct request {
	uint8_t op, version, seq, command;
	uint16_t group;
	const uint8_t *body;
	size_t body_len;
};

static uint16_t crc16(uint16_t crc, const uint8_t *octets, size_t len)
{
	while (len-- > 0) {
		crc = (uint16_t)(crc ^ (uint16_t)(*octets++ << 8));
		for (unsigned bit = 0; bit < 8; bit++) {
			crc = (uint16_t)((crc & 0x8000u) != 0 ? (unsigned)crc << 1 ^ 0x1021u : (unsigned)crc << 1);
		}
	}
	return crc;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static size_t encode64(const uint8_t *in, size_t len, uint8_t *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16 | (i + 1 < len ? (uint32_t)in[i + 1] << 8 : 0u) |
			     (i + 2 < len ? in[i + 2] : 0u);
		out[n++] = (uint8_t)alphabet[v >> 18];
		out[n++] = (uint8_t)alphabet[v >> 12 & 0x3fu];
		out[n++] = i + 1 < len ? (uint8_t)alphabet[v >> 6 & 0x3fu] : (uint8_t)'=';
		out[n++] = i + 2 < len ? (uint8_t)alphabet[v & 0x3fu] : (uint8_t)'=';
	}
	return n;
}

static int value64(uint8_t c)
{
	if (c >= 'A' && c <= 'Z') {
		return c - 'A';
	}
	if (c >= 'a' && c <= 'z') {
		return c - 'a' + 26;
	}
	if (c >= '0' && c <= '9') {
		return c - '0' + 52;
	}
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes one quantum of four characters with `pad` of them '='. Unused bits must be 0. */
static int decode_quantum(const uint8_t *in, unsigned pad, uint8_t *out)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < 4; i++) {
		int d = i < 4 - pad ? value64(in[i]) : 0;
		if (d < 0) {
			return -1;
		}
		v = v << 6 | (uint32_t)d;
	}
	if ((pad == 1 && (v & 0xffu) != 0) || (pad == 2 && (v & 0xffffu) != 0)) {
		return -1;
	}
	for (unsigned i = 0; i < 3 - pad; i++) {
		out[i] = (uint8_t)(v >> (16 - 8 * i));
	}
	return (int)(3 - pad);
}

/* Octets decoded, or -1. RFC 4648 section 4, strict. `out` has room for 3/4 of len. */
static int decode64(const uint8_t *in, size_t len, uint8_t *out)
{
	int n = 0;

	if (len == 0 || len % 4 != 0) {
		return -1;
	}
	for (size_t i = 0; i < len; i += 4) {
		unsigned pad = i + 4 < len || in[i + 3] != '=' ? 0 : in[i + 2] == '=' ? 2 : 1;
		int got = decode_quantum(in + i, pad, out + n);
		if (got < 0) {
			return -1;
		}
		n += got;
	}
	return n;
}

static void send_line(const struct prov *prov, bool first, const uint8_t *raw, size_t len)
{
	uint8_t line[LINE_MAX_OCTETS + 1u];
	size_t n;

	line[0] = first ? FIRST_A : NEXT_A;
	line[1] = first ? FIRST_B : NEXT_B;
	n = 2 + encode64(raw, len, line + 2);
	line[n++] = '\n';
	(void)prov->port->send(prov->port->ctx, line, n); /* a lost answer is asked for again */
}

/* message has room for length before and CRC behind the `len` octets at message + 2. */
static void send_message(const struct prov *prov, uint8_t *message, size_t len)
{
	uint16_t crc = crc16(0, message + 2, len);
	size_t total = len + 4u, at = 0;

	message[0] = (uint8_t)((len + 2u) >> 8);
	message[1] = (uint8_t)(len + 2u);
	message[2 + len] = (uint8_t)(crc >> 8);
	message[3 + len] = (uint8_t)crc;
	while (at < total) {
		size_t n = total - at < LINE_RAW ? total - at : LINE_RAW;
		/* The CRC is never split, as Zephyr does it. */
		if (total - at > n && total - at - n < 2u) {
			n -= 3;
		}
		send_line(prov, at == 0, message + at, n);
		at += n;
	}
}

static void reply(struct prov *prov, const struct request *rq, size_t body_len)
{
	uint8_t *h = prov->smp.reply + 2;

	h[0] = (uint8_t)(rq->version << 3 | (rq->op + 1u));
	h[1] = 0;
	h[2] = (uint8_t)(body_len >> 8);
	h[3] = (uint8_t)body_len;
	h[4] = (uint8_t)(rq->group >> 8);
	h[5] = (uint8_t)rq->group;
	h[6] = rq->seq;
	h[7] = rq->command;
	send_message(prov, prov->smp.reply, SMP_HEADER_SIZE + body_len);
}

static struct cbor_writer body_writer(struct prov *prov)
{
	struct cbor_writer w = { prov->smp.reply + 2 + SMP_HEADER_SIZE, SMP_MESSAGE_MAX - SMP_HEADER_SIZE, 0, false };

	return w;
}

static void reply_rc(struct prov *prov, const struct request *rq, uint32_t rc)
{
	struct cbor_writer w = body_writer(prov);

	cbor_put_map(&w, 1);
	cbor_put_key(&w, "rc");
	cbor_put_uint(&w, rc);
	reply(prov, rq, w.len);
}

/* SMP v2 names the group; v1 has only rc. */
static void reply_refusal(struct prov *prov, const struct request *rq, int err)
{
	struct cbor_writer w = body_writer(prov);

	if (rq->version == 0) {
		reply_rc(prov, rq, (uint32_t)-err);
		return;
	}
	cbor_put_map(&w, 1);
	cbor_put_key(&w, "err");
	cbor_put_map(&w, 2);
	cbor_put_key(&w, "group");
	cbor_put_uint(&w, GROUP_PROV);
	cbor_put_key(&w, "rc");
	cbor_put_uint(&w, (uint32_t)-err);
	reply(prov, rq, w.len);
}

static void os_echo(struct prov *prov, const struct request *rq)
{
	struct cbor_field d = { .key = "d", .type = CBOR_TSTR, .max = ECHO_MAX };
	struct cbor_writer w = body_writer(prov);

	if (cbor_read_map(rq->body, rq->body_len, &d, 1) != PROV_OK || !d.present) {
		reply_rc(prov, rq, RC_EINVAL);
		return;
	}
	cbor_put_map(&w, 1);
	cbor_put_key(&w, "r");
	cbor_put_text(&w, (const char *)d.as.string.octets, d.as.string.len);
	reply(prov, rq, w.len);
}

static void os_reset(struct prov *prov, const struct request *rq)
{
	struct cbor_field force = { .key = "force", .type = CBOR_UINT, .max = 1 }; /* MCUmgr's option; nothing to force here */
	struct cbor_writer w = body_writer(prov);

	if (rq->body_len > 0 && cbor_read_map(rq->body, rq->body_len, &force, 1) != PROV_OK) {
		reply_rc(prov, rq, RC_EINVAL);
		return;
	}
	cbor_put_map(&w, 0);
	reply(prov, rq, w.len);
	prov->port->reboot(prov->port->ctx);
}

static void os_params(struct prov *prov, const struct request *rq)
{
	struct cbor_writer w = body_writer(prov);

	if (rq->body_len > 0 && cbor_read_map(rq->body, rq->body_len, NULL, 0) != PROV_OK) {
		reply_rc(prov, rq, RC_EINVAL);
		return;
	}
	cbor_put_map(&w, 2);
	cbor_put_key(&w, "buf_size");
	cbor_put_uint(&w, PROV_BUF_SIZE);
	cbor_put_key(&w, "buf_count");
	cbor_put_uint(&w, 1);
	reply(prov, rq, w.len);
}

static void os_info(struct prov *prov, const struct request *rq)
{
	const struct prov_facts *facts = &prov->port->facts;
	struct cbor_field format = { .key = "format", .type = CBOR_TSTR, .max = 16 };
	struct cbor_writer w = body_writer(prov);
	char text[2u * PROV_TEXT_MAX + 16u] = "Hallmark ";
	size_t at = strlen(text), version = strlen(facts->firmware_version), type = strlen(facts->board_type);

	if ((rq->body_len > 0 && cbor_read_map(rq->body, rq->body_len, &format, 1) != PROV_OK) ||
	    version > PROV_TEXT_MAX || type > PROV_TEXT_MAX) {
		reply_rc(prov, rq, RC_EINVAL);
		return;
	}
	memcpy(text + at, facts->firmware_version, version);
	text[at + version] = ' ';
	memcpy(text + at + version + 1u, facts->board_type, type);
	cbor_put_map(&w, 1);
	cbor_put_key(&w, "output");
	cbor_put_text(&w, text, at + version + 1u + type);
	reply(prov, rq, w.len);
}

static void os_group(struct prov *prov, const struct request *rq)
{
	static const struct {
		uint8_t command, op;
		void (*handle)(struct prov *prov, const struct request *rq);
	} commands[] = {
		{ OS_ECHO, OP_WRITE, os_echo },
		{ OS_RESET, OP_WRITE, os_reset },
		{ OS_PARAMS, OP_READ, os_params },
		{ OS_INFO, OP_READ, os_info },
	};

	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (commands[i].command == rq->command && commands[i].op == rq->op) {
			commands[i].handle(prov, rq);
			return;
		}
	}
	reply_rc(prov, rq, RC_ENOTSUP);
}

static void prov_group(struct prov *prov, const struct request *rq)
{
	struct cbor_writer w = body_writer(prov);
	size_t len = 0;
	int err = prov_group_handle(prov, rq->command, rq->op == OP_WRITE, rq->body, rq->body_len, w.buf, w.size, &len);

	if (err == PROV_UNKNOWN_COMMAND) {
		reply_rc(prov, rq, RC_ENOTSUP);
	} else if (err != PROV_OK) {
		reply_refusal(prov, rq, err);
	} else {
		reply(prov, rq, len);
	}
}

/* A request with the header and the CRC of the one before is that request again. */
static void notice_again(struct smp *smp, const uint8_t *m, size_t len)
{
	smp->again = memcmp(smp->last, m, SMP_HEADER_SIZE) == 0 && memcmp(smp->last + SMP_HEADER_SIZE, m + len, 2) == 0;
	memcpy(smp->last, m, SMP_HEADER_SIZE);
	memcpy(smp->last + SMP_HEADER_SIZE, m + len, 2);
}

/* m: len octets of header and body, and the CRC behind them. */
static void dispatch(struct prov *prov, const uint8_t *m, size_t len)
{
	struct request rq = {
		.op = m[0] & 0x07u,
		.version = m[0] >> 3 & 0x03u,
		.group = (uint16_t)(m[4] << 8 | m[5]),
		.seq = m[6],
		.command = m[7],
		.body = m + SMP_HEADER_SIZE,
		.body_len = len - SMP_HEADER_SIZE,
	};
	size_t announced = (size_t)(m[2] << 8 | m[3]);

	if (announced != rq.body_len || rq.version > 1 || (rq.op != OP_READ && rq.op != OP_WRITE)) {
		return; /* not a request: answering could answer an answer */
	}
	notice_again(&prov->smp, m, len);
	if (rq.group == GROUP_OS) {
		os_group(prov, &rq);
	} else if (rq.group == GROUP_PROV) {
		prov_group(prov, &rq);
	} else {
		reply_rc(prov, &rq, RC_ENOTSUP);
	}
}

static void message_done(struct prov *prov)
{
	const struct smp *smp = &prov->smp;
	size_t len = smp->want - 4u;

	if (crc16(0, smp->message + 2, smp->want - 2u) == 0 && len >= SMP_HEADER_SIZE) {
		dispatch(prov, smp->message + 2, len);
	}
}

/* The first line says how long the message is; one that cannot fit is dropped here. */
static bool begin_message(struct smp *smp, const uint8_t *raw, size_t len)
{
	if (len < 2) {
		return false;
	}
	smp->want = 2u + (size_t)(raw[0] << 8 | raw[1]);
	smp->have = 0;
	return smp->want >= 4u && smp->want <= sizeof smp->message;
}

static void line_done(struct prov *prov)
{
	struct smp *smp = &prov->smp;
	uint8_t raw[LINE_RAW + 3u];
	int n = decode64(smp->line, smp->line_len, raw);

	if (n < 0 || (!smp->first && !smp->open)) {
		smp->open = false;
		return;
	}
	smp->open = !smp->first || begin_message(smp, raw, (size_t)n);
	if (!smp->open || (size_t)n > smp->want - smp->have) {
		smp->open = false;
		return;
	}
	memcpy(smp->message + smp->have, raw, (size_t)n);
	smp->have += (size_t)n;
	if (smp->have == smp->want) {
		smp->open = false;
		message_done(prov);
	}
}

/* Text is thrown away; a marker may follow it anywhere. */
static void receive_marker(struct smp *smp, uint8_t c)
{
	if (smp->state == SMP_MARKER && c == (smp->marker == FIRST_A ? FIRST_B : NEXT_B)) {
		smp->state = SMP_LINE;
		smp->first = smp->marker == FIRST_A;
		smp->line_len = 0;
		return;
	}
	smp->marker = c;
	smp->state = c == FIRST_A || c == NEXT_A ? SMP_MARKER : SMP_TEXT;
}

static void receive_one(struct prov *prov, uint8_t c)
{
	struct smp *smp = &prov->smp;

	if (smp->state != SMP_LINE) {
		receive_marker(smp, c);
		return;
	}
	if (c == '\n') {
		smp->state = SMP_TEXT;
		line_done(prov);
	} else if (c == FIRST_A || c == NEXT_A) {
		receive_marker(smp, c); /* never in base64: the line was cut and another begins */
		smp->open = smp->open && c == NEXT_A;
	} else if (c != '\r' && smp->line_len < LINE_MAX_OCTETS - 3u) {
		smp->line[smp->line_len++] = c;
	} else if (c != '\r') {
		smp->state = SMP_TEXT; /* too long for a line */
		smp->open = false;
	}
}

void prov_smp_receive(struct prov *prov, const uint8_t *octets, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		receive_one(prov, octets[i]);
	}
}
