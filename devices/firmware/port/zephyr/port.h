/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the Zephyr port share. */
#ifndef HALLMARK_PORT_H
#define HALLMARK_PORT_H

#include <stddef.h>
#include <stdint.h>

#include <prov/prov.h>

/*
 * The provider of the hardware unique key that Kconfig chose: huk_*.c. open and
 * close as of struct prov_port. source is asked after open. prov_port_hardware_id fills
 * at most PROV_HARDWARE_ID_MAX octets and gives their number, 0 if it has none.
 */
int prov_port_huk_open(void *ctx, uint32_t *psa_key_id);
void prov_port_huk_close(void *ctx, uint32_t psa_key_id);
enum prov_huk_source prov_port_huk_source(void);
size_t prov_port_hardware_id(uint8_t id[PROV_HARDWARE_ID_MAX]);

/* huk_tfm.c alone, asked after open: the owner id that TF-M mixes into the key. */
int32_t prov_port_huk_caller(void);

/* huk.c: for providers. The octets as a PSA key for derivation; the silicon's own id through Zephyr's hwinfo. */
int prov_port_huk_import(const uint8_t *octets, size_t len, uint32_t *psa_key_id);
size_t prov_port_hardware_id_of_silicon(uint8_t id[PROV_HARDWARE_ID_MAX]);

/* flash.c: the partition labelled hallmark_partition. */
int prov_port_flash_init(struct prov_flash *flash);
int prov_port_flash_read(void *ctx, uint32_t offset, void *buf, size_t len);
int prov_port_flash_write(void *ctx, uint32_t offset, const void *buf, size_t len);
int prov_port_flash_erase(void *ctx, uint32_t sector);

/* stream.c and tls_sockets.c, by the choice HALLMARK_NETWORK. */
extern const struct prov_stream prov_port_stream;
extern const struct prov_tls_sockets prov_port_tls_sockets;

/* board.c: the one instance of the core. Between lock and unlock it belongs to the caller. */
struct prov *prov_port_lock(void);
void prov_port_unlock(void);

/* Once, with the board locked: reads the facts, derives the identity, mounts the store. */
void prov_port_start(void);

#endif
