/* SPDX-License-Identifier: Apache-2.0 */
/* mbedTLS of the provisioning image: little memory. A product chooses its own values. */
#include "hallmark_mbedtls.h"

#define MBEDTLS_AES_FEWER_TABLES
#define MBEDTLS_ECP_WINDOW_SIZE 4
#define MBEDTLS_ECP_FIXED_POINT_OPTIM 1

/* A record of the server may have the largest size of TLS; the board's own records are small. */
#undef MBEDTLS_SSL_OUT_CONTENT_LEN
#define MBEDTLS_SSL_OUT_CONTENT_LEN 4096
