#!/bin/sh
# Puts promtool into a directory. Debian's package is unpacked, not installed: installed, it would start a Prometheus.
set -eu
directory=$1
command -v apt-get >/dev/null || { echo "there is no apt-get" >&2; exit 1; }
mkdir -p "$directory"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
fetch() { timeout 300 apt-get download prometheus; }
# A fresh machine does not know yet what there is, and only root may ask.
fetch >/dev/null 2>&1 || { timeout 120 apt-get update >/dev/null && fetch >/dev/null; }
dpkg-deb -x prometheus_*.deb unpacked
# In one step, for whoever looks at the same time.
mv unpacked/usr/bin/promtool "$directory/promtool.$$"
mv "$directory/promtool.$$" "$directory/promtool"
