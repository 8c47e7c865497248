#!/usr/bin/env bash
# debian_12.sh: the packages in Debian 12: built, installed, used, upgraded, removed and purged there.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/packages/debian_12.sh   from the repository's root, as root; B=build; DEPS=no: fetches nothing
# shellcheck disable=SC2034 # for what is sourced
suite=bookworm who=debian_12
# shellcheck source=tests/packages/system.sh
. tests/packages/system.sh
