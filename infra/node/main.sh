#!/bin/bash
# shellcheck source-path=SCRIPTDIR
# Makes this instance a node of the cluster (apply), describes it (report, cluster), or opens sessions and ends them (sessions). Safe to run at any time, any number of times.
# The SSM document of the cluster fetches this folder from the bucket, and runs this file.
# stdout carries the answer, and after that of a failed run the end of its log; stderr has the name of each step as it begins.
# Everything else goes to the log. No secret is ever an argument, a line of the log or part of the answer.
# The agent keeps 2,500 bytes of both streams together, and cuts off the end of a stream that is too long (amazon-ssm-agent,
# TruncateOutput). So the answer comes first, and leaves room for the names of the steps.
set -euo pipefail
set +x
umask 077

# The document in infra/nodes.yaml sets these, the locale, and how often the AWS CLI tries.
: "${CLUSTER:?}" "${BUCKET:?}" "${GROUP:?}" "${LOG_GROUP:?}" "${SSM_Mode:?}" "${SSM_Configuration?}" "${SSM_StaleNodes?}" "${SSM_LoadBalancer?}" "${SSM_Sessions?}"

readonly STATE=/var/lib/benchwright RUN=/run/benchwright LOG_ON_DISK=/var/log/benchwright/configure.log
readonly RSERVER_CONF=/etc/rstudio/rserver.conf LICENSE_FOLDER=/var/lib/rstudio-server SERVER_LOG=/var/log/rstudio/rstudio-server/rserver.log
readonly BOOT_CHECK=/usr/local/sbin/benchwright-boot-check
readonly MOUNTS=(/efs/home /efs/shared-storage) SERVICES=(rstudio-server rstudio-launcher)
readonly MAXIMUM_CLUSTER_OUTPUT=23900

FOLDER=$(dirname "${BASH_SOURCE[0]}")
readonly FOLDER
. "$FOLDER/log.sh"
. "$FOLDER/instance.sh"
. "$FOLDER/differences.sh"
. "$FOLDER/report.sh"
. "$FOLDER/bundle.sh"
. "$FOLDER/secrets.sh"
. "$FOLDER/files.sh"
. "$FOLDER/users.sh"
. "$FOLDER/workbench.sh"
. "$FOLDER/administration.sh"
. "$FOLDER/sessions.sh"
. "$FOLDER/ides.sh"
. "$FOLDER/address.sh"
. "$FOLDER/identity_provider.sh"
. "$FOLDER/sign_in.sh"
. "$FOLDER/directory.sh"

apply() {
  local waited
  begin 'wait for other runs on this node'
  exec 9>"$RUN/lock"
  flock -w 600 9 || fail 'Another run of this script has held the node for more than ten minutes; wait for it or reboot the node.'
  waited=$own_log own_log=$LOG
  exec >>"$LOG" 2>&1
  note_logs # what another run wrote in the meantime is not part of this one
  cat "$waited"
  # Secrets of runs that the agent has ended: only the run that holds the lock has any.
  rm -rf "$RUN"/work.*/{answers,stage,before}
  # Of runs that the agent has ended. This one's own would look as old where another run has just set the clock.
  find "$RUN" -maxdepth 1 \( -name 'work.*' -o -name 'script.*' \) ! -path "$work" ! -path "$FOLDER" -mmin +20 -exec rm -rf {} +
  [ ! -e "$RUN/terminating" ] || fail 'This instance is being terminated, so it is not configured; deploy again when its replacement is there.'
  ensure_room
  check_boot
  ensure_clock
  ensure_guard
  ensure_credentials
  ensure_mounts
  fetch_bundle
  check_workbench_version
  stage_files
  cmp -s "$work/stage$RSERVER_CONF" "$RSERVER_CONF" || check_configuration
  check_session_configuration
  check_identity_provider
  check_directory
  check_provisioning
  ensure_audit_folder
  ensure_users
  ensure_groups
  ensure_name_service
  find_changes
  find_effects
  echo "changed: ${changed[*]:-nothing}; needed:${effects:-nothing}"
  # `verified` is missing from the first such change until Workbench has answered, so the next run continues an interrupted one.
  if needs restart || [ ! -e "$STATE/verified" ]; then
    if [ -e "$STATE/verified" ]; then keep_files; fi
    rm -f "$STATE/verified"
    stop_workbench
    place_files
    ensure_directory
    set_license_server
    verify_installation
    make_room
    start_workbench
    reload_launcher
    rm -f "$work/kept" "$STATE/effects"
    cp "$work/files" "$STATE/files"
    touch "$STATE/verified"
  else
    if [ "$effects" != ' ' ]; then change_files; fi
    ensure_directory
    make_room
    workbench_runs || start_workbench
  fi
  ensure_agent
  remember_numbers
  applied_here >"$work/applied"
  cp "$work/applied" "$STATE/applied"
  printf '%s' "$configuration" >"$STATE/configuration"
  complete_launch
  echo 'done'
}

