/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole port contract: everything the portable core needs from the board
 * it runs on, as a value. A port fills one struct prov_port and hands it to
 * prov_init(); the core keeps the pointer, so the struct must outlive it.
 *
 * Rules for every call: it returns 0 or a negative enum prov_err; it may block
 * for as long as its comment says, never longer; the core calls from one thread
 * and never re-enters. No call is made from an interrupt.
 */
#ifndef PROV_PORT_H
#define PROV_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROV_HARDWARE_ID_MAX 16u
#define PROV_TEXT_MAX 24u

/* `hs` of hello, PROTOCOL.md section 4. */
enum prov_huk_source {
	PROV_HUK_TFM = 0,
	PROV_HUK_VENDOR = 1,
	PROV_HUK_FUSES = 2,
	PROV_HUK_DEVELOPMENT = 3,
	PROV_HUK_TFM_DUMMY = 4,
};

/* What does not change while the firmware runs; strings are not longer than PROV_TEXT_MAX. */
struct prov_facts {
	const char *board_type;
	const char *firmware_version;
	uint8_t firmware_hash[32];
	uint8_t hardware_id[PROV_HARDWARE_ID_MAX];
	size_t hardware_id_len;
	enum prov_huk_source huk_source;
	int32_t huk_caller; /* with PROV_HUK_TFM and PROV_HUK_TFM_DUMMY: the owner id that TF-M mixes into the key */
};

/* NOR flash reserved for the certificate store. Erased octets read 0xff. At least two sectors. */
struct prov_flash {
	uint32_t sector_size;  /* octets, a multiple of write_size, at least 4096 */
	uint32_t sector_count; /* at least 2 */
	uint32_t write_size;   /* 1..32: programming granule and alignment */
};

/*
 * A network, for the handshake that the board does by itself (PROTOCOL.md
 * section 4, "net"). A port offers none (both pointers of struct prov_port
 * NULL: the command is unknown), TCP streams, or sockets that do TLS. There is
 * one connection at a time. No call waits for the peer, but for the 50 ms that
 * are named below; a port whose sockets block gives them a thread of their own.
 */

/* `e` of an answer when the connection, not TLS, ended it: the numbers that mbedTLS has for it. */
enum prov_net_error {
	PROV_NET_UNREACHABLE = -0x0044, /* refused, no route, or no answer to SYN */
	PROV_NET_RESET = -0x0050,
	PROV_NET_ENDED = -0x7280,  /* the peer closed in the middle */
	PROV_NET_UNKNOWN = -0x0001, /* TLS failed, and the sockets do not say how */
};

/* TCP. The core does TLS with its own client: the key stays in PSA, and answers carry mbedTLS's error and verify flags. */
struct prov_stream {
	/*
	 * Begins to connect; the first send that takes octets says that it is done.
	 * address: IPv4 or IPv6 literal. PROV_ERR_BAD_MAP: it is none.
	 * PROV_ERR_NO_NETWORK: no interface, no link, no address, no socket.
	 */
	int (*connect)(void *ctx, const char *address, uint16_t port);
	/* How many octets were taken; 0: none yet, ask again. Negative: enum prov_net_error. */
	int (*send)(void *ctx, const uint8_t *buf, size_t len);
	/* How many octets came; 0: none yet. May wait for the first at most 50 ms. Negative: enum prov_net_error. */
	int (*receive)(void *ctx, uint8_t *buf, size_t size);
	/* Ends a connection in any state, also one that never began. */
	void (*close)(void *ctx);
};

struct prov_der {
	const uint8_t *octets;
	size_t len; /* 0: there is none */
};

/* What sockets that do TLS need. All of it stays where it is until `close` has returned, then it is wiped. */
struct prov_visit {
	const char *address; /* IPv4 or IPv6 literal */
	uint16_t port;
	const char *server_name; /* goes into SNI, and the peer's certificate must be for it */
	struct prov_der anchor;	 /* the only trust anchor */
	struct prov_der certificate;
	struct prov_der chain; /* sent behind the certificate when it is there */
	uint32_t psa_key_id;   /* of the private key: volatile, signs, cannot be exported */
	/*
	 * The same key as ECPrivateKey (RFC 5915), only when the core is built with
	 * PROV_RAW_KEY and the port asks by raw_key. Until `close` it is in RAM:
	 * whoever reads RAM then has the board's key.
	 */
	struct prov_der private_key;
};

enum prov_visit_state { PROV_VISIT_CLOSED, PROV_VISIT_SHAKING, PROV_VISIT_ESTABLISHED, PROV_VISIT_FAILED };

struct prov_visit_report {
	enum prov_visit_state state;
	int error;	       /* with FAILED: of the TLS library, or enum prov_net_error */
	uint32_t verify_flags; /* of mbedTLS, 0 when the sockets do not tell */
	uint8_t data[64];      /* application data that came since the last poll */
	size_t data_len;
};

/* Sockets that do TLS: mutual, verification of the peer required, TLS 1.2 at least. */
struct prov_tls_sockets {
	bool raw_key; /* the sockets take no PSA key: fill in private_key */
	/* Begins; errors as of `connect` above, and PROV_ERR_CRYPTO when a credential is not taken. */
	int (*start)(void *ctx, const struct prov_visit *visit);
	/* How it stands. May wait for a change at most 50 ms. */
	void (*poll)(void *ctx, struct prov_visit_report *report);
	/* Ends it in any state; when it returns no credential is in use or registered any more. At most 1 s. */
	void (*close)(void *ctx);
};

struct prov_port {
	void *ctx;
	struct prov_facts facts;
	struct prov_flash flash;

	/*
	 * Gives the id of a PSA key of type PSA_KEY_TYPE_DERIVE that holds the HUK,
	 * usage DERIVE, algorithm HKDF(SHA-256). PROV_ERR_NO_HUK if there is none.
	 * The core calls huk_close with the id when it has derived what it needs;
	 * a port that imported raw octets destroys the key and wipes them there,
	 * a port with a built-in key does nothing.
	 */
	int (*huk_open)(void *ctx, uint32_t *psa_key_id);
	void (*huk_close)(void *ctx, uint32_t psa_key_id);

	/* Fills buf from the board's entropy source, at most 1 s. PROV_ERR_NO_ENTROPY if it does not deliver. */
	int (*entropy)(void *ctx, uint8_t *buf, size_t len);

	/* Flash of the store, offsets from its start. write: aligned, only into erased octets. At most 5 s each. */
	int (*flash_read)(void *ctx, uint32_t offset, void *buf, size_t len);
	int (*flash_write)(void *ctx, uint32_t offset, const void *buf, size_t len);
	int (*flash_erase)(void *ctx, uint32_t sector);

	/* Octets to the station; blocks until they are taken. */
	int (*send)(void *ctx, const uint8_t *buf, size_t len);

	/* The network, at most one of the two; both NULL: the board has none. Given the port's ctx. */
	const struct prov_stream *stream;
	const struct prov_tls_sockets *tls_sockets;

	/* Restarts the board after what was sent has left. Does not return on real hardware; the core copes if it does. */
	void (*reboot)(void *ctx);
};

#endif
