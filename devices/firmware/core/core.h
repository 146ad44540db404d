/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the core share: the parts of struct prov and who owns them. */
#ifndef PROV_CORE_CORE_H
#define PROV_CORE_CORE_H

#include <psa/crypto.h>

#include <prov/prov.h>

#include "cbor.h"
#include "mbedtls_compat.h"

#define P256_POINT_SIZE 65u /* uncompressed, SEC 1 section 2.3.3 */
#define HASH_SIZE 32u
#define BOARD_ID_SIZE 16u
#define BOARD_ID_TEXT 37u /* with the NUL */
#define BOOT_ID_SIZE 8u
#define NONCE_SIZE 16u
#define SUBJECT_MAX 32u
#define SLOT_SIZE 1024u
#define SERVER_NAME_MAX 64u
#define ADDRESS_MAX 45u /* of an IPv6 literal, RFC 4291 section 2.2, IPv4 part included */
#define SMP_HEADER_SIZE 8u
#define SMP_MESSAGE_MAX (PROV_BUF_SIZE - 4u) /* header and body */

/* What follows the chain depends on it and on the anchor, and on nothing beside it. */
enum slot { SLOT_ANCHOR, SLOT_CHAIN, SLOT_CERTIFICATE, SLOT_COSE, SLOT_COUNT };

/* `p` of csr; bits of `pu` of hello. PURPOSE_TLS is the handshake's. */
enum purpose { PURPOSE_TLS, PURPOSE_COSE, PURPOSE_COUNT };

struct key_pair {
	psa_key_id_t id; /* volatile P-256 pair, may sign, may not be exported */
	uint8_t public_key[P256_POINT_SIZE];
};

/* identity.c: written once by prov_identity_derive. */
struct identity {
	struct key_pair keys[PURPOSE_COUNT];
	uint8_t board_id[BOARD_ID_SIZE];
	char text[BOARD_ID_TEXT];
};

int prov_identity_derive(struct identity *id, const struct prov_port *port);
void prov_identity_free(struct identity *id);

/* The key of the TLS purpose as ECPrivateKey (RFC 5915), for sockets that take no PSA key. The caller wipes `der`. */
#define RAW_KEY_SIZE 121u
#if defined(PROV_RAW_KEY)
int prov_identity_raw_key(const struct identity *id, const struct prov_port *port, uint8_t der[RAW_KEY_SIZE], size_t *len);
#endif

/* entropy.c: the one thing that mbedTLS wants at link time. */
void prov_entropy_use(const struct prov_port *port);

/* csr.c: PKCS#10 DER at the start of out. o and ou are checked text. */
int prov_csr_write(const struct identity *id, enum purpose purpose, const uint8_t nonce[NONCE_SIZE],
		   const struct cbor_field *o, const struct cbor_field *ou, uint8_t *out, size_t size, size_t *len);

int prov_csr_drop_null(uint8_t *der, size_t *len);

/* store.c: one snapshot in flash is valid at any time; `active` is -1 while the store is blank. */
struct store {
	const struct prov_port *port;
	const struct store_layout *layout; /* of the valid snapshot */
	int active;			   /* its sector */
	bool damaged;
	uint32_t generation;
	bool sealed;
	uint32_t len[SLOT_COUNT];
};

int prov_store_mount(struct store *s, const struct prov_port *port);
int prov_store_read(const struct store *s, enum slot slot, uint32_t offset, uint8_t *buf, size_t len);
int prov_store_commit(struct store *s, enum slot slot, const uint8_t *der, size_t len);
int prov_store_seal(struct store *s);

/* certificate.c: may `der` be stored in this slot of this board? */
int prov_certificate_check(const struct store *s, const struct identity *id, enum slot slot, const uint8_t *der, size_t len);

/* provision.c: one object on its way into a slot, and what fills it. Not in a product's image. */
struct transfer {
	bool open;
	enum slot slot;
	uint32_t total;
	uint32_t received;
	uint8_t hash[HASH_SIZE];
	uint8_t der[SLOT_SIZE];
};

struct prov;
int prov_provision_csr(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w);
int prov_provision_write(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w);
int prov_provision_seal(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w);

