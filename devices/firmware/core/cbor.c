/* SPDX-License-Identifier: Apache-2.0 */
#include "cbor.h"

#include <string.h>

#include <prov/errors.h>

/* Major types (RFC 8949 section 3.1). */
enum { MAJOR_UINT = 0, MAJOR_NINT = 1, MAJOR_BSTR = 2, MAJOR_TSTR = 3, MAJOR_ARRAY = 4, MAJOR_MAP = 5, MAJOR_SIMPLE = 7 };
enum { SIMPLE_FALSE = 20, SIMPLE_TRUE = 21 };

struct reader {
	const uint8_t *at;
	const uint8_t *end;
};

/* An argument has 1, 2 or 4 octets after the initial octet, and no more than it needs. */
static int read_argument(struct reader *r, uint8_t info, uint32_t *argument)
{
	static const uint32_t shortest[] = { 24u, 0x100u, 0x10000u };
	size_t octets;

	if (info < 24u) {
		*argument = info;
		return PROV_OK;
	}
	if (info > 26u) {
		return PROV_ERR_BAD_MAP;
	}
	octets = (size_t)1 << (info - 24u);
	if ((size_t)(r->end - r->at) < octets) {
		return PROV_ERR_BAD_MAP;
	}
	*argument = 0;
	while (octets-- > 0) {
		*argument = *argument << 8 | *r->at++;
	}
	return *argument >= shortest[info - 24u] ? PROV_OK : PROV_ERR_BAD_MAP;
}

static int read_head(struct reader *r, uint8_t *major, uint32_t *argument)
{
	uint8_t initial;

	if (r->at == r->end) {
		return PROV_ERR_BAD_MAP;
	}
	initial = *r->at++;
	*major = initial >> 5;
	return read_argument(r, initial & 0x1fu, argument);
}

static int read_octets(struct reader *r, size_t len, const uint8_t **octets)
{
	if ((size_t)(r->end - r->at) < len) {
		return PROV_ERR_BAD_MAP;
	}
	*octets = r->at;
	r->at += len;
	return PROV_OK;
}

static struct cbor_field *field_of(const uint8_t *key, size_t len, struct cbor_field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strlen(fields[i].key) == len && memcmp(fields[i].key, key, len) == 0) {
			return &fields[i];
		}
	}
	return NULL;
}

static int read_key(struct reader *r, struct cbor_field *fields, size_t count, struct cbor_field **field)
{
	uint8_t major;
	uint32_t len;
	const uint8_t *key;
	int err = read_head(r, &major, &len);

	if (err == PROV_OK && major != MAJOR_TSTR) {
		err = PROV_ERR_BAD_MAP;
	}
	if (err == PROV_OK) {
		err = read_octets(r, len, &key);
	}
	if (err != PROV_OK) {
		return err;
	}
	*field = field_of(key, len, fields, count);
	if (*field == NULL || (*field)->present) {
		return PROV_ERR_BAD_MAP;
	}
	(*field)->present = true;
	return PROV_OK;
}

static int read_string(struct reader *r, uint32_t len, struct cbor_field *field)
{
	int err = read_octets(r, len, &field->as.string.octets);

	field->as.string.len = len;
	if (err == PROV_OK && len > field->max) {
		err = PROV_ERR_TOO_LONG;
	}
	return err;
}

static int read_value(struct reader *r, struct cbor_field *field)
{
	static const uint8_t majors[] = { MAJOR_UINT, MAJOR_BSTR, MAJOR_TSTR, MAJOR_SIMPLE };
	uint8_t major;
	uint32_t argument;
	int err = read_head(r, &major, &argument);

	if (err != PROV_OK || major != majors[field->type]) {
		return PROV_ERR_BAD_MAP;
	}
	switch (field->type) {
	case CBOR_UINT:
		field->as.number = argument;
		return argument <= field->max ? PROV_OK : PROV_ERR_TOO_LONG;
	case CBOR_TRUE:
		return argument == SIMPLE_TRUE ? PROV_OK : PROV_ERR_BAD_MAP;
	default:
		return read_string(r, argument, field);
	}
}

int prov_cbor_read_map(const uint8_t *in, size_t len, struct cbor_field *fields, size_t count)
{
	struct reader r = { in, in + len };
	struct cbor_field *field;
	uint8_t major;
	uint32_t pairs;
	int err = read_head(&r, &major, &pairs);

	if (err != PROV_OK || major != MAJOR_MAP) {
		return PROV_ERR_BAD_MAP;
	}
	for (size_t i = 0; i < count; i++) {
		fields[i].present = false;
	}
	while (err == PROV_OK && pairs-- > 0) {
		err = read_key(&r, fields, count, &field);
		if (err == PROV_OK) {
			err = read_value(&r, field);
		}
	}
	if (err == PROV_OK && r.at != r.end) {
		err = PROV_ERR_BAD_MAP;
	}
	return err;
}

static void put(struct cbor_writer *w, const void *octets, size_t len)
{
	if (w->overflow || len > w->size - w->len) {
		w->overflow = true;
		return;
	}
	if (len > 0) {
		memmove(w->buf + w->len, octets, len); /* an echo is written over itself */
	}
	w->len += len;
}

static void put_head(struct cbor_writer *w, uint8_t major, uint32_t argument)
{
	uint8_t head[5];
	uint8_t extra = argument < 24u ? 0 : argument < 0x100u ? 1 : argument < 0x10000u ? 2 : 4;
	uint32_t info = extra == 0 ? argument : extra == 1 ? 24u : extra == 2 ? 25u : 26u;

	head[0] = (uint8_t)((uint32_t)major << 5 | info);
	for (uint8_t i = 0; i < extra; i++) {
		head[1 + i] = (uint8_t)(argument >> 8 * (extra - 1 - i));
	}
	put(w, head, 1u + extra);
}

void prov_cbor_put_array(struct cbor_writer *w, uint32_t items)
{
	put_head(w, MAJOR_ARRAY, items);
}

void prov_cbor_put_map(struct cbor_writer *w, uint32_t pairs)
{
	put_head(w, MAJOR_MAP, pairs);
}

void prov_cbor_put_key(struct cbor_writer *w, const char *key)
{
	prov_cbor_put_text(w, key, strlen(key));
}

void prov_cbor_put_uint(struct cbor_writer *w, uint32_t value)
{
	put_head(w, MAJOR_UINT, value);
}

void prov_cbor_put_int(struct cbor_writer *w, int32_t value)
{
	if (value < 0) {
		put_head(w, MAJOR_NINT, (uint32_t)(-(value + 1)));
	} else {
		put_head(w, MAJOR_UINT, (uint32_t)value);
	}
}

void prov_cbor_put_bool(struct cbor_writer *w, bool value)
{
	put_head(w, MAJOR_SIMPLE, value ? SIMPLE_TRUE : SIMPLE_FALSE);
}

void prov_cbor_put_bstr(struct cbor_writer *w, const uint8_t *octets, size_t len)
{
	put_head(w, MAJOR_BSTR, (uint32_t)len);
	put(w, octets, len);
}

void prov_cbor_put_text(struct cbor_writer *w, const char *text, size_t len)
{
	put_head(w, MAJOR_TSTR, (uint32_t)len);
	put(w, text, len);
}
