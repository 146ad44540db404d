/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mbedTLS as Zephyr 4's options configure it for an image without TLS (Kconfig.mbedtls with HALLMARK_HANDSHAKE=n),
 * and after them the module's own header: mbedTLS's check of its configuration must pass.
 */
#define MBEDTLS_ENTROPY_C
#define MBEDTLS_NO_PLATFORM_ENTROPY
#define MBEDTLS_CTR_DRBG_C
#define MBEDTLS_CIPHER_C
#define MBEDTLS_MD_C
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_PK_WRITE_C
#define MBEDTLS_PSA_CRYPTO_C
#define MBEDTLS_PSA_CRYPTO_CONFIG
#define MBEDTLS_USE_PSA_CRYPTO

#include "hallmark_mbedtls.h"
