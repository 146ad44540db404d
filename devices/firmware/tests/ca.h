/* SPDX-License-Identifier: Apache-2.0 */
/* A certification authority for tests. Keys are volatile PSA keys: they exist until the board starts again. */
#ifndef CA_H
#define CA_H

#include "board.h"

#define CERTIFICATE_MAX 2048u

struct certificate {
	uint8_t der[CERTIFICATE_MAX];
	size_t len;
};

struct issue {
	const char *issuer, *subject;	     /* names in mbedTLS's notation */
	psa_key_id_t issuer_key, subject_key;
	bool is_ca;
	int path_length;		     /* -1: none */
	unsigned key_usage;		     /* 0: no key usage extension */
	size_t padding;			     /* octets of an extension with an unknown OID */
	bool sha512;
};

psa_key_id_t ca_key(void);
struct certificate ca_issue(const struct issue *issue);

/* A hierarchy for a running board: root, issuing CA, and the board's certificates from the issuing CA. */
struct hierarchy {
	psa_key_id_t root_key, issuing_key;
	struct certificate root, issuing, leaf, cose;
};

struct hierarchy ca_hierarchy(const struct board *b);

/* The certificates of the hierarchy as struct issue, so that a test can change them. */
struct issue issue_root(psa_key_id_t root);
struct issue issue_issuing(psa_key_id_t root, psa_key_id_t issuing);
struct issue issue_leaf(psa_key_id_t issuing, psa_key_id_t board);

#endif
