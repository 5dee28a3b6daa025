#!/usr/bin/env bash
# Put Sendmail and Exim beside Postfix: fetch their Debian packages and unpack them into a folder of ours, for the tests.
#
# usage: other-mtas.sh [TIER...]    does nothing unless `test` is among the tiers, or there are none
#
# Debian has one mail server installed at a time, and that is Postfix. The others are not installed: nothing of them runs
# at boot, no user is made, and `rm -r` undoes it. Needs no root. Does nothing when the packages are those of the last run.
# The libraries they need are in debian-packages.txt.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
place=$root/.venv/.filterd/mtas
packages=(sendmail-bin sendmail-cf exim4-daemon-light)

die() {
    printf 'filterd install: %s\n' "$@" >&2
    exit 1
}

case " $* " in "  " | *" test "*) ;; *) exit 0 ;; esac

# Two makes at once take turns.
mkdir -p "${place%/*}"
exec 9<"$root/pyproject.toml"
flock 9

if [ -e "$place/packages" ] && [ "$(<"$place/packages")" = "${packages[*]}" ]; then exit 0; fi

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || die \
    "this is not a Debian system. The tests want these packages unpacked below $place:" "${packages[*]}"

echo "filterd install: unpacking ${packages[*]} for the tests"
fresh=$(mktemp -d "$place.XXXXXX")
trap 'rm -rf -- "$fresh"' EXIT
mkdir "$fresh/fetched"
(cd "$fresh/fetched" && apt-get -qq download "${packages[@]}" >log 2>&1) || {
    cat -- "$fresh/fetched/log" >&2
    die "apt-get could not fetch: ${packages[*]}" "(root may have to run apt-get update first)"
}
for file in "$fresh"/fetched/*.deb; do dpkg-deb -x "$file" "$fresh"; done
rm -r -- "$fresh/fetched"
# No program of theirs needs a right that whoever starts it has not.
find "$fresh" -type f -perm /6000 -exec chmod ug-s {} +
chmod 755 "$fresh"
printf '%s\n' "${packages[*]}" >"$fresh/packages"
rm -rf -- "$place"
mv -- "$fresh" "$place"
