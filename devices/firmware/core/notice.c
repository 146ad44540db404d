/* SPDX-License-Identifier: Apache-2.0 */
/* Not in smp.c, because a system with its own SMP server needs it, too. */
#include "core.h"

#include <string.h>

void prov_smp_notice(struct prov *prov, const uint8_t header[SMP_HEADER_SIZE], uint16_t crc)
{
	struct smp *smp = &prov->smp;

	smp->again = smp->last_crc == crc && memcmp(smp->last, header, SMP_HEADER_SIZE) == 0;
	smp->last_crc = crc;
	memcpy(smp->last, header, SMP_HEADER_SIZE);
}
