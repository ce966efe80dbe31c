# shellcheck shell=bash
# The directory (LDAP, Active Directory) that this node asks for accounts by sssd, where auth.method is sssd.

readonly NUMBERS=/efs/home/.benchwright-numbers SSSD_CONF=/etc/sssd/sssd.conf SSSD_DATA=/var/lib/sss SSSD_LOGS=/var/log/sssd
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
  said=$(grep -E '^\[|Error \(' "$1" | without_secrets | sed -E "s/^\[sssd\] \[[a-z_]+\] \(0x[0-9a-f]+\): //; s|$work/stage||g" | grep -vE '^(Failed to parse|Errors detected)' | tr -s '\n ' ' ' | cut -c 1-400)
  printf '%s' "${said:-$(tail -n 1 "$1" | cut -c 1-300)}" | sed 's/[. ]*$//'
}

# Of a secret that has a line break, the rest is a line of its own, whose beginning would be shown as the name of an option.
without_secrets() {
  awk -v conf="$work/stage$SSSD_CONF" '
    BEGIN { while ((getline line <conf) > 0) { number++; sub(/^[ \t]+/, "", line); sub(/[ \t]*=.*/, "", line); if (!(line in place)) place[line] = number } }
    {
      begins = index($0, "Attribute \047"); ends = index($0, "\047 is not allowed")
      name = substr($0, begins + 11, ends - begins - 11)
      if (begins && ends && name !~ /^[a-z0-9_]+$/) $0 = substr($0, 1, begins - 1) "The option " (name in place ? "in line " place[name] : "in a line") substr($0, ends + 1)
      print
    }'
}

