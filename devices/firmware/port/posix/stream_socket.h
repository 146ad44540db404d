/* SPDX-License-Identifier: Apache-2.0 */
/* The board's network: one TCP socket of this machine. */
#ifndef STREAM_SOCKET_H
#define STREAM_SOCKET_H

#include <prov/port.h>

extern const struct prov_stream stream_socket; /* ctx is not used */

#endif
