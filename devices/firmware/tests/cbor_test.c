/* SPDX-License-Identifier: Apache-2.0 */
/* Reading one map strictly and writing it in the shortest form (RFC 8949, PROTOCOL.md section 2). */
#include "cbor.h"

#include <stdlib.h>
#include <string.h>

#include <prov/errors.h>

#include "test.h"

enum { U, B, T, F, FIELDS };

static int read_map(const void *in, size_t len, struct cbor_field f[FIELDS])
{
	const struct cbor_field fields[FIELDS] = {
		[U] = { .key = "u", .type = CBOR_UINT, .max = 100000 },
		[B] = { .key = "b", .type = CBOR_BSTR, .max = 4 },
		[T] = { .key = "text", .type = CBOR_TSTR, .max = 30 },
		[F] = { .key = "f", .type = CBOR_TRUE },
	};

	memcpy(f, fields, sizeof fields);
	return prov_cbor_read_map(in, len, f, FIELDS);
}

static void refusals_have_their_names(void)
{
#define OCTETS(text) text, sizeof text - 1u
	static const struct {
		const char *name, *in;
		size_t len;
		int want;
	} rows[] = {
		{ "nothing", OCTETS(""), PROV_ERR_BAD_MAP },
		{ "an unknown key", OCTETS("\xa1\x61x\x01"), PROV_ERR_BAD_MAP },
		{ "an empty key", OCTETS("\xa1\x60\x01"), PROV_ERR_BAD_MAP },
		{ "a key that begins like another", OCTETS("\xa1\x63tex\x60"), PROV_ERR_BAD_MAP },
		{ "a key that goes on like another", OCTETS("\xa1\x62uu\x01"), PROV_ERR_BAD_MAP },
		{ "a key in upper case", OCTETS("\xa1\x61U\x01"), PROV_ERR_BAD_MAP },
		{ "a number as key", OCTETS("\xa1\x01\x01"), PROV_ERR_BAD_MAP },
		{ "octets as key", OCTETS("\xa1\x41u\x01"), PROV_ERR_BAD_MAP },
		{ "a key twice", OCTETS("\xa2\x61u\x01\x61u\x01"), PROV_ERR_BAD_MAP },
		{ "text for a number", OCTETS("\xa1\x61u\x61" "1"), PROV_ERR_BAD_MAP },
		{ "a negative number", OCTETS("\xa1\x61u\x20"), PROV_ERR_BAD_MAP },
		{ "text for octets", OCTETS("\xa1\x61" "b\x61" "1"), PROV_ERR_BAD_MAP },
		{ "octets for text", OCTETS("\xa1\x64text\x41" "1"), PROV_ERR_BAD_MAP },
		{ "a number for a flag", OCTETS("\xa1\x61" "f\x01"), PROV_ERR_BAD_MAP },
		{ "false, which is said by leaving the key out", OCTETS("\xa1\x61" "f\xf4"), PROV_ERR_BAD_MAP },
		{ "null", OCTETS("\xa1\x61" "f\xf6"), PROV_ERR_BAD_MAP },
		{ "undefined", OCTETS("\xa1\x61" "f\xf7"), PROV_ERR_BAD_MAP },
		{ "true in two octets", OCTETS("\xa1\x61" "f\xf8\x15"), PROV_ERR_BAD_MAP },
		{ "a half-precision float", OCTETS("\xa1\x61" "f\xf9\x00\x15"), PROV_ERR_BAD_MAP },
		{ "a float", OCTETS("\xa1\x61u\xfa\x3f\x80\x00\x00"), PROV_ERR_BAD_MAP },
		{ "a double", OCTETS("\xa1\x61u\xfb\x3f\xf0\x00\x00\x00\x00\x00\x00"), PROV_ERR_BAD_MAP },
		{ "a tag", OCTETS("\xa1\x61u\xc1\x01"), PROV_ERR_BAD_MAP },
		{ "a tag around it", OCTETS("\xd9\xd9\xf7\xa0"), PROV_ERR_BAD_MAP },
		{ "a nested map", OCTETS("\xa1\x61u\xa0"), PROV_ERR_BAD_MAP },
		{ "a nested array", OCTETS("\xa1\x61" "b\x82\x01\x02"), PROV_ERR_BAD_MAP },
		{ "an array", OCTETS("\x80"), PROV_ERR_BAD_MAP },
		{ "a number", OCTETS("\x00"), PROV_ERR_BAD_MAP },
		{ "an octet behind it", OCTETS("\xa0\x00"), PROV_ERR_BAD_MAP },
		{ "two maps", OCTETS("\xa0\xa0"), PROV_ERR_BAD_MAP },
		{ "an indefinite map", OCTETS("\xbf\x61u\x01\xff"), PROV_ERR_BAD_MAP },
		{ "indefinite octets", OCTETS("\xa1\x61" "b\x5f\x41\x01\xff"), PROV_ERR_BAD_MAP },
		{ "a break", OCTETS("\xff"), PROV_ERR_BAD_MAP },
		{ "23 in two octets", OCTETS("\xa1\x61u\x18\x17"), PROV_ERR_BAD_MAP },
		{ "255 in three octets", OCTETS("\xa1\x61u\x19\x00\xff"), PROV_ERR_BAD_MAP },
		{ "65535 in five octets", OCTETS("\xa1\x61u\x1a\x00\x00\xff\xff"), PROV_ERR_BAD_MAP },
		{ "a number of 64 bits", OCTETS("\xa1\x61u\x1b\x00\x00\x00\x01\x00\x00\x00\x00"), PROV_ERR_BAD_MAP },
		{ "a reserved head", OCTETS("\xa1\x61u\x1c"), PROV_ERR_BAD_MAP },
		{ "a map head in two octets", OCTETS("\xb8\x01\x61u\x01"), PROV_ERR_BAD_MAP },
		{ "a length in two octets", OCTETS("\xa1\x61" "b\x58\x01x"), PROV_ERR_BAD_MAP },
		{ "a value is missing", OCTETS("\xa1\x61u"), PROV_ERR_BAD_MAP },
		{ "a pair is missing", OCTETS("\xa2\x61u\x01"), PROV_ERR_BAD_MAP },
		{ "four thousand million pairs", OCTETS("\xba\xff\xff\xff\xff"), PROV_ERR_BAD_MAP },
		{ "four thousand million octets", OCTETS("\xa1\x61" "b\x5a\xff\xff\xff\xff"), PROV_ERR_BAD_MAP },
		{ "a key of four thousand million octets", OCTETS("\xa1\x7a\xff\xff\xff\xff"), PROV_ERR_BAD_MAP },
		{ "a number past its bound", OCTETS("\xa1\x61u\x1a\x00\x01\x86\xa1"), PROV_ERR_TOO_LONG },
		{ "a string past its bound", OCTETS("\xa1\x61" "b\x45" "12345"), PROV_ERR_TOO_LONG },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct cbor_field f[FIELDS];
		int err = read_map(rows[i].in, rows[i].len, f);
		CHECK(err == rows[i].want, "%s: %d, want %d", rows[i].name, err, rows[i].want);
	}
}

