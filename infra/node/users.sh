# shellcheck shell=bash
# The accounts of people, their homes, their passwords and their groups.

# What a failed run or a person made on a node is not on its replacement.
readonly REPLACE='comes with the image, remove it there; otherwise replace each node that has it. Then deploy again.'

# As models.py says of the names of accounts and groups; a name of digits alone would be an id.
readonly ACCOUNT_NAME='^[a-z0-9_][a-z0-9._-]{0,31}$'

is_name() { [[ $1 =~ $ACCOUNT_NAME && ! $1 =~ ^[0-9]+$ ]]; }

# ID: whether the input accepts it: no system account has it, and it is in no range of systemd or Linux (models.py, OWNED_IDS).
is_free_id() {
  (($1 >= 2000 && $1 <= 2147483646)) || return 1
  ! ((($1 >= 60001 && $1 <= 60705) || ($1 >= 61184 && $1 <= 65519) || $1 == 65534 || $1 == 65535 ||
    ($1 >= 524288 && $1 <= 1879048191) || ($1 >= 2147352576 && $1 <= 2147418111)))
}

# Workbench gives these ids to people and groups that it makes (models.py).
readonly FIRST_PROVISIONED_ID='200000'
readonly LAST_PROVISIONED_ID='524287'

# NAME KIND ID: the remedy to give this id in the input, if the input accepts it. An id that a verified deployment used cannot change.
or_by_input() { if is_free_id "${3:-0}"; then echo " Until a deployment with $1 is verified, the input can also give $1 $2 $3."; fi; }

# passwd|group: the names in a file of this node; Workbench and directories make others.
names_of_node() { cut -d: -f1 "/etc/$1"; }

# passwd|group NAME
is_of_node() { grep -qxF -- "$2" <<<"$(names_of_node "$1")"; }

# COMMAND: runs what makes an account or a group, which refuses a name that a directory has: the program sees this node's own alone.
among_own() {
  if [ ! -e "$SSSD_CONF" ]; then "$@"; return; fi
  printf '%s: files\n' passwd group shadow gshadow >"$work/nsswitch.conf"
  # shellcheck disable=SC2016 # the shell that unshare starts expands it
  unshare --mount -- bash -c 'mount --bind "$0" /etc/nsswitch.conf && exec "$@"' "$work/nsswitch.conf" "$@"
}

# passwd|group KEY: who has it, also a directory; not one that the configuration no longer has, which answers until it is forgotten.
known_here() { if [ -e "$STATE/directory" ] && [ -z "$PROBE_ACCOUNT" ]; then of_this_node "$@"; else getent "$@"; fi; }

# NAME UID GID
ensure_account() {
  local name=$1 uid=$2 gid=$3 here holder
  here=$(known_here passwd "$name" | cut -d: -f3) || true
  if [ -n "$here" ]; then
    is_of_node passwd "$name" || fail "User $name has an account of Workbench or of a directory on this node, with uid $here. As long as these make accounts, take $name out of users in the input. To keep the account as one of users, first deploy without auth, and then with uid $here for $name."
    [ "$here" = "$uid" ] || fail "User $name has uid $here on this node, but uid $uid in the configuration. If this account $REPLACE$(or_by_input "$name" uid "$here")"
  else
    holder=$(known_here passwd "$uid" | cut -d: -f1) || true
    [ -z "$holder" ] || fail "Uid $uid of user $name belongs to $holder on this node. If $holder $REPLACE Until a deployment with $name is verified, the input can also give $name another uid."
    holder=$(known_here group "$gid" | cut -d: -f1) || true
    [ "${holder:-$name}" = "$name" ] || fail "Gid $gid of user $name belongs to the group $holder on this node. If $holder $REPLACE Until a deployment with $name is verified, the input can also give $name another gid."
  fi
  if ! known_here group "$gid" >/dev/null; then
    among_own groupadd --gid "$gid" "$name" || fail "Group $name cannot be made with gid $gid: $(last_log_line). If this group $REPLACE$(or_by_input "$name" gid "$(known_here group "$name" | cut -d: -f3)")"
  fi
  if [ -n "$here" ]; then restore_account "$name" "$gid"; return; fi
  rm -f "$STATE/users/$name" # the password of an account that is gone
  # Without subordinate ids: see remove_subordinate_ids.
  among_own useradd --badname -K SUB_UID_COUNT=0 -K SUB_GID_COUNT=0 --uid "$uid" --gid "$gid" --home-dir "/efs/home/$name" --no-create-home --shell /bin/bash "$name" ||
    fail "User $name cannot be made with uid $uid and gid $gid: $(last_log_line). Deploy again; if that does not help, replace this node."
  echo "$name" >>"$work/made.users"
}

