/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake over the board's own network: PROTOCOL.md section 4, "net". */
#include "core.h"

bool net_offered(const struct prov_port *port)
{
	return port->stream != NULL || port->tls_sockets != NULL;
}
