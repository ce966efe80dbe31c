# shellcheck shell=bash
# The directory (LDAP, Active Directory) that this node asks for accounts by sssd, where auth.method is sssd.

readonly SSSD_CONF=/etc/sssd/sssd.conf SSSD_DATA=/var/lib/sss SSSD_LOGS=/var/log/sssd
declare -A sssd_log_starts

# Before anything changes: sssd's own check of the names of the options, then what this cluster needs of them.
check_directory() {
  local staged="$work/stage$SSSD_CONF" output="$work/sssd"
  [ -e "$staged" ] || return 0
  begin 'check sssd.conf'
  command -v sssctl >/dev/null || fail 'This image has no sssd, which auth.method sssd needs. If the AMI is your own (image.ami), build it again from the components of this release; otherwise deploy with {"image": {"rebuild": true}}.'
  ! cmp -s "$staged" "$SSSD_CONF" || return 0
  sssctl config-check --config="$staged" --snippet="$work/stage${SSSD_CONF%/*}/conf.d" </dev/null >"$output" 2>&1 ||
    fail "sssd refuses the sssd.conf in $AUTH_SECRET_ARN, so nothing was changed on this node: $(sssd_complaints "$output"). Correct the secret of auth.sssd_conf and deploy again."
  python3 "$FOLDER/sssd_conf.py" "$staged" >"$output" ||
    fail "The sssd.conf in $AUTH_SECRET_ARN does not fit, so nothing was changed on this node: $(tr -s '\n ' ' ' <"$output" | cut -c 1-600). Correct the secret of auth.sssd_conf and deploy again."
}

# OUTPUT: what sssctl says is wrong, without what it counts and the names of its functions.
sssd_complaints() {
  local said
  said=$(grep -E '^\[|Error \(' "$1" | sed -E "s/^\[sssd\] \[[a-z_]+\] \(0x[0-9a-f]+\): //; s|$work/stage||g" | grep -vE '^(Failed to parse|Errors detected)' | tr -s '\n ' ' ' | cut -c 1-400)
  printf '%s' "${said:-$(tail -n 1 "$1" | cut -c 1-300)}" | sed 's/[. ]*$//'
}

# Has sssd run with the files that are in place, with nothing remembered of other ones (its memory answers for up to five minutes, also
# while sssd is down), or not at all where there are none. `directory` remembers the files that it was started with.
ensure_directory() {
  local files started="$STATE/directory"
  note_directory_logs
  if [ ! -e "$SSSD_CONF" ]; then
    [ -e "$started" ] || return 0
    begin 'forget the directory'
    systemctl disable --now sssd || fail "sssd cannot be stopped: $(last_log_line)."
    forget_directory
    rm -f "$started" "$STATE/probe"
    return
  fi
  begin 'ask the directory'
  files=$(cat "$SSSD_CONF" "${SSSD_CONF%/*}"/conf.d/*.conf | sha256sum)
  if [ "$(cat "$started" 2>/dev/null)" != "$files" ]; then
    rm -f "$STATE/probe"
    echo 'being started' >"$started"
    systemctl stop sssd || true
    forget_directory
  fi
  systemctl enable sssd
  systemctl start sssd || fail "$(explain_directory 'sssd does not start')"
  find_probe_account
  printf '%s' "$files" >"$started"
  printf '%s' "$PROBE_ACCOUNT" >"$STATE/probe"
}

forget_directory() { rm -rf "$SSSD_DATA"/db/* "$SSSD_DATA"/mc/*; }

# sssd answers at once that an account is unknown while it is not connected, so it is asked for a minute.
find_probe_account() {
  local _ name uid home shell users
  for _ in $(seq 30); do
    IFS=: read -r name _ uid _ _ home shell < <(getent -s sss passwd "$PROBE_ACCOUNT") && break
    [ "$(service_state sssd)" = active ] || fail "$(explain_directory 'sssd has ended')"
    sleep 2
  done
  [ -n "$name" ] || fail "$(explain_directory "sssd does not find the account $PROBE_ACCOUNT in the directory")"
  [ "$(getent passwd "$PROBE_ACCOUNT" | cut -d: -f3)" = "$uid" ] || fail "This node has an account $PROBE_ACCOUNT of its own, which hides that of the directory. Name another one in auth.probe_account, or remove it from the image."
  [[ $home == /efs/home/?* ]] || fail "The directory puts the home of $PROBE_ACCOUNT at $home, which each node has for itself. Take override_homedir out of the domain in the sssd.conf of auth.sssd_conf, or set it to /efs/home/%u there, and deploy again."
  grep -qxF -- "${shell:-/bin/sh}" /etc/shells || fail "The directory gives $PROBE_ACCOUNT the shell $shell, which is no login shell of this node. Set override_shell = /bin/bash in the sssd.conf of auth.sssd_conf, or name another account in auth.probe_account, and deploy again."
  users=$(while read -r name uid _; do
    { getent -s sss passwd "$name" "$uid" || true; } | awk -F: -v name="$name" -v uid="$uid" '$1 != name || $3 != uid { print name " (uid " uid ") and " $1 " (uid " $3 ")" }'
  done <"$work/bundle/users" | sort -u | head -n 5 | paste -sd, | sed 's/,/, /g')
  [ -z "$users" ] || fail "An account of the directory and a user in \`users\` have the same name or the same uid, so that each may be taken for the other: $users. Take the user out of \`users\`, or change the account in the directory, and deploy again."
}

# UID:GID of the probe account as the directory has it on this node; nothing without a directory, or where it is not found.
probe_account() {
  [ ! -e "$STATE/probe" ] || { getent -s sss passwd "$(cat "$STATE/probe")" || true; } | cut -d: -f3,4
}

note_directory_logs() {
  local file
  for file in "$SSSD_LOGS"/*.log; do [ ! -e "$file" ] || sssd_log_starts[$file]=$(stat -c %s "$file"); done
}

# WHAT: one sentence about why WHAT, from what sssd has logged since. Lines that begin with a star only lead to an error.
explain_directory() {
  local what=$1 file entry line text="$work/sssd"
  for file in "$SSSD_LOGS"/*.log; do
    [ ! -e "$file" ] || tail -c "+$((${sssd_log_starts[$file]:-0} + 1))" "$file"
  done | grep -E '^[^*]*\(0x00[1-4]0\)' | sed -E 's/^(\([^)]*\): )?//' | uniq >"$text" || true
  head -n 40 "$text" >&2 # what the function prints is its sentence
  while IFS= read -r entry; do
    [ -n "$entry" ] || continue
    line=$(grep -iE -m 1 -- "${entry%% => *}" "$text" | cut -c 1-300) || continue
    printf '%s: %s. sssd said: %s' "$what" "${entry#* => }" "$line"
    return
  done <"$FOLDER/directory_causes.txt"
  line=$(head -n 1 "$text" | cut -c 1-300)
  if [ -n "$line" ]; then
    printf '%s. It said: %s. Correct the secret of auth.sssd_conf, or the directory, and deploy again; %s has more' "$what" "$line" "$SSSD_LOGS"
  else
    printf '%s, and reports no error. Check auth.probe_account, and in the sssd.conf of auth.sssd_conf ldap_search_base and the filters. The account needs a uidNumber and a gidNumber, unless ldap_id_mapping is true' "$what"
  fi
}