# NAME GID: undoes what someone changed of an account. Its groups become those that it had when it was first applied.
restore_account() {
  local name=$1 gid=$2 here_gid here_home here_shell groups _
  IFS=: read -r _ _ _ here_gid _ here_home here_shell < <(of_this_node passwd "$name")
  [ "$here_gid" = "$gid" ] || change_account "$name" --gid "$gid"
  [ "$here_home" = "/efs/home/$name" ] || change_account "$name" --home "/efs/home/$name"
  grep -qxF -- "$here_shell" /etc/shells || change_account "$name" --shell /bin/bash
  if groups=$(grep -F "user:$name: groups=" "$work/differences"); then change_account "$name" --groups "${groups##*, not groups=}"; fi
  unlock_account "$name"
}

# Subordinate ids of people, which earlier releases made: they begin at 100000, where the input may give ids to others. Who has such a
# range can act as each id of it (newuidmap).
remove_subordinate_ids() {
  local kind name first count
  for kind in uid gid; do
    [ -e "/etc/sub$kind" ] || continue
    while IFS=: read -r name first count; do
      change_account "$name" "--del-sub${kind}s" "$first-$((first + count - 1))"
    done < <(cat "$work/bundle/users" "$work/bundle/locked" | awk -F'[ :]' 'FILENAME == "-" { people[$1]; next } $1 in people' - "/etc/sub$kind")
  done
}

# NAME OPTION VALUE
change_account() {
  echo "account $*"
  usermod "$2" "$3" "$1" || fail "The account $1 cannot be given $2 $3 again: $(last_log_line). End the processes of $1 on this node, or replace the node, and deploy again."
}

# A home appears whole or not at all: the first node makes it under another name and renames it.
ensure_home() {
  local name=$1 uid=$2 gid=$3 home="/efs/home/$1" new owner other
  if [ ! -e "$home" ]; then
    if ((uid >= FIRST_PROVISIONED_ID && uid <= LAST_PROVISIONED_ID)); then # Workbench may have given this uid
      other=$(find "/efs/home" -mindepth 1 -maxdepth 1 -uid "$uid" -print -quit)
      [ -z "$other" ] || fail "Uid $uid of user $name owns $other, so $name would own the files of someone whom Workbench made. Give $name another uid in the input."
    fi
    new="/efs/home/.benchwright.$name.$HOSTNAME"
    rm -rf "$new"  # of a run that was killed here
    { mkdir -m 0700 "$new" && cp -a /etc/skel/. "$new" && chown -R "$uid:$gid" "$new" && chmod 0700 "$new"; } ||
      fail "The home of $name cannot be made: $(last_log_line). Give the node role elasticfilesystem:ClientRootAccess to the file system, and deploy again."
    mv -nT "$new" "$home" || true
    rm -rf "$new"
  fi
  owner=$(stat -c %u "$home")
  [ "$owner" = "$uid" ] || fail "The home $home belongs to uid $owner, but user $name has uid $uid. If it is $name's, run chown -R $uid:$gid $home on this node, otherwise move it away. Then deploy again.$(or_by_input "$name" uid "$owner")"
}

# USERS: asks for the passwords in this list that are to be set, several at once: a call of the CLI takes about half a second of a CPU.
# ensure_password asks again for one that fails, and reports why.
fetch_passwords() {
  local name arn version
  mkdir "$work/answers"
  export -f ask_secret
  # shellcheck disable=SC2016 # the shells that xargs starts expand it
  while read -r name _ _ arn version || [ -n "$name" ]; do
    [ "$arn" = - ] || [ "$(cat "$STATE/users/$name" 2>/dev/null)" = "$version" ] || printf '%s\n' "$arn" "$version" "$(answer_file "$arn" "$version")"
  done <"$1" |
    xargs -r -d '\n' -n 3 -P "$(($(nproc) * 2))" bash -c 'ask_secret "$0" "$1" >"$2" || rm -f "$2" || true'
}

