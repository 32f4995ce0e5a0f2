#!/usr/bin/env bash
# Builds the packages, installs each where nothing of the checkout is in reach, and runs the quick start of the README that is
# in the package:   tests/packaging/test.sh [wheel|free-threaded|sdist|npm|c|kotlin|swift|crates|cli]...
#
#   PROFILE   dev (default: what the other suites have built already) or release
#   BUILD=0   try the packages that are there
#
# Exit 77: some of them can't run here, and the others passed.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
export PROFILE=${PROFILE:-dev}
target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
# Those of the release profile are the ones that `make package` makes.
packages=$target/packages
[ "$PROFILE" = release ] || packages+=-$PROFILE
[ $# -gt 0 ] || set -- wheel free-threaded sdist npm c kotlin swift crates cli
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=()
expected=$'received: Hello, World!\nreply: Got it!'

# What a user's shell has: no path of Python's, Node's or the loader's, no cargo target, no folder of ours.
clean() { env -i PATH="$PATH" HOME="$HOME" LANG=C.UTF-8 ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} "$@"; }
quick_start() { python3 "$here/block.py" "$@"; }
# Quotes, as of those who print JSON, don't count.
says_what_it_should() { tee >(cat >&2) | tr -d '"' | grep -vE '^(Building|\[|Build)' | diff - <(echo "$expected") >&2; }
newest() { find "$packages" -maxdepth 1 -name "$1" | head -1; }

