/* SPDX-License-Identifier: Apache-2.0 */
/* A certification authority for tests. Keys are volatile PSA keys: they live until the board starts again. */
#ifndef CA_H
#define CA_H

#include "board.h"

#define CERTIFICATE_MAX 2048u

struct certificate {
	uint8_t der[CERTIFICATE_MAX];
	size_t len;
};

struct issue {
	const char *issuer, *subject;	     /* names as mbedTLS spells them */
	psa_key_id_t issuer_key, subject_key;
	bool is_ca;
	int path_length;		     /* -1: none */
	unsigned key_usage;		     /* 0: no such extension */
	size_t padding;			     /* octets of an extension that nobody knows */
	bool sha512;
};

psa_key_id_t ca_key(void);
struct certificate ca_issue(const struct issue *issue);

/* The usual hierarchy for a board that runs: root, issuing CA, and the board's certificates from the issuing CA. */
struct hierarchy {
	psa_key_id_t root_key, issuing_key;
	struct certificate root, issuing, leaf, cose;
};

struct hierarchy ca_hierarchy(const struct board *b);

/* The issues behind it, to be changed by a test. */
struct issue issue_root(psa_key_id_t root);
struct issue issue_issuing(psa_key_id_t root, psa_key_id_t issuing);
struct issue issue_leaf(psa_key_id_t issuing, psa_key_id_t board);

#endif
