#!/usr/bin/env bash
# Runs an example:   examples/kotlin/run.sh basic|wildcard|rpc_server|rpc_client|publish|subscribe [URL] [TOPIC]
# Builds the package and the examples first where they are missing; `run.sh build` builds them anew.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd -P)
name=${1:?which example?}
shift

if [ "$name" = build ] || [ ! -e "$top/examples/kotlin/target/class-path" ]; then
  echo "building the package and the examples, which takes minutes the first time" >&2
  "$top/bindings/uniffi/generate.sh"
  "$top/scripts/kotlin.sh" -q install -DskipTests
  REALTIME_KOTLIN_DIR=$top/examples/kotlin "$top/scripts/kotlin.sh" -q compile
  [ "$name" != build ] || exit 0
fi
# rpc_server is the class RpcServerKt.
class=$(sed -E 's/(^|_)([a-z])/\U\2/g' <<<"$name")Kt
# The package as it was just built comes before the one that Maven has, which may be another checkout's.
package=$(ls "$top"/bindings/uniffi/kotlin/target/realtime-pubsub-*.jar | head -n 1)
exec java -cp "$top/examples/kotlin/target/classes:$package:$(cat "$top/examples/kotlin/target/class-path")" "$class" "$@"
