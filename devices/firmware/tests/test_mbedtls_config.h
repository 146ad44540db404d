/* SPDX-License-Identifier: Apache-2.0 */
/* The product's mbedTLS, and what a test needs to be a certification authority. */
#ifndef TEST_MBEDTLS_CONFIG_H
#define TEST_MBEDTLS_CONFIG_H

#include "prov_mbedtls_config.h"

#define MBEDTLS_X509_CRT_WRITE_C

#endif
