#!/usr/bin/env bash
# Builds what users install, for this platform:   scripts/package.sh [wheel|free-threaded|npm|c|kotlin|swift|crates|cli]...
#
#   PROFILE   release (default) or dev        OUT   where to put it, default target/packages
#
# A kind whose tools are missing is left out, and named at the end; then the exit code is 77.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
profile=${PROFILE:-release}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
out=$(realpath -m "${OUT:-$target/packages}")
case $profile in dev) built=$target/debug ;; *) built=$target/$profile ;; esac
case $(uname -s) in
    Linux) prefix=lib suffix=so platform=$(uname -m)-linux ;;
    Darwin) prefix=lib suffix=dylib platform=$(uname -m)-macos ;;
    *) echo "packages are made on Linux and macOS" >&2; exit 77 ;;
esac
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
[ $# -gt 0 ] || set -- wheel free-threaded npm c kotlin swift crates cli
kinds=("$@") missing=()
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

have() { command -v "$1" >/dev/null; }
# As each language's own suite builds it, so that nothing is built twice.
build() { cargo build --quiet --locked --profile "$profile" "$@"; }
# A library without the symbols that nobody links by.
slim() {
    local option=--strip-unneeded
    case $1 in *.a) option=--strip-debug ;; esac
    cp "$1" "$2" && if have strip; then strip $option "$2/$(basename "$1")" 2>/dev/null || strip -x "$2/$(basename "$1")"; fi
}
archive() { tar -C "$work" --owner=0 --group=0 -czf "$out/$1.tar.gz" "$1"; }

