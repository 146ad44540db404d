/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of mbedTLS 3.6 for every port that builds mbedTLS itself: PSA
 * with HKDF and P-256, CSR writing, certificate parsing, and a client for TLS 1.2
 * and 1.3. One curve, one hash and two cipher suites keep the ClientHello short.
 */
#ifndef PROV_MBEDTLS_CONFIG_H
#define PROV_MBEDTLS_CONFIG_H

/* System. Entropy comes from the port, through mbedtls_hardware_poll (core/entropy.c). */
#define MBEDTLS_PLATFORM_C
#define MBEDTLS_NO_PLATFORM_ENTROPY
#define MBEDTLS_ENTROPY_HARDWARE_ALT
#define MBEDTLS_ENTROPY_C
#define MBEDTLS_CTR_DRBG_C
#define MBEDTLS_HAVE_ASM
#define MBEDTLS_AES_FEWER_TABLES

/* The memory is one static buffer (core/prov.c), so its size is known at build time. */
#define MBEDTLS_PLATFORM_MEMORY
#define MBEDTLS_MEMORY_BUFFER_ALLOC_C

/* PSA. */
#define MBEDTLS_PSA_CRYPTO_C
#define MBEDTLS_USE_PSA_CRYPTO
#define MBEDTLS_PSA_CRYPTO_CONFIG
#define MBEDTLS_PSA_KEY_SLOT_COUNT 16
#define MBEDTLS_PSA_ASSUME_EXCLUSIVE_BUFFERS /* one thread: no buffer changes during a call, so PSA need not copy it */

/* Options of the built-in drivers that PSA's configuration (prov_psa_config.h) selects. */
#define MBEDTLS_ECP_WINDOW_SIZE 4
#define MBEDTLS_ECP_FIXED_POINT_OPTIM 1
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_CIPHER_C
#define MBEDTLS_MD_C

/* X.509. */
#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_OID_C
#define MBEDTLS_PK_C
#define MBEDTLS_PK_PARSE_C
#define MBEDTLS_PK_WRITE_C
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_X509_USE_C
#define MBEDTLS_X509_CRT_PARSE_C
#define MBEDTLS_X509_CREATE_C
#define MBEDTLS_X509_CSR_WRITE_C

/* TLS client. Incoming records have the full size of TLS, because the server chooses it. */
#define MBEDTLS_SSL_TLS_C
#define MBEDTLS_SSL_CLI_C
#define MBEDTLS_SSL_PROTO_TLS1_2
#define MBEDTLS_SSL_PROTO_TLS1_3
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ENABLED
#define MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED
#define MBEDTLS_SSL_EXTENDED_MASTER_SECRET
#define MBEDTLS_SSL_SERVER_NAME_INDICATION
#define MBEDTLS_SSL_KEEP_PEER_CERTIFICATE
#define MBEDTLS_SSL_IN_CONTENT_LEN 16384
#define MBEDTLS_SSL_OUT_CONTENT_LEN 4096

#endif
