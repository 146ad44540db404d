/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of mbedTLS that the core needs and that Kconfig of some Zephyr does not have.
 * CONFIG_MBEDTLS_USER_CONFIG_FILE names this file, or a file of the application that
 * includes it. It changes no sizes: those belong to the application.
 */
#define MBEDTLS_HKDF_C
#define MBEDTLS_HMAC_DRBG_C
#define MBEDTLS_X509_CREATE_C
#define MBEDTLS_X509_CSR_WRITE_C

/* Zephyr has these with TLS only, and a product's image without the handshake has no TLS. */
#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_OID_C
#define MBEDTLS_PK_C
#define MBEDTLS_PK_PARSE_C
#define MBEDTLS_X509_USE_C
#define MBEDTLS_X509_CRT_PARSE_C

#ifndef CONFIG_MBEDTLS_PSA_KEY_SLOT_COUNT /* an option since Zephyr 4.1 */
#define MBEDTLS_PSA_KEY_SLOT_COUNT 16
#endif

#if defined(CONFIG_BUILD_WITH_TFM) && defined(CONFIG_MBEDTLS_PSA_CRYPTO_C)
#define MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG /* psa_client.c uses TF-M's random numbers */
#endif
