# shellcheck shell=bash
# Workbench: its version, health and licence; how it is checked, stopped, verified and started.

readonly RSERVER=/usr/lib/rstudio-server/bin/rserver RSESSION=/usr/lib/rstudio-server/bin/rsession
readonly RSESSION_CONF=/etc/rstudio/rsession.conf LAUNCHER_CONF=/etc/rstudio/launcher.conf LAUNCHER_LOGS=/var/log/rstudio/launcher
readonly HEALTH=http://localhost:8787/health-check LAUNCHER=http://localhost:5559/status

installed_workbench() {
  local output
  output=$(rstudio-server version </dev/null 2>/dev/null) || return 1
  [[ $output =~ [0-9]{4}\.[0-9]{2}\.[0-9]+(\+[0-9A-Za-z.]+)? ]] && echo "${BASH_REMATCH[0]}"
}

check_workbench_version() {
  local installed
  begin 'compare the version of Workbench'
  installed=$(installed_workbench) || fail "Posit Workbench is not installed on this image: 'rstudio-server version' gives no version. Use an image that Benchwright built, or install Workbench $WORKBENCH_VERSION on yours."
  [ "$installed" = "$WORKBENCH_VERSION" ] || fail "This node has Workbench $installed, but the cluster is to run $WORKBENCH_VERSION. If someone installed it here, replace the node. If it came with an image of yours, set workbench.version to $installed or use an image with $WORKBENCH_VERSION."
}

readonly AGENT=amazon-cloudwatch-agent
# Workbench works without the agent, so this never fails a configuration; the report of the node and each verification name its state.
ensure_agent() {
  [ "$(service_state "$AGENT")" = active ] || systemctl start --no-block "$AGENT.service" || echo 'The CloudWatch agent does not start.'
}

# SERVICE...: a line for each.
service_state() { systemctl is-active "$@" 2>/dev/null || true; }

health() {
  local body="$work/health"
  if curl -fsS --max-time 5 "$HEALTH" >"$body" 2>&1; then echo ok; else tail -n 1 "$body" | cut -c 1-150; fi
}

# After `health`: the server knows every kind of licence, also a lease. While it is down, only the license manager can answer.
# Its text has a section with a Status for each kind, a licence file's first; JSON may have them in any order.
license_status() {
  local said statuses
  if grep -qE '^license-status:\s*Activated\s*$' "$work/health"; then
    echo Activated
    return
  fi
  said=$({ rstudio-server license-manager status --output=text || rstudio-server license-manager status; } </dev/null 2>/dev/null) || true
  if grep -qi '"status"' <<<"$said"; then
    statuses=$(grep -oiE '"status"\s*:\s*"[^"]*"' <<<"$said" | cut -d'"' -f4 | sort) || true # Activated before Expired
  else
    statuses=$(sed -n 's/^\s*Status:\s*\(.*\S\).*/\1/p' <<<"$said")
  fi
  if compgen -G "$LICENSE_FOLDER/*.lic" >/dev/null; then
    statuses=$(head -n 1 <<<"$statuses")
    echo "${statuses:-unknown}"
  elif grep -qx 'Activated' <<<"$statuses"; then
    echo Activated
  else
    echo missing
  fi
}

# NAME TEXT: the first value of a field in what the license manager says, as text or as JSON.
license_field() { tr '{},' '\n' <<<"$2" | tr -d '"\r' | sed -n "s/^\s*$1\s*:\s*\(.*\S\).*/\1/Ip" | sed -n 1p | cut -c 1-40; }

number_or_null() { if [[ $1 =~ ^(0|[1-9][0-9]{0,8})$ ]]; then printf '%s' "$1"; else printf null; fi; }

