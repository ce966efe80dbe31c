# shellcheck shell=bash
# The identity provider of the cluster, as this node gets to it.

# KEY: its value in rserver.conf, or nothing.
option() { sed -n "s/^$1=//p" "$RSERVER_CONF" | tail -n 1; }

# Prints a line of JSON about the identity provider that Workbench signs people in by, if there is one: what it says of itself, or what is
# wrong.
ask_identity_provider() {
  local method place answer
  if [ "$(option auth-openid)" = 1 ]; then
    method=oidc place=$(option auth-openid-issuer)
    place=${place%/}/.well-known/openid-configuration # OpenID Connect Discovery 1.0, section 4
  elif [ "$(option auth-saml)" = 1 ]; then
    method=saml place=$(option auth-saml-metadata-url)
    place=${place:-$(option auth-saml-metadata-path)}
  else
    return 0
  fi
  begin 'ask the identity provider'
  if answer=$("read_of_$method" "$place" 2>"$work/wrong"); then answer=${answer#'{'}; else answer="\"problem\":$(json "$(complaint "$work/wrong")")}"; fi
  printf '\n=== sign-in ===\n{"method":"%s","place":%s,%s\n' "$method" "$(json "${place:0:300}")" "$answer"
}

# PLACE: what the discovery document there says, whose keys can be read, too; or a line about what is wrong.
read_of_oidc() {
  local said keys
  fetch_of_provider "$1" "$work/discovery" 1000000 || return 1
  said=$(python3 "$FOLDER/discovery.py" discovery <"$work/discovery") || return 1
  keys=$(python3 "$FOLDER/discovery.py" keys <"$work/discovery") || return 1
  fetch_of_provider "$keys" "$work/keys" 1000000 2>"$work/wrong.keys" || { echo "of its keys, $keys: $(complaint "$work/wrong.keys")" >&2; return 1; }
  printf '%s' "$said"
}

# PLACE: what the metadata there says, from an address or a file; or a line about what is wrong.
read_of_saml() {
  if [[ $1 == https://* ]]; then
    fetch_of_provider "$1" "$work/metadata.xml" 2000000 || return 1
    python3 "$FOLDER/saml_metadata.py" <"$work/metadata.xml"
  else
    [ -r "$1" ] || { echo 'there is no such file' >&2; return 1; }
    python3 "$FOLDER/saml_metadata.py" <"$1"
  fi
}

# URL FILE MOST_BYTES: Workbench may follow no redirect, so none is followed. What the provider gives as an address is one, and no pattern.
fetch_of_provider() {
  local code
  code=$(curl -sS --globoff --proto =https --max-time 20 --max-filesize "$3" -o "$2" -w '%{http_code}' "$1") || return 1
  [ "$code" = 200 ] || { echo "it answers $code" >&2; return 1; }
}
