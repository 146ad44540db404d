/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations that the files of the Zephyr port share. */
#ifndef HALLMARK_PORT_H
#define HALLMARK_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <prov/prov.h>

/*
 * The provider of the hardware unique key that Kconfig selects: huk_*.c. huk_open and
 * huk_close are as in struct prov_port. huk_source is valid after huk_open.
 * prov_port_hardware_id writes at most PROV_HARDWARE_ID_MAX octets and returns their
 * number; 0: the chip has no id.
 */
int prov_port_huk_open(void *ctx, uint32_t *psa_key_id);
void prov_port_huk_close(void *ctx, uint32_t psa_key_id);
enum prov_huk_source prov_port_huk_source(void);
size_t prov_port_hardware_id(uint8_t id[PROV_HARDWARE_ID_MAX]);

/* huk_tfm.c only, valid after huk_open: the owner id that TF-M mixes into the key. */
int32_t prov_port_huk_caller(void);

/* huk.c, for providers: imports octets as a PSA key for derivation; reads the chip's own id through Zephyr's hwinfo. */
int prov_port_huk_import(const uint8_t *octets, size_t len, uint32_t *psa_key_id);
size_t prov_port_hardware_id_of_silicon(uint8_t id[PROV_HARDWARE_ID_MAX]);

/* flash.c: the partition with the label hallmark_partition. */
int prov_port_flash_init(struct prov_flash *flash);
int prov_port_flash_read(void *ctx, uint32_t offset, void *buf, size_t len);
int prov_port_flash_write(void *ctx, uint32_t offset, const void *buf, size_t len);
int prov_port_flash_erase(void *ctx, uint32_t sector);

/* stream.c and tls_sockets.c: the choice HALLMARK_NETWORK selects one of them. */
extern const struct prov_stream prov_port_stream;
extern const struct prov_tls_sockets prov_port_tls_sockets;

/* transport.c: true if the group was given this transport of MCUmgr (HALLMARK_TRANSPORT). */
struct smp_transport;
bool prov_port_is_own(const struct smp_transport *transport);

/* board.c: the only instance of the core. Between lock and unlock only the caller may use it. */
struct prov *prov_port_lock(void);
void prov_port_unlock(void);

/* Reads the facts, derives the identity and mounts the store. Called once, with the board locked. */
void prov_port_start(void);

#endif
