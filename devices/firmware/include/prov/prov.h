/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public API of the provisioning core. A firmware has one instance, and calls
 * every function on one thread. PROTOCOL.md specifies wire format and refusals.
 */
#ifndef PROV_PROV_H
#define PROV_PROV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <prov/errors.h>
#include <prov/port.h>

/*
 * Size in octets of mbedTLS's static memory. A handshake needs 32,976 octets and
 * the heads of 106 blocks. 0: the system has given memory to mbedTLS.
 */
#ifndef PROV_HEAP_SIZE
#define PROV_HEAP_SIZE 65536u
#endif

/* Size in octets of the largest SMP message with its length and CRC: `buf_size` (PROTOCOL.md section 3). */
#ifndef PROV_BUF_SIZE
#define PROV_BUF_SIZE 2048u
#endif

/*
 * Milliseconds without a request after which a TLS session ends by itself. A station
 * asks again within seconds, and gives a silent verifier 10 s.
 */
#define PROV_SILENCE_MS 30000u

/*
 * 0: a product's image. csr, write and seal are unknown commands (`ca` of hello),
 * and their code is not in the image. Identity, store and read are those
 * of the provisioning image, so that an update keeps the identity.
 */
#ifndef PROV_PROVISIONING
#define PROV_PROVISIONING 1
#endif

/*
 * 1: the commands tls and net. Whoever asks for them chooses the server, so on a product's UART anybody could authenticate
 * as the board to a server that the board's trust anchor vouches for, and with net have it dial any address. So a product's image has
 * them only by choice.
 */
#ifndef PROV_HANDSHAKE
#define PROV_HANDSHAKE PROV_PROVISIONING
#endif

/*
 * 1: the command update, which replaces anchor, chain and certificates with what the key of the trust anchor has signed for this board,
 * also on a sealed one. A board in the field needs it; in the factory write does the same, so a provisioning image has it only by choice.
 */
#ifndef PROV_UPDATE
#define PROV_UPDATE (!PROV_PROVISIONING)
#endif

/*
 * Size in octets of a struct prov, aligned to 8; core/prov.c checks it at compile
 * time. The TLS client has two buffers, which a transfer shares, and mbedTLS's contexts; the
 * SMP server has a buffer and a line. A system with its own SMP server (PROV_FOREIGN_SMP)
 * needs no memory for that one but the last header. Its mbedTLS has the options of its application, and larger contexts with DTLS
 * and others.
 */
#if defined(PROV_FOREIGN_SMP)
#define PROV_SMP_SIZE 32u
#define PROV_TLS_SIZE (2u * PROV_BUF_SIZE + 448u * sizeof(void *))
#else
#define PROV_SMP_SIZE (PROV_BUF_SIZE + 192u)
#define PROV_TLS_SIZE (2u * PROV_BUF_SIZE + 384u * sizeof(void *))
#endif
#define PROV_TRANSFER_SIZE (64u + (PROV_HANDSHAKE ? 0u : PROV_UPDATE ? 2u * PROV_BUF_SIZE : PROV_PROVISIONING ? 1024u : 0u))
#define PROV_SIZE (PROV_SMP_SIZE + PROV_TRANSFER_SIZE + (PROV_HANDSHAKE ? PROV_TLS_SIZE : 0u) + 64u * sizeof(void *))

struct prov; /* opaque */

/*
 * Derives the identity, mounts the store and draws the boot id. `port` must exist
 * as long as the core. After an error the core still answers, and refuses every
 * command of the group with that error.
 */
int prov_init(struct prov *prov, const struct prov_port *port);

/*
 * Ends a TLS session and destroys the volatile keys. PROV_ERR_TLS_BUSY: the port's sockets are still at work after
 * some seconds. Then the keys stay, because the sockets use them, and the caller tries again later.
 */
int prov_free(struct prov *prov);

/*
 * Ends a TLS session whose station has been silent too long: frees and wipes its keys
 * and buffers, and closes its connection. Returns after how many milliseconds the port
 * must call again at the latest; UINT32_MAX: not before the next command. A port calls
 * this function after each command and after each such time, on the core's thread.
 */
uint32_t prov_poll(struct prov *prov);

/*
 * Ends the TLS session, if there is one. A system calls this function before it uses
 * PSA on the core's behalf, as its shell does for a CSR. PROV_ERR_TLS_BUSY: the port's
 * sockets are still at work, so nothing may be computed yet.
 */
int prov_quiet(struct prov *prov);

/* What a key is for: `p` of csr, PROTOCOL.md section 4. */
#define PROV_PURPOSE_TLS 0u
#define PROV_PURPOSE_COSE 1u

/*
 * For the product's own use of an identity. prov_key returns the id of a volatile
 * PSA key that may sign (ECDSA, P-256, SHA-256) and exists until prov_free. Sign with
 * the psa_algorithm_t that prov_key_algorithm returns, and with no other: deterministic ECDSA where PSA has
 * it, so that all signatures of a key are made in one way. The TLS key is for the handshake, the COSE key signs messages (RFC 9053 section 2.1:
 * ES256). prov_certificate copies the key's certificate (DER) from flash; 1024
 * octets are always enough. PROV_ERR_EMPTY: no certificate. PROV_ERR_TOO_LONG: it
 * is larger than `size`. PROV_ERR_BAD_SLOT: unknown purpose. Otherwise the error of
 * prov_init or of the store.
 */
int prov_key(const struct prov *prov, unsigned purpose, uint32_t *psa_key_id);
uint32_t prov_key_algorithm(void);
int prov_certificate(const struct prov *prov, unsigned purpose, uint8_t *der, size_t size, size_t *len);

/*
 * Handles one command of the group without framing, for a system with its own SMP
 * server (Zephyr's MCUmgr). in and out are CBOR bodies. command: PROTOCOL.md
 * section 4; write: true for the operation write. Returns 0 and sets *out_len, or a
 * negative enum prov_err, which the caller encodes as `err`. out may be the same memory as in: a
 * command has read all of the request when it begins to write.
 * PROV_UNKNOWN_COMMAND: there is no such command.
 */
#define PROV_UNKNOWN_COMMAND (-1000)
int prov_group_handle(struct prov *prov, uint8_t command, bool write, const uint8_t *in, size_t in_len,
		      uint8_t *out, size_t out_size, size_t *out_len);

/*
 * Tells the core about the request that prov_group_handle gets next: its header,
 * and a CRC of header and body (that of the frame or any other). A UART may deliver
 * a request twice, and a request that opens a session must not open a second one.
 */
void prov_smp_notice(struct prov *prov, const uint8_t header[8], uint16_t crc);

/*
 * The whole SMP server (framing, OS group, provisioning group), for a board without
 * another one. The port passes the octets that the UART received; answers leave
 * through port->send.
 */
void prov_smp_receive(struct prov *prov, const uint8_t *octets, size_t len);

#endif
