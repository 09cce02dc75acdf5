#!/usr/bin/env bash
# Builds the image from the offline folder without a network, and runs it with a read-only root, no
# capability and no network.  Needs root and buildah; the file system of the image is entered with
# chroot, so that no container engine and no control groups are needed.
#   offline/try_container.sh wheelhouse BASE        BASE: an image in buildah's store, or a folder
#                                                   that holds a root file system with a Python
set -euo pipefail
[ $# = 2 ] || { echo "usage: $0 WHEELHOUSE BASE" >&2; exit 2; }
[ -f "$1/SHA256SUMS" ] || { echo "$1: no offline folder here; run: make wheelhouse" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "this needs root: it mounts" >&2; exit 2; }

scratch=$(mktemp -d "${TMPDIR:-/tmp}/metastra-container.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
engine() { buildah --root "$scratch/store" --runroot "$scratch/run" --storage-driver vfs "$@"; }
base=$2
if [ -d "$base" ]; then
    tar -C "$base" -cf "$scratch/base.tar" .
    engine from --name base scratch > /dev/null
    engine add --quiet base "$scratch/base.tar" / > /dev/null
    base=localhost/base:tried
    engine commit --quiet --rm base "$base" > /dev/null
    rm "$scratch/base.tar"
fi
export -f engine
export scratch
unshare --net bash -c 'engine build --isolation chroot --build-arg BASE="$1" --tag tried "$2"' - "$base" "$1"

read_image() { engine inspect --type image --format "$1" tried; }
mapfile -t variables < <(read_image '{{range .OCIv1.Config.Env}}{{println .}}{{end}}' | sed '/^$/d')
user=$(read_image '{{.OCIv1.Config.User}}')
start=$(read_image '{{index .OCIv1.Config.Entrypoint 0}}')
engine from --name tried-once tried > /dev/null
root=$(engine mount tried-once)
mkdir "$scratch/work"
chown "$user" "$scratch/work"

export root user start
unshare --net --mount bash -s "${variables[@]}" <<'INSIDE'
set -euo pipefail
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --bind "$scratch/work" "$root/work"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
drop=(--clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all)
inside() {
    chroot "$root" setpriv --reuid="$1" --regid="${user#*:}" "${drop[@]}" env -i --chdir=/work "${@:2}"
}
as_image() { inside "${user%:*}" "${@}"; }
if as_image touch /opt/metastra/written 2> /dev/null; then
    echo "the root can be written" >&2
    exit 1
fi
as_image "$@" "$start" --help > /dev/null
as_image "$@" "$start" doctor
as_image "$@" "$start" demo demo --no-slides
echo "written outside the study:"
find "$root/tmp" -mindepth 1 -maxdepth 1 -printf '  /tmp/%P\n'
echo "another user, no home and no variable of the image:"
inside 65533 HOME=/nonexistent "${start%/*}/python" -c \
    'import metastra.survival.tally_kernel; print("  a kernel was loaded")'
INSIDE
echo "the image works with a read-only root and without a network"
