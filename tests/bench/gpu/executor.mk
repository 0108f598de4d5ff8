# SPDX-License-Identifier: Apache-2.0
# The executor alone, with its module, the operator cases and the workbenches, for a machine that has a C compiler,
# CUDA and cuDNN, and nothing of what the daemon wants. Sources and flags are those of the tree's Makefile.inc files;
# kernels of the CPU's that want a library are left out (alone/without.c).
#
# usage: make -f TOP/tests/bench/gpu/executor.mk -C DIR TOP=TOP CUDA_PATH=PATH [CUDNN_INCLUDE=DIR] [gpu-stand-ins]
ALONE = $(TOP)/tests/bench/gpu/alone
CC = gcc
CXX = g++
CFLAGS = -O2 -g1
CXXFLAGS = -O2
NVCC = $(CUDA_PATH)/bin/nvcc
MKDIR_P = mkdir -p
VPATH = $(TOP)
.DEFAULT_GOAL = all
.DELETE_ON_ERROR:
.SUFFIXES: .cu .cuo .fatbin

# What configure says otherwise.
top_srcdir = $(TOP)
abs_top_srcdir = $(TOP)
abs_top_builddir = $(CURDIR)
pkglibdir = $(CURDIR)
AM_CPPFLAGS = -I$(TOP)/src -I. -I$(TOP) -D_GNU_SOURCE -DSIGNET_LIBDIR='"$(CURDIR)"' -DSIGNET_SYSCONFDIR='"/etc"' \
	$(if $(CUDNN_INCLUDE),-isystem $(CUDNN_INCLUDE))
AM_CFLAGS = -std=gnu17 -pthread -Wall -Wextra
VECTOR_CFLAGS = -fwrapv -fno-math-errno -fno-trapping-math -ftree-vectorize
EXPORTS_FOR_MODULES = -pthread -Wl,--export-dynamic
CHECK_CFLAGS = -I$(ALONE)

# Automake's conditions: there is CUDA, this is x86-64.
INCS = src/base/Makefile.inc src/exec/Makefile.inc src/exec/cpu/Makefile.inc src/exec/gpu/Makefile.inc tests/unit/gpu.inc \
	tests/gpu/gpu.inc tests/bench/bench.inc
sources.mk: $(addprefix $(TOP)/,$(INCS)) $(TOP)/configure.ac
	sed -n 's/^AC_INIT(\[signet\], \[\([^]]*\)\].*/#define PACKAGE_VERSION "\1"/p' $(TOP)/configure.ac >config.h
	sed -e '/^else/,/^endif/d' -e '/^\(if \|endif\)/d' $(addprefix $(TOP)/,$(INCS)) >$@
include sources.mk

LIBRARIES = $(subst .,_,$(filter libbase% libexec% libcpu%,$(noinst_LIBRARIES)))
STAND_INS = $(subst /,_,$(subst -,_,$(subst .,_,$(GPU_STAND_INS))))
NAMES = $(LIBRARIES) signet_gpu_so check_gpu bench_gpu $(STAND_INS)
LEFT_OUT = src/base/conf%.c src/exec/cpu/onednn/%.c src/exec/cpu/image/%.c src/exec/cpu/text/pattern.c \
	src/exec/cpu/text/regex.c src/exec/cpu/text/tokenize.c

# $(1), as automake spells it: what it is made of, by folder of its own name.
define OBJECTS
$(1)_OBJECTS = $$(patsubst %,objects/$(1)/%.o,$$(filter-out $(LEFT_OUT),$$(filter %.c %.cc %.S,$$($(1)_SOURCES))))
objects/$(1)/%.c.o: %.c
	@$(MKDIR_P) $$(@D)
	$$(CC) $$(or $$($(1)_CPPFLAGS),$$(AM_CPPFLAGS)) $$(or $$($(1)_CFLAGS),$$(AM_CFLAGS)) $$(CFLAGS) -MMD -c -o $$@ $$<
objects/$(1)/%.cc.o: %.cc
	@$(MKDIR_P) $$(@D)
	$$(CXX) $$($(1)_CPPFLAGS) $$($(1)_CXXFLAGS) $$(CXXFLAGS) -c -o $$@ $$<
objects/$(1)/%.S.o: %.S
	@$(MKDIR_P) $$(@D)
	$$(CC) $$(or $$($(1)_CPPFLAGS),$$(AM_CPPFLAGS)) $$($(1)_CCASFLAGS) -c -o $$@ $$<
endef
$(foreach n,$(NAMES),$(eval $(call OBJECTS,$(n))))
check_gpu_SOURCES += tests/bench/gpu/alone/check.c
libexec_a_SOURCES += tests/bench/gpu/alone/without.c
objects/signet_gpu_so/src/exec/gpu/fatbin.S.o: $(GPU_FATBINS)

EXECUTOR = $(foreach n,$(LIBRARIES),$($(n)_OBJECTS))
all: check_gpu bench_gpu signet-gpu.so
signet-gpu.so: $(signet_gpu_so_OBJECTS)
	$(CC) -shared -pthread -Wl,-z,relro,-z,now -o $@ $^
check_gpu bench_gpu: %: $(EXECUTOR)
	$(CC) $(EXPORTS_FOR_MODULES) -o $@ $($*_OBJECTS) $(EXECUTOR) -ldl -lm
check_gpu: $(check_gpu_OBJECTS)
bench_gpu: $(bench_gpu_OBJECTS)

# A rehearsal's.
gpu-stand-ins: $(GPU_STAND_INS)
define STAND_IN
$(1): $$($(2)_OBJECTS) $$($(2)_LDADD)
	@$(MKDIR_P) $$(@D)
	$$(CXX) $$($(2)_LDFLAGS) -o $$@ $$^
endef
$(foreach s,$(GPU_STAND_INS),$(eval $(call STAND_IN,$(s),$(subst /,_,$(subst -,_,$(subst .,_,$(s)))))))
-include $(shell find objects -name '*.d' 2>/dev/null)
