/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of the provisioning group, PROTOCOL.md section 4. */
#include "core.h"

#include <string.h>

enum { COMMAND_HELLO = 0, COMMAND_CSR = 1, COMMAND_WRITE = 2, COMMAND_READ = 3, COMMAND_TLS = 4, COMMAND_SEAL = 5,
       COMMAND_NET = 6 };

#define PROTOCOL_VERSION 1u
#define IDENTITY_ABI 1u
#define CAN_PROVISION 1u /* bits of `ca` */
#define CAN_NET 2u
#define PURPOSES ((1u << PURPOSE_COUNT) - 1u) /* `pu`: a bit for each */
#define READ_OVERHEAD 32u /* map, keys and numbers around `d` */

static uint32_t stored(const struct store *s)
{
	uint32_t bits = 0;

	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		bits |= s->len[slot] > 0 ? 1u << slot : 0u;
	}
	return bits;
}

static void put_octets(struct cbor_writer *w, const char *key, const uint8_t *octets, size_t len)
{
	cbor_put_key(w, key);
	cbor_put_bstr(w, octets, len);
}

static void put_number(struct cbor_writer *w, const char *key, uint32_t value)
{
	cbor_put_key(w, key);
	cbor_put_uint(w, value);
}

static void put_string(struct cbor_writer *w, const char *key, const char *text)
{
	cbor_put_key(w, key);
	cbor_put_text(w, text, strlen(text));
}

/* TF-M derives another key for each caller, so the caller is part of the identity. */
static bool has_caller(const struct prov_facts *facts)
{
	return facts->huk_source == PROV_HUK_TFM || facts->huk_source == PROV_HUK_TFM_DUMMY;
}

static void put_facts(const struct prov *prov, struct cbor_writer *w)
{
	const struct prov_facts *facts = &prov->port->facts;

	put_number(w, "v", PROTOCOL_VERSION);
	put_octets(w, "hw", facts->hardware_id, facts->hardware_id_len);
	put_string(w, "bt", facts->board_type);
	put_string(w, "fw", facts->firmware_version);
	put_octets(w, "fh", facts->firmware_hash, sizeof facts->firmware_hash);
	put_number(w, "hs", (uint32_t)facts->huk_source);
	put_number(w, "lc", prov->store.sealed ? 1u : 0u);
	put_number(w, "ab", IDENTITY_ABI);
	put_number(w, "pu", PURPOSES);
	put_number(w, "bs", PROV_BUF_SIZE);
	put_number(w, "ca", CAN_PROVISION | (net_offered(prov->port) ? CAN_NET : 0u));
	if (has_caller(facts)) {
		cbor_put_key(w, "dc");
		cbor_put_int(w, facts->huk_caller);
	}
}

static int hello(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w)
{
	struct cbor_field brief = { .key = "b", .type = CBOR_TRUE };
	int err = cbor_read_map(in, len, &brief, 1);

	if (err != PROV_OK) {
		return err;
	}
	cbor_put_map(w, brief.present ? 3u : has_caller(&prov->port->facts) ? 15u : 14u);
	put_octets(w, "id", prov->identity.board_id, BOARD_ID_SIZE);
	put_octets(w, "bi", prov->boot_id, BOOT_ID_SIZE);
	put_number(w, "st", stored(&prov->store));
	if (!brief.present) {
		put_facts(prov, w);
	}
	return PROV_OK;
}

/* Printable ASCII without what RFC 4514 gives a meaning, so that no name can be smuggled into a name. */
static bool plain(const struct cbor_field *f)
{
	for (size_t i = 0; i < f->as.string.len; i++) {
		uint8_t c = f->as.string.octets[i];
		if (c < 0x20 || c > 0x7e || strchr(",+\"\\<>;=#", c) != NULL) {
			return false;
		}
	}
	return true;
}

