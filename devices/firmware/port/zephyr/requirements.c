/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the module needs of the application, checked while it is built. Kconfig cannot
 * check this: it says nothing when an option of Kconfig.mbedtls does not exist in this
 * Zephyr, and it does not see devicetree's numbers.
 */
#include <mbedtls/build_info.h>
#ifdef CONFIG_HALLMARK_HANDSHAKE
#include <mbedtls/ssl.h>
#endif

#include <zephyr/devicetree.h>
#include <zephyr/sys/util.h>

#if !defined(CONFIG_CRC) || !defined(CONFIG_ENTROPY_GENERATOR)
#error "set CONFIG_CRC=y and CONFIG_ENTROPY_GENERATOR=y"
#endif

#if defined(CONFIG_HALLMARK_TRANSPORT_UART) && !defined(CONFIG_MCUMGR_TRANSPORT_UART)
#error "the group was given the UART, and MCUmgr has none: set CONFIG_MCUMGR_TRANSPORT_UART=y, or choose HALLMARK_TRANSPORT"
#endif
#if defined(CONFIG_HALLMARK_TRANSPORT_SHELL) && !defined(CONFIG_MCUMGR_TRANSPORT_SHELL)
#error "the group was given the shell, and MCUmgr does not serve it: set CONFIG_MCUMGR_TRANSPORT_SHELL=y, or choose HALLMARK_TRANSPORT"
#endif

/* mbedTLS. Each error names the options of the Zephyrs that this project knows; an option may have got another name since. */

#ifdef CONFIG_HALLMARK_HANDSHAKE
#if !defined(MBEDTLS_SSL_CLI_C) || !defined(MBEDTLS_SSL_TLS_C)
#error "mbedTLS has no TLS client: set CONFIG_MBEDTLS_TLS_VERSION_1_2=y (Zephyr 4.5: CONFIG_MBEDTLS_SSL_PROTO_TLS1_2=y and CONFIG_MBEDTLS_SSL_CLI_C=y)"
#endif
#if !defined(MBEDTLS_SSL_PROTO_TLS1_2) && !defined(MBEDTLS_SSL_PROTO_TLS1_3)
#error "mbedTLS has neither TLS 1.2 nor TLS 1.3: set CONFIG_MBEDTLS_TLS_VERSION_1_2=y (Zephyr 4.5: CONFIG_MBEDTLS_SSL_PROTO_TLS1_2=y)"
#endif
#if defined(MBEDTLS_SSL_PROTO_TLS1_2) && !defined(MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED)
#error "mbedTLS has no ECDHE-ECDSA for TLS 1.2: set CONFIG_MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED=y"
#endif
#ifndef MBEDTLS_SSL_SERVER_NAME_INDICATION
#error "mbedTLS cannot name the server: set CONFIG_MBEDTLS_SERVER_NAME_INDICATION=y"
#endif
#endif
#ifndef MBEDTLS_X509_CRT_PARSE_C
#error "mbedTLS cannot read certificates: MBEDTLS_X509_CRT_PARSE_C is missing (Zephyr 4.5: CONFIG_MBEDTLS_X509_CRT_PARSE_C=y)"
#endif
#if !defined(MBEDTLS_X509_CSR_WRITE_C) || !defined(MBEDTLS_PK_WRITE_C)
#error "mbedTLS cannot write a CSR: set CONFIG_MBEDTLS_PK_WRITE_C=y, and CONFIG_MBEDTLS_USER_CONFIG_FILE=\"hallmark_mbedtls.h\" or CONFIG_MBEDTLS_X509_CSR_WRITE_C=y"
#endif

/* PSA, unless TF-M has it. */
#if !defined(CONFIG_BUILD_WITH_TFM)
#if !defined(MBEDTLS_PSA_CRYPTO_C) && !defined(MBEDTLS_PSA_CRYPTO_CLIENT)
#error "there is no PSA: set CONFIG_MBEDTLS_PSA_CRYPTO_C=y (Zephyr 4.4: CONFIG_PSA_CRYPTO=y)"
#endif
/* Before mbedTLS 3.6, psa/crypto.h alone derives the PSA_WANT macros. */
#include <psa/crypto.h>
#if !defined(PSA_WANT_ALG_SHA_256) || !defined(PSA_WANT_ALG_HMAC) || !defined(PSA_WANT_ALG_HKDF)
#error "PSA has no HKDF with SHA-256: set CONFIG_PSA_WANT_ALG_SHA_256=y, CONFIG_PSA_WANT_ALG_HMAC=y and CONFIG_PSA_WANT_ALG_HKDF=y (Zephyr 3.4: CONFIG_MBEDTLS_USER_CONFIG_FILE=\"hallmark_mbedtls.h\")"
#endif
#if !defined(PSA_WANT_ALG_ECDH) || (!defined(PSA_WANT_ALG_ECDSA) && !defined(PSA_WANT_ALG_DETERMINISTIC_ECDSA)) || !defined(PSA_WANT_ECC_SECP_R1_256)
#error "PSA has no ECDH and ECDSA on P-256: set CONFIG_PSA_WANT_ALG_ECDH=y, CONFIG_PSA_WANT_ALG_ECDSA=y and CONFIG_PSA_WANT_ECC_SECP_R1_256=y (Zephyr 3.4: CONFIG_MBEDTLS_ECDH_C=y, CONFIG_MBEDTLS_ECDSA_C=y and CONFIG_MBEDTLS_ECP_DP_SECP256R1_ENABLED=y)"
#endif
#ifndef PSA_WANT_ALG_GCM
#error "PSA has no AES-GCM: set CONFIG_PSA_WANT_ALG_GCM=y (Zephyr 3.4: CONFIG_MBEDTLS_CIPHER_GCM_ENABLED=y)"
#endif
#endif

