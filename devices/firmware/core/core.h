/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations that the files of the core share: the parts of struct prov, and the file that owns each part. */
#ifndef PROV_CORE_CORE_H
#define PROV_CORE_CORE_H

#include <psa/crypto.h>

#include <prov/prov.h>

#include "cbor.h"
#include "mbedtls_compat.h"

#define P256_POINT_SIZE 65u /* uncompressed point (SEC 1 section 2.3.3) */
#define HASH_SIZE 32u
#define BOARD_ID_SIZE 16u
#define BOARD_ID_TEXT 37u /* with the terminating NUL */
#define BOOT_ID_SIZE 8u
#define NONCE_SIZE 16u
#define SUBJECT_MAX 32u
#define SLOT_SIZE 1024u
#define SERVER_NAME_MAX 64u
#define ADDRESS_MAX 45u /* length of an IPv6 literal with an IPv4 part (RFC 4291 section 2.2) */
#define SMP_HEADER_SIZE 8u
#define SMP_MESSAGE_MAX (PROV_BUF_SIZE - 4u) /* header and body */

/* The slots after the chain depend on chain and anchor, and not on each other. */
enum slot { SLOT_ANCHOR, SLOT_CHAIN, SLOT_CERTIFICATE, SLOT_COSE, SLOT_COUNT };

/* `p` of csr; bits of `pu` of hello. The handshake uses PURPOSE_TLS. */
enum purpose { PURPOSE_TLS, PURPOSE_COSE, PURPOSE_COUNT };

struct key_pair {
	psa_key_id_t id; /* volatile key pair on P-256; may sign, may not be exported */
	uint8_t public_key[P256_POINT_SIZE];
};

/* identity.c: written once, by prov_identity_derive. */
struct identity {
	struct key_pair keys[PURPOSE_COUNT];
	uint8_t board_id[BOARD_ID_SIZE];
	char text[BOARD_ID_TEXT];
	psa_key_id_t store_key; /* volatile: the MAC of the certificate store */
};

int prov_identity_derive(struct identity *id, const struct prov_port *port);
void prov_identity_free(struct identity *id);

/* The TLS key as ECPrivateKey (RFC 5915), for sockets that take no PSA key. The caller wipes `der`. */
#define RAW_KEY_SIZE 121u
#if defined(PROV_RAW_KEY)
int prov_identity_raw_key(const struct identity *id, const struct prov_port *port, uint8_t der[RAW_KEY_SIZE], size_t *len);
#endif

/* entropy.c: the function that mbedTLS wants at link time. */
void prov_entropy_use(const struct prov_port *port);

/* csr.c: PKCS#10 DER at the start of out. The caller has checked the text of o and ou. */
int prov_csr_write(const struct identity *id, enum purpose purpose, const uint8_t nonce[NONCE_SIZE],
		   const struct cbor_field *o, const struct cbor_field *ou, uint8_t *out, size_t size, size_t *len);

int prov_csr_drop_null(uint8_t *der, size_t *len);

/* store.c: at most one snapshot in flash is valid; `active` is -1 while there is none. */
struct store {
	const struct prov_port *port;
	const struct store_layout *layout; /* layout of the valid snapshot */
	int active;			   /* sector of the valid snapshot */
	bool damaged;
	uint32_t generation;
	uint32_t seal, not_seal; /* SEAL_OPEN or SEAL_SET of store.c, and its complement */
	psa_key_id_t key;	 /* of the MAC */
	uint32_t counter;	 /* of the last update; 0: there was none */
	uint32_t len[SLOT_COUNT];
	const uint8_t *pending[SLOT_COUNT]; /* of a next snapshot: the objects in RAM that it gets. Otherwise NULL: they are in flash */
};

int prov_store_mount(struct store *s, const struct prov_port *port, psa_key_id_t key);

/* True unless both copies of the seal say that the store is open, asked twice: a fault in one octet or in one branch unseals nothing. */
bool prov_store_sealed(const struct store *s);
int prov_store_read(const struct store *s, enum slot slot, uint32_t offset, uint8_t *buf, size_t len);
int prov_store_hash(const struct store *s, enum slot slot, uint8_t hash[HASH_SIZE]); /* SHA-256 of the contents, from flash */
int prov_store_commit(struct store *s, enum slot slot, const uint8_t *der, size_t len);
int prov_store_seal(struct store *s);

