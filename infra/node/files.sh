# shellcheck shell=bash
# The files of a node: first staged in memory, then compared, then placed.

readonly LICENSE_SERVER_FILE=$STATE/license-server ORIGINALS=$STATE/originals
readonly KEY_FILE=/etc/rstudio/secure-cookie-key DATABASE_CONF=/etc/rstudio/database.conf LOAD_BALANCER_CONF=/etc/rstudio/load-balancer

# MODE OWNER GROUP PATH: the staged file will be placed so.
staged() {
  printf '%04d %s %s %s\n' "$((10#$1))" "$2" "$3" "$4" >>"$work/staged"
}

# ARN VERSION PATH [line]: stages the file in place if this version of the secret made it and it is unchanged, otherwise the secret.
stage_secret() {
  local arn=$1 version=$2 path=$3 record
  record="$STATE/secrets/${path##*/}"
  [ -d "$work/stage${path%/*}" ] || install -d "$work/stage${path%/*}"
  if [ -f "$path" ] && [ "$(contents "$record")" = "$version $(sha256sum <"$path")" ]; then
    cp "$path" "$work/stage$path"
  else
    read_secret "$arn" "$version" "${@:4}" >"$work/stage$path"
  fi
  printf '%s' "$version $(sha256sum <"$work/stage$path")" >"$work/record.${path##*/}"
}

# PATH: where a secret holds a file of the input, its text in place of what the bundle has.
stage_other() {
  local path arn version
  [ -e "$work/bundle/secrets" ] || return 0
  while read -r path arn version _ || [ -n "$path" ]; do
    if [ "$path" = "$1" ]; then stage_secret "$arn" "$version" "$1"; fi
  done <"$work/bundle/secrets"
}

# The password is encrypted with a random IV, so what is in place is kept for as long as it decrypts to the current secret.
stage_database_conf() {
  local password encrypted current='' key="$work/stage$KEY_FILE"
  password=$(read_secret "$DATABASE_SECRET_ARN" "$DATABASE_SECRET_VERSION" line password)
  encrypted=$(sed -n 's/^password=//p' "$DATABASE_CONF" 2>/dev/null | tail -n 1) || true
  [ -z "$encrypted" ] || current=$(printf '%s\n' "$encrypted" | python3 "$FOLDER/workbench_secret.py" decrypt "$key" 2>/dev/null) || true
  if [ "$current" != "$password" ]; then
    encrypted=$(printf '%s\n' "$password" | python3 "$FOLDER/workbench_secret.py" encrypt "$key") ||
      fail "The database password cannot be encrypted: $(last_log_line). The secret $SECURE_COOKIE_KEY_SECRET_ARN must hold a key of at least 32 characters."
  fi
  printf '%s\npassword=%s\n' "$(cat "$1")" "$encrypted" >"$work/stage$DATABASE_CONF"
}