/* Stacks and buffers. */

/* The identity is derived on the stack of main: one of 1024 octets ends in a usage fault before the first answer. */
BUILD_ASSERT(CONFIG_MAIN_STACK_SIZE >= 8192, "CONFIG_MAIN_STACK_SIZE: at least 8192");
BUILD_ASSERT(CONFIG_MCUMGR_TRANSPORT_WORKQUEUE_STACK_SIZE >= 8192,
	     "CONFIG_MCUMGR_TRANSPORT_WORKQUEUE_STACK_SIZE: at least 8192");
BUILD_ASSERT(CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE >= 512,
	     "CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE: at least 512, and 2048 for full speed");
BUILD_ASSERT(CONFIG_MCUMGR_TRANSPORT_NETBUF_COUNT >= 4, "CONFIG_MCUMGR_TRANSPORT_NETBUF_COUNT: at least 4, better 8");
#ifdef CONFIG_MCUMGR_TRANSPORT_UART
BUILD_ASSERT(CONFIG_UART_MCUMGR_RX_BUF_SIZE >= 128, "CONFIG_UART_MCUMGR_RX_BUF_SIZE: at least 128, one line");
/* A line has 93 octets of a message (124 base64 characters); one buffer more, because a line may come while all others wait. */
BUILD_ASSERT(CONFIG_UART_MCUMGR_RX_BUF_COUNT > CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE / 93,
	     "CONFIG_UART_MCUMGR_RX_BUF_COUNT: more than the lines of a message, CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE / 93");
#endif

/* The conformance suite used 12.5 KiB of the heap beside the record buffers of a session. */
#ifdef CONFIG_HALLMARK_HANDSHAKE
#define RECORDS (MBEDTLS_SSL_IN_CONTENT_LEN + MBEDTLS_SSL_OUT_CONTENT_LEN)
#else
#define RECORDS 0
#endif
#ifdef CONFIG_MBEDTLS_ENABLE_HEAP
BUILD_ASSERT(CONFIG_MBEDTLS_HEAP_SIZE >= 13 * 1024 + RECORDS,
	     "CONFIG_MBEDTLS_HEAP_SIZE: at least 13 KiB, and with HALLMARK_HANDSHAKE a record to the board and one from it");
#elif !defined(CONFIG_BUILD_WITH_TFM)
#error "set CONFIG_MBEDTLS_ENABLE_HEAP=y and CONFIG_MBEDTLS_HEAP_SIZE=49152"
#endif

/* Devicetree. */

#if !DT_NODE_EXISTS(DT_NODELABEL(hallmark_partition))
#error "devicetree has no node with the label hallmark_partition: a partition for the certificate store, with two sectors on flash that nobody else writes"
#elif !DT_HAS_CHOSEN(zephyr_entropy)
#error "devicetree does not choose zephyr,entropy: the board's random source"
#else

/* soc-nv-flash has these properties; the flash of other drivers is checked when the board starts. */
#define FLASH DT_GPARENT(DT_NODELABEL(hallmark_partition))
#define STORE DT_REG_ADDR(DT_NODELABEL(hallmark_partition))
#define ERASE_UNIT DT_PROP_OR(FLASH, erase_block_size, 1)

BUILD_ASSERT(DT_PROP_OR(FLASH, write_block_size, 1) <= 32,
	     "the flash of hallmark_partition writes more than 32 octets at a time (write-block-size): put the partition on another flash");
BUILD_ASSERT(ERASE_UNIT <= 65536,
	     "the flash of hallmark_partition erases more than 64 KiB at a time (erase-block-size): put the partition on another flash");
BUILD_ASSERT(ERASE_UNIT > 65536 || CONFIG_HALLMARK_STORE_SECTOR_SIZE % ERASE_UNIT == 0,
	     "CONFIG_HALLMARK_STORE_SECTOR_SIZE is no multiple of the flash's erase-block-size");
BUILD_ASSERT(ERASE_UNIT > 65536 || STORE % ERASE_UNIT == 0, "hallmark_partition does not begin at an erase unit of its flash");
BUILD_ASSERT(DT_REG_SIZE(DT_NODELABEL(hallmark_partition)) >= 2 * CONFIG_HALLMARK_STORE_SECTOR_SIZE,
	     "hallmark_partition has no room for two sectors of CONFIG_HALLMARK_STORE_SECTOR_SIZE");
#endif
