/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that several providers of the hardware unique key use. */
#include <zephyr/drivers/hwinfo.h>

#include <psa/crypto.h>

#include "port.h"

int prov_port_huk_import(const uint8_t *octets, size_t len, uint32_t *psa_key_id)
{
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	psa_key_id_t id = PSA_KEY_ID_NULL;

	psa_set_key_type(&attributes, PSA_KEY_TYPE_DERIVE);
	psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_DERIVE);
	psa_set_key_algorithm(&attributes, PSA_ALG_HKDF(PSA_ALG_SHA_256));
	if (psa_import_key(&attributes, octets, len, &id) != PSA_SUCCESS) {
		return PROV_ERR_NO_HUK;
	}
	*psa_key_id = id;
	return PROV_OK;
}

size_t prov_port_hardware_id_of_silicon(uint8_t id[PROV_HARDWARE_ID_MAX])
{
	ssize_t len = IS_ENABLED(CONFIG_HWINFO) ? hwinfo_get_device_id(id, PROV_HARDWARE_ID_MAX) : 0;

	return len > 0 ? (size_t)len : 0;
}