static int csr(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w)
{
	uint8_t der[SLOT_SIZE];
	size_t der_len;
	struct cbor_field f[] = {
		{ .key = "n", .type = CBOR_BSTR, .max = NONCE_SIZE },
		{ .key = "o", .type = CBOR_TSTR, .max = SUBJECT_MAX },
		{ .key = "ou", .type = CBOR_TSTR, .max = SUBJECT_MAX },
		{ .key = "p", .type = CBOR_UINT, .max = UINT32_MAX },
	};
	int err = cbor_read_map(in, len, f, 4);
	uint32_t purpose = f[3].present ? f[3].as.number : PURPOSE_TLS;

	if (err != PROV_OK) {
		return err;
	}
	if (!f[0].present || !f[1].present || !f[2].present || f[0].as.string.len != NONCE_SIZE || !plain(&f[1]) ||
	    !plain(&f[2]) || purpose >= PURPOSE_COUNT) {
		return PROV_ERR_BAD_MAP;
	}
	err = csr_write(&prov->identity, (enum purpose)purpose, f[0].as.string.octets, &f[1], &f[2], der, sizeof der,
			&der_len);
	if (err == PROV_OK) {
		cbor_put_map(w, 1);
		put_octets(w, "csr", der, der_len);
	}
	return err;
}

enum { S, O, L, H, D, C, WRITE_FIELDS };

static int begin_transfer(struct prov *prov, const struct cbor_field *f)
{
	struct transfer *t = &prov->transfer;

	if (!f[L].present || !f[H].present || f[H].as.string.len != HASH_SIZE) {
		return PROV_ERR_BAD_MAP;
	}
	if (f[L].as.number > SLOT_SIZE) {
		return PROV_ERR_STORE_FULL;
	}
	/* The first piece once more, because its answer was lost, must not forget the others. A longer one is a new try. */
	if (t->open && t->slot == (enum slot)f[S].as.number && t->total == f[L].as.number &&
	    f[D].as.string.len <= t->received && memcmp(t->hash, f[H].as.string.octets, HASH_SIZE) == 0) {
		return PROV_OK;
	}
	t->open = true;
	t->slot = (enum slot)f[S].as.number;
	t->total = f[L].as.number;
	t->received = 0;
	memcpy(t->hash, f[H].as.string.octets, HASH_SIZE);
	return PROV_OK;
}

static int take_piece(struct transfer *t, const struct cbor_field *f)
{
	uint32_t offset = f[O].as.number;
	size_t len = f[D].as.string.len;

	if (!t->open || t->slot != (enum slot)f[S].as.number || offset > t->received) {
		return PROV_ERR_OUT_OF_ORDER;
	}
	if (offset > t->total || len > t->total - offset) {
		return PROV_ERR_TOO_LONG;
	}
	if (offset + len <= t->received) {
		return PROV_OK; /* a repeated piece */
	}
	if (offset != t->received) {
		return PROV_ERR_OUT_OF_ORDER;
	}
	memcpy(t->der + offset, f[D].as.string.octets, len);
	t->received += (uint32_t)len;
	return PROV_OK;
}

static int commit(struct prov *prov)
{
	struct transfer *t = &prov->transfer;
	uint8_t hash[HASH_SIZE];
	size_t len;
	int err = PROV_OK;

	if (t->received != t->total) {
		return PROV_ERR_OUT_OF_ORDER;
	}
	if (psa_hash_compute(PSA_ALG_SHA_256, t->der, t->total, hash, sizeof hash, &len) != PSA_SUCCESS) {
		return PROV_ERR_CRYPTO;
	}
	if (memcmp(hash, t->hash, HASH_SIZE) != 0) {
		t->open = false;
		return PROV_ERR_BAD_HASH;
	}
	if (prov->store.sealed) {
		return store_commit(&prov->store, t->slot, t->der, t->total); /* what is there already, or sealed: nothing to parse */
	}
	err = certificate_check(&prov->store, &prov->identity, t->slot, t->der, t->total);
	return err == PROV_OK ? store_commit(&prov->store, t->slot, t->der, t->total) : err;
}

static int read_write_request(const uint8_t *in, size_t len, struct cbor_field f[WRITE_FIELDS])
{
	int err = cbor_read_map(in, len, f, WRITE_FIELDS);

	if (err != PROV_OK) {
		return err;
	}
	if (!f[S].present || !f[O].present || !f[D].present) {
		return PROV_ERR_BAD_MAP;
	}
	if (f[S].as.number >= SLOT_COUNT) {
		return PROV_ERR_BAD_SLOT;
	}
	if (f[O].as.number != 0 && (f[L].present || f[H].present)) {
		return PROV_ERR_BAD_MAP;
	}
	return PROV_OK;
}

