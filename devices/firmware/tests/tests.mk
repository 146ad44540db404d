# SPDX-License-Identifier: Apache-2.0
# make test: core, mbedTLS and the tests in one program of this machine, under
# AddressSanitizer and UndefinedBehaviorSanitizer; and fetch-mbedtls.sh. Included by devices/firmware/Makefile.

TEST_OUT := build/tests
TEST_SRC := $(wildcard tests/*.c)
TEST_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
TEST_CFLAGS := -O1 -g -std=c11 -fno-omit-frame-pointer -MMD -MP $(TEST_SANITIZE) -Itests -DPROV_RAW_KEY $(WITH_UPDATE) \
	$(subst prov_mbedtls_config.h,test_mbedtls_config.h,$(CORE_CFLAGS)) \
	-DVECTORS='"../smp/testdata"' -DIDENTITIES='"../testdata/identity.txt"'
TEST_CHOICES := $(foreach smp,own foreign,$(foreach both,0-0 0-1 1-0 1-1,$(TEST_OUT)/choices/$(smp)-$(both))) \
	$(TEST_OUT)/choices/zephyr-0-0 $(TEST_OUT)/choices/zephyr-1-0
TEST_OBJ := $(TEST_SRC:tests/%.c=$(TEST_OUT)/tests/%.o) $(CORE_SRC:core/%.c=$(TEST_OUT)/core/%.o) \
	$(MBEDTLS_NAMES:%=$(TEST_OUT)/mbedtls/%.o) $(TEST_OUT)/mbedtls/x509write_crt.o

test: $(TEST_OUT)/prov-tests $(TEST_OUT)/zephyr-transport $(TEST_CHOICES)
	$<
	$(TEST_OUT)/zephyr-transport
	@tests/fetch_test.sh

# The core with each choice that a port has, for a 32-bit machine: no warning, and PROV_SIZE is enough. A system with its own SMP server
# (foreign) also has its own mbedTLS, so here with everything that mbedTLS has, and Zephyr's (zephyr) has no X.509 of its own without TLS.
# ...-1-0: PROV_PROVISIONING 1, PROV_HANDSHAKE 0. Each is compiled without and with PROV_UPDATE.
CHOICE_CFLAGS_own :=
CHOICE_CFLAGS_foreign := -DPROV_FOREIGN_SMP -DMBEDTLS_USE_PSA_CRYPTO -UMBEDTLS_CONFIG_FILE -UMBEDTLS_PSA_CRYPTO_CONFIG_FILE
CHOICE_CFLAGS_zephyr := -DPROV_FOREIGN_SMP -UMBEDTLS_CONFIG_FILE -DMBEDTLS_CONFIG_FILE='"no_tls_config.h"' -Itests/zephyr -Iport/zephyr/include

$(TEST_CHOICES): $(CORE_SRC) $(wildcard core/*.h include/prov/*.h port/zephyr/include/* tests/zephyr/*) tests/tests.mk
	@mkdir -p $(@D)
	for update in 0 1; do $(QEMU_CC) -mcpu=cortex-m3 -mthumb -std=c11 -fsyntax-only -Werror $(CFLAGS_WARN) $(CORE_CFLAGS) $(CHOICE_CFLAGS_$(word 1,$(CHOICE))) \
		-DPROV_PROVISIONING=$(word 2,$(CHOICE)) -DPROV_HANDSHAKE=$(word 3,$(CHOICE)) -DPROV_UPDATE=$$update \
		$(filter-out $(if $(filter own,$(CHOICE)),,core/frame.c core/smp.c),$(CORE_SRC)) || exit 1; done
	@touch $@
$(TEST_CHOICES): CHOICE = $(subst -, ,$(@F))

# The files of Zephyr's port that decide on the transport. tests/zephyr/stub.h stands for each header of Zephyr.
ZEPHYR_TESTED := port/zephyr/smp_group.c port/zephyr/transport.c
ZEPHYR_STUBS := zephyr/mgmt/mcumgr/mgmt/handlers.h zephyr/mgmt/mcumgr/mgmt/mgmt.h zephyr/mgmt/mcumgr/smp/smp.h \
	zephyr/mgmt/mcumgr/transport/smp.h zephyr/logging/log.h zephyr/posix/fcntl.h zephyr/sys/byteorder.h zephyr/sys/crc.h \
	zcbor_common.h zcbor_encode.h

$(TEST_OUT)/zephyr-transport: $(ZEPHYR_TESTED) $(wildcard tests/zephyr/*) port/zephyr/port.h port/zephyr/compat.h
	@rm -rf $(TEST_OUT)/stubs
	@for header in $(ZEPHYR_STUBS); do mkdir -p "$$(dirname $(TEST_OUT)/stubs/$$header)"; echo '#include "stub.h"' >$(TEST_OUT)/stubs/$$header; done
	$(CC) -O1 -g -std=c11 $(TEST_SANITIZE) -Wall -Wextra -Wshadow -Iinclude -Iport/zephyr -Itests/zephyr -I$(TEST_OUT)/stubs \
		$(ZEPHYR_TESTED) tests/zephyr/transport_test.c -o $@

$(TEST_OUT)/prov-tests: $(TEST_OBJ)
	$(CC) $(TEST_SANITIZE) -Wl,--wrap=prov_smp_message $^ -o $@

$(TEST_OUT)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(CC) $(TEST_CFLAGS) $(CFLAGS_WARN) -c $< -o $@

$(TEST_OUT)/core/%.o: core/%.c
	@mkdir -p $(@D)
	$(CC) $(TEST_CFLAGS) $(CFLAGS_WARN) -c $< -o $@

$(TEST_OUT)/mbedtls/%.o: $(MBEDTLS_DIR)/library/%.c core/prov_mbedtls_config.h core/prov_psa_config.h \
		tests/test_mbedtls_config.h
	@mkdir -p $(@D)
	$(CC) $(TEST_CFLAGS) -c $< -o $@

# make fuzz FUZZTIME=3s: each law for that long, as many at once as there are cores. Only the core counts its edges.
FUZZTIME ?= 3s
FUZZ_OUT := build/fuzz
FUZZ_LAWS := lines messages open sealed certificates records flash updates
FUZZ_CFLAGS := $(TEST_CFLAGS) -Itests/fuzz -DFUZZ_FOUND='"$(FUZZ_OUT)"'
FUZZ_OBJ := $(patsubst tests/fuzz/%.c,$(FUZZ_OUT)/fuzz/%.o,$(wildcard tests/fuzz/*.c)) $(CORE_SRC:core/%.c=$(FUZZ_OUT)/core/%.o) \
	$(patsubst %,$(TEST_OUT)/tests/%.o,board ca frames requests vectors) $(MBEDTLS_NAMES:%=$(TEST_OUT)/mbedtls/%.o) $(TEST_OUT)/mbedtls/x509write_crt.o

fuzz: $(FUZZ_OUT)/prov-fuzz
	@printf '%s\n' $(FUZZ_LAWS) | xargs -P "$$(nproc)" -I LAW $< LAW $(FUZZTIME)

$(FUZZ_OUT)/prov-fuzz: $(FUZZ_OBJ)
	$(CC) $(TEST_SANITIZE) $^ -o $@

$(FUZZ_OUT)/fuzz/%.o: tests/fuzz/%.c
	@mkdir -p $(@D)
	$(CC) $(FUZZ_CFLAGS) $(CFLAGS_WARN) -c $< -o $@

$(FUZZ_OUT)/core/%.o: core/%.c
	@mkdir -p $(@D)
	$(CC) $(FUZZ_CFLAGS) $(CFLAGS_WARN) -fsanitize-coverage=trace-pc -c $< -o $@

-include $(wildcard $(TEST_OUT)/*/*.d $(FUZZ_OUT)/*/*.d)
