#!/usr/bin/env bash
# Runs swift for the project:   scripts/swift.sh DIR build|test|run|... [ARGS]
#
# A swift 6 on PATH is used as it is. Debian 12 has none, Debian 13 has one that needs a newer glibc: so a Debian 13 chroot is
# made once (about a minute, 1.5 GB), the checkout is mounted in it under its own path, and swift runs in there. A Rust cdylib
# built outside loads inside.
#
#   REALTIME_LIB_DIR       where the Rust library is (default: CARGO_TARGET_DIR or target, then /debug)
#   REALTIME_SWIFT_SCRATCH build directory (default: CARGO_TARGET_DIR or target, then /swift); the tree stays clean
#   REALTIME_SWIFT_ROOT    the chroot        REALTIME_SWIFT_MIRROR  a Debian mirror (default: the one this machine's apt uses)
#   REALTIME_SWIFT_MODE    host, mount or proot: forces one way
#
# Exit code 77: there is no Swift here and none could be had. Not run is not passed.
set -euo pipefail

not_run() { echo "swift: not run: $*" >&2; exit 77; }
have() { command -v "$1" >/dev/null; }
absolute() { case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac; }
[ $# -ge 2 ] || { echo "usage: $0 DIR SWIFT-ARGS..." >&2; exit 2; }

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
dir=$(cd "$1" && pwd -P); shift
target=$(absolute "${CARGO_TARGET_DIR:-$top/target}")
lib=$(absolute "${REALTIME_LIB_DIR:-$target/debug}")
scratch=$(absolute "${REALTIME_SWIFT_SCRATCH:-$target/swift}")
root=$(absolute "${REALTIME_SWIFT_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/realtime-pubsub/swift-trixie}")
mode=${REALTIME_SWIFT_MODE:-}

case $1 in
  build | test | run | package) set -- "$1" --scratch-path "$scratch" "${@:2}" ;;
esac
mkdir -p "$scratch"
# Both matter: the linker (clang, through swift) reads the first, the loader the second.
export LIBRARY_PATH="$lib${LIBRARY_PATH:+:$LIBRARY_PATH}" LD_LIBRARY_PATH="$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

host_swift() { have swift && swift --version 2>/dev/null | grep -qE 'Swift version ([6-9]|[1-9][0-9])'; }
if [ "$mode" = host ] || { [ -z "$mode" ] && host_swift; }; then
  host_swift || not_run "no swift 6 or newer on PATH"
  cd "$dir" && exec swift "$@"
fi

# --- the chroot: made once, under a lock; the stamp is written last, so an interrupted one is made anew ---
recipe="trixie 2"
stamp=$root/.realtime-complete

export DEBIAN_FRONTEND=noninteractive
apt_install() {
  if [ "$(id -u)" != 0 ] || ! have apt-get; then not_run "$1 is missing, and only root can install it (apt-get install $1)"; fi
  { apt-get install -qy --no-install-recommends "$1" ||
    { apt-get update -q && apt-get install -qy --no-install-recommends "$1"; }; } >>"$root.log" 2>&1 ||
    not_run "apt-get could not install $1 (log: $root.log)"
}
apt_mirror() { # apt itself reads all its source formats
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk -F'|' '$1 == "Debian" && $2 == "Debian" && $3 ~ /^https?:/ && !m { m = $3 } END { print m }'
}
can_mount() { unshare -m ${userns:+"$userns"} true 2>/dev/null; }

