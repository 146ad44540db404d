/* SPDX-License-Identifier: Apache-2.0 */
/* Frames on the console: lines, base64 and CRC (PROTOCOL.md section 1). */
#include "core.h"

#include <string.h>

/* Markers of section 1: their first and second octet. */
enum { FIRST_A = 0x06, FIRST_B = 0x09, NEXT_A = 0x04, NEXT_B = 0x14 };

#define LINE_MAX_OCTETS 127u /* with marker and LF */
#define LINE_RAW 93u	     /* octets of a message on one line */

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

/* Decodes four characters, of which the last `pad` are '='. Unused bits must be 0. */
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

/* Strict base64 (RFC 4648 section 4). Returns the number of octets, or -1. `out` needs room for 3/4 of len. */
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
	(void)prov->port->send(prov->port->ctx, line, n); /* the station asks again for a lost answer */
}

/* message has room for the length before the `len` octets at message + 2, and for the CRC after them. */
void prov_frame_send(const struct prov *prov, uint8_t *message, size_t len)
{
	uint16_t crc = crc16(0, message + 2, len);
	size_t total = len + 4u, at = 0;

	message[0] = (uint8_t)((len + 2u) >> 8);
	message[1] = (uint8_t)(len + 2u);
	message[2 + len] = (uint8_t)(crc >> 8);
	message[3 + len] = (uint8_t)crc;
	while (at < total) {
		size_t n = total - at < LINE_RAW ? total - at : LINE_RAW;
		/* The CRC is never split over two lines, as in Zephyr. */
		if (total - at > n && total - at - n < 2u) {
			n -= 3;
		}
		send_line(prov, at == 0, message + at, n);
		at += n;
	}
}

static void message_done(struct prov *prov)
{
	const struct smp *smp = &prov->smp;
	size_t len = smp->want - 4u;

	if (crc16(0, smp->message + 2, smp->want - 2u) == 0 && len >= SMP_HEADER_SIZE) {
		prov_smp_message(prov, smp->message + 2, len);
	}
}

/* Reads the message's length from the first line. A message that does not fit is dropped here. */
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

/* Text is dropped. A marker may follow text at any place. */
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
		receive_marker(smp, c); /* base64 has no such octet: the line was cut and another one begins */
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
