/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CBOR (RFC 8949) of PROTOCOL.md: one map with short text keys and values that
 * are not nested. Lengths are definite, integers are the shortest, and there are no
 * tags. Everything else is refused.
 */
#ifndef PROV_CORE_CBOR_H
#define PROV_CORE_CBOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cbor_type { CBOR_UINT, CBOR_BSTR, CBOR_TSTR, CBOR_TRUE };

/* One key that a request may have. `max` limits a string in octets and a number in value. CBOR_TRUE is either true or absent. */
struct cbor_field {
	const char *key;
	enum cbor_type type;
	uint32_t max;
	bool present; /* output */
	union {
		uint32_t number;
		struct {
			const uint8_t *octets; /* points into the request */
			size_t len;
		} string;
	} as; /* output */
};

/*
 * Reads exactly one map. PROV_ERR_BAD_MAP: a key is not one of the fields, or occurs
 * twice, or a value has another type. PROV_ERR_TOO_LONG: a value is larger than
 * its max. The caller checks which keys are required.
 */
int prov_cbor_read_map(const uint8_t *in, size_t len, struct cbor_field *fields, size_t count);

/* Writes to a buffer. The first octet that does not fit sets `overflow`, and nothing is written after it. */
struct cbor_writer {
	uint8_t *buf;
	size_t size;
	size_t len;
	bool overflow;
};

void prov_cbor_put_map(struct cbor_writer *w, uint32_t pairs);
void prov_cbor_put_array(struct cbor_writer *w, uint32_t items);
void prov_cbor_put_key(struct cbor_writer *w, const char *key);
void prov_cbor_put_uint(struct cbor_writer *w, uint32_t value);
void prov_cbor_put_int(struct cbor_writer *w, int32_t value);
void prov_cbor_put_bool(struct cbor_writer *w, bool value);
void prov_cbor_put_bstr(struct cbor_writer *w, const uint8_t *octets, size_t len);
void prov_cbor_put_text(struct cbor_writer *w, const char *text, size_t len);

#endif
