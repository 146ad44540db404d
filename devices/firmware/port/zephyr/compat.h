/* SPDX-License-Identifier: Apache-2.0 */
/* The differences between Zephyr's versions that C code sees; Kconfig.mbedtls has those of Kconfig, core/mbedtls_compat.h those of mbedTLS. */
#ifndef HALLMARK_COMPAT_H
#define HALLMARK_COMPAT_H

/* F_SETFL and O_NONBLOCK: the minimal C library of Zephyr 4 has no <fcntl.h>. */
#include <zephyr/posix/fcntl.h>

/* struct sockaddr, AF_INET and so on: since Zephyr 4.4 their own names begin with net_ and NET_. */
#if __has_include(<zephyr/net/net_compat.h>)
#include <zephyr/net/net_compat.h>
#endif

/* The function writes the whole answer, and not only the pairs of a map that MCUmgr opens and closes: since Zephyr 3.7, as an option. */
#ifdef CONFIG_MCUMGR_MGMT_CUSTOM_PAYLOAD
#define COMPAT_WHOLE_ANSWER 1
#else
#define COMPAT_WHOLE_ANSWER 0
#endif

#endif