static const char full[] = "\xa4\x61u\x1a\x00\x01\x86\xa0\x61" "b\x44\x00\x01\x02\x03\x64text\x78\x1e"
			   "abcdefghijklmnopqrstuvwxyz1234\x61" "f\xf5";

static void a_map_at_its_bounds_is_read(void)
{
	struct cbor_field f[FIELDS];

	CHECK(read_map(full, sizeof full - 1u, f) == PROV_OK, "refused");
	CHECK(f[U].present && f[U].as.number == 100000, "u");
	CHECK(f[B].present && f[B].as.string.len == 4 && memcmp(f[B].as.string.octets, "\0\1\2\3", 4) == 0, "b");
	CHECK(f[T].present && f[T].as.string.len == 30, "text");
	CHECK(f[F].present, "f");
	CHECK(read_map("\xa0", 1, f) == PROV_OK && !f[U].present && !f[F].present, "the empty map");
}

/* Each prefix ends at the end of its memory, so that a read of one octet too many is detected. */
static void a_map_cut_anywhere_is_refused(void)
{
	for (size_t len = 0; len < sizeof full - 1u; len++) {
		struct cbor_field f[FIELDS];
		uint8_t *in = malloc(len);
		if (len > 0) {
			memcpy(in, full, len);
		}
		CHECK(read_map(in, len, f) == PROV_ERR_BAD_MAP, "%u octets", (unsigned)len);
		free(in);
	}
}

