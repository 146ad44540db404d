/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The port contract: everything that the portable core needs from the board. A
 * port fills one struct prov_port and passes it to prov_init(). The core keeps
 * the pointer, so the struct must exist as long as the core runs.
 *
 * Rules for every call: it returns 0 or a negative enum prov_err. It may block as
 * long as its comment says, and no longer. The core makes all calls from one
 * thread, never from within another call, and never from an interrupt.
 */
#ifndef PROV_PORT_H
#define PROV_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROV_HARDWARE_ID_MAX 16u
#define PROV_TEXT_MAX 24u

/* `hs` of hello (PROTOCOL.md section 4). */
enum prov_huk_source {
	PROV_HUK_TFM = 0,
	PROV_HUK_VENDOR = 1,
	PROV_HUK_FUSES = 2,
	PROV_HUK_DEVELOPMENT = 3,
	PROV_HUK_TFM_DUMMY = 4,
};

/* Whether a debugger can reach the board, as far as the port can tell: `lk` of a receipt. */
enum prov_lock {
	PROV_LOCK_UNKNOWN = 0,
	PROV_LOCK_OPEN = 1,
	PROV_LOCK_CLOSED = 2,
};

/* Facts that do not change while the firmware runs. Strings have at most PROV_TEXT_MAX octets. */
struct prov_facts {
	const char *board_type;
	const char *firmware_version;
	uint8_t firmware_hash[32];
	uint8_t hardware_id[PROV_HARDWARE_ID_MAX];
	size_t hardware_id_len;
	enum prov_huk_source huk_source;
	enum prov_lock lock;
	int32_t huk_caller; /* with PROV_HUK_TFM and PROV_HUK_TFM_DUMMY: the owner id that TF-M mixes into the key */
};

/* NOR flash for the certificate store only. Erased octets read 0xff. At least two sectors. */
struct prov_flash {
	uint32_t sector_size;  /* octets, a multiple of write_size, at least 4096 */
	uint32_t sector_count; /* at least 2 */
	uint32_t write_size;   /* 1 to 32: octets that one write programs at least, and their alignment */
	/*
	 * Refuses stores of earlier firmware, which have no MAC. While they are accepted,
	 * whoever can write the flash can put one there; the core gives it a MAC at the next
	 * start. Set this in the image that follows, when every board has started once.
	 */
	bool refuse_old;
};

/*
 * A network, for the handshake that the board does by itself (PROTOCOL.md
 * section 4, "net"). A port offers TCP streams, or sockets that do TLS, or no
 * network: then both pointers in struct prov_port are NULL and the command is
 * unknown. There is one connection at a time. No call waits for the peer, except
 * for the 50 ms that are named below. A port whose sockets block must use a
 * thread of its own for them.
 */

/* `e` of an answer when the connection ended, and not TLS. The numbers are those of mbedTLS. */
enum prov_net_error {
	PROV_NET_UNREACHABLE = -0x0044, /* refused, no route, or no answer to SYN */
	PROV_NET_RESET = -0x0050,
	PROV_NET_ENDED = -0x7280,  /* the peer closed before TLS had ended */
	PROV_NET_UNKNOWN = -0x0001, /* TLS failed, and the sockets do not say why */
};

/* TCP. The core's own TLS client uses it: the key stays in PSA, and answers have mbedTLS's error and verify flags. */
struct prov_stream {
	/*
	 * Begins to connect. The first send that takes octets shows that the board is
	 * connected. address: an IPv4 or IPv6 literal; PROV_ERR_BAD_MAP: it is none.
	 * PROV_ERR_NO_NETWORK: no interface, no link, no address, or no socket.
	 */
	int (*connect)(void *ctx, const char *address, uint16_t port);
	/* Returns how many octets were taken; 0: none yet, call again. Negative: enum prov_net_error. */
	int (*send)(void *ctx, const uint8_t *buf, size_t len);
	/* Returns how many octets came; 0: none yet. May wait at most 50 ms for the first. Negative: enum prov_net_error. */
	int (*receive)(void *ctx, uint8_t *buf, size_t size);
	/* Ends a connection in any state, also one that never began. */
	void (*close)(void *ctx);
};

