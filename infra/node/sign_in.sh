# shellcheck shell=bash
# How people sign in: the secrets of the identity provider.

readonly CLIENT_SECRET_FILE=/etc/rstudio/openid-client-secret SCIM_TOKEN_FILE=/etc/rstudio/scim-token

# SOURCE: has the client's id, beside which the secret belongs. What the readers of such files take for a comment, or trim, would be
# another secret to the identity provider.
stage_client_secret() {
  local secret
  secret=$(read_secret "$AUTH_SECRET_ARN" "$AUTH_SECRET_VERSION" line)
  [[ $secret != *'#'* && $secret != ' '* && $secret != *' ' ]] || fail "The client secret in $AUTH_SECRET_ARN has a # or a space at an end, which Workbench would take away. Have your identity provider make another client secret, and put it there."
  printf '%s\nclient-secret=%s\n' "$(cat "$1")" "$secret" >"$work/stage$CLIENT_SECRET_FILE"
}
