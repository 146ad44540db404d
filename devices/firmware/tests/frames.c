/* SPDX-License-Identifier: Apache-2.0 */
#include "frames.h"

#include <stdlib.h>
#include <string.h>

#include "test.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* CRC bit by bit, straight from the polynomial. */
static unsigned crc(const uint8_t *octets, size_t len)
{
	unsigned remainder = 0;

	for (size_t bit = 0; bit < 8 * (len + 2u); bit++) {
		unsigned in = bit < 8 * len ? (unsigned)octets[bit / 8] >> (7u - bit % 8) & 1u : 0u;
		remainder = remainder << 1 | in;
		if ((remainder & 0x10000u) != 0) {
			remainder ^= 0x11021u;
		}
	}
	return remainder;
}

static size_t base64(const uint8_t *in, size_t len, uint8_t *out)
{
	size_t n = 0;

	for (size_t bit = 0; bit < 8 * len; bit += 6) {
		unsigned two = (unsigned)in[bit / 8] << 8 | (bit / 8 + 1 < len ? in[bit / 8 + 1] : 0u);
		out[n++] = (uint8_t)letters[two >> (10u - bit % 8) & 0x3fu];
	}
	while (n % 4 != 0) {
		out[n++] = '=';
	}
	return n;
}

size_t frame_write(const uint8_t *message, size_t len, size_t per_line, uint8_t *out, size_t size)
{
	static uint8_t raw[1u << 16];
	size_t total = len + 4u, n = 0;

	raw[0] = (uint8_t)((len + 2u) >> 8);
	raw[1] = (uint8_t)(len + 2u);
	memcpy(raw + 2, message, len);
	raw[len + 2u] = (uint8_t)(crc(message, len) >> 8);
	raw[len + 3u] = (uint8_t)crc(message, len);
	for (size_t at = 0; at < total && n + 140u < size; at += per_line) {
		out[n++] = at == 0 ? 6 : 4;
		out[n++] = at == 0 ? 9 : 20;
		n += base64(raw + at, total - at < per_line ? total - at : per_line, out + n);
		out[n++] = '\n';
	}
	return n;
}

static size_t unbase64(const uint8_t *in, size_t len, uint8_t *out)
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	for (size_t i = 0; i < len && in[i] != '='; i++) {
		const char *letter = strchr(letters, in[i]);
		CHECK(letter != NULL && in[i] != 0, "the board sent %02x inside a frame", in[i]);
		bits = bits << 6 | (letter == NULL ? 0u : (uint32_t)(letter - letters));
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (uint8_t)(bits >> have);
		}
	}
	return n;
}

size_t frame_read(const uint8_t *in, size_t in_len, uint8_t *message, size_t *used)
{
	static uint8_t raw[1u << 16];
	size_t n = 0, want = 0;

	for (size_t at = 0; at + 2u < in_len;) {
		const uint8_t *end = memchr(in + at, '\n', in_len - at);
		bool first = in[at] == 6 && in[at + 1] == 9;
		if (end == NULL || !CHECK(first || (in[at] == 4 && in[at + 1] == 20), "a line without a marker") ||
		    !CHECK(first == (n == 0), "a marker that does not fit") ||
		    !CHECK(end - (in + at) < 127, "a line of %d octets", (int)(end - (in + at)) + 1)) {
			return 0;
		}
		n += unbase64(in + at + 2, (size_t)(end - (in + at)) - 2u, raw + n);
		at = (size_t)(end - in) + 1u;
		want = ((size_t)raw[0] << 8 | raw[1]) + 2u;
		if (n >= want) {
			CHECK(n == want && crc(raw + 2, n - 2u) == crc((const uint8_t *)"", 0), "length or CRC of an answer");
			memcpy(message, raw + 2, n - 4u);
			*used = at;
			return n - 4u;
		}
	}
	return 0;
}

void uart_send(struct board *b, const uint8_t *octets, size_t len)
{
	uint8_t *exact = malloc(len == 0 ? 1 : len);

	if (len > 0) {
		memcpy(exact, octets, len);
	}
	prov_smp_receive(&b->prov, exact, len);
	free(exact);
}

size_t uart_ask(struct board *b, const uint8_t *request, size_t len, uint8_t answer[PROV_BUF_SIZE])
{
	static uint8_t lines[1u << 17];
	size_t used = 0, n = frame_write(request, len, 93, lines, sizeof lines);

	b->sent_len = 0;
	uart_send(b, lines, n);
	n = frame_read(b->sent, b->sent_len, answer, &used);
	CHECK(used == b->sent_len, "%u octets behind the answer", (unsigned)(b->sent_len - used));
	return n;
}

size_t message_write(uint8_t *out, unsigned version, unsigned op, unsigned group, unsigned command, const void *body,
		     size_t len)
{
	const uint8_t header[] = { (uint8_t)(version << 3 | op), 0, (uint8_t)(len >> 8), (uint8_t)len,
				   (uint8_t)(group >> 8), (uint8_t)group, 0x5a, (uint8_t)command };

	memcpy(out, header, sizeof header);
	if (len > 0) {
		memcpy(out + sizeof header, body, len);
	}
	return sizeof header + len;
}
