#!/bin/sh
# Installs metastra from this folder, without a network and without root; see install.py beside it.
#   ./install.sh metastra-env        another Python: PYTHON=python3.11 ./install.sh metastra-env
exec "${PYTHON:-python3}" -I "$(dirname -- "$0")/install.py" "$@"
