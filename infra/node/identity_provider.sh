# shellcheck shell=bash
# The identity provider of the cluster, as this node gets to it.

# KEY: its value in rserver.conf, or nothing.
option() { sed -n "s/^$1=//p" "$RSERVER_CONF" | tail -n 1; }

# Prints a line of JSON about the identity provider that Workbench signs people in by, if there is one.
ask_identity_provider() {
  local answer place
  [ "$(option auth-saml)" = 1 ] || return 0
  begin 'ask the identity provider'
  place=$(option auth-saml-metadata-url)
  place=${place:-$(option auth-saml-metadata-path)}
  if answer=$(read_saml_metadata "$place" 2>"$work/wrong"); then answer=${answer#'{'}; else answer="\"problem\":$(json "$(tail -n 1 "$work/wrong" | cut -c 1-300)")}"; fi
  printf '\n=== sign-in ===\n{"method":"saml","place":%s,%s\n' "$(json "${place:0:300}")" "$answer"
}

# PLACE: what the metadata there says, from an address or a file; or a line about what is wrong. Workbench may follow no redirect, so none
# is followed.
read_saml_metadata() {
  local code
  if [[ $1 == https://* ]]; then
    code=$(curl -sS --max-time 20 --max-filesize 20000000 -o "$work/metadata.xml" -w '%{http_code}' "$1") || return 1
    [ "$code" = 200 ] || { echo "it answers $code" >&2; return 1; }
    python3 "$FOLDER/saml_metadata.py" <"$work/metadata.xml"
  else
    [ -r "$1" ] || { echo 'there is no such file' >&2; return 1; }
    python3 "$FOLDER/saml_metadata.py" <"$1"
  fi
}