struct prov_der {
	const uint8_t *octets;
	size_t len; /* 0: there is no object */
};

/* Input for sockets that do TLS. All of it stays valid until `close` has returned; then it is wiped. */
struct prov_visit {
	const char *address; /* IPv4 or IPv6 literal */
	uint16_t port;
	const char *server_name; /* the name for SNI; the peer's certificate must contain it */
	struct prov_der anchor;	 /* the only trust anchor */
	struct prov_der certificate;
	struct prov_der chain; /* sent after the certificate, if there is a chain */
	uint32_t psa_key_id;   /* of the private key: volatile, may sign, cannot be exported */
	/*
	 * The same key as ECPrivateKey (RFC 5915), only if the core is built with
	 * PROV_RAW_KEY and the port sets raw_key. The key is in RAM until `close`:
	 * whoever reads the RAM then has the board's key.
	 */
	struct prov_der private_key;
};

enum prov_visit_state { PROV_VISIT_CLOSED, PROV_VISIT_SHAKING, PROV_VISIT_ESTABLISHED, PROV_VISIT_FAILED };

struct prov_visit_report {
	enum prov_visit_state state;
	int error;	       /* with FAILED: of the TLS library, or enum prov_net_error */
	uint32_t verify_flags; /* of mbedTLS; 0 if the sockets do not report them */
	uint8_t data[64];      /* application data since the last poll */
	size_t data_len;
};

/* Sockets that do TLS: mutual, with verification of the peer, at least TLS 1.2. */
struct prov_tls_sockets {
	bool raw_key; /* the sockets take no PSA key: the core fills in private_key */
	/* Begins. Errors as for `connect` above, and PROV_ERR_CRYPTO if the sockets refuse a credential. */
	int (*start)(void *ctx, const struct prov_visit *visit);
	/* Reports the state. May wait at most 50 ms for a change. */
	void (*poll)(void *ctx, struct prov_visit_report *report);
	/*
	 * Ends the session in any state, in at most 1 s. PROV_OK: no credential, buffer, PSA
	 * key or socket of the session is in use any more. PROV_ERR_TLS_BUSY: something still is.
	 * Then the core leaves all of it alone and calls `close` again later.
	 */
	int (*close)(void *ctx);
};

struct prov_port {
	void *ctx;
	struct prov_facts facts;
	struct prov_flash flash;

	/*
	 * Returns the id of a PSA key that holds the HUK: type PSA_KEY_TYPE_DERIVE, usage
	 * DERIVE, algorithm HKDF(SHA-256). PROV_ERR_NO_HUK: there is none. The core calls
	 * huk_close with the id when it has derived its keys. There a port that imported
	 * raw octets destroys the key and wipes the octets; a port with a built-in key
	 * does nothing.
	 */
	int (*huk_open)(void *ctx, uint32_t *psa_key_id);
	void (*huk_close)(void *ctx, uint32_t psa_key_id);

	/* Fills buf from the board's entropy source, in at most 1 s. PROV_ERR_NO_ENTROPY: the source delivers nothing. */
	int (*entropy)(void *ctx, uint8_t *buf, size_t len);

	/* The store's flash; offsets count from its start. write: aligned, only to erased octets. At most 5 s for each call. */
	int (*flash_read)(void *ctx, uint32_t offset, void *buf, size_t len);
	int (*flash_write)(void *ctx, uint32_t offset, const void *buf, size_t len);
	int (*flash_erase)(void *ctx, uint32_t sector);

	/* Sends octets to the station. Blocks until they are taken. */
	int (*send)(void *ctx, const uint8_t *buf, size_t len);

	/* The network: at most one of the two; both NULL: no network. Their calls get the port's ctx. */
	const struct prov_stream *stream;
	const struct prov_tls_sockets *tls_sockets;

	/* Milliseconds since any moment, such as the start. The number may wrap. The core measures the silence of a station with it. */
	uint32_t (*uptime_ms)(void *ctx);

	/* How long a TLS session may wait for the station's next request, in milliseconds; 0: PROV_SILENCE_MS of prov/prov.h. */
	uint32_t silence_ms;

	/* Restarts the board after the sent octets have left. Real hardware does not return; if the call returns, the core goes on. */
	void (*reboot)(void *ctx);
};

#endif
