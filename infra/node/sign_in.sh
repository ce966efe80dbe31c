# shellcheck shell=bash
# How people sign in: secrets, and the accounts that Workbench makes.

readonly CLIENT_SECRET_FILE=/etc/rstudio/openid-client-secret SCIM_TOKEN_FILE=/etc/rstudio/scim-token SAML_METADATA_FILE=/etc/rstudio/saml-metadata.xml
readonly NSS_SWITCH=/etc/nsswitch.conf NSS_MODULE=/usr/lib/x86_64-linux-gnu/libnss_pwb.so.2
readonly NSS_OF_WORKBENCH=/usr/lib/rstudio-server/bin/libnss_pwb.so

# SOURCE: has the client's id, beside which the secret belongs. What the readers of such files take for a comment, or trim, would be
# another secret to the identity provider.
stage_client_secret() {
  local secret
  secret=$(read_secret "$AUTH_SECRET_ARN" "$AUTH_SECRET_VERSION" line)
  [[ $secret != *'#'* && $secret != ' '* && $secret != *' ' ]] || fail "The client secret in $AUTH_SECRET_ARN has a # or a space at an end, which Workbench would take away. Have your identity provider make another client secret, and put it there."
  [[ $secret != '{'*'}' ]] || fail "The secret $AUTH_SECRET_ARN holds JSON, as the key/value pairs of the console are; put the client secret alone into it, as plain text."
  printf '%s\nclient-secret=%s\n' "$(cat "$1")" "$secret" >"$work/stage$CLIENT_SECRET_FILE"
}

# Before anything is changed: with a file that is no metadata, Workbench would let no one in. What is past is for a verification to report: a
# node that is replaced at night must come back.
stage_saml_metadata() {
  local wrong
  stage_secret "$AUTH_SECRET_ARN" "$AUTH_SECRET_VERSION" "$SAML_METADATA_FILE"
  wrong=$(python3 "$FOLDER/saml_metadata.py" also-past <"$work/stage$SAML_METADATA_FILE" 2>&1 >/dev/null) ||
    fail "The secret $AUTH_SECRET_ARN (input: auth.metadata) holds no metadata of a SAML identity provider: $wrong. Put into it what your identity provider publishes as its metadata, the whole XML, and deploy again."
}

# FILE: whether Workbench makes accounts by an rserver.conf.
provisions() { grep -qsx 'user-provisioning-enabled=1' "$1"; }

# Before Workbench gives uids: it knows those that it gave, not those of a directory, whose homes would be those of others. Homes that it made
# before the directory are left out.
check_provisioning() {
  local homes
  { provisions "$work/stage$RSERVER_CONF" && [ "$(numbers)" = directory ]; } || return 0
  begin 'look for homes whose uids Workbench may give to others'
  homes=$(find /efs/home -mindepth 1 -maxdepth 1 -uid "+$((FIRST_PROVISIONED_ID - 1))" ! -uid "+$LAST_PROVISIONED_ID" -printf '%U %f\n' |
    { grep -vxF -f <(cat "$NUMBERS.workbench" 2>/dev/null) || true; } |
    sed -E 's|^([0-9]+) (.*)$|/efs/home/\2 (uid \1)|' | at_most_five)
  [ -z "$homes" ] || fail "Homes of people of the directory have uids from $FIRST_PROVISIONED_ID to $LAST_PROVISIONED_ID, which Workbench gives to others, who would own them: $homes. Give each a uid outside of these (chown -R on a node) or move it away, and deploy again; or take auth.provisioning back in the input."
}

# Programs find the accounts that Workbench makes by a module of the name service. Packages of newer releases set it up, those of older ones
# only bring it. Where it is not asked for, it is left: without Workbench's answer it finds no one.
ensure_name_service() {
  local kind switch
  provisions "$work/stage$RSERVER_CONF" || return 0
  begin 'let programs find the accounts that Workbench makes'
  if [ ! -e "$NSS_MODULE" ]; then
    [ -e "$NSS_OF_WORKBENCH" ] || fail "Workbench $WORKBENCH_VERSION on this node brings no module for the accounts that it makes: $NSS_OF_WORKBENCH is missing. Use an image with a version of Workbench that has it, or take auth.provisioning back in the input."
    ln -sfT "$NSS_OF_WORKBENCH" "$NSS_MODULE"
  fi
  switch=$(mktemp "$NSS_SWITCH.XXXXXX")
  cat "$NSS_SWITCH" >"$switch"
  for kind in passwd group shadow; do
    if ! grep -qE "^$kind:" "$switch"; then
      echo "$kind: files pwb" >>"$switch"
    elif ! grep -qE "^$kind:.*\<pwb\>" "$switch"; then
      # Before sss, as Posit has it; else last.
      sed -i -E "/^$kind:/ { s/[[:space:]]+sss\>/ pwb&/; t; s/[[:space:]]*(#.*)?$/ pwb \1/; s/ $// }" "$switch"
    fi
  done
  if cmp -s "$switch" "$NSS_SWITCH"; then rm "$switch"; return; fi
  chmod 0644 "$switch"
  mv -fT "$switch" "$NSS_SWITCH"
}
