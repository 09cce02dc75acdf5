#!/usr/bin/env bash
# Carries the offline folder to an ordinary user without a network, installs it, runs the demo and
# holds what it prints against the README.
#   offline/try_offline.sh wheelhouse README.md        another Python: PYTHON=python3.11
set -euo pipefail
[ $# = 2 ] || { echo "usage: $0 WHEELHOUSE README" >&2; exit 2; }
[ -f "$1/SHA256SUMS" ] || { echo "$1: no offline folder here; run: make wheelhouse" >&2; exit 2; }

home=$(mktemp -d "${TMPDIR:-/tmp}/metastra-offline.XXXXXX")
trap 'rm -rf "$home"' EXIT
cp -r "$1" "$home/wheelhouse"
# what the README shows between the command and the next empty line
awk '/^\$ make demo$/ {on = 1; next} on && /^$/ {exit} on' "$2" > "$home/expected.txt"
[ -s "$home/expected.txt" ] || { echo "$2: no output of make demo in it" >&2; exit 2; }

cat > "$home/inside.sh" <<'INSIDE'
set -euo pipefail
cd "$HOME"
[ "$(id -u)" != 0 ] || { echo "this is root" >&2; exit 1; }
"${PYTHON:-python3}" -I - <<'CHECK'
import socket
names = {name for _, name in socket.if_nameindex()}
assert names <= {"lo"}, names
try:
    socket.create_connection(("192.0.2.1", 443), timeout=5)
except OSError as error:
    print("no network:", error.strerror)
else:
    raise SystemExit("there is a network")
CHECK
echo "user $(id -u), $(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg)"
start=$SECONDS
wheelhouse/install.sh metastra-env
echo "installed in $((SECONDS - start)) s: $(du -sm metastra-env | cut -f1) MB from $(du -sm wheelhouse | cut -f1) MB"
export PATH="$HOME/metastra-env/bin:$PATH"
metastra doctor
start=$SECONDS
metastra demo demo > printed.txt 2> talk.txt || { tail -20 talk.txt >&2; exit 1; }
echo "demo in $((SECONDS - start)) s, load $(cut -d' ' -f1 /proc/loadavg)"
diff expected.txt printed.txt || { echo "the demo printed something else than the README shows" >&2; exit 1; }
echo "the demo printed what the README shows"
echo "written outside the installation and the demo:"
find . -newer inside.sh -type f -not -path './metastra-env/*' -not -path './demo/*' \
    -not -name printed.txt -not -name talk.txt -printf '  %P\n' | sed 's|/[^/]*$|/…|' | sort | uniq -c
INSIDE

if [ "$(id -u)" = 0 ]; then
    chown -R 65534:65534 "$home"
    drop=(unshare --net setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs
          --inh-caps=-all --bounding-set=-all)
else
    drop=(unshare --user --map-current-user --net)
fi
"${drop[@]}" env -i HOME="$home" PATH="$PATH" LANG=C.UTF-8 OMP_WAIT_POLICY=PASSIVE \
    ${PYTHON:+PYTHON="$PYTHON"} bash "$home/inside.sh"