# What a licence allows, and how many days it lasts: of a file as the license manager says in its first section, of a lease as far as a
# section names it. The server knows the days of every kind.
license_terms() {
  local said days
  said=$({ timeout 20 rstudio-server license-manager status --output=text || timeout 20 rstudio-server license-manager status; } </dev/null 2>/dev/null) || true
  if compgen -G "$LICENSE_FOLDER/*.lic" >/dev/null; then said=$(sed -n '/^-- .* --\s*$/{x;s/^/x/;/^xx/q;x};p' <<<"$said"); fi
  days=$(license_field license-days-left "$(<"$work/health")")
  printf '{"tier":'; json_or_null "$(license_field tier "$said")"
  printf ',"seats":%s' "$(number_or_null "$(license_field users "$said")")"
  printf ',"days_left":%s}' "$(number_or_null "${days:-$(license_field days-left "$said")}")"
}

# Workbench keeps the name of the licence server in a place of its own. Its server takes a lease when it starts, and gives it back when it
# stops.
set_license_server() {
  local server output="$work/license-server"
  if [ -e "$LICENSE_SERVER_FILE" ]; then
    server=$(<"$LICENSE_SERVER_FILE")
    begin "use the licence server $server"
    if timeout 60 rstudio-server license-manager license-server "$server" </dev/null >"$output" 2>&1; then return; fi
    cat "$output"
    fail "Workbench cannot use the licence server $server: $(tr -s '\n ' ' ' <"$output" | cut -c 1-200). Check host and port (input: license), that the server runs and has a seat left, and that the nodes may reach it."
  elif grep -qxF -- "${LICENSE_SERVER_FILE#/}" <<<"$(printf '%s\n' "${changed[@]}")"; then
    begin 'forget the licence server'
    timeout 60 rstudio-server license-manager clear-license-server </dev/null || echo 'The licence server could not be forgotten; what serves as licence now is what the files say.'
  fi
}

