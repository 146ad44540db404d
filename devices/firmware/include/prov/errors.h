/* SPDX-License-Identifier: Apache-2.0 */
/* The refusals of the provisioning group: PROTOCOL.md section 2, as negative numbers in C. */
#ifndef PROV_ERRORS_H
#define PROV_ERRORS_H

enum prov_err {
	PROV_OK = 0,
	PROV_ERR_INTERNAL = -1,
	PROV_ERR_BAD_MAP = -2,
	PROV_ERR_TOO_LONG = -3,
	PROV_ERR_OUT_OF_ORDER = -4,
	PROV_ERR_BAD_HASH = -5,
	PROV_ERR_BAD_SLOT = -6,
	PROV_ERR_SEALED = -7,
	PROV_ERR_NO_HUK = -8,
	PROV_ERR_NO_ENTROPY = -9,
	PROV_ERR_FOREIGN_KEY = -10,
	PROV_ERR_UNTRUSTED = -11,
	PROV_ERR_BAD_CERTIFICATE = -12,
	PROV_ERR_STORE_IO = -13,
	PROV_ERR_STORE_FULL = -14,
	PROV_ERR_EMPTY = -15,
	PROV_ERR_TLS_STATE = -16,
	PROV_ERR_CRYPTO = -17,
	PROV_ERR_NO_ANCHOR = -18,
};

#endif
