#!/usr/bin/env bash
# Makes a machine a node: the one setup behind the cluster files, the Dockerfile and bare machines.
# In: this clone, and the variables below. Out: Python packages at the pinned versions, a block in
# ~/.bashrc, raised limits, ~/runs as another name of a shared folder. Decision: idempotent by hash,
# so that a second run takes a second.
#
#   SWEEP_STORAGE=s3://bucket/prefix bash cluster/setup_node.sh
#
# SWEEP_STORAGE   default storage of a sweep: s3://, gs:// or a folder that all nodes share
# SWEEP_EXTRAS    names of cluster/requirements/*.txt, e.g. "aws" or "aws mlflow"
# SWEEP_PYTHON    interpreter, 3.11 or later; all nodes need exactly the same version
# SWEEP_VENV      where packages go; empty: into SWEEP_PYTHON itself. Default ~/.ulm-sweeps/venv
# SWEEP_CACHE     this node's cache folder. Default ~/.cache/ulm-sweeps
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
state=$HOME/.ulm-sweeps
venv=${SWEEP_VENV-$state/venv}
cache=${SWEEP_CACHE:-$HOME/.cache/ulm-sweeps}
extras=${SWEEP_EXTRAS:-}
pythons="python3.12 python3.13 python3.11 python3" # 3.12 first: the same on every Ubuntu 24.04

