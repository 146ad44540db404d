/* SPDX-License-Identifier: Apache-2.0 */
/* The board's struct prov_port, filled from Zephyr: facts, flash, entropy, HUK. */
#include <string.h>

#include <zephyr/drivers/entropy.h>
#include <zephyr/drivers/hwinfo.h>
#include <zephyr/kernel.h>
#include <zephyr/linker/linker-defs.h>
#include <zephyr/logging/log.h>

#include <psa/crypto.h>

#include "port.h"

LOG_MODULE_REGISTER(hallmark, CONFIG_HALLMARK_LOG_LEVEL);

BUILD_ASSERT(sizeof(CONFIG_HALLMARK_BOARD_TYPE) - 1 <= PROV_TEXT_MAX, "CONFIG_HALLMARK_BOARD_TYPE is too long");
BUILD_ASSERT(sizeof(CONFIG_HALLMARK_FIRMWARE_VERSION) - 1 <= PROV_TEXT_MAX,
	     "CONFIG_HALLMARK_FIRMWARE_VERSION is too long");

static const struct device *const random = DEVICE_DT_GET(DT_CHOSEN(zephyr_entropy));

static int entropy(void *ctx, uint8_t *buf, size_t len)
{
	if (len > UINT16_MAX || !device_is_ready(random)) {
		return PROV_ERR_NO_ENTROPY;
	}
	return entropy_get_entropy(random, buf, (uint16_t)len) == 0 ? PROV_OK : PROV_ERR_NO_ENTROPY;
}

static uint32_t uptime_ms(void *ctx)
{
	return k_uptime_get_32();
}

static struct prov_port port = {
	.facts = {
		.board_type = CONFIG_HALLMARK_BOARD_TYPE,
		.firmware_version = CONFIG_HALLMARK_FIRMWARE_VERSION,
	},
	.huk_open = prov_port_huk_open,
	.huk_close = prov_port_huk_close,
	.entropy = entropy,
	.flash_read = prov_port_flash_read,
	.flash_write = prov_port_flash_write,
	.flash_erase = prov_port_flash_erase,
	.uptime_ms = uptime_ms,
	.stream = COND_CODE_1(CONFIG_HALLMARK_NETWORK_STREAM, (&prov_port_stream), (NULL)),
	.tls_sockets = COND_CODE_1(CONFIG_HALLMARK_NETWORK_TLS_SOCKETS, (&prov_port_tls_sockets), (NULL)),
};

static K_MUTEX_DEFINE(mutex);
static uint8_t memory[PROV_SIZE] __aligned(8);

struct prov *prov_port_lock(void)
{
	(void)k_mutex_lock(&mutex, K_FOREVER); /* held for at most one command */
	return (struct prov *)memory;
}

/* Ends a session whose station is silent. The system's work queue calls it. */
static void poll_core(struct k_work *work);
static K_WORK_DELAYABLE_DEFINE(polling, poll_core);

static void poll_core(struct k_work *work)
{
	if (k_mutex_lock(&mutex, K_NO_WAIT) == 0) {
		prov_port_unlock(); /* polls */
	} else {
		(void)k_work_schedule(&polling, K_MSEC(100)); /* a command is under way */
	}
}

void prov_port_unlock(void)
{
	uint32_t ms = prov_poll((struct prov *)memory);

	if (ms != UINT32_MAX) {
		(void)k_work_reschedule(&polling, K_MSEC(ms));
	}
	(void)k_mutex_unlock(&mutex);
}

/* TF-M's crypto partition accepts no larger piece. */
#define HASH_PIECE ((size_t)1024)

/*
 * The image: code, constants, and the initial values of data. On some chips (ESP32) they
 * are no single piece in the address space, so each is hashed by its own symbols. An image
 * that runs in RAM has no second copy of the initial values.
 */
static const struct {
	const char *start, *end;
} image[] = {
	{ __text_region_start, __text_region_end },
	{ __rodata_region_start, __rodata_region_end },
#ifdef CONFIG_XIP
	{ __data_region_load_start, NULL }, /* as long as the data itself */
#endif
};

static psa_status_t hash_pieces(psa_hash_operation_t *op, const char *start, size_t left)
{
	const uint8_t *at = (const uint8_t *)start;
	psa_status_t status = PSA_SUCCESS;

	while (status == PSA_SUCCESS && left > 0) {
		size_t n = MIN(left, HASH_PIECE);

		status = psa_hash_update(op, at, n);
		at += n;
		left -= n;
	}
	return status;
}

/* After an error the hash is all zero. */
static void hash_image(uint8_t hash[32])
{
	psa_hash_operation_t op = PSA_HASH_OPERATION_INIT;
	psa_status_t status = psa_hash_setup(&op, PSA_ALG_SHA_256);
	size_t len;

	for (size_t i = 0; status == PSA_SUCCESS && i < ARRAY_SIZE(image); i++) {
		len = image[i].end != NULL ? (size_t)(image[i].end - image[i].start) :
					     (size_t)(__data_region_end - __data_region_start);
		status = hash_pieces(&op, image[i].start, len);
	}
	if (status == PSA_SUCCESS) {
		status = psa_hash_finish(&op, hash, 32, &len);
	}
	(void)psa_hash_abort(&op);
	if (status != PSA_SUCCESS) {
		memset(hash, 0, 32);
	}
}

void prov_port_start(void)
{
	int err;

	port.facts.hardware_id_len = MAX(prov_port_hardware_id(port.facts.hardware_id), 1u); /* no id: one octet 0 (PROTOCOL.md section 4) */
	if (prov_port_flash_init(&port.flash) != PROV_OK) {
		LOG_ERR("hallmark_partition cannot be used: every command that needs the store is refused");
	}
	if (psa_crypto_init() == PSA_SUCCESS) {
		hash_image(port.facts.firmware_hash);
	}
	err = prov_init((struct prov *)memory, &port);
	port.facts.huk_source = prov_port_huk_source();
	if (IS_ENABLED(CONFIG_HALLMARK_HUK_TFM)) {
		port.facts.huk_caller = prov_port_huk_caller();
	}
	if (err != PROV_OK) {
		LOG_ERR("no identity (%d): every command of the group is refused", err);
	}
}
