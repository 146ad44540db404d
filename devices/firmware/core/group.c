/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of the provisioning group (PROTOCOL.md section 4). */
#include "core.h"

#include <string.h>

enum { COMMAND_HELLO = 0, COMMAND_CSR = 1, COMMAND_WRITE = 2, COMMAND_READ = 3, COMMAND_TLS = 4, COMMAND_SEAL = 5,
       COMMAND_NET = 6, COMMAND_RECEIPT = 7, COMMAND_UPDATE = 8 };

#define PROTOCOL_NEWEST 2u
#define PROTOCOL_OLDEST 1u /* of a station that names no version */
#define IDENTITY_ABI 1u
#define CAN_PROVISION (PROV_PROVISIONING ? 1u : 0u) /* bits of `ca` */
#define CAN_NET 2u
#define CAN_RECEIPT 4u
#define CAN_UPDATE (PROV_UPDATE ? 8u : 0u)
#define PURPOSES ((1u << PURPOSE_COUNT) - 1u) /* `pu`: one bit for each purpose */
#define READ_OVERHEAD 32u /* octets of map, keys and numbers around `d` */

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
	prov_cbor_put_key(w, key);
	prov_cbor_put_bstr(w, octets, len);
}

static void put_number(struct cbor_writer *w, const char *key, uint32_t value)
{
	prov_cbor_put_key(w, key);
	prov_cbor_put_uint(w, value);
}

static void put_string(struct cbor_writer *w, const char *key, const char *text)
{
	prov_cbor_put_key(w, key);
	prov_cbor_put_text(w, text, strlen(text));
}

bool prov_has_caller(const struct prov_facts *facts)
{
	return facts->huk_source == PROV_HUK_TFM || facts->huk_source == PROV_HUK_TFM_DUMMY;
}

enum life_cycle prov_life_cycle(const struct store *s)
{
	return s->damaged ? LIFE_DAMAGED : prov_store_sealed(s) ? LIFE_SEALED : LIFE_OPEN;
}

static bool net_offered(const struct prov *prov)
{
	return PROV_HANDSHAKE && (prov->port->stream != NULL || prov->port->tls_sockets != NULL);
}

static void put_facts(const struct prov *prov, uint32_t version, struct cbor_writer *w)
{
	const struct prov_facts *facts = &prov->port->facts;

	put_number(w, "v", version);
	put_octets(w, "hw", facts->hardware_id, facts->hardware_id_len);
	put_string(w, "bt", facts->board_type);
	put_string(w, "fw", facts->firmware_version);
	put_octets(w, "fh", facts->firmware_hash, sizeof facts->firmware_hash);
	put_number(w, "hs", (uint32_t)facts->huk_source);
	put_number(w, "lc", (uint32_t)prov_life_cycle(&prov->store));
	put_number(w, "ab", IDENTITY_ABI);
	put_number(w, "pu", PURPOSES);
	put_number(w, "bs", PROV_BUF_SIZE);
	put_number(w, "ca", CAN_RECEIPT | CAN_UPDATE | CAN_PROVISION | (net_offered(prov) ? CAN_NET : 0u));
	if (prov_has_caller(facts)) {
		prov_cbor_put_key(w, "dc");
		prov_cbor_put_int(w, facts->huk_caller);
	}
}

static int hello(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w)
{
	struct cbor_field f[] = {
		{ .key = "b", .type = CBOR_TRUE },
		{ .key = "v", .type = CBOR_UINT, .max = UINT32_MAX },
	};
	int err = prov_cbor_read_map(in, len, f, 2);
	const bool brief = f[0].present;
	uint32_t version = f[1].present ? f[1].as.number : PROTOCOL_OLDEST;

	if (err != PROV_OK || version == 0) {
		return err != PROV_OK ? err : PROV_ERR_BAD_MAP;
	}
	version = version < PROTOCOL_NEWEST ? version : PROTOCOL_NEWEST;
	if (!brief && version == 1u && prov->store.damaged) {
		return PROV_ERR_STORE_IO; /* version 1 has no life cycle for it, and "open" would be wrong */
	}
	prov_cbor_put_map(w, brief ? 3u : prov_has_caller(&prov->port->facts) ? 15u : 14u);
	put_octets(w, "id", prov->identity.board_id, BOARD_ID_SIZE);
	put_octets(w, "bi", prov->boot_id, BOOT_ID_SIZE);
	put_number(w, "st", stored(&prov->store));
	if (!brief) {
		put_facts(prov, version, w);
	}
	return PROV_OK;
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
	int err = prov_cbor_read_map(in, len, f, 2);

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
	err = prov_store_read(&prov->store, (enum slot)f[0].as.number, f[1].as.number, piece, n);
	if (err == PROV_OK) {
		prov_cbor_put_map(w, 2);
		put_number(w, "l", total);
		put_octets(w, "d", piece, n);
	}
	return err;
}

typedef int (*handler)(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w);

static const struct {
	handler handle;
	bool write;
} commands[] = {
	[COMMAND_HELLO] = { hello, false }, [COMMAND_READ] = { read_slot, false },
	[COMMAND_RECEIPT] = { prov_receipt_handle, false },
#if PROV_HANDSHAKE
	[COMMAND_TLS] = { prov_tls_handle, true }, [COMMAND_NET] = { prov_net_handle, true },
#endif
#if PROV_PROVISIONING
	[COMMAND_CSR] = { prov_provision_csr, false }, [COMMAND_WRITE] = { prov_transfer_write, true },
	[COMMAND_SEAL] = { prov_provision_seal, true },
#endif
#if PROV_UPDATE
	[COMMAND_UPDATE] = { prov_transfer_update, true },
#endif
};

/*
 * TLS sockets may run in another thread, and PSA need not be thread-safe. So every
 * command that computes ends a visit first, and so does one that changes the store. tls
 * and net end the session before by themselves, when they open one.
 */
static bool ends_visit(uint8_t command)
{
	return command != COMMAND_NET && command != COMMAND_HELLO && command != COMMAND_READ;
}

int prov_group_handle(struct prov *prov, uint8_t command, bool write, const uint8_t *in, size_t in_len, uint8_t *out,
		      size_t out_size, size_t *out_len)
{
	struct cbor_writer w = { out, out_size, 0, false };
	int err;

	if (command >= sizeof commands / sizeof *commands || commands[command].handle == NULL ||
	    commands[command].write != write ||
	    (command == COMMAND_NET && !net_offered(prov))) {
		return PROV_UNKNOWN_COMMAND;
	}
	if (prov->broken != PROV_OK) {
		return prov->broken;
	}
	(void)prov_poll(prov); /* a session that was silent too long has ended, whenever the port calls prov_poll */
	err = ends_visit(command) ? prov_session_yield(prov) : PROV_OK;
	if (err == PROV_OK) {
		err = commands[command].handle(prov, in, in_len, &w);
	}
	if (err == PROV_OK && w.overflow) {
		err = PROV_ERR_INTERNAL;
	}
	*out_len = w.len;
	return err;
}
