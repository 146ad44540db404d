# SPDX-License-Identifier: Apache-2.0
# Builds build/qemu/<machine>.elf, the product's <machine>-product.elf, and <machine>-update.elf, which provisions and has update. devices/firmware/Makefile
# includes this file and sets CORE_SRC, MBEDTLS_SRC (C files) and CORE_CFLAGS (includes,
# definitions, warnings). Core and mbedTLS are compiled once for each CPU, the port once
# for each machine.

QEMU_CC ?= arm-none-eabi-gcc
QEMU_DIR := port/qemu
QEMU_OUT := build/qemu
QEMU_MACHINES := mps2-an385 mps2-an521
QEMU_VARIANTS := provisioning product update # each has its own folder for objects
QEMU_IMAGES := $(QEMU_MACHINES:%=$(QEMU_OUT)/%.elf) $(QEMU_MACHINES:%=$(QEMU_OUT)/%-product.elf) $(QEMU_MACHINES:%=$(QEMU_OUT)/%-update.elf)
QEMU_PORT_SRC := $(wildcard $(QEMU_DIR)/*.c)
QEMU_WARNINGS := -Wall -Wextra -Wshadow -Wconversion

# The CPU of an521 has no DSP extension, and QEMU stops at the first DSP instruction.
QEMU_CPU_mps2-an385 := cortex-m3
QEMU_CPU_mps2-an521 := cortex-m33+nodsp
QEMU_MACRO_mps2-an385 := BOARD_MPS2_AN385
QEMU_MACRO_mps2-an521 := BOARD_MPS2_AN521

# newlib without its nano variant, because nano's memcpy moves octets one by one.
QEMU_CFLAGS := -O2 -g -std=c99 -mthumb -mfloat-abi=soft -ffunction-sections -fdata-sections -MMD -MP
QEMU_LDFLAGS := -nostartfiles -Wl,--gc-sections -Wl,--fatal-warnings -L$(QEMU_DIR)

QEMU_FLAGS_product := $(PRODUCT)
QEMU_FLAGS_update := $(WITH_UPDATE)

# $(1) CPU, $(2) folder for the object, $(3) source, $(4) further flags
define qemu-compile
$(QEMU_OUT)/$(2)/$(notdir $(3:.c=.o)): $(3) $(MAKEFILE_LIST)
	@mkdir -p $$(@D)
	$$(QEMU_CC) -mcpu=$(1) $$(QEMU_CFLAGS) $$(CORE_CFLAGS) $(4) -c $$< -o $$@
endef

# $(1) CPU, $(2) variant
define qemu-core
$(foreach src,$(CORE_SRC),$(eval $(call qemu-compile,$(1),$(1)/core-$(2),$(src),$(QEMU_WARNINGS) $(QEMU_FLAGS_$(2)))))
endef

define qemu-cpu
$(foreach variant,$(QEMU_VARIANTS),$(eval $(call qemu-core,$(1),$(variant))))
$(foreach src,$(MBEDTLS_SRC),$(eval $(call qemu-compile,$(1),$(1)/mbedtls,$(src))))
endef

# $(1) machine, $(2) variant, $(3) image
define qemu-machine
$(foreach src,$(QEMU_PORT_SRC),$(eval $(call qemu-compile,$(QEMU_CPU_$(1)),$(1)/port-$(2),$(src),$(QEMU_WARNINGS) $(QEMU_FLAGS_$(2)) -D$(QEMU_MACRO_$(1)) -I$(QEMU_DIR))))
$(QEMU_OUT)/$(3).elf: $(QEMU_PORT_SRC:$(QEMU_DIR)/%.c=$(QEMU_OUT)/$(1)/port-$(2)/%.o) \
		$(patsubst %.c,$(QEMU_OUT)/$(QEMU_CPU_$(1))/core-$(2)/%.o,$(notdir $(CORE_SRC))) \
		$(patsubst %.c,$(QEMU_OUT)/$(QEMU_CPU_$(1))/mbedtls/%.o,$(notdir $(MBEDTLS_SRC))) \
		$(QEMU_DIR)/$(1).ld $(QEMU_DIR)/sections.ld
	$$(QEMU_CC) -mcpu=$(QEMU_CPU_$(1)) $$(QEMU_CFLAGS) $$(QEMU_LDFLAGS) -Wl,-Map=$$@.map -T$(1).ld $$(filter %.o,$$^) -o $$@.new
	mv $$@.new $$@
endef

$(foreach cpu,$(sort $(foreach machine,$(QEMU_MACHINES),$(QEMU_CPU_$(machine)))),$(eval $(call qemu-cpu,$(cpu))))
$(foreach machine,$(QEMU_MACHINES),$(eval $(call qemu-machine,$(machine),provisioning,$(machine))))
$(foreach machine,$(QEMU_MACHINES),$(eval $(call qemu-machine,$(machine),product,$(machine)-product)))
$(foreach machine,$(QEMU_MACHINES),$(eval $(call qemu-machine,$(machine),update,$(machine)-update)))

.PHONY: qemu
qemu: $(QEMU_IMAGES)

-include $(wildcard $(QEMU_OUT)/*/*/*.d)
