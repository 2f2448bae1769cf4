#!/bin/sh
# sweep.sh DIRECTORY CGROUP: takes away what a run left outside its namespaces, after it has ended, however it ended.
# The end of standard input says that it has.
read -r _
# Killed processes leave their cgroup a moment later than they are killed, and a folder with any in it stays.
for _ in $(seq 100); do
  left=
  for cgroup in /sys/fs/cgroup/*/"$2" /sys/fs/cgroup/"$2"; do
    [ -d "$cgroup" ] || continue
    find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null
    [ -d "$cgroup" ] && left=$cgroup
  done
  [ -z "$left" ] && break
  sleep 0.1
done
[ -z "$left" ] || echo "still there: $left" >&2
rm -rf "$1"
