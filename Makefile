# SPDX-License-Identifier: GPL-2.0
#
# Everything is reached from here; scripts/ does the work. `make help` is the list.

MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help

# What a user may set, on the command line or in the environment.
export KERNEL_SRC QEMU_SRC IMS_CACHE MACHINE ONLY JOBS TREE SIGNOFF V FORCE PORT ROUNDS CPUS
export CASE KERNEL

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20
	@sed -n 's/^#= /  /p' Makefile

deps: ## install what is missing (as root), or print the line that does
	@scripts/deps

tree: deps ## build/linux: a git tree of the base and one commit per step
	@scripts/ims tree

export: deps ## write patches/ and linux/ from build/linux (or TREE=)
	@scripts/ims export

mail: deps ## the mail-ready series in build/mail (SIGNOFF="Name <addr>", V=2)
	@scripts/ims mail

kernel: deps ## the lean kernel of build/linux, or of the exported series without it
	@scripts/ims kernel

qemu: deps ## QEMU with the virtual device
	@scripts/ims qemu

boot: deps ## boot it and show IMS at work (MACHINE=, see configs/machines.toml)
	@scripts/ims boot

stress: deps ## only the stress test (ROUNDS=N, CPUS=N, MACHINE=)
	@scripts/ims stress

bench: ## figures beside those of 6.1 and 6.12, in build/bench (ONLY=short, or names)
	@scripts/deps bench
	@scripts/ims bench

bench-record: deps ## record what `make check` compares the figures with
	@scripts/ims bench-record

profile: deps ## instructions by function (CASE=figure[,figure] KERNEL=series|base|6.12)
	@scripts/ims profile

check: deps ## every test there is (ONLY=regex for some, ROUNDS=N of the stress test)
	@scripts/ims check

images: deps ## build/images: boots kernels and tests on other machines
	@scripts/ims images

paths: ## NAME=path of what is built
	@scripts/ims paths

clean: ## remove build/, not the cache (FORCE=1 throws work away)
	@scripts/ims clean

.PHONY: help deps tree export mail kernel qemu boot stress bench bench-record profile check images paths clean

#= 
#= kernel and boot take build/linux as it stands, if it is there, and else the
#= exported series. KERNEL_SRC=, QEMU_SRC= name sources to use instead of Debian's
#= packages, IMS_CACHE= the place of downloads and builds, JOBS= how many at once.