# The server checks the new configuration while it still runs with the previous one. Only the complaints below fail the run: the start
# shows whether others matter. --check-config came in mid-2026 (rstudio#18020).
check_configuration() {
  local verb=--test-config output="$work/check" complaints
  begin 'check the configuration'
  if [[ $("$RSERVER" --help 2>/dev/null || true) == *--check-config* ]]; then verb=--check-config; fi
  if "$RSERVER" "$verb" --config-file "$work/stage$RSERVER_CONF" </dev/null >"$output" 2>&1; then return; fi
  cat "$output"
  complaints=$(grep -vE '^\[PASS]|^Warning|^-- ' "$output" | tr -s '\n ' ' ' | cut -c 1-300)
  complaints=${complaints//"$work/stage"/}
  if ! grep -qiE 'unrecogni[sz]ed option|for option .* is invalid|error reading' <<<"$complaints"; then return; fi
  fail "Workbench $WORKBENCH_VERSION refuses the configuration, so nothing was changed on this node: ${complaints% }. Correct config in the input and deploy again."
}

# No session starts with a key that it does not know, and the server does not look. So a session is asked, with the libraries of the newest R;
# only the complaints below count.
check_session_configuration() {
  local home staged="$work/stage$RSESSION_CONF" output="$work/check-session" complaints
  if [ ! -e "$staged" ] || [ ! -x "$RSESSION" ] || cmp -s "$staged" "$RSESSION_CONF"; then return; fi
  begin 'check the configuration of sessions'
  home=$(compgen -G '/opt/R/*/lib/R' | sort -V | tail -n 1) || true
  if RSTUDIO_CONFIG_DIR="${staged%/*}" R_HOME="$home" LD_LIBRARY_PATH="$home/lib" timeout 60 "$RSESSION" --test-config --config-file "$staged" </dev/null >"$output" 2>&1; then return; fi
  cat "$output"
  complaints=$(grep -iE 'unrecogni[sz]ed option|for option .* is invalid|error reading' "$output" | tr -s '\n ' ' ' | cut -c 1-300) || return 0
  complaints=${complaints//"$work/stage"/}
  fail "Sessions of Workbench $WORKBENCH_VERSION refuse the configuration, so nothing was changed on this node: ${complaints% }. Correct files (rsession.conf) in the input and deploy again."
}

# PATH: what Workbench needs after a change of this file. A bundle of an earlier release does not say, and says nothing of unknown names.
effect_of() {
  awk -v path="$1" '$2 == path { effect = $1 } END { print effect ? effect : path ~ /\/(launcher[^\/]*|secure-cookie-key)$/ ? "restart-launcher" : "restart" }' \
    "$(if [ -e "$work/bundle/effects" ]; then echo "$work/bundle/effects"; else echo /dev/null; fi)"
}

# What Workbench needs after all changes, and after those of a run that ended before it had read them again: words of rstudio_files.py.
find_effects() {
  local path
  effects=" $({ for path in "${changed[@]}"; do effect_of "/$path"; done; cat "$STATE/effects" 2>/dev/null || true; } | sort -u | tr '\n' ' ')"
  if needs reload-launcher && ! launcher_takes_hangup; then effects+='restart-launcher '; fi
  if needs restart-launcher; then effects+='restart '; fi
}

# WORD
needs() { [[ $effects == *" $1 "* ]]; }

launcher_process() { systemctl show -p MainPID --value rstudio-launcher; }

# A launcher of an older release does not take the signal, and would end with its sessions.
launcher_takes_hangup() {
  local caught
  caught=$(sed -n 's/^SigCgt:\s*//p' "/proc/$(launcher_process)/status" 2>/dev/null) || return 1
  [ -n "$caught" ] && (((16#$caught & 1) == 1))
}

declare -A launcher_log_ends

mark_launcher_logs() {
  local file
  launcher_log_ends=()
  for file in "$LAUNCHER_LOGS"/*.log; do [ ! -e "$file" ] || launcher_log_ends[$file]=$(stat -c %s "$file"); done
}

new_launcher_log() {
  local file
  for file in "$LAUNCHER_LOGS"/*.log; do [ ! -e "$file" ] || tail -c "+$((${launcher_log_ends[$file]:-0} + 1))" "$file"; done
}

start_launcher() {
  if [ "$(service_state rstudio-launcher)" = active ]; then return; fi
  mark_launcher_logs
  systemctl start rstudio-launcher || fail "The job launcher does not start: $(last_log_line). Read the journal of rstudio-launcher on the node."
  wait_for_launcher
  new_launcher_log | grep -iE '(warn|error).*cgroup' | tail -n 1 | cut -c 1-300 >"$STATE/limits" || true
  cat "$STATE/limits"
}

# Whether the launcher enforces limits: one that cannot make control groups logs a warning when it starts, and goes on without limits.
limits() {
  if ! grep -qsx 'enable-cgroups=1' "$LAUNCHER_CONF"; then echo null; elif [ -s "$STATE/limits" ]; then echo '"off"'; else echo '"on"'; fi
}

# Where a profile is wrong, the launcher keeps those that it had, and says so in its log alone.
reload_launcher() {
  local complaint
  if ! needs reload-launcher || needs restart-launcher; then return; fi
  begin 'let the launcher read its profiles again'
  mark_launcher_logs
  kill -HUP "$(launcher_process)" || fail "The job launcher does not take a signal: $(last_log_line)."
  for _ in {1..5}; do
    sleep 1
    complaint=$(new_launcher_log |
      grep -iE 'unknown param|invalid config section|could not parse config|param .* is not valid' | tail -n 1 | cut -c 1-300) || continue
    fail "The job launcher of Workbench $WORKBENCH_VERSION refuses its profiles: $complaint. Correct files (launcher.local.profiles.conf, launcher.local.resources.conf) in the input and deploy again."
  done
  wait_for_launcher
}

# Workbench reads again what changed, and no session or service ends.
reload_workbench() {
  if ! workbench_runs; then return; fi
  reload_launcher
  if needs reload; then
    begin 'let the server read its files again'
    rstudio-server reload </dev/null || fail "rstudio-server reload failed: $(last_log_line)."
    wait_for_server
  fi
}

# Changes that need no restart.
change_files() {
  keep_files
  place_files
  reload_workbench
  rm -f "$work/kept" "$STATE/effects"
  cp "$work/files" "$STATE/files"
}

# Stop the server first, or an open browser resumes each session at once. The command only sends a signal, and a session that is
# stopped while it writes its memory to disk loses it.
suspend_sessions() {
  timeout 60 rstudio-server force-suspend-all </dev/null || echo 'force-suspend-all failed; waiting for the sessions anyway'
  for _ in {1..120}; do
    if ! grep -qsx rsession /proc/[0-9]*/comm; then return; fi
    sleep 2
  done
  echo 'sessions still run after four minutes; stopping anyway'
}

# Sessions are children of the launcher, so it is stopped only when one of its own files asks for it; the server can go at any time.
stop_workbench() {
  begin 'stop Workbench'
  systemctl stop rstudio-server || fail "The Workbench server cannot be stopped: $(last_log_line)."
  if needs restart-launcher; then
    suspend_sessions
    systemctl stop rstudio-launcher || fail "The job launcher cannot be stopped: $(last_log_line)."
  fi
}

# Any answer counts: whether it asks for a password differs by version.
wait_for_launcher() {
  for _ in {1..30}; do
    if curl -sS -o /dev/null --max-time 5 "$LAUNCHER" 2>"$work/launcher"; then return; fi
    sleep 2
  done
  cat "$work/launcher"
  fail "The job launcher is $(service_state rstudio-launcher) and does not listen: $(last_log_line). Read the journal of rstudio-launcher and /var/log/rstudio/launcher on the node."
}

# Runs with the launcher up and the server down, as the command requires. It starts a job only when it gets an account, which needs a
# licence: a session of R, and one of JupyterLab and of VS Code each where image and configuration have it.
verify_installation() {
  local user
  begin 'verify the installation'
  start_launcher
  read -r user _ <"$work/bundle/users" || true
  health >/dev/null
  if [ -z "$user" ] || [ "$(license_status)" != Activated ]; then verify_with; return; fi
  verify_with --verify-user="$user" --verify-test=r-sessions
  if [ -x "$JUPYTER/bin/jupyter" ] && grep -qx 'labs-enabled=1' "$JUPYTER_CONF"; then verify_with --verify-user="$user" --verify-test=jupyter-sessions; fi
  if [ -x "$VSCODE/bin/code-server" ] && grep -qx 'enabled=1' "$VSCODE_CONF"; then verify_with --verify-user="$user" --verify-test=vscode-sessions; fi
}

verify_with() {
  local complaints output="$work/verify"
  # The service's user must be able to read what it makes, as if systemd had started it.
  if (umask 022 && rstudio-server verify-installation "$@" </dev/null >"$output" 2>&1); then cat "$output"; return; fi
  cat "$output"
  # Without a licence no session can start. The report says `missing`; that alone is no failure.
  complaints=$(grep -iE 'error|fail|refused|denied|licen[sc]e' "$output") || true
  if [ -n "$complaints" ] && ! grep -viq 'licen[sc]e' <<<"$complaints" && [ "$(license_status)" = missing ]; then return; fi
  new_server_log
  fail "$(explain 'rstudio-server verify-installation failed' "$output")"
}

start_workbench() {
  local output="$work/start"
  begin 'start Workbench'
  restarted=true
  systemctl enable "${SERVICES[@]}"
  start_launcher
  systemctl start rstudio-server >"$output" 2>&1 || { cat "$output"; new_server_log; fail "$(explain 'The Workbench server does not start' "$output")"; }
  wait_for_server
}

wait_for_server() {
  local answer output="$work/start"
  begin 'wait until Workbench answers'
  for _ in {1..60}; do
    answer=$(health)
    [ "$answer" != ok ] || return 0
    case $(service_state rstudio-server) in active | activating | reloading) sleep 2 ;; *) break ;; esac
  done
  new_server_log
  printf '%s\n' "$answer" >>"$output"
  fail "$(explain "The Workbench server is $(service_state rstudio-server) and $HEALTH does not answer" "$output")"
}

workbench_runs() { [ "$(service_state "${SERVICES[@]}")" = $'active\nactive' ]; }
