/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TF-M's built-in key. TF-M gives no caller the key of the fuses. It gives each caller a
 * different key: HKDF-SHA256(HUK, no salt, owner id), see "Multi-partition key
 * derivation" in its docs/design_docs/tfm_builtin_keys.rst. So the owner is part of the
 * identity, and hello reports it.
 *
 * This code runs on the non-secure side. Other code there can derive the same keys by
 * the same calls: TF-M keeps the key out of their RAM, and lets them use it.
 */
#include <string.h>

#include <zephyr/logging/log.h>
#include <zephyr/sys/byteorder.h>
#include <zephyr/sys/util.h>

#include <mbedtls/platform_util.h>
#include <psa/crypto.h>
#include <tfm_builtin_key_ids.h>

#include "port.h"

LOG_MODULE_DECLARE(hallmark, CONFIG_HALLMARK_LOG_LEVEL);

#define KEY_SIZE 32u

static const char probe_label[] = "HALLMARK_DUMMY_PROBE";

/* The HUK that TF-M's dummy provisioning writes (platform/ext/common/provisioning.c). */
static const uint8_t dummy_huk[KEY_SIZE] = {
	0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,
	0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,
};

#define UNKNOWN_OWNER 0 /* TF-M gives no caller this id */

/* Kconfig's owner first, then the owner ids that TF-M 1 and 2 use for a non-secure side without ids. */
static const int32_t owners[] = { CONFIG_HALLMARK_TFM_OWNER, -1, -0x3c000000 };

static enum prov_huk_source source = PROV_HUK_TFM;
static int32_t caller = CONFIG_HALLMARK_TFM_OWNER;

static psa_status_t expand(psa_key_id_t key, const uint8_t *info, size_t info_len, uint8_t out[KEY_SIZE])
{
	psa_key_derivation_operation_t op = PSA_KEY_DERIVATION_OPERATION_INIT;
	psa_status_t status = psa_key_derivation_setup(&op, PSA_ALG_HKDF(PSA_ALG_SHA_256));

	if (status == PSA_SUCCESS) {
		status = psa_key_derivation_input_key(&op, PSA_KEY_DERIVATION_INPUT_SECRET, key);
	}
	if (status == PSA_SUCCESS) {
		status = psa_key_derivation_input_bytes(&op, PSA_KEY_DERIVATION_INPUT_INFO, info, info_len);
	}
	if (status == PSA_SUCCESS) {
		status = psa_key_derivation_output_bytes(&op, out, KEY_SIZE);
	}
	(void)psa_key_derivation_abort(&op);
	return status;
}

/* Derives as TF-M does, from octets instead of the fuses. */
static psa_status_t expand_octets(const uint8_t octets[KEY_SIZE], const void *info, size_t info_len,
				  uint8_t out[KEY_SIZE])
{
	uint32_t key;
	psa_status_t status;

	if (prov_port_huk_import(octets, KEY_SIZE, &key) != PROV_OK) {
		return PSA_ERROR_GENERIC_ERROR;
	}
	status = expand(key, info, info_len, out);
	(void)psa_destroy_key(key);
	return status;
}

/* The probe's result if the fuses hold the dummy HUK and TF-M takes the caller for this owner. */
static psa_status_t expected_of_dummy(int32_t owner, uint8_t out[KEY_SIZE])
{
	uint8_t info[4], key[KEY_SIZE];
	psa_status_t status;

	sys_put_le32((uint32_t)owner, info);
	status = expand_octets(dummy_huk, info, sizeof info, key);
	return status == PSA_SUCCESS ? expand_octets(key, probe_label, sizeof probe_label - 1, out) : status;
}

/*
 * True if the built-in key derives the same value as the dummy HUK. This asks the key
 * itself, so it does not depend on Kconfig.
 */
static psa_status_t detect_dummy(bool *dummy)
{
	uint8_t mine[KEY_SIZE], known[KEY_SIZE];
	psa_status_t status =
		expand(TFM_BUILTIN_KEY_ID_HUK, (const uint8_t *)probe_label, sizeof probe_label - 1, mine);

	*dummy = false;
	for (size_t i = 0; status == PSA_SUCCESS && !*dummy && i < ARRAY_SIZE(owners); i++) {
		status = expected_of_dummy(owners[i], known);
		if (status == PSA_SUCCESS && memcmp(mine, known, KEY_SIZE) == 0) {
			*dummy = true;
			caller = owners[i];
		}
	}
	mbedtls_platform_zeroize(mine, sizeof mine);
	return status;
}

int prov_port_huk_open(void *ctx, uint32_t *psa_key_id)
{
	bool dummy;
	psa_status_t status = detect_dummy(&dummy);

	if (status != PSA_SUCCESS) {
		LOG_ERR("TF-M's built-in key cannot be used (%d)", (int)status);
		return PROV_ERR_NO_HUK;
	}
	if (dummy || IS_ENABLED(CONFIG_TFM_DUMMY_PROVISIONING)) {
		LOG_WRN("TF-M DUMMY PROVISIONING: everybody can be this board. Not for production.");
		source = PROV_HUK_TFM_DUMMY;
	}
	if (caller == UNKNOWN_OWNER) {
		LOG_ERR("this TF-M does not show which owner id the keys belong to: run the image on a board with "
			"dummy provisioning, and set CONFIG_HALLMARK_TFM_OWNER to the id that its log names");
		return PROV_ERR_NO_HUK;
	}
	if (CONFIG_HALLMARK_TFM_OWNER != UNKNOWN_OWNER && caller != CONFIG_HALLMARK_TFM_OWNER) {
		LOG_ERR("CONFIG_HALLMARK_TFM_OWNER is %d, but TF-M takes this caller for %d: hello would report another "
			"owner than the identity has", CONFIG_HALLMARK_TFM_OWNER, (int)caller);
		return PROV_ERR_NO_HUK;
	}
	if (CONFIG_HALLMARK_TFM_OWNER == UNKNOWN_OWNER) {
		LOG_WRN("TF-M takes this caller for %d: set CONFIG_HALLMARK_TFM_OWNER to it", (int)caller);
	}
	*psa_key_id = TFM_BUILTIN_KEY_ID_HUK;
	return PROV_OK;
}

void prov_port_huk_close(void *ctx, uint32_t psa_key_id)
{
	/* the key belongs to TF-M */
}

enum prov_huk_source prov_port_huk_source(void)
{
	return source;
}

int32_t prov_port_huk_caller(void)
{
	return caller;
}

size_t prov_port_hardware_id(uint8_t id[PROV_HARDWARE_ID_MAX])
{
	return prov_port_hardware_id_of_silicon(id);
}
