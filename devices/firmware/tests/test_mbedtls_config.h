/* SPDX-License-Identifier: Apache-2.0 */
/* The product's configuration of mbedTLS, with certificate writing for the test CA and with memory that the sanitizers check. */
#ifndef TEST_MBEDTLS_CONFIG_H
#define TEST_MBEDTLS_CONFIG_H

#include "prov_mbedtls_config.h"

#define MBEDTLS_X509_CRT_WRITE_C
#undef MBEDTLS_MEMORY_BUFFER_ALLOC_C

#endif