# NAME SECRET_ARN VERSION: sets the password when the account is new or the secret has a new version.
ensure_password() {
  local name=$1 arn=$2 version=$3 password
  [ "$arn" != - ] || return 0
  [ "$(cat "$STATE/users/$name" 2>/dev/null)" != "$version" ] || return 0
  password=$(read_secret "$arn" "$version" line)
  # The longest that the sign-in page of Workbench can encrypt together with a name.
  [ "$(printf %s "$password" | wc -c)" -le 128 ] || fail "The password of user $name has more than 128 bytes. Put a shorter one into the secret $arn."
  printf '%s:%s\n' "$name" "$password" | chpasswd || fail "The password of user $name was refused: $(last_log_line). Put another one into the secret $arn."
  printf '%s' "$version" >"$STATE/users/$name"
}

unlock_account() {
  local name=$1 _ password expires
  IFS=: read -r _ password _ _ _ _ _ expires _ < <(of_this_node shadow "$name")
  if [ "$expires" = 1 ]; then usermod --expiredate '' "$name"; fi
  if [[ $password == '!'[!*]* ]]; then usermod --unlock "$name"; fi
}

# Whether others than this node say who is who. An identity provider still lets in whom the configuration no longer has, and where no one
# asks for a password, only an account that is not there is sure to be refused. Of two accounts with the same name, a node takes its own:
# one that is only locked would keep someone of a directory or of Workbench out.
makes_room() { [ -n "$PROBE_ACCOUNT" ] || grep -qxE '(auth-openid|auth-saml|auth-proxy|user-provisioning-enabled)=1' "$work/stage$RSERVER_CONF"; }

# Removes the accounts and groups that the configuration no longer has, before Workbench starts: its first visitor may have one of the names.
# Where the configuration then fails, put_back brings them back.
make_room() {
  local name _
  makes_room || return 0
  begin 'remove accounts that make room for others'
  if [ -e "$work/kept" ]; then
    cp -a --parents /etc/{passwd,group,shadow,gshadow} "$work/before"
    cp -a "$STATE/users" "$work/before.state"
    account_files=(etc/passwd etc/group etc/shadow etc/gshadow)
  fi
  while read -r name _ || [ -n "$name" ]; do remove_account "$name"; done <"$work/bundle/locked"
  while read -r name _ || [ -n "$name" ]; do remove_group "$name"; done <"$work/bundle/emptied"
}

# Where a directory or Workbench has people of its own with the previous files: removes the accounts and groups that this run made, which would
# keep those of the same name out.
remove_made() {
  local name
  if [ ! -e "$SSSD_CONF" ] && ! provisions "$RSERVER_CONF"; then return; fi
  touch "$work/made.users" "$work/made.groups"
  while read -r name; do remove_account "$name"; done <"$work/made.users"
  while read -r name; do remove_group "$name"; done <"$work/made.groups"
}

remove_account() {
  of_this_node passwd "$1" >/dev/null || return 0
  rm -f "$STATE/users/$1"
  userdel --force "$1" || fail "The account $1, which the configuration no longer has, cannot be removed: $(last_log_line). Replace this node and deploy again."
}

remove_group() {
  of_this_node group "$1" >/dev/null || return 0
  groupdel "$1" || fail "The group $1, which the configuration no longer has, cannot be removed: $(last_log_line). Replace this node and deploy again."
}

lock_account() {
  local name=$1 _ password expires
  of_this_node passwd "$name" >/dev/null || return 0
  IFS=: read -r _ password _ _ _ _ _ expires _ < <(of_this_node shadow "$name")
  if [[ $password != '!'* || $expires != 1 ]]; then usermod --lock --expiredate 1 "$name"; fi
}

