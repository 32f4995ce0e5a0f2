#!/usr/bin/env bash
# Prints the path of a CPython without the GIL: `python3.14t` where it is installed, else one that is built from CPython's
# source into target/, which takes about two minutes. Exits 77, with the reason on stderr, when there can be none.
set -euo pipefail
cd "$(dirname "$0")/.."
version=3.14.7
sha256=3b48dac8fb59f62eaa67ac83c1eb12bda1b7a08406dd286e252c11a66be27f81
# The sum is that of Debian's archive; CPython's own is taken where it is the same.
sources=(
    "https://www.python.org/ftp/python/$version/Python-$version.tar.xz"
    "http://deb.debian.org/debian/pool/main/p/python3.14/python3.14_$version.orig.tar.xz"
)
home=$(realpath -m "${CARGO_TARGET_DIR:-target}")/python-$version-free-threaded
python=$home/bin/python3.14t

not_run() { echo "there is no CPython without the GIL here: $*" >&2; exit 77; }
installed=$(command -v python3.14t || true)
[ -z "$installed" ] || { echo "$installed"; exit; }
[ ! -x "$python" ] || { echo "$python"; exit; }

# What pip and the tests need beyond a compiler.
packages=(libffi-dev libssl-dev zlib1g-dev)
if command -v dpkg >/dev/null && ! dpkg --status "${packages[@]}" >/dev/null 2>&1; then
    [ "$(id -u)" = 0 ] || not_run "only root can install ${packages[*]}, which building it needs"
    { apt-get update --quiet=2 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "${packages[@]}"; } >/dev/null || not_run "apt-get can't install ${packages[*]}"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for source in "${sources[@]}"; do
    curl --silent --fail --location --max-time 300 --output "$work/source.tar.xz" "$source" || continue
    ! sha256sum --check --status <<<"$sha256  $work/source.tar.xz" || { found=$source && break; }
done
[ -n "${found:-}" ] || not_run "its source is at none of ${sources[*]}"
echo "building CPython $version from $found" >&2
mkdir "$work/source" && tar -xf "$work/source.tar.xz" -C "$work/source" --strip-components 1
(
    cd "$work/source"
    ./configure --quiet --prefix="$home" --disable-gil --disable-test-modules
    make --silent --jobs="$(nproc)"
    make --silent install
) >"$work/log" 2>&1 || { tail -20 "$work/log" >&2; echo "CPython $version does not build" >&2; exit 1; }
echo "$python"