maturin() {
    have python3 || return 77
    local venv=$target/package-venv tools=scripts/package-requirements.txt
    if ! cmp -s "$tools" "$venv/installed.txt"; then
        { rm -rf "$venv" && python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$tools"; } || return 77
        cp "$tools" "$venv/installed.txt"
    fi
    (cd bindings/python && PATH=$venv/bin:$PATH command maturin "$@" --out "$out")
}
# maturin asks the wheel itself which manylinux it is good for, and names it so.
wheel() { maturin build --quiet --locked --profile "$profile" --target-dir "$target" "$@"; }

package_wheel() {
    rm -f "$out"/realtime_pubsub-*{-abi3-*.whl,.tar.gz}
    wheel
    maturin sdist 2>&1 | tail -1
}

package_free-threaded() {
    local python
    python=$(scripts/free-threaded-python.sh)
    rm -f "$out"/realtime_pubsub-*-cp314t-*.whl
    wheel --interpreter "$python"
}

package_npm() {
    have node && have npm || return 77
    build --package realtime-pubsub-node
    (cd bindings/node && { [ -x node_modules/.bin/tsc ] || npm ci --silent --no-fund --no-audit; } && rm -rf dist && npx --no-install tsc -p .)
    rm -f "$out"/realtime-pubsub-[0-9]*.tgz "$out"/realtime-pubsub-*-*.tgz
    # Packed from a copy: a release's manifest names the platforms' packages, the repository's does not.
    local copy=$work/npm/bindings/node
    mkdir -p "$copy" "$work/npm-target/$(basename "$built")"
    cp LICENSE "$work/npm/"
    cp -r bindings/node/{package.json,README.md,dist,npm,scripts} "$copy/"
    slim "$built/${prefix}realtime_pubsub_node.$suffix" "$work/npm-target/$(basename "$built")"
    (cd "$copy" && node scripts/add-platforms.mjs)
    CARGO_TARGET_DIR=$work/npm-target "$copy/scripts/pack.sh" "$out" "$(basename "$built")" >/dev/null
}

package_c() {
    build --package realtime-pubsub-c --lib
    local name=realtime-pubsub-c-$version-$platform
    mkdir "$work/c-lib"
    slim "$built/${prefix}realtime_pubsub.$suffix" "$work/c-lib"
    slim "$built/${prefix}realtime_pubsub.a" "$work/c-lib"
    LIB=$work/c-lib bindings/c/install.sh "$work/$name" >/dev/null
    # Wherever it is unpacked, pkg-config finds it; the CMake package does that by itself.
    sed -i.old 's|^prefix=.*|prefix=${pcfiledir}/../..|' "$work/$name/lib/pkgconfig/realtime_pubsub.pc"
    rm "$work/$name/lib/pkgconfig/realtime_pubsub.pc.old"
    cp bindings/c/README.md LICENSE "$work/$name/"
    archive "$name"
}

uniffi() {
    REALTIME_PROFILE=$profile bindings/uniffi/generate.sh
    mkdir -p "$work/uniffi-lib"
    slim "$built/${prefix}realtime_pubsub_uniffi.$suffix" "$work/uniffi-lib"
}

package_kotlin() {
    uniffi
    REALTIME_LIB_DIR=$work/uniffi-lib scripts/kotlin.sh -q clean package -DskipTests || return
    # As a Maven repository, to copy somewhere or to name by its file:// URL.
    local to=$out/maven/io/github/realtime-pubsub/realtime-pubsub/$version name=realtime-pubsub-$version
    rm -rf "$out/maven" && mkdir -p "$to"
    cp "bindings/uniffi/kotlin/target/$name.jar" "$to/"
    cp bindings/uniffi/kotlin/pom.xml "$to/$name.pom"
    (cd bindings/uniffi/kotlin && jar --create --file "$to/$name-sources.jar" -C src/main/kotlin . -C generated . -C . README.md -C "$root" LICENSE)
}

package_swift() {
    uniffi
    local name=realtime-pubsub-swift-$version-$platform
    mkdir -p "$work/$name/lib"
    cp -r bindings/uniffi/swift/{Package.swift,README.md,Sources,Tests,generated} LICENSE "$work/$name/"
    cp "$work/uniffi-lib"/* "$work/$name/lib/"
    archive "$name"
}

package_crates() {
    local crates=(realtime-pubsub-protocol realtime-pubsub-gateway realtime-pubsub realtime-pubsub-cli) flags=()
    # A release is what is committed, and each crate is compiled from its .crate file, the earlier ones standing in for a
    # registry; the tests compile them by themselves.
    [ "$profile" != dev ] || flags=(--allow-dirty --no-verify)
    CARGO_TARGET_DIR=$target cargo package --quiet --locked "${flags[@]}" "${crates[@]/#/--package=}"
    mkdir -p "$out/crates"
    rm -f "$out"/crates/*
    local crate
    for crate in "${crates[@]}"; do cp "$target/package/$crate-$version.crate" "$out/crates/"; done
}

package_cli() {
    build --package realtime-pubsub-cli
    local name=realtime-pubsub-cli-$version-$platform shell
    mkdir -p "$work/$name/completions"
    slim "$built/realtime-pubsub" "$work/$name"
    for shell in bash zsh fish; do "$built/realtime-pubsub" completions $shell >"$work/$name/completions/realtime-pubsub.$shell"; done
    cp core/cli/README.md LICENSE "$work/$name/"
    archive "$name"
}

scripts/version.py check
for kind in "${kinds[@]}"; do
    echo "-- $kind"
    status=0
    # Not `package_… || …`: that would switch `set -e` off inside.
    set +e
    (set -e; "package_$kind")
    status=$?
    set -e
    case $status in 0) ;; 77) missing+=("$kind") ;; *) echo "$kind could not be packaged" >&2; exit 1 ;; esac
done

# Sizes, and the oldest glibc that what is native runs with.
glibc() { objdump -T "$1" 2>/dev/null | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -1; }
{
    printf '| package | bytes | MiB |\n|---|---:|---:|\n'
    cd "$out"
    find . -type f \( -name '*.whl' -o -name '*.tgz' -o -name '*.tar.gz' -o -name '*.jar' -o -name '*.crate' \) | sort | while read -r file; do
        bytes=$(wc -c <"$file")
        printf '| %s | %d | %s |\n' "${file#./}" "$bytes" "$(awk -v b="$bytes" 'BEGIN { printf "%.2f", b / 1048576 }')"
    done
} >"$out/sizes.md"
(cd "$out" && find . -type f ! -name SHA256SUMS ! -name sizes.md | sort | xargs sha256sum >SHA256SUMS)
cat "$out/sizes.md"
for library in "$built"/{lib_native,librealtime_pubsub,librealtime_pubsub_node,librealtime_pubsub_uniffi}.so "$built/realtime-pubsub"; do
    [ ! -e "$library" ] || echo "$(basename "$library"): needs $(glibc "$library"), $(wc -c <"$library") bytes"
done
if [ ${#missing[@]} -gt 0 ]; then echo "left out, because the tools are missing: ${missing[*]}"; exit 77; fi
