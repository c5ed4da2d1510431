#!/usr/bin/env bash
# The MLflow server of a head node, on loopback.
# In: the variables below. Out: a running server, and the line that makes the tunnel to it.
# Decision: secrets travel by environment and by files of mode 600, never on a command line; without
# basic auth it refuses to listen beyond this machine.
#
#   bash cluster/mlflow_server.sh [start | foreground | wait | stop]
#
# MLFLOW_BACKEND_URI            postgresql://user@host/mlflow with the password in ~/.pgpass.
#                               Default: SQLite at ~/mlflow/mlflow.db
# SWEEP_STORAGE                 artifacts go to $SWEEP_STORAGE/mlartifacts; default ~/mlflow/artifacts
# MLFLOW_LISTEN, MLFLOW_PORT    default 127.0.0.1 and 5000
# MLFLOW_ALLOWED_HOSTS          names, with commas, that it is called by where it listens wider, beside this
#                               machine's own names and addresses: MLflow answers 403 to any other
# MLFLOW_AUTH_ADMIN_PASSWORD    turns basic auth on (user `admin`); or the file ~/.mlflow-admin-password
# MLFLOW_WAIT_SECONDS           how long a start may take. Default 180
set -euo pipefail

folder=$HOME/mlflow
listen=${MLFLOW_LISTEN:-127.0.0.1}
port=${MLFLOW_PORT:-5000}
storage=${SWEEP_STORAGE:-}
artifacts=${storage:+${storage%/}/mlartifacts}
password_file=$HOME/.mlflow-admin-password
pid_file=$folder/server.pid
log=$folder/server.log

fail() { # rule, value found, what to do
  echo "mlflow_server: $1" >&2
  exit 2
}

is_loopback() {
  case "$listen" in 127.* | localhost | ::1) ;; *) return 1 ;; esac
}

here() { # a server on all interfaces answers on loopback too
  case "$listen" in 0.0.0.0 | ::) echo 127.0.0.1 ;; *:*) echo "[$listen]" ;; *) echo "$listen" ;; esac
}

answers() { # the store too: its first answer takes longer than a sweep is ready to wait for
  python3 - "http://$(here):$port" <<'PY'
import sys
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

opener = build_opener(ProxyHandler({}))
try:
    with opener.open(f"{sys.argv[1]}/health", timeout=3) as answer:
        if answer.read().strip() != b"OK":
            sys.exit(1)
    try:
        opener.open(f"{sys.argv[1]}/api/2.0/mlflow/experiments/get?experiment_id=0", timeout=30)
    except HTTPError:  # it asks for a password, or has no such experiment: an answer
        pass
except (OSError, ValueError):
    sys.exit(1)
PY
}

read_password() {
  if [ -z "${MLFLOW_AUTH_ADMIN_PASSWORD:-}" ] && [ -f "$password_file" ]; then
    MLFLOW_AUTH_ADMIN_PASSWORD=$(<"$password_file")
    export MLFLOW_AUTH_ADMIN_PASSWORD
  fi
}

secret_key() { # signs the sessions of the web pages; made once
  [ -s "$folder/secret_key" ] ||
    (umask 077 && python3 -c 'import secrets; print(secrets.token_hex(32))' >"$folder/secret_key")
  cat "$folder/secret_key"
}

callers_words() { # how a caller may name this machine, one a line
  printf '%s\n' localhost 127.0.0.1 ::1 "$(hostname)" "$(hostname -f 2>/dev/null || true)"
  { hostname -I 2>/dev/null || true; } | tr ' ' '\n'
  tr , '\n' <<<"${MLFLOW_ALLOWED_HOSTS:-}"
}

allow_callers() { # host headers, and origins: pages of the server ask it with their own
  local word hosts=() origins=() IFS=,
  while read -r word; do
    hosts+=("$word" "$word:$port")
    origins+=("http://$word:$port" "https://$word")
  done < <(callers_words | sed -e '/^$/d' -e '/:.*:/s/.*/[&]/' | sort -u)
  options+=(--allowed-hosts "${hosts[*]}" --cors-allowed-origins "${origins[*]}")
}

serve() { # $1: the command that becomes the server
  mkdir -p "$folder/artifacts"
  cd "$folder" # basic auth keeps its users in the working directory
  unset MLFLOW_TRACKING_URI # of clients: this node's own server
  export MLFLOW_BACKEND_STORE_URI=${MLFLOW_BACKEND_URI:-sqlite:///$folder/mlflow.db}
  export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false # processes of their own that no sweep needs
  # One worker: with more, uvicorn kills those that a busy machine lets start slowly, for ever.
  local options=(--host "$listen" --port "$port" --workers 1
    --artifacts-destination "${artifacts:-$folder/artifacts}")
  is_loopback || allow_callers
  if [ -n "${MLFLOW_AUTH_ADMIN_PASSWORD:-}" ]; then
    MLFLOW_FLASK_SERVER_SECRET_KEY=${MLFLOW_FLASK_SERVER_SECRET_KEY:-$(secret_key)}
    export MLFLOW_AUTH_ADMIN_PASSWORD MLFLOW_FLASK_SERVER_SECRET_KEY
    options+=(--app-name basic-auth)
  fi
  "$@" mlflow server "${options[@]}"
}

start() {
  if answers; then
    echo "mlflow_server: already running at $(here):$port"
  else
    mkdir -p "$folder"
    (umask 077 && serve exec setsid >"$log" 2>&1 </dev/null) &
    echo $! >"$pid_file"
    wait_until_it_answers
  fi
  echo "tunnel, from your machine: ray attach -p $port cluster/cluster.yaml"
  echo "then open http://127.0.0.1:$port"
}

may_come() { # a server in the foreground, of another container too, leaves no process id
  [ ! -f "$pid_file" ] || kill -0 "$(<"$pid_file")" 2>/dev/null
}

wait_until_it_answers() {
  local deadline=$((SECONDS + ${MLFLOW_WAIT_SECONDS:-180}))
  until answers; do
    if ! may_come || [ "$SECONDS" -ge "$deadline" ]; then
      [ ! -f "$log" ] || tail -n 20 "$log" >&2
      fail "the server must answer at $(here):$port/health, and does not; its log is $log, or that of \
its container"
    fi
    sleep 1
  done
  echo "mlflow_server: running at $(here):$port, artifacts at ${artifacts:-$folder/artifacts}"
}

stop() { # the whole group: the server has children
  [ -f "$pid_file" ] || return 0
  local pid tries
  pid=$(<"$pid_file")
  for tries in {1..20}; do
    kill -- "-$pid" 2>/dev/null || break
    sleep 0.5
  done
  [ "$tries" -lt 20 ] || fail "the server must end when told to, and process $pid does not; kill it"
  rm "$pid_file"
}

read_password
is_loopback || [ -n "${MLFLOW_AUTH_ADMIN_PASSWORD:-}" ] ||
  fail "a server beyond this machine needs basic auth, found MLFLOW_LISTEN=$listen without a password; \
put one into $password_file (mode 600), or leave MLFLOW_LISTEN out and use the tunnel"
case "${1:-start}" in
  start) start ;;
  foreground) serve exec ;;
  wait) wait_until_it_answers ;;
  stop) stop ;;
  *) fail "the verb must be start, foreground, wait or stop, found $1" ;;
esac
