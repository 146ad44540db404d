/* SPDX-License-Identifier: Apache-2.0 */
#include "board.h"

#include <string.h>

#include "requests.h"

uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* True if this call of the port must fail. */
static bool failing(struct board *b)
{
	return ++b->calls == b->fail_at || b->off;
}

static int huk_open(void *ctx, uint32_t *id)
{
	struct board *b = ctx;
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;

	psa_set_key_type(&attributes, PSA_KEY_TYPE_DERIVE);
	psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_DERIVE);
	psa_set_key_algorithm(&attributes, PSA_ALG_HKDF(PSA_ALG_SHA_256));
	if (failing(b) || b->huk_missing || psa_import_key(&attributes, b->huk, sizeof b->huk, id) != PSA_SUCCESS) {
		return PROV_ERR_NO_HUK;
	}
	return PROV_OK;
}

static void huk_close(void *ctx, uint32_t id)
{
	(void)ctx;
	(void)psa_destroy_key(id);
}

static int entropy(void *ctx, uint8_t *buf, size_t len)
{
	struct board *b = ctx;

	if (failing(b) || b->entropy_missing) {
		return PROV_ERR_NO_ENTROPY;
	}
	for (size_t i = 0; i < len; i++) {
		buf[i] = (uint8_t)next_random(&b->random);
	}
	return PROV_OK;
}

static int flash_read(void *ctx, uint32_t offset, void *buf, size_t len)
{
	struct board *b = ctx;

	if (failing(b) || offset > BOARD_FLASH || len > BOARD_FLASH - offset) {
		return PROV_ERR_STORE_IO;
	}
	memcpy(buf, b->flash + offset, len);
	return PROV_OK;
}

/* The power goes during the operation: `at` changes towards `to` as far as `tear` says. */
static void tear(struct board *b, uint8_t *at, const uint8_t *to, size_t len)
{
	size_t done = b->tear == TEAR_NOTHING ? 0 : b->tear == TEAR_HALF ? len / 2 : b->tear == TEAR_THREE_QUARTERS ? len * 3 / 4 : len - 1;

	b->off = true;
	for (size_t i = 0; i < len; i++) {
		uint8_t mask = (uint8_t)next_random(&b->random);
		if (b->tear == TEAR_RANDOM_BITS) {
			at[i] = (uint8_t)((at[i] & mask) | (to[i] & ~mask));
		} else if (i < done) {
			at[i] = to[i];
		}
	}
}

static void change(struct board *b, uint8_t *at, const uint8_t *to, size_t len)
{
	if (++b->changes == b->cut_at) {
		tear(b, at, to, len);
	} else if (b->changes != b->deaf_at) {
		memcpy(at, to, len);
	}
}

/* Programs octets. They must be aligned, inside the flash, and erased before. */
static bool programmable(const struct board *b, uint32_t offset, size_t len)
{
	if (offset > BOARD_FLASH || len > BOARD_FLASH - offset || offset % b->port.flash.write_size != 0 ||
	    len % b->port.flash.write_size != 0) {
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		if (b->flash[offset + i] != 0xff) {
			return false;
		}
	}
	return true;
}

static int flash_write(void *ctx, uint32_t offset, const void *buf, size_t len)
{
	struct board *b = ctx;

	if (failing(b)) {
		return PROV_ERR_STORE_IO;
	}
	if (!programmable(b, offset, len)) {
		b->broken_rules++;
		return PROV_ERR_STORE_IO;
	}
	change(b, b->flash + offset, buf, len);
	return b->off ? PROV_ERR_STORE_IO : PROV_OK;
}

static int flash_erase(void *ctx, uint32_t sector)
{
	struct board *b = ctx;
	uint8_t erased[BOARD_LARGE_SECTOR];

	if (failing(b)) {
		return PROV_ERR_STORE_IO;
	}
	if (sector > 1) {
		b->broken_rules++;
		return PROV_ERR_STORE_IO;
	}
	memset(erased, 0xff, sizeof erased);
	change(b, b->flash + sector * b->port.flash.sector_size, erased, b->port.flash.sector_size);
	return b->off ? PROV_ERR_STORE_IO : PROV_OK;
}

static int port_send(void *ctx, const uint8_t *buf, size_t len)
{
	struct board *b = ctx;

	if (failing(b)) {
		return PROV_ERR_INTERNAL;
	}
	if (len > sizeof b->sent - b->sent_len) {
		b->sent_len = 0;
	}
	memcpy(b->sent + b->sent_len, buf, len);
	b->sent_len += len;
	return PROV_OK;
}

static uint32_t uptime_ms(void *ctx)
{
	const struct board *b = ctx;

	return b->uptime;
}

static void port_reboot(void *ctx)
{
	struct board *b = ctx;

	b->reboots++;
}

void board_stop(struct board *b)
{
	if (b->running) {
		(void)prov_free(&b->prov);
		b->running = false;
	}
	mbedtls_psa_crypto_free();
}

void board_make(struct board *b)
{
	board_stop(b);
	memset(b, 0, sizeof *b);
	memset(b->flash, 0xff, sizeof b->flash);
	for (size_t i = 0; i < sizeof b->huk; i++) {
		b->huk[i] = (uint8_t)(i * 7u + 1u);
	}
	b->random = 2463534242u;
	b->port = (struct prov_port){
		.ctx = b,
		.facts = { .board_type = "ram", .firmware_version = "1.2.3", .hardware_id = "serial", .hardware_id_len = 6,
			   .huk_source = PROV_HUK_DEVELOPMENT },
		.flash = { BOARD_SECTOR, 2, 4 },
		.huk_open = huk_open, .huk_close = huk_close, .entropy = entropy,
		.flash_read = flash_read, .flash_write = flash_write, .flash_erase = flash_erase,
		.send = port_send, .uptime_ms = uptime_ms, .reboot = port_reboot,
	};
}

int board_start(struct board *b)
{
	board_stop(b);
	b->off = false;
	b->calls = b->changes = 0;
	b->sent_len = 0;
	b->running = true;
	return prov_init(&b->prov, &b->port);
}

int board_ask(struct board *b, uint8_t command, bool write, const struct cbor_writer *request)
{
	b->answer_len = 0;
	return prov_group_handle(&b->prov, command, write, request->buf, request->len, b->answer, sizeof b->answer,
				 &b->answer_len);
}

int board_write(struct board *b, unsigned slot, const uint8_t *der, size_t len, size_t piece)
{
	int err = PROV_OK;

	for (size_t at = 0; err == PROV_OK && (at == 0 || at < len); at += piece) {
		size_t n = len - at < piece ? len - at : piece;
		struct write_request w = { .slot = slot, .offset = at, .total = len, .whole = der, .data = der + at,
					   .len = n, .commit = at + n == len };
		err = ask_write(b, &w);
	}
	return err;
}
