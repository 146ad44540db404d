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
};

/* NOR flash reserved for the certificate store. Erased octets read 0xff. At least two sectors. */
struct prov_flash {
	uint32_t sector_size;  /* octets, a multiple of write_size, at least 4096 */
	uint32_t sector_count; /* at least 2 */
	uint32_t write_size;   /* 1..32: programming granule and alignment */
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

	/* Restarts the board after what was sent has left. Does not return on real hardware; the core copes if it does. */
	void (*reboot)(void *ctx);
};

#endif
