/* SPDX-License-Identifier: Apache-2.0 */
/* Options of mbedTLS that the core needs and that Zephyr's Kconfig does not have. CONFIG_MBEDTLS_USER_CONFIG_FILE names this file, or a file that includes it. */
#define MBEDTLS_HKDF_C
#define MBEDTLS_HMAC_DRBG_C
#define MBEDTLS_X509_CREATE_C
#define MBEDTLS_X509_CSR_WRITE_C
#define MBEDTLS_AES_FEWER_TABLES
#define MBEDTLS_ECP_WINDOW_SIZE 4
#define MBEDTLS_ECP_FIXED_POINT_OPTIM 1
#define MBEDTLS_PSA_KEY_SLOT_COUNT 16

#if defined(CONFIG_BUILD_WITH_TFM) && defined(CONFIG_MBEDTLS_PSA_CRYPTO_C)
#define MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG /* psa_client.c uses TF-M's random numbers */
#endif

/* A record of the server may have the largest size of TLS; the board's own records are small. */
#undef MBEDTLS_SSL_OUT_CONTENT_LEN
#define MBEDTLS_SSL_OUT_CONTENT_LEN 4096
