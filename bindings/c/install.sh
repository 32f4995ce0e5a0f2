#!/usr/bin/env bash
# Installs the C library: install.sh PREFIX. Environment: DESTDIR, as usual; PROFILE, a cargo profile, default release;
# LIB, a folder that holds the built libraries already.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: $0 PREFIX" >&2; exit 2; }
prefix=$(realpath -m "$1")
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
profile=${PROFILE:-release}
libdir=lib

cd "$root"
if [ -z "${LIB:-}" ]; then
    cargo build --quiet --package realtime-pubsub-c --profile "$profile" --locked
    folder=$profile
    [ "$profile" = dev ] && folder=debug
    LIB=${CARGO_TARGET_DIR:-target}/$folder
fi
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
url=$(sed -n '/^\[workspace.package\]/,/^$/s/^repository = "\(.*\)"/\1/p' Cargo.toml)
major=${version%%.*}

to=${DESTDIR:-}$prefix
install -d "$to/$libdir/pkgconfig" "$to/$libdir/cmake/realtime_pubsub" "$to/include"
install -m 644 include/realtime_pubsub.h include/realtime_pubsub.hpp "$to/include/"
install -m 644 "$LIB/librealtime_pubsub.a" "$to/$libdir/"
case $(uname -s) in
    Darwin)
        shared=librealtime_pubsub.dylib soname=@rpath/librealtime_pubsub.dylib
        private="-framework Security -framework CoreFoundation -liconv -lSystem -lm"
        private_cmake="-framework Security;-framework CoreFoundation;iconv;m"
        install -m 755 "$LIB/librealtime_pubsub.dylib" "$to/$libdir/$shared"
        ;;
    *)
        shared=librealtime_pubsub.so.$version soname=librealtime_pubsub.so.$major
        # What `rustc --print native-static-libs` says.
        private="-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc"
        private_cmake="gcc_s;util;rt;pthread;m;dl;c"
        install -m 755 "$LIB/librealtime_pubsub.so" "$to/$libdir/$shared"
        ln -sf "$shared" "$to/$libdir/$soname"
        ln -sf "$soname" "$to/$libdir/librealtime_pubsub.so"
        ;;
esac

fill() {
    sed -e "s|@PREFIX@|$prefix|" -e "s|@LIBDIR@|$libdir|" -e "s|@VERSION@|$version|" -e "s|@URL@|$url|" \
        -e "s|@PRIVATE@|$private|" -e "s|@PRIVATE_CMAKE@|$private_cmake|" -e "s|@SHARED@|$shared|" \
        -e "s|@SONAME@|$soname|" "$here/install/$1.in" >"$2/$1"
    chmod 644 "$2/$1"
}
fill realtime_pubsub.pc "$to/$libdir/pkgconfig"
fill realtime_pubsub-config.cmake "$to/$libdir/cmake/realtime_pubsub"
fill realtime_pubsub-config-version.cmake "$to/$libdir/cmake/realtime_pubsub"
echo "installed realtime_pubsub $version to $to"
