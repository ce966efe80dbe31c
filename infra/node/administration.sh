# shellcheck shell=bash
# Audit logs and metrics of Workbench.

readonly AUDIT=/efs/shared-storage/audit METRICS=http://localhost:8989/metrics

# KEY FILE: the value of a key of rserver.conf.
server_option() { sed -n "s/^$1=//p" "$2" 2>/dev/null | tail -n 1; }

# FILE: the folder of this node's audit logs, where an rserver.conf has those of `audit`. Any other path is the administrator's own.
audit_folder() { server_option audit-data-path "$1" | grep -xE "$AUDIT/[0-9]+(\.[0-9]+){3}" || true; }

# The files hold what people type. Everyone may write to the shared storage, so someone who made a folder of this name before the first node
# did could read them.
ensure_audit_folder() {
  local folder own
  own=$(audit_folder "$work/stage$RSERVER_CONF")
  [ -n "$own" ] || return 0
  begin 'prepare the folder of the audit logs'
  for folder in "$AUDIT" "$own"; do
    mkdir -m 0700 "$folder" 2>/dev/null || true
    if [ -L "$folder" ] || [ ! -d "$folder" ] || ! grep -qxE 'root|rstudio-server' <<<"$(stat -c %U "$folder")"; then
      fail "$folder cannot hold the audit logs: it is a $(stat -c '%F of %U' "$folder" 2>/dev/null || echo 'missing folder'). Move it away on a node, and deploy again."
    fi
    chown rstudio-server:rstudio-server "$folder"
    chmod 0700 "$folder"
  done
}

# Nothing where there is no audit log.
audit_status() {
  local folder
  folder=$(audit_folder "$RSERVER_CONF")
  [ -z "$folder" ] || stat -c '%U %a' "$folder" 2>/dev/null || echo missing
}

# Nothing where Workbench shows no metrics.
metrics_status() {
  local body="$work/metrics"
  [ "$(server_option metrics-enabled "$RSERVER_CONF")" = 1 ] || return 0
  if ! curl -fsS --max-time 5 "$METRICS" >"$body" 2>&1; then
    tail -n 1 "$body" | cut -c 1-150
  elif grep -q '^pwb_' "$body"; then
    echo ok
  else
    echo 'no metric of Workbench'
  fi
}
