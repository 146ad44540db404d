/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of MCUmgr's transports the group was given. MCUmgr asks each group for every transport, registers no
 * filter, and does not say which transport is which: the objects are private to their files. So the file of the chosen
 * transport, and no other, is compiled to register its object here (CMakeLists.txt). Whatever else calls the group has
 * another object, so the choice fails closed.
 */
#include <zephyr/logging/log.h>
#include <zephyr/mgmt/mcumgr/transport/smp.h>

#include "port.h"

LOG_MODULE_DECLARE(hallmark, CONFIG_HALLMARK_LOG_LEVEL);

static const struct smp_transport *own;

/* In place of smp_transport_init, in the file of the chosen transport. */
int prov_port_transport_init(struct smp_transport *transport);
int prov_port_transport_init(struct smp_transport *transport)
{
	own = transport;
	return smp_transport_init(transport);
}

bool prov_port_is_own(const struct smp_transport *transport)
{
	static bool told;

	if (own != NULL && transport == own) {
		return true;
	}
	if (!told) {
		told = true;
		LOG_WRN("a command came over a transport that is not ours (HALLMARK_TRANSPORT): this and all others are refused");
	}
	return false;
}
