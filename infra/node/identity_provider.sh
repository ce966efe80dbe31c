# shellcheck shell=bash
# The identity provider of the cluster, as this node gets to it.

# KEY FILE: its value in an rserver.conf, or nothing.
option() { sed -n "s/^$1=//p" "$2" | tail -n 1; }

# FILE: the method by which an rserver.conf has an identity provider sign people in, and where that describes itself; nothing where there is none.
provider_of() {
  local place
  if [ "$(option auth-openid "$1")" = 1 ]; then
    place=$(option auth-openid-issuer "$1")
    echo "oidc ${place%/}/.well-known/openid-configuration" # OpenID Connect Discovery 1.0, section 4
  elif [ "$(option auth-saml "$1")" = 1 ]; then
    place=$(option auth-saml-metadata-url "$1")
    echo "saml ${place:-$(option auth-saml-metadata-path "$1")}"
  fi
}

# FILE: prints a line of JSON about the identity provider of an rserver.conf, if there is one: what it says of itself, or what is wrong.
ask_identity_provider() {
  local method place answer reader=read_discovery_document
  read -r method place < <(provider_of "$1") || return 0
  [ "$method" = oidc ] || reader=read_saml_metadata
  begin 'ask the identity provider' >&2
  if answer=$("$reader" "$place" 2>"$work/wrong"); then answer=${answer#'{'}; else answer="\"problem\":$(json "$(complaint "$work/wrong")")}"; fi
  printf '\n=== sign-in ===\n{"method":"%s","place":%s,%s\n' "$method" "$(json "${place:0:300}")" "$answer"
}

# Before anything is changed, where an execution brings another identity provider than this node has: no one could sign in by one that nodes
# cannot read. A node that starts by itself asks no one, since it must also come while the provider is away.
check_identity_provider() {
  local staged="$work/stage$RSERVER_CONF" method place issuer answer
  read -r method place < <(provider_of "$staged") || return 0
  issuer=$(option auth-openid-issuer "$staged")
  if [ -z "$SSM_Configuration" ] || [[ $place != https://* ]]; then return; fi
  if [ "$method $place $issuer" = "$(provider_of "$RSERVER_CONF") $(option auth-openid-issuer "$RSERVER_CONF")" ]; then return; fi
  answer=$(ask_identity_provider "$staged" | tail -n 1)
  if [[ $answer != *'"problem":'* ]] && [[ $method = saml || $answer == *"\"issuer\": $(json "$issuer")"* ]]; then return; fi
  provider_answer=$answer
  fail "The identity provider does not describe itself at $place as this configuration needs it, so nothing was changed on this node."
}

# PLACE: what the discovery document there says, whose keys can be read, too; or a line about what is wrong.
read_discovery_document() {
  local said keys
  fetch_of_provider "$1" "$work/discovery" 1000000 || return 1
  said=$(python3 "$FOLDER/discovery.py" discovery <"$work/discovery") || return 1
  keys=$(python3 "$FOLDER/discovery.py" keys <"$work/discovery") || return 1
  fetch_of_provider "$keys" "$work/keys" 1000000 2>"$work/wrong.keys" || { echo "of its keys, $keys: $(complaint "$work/wrong.keys")" >&2; return 1; }
  printf '%s' "$said"
}

# PLACE: what the metadata there says, from an address or a file; or a line about what is wrong.
read_saml_metadata() {
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
