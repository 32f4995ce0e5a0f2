#!/usr/bin/env bash
# The C library's tests. Exit 77: they can't run here. Environment: CC, CXX; TSAN=0 and MIRI=0 leave
# ThreadSanitizer and Miri out, which need a nightly toolchain and take the longest when first run.
set -uo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
cc=${CC:-gcc} cxx=${CXX:-g++}
# Installs what is missing where that is possible.
ensure() {
    command -v "$1" >/dev/null && return
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return
    { apt-get install -qy --no-install-recommends "$2" ||
        { apt-get update -q && apt-get install -qy --no-install-recommends "$2"; }; } >/dev/null 2>&1
}
ensure "$cc" gcc && ensure "$cxx" g++
command -v "$cc" >/dev/null && command -v "$cxx" >/dev/null || { echo "no C and C++ compiler here ($cc, $cxx)"; exit 77; }

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$target/c-tests
rm -rf "$work"
mkdir -p "$work/lib" "$work/panics" "$work/bin"
passed=0 failed=0 notes=()

# step NAME COMMAND...: runs it; shows what it says where it fails.
step() {
    local name=$1 started=$SECONDS
    shift
    if "$@" >"$work/log" 2>&1; then
        passed=$((passed + 1))
        echo "ok      $name ($((SECONDS - started)) s)"
    else
        failed=$((failed + 1))
        echo "FAILED  $name"
        tail -40 "$work/log"
    fi
}

# Cargo names both libraries alike, with and without the test-only feature, so what is there is removed first.
build() {
    local folder=$1
    shift
    rm -f "$target"/debug/librealtime_pubsub.{so,a,dylib} "$target"/debug/deps/librealtime_pubsub.{so,a,dylib}
    cargo build --quiet --locked --package realtime-pubsub-c --lib "$@" || return
    cp "$target"/debug/librealtime_pubsub.{so,a} "$folder/" || return
    ln -sf librealtime_pubsub.so "$folder/librealtime_pubsub.so.0"
}
step "build with panics to inject" build "$work/panics" --features inject-panics
step "build" build "$work/lib"
[ "$failed" -eq 0 ] || { echo "$passed passed, $failed failed"; exit 1; }

step "the header is fresh" cargo run --quiet --locked --package realtime-pubsub-c --example header -- --check
symbols() {
    grep -o 'rps_[a-z_]*(' include/realtime_pubsub.h | tr -d '(' | sort -u >"$work/mentioned"
    sed -n 's/^RPS_API .*[ *]\(rps_[a-z_]*\)(.*/\1/p' include/realtime_pubsub.h | sort -u >"$work/declared"
    nm -D --defined-only "$work/lib/librealtime_pubsub.so" | awk '{print $3}' | sort -u >"$work/exported"
    diff "$work/declared" "$work/exported" && comm -23 "$work/mentioned" "$work/declared" | { ! grep .; }
}
step "exactly the header's functions are exported, and no other is mentioned" symbols
strict="-Wall -Wextra -Werror -pedantic -fsyntax-only -Iinclude -x"
header_compiles() {
    local standard
    for standard in c99 c11 c17; do "$cc" -std=$standard $strict c include/realtime_pubsub.h -Wno-pragma-once-outside-header || return; done
    for standard in c++17 c++20; do
        "$cxx" -std=$standard $strict c++ include/realtime_pubsub.h || return
        "$cxx" -std=$standard $strict c++ include/realtime_pubsub.hpp || return
    done
}
step "the headers compile as C99, C11, C17, C++17, C++20" header_compiles
cargo run --quiet --locked --package realtime-pubsub-c --example surface >"$work/functions.h"