/*
 * A next snapshot begins as a copy of the store. _offer puts an object into it, and takes out those that depend on the slot: so anchor
 * and chain come before the certificates. It reads whole slots until then. _replace writes it in one atomic step.
 */
void prov_store_offer(struct store *next, enum slot slot, const uint8_t *der, size_t len);
int prov_store_replace(struct store *s, struct store *next);

/* certificate.c: PROV_OK if `der` may be stored in this slot of this board, beside what the store or a next snapshot has. */
int prov_certificate_check(const struct store *s, const struct identity *id, enum slot slot, const uint8_t *der, size_t len);

/* PROV_OK: the key of the trust anchor has signed the octets (ECDSA with SHA-256; `signature` is an ECDSA-Sig-Value in DER). */
int prov_certificate_signed(const struct store *s, const uint8_t *octets, size_t len, const uint8_t *signature, size_t signature_len);

#define HAS_TRANSFER (PROV_PROVISIONING || PROV_UPDATE)
#define UPDATE_SIZE (2u * PROV_BUF_SIZE) /* of the largest update */
#define TRANSFER_SIZE (PROV_UPDATE ? UPDATE_SIZE : SLOT_SIZE)

/* transfer.c: the object that is being written to a slot, or the update that arrives. */
struct transfer {
	bool open;
	bool applied; /* the update is stored, so its last piece may come again */
	enum slot slot; /* SLOT_COUNT: an update */
	uint32_t total;
	uint32_t received;
	bool has_hash;
	uint8_t hash[HASH_SIZE];
	uint8_t *der; /* TRANSFER_SIZE octets; a buffer of the TLS client, if there is one: a transfer ends a session, and a session a transfer */
#if !PROV_HANDSHAKE
	uint8_t octets[TRANSFER_SIZE];
#endif
};

struct prov;
int prov_provision_csr(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w);
int prov_transfer_write(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w);
int prov_transfer_update(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w);

/* update.c: checks an update, and stores what it brings in one atomic step. */
int prov_update_apply(struct prov *prov, const uint8_t *octets, size_t len);
int prov_provision_seal(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w);

#if PROV_HANDSHAKE
/* tls.c */
enum tls_state { TLS_CLOSED, TLS_HANDSHAKING, TLS_ESTABLISHED, TLS_FAILED };

struct tls {
	enum tls_state state;
	bool open;    /* mbedTLS's contexts are initialised */
	int error;    /* of mbedTLS, in state TLS_FAILED */
	uint32_t verify_flags;
	mbedtls_ssl_context ssl;
	mbedtls_ssl_config config;
	mbedtls_x509_crt anchor;
	mbedtls_x509_crt own;
	mbedtls_pk_context key;
	bool blocked; /* mbedTLS has more for the server than fits into `out` */
	size_t in_at, in_len, out_len, app_len;
	size_t given, app_given; /* octets of `out` and `app` in the last answer; dropped at the next request */
	uint8_t app[64];
	union {
		struct {
			uint8_t in[PROV_BUF_SIZE];  /* from the server, not read by mbedTLS yet */
			uint8_t out[PROV_BUF_SIZE]; /* for the server */
		};
		uint8_t credentials[2u * PROV_BUF_SIZE]; /* used by net.c while the core's TLS client is idle */
	};
};

int prov_tls_handle(struct prov *prov, const uint8_t *in, size_t in_len, struct cbor_writer *w);

/* Frees mbedTLS's contexts and wipes the input. The last answer stays, so that it can be given again. */
void prov_tls_release(struct tls *tls);

/* prov_tls_release, and wipes the rest. */
void prov_tls_close(struct tls *tls);

/*
 * The TLS client without its transport. The caller appends octets from the server
 * to `in`, which has room for prov_tls_room octets, and sends the octets in `out`.
 */
int prov_tls_open(struct prov *prov, const char *server_name, bool with_chain);
size_t prov_tls_room(struct tls *tls);
void prov_tls_pump(struct tls *tls);

/* True if the session has nothing more to do: it failed, was closed, or has read the server's answer. */
bool prov_tls_over(const struct tls *tls);