try_wheel() {
    local wheel venv=$work/wheel/venv
    wheel=$(newest 'realtime_pubsub-*-abi3-*.whl')
    python3 -m venv "$venv" && clean "$venv/bin/pip" install --quiet --disable-pip-version-check --no-index "$wheel" || return
    case $wheel in *-cp310-abi3-manylinux_*|*-cp310-abi3-macosx*) ;; *) echo "not an abi3 wheel for manylinux: $wheel"; return 1 ;; esac
    # The README of an installed wheel is in its metadata.
    sed '1,/^$/d' "$venv"/lib/python*/site-packages/realtime_pubsub-*.dist-info/METADATA >"$work/wheel/README.md"
    quick_start "$work/wheel/README.md" python >"$work/wheel/quick_start.py" && clean "$venv/bin/python" -W error -I quick_start.py | says_what_it_should
}
try_free-threaded() {
    local python venv=$work/free-threaded/venv
    python=$("$root/scripts/free-threaded-python.sh") && "$python" -m venv "$venv" &&
        clean "$venv/bin/pip" install --quiet --disable-pip-version-check --no-index "$(newest 'realtime_pubsub-*-cp314t-manylinux_*.whl')" || return
    quick_start "$root/bindings/python/README.md" python >quick_start.py &&
        clean "$venv/bin/python" -W error -I quick_start.py | says_what_it_should &&
        clean "$venv/bin/python" -W error -I -c 'import realtime_pubsub, sys; sys.exit(sys._is_gil_enabled())'
}
# Built by pip, from the sources in it and nothing else; only compiled dependencies are taken from where others left them.
try_sdist() {
    local venv=$work/sdist/venv
    python3 -m venv "$venv" && CARGO_TARGET_DIR=$target MATURIN_PEP517_ARGS="--profile dev" \
        "$venv/bin/pip" install --quiet --disable-pip-version-check "$(newest 'realtime_pubsub-*.tar.gz')" || return
    tar -xzf "$(newest 'realtime_pubsub-*.tar.gz')" || return
    quick_start realtime_pubsub-*/README.md python >quick_start.py || quick_start realtime_pubsub-*/bindings/python/README.md python >quick_start.py || return
    clean "$venv/bin/python" -W error -I quick_start.py | says_what_it_should
}
try_npm() {
    echo '{ "name": "app", "private": true }' >package.json
    # Other platforms' parts are optional, and not to be had: that must not matter.
    clean npm install --silent --offline --no-fund --no-audit "$packages"/realtime-pubsub-*.tgz || return
    quick_start node_modules/realtime-pubsub/README.md js >quick-start.mjs && clean node quick-start.mjs | says_what_it_should
}
try_c() {
    local unpacked flags
    tar -xzf "$(newest 'realtime-pubsub-c-*.tar.gz')" && unpacked=$(echo "$PWD"/realtime-pubsub-c-*) || return
    quick_start "$unpacked/README.md" c >quick_start.c || return
    export PKG_CONFIG_PATH=$unpacked/lib/pkgconfig
    flags=$(pkg-config --cflags --libs realtime_pubsub) || return
    # shellcheck disable=SC2086
    clean "${CC:-cc}" -std=c99 -Wall -Wextra -Werror quick_start.c -o quick_start $flags || return
    clean LD_LIBRARY_PATH="$unpacked/lib" ./quick_start | says_what_it_should || return
    printf 'cmake_minimum_required(VERSION 3.16)\nproject(app C)\nfind_package(realtime_pubsub REQUIRED)\nadd_executable(app quick_start.c)\ntarget_link_libraries(app realtime_pubsub::static)\n' >CMakeLists.txt
    clean cmake -S . -B build -DCMAKE_PREFIX_PATH="$unpacked" >/dev/null && clean cmake --build build >/dev/null && clean build/app | says_what_it_should
}
try_kotlin() {
    local repository=$work/kotlin/m2 version
    version=$(basename "$(dirname "$packages"/maven/io/github/realtime-pubsub/realtime-pubsub/*/*.pom)")
    # Maven's own downloads, without what the examples may have installed of ours.
    mkdir -p "$repository" src
    if [ -d "$HOME/.m2/repository" ]; then cp -al "$HOME/.m2/repository/." "$repository/"; fi
    rm -rf "$repository/io/github/realtime-pubsub"
    unzip -qp "$packages"/maven/io/github/realtime-pubsub/realtime-pubsub/*/*-sources.jar README.md >README.md
    { echo '<guide>'; quick_start README.md xml Install; echo '</guide>'; } >dependency.xml || return
    grep -q "<version>$version</version>" dependency.xml || { echo "the guide names another version than $version"; return 1; }
    quick_start README.md kotlin >src/Main.kt || return
    awk -v dependency="$(quick_start README.md xml Install)" '{ gsub(/@DEPENDENCY@/, dependency) } 1' "$here/kotlin-pom.xml" >pom.xml
    REALTIME_KOTLIN_DIR=$PWD "$root/scripts/kotlin.sh" -q compile "-Dmaven.repo.local=$repository" "-Dpackages=file://$packages/maven" || return
    clean java -cp "target/classes:$(cat target/class-path)" MainKt | says_what_it_should
}
try_swift() {
    local unpacked
    tar -xzf "$(newest 'realtime-pubsub-swift-*.tar.gz')" && unpacked=$(echo "$PWD"/realtime-pubsub-swift-*) || return
    mkdir -p app/Sources/app
    quick_start "$unpacked/README.md" swift >app/Sources/app/main.swift || return
    {
        printf '// swift-tools-version: 6.0\nimport PackageDescription\nlet package = Package(name: "app", platforms: [.macOS(.v13)],\n'
        quick_start "$unpacked/README.md" swift Install
        printf ')\n'
    } >app/Package.swift || return
    REALTIME_LIB_DIR=$unpacked/lib REALTIME_SWIFT_SCRATCH=$work/swift/build "$root/scripts/swift.sh" "$PWD/app" build --quiet >&2 || return
    REALTIME_LIB_DIR=$unpacked/lib REALTIME_SWIFT_SCRATCH=$work/swift/build "$root/scripts/swift.sh" "$PWD/app" run --quiet --skip-build app | says_what_it_should
}
# A project of its own that knows the .crate files alone, as if a registry had them.
try_crates() {
    local crate name
    mkdir -p app/src crates
    for crate in "$packages"/crates/*.crate; do tar -xzf "$crate" -C crates || return; done
    quick_start crates/realtime-pubsub-[0-9]*/README.md rust >app/src/main.rs || return
    {
        printf '[package]\nname = "app"\nversion = "0.0.0"\nedition = "2024"\n\n'
        quick_start crates/realtime-pubsub-[0-9]*/README.md toml Install
        printf '\n[patch.crates-io]\n'
        for crate in crates/*; do
            name=$(basename "$crate" | sed 's/-[0-9].*//')
            printf '%s = { path = "%s" }\n' "$name" "$PWD/$crate"
        done
        printf '\n[workspace]\n'
    } >app/Cargo.toml
    # The versions of everything else are those that were tested.
    cp "$root/Cargo.lock" app/
    CARGO_TARGET_DIR=$target cargo run --quiet --manifest-path app/Cargo.toml | says_what_it_should || return
    cp "$root/Cargo.lock" crates/realtime-pubsub-cli-*/
    sed -n '/^\[patch/,$p' app/Cargo.toml | grep -v '^realtime-pubsub-cli' >>crates/realtime-pubsub-cli-[0-9]*/Cargo.toml
    CARGO_TARGET_DIR=$target cargo install --quiet --debug --path crates/realtime-pubsub-cli-[0-9]* --root "$PWD/installed" --no-track &&
        clean installed/bin/realtime-pubsub --version
}
try_cli() {
    tar -xzf "$(newest 'realtime-pubsub-cli-*.tar.gz')" || return
    quick_start realtime-pubsub-cli-*/README.md sh >quick_start.sh || return
    PATH=$(echo "$PWD"/realtime-pubsub-cli-*):$PATH clean bash -eu quick_start.sh >said || { cat said; return 1; }
    cat said && grep -qx 'GOT IT!' said
}

kinds=("$@")
wanted=()
for kind in "${kinds[@]}"; do
    case $kind in sdist) kind=wheel ;; esac
    case " ${wanted[*]:-} " in *" $kind "*) ;; *) wanted+=("$kind") ;; esac
done
python3 "$here/readme.py" || exit 1
status=0
[ "${BUILD:-1}" = 0 ] || { OUT=$packages "$root/scripts/package.sh" "${wanted[@]}" || status=$?; }
[ $status -eq 0 ] || [ $status -eq 77 ] || { echo "the packages could not be made"; exit 1; }

for kind in "${kinds[@]}"; do
    echo "-- $kind"
    mkdir -p "$work/$kind"
    started=$SECONDS
    (cd "$work/$kind" && "try_$kind")
    case $? in
        0) passed=$((passed + 1)); echo "ok      $kind ($((SECONDS - started)) s)" ;;
        77) skipped+=("$kind") ;;
        *) failed=$((failed + 1)); echo "FAILED  $kind" ;;
    esac
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] || exit 1
[ ${#skipped[@]} -eq 0 ] || { echo "can't run here: ${skipped[*]}"; exit 77; }