# compile NAME LANGUAGE LIBRARY FLAGS...: tests/abi/NAME as C11 or C++17.
compile() {
    local name=$1 language=$2 library=$3 out=$4
    shift 4
    local flags=(-g -Wall -Wextra -Werror -Iinclude "-I$work" "$@" -o "$work/bin/$out" "-L$library" -lrealtime_pubsub -lpthread
        "-Wl,-rpath,$library")
    case $language in
        c) "$cc" -std=gnu11 "tests/abi/$name.c" "${flags[@]}" ;;
        c++) "$cxx" -std=c++17 -x c++ "tests/abi/$name.c" -x none "${flags[@]}" ;;
        cpp) "$cxx" -std=c++17 "tests/abi/$name.cpp" "${flags[@]}" ;;
    esac
}
run() { timeout 300 "$work/bin/$1"; }
compile_and_run() { compile "$@" && run "$4"; }
few() { FEWER=1 "$@"; }
checked() { few timeout 900 valgrind -q --fair-sched=try --error-exitcode=9 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite "$work/bin/$1"; }

programs=("values c" "behaviour c" "lifecycle c" "surface c" "values c++" "behaviour c++" "lifecycle c++" "surface c++" "cpp cpp")
sanitizers=(-fsanitize=address,undefined -fno-sanitize-recover=all)
for program in "${programs[@]}"; do
    read -r name language <<<"$program"
    step "$name as $language" compile_and_run "$name" "$language" "$work/lib" "$name-$language"
done
step "a panic in every function" compile_and_run surface c "$work/panics" surface-panics -DINJECT
for program in "behaviour c" "lifecycle c" "surface c" "cpp cpp"; do
    read -r name language <<<"$program"
    step "$name under AddressSanitizer and LeakSanitizer" \
        compile_and_run "$name" "$language" "$work/lib" "$name-$language-asan" "${sanitizers[@]}"
done
step "a panic in every function under AddressSanitizer" \
    compile_and_run surface c "$work/panics" surface-panics-asan -DINJECT "${sanitizers[@]}"
if ensure valgrind valgrind; then
    for program in behaviour-c lifecycle-c surface-c cpp-cpp; do step "$program under valgrind" checked $program; done
else
    notes+=("NOT RUN: valgrind is not installed")
fi

