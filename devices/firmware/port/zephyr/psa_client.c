/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What mbedTLS has in its own PSA core, which is not linked where TF-M does PSA.
 * mbedTLS's headers and TF-M's differ behind the fields that both have, and both
 * begin with those, so callers may be compiled with either.
 */
#include <mbedtls/build_info.h>
#include <psa/crypto.h>

/* mbedTLS 3.6 has both where there is but a client of PSA. */
#if MBEDTLS_VERSION_NUMBER < 0x03060000
#include <mbedtls/entropy.h>
#include <mbedtls/psa_util.h>

int mbedtls_psa_get_random(void *state, unsigned char *output, size_t len)
{
	return psa_generate_random(output, len) == PSA_SUCCESS ? 0 : MBEDTLS_ERR_ENTROPY_SOURCE_FAILED;
}

/* For domain parameters, which no key of a curve has. */
psa_status_t psa_set_key_domain_parameters(psa_key_attributes_t *attributes, psa_key_type_t type, const uint8_t *data,
					   size_t len)
{
	return PSA_ERROR_NOT_SUPPORTED;
}
#endif
