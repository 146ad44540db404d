# SPDX-License-Identifier: Apache-2.0
# make test: core, mbedTLS and the tests in one program of this machine, under
# AddressSanitizer and UndefinedBehaviorSanitizer; and fetch-mbedtls.sh. Included by devices/firmware/Makefile.

TEST_OUT := build/tests
TEST_SRC := $(wildcard tests/*.c)
TEST_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
TEST_CFLAGS := -O1 -g -std=c11 -fno-omit-frame-pointer -MMD -MP $(TEST_SANITIZE) -Itests -DPROV_RAW_KEY \
	$(subst prov_mbedtls_config.h,test_mbedtls_config.h,$(CORE_CFLAGS)) \
	-DVECTORS='"../smp/testdata"' -DIDENTITIES='"../testdata/identity.txt"'
TEST_OBJ := $(TEST_SRC:tests/%.c=$(TEST_OUT)/tests/%.o) $(CORE_SRC:core/%.c=$(TEST_OUT)/core/%.o) \
	$(MBEDTLS_NAMES:%=$(TEST_OUT)/mbedtls/%.o) $(TEST_OUT)/mbedtls/x509write_crt.o

test: $(TEST_OUT)/prov-tests
	$<
	@tests/fetch_test.sh

$(TEST_OUT)/prov-tests: $(TEST_OBJ)
	$(CC) $(TEST_SANITIZE) $^ -o $@

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

-include $(wildcard $(TEST_OUT)/*/*.d)