fail() { # rule, value found, what to do
  echo "setup_node: $1" >&2
  exit 2
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_be_root() {
  [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null
}

apt_update() { # its lock, of the lists, has no timeout: five minutes of tries
  local try
  for try in {1..60}; do
    as_root apt-get -qq update && return
    [ "$try" = 60 ] || sleep 5
  done
  return 1
}

apt_install() { # a machine that has just booted holds the locks for minutes
  command -v apt-get >/dev/null && may_be_root || return 1
  apt_update || return 1
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq install \
    --no-install-recommends -y "$@" >/dev/null
}

install_tools() {
  local missing=()
  for tool in tmux rsync; do command -v "$tool" >/dev/null || missing+=("$tool"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  apt_install "${missing[@]}" ||
    fail "a node needs tmux and rsync, missing: ${missing[*]}; install them, or give this user sudo"
}

install_compiler() { # with it Triton builds kernels for a GPU
  local headers
  command -v nvidia-smi >/dev/null || return 0
  headers=$("$1" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
  if { command -v gcc || command -v clang; } >/dev/null && [ -f "$headers/Python.h" ]; then return 0; fi
  apt_install gcc libc6-dev "$(basename "$(readlink -f "$1")")-dev" ||
    echo "setup_node: without a C compiler and Python's headers a GPU trains more slowly; install gcc and python3-dev" >&2
}

raise_limits() { # the next login sees it; the start commands raise the soft limit for Ray itself
  local file=/etc/security/limits.d/90-ulm-sweeps.conf
  { [ -d "${file%/*}" ] && [ ! -e "$file" ] && may_be_root; } || return 0
  printf '* soft nofile 65536\n* hard nofile 1048576\n' | as_root tee "$file" >/dev/null
}

find_python() {
  local name
  for name in ${SWEEP_PYTHON:-$pythons}; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  fail "Python 3.11 or later is needed, found none of: ${SWEEP_PYTHON:-$pythons}; take an image \
with it (Ubuntu 24.04), or set SWEEP_PYTHON"
}

make_venv() {
  [ -x "$venv/bin/python" ] && return
  "$1" -c 'import ensurepip' 2>/dev/null || apt_install "$(basename "$(readlink -f "$1")")-venv" ||
    fail "Python needs its venv module, $1 has none; install python3-venv"
  "$1" -m venv "$venv"
}

check_extras() {
  local name
  for name in $extras; do
    [ -f "$project/cluster/requirements/$name.txt" ] ||
      fail "SWEEP_EXTRAS must name files of cluster/requirements, found $name"
  done
}

hash_of() { # names and contents of files; caches are left out
  find "$@" -type f ! -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum | sha256sum
}

install_packages() { # from a copy: a build leaves folders in its source, which Ray would sync on
  local python=$1 copy wanted options=() file
  for file in $extras; do options+=(--requirement "$project/cluster/requirements/$file.txt"); done
  wanted=$(echo "$extras" && "$python" --version && hash_of "$project/constraints.txt" \
    "$project/pyproject.toml" "$project/cluster/requirements" "$project/ulm" "$project/sweeps" \
    "$project"/cluster/*.py)
  if [ "$(cat "$state/installed" 2>/dev/null)" = "$wanted" ]; then return; fi
  copy=$(mktemp -d)
  for file in pyproject.toml constraints.txt README.md LICENSE ulm sweeps cluster; do
    cp -R "$project/$file" "$copy/"
  done
  "$python" -m pip uninstall --quiet --yes ulm-sweeps 2>/dev/null # same version number, other code
  "$python" -m pip install --quiet --disable-pip-version-check --no-input \
    --constraint "$project/constraints.txt" ${options[@]+"${options[@]}"} "$copy"
  rm -rf "$copy"
  printf '%s' "$wanted" >"$state/installed"
}

# shellcheck disable=SC2016 # $PATH and ulimit are for the shells to come
write_environment() { # one block, replaced as a whole
  local profile=$HOME/.bashrc kept
  touch "$profile"
  kept=$(sed '/^# >>> ulm-sweeps >>>$/,/^# <<< ulm-sweeps <<<$/d' "$profile")
  {
    printf '%s\n' "$kept"
    echo '# >>> ulm-sweeps >>>'
    [ -z "$venv" ] || printf 'export PATH=%q:$PATH\n' "$venv/bin"
    [ -z "${SWEEP_STORAGE:-}" ] || printf 'export SWEEP_STORAGE=%q\n' "$SWEEP_STORAGE"
    printf 'export SWEEP_PROJECT=%q SWEEP_CACHE=%q\n' "$project" "$cache"
    printf 'export MLFLOW_TRACKING_URI=%q\n' "${MLFLOW_TRACKING_URI:-http://127.0.0.1:5000}"
    echo 'export RAY_AUTH_MODE=token'
    echo 'ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"'
    echo '# <<< ulm-sweeps <<<'
  } >"$profile.ulm-sweeps"
  cmp -s "$profile.ulm-sweeps" "$profile" || cat "$profile.ulm-sweeps" >"$profile" # keeps links, modes
  rm "$profile.ulm-sweeps"
}

tell_tmux() { # a server that runs gives new sessions the environment it was started in
  [ -z "${SWEEP_STORAGE:-}" ] || tmux set-environment -g SWEEP_STORAGE "$SWEEP_STORAGE" 2>/dev/null || true
  tmux set-environment -g MLFLOW_TRACKING_URI "${MLFLOW_TRACKING_URI:-http://127.0.0.1:5000}" \
    2>/dev/null || true
}

link_runs() { # sweeps on a shared folder are found at ~/runs, where those of a bucket have their local copy
  case "${SWEEP_STORAGE:-}" in
    /*) [ -e "$HOME/runs" ] || ln -sfn "$SWEEP_STORAGE" "$HOME/runs" ;;
  esac
}

main() {
  case "${SWEEP_STORAGE:-}" in
    *FILL-IN*) fail "storage must be yours, found $SWEEP_STORAGE; put your bucket or shared folder in \
the cluster file" ;;
  esac
  check_extras
  mkdir -p "$state" "$cache"
  install_tools
  raise_limits
  local python
  python=$(find_python)
  install_compiler "$python"
  if [ -n "$venv" ]; then
    make_venv "$python"
    python=$venv/bin/python
  fi
  install_packages "$python"
  write_environment
  tell_tmux
  link_runs
  echo "setup_node: ready, $("$python" --version), storage ${SWEEP_STORAGE:-not set}"
}

main