cluster() {
  local id stale
  read -r -a stale <<<"$SSM_StaleNodes"
  for id in "${stale[@]}"; do
    begin "delete the row of node $id"
    rstudio-server delete-node "$id" </dev/null || fail "The row of node $id cannot be deleted: $(last_log_line)."
  done
  begin 'list the nodes'
  rstudio-server list-nodes </dev/null >"$work/cluster" || fail "rstudio-server list-nodes failed: $(last_log_line). Check that Workbench runs on this node."
  begin 'read the load balancer status'
  printf '\n=== load-balancer status ===\n' >>"$work/cluster"
  curl -fsS --max-time 10 http://localhost:8787/load-balancer/status >>"$work/cluster" || fail "/load-balancer/status does not answer: $(last_log_line). Check that Workbench runs on this node."
  if [ -n "$SSM_LoadBalancer" ]; then ask_address >>"$work/cluster"; fi
  ask_identity_provider "$RSERVER_CONF" >>"$work/cluster"
  # What is too long loses the sessions, not the nodes.
  [ "$(wc -c <"$work/cluster")" -le "$MAXIMUM_CLUSTER_OUTPUT" ] || sed -i '/^ /d' "$work/cluster"
  head -c "$MAXIMUM_CLUSTER_OUTPUT" "$work/cluster" >&3
}

# However the run ends: puts the files back if it replaced some and failed, prints the report, and adds to the log.
finish() {
  local status=$? problem=''
  trap - EXIT
  set +e
  forget_token
  if [ "$status" -ne 0 ]; then
    problem=$(cat "$work/problem" 2>/dev/null)
    [ -n "$problem" ] || problem="The step '$step' ended with exit code $status; read $LOG on the node or the log group $LOG_GROUP."
    if [ -e "$work/kept" ]; then
      put_back
      problem=$(shortened "${problem%.}." 500)$restored
    fi
    echo "FAILED: $problem"
    print_report "$(shortened "$problem" 700)" >&3
    tail -c "+$((log_start + 1))" "$own_log" | tail -c 7000 >&3
  elif [ "$SSM_Mode" = apply ] || [ "$SSM_Mode" = report ]; then
    print_report '' >&3
  fi
  [ "$own_log" = "$LOG" ] || cat "$own_log" >>"$LOG"
  rm -rf "$work"
  ((status == 0)) || exit 1 # to the agent 137 means that it ended the script, and 194 that it is to restart the machine
}

install -d -m 0700 "$RUN"
# With a full disk the script logs to memory, so that it can still report the full disk.
if [ "$(free_megabytes)" -ge 1 ]; then LOG=$LOG_ON_DISK; else LOG=$RUN/configure.log; fi
readonly LOG
install -d -m 0755 "${LOG_ON_DISK%/*}"
install -d -m 0700 "$STATE" "$STATE/secrets" "$STATE/users"
work=$(mktemp -d "$RUN/work.XXXXXX")
# Runs may overlap. Only the one that holds the lock writes to the log; the others add their lines when they end.
own_log=$work/log
exec 3>&1 4>&2 >"$own_log" 2>&1
note_logs
echo "=== $(date -u +%FT%TZ) $SSM_Mode"

step='start' restored='' changed=() account_files=() effects=' ' restarted=false configuration=''
WORKBENCH_VERSION='' DATABASE_SECRET_ARN='' DATABASE_SECRET_VERSION='' SECURE_COOKIE_KEY_SECRET_ARN='' SECURE_COOKIE_KEY_SECRET_VERSION=''
LICENSE_SECRET_ARN='' LICENSE_SECRET_VERSION='' LICENSE_SERVER='' CONFIGURATION=''
AUTH_SECRET_ARN='' AUTH_SECRET_VERSION='' SCIM_SECRET_ARN='' SCIM_SECRET_VERSION=''
PROBE_ACCOUNT='' provider_answer='' has_token=false
trap finish EXIT

case $SSM_Mode in
  apply) apply ;;
  report) ensure_room ;; # finish prints the report
  cluster) cluster ;;
  sessions) open_sessions ;;
  *) fail "Mode is '$SSM_Mode'; it must be apply, report, cluster or sessions." ;;
esac
