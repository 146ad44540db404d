/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public API of the provisioning core. One instance per firmware; every
 * function runs on one thread. Wire format and refusals: PROTOCOL.md.
 */
#ifndef PROV_PROV_H
#define PROV_PROV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <prov/errors.h>
#include <prov/port.h>

/*
 * Octets that mbedTLS works in, static. A handshake needs 32,976 and the heads
 * of 106 blocks. 0: the system has given mbedTLS its memory.
 */
#ifndef PROV_HEAP_SIZE
#define PROV_HEAP_SIZE 65536u
#endif

/* The largest SMP message with its length and CRC: `buf_size` of PROTOCOL.md section 3. */
#ifndef PROV_BUF_SIZE
#define PROV_BUF_SIZE 2048u
#endif

/*
 * 0: a product's image, in which csr, write and seal are unknown commands (`ca`
 * of hello) and their code is not there. Identity, store, read and handshake
 * are those of the provisioning image, so that an update keeps the identity.
 */
#ifndef PROV_PROVISIONING
#define PROV_PROVISIONING 1
#endif

/*
 * Octets of a struct prov, aligned to 8; core/prov.c checks it at compile time.
 * The TLS client has two buffers and mbedTLS's contexts, a transfer the largest
 * slot, and the SMP server two buffers and a line. A system with an SMP server
 * of its own (PROV_FOREIGN_SMP) leaves that one out.
 */
#if defined(PROV_FOREIGN_SMP)
#define PROV_SMP_SIZE 0u
#else
#define PROV_SMP_SIZE (2u * PROV_BUF_SIZE + 192u)
#endif
#define PROV_SIZE (2u * PROV_BUF_SIZE + PROV_SMP_SIZE + (PROV_PROVISIONING ? 1088u : 0u) + 512u * sizeof(void *))

struct prov; /* opaque */

/*
 * Derives the identity, mounts the store, draws the boot id. `port` must
 * outlive the core. After an error the core still answers, and every command
 * of our group is refused with that error.
 */
int prov_init(struct prov *prov, const struct prov_port *port);

/* Ends a TLS session and destroys the volatile keys. */
void prov_free(struct prov *prov);

/* What a key is for: `p` of csr, PROTOCOL.md section 4. */
#define PROV_PURPOSE_TLS 0u
#define PROV_PURPOSE_COSE 1u

/*
 * For the product's own use of an identity. prov_key gives the id of a volatile
 * PSA key that may sign (ECDSA, P-256, SHA-256) and lives until prov_free; the
 * TLS key is for the handshake, messages are signed with the COSE key (RFC 9053
 * section 2.1: ES256). prov_certificate copies the key's certificate, DER, from
 * flash; 1024 octets hold any, none is PROV_ERR_EMPTY, a larger one than `size`
 * PROV_ERR_TOO_LONG. Both: PROV_ERR_BAD_SLOT for another purpose, else the error
 * of prov_init or of the store.
 */
int prov_key(const struct prov *prov, unsigned purpose, uint32_t *psa_key_id);
int prov_certificate(const struct prov *prov, unsigned purpose, uint8_t *der, size_t size, size_t *len);

/*
 * A handler of the group, without framing: CBOR body in, CBOR body out. For a
 * system that already runs an SMP server (Zephyr's MCUmgr). Returns 0 and sets
 * *out_len, or a negative enum prov_err which the caller encodes as `err`;
 * PROV_UNKNOWN_COMMAND when there is no such command.
 * command: PROTOCOL.md section 4; write: true for op write.
 */
#define PROV_UNKNOWN_COMMAND (-1000)
int prov_group_handle(struct prov *prov, uint8_t command, bool write, const uint8_t *in, size_t in_len,
		      uint8_t *out, size_t out_size, size_t *out_len);

/*
 * The header of the request that prov_group_handle gets next, and the CRC that
 * came with it or any other of the header and the body: a line may double a
 * request, and one that opens a session must not open a second one then.
 */
void prov_smp_notice(struct prov *prov, const uint8_t header[8], uint16_t crc);

/*
 * The whole SMP server (framing, OS group, our group) for a board without
 * another one: feed what the UART received, answers leave through port->send.
 */
void prov_smp_receive(struct prov *prov, const uint8_t *octets, size_t len);

#endif