static void every_number_comes_back(void)
{
	static const uint32_t numbers[] = { 0, 1, 23, 24, 255, 256, 65535, 65536, 0x7fffffff, 0x80000000, UINT32_MAX };
	static const size_t lengths[] = { 1, 1, 1, 2, 2, 3, 3, 5, 5, 5, 5 };

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		uint8_t buf[16];
		struct cbor_writer w = { buf, sizeof buf, 0, false };
		struct cbor_field f = { .key = "k", .type = CBOR_UINT, .max = UINT32_MAX };

		prov_cbor_put_map(&w, 1);
		prov_cbor_put_key(&w, "k");
		prov_cbor_put_uint(&w, numbers[i]);
		CHECK(!w.overflow && w.len == 3u + lengths[i], "%u takes %u octets", (unsigned)numbers[i], (unsigned)w.len);
		CHECK(prov_cbor_read_map(buf, w.len, &f, 1) == PROV_OK && f.as.number == numbers[i], "%u", (unsigned)numbers[i]);
	}
}

static void negative_numbers_are_written_as_such(void)
{
	static const struct {
		int32_t value;
		const char *out;
		size_t len;
	} rows[] = {
		{ 0, OCTETS("\x00") },		     { -1, OCTETS("\x20") },
		{ -24, OCTETS("\x37") },	     { -25, OCTETS("\x38\x18") },
		{ -0x2700, OCTETS("\x39\x26\xff") }, { INT32_MIN, OCTETS("\x3a\x7f\xff\xff\xff") },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint8_t buf[8];
		struct cbor_writer w = { buf, sizeof buf, 0, false };
		prov_cbor_put_int(&w, rows[i].value);
		CHECK(w.len == rows[i].len && memcmp(buf, rows[i].out, w.len) == 0, "%d", (int)rows[i].value);
	}
}

static void strings_of_every_length_come_back(void)
{
	static uint8_t octets[700], buf[800];

	for (size_t len = 0; len <= sizeof octets; len += len < 260 ? 1u : 37u) {
		struct cbor_writer w = { buf, sizeof buf, 0, false };
		struct cbor_field f[2] = { { .key = "b", .type = CBOR_BSTR, .max = 700 },
					   { .key = "t", .type = CBOR_TSTR, .max = 9 } };

		octets[len / 2] = (uint8_t)len;
		prov_cbor_put_map(&w, 2);
		prov_cbor_put_key(&w, "b");
		prov_cbor_put_bstr(&w, octets, len);
		prov_cbor_put_key(&w, "t");
		prov_cbor_put_text(&w, "text", 4);
		CHECK(!w.overflow && prov_cbor_read_map(buf, w.len, f, 2) == PROV_OK, "%u octets", (unsigned)len);
		CHECK(f[0].as.string.len == len && memcmp(f[0].as.string.octets, octets, len) == 0, "%u", (unsigned)len);
	}
}

static void a_writer_stops_at_the_end_of_its_buffer(void)
{
	for (size_t size = 0; size < 16; size++) {
		uint8_t buf[16];
		struct cbor_writer w = { buf, size, 0, false };

		memset(buf, 0xee, sizeof buf);
		prov_cbor_put_map(&w, 1);
		prov_cbor_put_key(&w, "key");
		prov_cbor_put_text(&w, "123456789", 9);
		CHECK(w.overflow == (size < 15) && w.len <= size, "%u octets", (unsigned)size);
		for (size_t i = size; i < sizeof buf; i++) {
			CHECK(buf[i] == 0xee, "%u octets: octet %u was written", (unsigned)size, (unsigned)i);
		}
	}
}

const struct test cbor_tests[] = {
	{ "what is not the map is refused by name", refusals_have_their_names },
	{ "a map at all its bounds is read", a_map_at_its_bounds_is_read },
	{ "a map cut after any octet is refused", a_map_cut_anywhere_is_refused },
	{ "every number comes back, in its shortest form", every_number_comes_back },
	{ "negative numbers are written as such", negative_numbers_are_written_as_such },
	{ "strings of every length come back", strings_of_every_length_come_back },
	{ "a writer stops at the end of its buffer", a_writer_stops_at_the_end_of_its_buffer },
	{ 0 },
};
