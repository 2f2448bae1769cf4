#!/bin/sh
# Installs the browser that opens the HTML page, where that can be done without asking anybody.
set -eu
[ "$(id -u)" = 0 ] || { echo "only root may install chromium" >&2; exit 1; }
command -v apt-get >/dev/null || { echo "there is no apt-get" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
install() { timeout 300 apt-get install -y --no-install-recommends chromium; }
# A fresh machine does not know yet what there is.
install >/dev/null 2>&1 || { timeout 120 apt-get update >/dev/null && install >/dev/null; }