/* tls.c */
enum tls_state { TLS_CLOSED, TLS_HANDSHAKING, TLS_ESTABLISHED, TLS_FAILED };

struct tls {
	enum tls_state state;
	uint32_t q;   /* the last request answered */
	bool used;    /* q is valid, and the answer to it can be given again: the session is that of `tls` */
	bool open;    /* the contexts of mbedTLS are initialised */
	int error;    /* of mbedTLS, when failed */
	uint32_t verify_flags;
	mbedtls_ssl_context ssl;
	mbedtls_ssl_config config;
	mbedtls_x509_crt anchor;
	mbedtls_x509_crt own;
	mbedtls_pk_context key;
	bool blocked; /* mbedTLS has more for the server than `out` has room for */
	size_t in_at, in_len, out_len, app_len;
	size_t given, app_given; /* what of `out` and `app` is in the last answer; it goes with the next request */
	uint8_t app[64];
	union {
		struct {
			uint8_t in[PROV_BUF_SIZE];  /* from the server, not yet read by mbedTLS */
			uint8_t out[PROV_BUF_SIZE]; /* for the server */
		};
		uint8_t credentials[2u * PROV_BUF_SIZE]; /* of net.c while our own client is idle */
	};
};

int prov_tls_handle(struct prov *prov, const uint8_t *in, size_t in_len, struct cbor_writer *w);
void prov_tls_close(struct tls *tls);

/* The client alone, for whatever carries its records: what comes is put behind `in` (there is room for prov_tls_room), what is for the server is in `out`. */
int prov_tls_open(struct prov *prov, const char *server_name, bool with_chain);
size_t prov_tls_room(struct tls *tls);
void prov_tls_pump(struct tls *tls);

/* Is q the next request of a session (PROV_OK), the last one again, or neither (negative)? */
#define SESSION_AGAIN 1
int prov_session_turn(const struct prov *prov, bool used, uint32_t last, uint32_t q);

/* net.c: the handshake over the port's network. Over a stream the session is struct tls, over sockets the port's. */
struct net {
	enum { NET_OFF, NET_STREAM, NET_SOCKETS } via;
	bool used;   /* q and answer are valid */
	uint32_t q;  /* the last request answered */
	bool over;   /* the session has come to its end, which `report` says */
	struct prov_visit visit;
	char address[ADDRESS_MAX + 1u];
	char server_name[SERVER_NAME_MAX + 1u];
	struct prov_visit_report report;
	uint8_t answer[128];
	size_t answer_len;
};

bool prov_net_offered(const struct prov_port *port);
int prov_net_handle(struct prov *prov, const uint8_t *in, size_t in_len, struct cbor_writer *w);
void prov_net_close(struct prov *prov);

/* notice.c remembers the last request; the rest is frame.c's, the frame that is being received. */
struct smp {
	uint8_t last[SMP_HEADER_SIZE];
	uint16_t last_crc;
	bool again; /* the one before was the same: the line doubled it */
#if !defined(PROV_FOREIGN_SMP)
	uint8_t line[128];
	size_t line_len;
	enum { SMP_TEXT, SMP_MARKER, SMP_LINE } state;
	uint8_t marker; /* first octet of the marker that was seen */
	bool first;     /* this line starts a message */
	bool open;      /* a message is unfinished */
	size_t want;    /* octets of the message, with length and CRC */
	size_t have;
	uint8_t message[PROV_BUF_SIZE];
	uint8_t reply[PROV_BUF_SIZE];
#endif
};

/* frame.c: sends the `len` octets at message + 2; there is room for the length before and the CRC behind them. */
void prov_frame_send(const struct prov *prov, uint8_t *message, size_t len);

/* smp.c: answers a message of header and body; the two octets behind it are its CRC. */
void prov_smp_message(struct prov *prov, const uint8_t *m, size_t len);

struct prov {
	const struct prov_port *port;
	int broken; /* error of prov_init; answers every command of the group */
	uint8_t boot_id[BOOT_ID_SIZE];
	struct identity identity;
	struct store store;
#if PROV_PROVISIONING
	struct transfer transfer;
#endif
	struct tls tls;
	struct net net;
	struct smp smp;
};

#endif
