/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of a port's network, in RAM. A test sets its behaviour; it stores what the core did. */
#ifndef PEER_H
#define PEER_H

#include "board.h"

struct peer {
	char address[ADDRESS_MAX + 1u];
	uint16_t port;
	unsigned opened, closed;
	int open_error;	     /* result of connect or start */
	int send_error;	     /* result of send; 0: send takes octets */
	int receive_error;   /* result of receive when there are no octets */
	unsigned busy;	     /* how often sockets say that they are still at work when they are closed */
	size_t takes;	     /* octets that one send takes; 0: not connected yet */
	uint8_t received[8192]; /* from the board */
	size_t received_len;
	const uint8_t *output; /* to the board */
	size_t output_len;
	const struct prov_visit *visit;
	struct prov_visit_report report;
};

extern struct peer peer;

/* Calls for prov/port.h: a stream, sockets that need the private key, sockets that take PSA keys. */
extern const struct prov_stream peer_stream;
extern const struct prov_tls_sockets peer_raw_sockets, peer_psa_sockets;

#endif
