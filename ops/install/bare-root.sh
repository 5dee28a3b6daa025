#!/usr/bin/env bash
# Prove the set-up on a bare Debian: make a minimal root with debootstrap, put this commit into it, and run what is asked.
#
# usage: bare-root.sh DIR [COMMAND...]        default command: make run ARGS=--once, then make test
#
# Needs root and debootstrap. DIR is made anew when it does not hold a root yet; what was installed in it stays for the
# next run, so remove DIR for a proof from nothing. Of this machine the root sees: the network (name servers, certificate
# authorities and, where they are set up here, mirrors of pip), the outside data folder read-only, and nothing else.
set -euo pipefail

repo=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
root=$(realpath -m -- "${1:?usage: bare-root.sh DIR [COMMAND...]}")
shift
data=$(realpath -- "${FILTERD_DATA:-$repo/../shared}" 2>/dev/null || true)
mirror=${FILTERD_DEBIAN_MIRROR:-http://deb.debian.org/debian}

[ "$(id -u)" = 0 ] || { echo "bare-root: needs root (chroot, mounts)" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "bare-root: needs debootstrap: apt-get install debootstrap" >&2; exit 1; }

if ! [ -x "$root/usr/bin/apt-get" ]; then
    # make and git are what somebody needs to have the clone and to type the command; everything else is ours to install.
    debootstrap --variant=minbase --include=ca-certificates,git,make bookworm "$root" "$mirror"
fi

# How this machine reaches the network, not what it has installed.
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
cp /etc/hosts "$root/etc/hosts"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
mounts=()
mount_into() { # SOURCE TARGET: read-only
    mkdir -p "$root$2"
    mount --bind -o ro "$1" "$root$2"
    mounts+=("$root$2")
}
unmount() {
    for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do umount -l "${mounts[i]}" || true; done
}
trap unmount EXIT
if [ -e /etc/pip.conf ]; then
    cp /etc/pip.conf "$root/etc/pip.conf"
fi
for folder in ${FILTERD_BARE_MOUNTS:-}; do mount_into "$folder" "$folder"; done
mount -t proc proc "$root/proc" && mounts+=("$root/proc")
mount --rbind /dev "$root/dev" && mounts+=("$root/dev")
mount -t tmpfs tmpfs "$root/tmp" && mounts+=("$root/tmp")
if [ -n "$data" ]; then mount_into "$data" /srv/shared; fi

rm -rf "$root/srv/filterd"
git clone --quiet "$repo" "$root/srv/filterd"

inside() {
    chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 TERM=dumb \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        ${CI:+CI="$CI"} ${FILTERD_REQUIRE_DATA:+FILTERD_REQUIRE_DATA="$FILTERD_REQUIRE_DATA"} \
        bash -c 'cd /srv/filterd && "$@"' bash "$@" </dev/null
}
if [ "$#" -gt 0 ]; then
    inside "$@"
else
    inside make run ARGS=--once
    inside make test
fi
echo "bare-root: done in $root"
