# SPDX-License-Identifier: MIT
# Where things are, for each Makefile that builds: PROJECT, CACHE, MICROPYTHON_DIR, MONOCYPHER_DIR.
# make and MicroPython's makefiles split a path at its blanks: place.sh gives such a folder the
# path of a link. make itself follows links, so that CURDIR and $(abspath) have the blanks again.
HERE := $(dir $(lastword $(MAKEFILE_LIST)))
place = $(or $(shell sh $(HERE)place.sh '$(subst ','\'',$1)'),$(error Move $1, or set XDG_CACHE_HOME))

PROJECT := $(call place,$(HERE:tools/setup/=.))
CACHE ?= $(PROJECT)/.cache
MICROPYTHON_DIR ?= $(CACHE)/micropython-1.25.0
MONOCYPHER_DIR ?= $(CACHE)/monocypher-4.0.3

# What the user has named, for the makes that this one runs too. `make setup` may have to make CACHE.
define link
override $1 := $2
MAKEOVERRIDES += $1=$2
endef
given = $(if $(word 2,$2),,$(eval $(call link,$1,$2)))
$(foreach v,CACHE MICROPYTHON_DIR MONOCYPHER_DIR,$(if $(word 2,$($v)), \
    $(call given,$v,$(call place,$($v)))))
