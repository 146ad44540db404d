/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public API of the provisioning core. One instance per board; every function
 * runs on one thread. Wire format and refusals: PROTOCOL.md.
 */
#ifndef PROV_PROV_H
#define PROV_PROV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <prov/errors.h>
#include <prov/port.h>

struct prov; /* core/ defines it; PROV_SIZE octets, aligned as a pointer */

/* Derives the identity, mounts the store, draws the boot id. `port` must outlive the core. */
int prov_init(struct prov *prov, const struct prov_port *port);

/*
 * A handler of the group, without framing: CBOR body in, CBOR body out. For a
 * system that already runs an SMP server (Zephyr's MCUmgr). Returns 0 and sets
 * *out_len, or a negative enum prov_err which the caller encodes as `err`.
 * command: PROTOCOL.md section 4; write: true for op write.
 */
int prov_group_handle(struct prov *prov, uint8_t command, bool write, const uint8_t *in, size_t in_len,
		      uint8_t *out, size_t out_size, size_t *out_len);

/*
 * The whole SMP server (framing, OS group, our group) for a board without
 * another one: feed what the UART received, answers leave through port->send.
 */
void prov_smp_receive(struct prov *prov, const uint8_t *octets, size_t len);

#endif
