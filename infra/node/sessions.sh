# shellcheck shell=bash
# Sessions that a verification opens and ends again.

readonly TOKEN_NAME=benchwright-verification

# Opens sessions for an account ($SSM_Sessions has the number and the account), prints on which nodes they ran, and ends them. The token is
# in the environment of two programs, never an argument, and is always revoked.
open_sessions() {
  local count account output="$work/sessions" said="$work/sessions.said" problem
  read -r count account <<<"$SSM_Sessions"
  begin 'wait for other verifications on this node'
  exec 8>"$RUN/sessions.lock"
  flock -w 60 8 || fail 'Another verification opens sessions on this node; start this one again when it has ended.'
  begin "make a token for $account"
  [ "$(server_option workbench-api-enabled "$RSERVER_CONF")" = 1 ] || fail 'Workbench has no API on this node (workbench-api-enabled). Start a deployment with {}, which configures the node again.'
  getent passwd "$account" >/dev/null || fail "This node has no account $account. Start a deployment with {}, or give another one as acceptance.account."
  WORKBENCH_API_TOKEN=$(tr -d '\n-' </proc/sys/kernel/random/uuid)
  export WORKBENCH_API_TOKEN
  rstudio-server revoke-api-token "$TOKEN_NAME" </dev/null >/dev/null 2>&1 || true # of a run that the agent has ended
  if ! rstudio-server generate-api-token user "$TOKEN_NAME" "$account" --token-env WORKBENCH_API_TOKEN </dev/null >"$said" 2>&1; then
    problem=$(tail -n 1 "$said" | cut -c 1-300)
    problem=${problem//"$WORKBENCH_API_TOKEN"/...}
    fail "Workbench makes no token for $account: $problem. The Workbench API needs a licence of the tier Enhanced or Advanced."
  fi
  has_token=true
  begin "open $count sessions for $account, and end them"
  if ! timeout --kill-after=90 300 python3 "$FOLDER/sessions.py" "$count" "$account" </dev/null >"$output" 2>"$said"; then
    fail "$(tail -n 1 "$said" | cut -c 1-500)."
  fi
  cat "$output" >&3
}

forget_token() {
  if $has_token; then rstudio-server revoke-api-token "$TOKEN_NAME" </dev/null || echo "The token $TOKEN_NAME could not be revoked."; fi
}
