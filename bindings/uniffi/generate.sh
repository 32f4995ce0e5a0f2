#!/usr/bin/env bash
# Builds the component and makes the Kotlin and Swift sources from it, in kotlin/generated and swift/generated. They are
# never edited and not committed: what they say is in src/.
#
#   REALTIME_PROFILE   dev (default) or release
set -euo pipefail
cd "$(dirname "$0")"
top=$(cd ../.. && pwd -P)
target=${CARGO_TARGET_DIR:-$top/target}
profile=${REALTIME_PROFILE:-dev}
case $profile in dev) out=$target/debug ;; *) out=$target/$profile ;; esac

case $(uname -s) in Darwin) library=librealtime_pubsub_uniffi.dylib ;; *) library=librealtime_pubsub_uniffi.so ;; esac
# The generator first, always in the dev profile: it is slow to build, and the library it comes with is not the one to ship.
cargo build --quiet --package realtime-pubsub-uniffi --features bindgen --bin realtime-pubsub-bindgen
cargo build --quiet --package realtime-pubsub-uniffi --profile "$profile"
bindgen=$target/debug/realtime-pubsub-bindgen

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
"$bindgen" generate --library "$out/$library" --language kotlin --no-format --out-dir "$made/kotlin"
"$bindgen" generate --library "$out/$library" --language swift --no-format --out-dir "$made/swift"
mkdir -p "$made/swift/RealtimePubSubFFI" "$made/swift/RealtimePubSubGenerated"
# The module map that UniFFI writes names no library.
sed '/^ *use /d; s/^}/    link "realtime_pubsub_uniffi"\n}/' "$made/swift/RealtimePubSubFFI.modulemap" >"$made/swift/RealtimePubSubFFI/module.modulemap"
rm "$made/swift/RealtimePubSubFFI.modulemap"
mv "$made/swift/RealtimePubSubFFI.h" "$made/swift/RealtimePubSubFFI/"
mv "$made/swift/RealtimePubSubGenerated.swift" "$made/swift/RealtimePubSubGenerated/"

# Only what has changed is touched, so that the compilers have nothing to do when nothing has.
for language in kotlin swift; do
  mkdir -p "$language/generated"
  if ! diff -rq "$made/$language" "$language/generated" >/dev/null; then
    rm -rf "$language/generated"
    cp -r "$made/$language" "$language/generated"
  fi
done
