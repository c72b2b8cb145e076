#!/bin/sh
# Builds the FFmpeg of the image from Debian's source, with Debian's patches and only what options.txt names, into the
# folder $1. As root on Debian 12; the Dockerfile runs it, and `cargo xtask bench` and `test` do for the local cloud.
set -eu
options=$(dirname "$(readlink -f "$0")")/options.txt
prefix=$(readlink -m "$1")
export DEBIAN_FRONTEND=noninteractive

# An installation that was killed leaves dpkg refusing every later one. What it can't mend, apt-get tells of.
dpkg --configure -a || true
apt-get update -q
apt-get install -q -y --no-install-recommends dpkg-dev gcc g++ make nasm pkg-config \
    libdav1d-dev libmp3lame-dev libx264-dev libx265-dev libzimg-dev zlib1g-dev

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The system's own archives, asked for sources; its own lists stay as they are. apt checks the signatures.
mkdir -p "$work/sources.d" "$work/lists/partial"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [ -f "$file" ] || continue
    sed 's/^Types: deb$/Types: deb-src/; s/^deb /deb-src /' "$file" > "$work/sources.d/$(basename "$file")"
done
sources() {
    apt-get -q -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$work/sources.d" \
        -o "Dir::State::Lists=$work/lists" -o APT::Sandbox::User=root "$@"
}
cd "$work"
sources update
sources source ffmpeg
cd "$work"/ffmpeg-*/

# One option to a line; what takes a list takes it with commas.
# shellcheck disable=SC2046
./configure --prefix="$prefix" --disable-autodetect --disable-everything --disable-doc --disable-debug \
    --disable-network --disable-avdevice --disable-postproc --disable-ffplay \
    $(grep -v '^#' "$options")
make -j"$(nproc)"
# The programs alone: nothing is linked with the libraries.
make install-progs
