/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bare-metal port for QEMU's mps2 machines: fills struct prov_port, and passes the octets of the UART or of a debugger
 * (RTT) to the core. Answers go where the last octets came from.
 */
#include <string.h>

#include <mbedtls/sha256.h>
#include <psa/crypto.h>

#include <prov/prov.h>

#include "board.h"
#include "cpu.h"
#include "flash.h"
#include "fuses.h"
#include "rtt.h"
#include "trng.h"
#include "uart.h"

#ifndef FIRMWARE_VERSION
#define FIRMWARE_VERSION "0.1.0"
#endif

extern const uint8_t image_start[], image_end[];

/* A product serves its UART only: its debug port is no way to the core. */
#define SERVES_RTT PROV_PROVISIONING

static int by_rtt; /* the last octets came from a debugger */

static int huk_open(void *ctx, uint32_t *psa_key_id)
{
	(void)ctx;
	return fuses_take_huk(psa_key_id);
}

static void huk_close(void *ctx, uint32_t psa_key_id)
{
	(void)ctx;
	(void)psa_destroy_key(psa_key_id); /* destroying a volatile key cannot fail in a way that matters */
}

static int entropy(void *ctx, uint8_t *buf, size_t len)
{
	(void)ctx;
	return trng_read(buf, len);
}

static int port_flash_read(void *ctx, uint32_t offset, void *buf, size_t len)
{
	(void)ctx;
	return flash_read(offset, buf, len);
}

static int port_flash_write(void *ctx, uint32_t offset, const void *buf, size_t len)
{
	(void)ctx;
	return flash_write(offset, buf, len);
}

static int port_flash_erase(void *ctx, uint32_t sector)
{
	(void)ctx;
	return flash_erase(sector);
}

static int send(void *ctx, const uint8_t *buf, size_t len)
{
	(void)ctx;
	if (SERVES_RTT && by_rtt) {
		rtt_send(buf, len);
	} else {
		uart_send(buf, len);
	}
	return PROV_OK;
}

static uint32_t uptime_ms(void *ctx)
{
	(void)ctx;
	return cpu_centiseconds() * 10u;
}

static void reboot(void *ctx)
{
	(void)ctx;
	uart_stop();
	if (SERVES_RTT && by_rtt) {
		rtt_stop();
	}
	cpu_reset();
}

static struct prov_port port = {
	.facts = {
		.board_type = BOARD_TYPE,
		.firmware_version = FIRMWARE_VERSION,
		.hardware_id_len = FUSES_ID_SIZE,
		.huk_source = PROV_HUK_FUSES,
	},
	.flash = {
		.sector_size = FLASH_SECTOR_SIZE,
		.sector_count = FLASH_SECTOR_COUNT,
		.write_size = FLASH_WRITE_SIZE,
	},
	.huk_open = huk_open,
	.huk_close = huk_close,
	.entropy = entropy,
	.flash_read = port_flash_read,
	.flash_write = port_flash_write,
	.flash_erase = port_flash_erase,
	.send = send,
	.uptime_ms = uptime_ms,
	.reboot = reboot,
};

static struct prov *core(void)
{
	static _Alignas(8) uint8_t memory[PROV_SIZE];

	return (struct prov *)memory;
}

/*
 * Waits for octets. A debugger that writes to RAM causes no interrupt, so the CPU looks at the ring ten times a second,
 * and each millisecond as long as it talks to a debugger. Meanwhile the core ends a session whose station is silent.
 */
static size_t receive(struct prov *prov, uint8_t *buf, size_t size)
{
	size_t n;

	cpu_tick(by_rtt ? 1000 : 10);
	for (;;) {
		if ((n = uart_receive(buf, size)) > 0) {
			by_rtt = 0;
			break;
		}
		if (SERVES_RTT && (n = rtt_receive(buf, size)) > 0) {
			by_rtt = 1;
			break;
		}
		(void)prov_poll(prov);
		uart_sleep();
	}
	cpu_tick(0);
	return n;
}

static void serve(struct prov *prov)
{
	uint8_t octets[128];

	for (;;) {
		size_t n = receive(prov, octets, sizeof octets);
		prov_smp_receive(prov, octets, n);
	}
}

int main(void)
{
	uart_init();
	if (SERVES_RTT) {
		rtt_init();
	}
	trng_init();
	uart_text("hallmark " FIRMWARE_VERSION "\r\n");
	cpu_irq_on();
	fuses_read_id(port.facts.hardware_id);
	(void)mbedtls_sha256(image_start, (size_t)(image_end - image_start), port.facts.firmware_hash, 0);
	if (prov_init(core(), &port) != PROV_OK) {
		uart_text("no identity: every command of the group is refused\r\n");
	}
	serve(core());
	return 0;
}