# Has sssd run with the files that are in place, with nothing remembered of other ones (its memory answers for up to five minutes, also
# while sssd is down), or not at all where the configuration has none. `directory` remembers the files that it was started with: what is
# not there, an image of someone's own may have started.
ensure_directory() {
  local files started="$STATE/directory"
  note_directory_logs
  if [ -z "$PROBE_ACCOUNT" ]; then
    [ -e "$started" ] || return 0
    begin 'forget the directory'
    systemctl disable --now sssd || fail "sssd cannot be stopped: $(last_log_line)."
    rm -rf "$SSSD_DATA"/mc/* # the rest when Workbench runs without it, so that put_back finds whom sssd knew
    mv -fT "$started" "$STATE/left"
    rm -f "$STATE/probe"
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

# When Workbench runs with the configuration: what gives people their uids, and no more of a directory than that. It lies beside the
# homes, which outlive each node.
remember_numbers() {
  local gives=''
  if [ -n "$PROBE_ACCOUNT" ]; then gives=directory; elif provisions "$RSERVER_CONF"; then gives=workbench; fi
  if [ -z "$PROBE_ACCOUNT" ] && [ -e "$STATE/left" ]; then forget_directory; fi
  rm -f "$STATE/left"
  { [ -n "$gives" ] && [ "$(numbers)" != "$gives" ]; } || return 0
  if [ "$gives" = directory ] && [ "$(numbers)" = workbench ]; then write_beside_homes "$NUMBERS.workbench" homes_of_workbench; fi
  write_beside_homes "$NUMBERS" echo "$gives"
}

# FILE COMMAND...: writes what the command prints, whole or not at all.
write_beside_homes() {
  { "${@:2}" >"$1.$HOSTNAME" && mv -fT "$1.$HOSTNAME" "$1"; } ||
    fail "$1 cannot be written: $(last_log_line). Give the node role elasticfilesystem:ClientRootAccess to the file system, and deploy again."
}

# UID NAME of each home that Workbench may have made, before the directory has anyone sign in: Workbench still knows them when it makes accounts
# again. Not of one whose uid the directory has: someone may have given it to that account.
homes_of_workbench() {
  local uids
  mapfile -t uids < <(cut -d' ' -f2 "$work/homes")
  if [ "${#uids[@]}" -eq 0 ]; then return; fi
  { getent -s sss passwd "${uids[@]}" || true; } | awk '
    FILENAME == "-" { split($0, its, ":"); taken[its[3]]; next }
    !($2 in taken) { print $2, $1 }' - "$work/homes"
}

# `directory` or `workbench`: which of them gave people of this cluster their uids last, if one did.
numbers() { cat "$NUMBERS" 2>/dev/null || true; }

forget_directory() { rm -rf "$SSSD_DATA"/db/* "$SSSD_DATA"/mc/*; }

# sssd answers at once that an account is unknown while it is not connected, so it is asked for a minute.
find_probe_account() {
  local _ name uid home shell others
  for _ in {1..30}; do
    IFS=: read -r name _ uid _ _ home shell < <(getent -s sss passwd "$PROBE_ACCOUNT") && break
    [ "$(service_state sssd)" = active ] || fail "$(explain_directory 'sssd has ended')"
    sleep 2
  done
  [ -n "$name" ] || fail "$(explain_directory "sssd does not find the account $PROBE_ACCOUNT in the directory")"
  grep -q "^$PROBE_ACCOUNT " "$work/bundle/locked" || [ "$(getent passwd "$PROBE_ACCOUNT" | cut -d: -f3)" = "$uid" ] || fail "This node has an account $PROBE_ACCOUNT of its own, which hides that of the directory. Name another one in auth.probe_account, or remove it from the image."
  [[ $home == /efs/home/?* ]] || fail "The directory puts the home of $PROBE_ACCOUNT at $home, which each node has for itself. Take override_homedir out of the domain in the sssd.conf of auth.sssd_conf, or set it to /efs/home/%u there, and deploy again."
  grep -qxF -- "${shell:-/bin/sh}" /etc/shells || fail "The directory gives $PROBE_ACCOUNT the shell $shell, which is no login shell of this node. Set override_shell = /bin/bash in the sssd.conf of auth.sssd_conf, or name another account in auth.probe_account, and deploy again."
  others=$(in_directory passwd users | at_most_five)
  [ -z "$others" ] || fail "An account of the directory and a user in \`users\` have the same name or the same uid, so that each may be taken for the other: $others. Take the user out of \`users\`, or change the account in the directory, and deploy again."
  homes_of_others >"$work/homes"
  others=$(in_directory passwd homes | at_most_five)
  [ -z "$others" ] || fail "An account of the directory has the uid of the home of someone else, and would own those files: $others. Give the account in the directory another uidNumber, or the home and its owner's other files another owner (chown -R on a node, if the home is to be kept), and deploy again."
  others=$(groups_of_system | at_most_five)
  [ -z "$others" ] || fail "A group of the directory has the gid of a system group of this node, so that its members would have the permissions of that one: $others. Give the group in the directory another gidNumber, or leave it out by ldap_group_search_base in the sssd.conf of auth.sssd_conf, and deploy again."
  others=$(in_directory group users homes groups emptied | at_most_five)
  [ -z "$others" ] || fail "A group of the directory has the gid of another one, so that its members could read files of that one: $others. Give the group in the directory another gidNumber, or, if it is that of a home of someone who left, give the home another group (chown -R on a node), and deploy again."
}

# The groups of the directory that have the gid of a system group of this node, and members, who would have its permissions: disk is the raw
# disk. Not of groups whose gids have people in many directories, and give nothing here: wheel of Red Hat is 10, staff of macOS 20.
groups_of_system() {
  local all='' gids
  if grep -qsiE '^[[:space:]]*ignore_group_members[[:space:]]*=[[:space:]]*true' "$SSSD_CONF"; then all=1; fi
  of_this_node group | awk -F : '$3 < 1000 && $1 !~ /^(users|staff|uucp|dialout)$/' >"$work/system"
  mapfile -t gids < <(cut -d: -f3 "$work/system")
  { getent -s sss group "${gids[@]}" || true; } | awk -F : -v all="$all" '
    FILENAME != "-" { here[$3] = $1; next }
    $3 in here && (all || $4 != "") { print here[$3] " (gid " $3 ") and " $1 " (gid " $3 ")" }' "$work/system" -
}

at_most_five() { sort -u | awk 'NR <= 5' | paste -sd, | sed 's/,/, /g'; }

# NAME UID GID of each home whose account the configuration no longer has, and of each that Workbench may have made, where it made accounts
# before: files keep the ids. Who is the owner now, also of a home that someone has given to another.
homes_of_others() {
  { stat --format '%u %g %n' /efs/home/* || true; } | awk -v workbench="$(numbers)" -v first="$FIRST_PROVISIONED_ID" -v last="$LAST_PROVISIONED_ID" '
    FILENAME != "-" { left[$1] = $2; next }
    { name = substr($0, index($0, "/efs/home/") + 10) }
    name in left && left[name] == $1 || workbench == "workbench" && $1 >= first && $1 <= last && name !~ / / { print name, $1, $2 }' "$work/bundle/locked" -
}

# passwd|group LIST...: what the directory has by the ids in these lists, and is something else: NAME (uid UID) and OTHER (uid UID).
# Of `users` also what it has by the names.
in_directory() {
  local kind=$1 list keys files=()
  shift
  for list in "$@"; do if [ "$list" = homes ]; then files+=("$work/homes"); else files+=("$work/bundle/$list"); fi; done
  awk -v kind="$kind" '
    { name = $1; id = kind == "group" && FILENAME !~ /(groups|emptied)$/ ? $3 : $2; print name, id, kind == "passwd" && FILENAME ~ /users$/ ? "name" : "" }' "${files[@]}" >"$work/numbers"
  mapfile -t keys < <(awk '{ print $2 } $3 { print $1 }' "$work/numbers")
  [ "${#keys[@]}" -gt 0 ] || return 0
  { getent -s sss "$kind" "${keys[@]}" || true; } | awk -F : -v id="$([ "$kind" = passwd ] && echo uid || echo gid)" '
    function both(name, number) { print name " (" id " " number ") and " $1 " (" id " " $3 ")" }
    FILENAME != "-" { split($0, its, " "); owner[its[2]] = owner[its[2]] " " its[1]; if (its[3]) number[its[1]] = its[2]; next }
    $3 in owner && index(owner[$3] " ", " " $1 " ") == 0 { both(substr(owner[$3], 2), $3) }
    $1 in number && number[$1] != $3 { both($1, number[$1]) }' "$work/numbers" -
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
  local what=$1 file line text="$work/sssd"
  for file in "$SSSD_LOGS"/*.log; do
    [ ! -e "$file" ] || tail -c "+$((${sssd_log_starts[$file]:-0} + 1))" "$file"
  done | grep -E '^[^*]*\(0x00[1-4]0\)' | sed -E 's/^(\([^)]*\): )?//' | uniq >"$text" || true
  head -n 40 "$text" >&2 # what the function prints is its sentence
  if known_cause "$what" "$text" "$FOLDER/directory_causes.txt" sssd; then return; fi
  line=$(head -n 1 "$text" | cut -c 1-300)
  if [ -n "$line" ]; then
    printf '%s. It said: %s. Correct the secret of auth.sssd_conf, or the directory, and deploy again; %s has more' "$what" "$line" "$SSSD_LOGS"
  else
    printf '%s, and reports no error. Check auth.probe_account, and in the sssd.conf of auth.sssd_conf ldap_search_base and the filters. The account needs a uidNumber and a gidNumber, unless ldap_id_mapping is true' "$what"
  fi
}
