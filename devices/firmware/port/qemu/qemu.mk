# SPDX-License-Identifier: Apache-2.0
# Builds build/qemu/<machine>.elf. Included by devices/firmware/Makefile, which
# gives CORE_SRC, MBEDTLS_SRC (C files) and CORE_CFLAGS (includes, definitions,
# warnings). Core and mbedTLS are compiled once for each CPU, the port once for
# each machine.

QEMU_CC ?= arm-none-eabi-gcc
QEMU_DIR := port/qemu
QEMU_OUT := build/qemu
QEMU_MACHINES := mps2-an385 mps2-an521
QEMU_IMAGES := $(QEMU_MACHINES:%=$(QEMU_OUT)/%.elf)
QEMU_PORT_SRC := $(wildcard $(QEMU_DIR)/*.c)
QEMU_WARNINGS := -Wall -Wextra -Wshadow -Wconversion

# The CPU of an521 has no DSP extension: QEMU stops at the first such instruction.
QEMU_CPU_mps2-an385 := cortex-m3
QEMU_CPU_mps2-an521 := cortex-m33+nodsp
QEMU_MACRO_mps2-an385 := BOARD_MPS2_AN385
QEMU_MACRO_mps2-an521 := BOARD_MPS2_AN521

# newlib, not its nano variant: nano's memcpy moves octets one by one.
QEMU_CFLAGS := -O2 -g -std=c99 -mthumb -mfloat-abi=soft -ffunction-sections -fdata-sections -MMD -MP
QEMU_LDFLAGS := -nostartfiles -Wl,--gc-sections -Wl,--fatal-warnings -L$(QEMU_DIR)

# $(1) CPU: its objects of core and mbedTLS.
qemu-cpu-obj = $(patsubst %.c,$(QEMU_OUT)/$(1)/core/%.o,$(notdir $(CORE_SRC))) \
               $(patsubst %.c,$(QEMU_OUT)/$(1)/mbedtls/%.o,$(notdir $(MBEDTLS_SRC)))

# $(1) CPU, $(2) folder for the object, $(3) source, $(4) further flags
define qemu-compile
$(QEMU_OUT)/$(1)/$(2)/$(notdir $(3:.c=.o)): $(3) $(MAKEFILE_LIST)
	@mkdir -p $$(@D)
	$$(QEMU_CC) -mcpu=$(4) $$(QEMU_CFLAGS) $$(CORE_CFLAGS) $(5) -c $$< -o $$@
endef

define qemu-cpu
$(foreach src,$(CORE_SRC),$(eval $(call qemu-compile,$(1),core,$(src),$(1),$(QEMU_WARNINGS))))
$(foreach src,$(MBEDTLS_SRC),$(eval $(call qemu-compile,$(1),mbedtls,$(src),$(1))))
endef

define qemu-machine
$(foreach src,$(QEMU_PORT_SRC),$(eval $(call qemu-compile,$(1),port,$(src),$(QEMU_CPU_$(1)),$(QEMU_WARNINGS) -D$(QEMU_MACRO_$(1)) -I$(QEMU_DIR))))
$(QEMU_OUT)/$(1).elf: $(QEMU_PORT_SRC:$(QEMU_DIR)/%.c=$(QEMU_OUT)/$(1)/port/%.o) \
		$(call qemu-cpu-obj,$(QEMU_CPU_$(1))) $(QEMU_DIR)/$(1).ld $(QEMU_DIR)/sections.ld
	$$(QEMU_CC) -mcpu=$(QEMU_CPU_$(1)) $$(QEMU_CFLAGS) $$(QEMU_LDFLAGS) -T$(1).ld $$(filter %.o,$$^) -o $$@.new
	mv $$@.new $$@
endef

$(foreach cpu,$(sort $(foreach machine,$(QEMU_MACHINES),$(QEMU_CPU_$(machine)))),$(eval $(call qemu-cpu,$(cpu))))
$(foreach machine,$(QEMU_MACHINES),$(eval $(call qemu-machine,$(machine))))

.PHONY: qemu
qemu: $(QEMU_IMAGES)

-include $(wildcard $(QEMU_OUT)/*/*/*.d)