stage_files() {
  local mode owner group path source address
  begin 'prepare the files of this node'
  address=$(metadata local-ipv4) || fail "The instance metadata service does not give the private address: $(last_log_line). Check that the launch template enables the service, and deploy again."
  cp -rL "$work/bundle/files" "$work/stage"
  # The key's identity is a checksum of the raw file: no newline, on no node.
  stage_secret "$SECURE_COOKIE_KEY_SECRET_ARN" "$SECURE_COOKIE_KEY_SECRET_VERSION" "$KEY_FILE" line
  staged 600 root root "$KEY_FILE"
  if [ -n "$LICENSE_SECRET_ARN" ]; then
    stage_secret "$LICENSE_SECRET_ARN" "$LICENSE_SECRET_VERSION" "$LICENSE_FOLDER/benchwright.lic"
    if [[ $(<"$work/stage$LICENSE_FOLDER/benchwright.lic") =~ ^[[:space:]]*([A-Za-z0-9]{4}-){3,}[A-Za-z0-9]{4}[[:space:]]*$ ]]; then
      fail "The secret $LICENSE_SECRET_ARN holds a licence key, which each machine uses up for ever, and nodes come and go. Put a licence file into it, or give a licence server (input: license)."
    fi
    staged 600 rstudio-server rstudio-server "$LICENSE_FOLDER/benchwright.lic"
  fi
  if [ -n "$LICENSE_SERVER" ]; then
    install -d "$work/stage${LICENSE_SERVER_FILE%/*}"
    printf '%s\n' "$LICENSE_SERVER" >"$work/stage$LICENSE_SERVER_FILE"
    staged 600 root root "$LICENSE_SERVER_FILE"
  fi
  while read -r mode owner group path || [ -n "$mode" ]; do
    source="$work/bundle/files$path"
    [[ $path =~ ^/etc/[A-Za-z0-9._/-]+$ && $path != *..* && $mode =~ ^[0-7]{3,4}$ ]] || fail "The manifest of configuration $configuration has the line '$mode $owner $group $path', which is no file of /etc; deploy again."
    [ ! -d "$path" ] || fail "$path is a folder on this node, so no file of this name can be written. Take it out of files in the input and deploy again."
    [ -f "$source" ] || fail "Configuration $configuration lacks the content of $path; deploy again."
    case $path in
      "$DATABASE_CONF") stage_database_conf "$source" ;;
      "$CLIENT_SECRET_FILE") stage_client_secret "$source" ;;
      "$SAML_METADATA_FILE") stage_saml_metadata ;;
      "$SSSD_CONF") stage_secret "$AUTH_SECRET_ARN" "$AUTH_SECRET_VERSION" "$path" ;;
      "$SCIM_TOKEN_FILE") stage_secret "$SCIM_SECRET_ARN" "$SCIM_SECRET_VERSION" "$path" line ;;
      "$LOAD_BALANCER_CONF") sed "s/@PRIVATE_ADDRESS@/$address/g" "$source" >"$work/stage$path" ;;
      "$RSERVER_CONF") sed "s|^\(audit-data-path=$AUDIT/\)@PRIVATE_ADDRESS@\$|\1$address|" "$source" >"$work/stage$path" ;;
      *) stage_other "$path" ;;
    esac
    staged "$mode" "$owner" "$group" "$path"
  done <"$work/bundle/manifest"
  cut -d' ' -f4- "$work/staged" | sort >"$work/files"
}

