#!/usr/bin/env bash
# Install the Debian packages of the named tiers that are missing (debian-packages.txt).
#
# usage: debian.sh [TIER...]        tiers: run test; without any, all
#
# Needs root, or sudo that asks nothing, and only when something is missing. Never prompts, never removes a package
# (another mail server stays), never starts a service: not now, and not at the next boot.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
list=$here/debian-packages.txt
guard=/usr/sbin/policy-rc.d
guard_mark="filterd: no service starts while its packages are installed"

die() {
    printf 'filterd install: %s\n' "$@" >&2
    exit 1
}

wanted() { # the packages of the tiers given
    awk -v tiers=" $* " '$1 ~ /^#/ || NF < 2 { next } tiers == "  " || index(tiers, " " $1 " ") { print $2 }' "$list"
}

missing() { # those of the packages given that are not installed
    dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
        awk -v wanted="$*" '$2 == "installed" { have[$1] = 1 }
            END { n = split(wanted, w, " "); for (i = 1; i <= n; i++) if (!(w[i] in have)) print w[i] }'
}

installed() { dpkg-query -W -f '${Package} ${db:Status-Status}\n' | awk '$2 == "installed" { print $1 }' | sort -u; }

raise_guard() { # policy-rc.d answering 101 forbids every start (deb-systemd-invoke and invoke-rc.d ask it)
    if [ -e "$guard" ] && ! grep -qF "$guard_mark" "$guard"; then
        local answer=0
        "$guard" filterd-probe start >/dev/null 2>&1 || answer=$?
        if [ "$answer" -eq 101 ]; then return; fi
        mv -- "$guard" "$guard.filterd-saved"
    fi
    printf '#!/bin/sh\n# %s\nexit 101\n' "$guard_mark" >"$guard"
    chmod 755 "$guard"
}

lower_guard() { # ours goes, the one we set aside comes back
    if [ -e "$guard" ] && grep -qF "$guard_mark" "$guard"; then rm -f -- "$guard"; fi
    if [ -e "$guard.filterd-saved" ]; then mv -- "$guard.filterd-saved" "$guard"; fi
}

disable_at_boot() { # mail and scanner units of the packages given: filterd starts its own and needs no system service
    command -v systemctl >/dev/null || return 0
    local packages units
    mapfile -t packages < <(printf '%s\n' "$@" | grep -E '^(clamav|dovecot|opendkim|postfix)')
    [ "${#packages[@]}" -gt 0 ] || return 0
    mapfile -t units < <(dpkg -L "${packages[@]}" 2>/dev/null | sed -nE 's,^(/usr)?/lib/systemd/system/([^/@]+\.(service|socket|timer))$,\2,p')
    if [ "${#units[@]}" -gt 0 ]; then systemctl --quiet disable "${units[@]}" 2>/dev/null || true; fi
}

mapfile -t packages < <(wanted "$@")
[ "${#packages[@]}" -gt 0 ] || die "no package belongs to: $*"

command -v dpkg-query >/dev/null || die \
    "this is not a Debian system. Install by other means what these packages contain, then run: make venv" \
    "${packages[*]}"

mapfile -t absent < <(missing "${packages[@]}")
[ "${#absent[@]}" -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then exec sudo -n -- bash "${BASH_SOURCE[0]}" "$@"; fi
    die "these Debian packages are missing, and this is neither root nor a user whose sudo asks nothing:" \
        "    ${absent[*]}" \
        "as root, install them with:  bash $here/debian.sh $*" \
        "(make check needs none of them but python3-venv)"
fi

echo "filterd install: Debian packages: ${absent[*]}"
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true NEEDRESTART_SUSPEND=1
apt=(apt-get -y -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold)
before=$(installed)
log=$(mktemp -t filterd-install.XXXXXX)
trap 'lower_guard; rm -f -- "$log"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
raise_guard

# Postfix asks what kind of site this is; ours listens nowhere but on loopback, when somebody starts it by hand.
if printf '%s\n' "${absent[@]}" | grep -qx postfix; then
    echo "postfix postfix/main_mailer_type select Local only" | debconf-set-selections
fi

"${apt[@]}" update </dev/null >"$log" 2>&1 || {
    cat -- "$log" >&2
    echo "filterd install: apt-get update failed, trying the lists at hand" >&2
}
"${apt[@]}" install --no-install-recommends --no-remove "${absent[@]}" </dev/null >"$log" 2>&1 || {
    cat -- "$log" >&2
    die "apt-get could not install: ${absent[*]}" \
        "(nothing is ever removed to make room: with another mail server here, replace it by postfix yourself)"
}

mapfile -t fresh < <(comm -13 <(printf '%s\n' "$before") <(installed))
disable_at_boot "${fresh[@]}"
mapfile -t absent < <(missing "${packages[@]}")
[ "${#absent[@]}" -eq 0 ] || die "apt-get reported success, yet these are not installed: ${absent[*]}"
echo "filterd install: ${#fresh[@]} Debian packages installed; no service was started"