/* net.c: the handshake over the port's network. Over a stream the session is struct tls, over sockets the port has it. */
struct net {
	enum { NET_OFF, NET_STREAM, NET_SOCKETS } via;
	bool over;   /* the session has ended, as `report` says */
	struct prov_visit visit;
	char address[ADDRESS_MAX + 1u];
	char server_name[SERVER_NAME_MAX + 1u];
	struct prov_visit_report report;
};

int prov_net_handle(struct prov *prov, const uint8_t *in, size_t in_len, struct cbor_writer *w);

/*
 * Ends the connection, and wipes what the port's sockets used. The last answer stays.
 * notify: tell the server first, which computes. PROV_ERR_TLS_BUSY: the sockets are still
 * at work, and nothing was wiped.
 */
int prov_net_release(struct prov *prov, bool notify);

/*
 * session.c: the board's only TLS session, and the only owner of its end. A session
 * belongs to the command that opened it. Its secrets are in RAM until it is over; then
 * only the last answer stays, until another command or the silence ends the session.
 */
enum session_owner { SESSION_NONE, SESSION_TLS, SESSION_NET };

struct session {
	enum session_owner owner; /* SESSION_NONE: q is not valid */
	uint32_t q;		  /* the last request that was answered */
	uint32_t asked_at;	  /* uptime of the last request, in milliseconds */
};

/* PROV_OK: q is the next request of the owner's session, or opens one. SESSION_AGAIN: the last one again. Negative: neither. */
#define SESSION_AGAIN 1
int prov_session_turn(struct prov *prov, enum session_owner owner, uint32_t q);

/* A session opens, after the one before has ended: the buffers of the TLS client are its own. */
void prov_session_begin(struct prov *prov);

/* The request q of this session was carried out. */
void prov_session_answered(struct prov *prov, enum session_owner owner, uint32_t q);

/* Frees and wipes everything of the session but its last answer. PROV_ERR_TLS_BUSY: as prov_net_release. */
int prov_session_release(struct prov *prov, bool notify);

#endif

/* prov_session_release, and forgets the session. */
int prov_session_end(struct prov *prov, bool notify);

/* Ends a session over the network before a command that computes or changes the store. PROV_ERR_TLS_BUSY: as prov_net_release. */
int prov_session_yield(struct prov *prov);

/* store.c's state as hello and a receipt name it. */
enum life_cycle { LIFE_OPEN = 0, LIFE_SEALED = 1, LIFE_DAMAGED = 2 };
enum life_cycle prov_life_cycle(const struct store *s);

/* TF-M derives a different key for each caller, so the caller is part of the identity. */
bool prov_has_caller(const struct prov_facts *facts);

/* receipt.c: what the board holds, signed with its TLS key. */
int prov_receipt_handle(struct prov *prov, const uint8_t *in, size_t len, struct cbor_writer *w);

/* notice.c stores the last request. frame.c owns the rest: the frame that is being received. */
struct smp {
	uint8_t last[SMP_HEADER_SIZE];
	uint16_t last_crc;
	bool again; /* the request is the same as the one before: the UART delivered it twice */
#if !defined(PROV_FOREIGN_SMP)
	uint8_t line[128];
	size_t line_len;
	enum { SMP_TEXT, SMP_MARKER, SMP_LINE } state;
	uint8_t marker; /* first octet of the marker */
	bool first;     /* this line begins a message */
	bool open;      /* a message has begun and has not ended */
	size_t want;    /* octets of the message, with length and CRC */
	size_t have;
	uint8_t message[PROV_BUF_SIZE]; /* with length and CRC; then the answer in the same place */
#endif
};

/* frame.c: sends the `len` octets at message + 2. message has room for the length before them and the CRC after them. */
void prov_frame_send(const struct prov *prov, uint8_t *message, size_t len);

/* smp.c: answers a message of header and body. The two octets after the message are its CRC. */
void prov_smp_message(struct prov *prov, const uint8_t *m, size_t len);

struct prov {
	const struct prov_port *port;
	int broken; /* error of prov_init; the answer to every command of the group */
	uint8_t boot_id[BOOT_ID_SIZE];
	struct identity identity;
	struct store store;
#if HAS_TRANSFER
	struct transfer transfer;
#endif
#if PROV_HANDSHAKE
	struct tls tls;
	struct net net;
	struct session session;
#endif
	struct smp smp;
};

#endif