# NAME GID MEMBERS: MEMBERS are divided by commas, - for none.
ensure_group() {
  local name=$1 gid=$2 members=${3#-} here holder
  here=$(known_here group "$name" | cut -d: -f3) || true
  if [ -z "$here" ]; then
    holder=$(known_here group "$gid" | cut -d: -f1) || true
    [ -z "$holder" ] || fail "Gid $gid of the group $name belongs to the group $holder on this node. If $holder $REPLACE$(or_other_gid "$name")"
    among_own groupadd --gid "$gid" "$name" || fail "The group $name cannot be made with gid $gid: $(last_log_line). Deploy again; if that does not help, replace this node."
    echo "$name" >>"$work/made.groups"
  elif ! is_of_node group "$name"; then
    fail "The group $name comes from Workbench or a directory on this node, with gid $here. As long as these make groups, take $name out of groups in the input; its members come from there, too."
  elif [ "$here" != "$gid" ]; then
    fail "The group $name has gid $here on this node, but gid $gid in the configuration. If this group $REPLACE$(or_by_input "$name" gid "$here")"
  fi
  set_members "$name" "$members"
}

or_other_gid() { echo " Until a deployment with $1 is verified, the input can also give $1 another gid."; }

# NAME MEMBERS: these and no others. Nothing happens where there is no such group.
set_members() {
  local line
  line=$(of_this_node group "$1") || return 0
  [ "${line##*:}" = "$2" ] || gpasswd --members "$2" "$1" || fail "The group $1 cannot be given its members: $(last_log_line). Deploy again; if that does not help, replace this node."
}

ensure_groups() {
  local name gid members _
  begin 'make the groups'
  while read -r name gid members || [ -n "$name" ]; do
    { is_name "$name" && [[ $gid =~ ^[0-9]+$ ]]; } || fail "The list of groups has the line '$name $gid', which is no group; deploy again."
    ensure_group "$name" "$gid" "$members"
  done <"$work/bundle/groups"
  while read -r name _ || [ -n "$name" ]; do makes_room || set_members "$name" ''; done <"$work/bundle/emptied"
  cp "$work/bundle/groups" "$STATE/groups.list"
  cp "$work/bundle/emptied" "$STATE/emptied.list"
}

# The names of the list whose account, home and password are as it says, so that nothing is to be done for them: with 2,000 users, a run
# would otherwise take a minute and more to change nothing. Someone else's changes are in $work/differences.
settled_users() {
  local names
  mapfile -t names < <(cut -d' ' -f1 "$work/bundle/users")
  [ "${#names[@]}" -gt 0 ] || return 0
  {
    sed 's/^/shell:/' /etc/shells
    sed -n 's/^user:\([^:]*\):.*/differs:\1/p' "$work/differences"
    names_of_node passwd | sed 's/^/local:/'
    of_this_node group | sed 's/^/group:/'
    of_this_node passwd "${names[@]}" | sed 's/^/passwd:/' || true
    of_this_node shadow "${names[@]}" | sed 's/^/shadow:/' || true
    stat --format 'home:%u:%n' /efs/home/* || true
    grep -sH '' "$STATE"/users/* | sed "s|^$STATE/users/|password:|" || true
    awk '{ print "user:" $1 ":" $2 ":" $3 ":" $5 }' "$work/bundle/users"
  } | awk -F: '
    $1 == "shell" { login[$2] }
    $1 == "differs" { changed[$2] }
    $1 == "group" { exists[$4] }
    $1 == "local" { local[$2] }
    $1 == "passwd" && $2 in local && $7 == "/efs/home/" $2 && $8 in login && $5 in exists { here[$2] = $4 ":" $5 }
    $1 == "shadow" && ($3 ~ /^![^*]/ || $9 == 1) { changed[$2] }
    $1 == "home" { owner[$3] = $2 }
    $1 == "password" { set[$2] = $3 }
    $1 == "user" && !($2 in changed) && here[$2] == $3 ":" $4 && owner["/efs/home/" $2] == $3 && ($5 == "-" || set[$2] == $5) { print $2 }'
}

ensure_users() {
  local name uid gid arn version part _
  begin 'make the users'
  differences >"$work/differences"
  remove_subordinate_ids
  # In parts, so that a run which ends before its time has set the passwords that it has fetched, and the next one goes on from there.
  settled_users | awk 'FILENAME == "-" { settled[$1]; next } !($1 in settled)' - "$work/bundle/users" | split -l 100 - "$work/users."
  for part in "$work"/users.*; do
    [ -e "$part" ] || continue
    fetch_passwords "$part"
    while read -r name uid gid arn version || [ -n "$name" ]; do
      { is_name "$name" && [[ $uid =~ ^[0-9]+$ && $gid =~ ^[0-9]+$ ]]; } || fail "The list of users has the line '$name $uid $gid', which is no user; deploy again."
      ensure_account "$name" "$uid" "$gid"
      ensure_home "$name" "$uid" "$gid"
      ensure_password "$name" "$arn" "$version"
    done <"$part"
    rm -rf "$work/answers"
  done
  while read -r name _ || [ -n "$name" ]; do makes_room || lock_account "$name"; done <"$work/bundle/locked"
  cp "$work/bundle/users" "$STATE/users.list"
  cp "$work/bundle/locked" "$STATE/locked.list"
}