# ---- installed, and found from an empty folder
install_it() { LIB="$work/lib" bindings/c/install.sh "$work/prefix"; }
step "install" install_it
found_by_pkg_config() {
    local PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig
    export PKG_CONFIG_PATH
    mkdir -p "$work/empty" && cd "$work/empty" && cp "$root"/examples/c/*.[ch] . || return
    local example
    for example in *.c; do
        "$cc" -std=c99 -Wall -Wextra -Werror "$example" -o "${example%.c}" $(pkg-config --cflags --libs realtime_pubsub) || return
    done
    "$cc" -DRPS_STATIC basic.c -o basic_static $(pkg-config --cflags realtime_pubsub) \
        "$work/prefix/lib/librealtime_pubsub.a" $(pkg-config --libs --static realtime_pubsub | sed 's/-lrealtime_pubsub//') || return
    ./basic_static && ! ldd ./basic_static | grep realtime
}
if ensure pkg-config pkg-config; then
    step "found by pkg-config, shared and static" eval '(found_by_pkg_config)'
else
    notes+=("NOT RUN: pkg-config is not installed")
fi
found_by_cmake() {
    local static
    for static in OFF ON; do
        cmake -S examples/c -B "$work/cmake-$static" -DCMAKE_PREFIX_PATH="$work/prefix" -DSTATIC=$static || return
    done
    cmake --build "$work/cmake-OFF" -j2 && cmake --build "$work/cmake-ON" --target basic || return
    "$work/cmake-OFF/basic" && "$work/cmake-ON/basic" && ! ldd "$work/cmake-ON/basic" | grep realtime
}
if ensure cmake cmake; then
    step "found by CMake, shared and static" found_by_cmake
else
    notes+=("NOT RUN: cmake is not installed")
fi

# ---- the examples
examples=$work/empty
export LD_LIBRARY_PATH=$work/prefix/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
alone() { timeout 30 "$examples/$1" </dev/null | tee /dev/stderr | grep -q "$2"; }
# A server prints its URL, and a line when it is ready; then its client runs until both end.
pair() {
    local server=$1 client=$2 wanted=$3 url ready
    coproc SERVER { timeout 30 "$examples/$server"; }
    local pid=$SERVER_PID out=${SERVER[0]}
    exec {from}<&"$out"
    read -r -t 20 url <&"$from" && read -r -t 20 ready <&"$from" || return
    timeout 30 "$examples/$client" "$url" >"$work/said" || return
    cat <&"$from" >>"$work/said"
    exec {from}<&-
    wait "$pid" && cat "$work/said" && grep -q "$wanted" "$work/said"
}
if [ -x "$examples/basic" ]; then
    step "example basic" alone basic 'reply: "Got it!"'
    step "example wildcard" alone wildcard 'chat.\* matches chat.joined'
    step "example event_loop" alone event_loop 'connected as'
    step "examples rpc_server and rpc_client" pair rpc_server rpc_client '12: ok 144'
    step "examples sub and pub" pair sub pub '{"number":3}'
    step "examples pong and ping" pair pong ping 'p50'
fi

# ---- the Rust side
# Miri and ThreadSanitizer come with a nightly toolchain, which is asked for where rustup is.
nightly() {
    command -v rustup >/dev/null || return
    rustup component add --toolchain nightly miri rust-src || rustup toolchain install nightly --profile minimal --component miri,rust-src
}
if [ "${MIRI:-1}" != 0 ] || [ "${TSAN:-1}" != 0 ]; then nightly >"$work/nightly.log" 2>&1; fi
if [ "${MIRI:-1}" = 0 ]; then
    notes+=("NOT RUN: Miri, left out by MIRI=0")
elif cargo +nightly miri --version >/dev/null 2>&1; then
    step "the table of handles under Miri" \
        env CARGO_TARGET_DIR="$target/miri-c" cargo +nightly miri test --quiet --package realtime-pubsub-bindings --lib handles
else
    notes+=("NOT RUN: Miri is not installed, and rustup could not (rustup component add miri --toolchain nightly)")
fi
# gcc's ThreadSanitizer alone would see races that are none: Rust's locks must be instrumented too, its standard library
# included, and both halves use the runtime that comes with Rust.
tsan_build() {
    CARGO_TARGET_DIR=$target/tsan-c RUSTFLAGS=-Zsanitizer=thread cargo +nightly build --quiet --locked -Zbuild-std \
        --target x86_64-unknown-linux-gnu --package realtime-pubsub-c --lib || return
    mkdir -p "$work/tsan"
    cp "$target/tsan-c/x86_64-unknown-linux-gnu/debug/librealtime_pubsub.so" "$work/tsan/"
    ln -sf librealtime_pubsub.so "$work/tsan/librealtime_pubsub.so.0"
}
tsan_run() {
    "$cc" -std=gnu11 -g -fsanitize=thread -c -Iinclude "-I$work" "tests/abi/$1.c" -o "$work/bin/$1-tsan.o" || return
    "$cxx" "$work/bin/$1-tsan.o" -o "$work/bin/$1-tsan" "-L$work/tsan" -lrealtime_pubsub "-Wl,-rpath,$work/tsan" \
        -Wl,--whole-archive "$tsan_runtime" -Wl,--no-whole-archive -Wl,--export-dynamic -lpthread -ldl -lm -lrt || return
    FEWER=1 LD_LIBRARY_PATH= TSAN_OPTIONS=exitcode=66 run "$1-tsan"
}
sysroot=$(rustc +nightly --print sysroot 2>/dev/null)
tsan_runtime=$sysroot/lib/rustlib/x86_64-unknown-linux-gnu/lib/librustc-nightly_rt.tsan.a
if [ "${TSAN:-1}" = 0 ]; then
    notes+=("NOT RUN: ThreadSanitizer, left out by TSAN=0")
elif [ -e "$tsan_runtime" ] && [ -d "$sysroot/lib/rustlib/src/rust/library" ]; then
    step "build for ThreadSanitizer" tsan_build
    for program in behaviour lifecycle surface; do step "$program under ThreadSanitizer" tsan_run $program; done
else
    notes+=("NOT RUN: ThreadSanitizer needs x86-64 Linux and rustup component add rust-src --toolchain nightly")
fi

release=$target/release/librealtime_pubsub.so
if [ -e "$release" ]; then
    strip -o "$work/stripped.so" "$release" && notes+=("stripped shared library (release): $(stat -c %s "$work/stripped.so") bytes")
fi
for note in "${notes[@]}"; do echo "note    $note"; done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
