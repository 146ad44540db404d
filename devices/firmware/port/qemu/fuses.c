/* SPDX-License-Identifier: Apache-2.0 */
#include "fuses.h"

#include <string.h>

#include <mbedtls/platform_util.h>
#include <psa/crypto.h>

#include <prov/errors.h>

extern uint8_t fuses_start[];

static int blank(const uint8_t *octets, size_t len)
{
	uint8_t any = 0, all = 0xff;

	for (size_t i = 0; i < len; i++) {
		any |= octets[i];
		all &= octets[i];
	}
	return any == 0 || all == 0xff;
}

int fuses_take_huk(uint32_t *psa_key_id)
{
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	psa_key_id_t id = PSA_KEY_ID_NULL;
	psa_status_t status;

	if (blank(fuses_start, FUSES_HUK_SIZE)) {
		return PROV_ERR_NO_HUK;
	}
	psa_set_key_type(&attributes, PSA_KEY_TYPE_DERIVE);
	psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_DERIVE);
	psa_set_key_algorithm(&attributes, PSA_ALG_HKDF(PSA_ALG_SHA_256));
	status = psa_import_key(&attributes, fuses_start, FUSES_HUK_SIZE, &id);
	mbedtls_platform_zeroize(fuses_start, FUSES_HUK_SIZE);
	if (status != PSA_SUCCESS) {
		return PROV_ERR_NO_HUK;
	}
	*psa_key_id = id;
	return PROV_OK;
}

void fuses_read_id(uint8_t id[FUSES_ID_SIZE])
{
	memcpy(id, fuses_start + FUSES_HUK_SIZE, FUSES_ID_SIZE);
}