make_chroot() {
  local mirror proxy=""
  echo "swift: making a Debian 13 chroot with swift at $root (log: $root.log)" >&2
  : >"$root.log"
  have debootstrap || apt_install debootstrap
  mirror=${REALTIME_SWIFT_MIRROR:-$(apt_mirror)}
  if [ -z "$mirror" ]; then apt-get update -q >>"$root.log" 2>&1 || true; mirror=$(apt_mirror); fi
  [ -n "$mirror" ] || not_run "apt has no Debian mirror on this machine; name one in REALTIME_SWIFT_MIRROR"
  # debootstrap fetches with wget, which knows nothing of apt's proxy.
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  if [ -n "$proxy" ] && [ "$proxy" != DIRECT ]; then export http_proxy=${http_proxy:-$proxy} https_proxy=${https_proxy:-$proxy}; fi
  rm -rf --one-file-system "$root"
  mkdir -p "$root"
  in_new_root "$mirror" >>"$root.log" 2>&1 || not_run "the Debian 13 chroot could not be made, see the end of $root.log: $(tail -n 1 "$root.log")"
  echo "$recipe" >"$stamp"
}
in_new_root() (
  set -euo pipefail
  # shellcheck disable=SC2016
  base='debootstrap --variant=minbase "$1" "$2" "$3"'
  if can_mount; then unshare -m bash -c "$base" - trixie "$root" "$1"; else bash -c "$base" - trixie "$root" "$1"; fi || return 1
  # Debuggers, editors' helpers and the static and embedded libraries: 1.2 GB that no build needs.
  printf 'path-exclude=/usr/libexec/swift/%s\n' 'lib/swift_static/*' 'lib/swift/embedded/*' 'lib/liblldb*' 'lib/libsourcekitd*' \
    'lib/libLTO*' 'bin/lldb*' 'bin/clangd' 'bin/sourcekit-lsp' >"$root/etc/dpkg/dpkg.cfg.d/slim"
  printf 'path-exclude=/usr/share/%s/*\n' doc man locale >>"$root/etc/dpkg/dpkg.cfg.d/slim"
  # How this machine's apt reaches its mirror (proxies, dates), and its certificate authorities for a mirror on https.
  apt-config dump | grep -E '^Acquire::(https?|Check-|Retries|ForceIPv)[^ ]* "[^"]' >"$root/etc/apt/apt.conf.d/90host" || true
  if [ -r /etc/ssl/certs/ca-certificates.crt ]; then
    mkdir -p "$root/etc/ssl/certs"
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    echo 'Acquire::https::CaInfo "/etc/ssl/certs/ca-certificates.crt";' >>"$root/etc/apt/apt.conf.d/90host"
  fi
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
  enter / bash -euc 'apt-get update -q
    apt-get install -qy --no-install-recommends swiftlang libstdc++-14-dev libc6-dev
    apt-get clean; rm -rf /var/lib/apt/lists/*; swift --version'
)

# Runs a command in the chroot, in a directory of the host. Unsharing leaves no mount behind; where mounting is not allowed
# (a container without the right to), proot does the same by tracing, slower. /proc is a must: the compiler dies without it.
enter() {
  local where=$1 path=/usr/libexec/swift/bin:/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin; shift
  local binds=(/dev /proc /tmp) d
  if [ "$where" != / ]; then binds+=("$top" "$where" "$target" "$scratch"); [ ! -d "$lib" ] || binds+=("$lib"); fi
  set -- env PATH="$path" HOME=/root TMPDIR=/tmp LC_ALL=C.UTF-8 "$@"
  if [ "$mode" != proot ] && [ -w "$root" ] && can_mount; then
    # shellcheck disable=SC2016
    unshare -m ${userns:+"$userns"} bash -euc 'root=$1 where=$2 n=$3; shift 3
      while [ "$n" -gt 0 ]; do mkdir -p "$root$1"; mount --rbind "$1" "$root$1"; shift; n=$((n - 1)); done
      exec chroot "$root" env -C "$where" "$@"' - "$root" "$where" ${#binds[@]} "${binds[@]}" "$@"
  else
    have proot || apt_install proot
    local flags=(-r "$root" -w "$where")
    if [ "$where" = / ]; then flags=(-0 "${flags[@]}"); fi
    for d in "${binds[@]}"; do flags+=(-b "$d"); done
    proot "${flags[@]}" "$@"
  fi
}

if ! have flock || ! have unshare; then not_run "flock and unshare (util-linux) are missing"; fi
userns=
if [ "$(id -u)" != 0 ]; then userns=--map-root-user; fi
if [ "$(cat "$stamp" 2>/dev/null)" != "$recipe" ]; then
  [ "$(id -u)" = 0 ] || not_run "no swift 6 on PATH, and only root can make the Debian 13 chroot at $root"
  have apt-get || not_run "no swift 6 on PATH, and no apt-get to get Debian's with"
  mkdir -p "$(dirname "$root")"
  exec 9>"$root.lock"
  flock 9
  [ "$(cat "$stamp" 2>/dev/null)" = "$recipe" ] || make_chroot
  exec 9>&-
fi
enter "$dir" swift "$@"
