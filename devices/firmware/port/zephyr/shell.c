/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands for an engineer at the console: the board's identity and its certificates. The
 * commands change nothing and show nothing secret.
 */
#include <stdlib.h>
#include <string.h>

#include <zephyr/shell/shell.h>
#include <zephyr/sys/base64.h>

#include "core.h"
#include "port.h"

#define PEM_LINE 48u /* octets in a line of 64 characters (RFC 7468 section 2) */

BUILD_ASSERT(CONFIG_SHELL_STACK_SIZE >= 8192, "a signature on the shell's stack needs CONFIG_SHELL_STACK_SIZE=8192");

/* Ids and names are those of the firmware that this lineage begins with. Ids are hexadecimal, one for each purpose. */
static const struct {
	unsigned int id;
	const char *name;
	enum slot slot;
} keys[PURPOSE_COUNT] = {
	[PURPOSE_TLS] = { 0x5001, "Device Client TLS", SLOT_CERTIFICATE },
	[PURPOSE_COSE] = { 0x5002, "Device COSE SIGN/Encrypt", SLOT_COSE },
};

/* SubjectPublicKeyInfo of a point on P-256 (RFC 5480 section 2), up to the point. */
static const uint8_t before_point[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
					0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00 };

static int print_pem(const struct shell *sh, const char *what, const uint8_t *der, size_t len)
{
	char line[PEM_LINE / 3 * 4 + 1];
	size_t written;

	shell_print(sh, "-----BEGIN %s-----", what);
	for (size_t at = 0; at < len; at += PEM_LINE) {
		if (base64_encode((uint8_t *)line, sizeof line, &written, der + at, MIN(len - at, PEM_LINE)) != 0) {
			return -EINVAL;
		}
		shell_print(sh, "%s", line);
	}
	shell_print(sh, "-----END %s-----", what);
	return 0;
}

/* The purpose whose key id the argument is, or PURPOSE_COUNT. */
static unsigned int purpose_of(const struct shell *sh, const char *text)
{
	char *end;
	unsigned long id = strtoul(text, &end, 16);

	for (unsigned int i = 0; *end == '\0' && i < PURPOSE_COUNT; i++) {
		if (keys[i].id == id) {
			return i;
		}
	}
	shell_error(sh, "no key %s: want 5001 or 5002", text);
	return PURPOSE_COUNT;
}

typedef int (*with_board)(const struct shell *sh, struct prov *prov, unsigned int purpose);

/* Runs `print` while the board is locked. Prints an error if the board has no identity. */
static int ask(const struct shell *sh, with_board print, unsigned int purpose)
{
	struct prov *prov = prov_port_lock();
	int err = -ENODEV;

	if (prov->broken == PROV_OK) {
		err = print(sh, prov, purpose);
	} else {
		shell_error(sh, "the board has no identity (%d)", prov->broken);
	}
	prov_port_unlock();
	return err;
}

static int ask_for_key(const struct shell *sh, with_board print, char **argv)
{
	unsigned int purpose = purpose_of(sh, argv[1]);

	return purpose < PURPOSE_COUNT ? ask(sh, print, purpose) : -EINVAL;
}

static int print_uuid(const struct shell *sh, struct prov *prov, unsigned int purpose)
{
	shell_print(sh, "%s", prov->identity.text);
	return 0;
}

static int print_status(const struct shell *sh, struct prov *prov, unsigned int purpose)
{
	shell_print(sh, "%-26s %-6s %s", "Key", "Key ID", "Status");
	for (unsigned int i = 0; i < PURPOSE_COUNT; i++) {
		bool certified = prov->store.len[keys[i].slot] > 0;
		shell_print(sh, "%-26s %-6x %s", keys[i].name, keys[i].id,
			    certified ? "X.509 cert gen" : "Key generated");
	}
	return 0;
}

