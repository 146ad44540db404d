/* SPDX-License-Identifier: Apache-2.0 */
/* The product's mbedTLS, what a test needs to be a certification authority, and memory that the sanitizers watch. */
#ifndef TEST_MBEDTLS_CONFIG_H
#define TEST_MBEDTLS_CONFIG_H

#include "prov_mbedtls_config.h"

#define MBEDTLS_X509_CRT_WRITE_C
#undef MBEDTLS_MEMORY_BUFFER_ALLOC_C

#endif
