#!/usr/bin/env bash
# NOT RUN HERE: written for a Mac with Xcode and rustup, and never tried, because this project is tested on Linux.
#
# Makes RealtimePubSubFFI.xcframework out of the component, for macOS, iOS and the iOS simulator, and beside it the
# generated Swift sources. In Package.swift, then, replace the system library by
#
#     .binaryTarget(name: "RealtimePubSubFFI", path: "RealtimePubSubFFI.xcframework")
#
# and a package that depends on this one needs nothing in its environment. tvOS and watchOS are tier 3 targets of Rust:
# they need a nightly toolchain and `-Z build-std`.
set -euo pipefail
[ "$(uname -s)" = Darwin ] || { echo "xcframework: needs a Mac with Xcode" >&2; exit 77; }
cd "$(dirname "$0")"
top=$(cd ../../.. && pwd -P)
target=${CARGO_TARGET_DIR:-$top/target}
out=$PWD/RealtimePubSubFFI.xcframework
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

targets=(aarch64-apple-darwin x86_64-apple-darwin aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios)
rustup target add "${targets[@]}"
for name in "${targets[@]}"; do
  cargo build --release --package realtime-pubsub-uniffi --target "$name"
done
REALTIME_PROFILE=release ../generate.sh

# A framework's module map names no library to link: the framework is the library.
mkdir "$work/headers"
cp generated/RealtimePubSubFFI/RealtimePubSubFFI.h "$work/headers/"
sed '/link "/d' generated/RealtimePubSubFFI/module.modulemap >"$work/headers/module.modulemap"

library() { echo "$target/$1/release/librealtime_pubsub_uniffi.a"; }
mkdir "$work/macos" "$work/simulator"
lipo -create "$(library aarch64-apple-darwin)" "$(library x86_64-apple-darwin)" -output "$work/macos/librealtime_pubsub_uniffi.a"
lipo -create "$(library aarch64-apple-ios-sim)" "$(library x86_64-apple-ios)" -output "$work/simulator/librealtime_pubsub_uniffi.a"
rm -rf "$out"
xcodebuild -create-xcframework \
  -library "$work/macos/librealtime_pubsub_uniffi.a" -headers "$work/headers" \
  -library "$(library aarch64-apple-ios)" -headers "$work/headers" \
  -library "$work/simulator/librealtime_pubsub_uniffi.a" -headers "$work/headers" \
  -output "$out"
echo "xcframework: $out"
