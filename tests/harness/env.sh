# Sourced by the scripts of this folder: where things lie and which PostgreSQL is used. README.md explains.
# shellcheck shell=bash
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
TARGET=$ROOT/target
PG_MAJOR=15
PGRX_VERSION=0.18.1
SYSTEM_PG=/usr/lib/postgresql/$PG_MAJOR
cd "$ROOT"

export CARGO_TARGET_DIR=$TARGET
export PGRX_HOME=$TARGET/pgrx
# build.rs gives the flag to the one link that needs it, so that all builds can share their dependencies.
export CARGO_PGRX_DISABLE_GC_SECTIONS_WORKAROUND=1
export PATH=$TARGET/tools/bin:$PATH
# In a server's environment it turns every ERROR into a slow walk over the stack.
unset RUST_BACKTRACE
export LC_ALL=C.UTF-8

say() { printf '%s\n' "== $*" >&2; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# PostgreSQL refuses to run as root, so its servers are started as this user.
server_user() { if [ "$(id -u)" = 0 ]; then echo postgres; else id -un; fi; }

as_server_user() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/ "$@"
    else
        "$@"
    fi
}

# Sets TSC_STATE: the folder of the private installations (pg/) and of the servers' data (run/). It is target/ where the
# servers' user can reach it, else a folder made for this call and removed with it. A script called by another inherits it.
need_state() {
    [ -z "${TSC_STATE:-}" ] || return 0
    mkdir -p "$TARGET"
    if as_server_user test -x "$TARGET" 2>/dev/null; then
        TSC_STATE=$TARGET
    else
        TSC_STATE=$(mktemp -d /var/tmp/timescale_compat.XXXXXX)
        chmod 755 "$TSC_STATE"
        trap 'rm -rf "$TSC_STATE"' EXIT
        trap 'exit 129' HUP; trap 'exit 130' INT; trap 'exit 143' TERM
    fi
    export TSC_STATE
    mkdir -p "$TSC_STATE/run"
    if [ "$(id -u)" = 0 ]; then chown postgres: "$TSC_STATE/run"; fi
}

# private_postgres NAME SOURCE: a copy of the installation SOURCE as $TSC_STATE/pg/NAME. PostgreSQL's programs find
# their files relative to themselves, so the copy is an installation of its own.
private_postgres() {
    local to=$TSC_STATE/pg/$1 from=$2 stamp
    stamp="$from $("$from/bin/postgres" --version) $(stat -c %Y "$from/bin/postgres")"
    [ "$(cat "$to/.copy-of" 2>/dev/null)" != "$stamp" ] || return 0
    rm -rf "$to"
    mkdir -p "$to"
    if [ "$from" = "$SYSTEM_PG" ]; then
        mkdir -p "$to"/{lib,share,include}/postgresql
        cp -a "$from" "$to/lib/postgresql/"
        cp -a "/usr/share/postgresql/$PG_MAJOR" "$to/share/postgresql/"
        cp -a /usr/include/postgresql "$to/include/"
        ln -s "lib/postgresql/$PG_MAJOR/bin" "$to/bin"
    else
        cp -a "$from/." "$to/"
    fi
    echo "$stamp" > "$to/.copy-of"
}
