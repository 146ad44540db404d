/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of mbedTLS's own PSA core, which is not linked where TF-M provides PSA. The
 * key attributes of mbedTLS and of TF-M begin with the same fields and differ only
 * behind them, so callers may be compiled with either header.
 */
#include <mbedtls/build_info.h>
#include <psa/crypto.h>

/* mbedTLS 3.6 has both functions where only a client of PSA is linked. */
#if MBEDTLS_VERSION_NUMBER < 0x03060000
#include <mbedtls/entropy.h>
#include <mbedtls/psa_util.h>

int mbedtls_psa_get_random(void *state, unsigned char *output, size_t len)
{
	return psa_generate_random(output, len) == PSA_SUCCESS ? 0 : MBEDTLS_ERR_ENTROPY_SOURCE_FAILED;
}

/* Domain parameters do not exist for keys on a curve. */
psa_status_t psa_set_key_domain_parameters(psa_key_attributes_t *attributes, psa_key_type_t type, const uint8_t *data,
					   size_t len)
{
	return PSA_ERROR_NOT_SUPPORTED;
}
#endif