static int write_slot(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w)
{
	struct cbor_field f[WRITE_FIELDS] = {
		[S] = { .key = "s", .type = CBOR_UINT, .max = UINT32_MAX },
		[O] = { .key = "o", .type = CBOR_UINT, .max = SLOT_SIZE },
		[L] = { .key = "l", .type = CBOR_UINT, .max = UINT32_MAX },
		[H] = { .key = "h", .type = CBOR_BSTR, .max = HASH_SIZE },
		[D] = { .key = "d", .type = CBOR_BSTR, .max = PROV_BUF_SIZE },
		[C] = { .key = "c", .type = CBOR_TRUE },
	};
	int err = read_write_request(in, len, f);

	if (err == PROV_OK && f[O].as.number == 0) {
		err = begin_transfer(prov, f);
	}
	if (err == PROV_OK) {
		err = take_piece(&prov->transfer, f);
	}
	if (err == PROV_OK && f[C].present) {
		err = commit(prov);
	}
	if (err == PROV_OK) {
		cbor_put_map(w, 1);
		put_number(w, "o", prov->transfer.received);
	}
	return err;
}

static int read_slot(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w)
{
	struct cbor_field f[] = {
		{ .key = "s", .type = CBOR_UINT, .max = UINT32_MAX },
		{ .key = "o", .type = CBOR_UINT, .max = SLOT_SIZE },
	};
	uint8_t piece[SLOT_SIZE];
	size_t room = w->size - READ_OVERHEAD, n;
	uint32_t total;
	int err = cbor_read_map(in, len, f, 2);

	if (err != PROV_OK || !f[0].present || !f[1].present) {
		return err != PROV_OK ? err : PROV_ERR_BAD_MAP;
	}
	if (f[0].as.number >= SLOT_COUNT) {
		return PROV_ERR_BAD_SLOT;
	}
	if (prov->store.damaged) {
		return PROV_ERR_STORE_IO;
	}
	total = prov->store.len[f[0].as.number];
	if (total == 0) {
		return PROV_ERR_EMPTY;
	}
	if (f[1].as.number > total) {
		return PROV_ERR_OUT_OF_ORDER;
	}
	n = total - f[1].as.number < room ? total - f[1].as.number : room;
	err = store_read(&prov->store, (enum slot)f[0].as.number, f[1].as.number, piece, n);
	if (err == PROV_OK) {
		cbor_put_map(w, 2);
		put_number(w, "l", total);
		put_octets(w, "d", piece, n);
	}
	return err;
}

static int seal(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w)
{
	int err = cbor_read_map(in, len, NULL, 0);

	if (err == PROV_OK) {
		err = store_seal(&prov->store);
	}
	if (err == PROV_OK) {
		cbor_put_map(w, 0);
	}
	return err;
}

typedef int (*handler)(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w);

static const struct {
	handler handle;
	bool write;
} commands[] = {
	[COMMAND_HELLO] = { hello, false }, [COMMAND_CSR] = { csr, false },	  [COMMAND_WRITE] = { write_slot, true },
	[COMMAND_READ] = { read_slot, false }, [COMMAND_TLS] = { tls_handle, true }, [COMMAND_SEAL] = { seal, true },
	[COMMAND_NET] = { net_handle, true },
};

int prov_group_handle(struct prov *prov, uint8_t command, bool write, const uint8_t *in, size_t in_len, uint8_t *out,
		      size_t out_size, size_t *out_len)
{
	struct cbor_writer w = { out, out_size, 0, false };
	int err;

	if (command >= sizeof commands / sizeof *commands || commands[command].write != write ||
	    (command == COMMAND_NET && !net_offered(prov->port))) {
		return PROV_UNKNOWN_COMMAND;
	}
	if (prov->broken != PROV_OK) {
		return prov->broken;
	}
	err = commands[command].handle(prov, in, in_len, &w);
	if (err == PROV_OK && w.overflow) {
		err = PROV_ERR_INTERNAL;
	}
	*out_len = w.len;
	return err;
}
