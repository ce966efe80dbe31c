# shellcheck shell=bash
# The instance: its metadata, clock, disk, guard, credentials and mounts, and the completion of its launch.

readonly METADATA=http://169.254.169.254/latest
readonly MINIMUM_ROOM=100 # MB

# PATH: what the instance metadata service says of this instance, asked once in a run. A service that does not answer is asked again for a
# minute, but only once in a run. The session token is no secret worth hiding from ps: only root can use it (benchwright-metadata-guard).
metadata() {
  local ask=(curl -fsS --max-time 5) answer="$work/metadata.${1//\//.}"
  if [ -e "$answer" ]; then contents "$answer"; return; fi
  [ -e "$work/unanswered" ] || ask+=(--retry 30 --retry-delay 2 --retry-max-time 60 --retry-all-errors)
  if [ ! -s "$work/token" ]; then
    "${ask[@]}" -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 3600' -o "$work/token" "$METADATA/api/token" ||
      { rm -f "$work/token"; touch "$work/unanswered"; return 1; }
  fi
  "${ask[@]}" -H "X-aws-ec2-metadata-token: $(<"$work/token")" -o "$work/metadata" "$METADATA/meta-data/$1" || { touch "$work/unanswered"; return 1; }
  contents "$work/metadata" >"$answer"
  contents "$answer"
}

free_megabytes() { echo "$(($(df -k --output=avail / | tail -n 1) / 1024))"; }

# Seconds between this clock and its source, or null: not synchronised yet, or no chrony.
clock_offset() {
  local tracking offset fields='^[^,]*,[^,]*,([^,]*),[^,]*,([^,]*)(,|$)'
  tracking=$(chronyc -c tracking 2>/dev/null) || { echo null; return; }
  if [[ $tracking =~ $fields && ${BASH_REMATCH[1]} != 0 ]]; then offset=${BASH_REMATCH[2]}; fi
  if [[ ${offset-} =~ ^-?(0|[1-9][0-9]*)(\.[0-9]+)?$ ]]; then echo "$offset"; else echo null; fi
}

# Asked as an ordinary user: a connection that is not even made is a refusal; any answer, even an error, means reachable.
# Also with a socket that is bound to a device: for it the kernel skips rules that prohibit.
metadata_for_users() {
  local code device
  for device in '' "$(awk 'NR == 2 { print $1 }' /proc/net/route)"; do
    code=0
    setpriv --reuid=65534 --regid=65534 --clear-groups curl -s -o /dev/null --max-time 2 -X PUT \
      -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' ${device:+--interface "$device"} "$METADATA/api/token" || code=$?
    case $code in
      7 | 28) ;;
      0) echo reachable; return ;;
      *) echo "unknown (curl ended with $code)"; return ;;
    esac
  done
  echo refused
}

# The same for the ports of mount helpers: the kernel refuses a connection before it checks whether a process listens.
helper_for_users() {
  local ports port said
  ports=$(sed -n 's/^127\.0\.0\.1:.*,port=\([0-9]*\),.*/\1/p' /proc/mounts)
  for port in ${ports:-20049}; do
    said=$(setpriv --reuid=65534 --regid=65534 --clear-groups timeout 2 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port" 2>&1) || true
    [[ $said == *'Network is unreachable'* ]] || { echo reachable; return; }
  done
  echo refused
}

# Stops before a full disk would interrupt the run half-way.
ensure_room() {
  local free
  begin 'look for room on the disk'
  free=$(free_megabytes)
  [ "$free" -ge "$MINIMUM_ROOM" ] || fail "The disk of this node is full: $free MB of the root volume are free, and $MINIMUM_ROOM MB are needed. Delete what fills it (du -xm / | sort -n | tail), or replace the node, and deploy again."
}

# Once in the life of an instance, before anything of Workbench runs on it. An image of an earlier release has no such program, and one that
# was made of a node has its mark. Where the metadata service does not answer, ensure_credentials says so.
check_boot() {
  local problems instance checked=$STATE/boot-checked
  [ -x "$BOOT_CHECK" ] && instance=$(metadata instance-id) || return 0
  [ "$(contents "$checked")" != "$instance" ] || return 0
  begin 'check how the image booted'
  timeout 300 cloud-init status --wait || true
  problems=$("$BOOT_CHECK") || fail "This instance did not boot as its image wants: $(shortened "${problems//$'\n'/. }" 400). Correct what changes the image, or the instance while it boots. Then deploy with {\"image\": {\"rebuild\": true}} or another image.ami."
  echo "$instance" >"$checked"
}

# Sets a clock that is far off: to slew it takes hours, in which AWS and the other nodes refuse its requests.
ensure_clock() {
  local offset
  begin 'compare the clock'
  for _ in {1..15}; do
    offset=$(clock_offset)
    if [[ $offset =~ ^-?0(\.[0-9]+)?$ ]]; then return; fi
    systemctl start chrony || true
    chronyc makestep || true
    sleep 2
  done
  fail "The clock of this node is off by ${offset/null/an unknown number of} seconds, and chrony cannot set it. Give it 169.254.169.123 or another time source (chronyc sources), or replace the node, and deploy again."
}

# A network device that was down has lost its part of the guard.
ensure_guard() {
  begin 'guard the instance metadata and the mount helper'
  /usr/local/sbin/benchwright-metadata-guard || fail "The guard cannot be set: $(last_log_line). Run benchwright-metadata-guard on the node, or terminate it, and deploy again."
}

# The mount helper and the AWS CLI need credentials, and give up within seconds if there are none yet.
ensure_credentials() {
  begin 'ask for the credentials of this node'
  metadata iam/security-credentials/ >/dev/null || fail "The instance metadata service gives this node no credentials: $(last_log_line). Check that the launch template enables the service and names the instance profile, or replace the node, and deploy again."
}

ensure_mounts() {
  local path
  begin 'mount the shared file systems'
  for path in "${MOUNTS[@]}"; do
    for _ in {1..60}; do
      if mountpoint -q "$path" || systemctl start "$path"; then continue 2; fi # systemd runs one job for a mount at a time
      sleep 5
    done
    tail -n 5 /var/log/amazon/efs/mount.log 2>/dev/null || true
    fail "$path cannot be mounted: $(last_log_line). Check /etc/fstab, the mount targets, their security group and the file system's policy."
  done
}

# Whether this instance was configured before. An AMI that was made of a node brings that node's file.
was_launched() {
  local instance
  instance=$(metadata instance-id) && [ "$(contents "$STATE/launched")" = "$instance" ]
}

# The group waits for each instance that it launches after the first ones. The first ones, and repeated runs, have no action to complete.
complete_launch() {
  local instance
  instance=$(metadata instance-id) || fail "The instance metadata service does not give the instance id: $(last_log_line). Check that the launch template enables the service, and deploy again."
  ! was_launched || return 0
  begin 'notify the Auto Scaling group that this node is configured'
  if ! aws autoscaling complete-lifecycle-action --auto-scaling-group-name "$GROUP" --lifecycle-hook-name configured \
    --instance-id "$instance" --lifecycle-action-result CONTINUE 2>"$work/lifecycle"; then
    cat "$work/lifecycle"
    grep -q 'No active Lifecycle Action found' "$work/lifecycle" || fail "The group $GROUP cannot be notified that $instance is configured: $(last_log_line). Check that the node role may complete lifecycle actions."
  fi
  printf '%s' "$instance" >"$STATE/launched"
}
