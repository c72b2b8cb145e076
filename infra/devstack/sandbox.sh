#!/bin/sh
# Runs a command in an image's root file system as Lambda does: nothing can be written but /tmp, as a user that the image
# does not know, without a home, without /dev/shm. The network is this machine's, because the Runtime API is on loopback. As
# root, which makes the mounts; they are seen by this process alone and end with it.
#
#   sandbox.sh ROOT COMMAND...    PATH and whatever else the command gets is the environment's, less what is the machine's
set -eu
# shellcheck disable=SC2016 # the inner shell's own
exec unshare --mount --propagation private sh -eu -c '
    root=$1
    shift
    mount --bind "$root" "$root"
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"
    mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    for device in null zero full random urandom; do
        touch "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    ln -s /proc/self/fd "$root/dev/fd"
    mount -o remount,ro "$root/dev"
    for file in /etc/hosts /etc/resolv.conf; do
        mount --bind "$file" "$root$file"
    done
    if [ -n "${SSL_CERT_FILE:-}" ]; then
        cp "$SSL_CERT_FILE" "$root/tmp/trusted.pem"
        chmod 644 "$root/tmp/trusted.pem"
        export SSL_CERT_FILE=/tmp/trusted.pem
    fi
    mount -o remount,bind,ro "$root"
    unset HOME LANG LD_LIBRARY_PATH TMPDIR USER LOGNAME MAIL PWD OLDPWD
    cd /
    exec chroot --userspec=993:990 --groups=990 "$root" "$@"
' sandbox "$@"
