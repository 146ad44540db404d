/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The differences between the mbedTLS versions that the core is built with: 3.3
 * (Zephyr 3.4), 3.6 (bare metal, posix, Zephyr 3.7 to 4.3) and 4.1 with
 * TF-PSA-Crypto (later Zephyrs). The core keeps all keys in PSA and takes random
 * numbers from PSA; since version 4.0 there is no other way.
 */
#ifndef PROV_CORE_MBEDTLS_COMPAT_H
#define PROV_CORE_MBEDTLS_COMPAT_H

#include <mbedtls/build_info.h>
#include <mbedtls/pk.h>
#include <mbedtls/psa_util.h>
#if PROV_HANDSHAKE
#include <mbedtls/ssl.h>
#endif
#include <mbedtls/x509_crt.h>
#include <mbedtls/x509_csr.h>

/*
 * The algorithm of the board's keys. Deterministic ECDSA (RFC 6979) where PSA has it: then no random number decides whether a
 * signature gives the private key away. Before 3.6, mbedTLS's TLS and CSR code asks PSA for random ECDSA only.
 */
#if MBEDTLS_VERSION_NUMBER >= 0x03060000 && defined(PSA_WANT_ALG_DETERMINISTIC_ECDSA)
#define COMPAT_KEY_ALGORITHM PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256)
#else
#define COMPAT_KEY_ALGORITHM PSA_ALG_ECDSA(PSA_ALG_SHA_256)
#endif

#if MBEDTLS_VERSION_NUMBER >= 0x04000000
#define COMPAT_SIGNED_BY_ECDSA MBEDTLS_PK_SIGALG_ECDSA
#else
#define COMPAT_SIGNED_BY_ECDSA MBEDTLS_PK_ECDSA
#endif

/* Makes a context for a key that stays in PSA; freeing the context does not destroy the key. Returns 0 or an error of mbedTLS. */
static inline int compat_pk_in_psa(mbedtls_pk_context *key, psa_key_id_t id)
{
#if MBEDTLS_VERSION_NUMBER >= 0x04000000
	return mbedtls_pk_wrap_psa(key, id);
#else
	return mbedtls_pk_setup_opaque(key, id);
#endif
}

/* Writes DER at the end of `out`. Returns its length, or an error of mbedTLS. */
static inline int compat_csr_der(mbedtls_x509write_csr *csr, uint8_t *out, size_t size)
{
#if MBEDTLS_VERSION_NUMBER >= 0x04000000
	return mbedtls_x509write_csr_der(csr, out, size);
#else
	return mbedtls_x509write_csr_der(csr, out, size, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
#endif
}

#if PROV_HANDSHAKE
static inline void compat_ssl_random(mbedtls_ssl_config *config)
{
#if MBEDTLS_VERSION_NUMBER >= 0x04000000
	(void)config;
#else
	mbedtls_ssl_conf_rng(config, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
#endif
}
#endif

#endif
