/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nordic's hw_unique_key library (nRF Connect SDK). The key of the KMU or of CryptoCell
 * stays inside; only a derived key comes out. Label, slot and length are part of the
 * identity. A new chip has no key: the SDK writes a random key once, with
 * CONFIG_HW_UNIQUE_KEY_WRITE_ON_CRYPTO_INIT or by hw_unique_key_write_random().
 */
#include <string.h>

#include <zephyr/logging/log.h>

#include <hw_unique_key.h>
#include <mbedtls/platform_util.h>
#include <psa/crypto.h>

#include "port.h"

LOG_MODULE_DECLARE(hallmark, CONFIG_HALLMARK_LOG_LEVEL);

/* A chip without a key management unit has only the device root key, which the bootloader loads. */
#if defined(CONFIG_SOC_NRF52840)
#define SLOT HUK_KEYSLOT_KDR
#else
#define SLOT HUK_KEYSLOT_MKEK
#endif

#define KEY_SIZE 32u

static const uint8_t label[] = { 'H', 'A', 'L', 'L', 'M', 'A', 'R', 'K', '_', 'H', 'U', 'K' };

int prov_port_huk_open(void *ctx, uint32_t *psa_key_id)
{
	uint8_t key[KEY_SIZE];
	int err;

	if (!hw_unique_key_are_any_written()) {
		LOG_ERR("no hardware unique key has been written to this chip");
		return PROV_ERR_NO_HUK;
	}
	if (hw_unique_key_derive_key(SLOT, NULL, 0, label, sizeof label, key, sizeof key) != 0) {
		LOG_ERR("the hardware unique key cannot be derived from");
		return PROV_ERR_NO_HUK;
	}
	err = prov_port_huk_import(key, sizeof key, psa_key_id);
	mbedtls_platform_zeroize(key, sizeof key);
	return err;
}

void prov_port_huk_close(void *ctx, uint32_t psa_key_id)
{
	(void)psa_destroy_key(psa_key_id); /* destroying a volatile key cannot fail in a way that matters */
}

enum prov_huk_source prov_port_huk_source(void)
{
	return PROV_HUK_VENDOR;
}

size_t prov_port_hardware_id(uint8_t id[PROV_HARDWARE_ID_MAX])
{
	return prov_port_hardware_id_of_silicon(id);
}