static int print_public(const struct shell *sh, struct prov *prov, unsigned int purpose)
{
	uint8_t der[sizeof before_point + P256_POINT_SIZE];

	memcpy(der, before_point, sizeof before_point);
	memcpy(der + sizeof before_point, prov->identity.keys[purpose].public_key, P256_POINT_SIZE);
	return print_pem(sh, "PUBLIC KEY", der, sizeof der);
}

/* The nonce is zero, so no station accepts this CSR; it shows subject, key and signature. */
static int print_csr(const struct shell *sh, struct prov *prov, unsigned int purpose)
{
	static const uint8_t nonce[NONCE_SIZE];
	static uint8_t der[SLOT_SIZE];
	const struct cbor_field none = { .present = true };
	size_t len;

	/* The core has one owner of PSA: a session ends before something else computes. */
	if (prov_quiet(prov) != PROV_OK) {
		shell_error(sh, "a handshake is ending: try again");
		return -EBUSY;
	}
	if (prov_csr_write(&prov->identity, (enum purpose)purpose, nonce, &none, &none, der, sizeof der, &len) != PROV_OK) {
		shell_error(sh, "the CSR cannot be made");
		return -EIO;
	}
	return print_pem(sh, "CERTIFICATE REQUEST", der, len);
}

static int print_cert(const struct shell *sh, struct prov *prov, unsigned int purpose)
{
	static uint8_t der[SLOT_SIZE];
	enum slot slot = keys[purpose].slot;
	size_t len = prov->store.len[slot];

	if (len == 0) {
		shell_error(sh, "no certificate for this key");
		return -ENOENT;
	}
	if (prov_store_read(&prov->store, slot, 0, der, len) != PROV_OK) {
		shell_error(sh, "the store cannot be read");
		return -EIO;
	}
	return print_pem(sh, "CERTIFICATE", der, len);
}

static int info_uuid(const struct shell *sh, size_t argc, char **argv)
{
	return ask(sh, print_uuid, 0);
}

static int info_version(const struct shell *sh, size_t argc, char **argv)
{
	shell_print(sh, "%s", CONFIG_HALLMARK_FIRMWARE_VERSION);
	return 0;
}

static int keys_status(const struct shell *sh, size_t argc, char **argv)
{
	return ask(sh, print_status, 0);
}

static int keys_public(const struct shell *sh, size_t argc, char **argv)
{
	return ask_for_key(sh, print_public, argv);
}

static int keys_csr(const struct shell *sh, size_t argc, char **argv)
{
	return ask_for_key(sh, print_csr, argv);
}

static int keys_cert(const struct shell *sh, size_t argc, char **argv)
{
	return ask_for_key(sh, print_cert, argv);
}

SHELL_STATIC_SUBCMD_SET_CREATE(info_commands,
	SHELL_CMD_ARG(uuid, NULL, "BoardID", info_uuid, 1, 0),
	SHELL_CMD_ARG(version, NULL, "Firmware version", info_version, 1, 0),
	SHELL_SUBCMD_SET_END
);
SHELL_STATIC_SUBCMD_SET_CREATE(keys_commands,
	SHELL_CMD_ARG(status, NULL, "Keys, and which have a certificate", keys_status, 1, 0),
	SHELL_CMD_ARG(public, NULL, "Public key as PEM: hallmark keys public 5001", keys_public, 2, 0),
	SHELL_COND_CMD_ARG(CONFIG_HALLMARK_PROVISIONING, csr, NULL, "CSR as PEM: hallmark keys csr 5001", keys_csr, 2, 0),
	SHELL_CMD_ARG(cert, NULL, "Certificate as PEM: hallmark keys cert 5001", keys_cert, 2, 0),
	SHELL_SUBCMD_SET_END
);
SHELL_STATIC_SUBCMD_SET_CREATE(commands,
	SHELL_CMD(info, &info_commands, "Who the board is", NULL),
	SHELL_CMD(keys, &keys_commands, "The keys of the board and their certificates", NULL),
	SHELL_SUBCMD_SET_END
);
SHELL_CMD_REGISTER(hallmark, &commands, "Factory provisioning", NULL);
