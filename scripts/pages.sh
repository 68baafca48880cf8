#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# pages.sh FOLDER: puts the examples of the pages of documentation there, anew.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

remove "$1"
mkdir -p "$1"
cd "$SOURCE"
awk -v OUT="$1" -v SOURCE="$SOURCE" -f "$SCRIPTS/pages.awk" README.md docs/*.md