# Fills `changed` with what differs in content, mode or owner, and with what only an earlier configuration had.
find_changes() {
  local mode owner group path digest paths
  local -A wanted here
  while read -r mode owner group path; do wanted[$path]="$mode $owner $group"; done <"$work/staged"
  paths=("${!wanted[@]}")
  while read -r mode owner group path; do here[$path]="$mode $owner $group"; done < <(stat -c '%04a %U %G %n' "${paths[@]}" 2>/dev/null)
  while read -r digest path; do here[$path]+=" $digest"; done < <(sha256sum "${paths[@]}" 2>/dev/null)
  while read -r digest path; do wanted[${path#"$work/stage"}]+=" $digest"; done < <(sha256sum "${paths[@]/#/"$work/stage"}")
  while read -r mode owner group path; do
    if [ "${here[$path]-}" != "${wanted[$path]}" ]; then changed+=("${path#/}"); fi
  done <"$work/staged"
  touch "$STATE/files"
  while read -r path; do
    if [ -z "${wanted[$path]-}" ]; then changed+=("${path#/}"); fi
  done <"$STATE/files"
}

# Until Workbench runs with them, `files` names those of before, too: after a run that was killed, the next one removes what it placed.
place_files() {
  local mode owner group path temporary record
  local -A wanted
  begin 'place the files'
  keep_originals
  sort -u "$STATE/files" "$work/files" >"$STATE/files.new"
  mv -fT "$STATE/files.new" "$STATE/files"
  grep -E '^reload' <<<"${effects// /$'\n'}" >"$STATE/effects" || true
  while read -r path; do wanted[$path]=1; done <"$work/files"
  while read -r path; do
    if [ -n "${wanted[$path]-}" ]; then continue; fi
    if [ -e "$ORIGINALS$path" ]; then place_copy "$ORIGINALS$path" "$path"; else rm -f "$path"; fi
  done <"$STATE/files"
  while read -r mode owner group path; do
    [ -d "${path%/*}" ] || install -d -m 0755 "${path%/*}"
    for temporary in "${path%/*}"/.benchwright.??????; do [ ! -e "$temporary" ] || rm -f "$temporary"; done # of a run that was killed here: it may hold a secret
    temporary=$(mktemp "${path%/*}/.benchwright.XXXXXX")
    install -m "$mode" -o "$owner" -g "$group" "$work/stage$path" "$temporary"
    mv -fT "$temporary" "$path"
  done < <(placeable)
  systemctl daemon-reload
  for record in "$work"/record.*; do cp "$record" "$STATE/secrets/${record##*/record.}"; done
}

# What a configuration replaces for the first time is a file of the image, and comes back when the input has none of this name any more.
keep_originals() {
  local path
  while read -r path; do
    if [ -f "$path" ] && [ ! -e "$ORIGINALS$path" ] && ! grep -qxF -- "$path" "$STATE/files"; then keep_copy "$path" "$ORIGINALS"; fi
  done <"$work/files"
}

# PATH FOLDER: a copy below a folder, with owner and mode. The option --parents of cp looks for absolute paths below the working directory.
keep_copy() {
  install -d -m 0700 "$2${1%/*}"
  cp -a "$1" "$2$1"
}

# SOURCE PATH: places a copy with its owner and mode.
place_copy() {
  local temporary
  temporary=$(mktemp "${2%/*}/.benchwright.XXXXXX")
  cp -a "$1" "$temporary"
  mv -fT "$temporary" "$2"
}

# The staged lines of what is in `changed`.
placeable() {
  local mode owner group path
  local -A differs
  for path in "${changed[@]}"; do differs[/$path]=1; done
  while read -r mode owner group path; do
    if [ -n "${differs[$path]-}" ]; then echo "$mode $owner $group $path"; fi
  done <"$work/staged"
}

# On a node that works: keeps what is about to be replaced, so that put_back can restore it.
keep_files() {
  local path
  mkdir "$work/before" "$work/before.state"
  for path in "${changed[@]}"; do
    if [ -e "/$path" ]; then keep_copy "/$path" "$work/before"; fi
  done
  cp -a "$STATE/files" "$STATE/secrets" "$work/before.state"
  for path in directory probe; do if [ -e "$STATE/$path" ]; then cp -a "$STATE/$path" "$work/before.state"; fi; done
  touch "$work/kept"
}

# After a failure: restores what worked before. Sets `restored` to a sentence about that.
put_back() {
  local path
  begin 'put the files back'
  if needs restart; then
    restarted=true
    (stop_workbench)
  fi
  server_log_start=$(stat -c %s "$SERVER_LOG" 2>/dev/null || echo 0)
  for path in "${changed[@]}" "${account_files[@]}"; do
    if [ ! -e "$work/before/$path" ]; then rm -f "/$path"; continue; fi
    place_copy "$work/before/$path" "/$path"
  done
  systemctl daemon-reload
  if ! needs restart; then
    cp -a "$work/before.state/." "$STATE"
    if (reload_workbench); then
      rm -f "$STATE/effects"
      restored=' The previous files are back, and Workbench runs with them.'
    else
      restored=" The previous files are back, but Workbench does not read them again: $(cut -c 1-110 "$work/problem")"
    fi
    return
  fi
  PROBE_ACCOUNT=$(cat "$work/before.state/probe" 2>/dev/null) || true
  # sssd that has run with other files starts again with the previous ones.
  if [ -e "$STATE/directory" ] && ! cmp -s "$STATE/directory" "$work/before.state/directory"; then rm -f "$work/before.state/directory"; fi
  cp -a "$work/before.state/." "$STATE"
  (remove_made) || true
  (ensure_directory) || true
  [ -e "$SSSD_CONF" ] || forget_directory
  if [ -n "$PROBE_ACCOUNT" ]; then printf '%s' "$PROBE_ACCOUNT" >"$STATE/probe"; fi
  (set_license_server) || true
  if (start_workbench && reload_launcher); then
    rm -f "$STATE/effects"
    touch "$STATE/verified"
    restored=' The previous files are back, and Workbench runs with them.'
  else
    restored=" The previous files are back, but Workbench does not start with them: $(cut -c 1-110 "$work/problem")"
  fi
}
