#!/bin/sh
# Makes stand-ins for the two base images of functions/media/Dockerfile, for a machine that reaches Debian's archive but no
# image registry: Debian as debootstrap makes it, and the same with this machine's Rust. The Dockerfile itself is built on
# them as it stands. As root on Debian; needs buildah, debootstrap and the Rust that the checkout names.
#
#   bases.sh DEBIAN RUST    the names that the two images get
set -eu
debian=$1
rust=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=/dev/null
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
# What apt asks for Debian's packages, and how.
# shellcheck disable=SC2016 # apt's own variables
suites=$(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' 'Origin: Debian' | sort -u)
mirror=$(echo "$suites" | awk -v codename="$codename" '$3 == codename { print $2; exit }')

commit() {
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$1" /
    shift
    buildah config "$@" "$container"
    buildah commit --quiet --rm "$container" "$name"
}

debootstrap --variant=minbase "$codename" "$work/root" "$mirror"
rm -rf "$work/root"/var/cache/apt/* "$work/root"/var/lib/apt/lists/*
echo "$suites" > "$work/root/etc/apt/sources.list"
apt-config dump Acquire | grep '::Check-' > "$work/root/etc/apt/apt.conf.d/99machine" || true
# As in Debian's own slim image: an image that broke half-way is thrown away, so nothing need be safe on the disk; packages
# are not kept; nobody reads manuals there.
echo force-unsafe-io > "$work/root/etc/dpkg/dpkg.cfg.d/docker-apt-speedup"
for folder in doc info locale man; do
    rm -rf "$work/root/usr/share/$folder"/*
    echo "path-exclude /usr/share/$folder/*" >> "$work/root/etc/dpkg/dpkg.cfg.d/docker"
done
echo 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };' \
    > "$work/root/etc/apt/apt.conf.d/docker-clean"
cp /etc/resolv.conf "$work/root/etc/resolv.conf"
# What this machine trusts besides; `ca-certificates` picks it up where it is installed.
mkdir -p "$work/root/usr/local/share/ca-certificates"
cp -L /usr/local/share/ca-certificates/*.crt "$work/root/usr/local/share/ca-certificates/" 2> /dev/null || true
name=$debian
commit "$work/root" --cmd bash

toolchain=$(rustc --print sysroot)
mkdir -p "$work/root/usr/local/cargo"
cp -a "$toolchain/bin" "$toolchain/lib" "$work/root/usr/local/cargo/"
chroot "$work/root" sh -eu -c '
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -q -y --no-install-recommends ca-certificates gcc libc6-dev
    rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb'
name=$rust
commit "$work/root" --env CARGO_HOME=/usr/local/cargo \
    --env PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
