# shellcheck shell=bash
# The answer: one line of JSON about this node.

readonly MAXIMUM_REPORT=2400 # bytes

json() {
  local text
  text=$(printf '%s' "$1" | tr -cd '\n\t -~')
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  text=${text//$'\t'/ }
  printf '"%s"' "$text"
}

json_or_null() { if [ -n "$1" ]; then json "$1"; else printf null; fi; }

json_list() {
  local item separator=''
  printf '['
  for item in "$@"; do printf '%s' "$separator"; json "$item"; separator=','; done
  printf ']'
}

# TEXT LENGTH: cuts the middle of what is too long. The reason is at the beginning of a sentence, the remedy at its end.
shortened() {
  local half=$((($2 - 5) / 2))
  if [ "${#1}" -le "$2" ]; then printf '%s' "$1"; else printf '%s ... %s' "${1:0:half}" "${1: -half}"; fi
}

# ERROR: the whole report, one line. When it fails, the end of this run's log fills what room there is.
print_report() {
  local error=$1 users_list license mounted=() path facts log='' report edited=() count=0 listed=() checked=false room probe administration
  room=$((MAXIMUM_REPORT - $(stat -c %s "$work/steps" 2>/dev/null || echo 0)))
  users_list=$(users_here)
  license=$(license_status)
  if [ -z "$error" ] && [ "$SSM_Mode" = report ]; then
    checked=true
    mapfile -t edited < <(differences | cut -c 1-100)
    count=${#edited[@]} edited=("${edited[@]:0:8}")
  fi
  for path in "${MOUNTS[@]}"; do if mountpoint -q "$path"; then mounted+=("$path"); fi; done
  facts=$(
    printf '"mode":%s' "$(json "$SSM_Mode")"
    printf ',"instance":%s' "$(json "$(metadata instance-id)")"
    printf ',"ami":%s' "$(json "$(metadata ami-id)")"
    printf ',"host":%s' "$(json "$(hostname)")"
    printf ',"ipv4":%s' "$(json "$(metadata local-ipv4)")"
    printf ',"workbench":%s' "$(json_or_null "$(installed_workbench)")"
    printf ',"configuration":%s' "$(json_or_null "$(cat "$STATE/configuration" 2>/dev/null)")"
    printf ',"rstudio_server":%s' "$(json_or_null "$(getent passwd rstudio-server | cut -d: -f3,4)")"
    printf ',"users":{"count":%d,"digest":%s}' "$(grep -c . <<<"$users_list")" "$(json "$(digest "$users_list")")"
    printf ',"groups":%s' "$(json "$(digest "$(groups_here)")")"
    printf ',"clock_offset":%s' "$(clock_offset)"
    printf ',"services":{"rstudio-server":%s,"rstudio-launcher":%s}' "$(json "$(service_state rstudio-server)")" "$(json "$(service_state rstudio-launcher)")"
    printf ',"agent":%s' "$(json "$(service_state "$AGENT")")"
    printf ',"health":%s' "$(json "$(health)")"
    printf ',"license":%s' "$(json "$license")"
    printf ',"license_terms":%s' "$(if [ -n "$error" ] || [ "$license" = missing ]; then echo null; else license_terms; fi)"
    printf ',"metadata":%s' "$(json "$(metadata_for_users)")"
    printf ',"helper":%s' "$(json "$(helper_for_users)")"
    if [ -z "$error" ]; then printf ',"ides":%s,"gpus":%s,"limits":%s' "$(ides)" "$(gpus)" "$(limits)"; fi
    printf ',"mounts":%s' "$(json_list "${mounted[@]}")"
    printf ',"changed":%s' "$(json_list "${changed[@]:0:10}")"
    printf ',"restarted":%s' "$restarted"
    if [ -n "$provider_answer" ]; then printf ',"sign_in":%s' "$provider_answer"; fi
    if [ -z "$error" ] && administration=$(audit_status) && [ -n "$administration" ]; then printf ',"audit":%s' "$(json "$administration")"; fi
    if [ -z "$error" ] && administration=$(metrics_status) && [ -n "$administration" ]; then printf ',"metrics":%s' "$(json "$administration")"; fi
    if [ -z "$error" ] && probe=$(probe_account) && [ -n "$probe" ]; then printf ',"probe":%s' "$(json "$probe")"; fi
  )
  [ -z "$error" ] || log=$(tail -c "+$((log_start + 1))" "$own_log" | tail -n 40 | tail -c 1500)
  while :; do
    listed=("${edited[@]}")
    ((count <= ${#edited[@]})) || listed+=("and $((count - ${#edited[@]})) more")
    report="{$facts,\"differences\":$(if $checked; then json_list "${listed[@]}"; else echo null; fi)"
    report+=",\"error\":$(json_or_null "$error"),\"log\":$(json_or_null "$log")}"
    ((${#report} >= room && ${#log} + ${#error} + 100 * ${#edited[@]} > 100)) || break
    if [ -n "$log" ]; then log=${log:100}; elif [ -n "$error" ]; then error=$(shortened "$error" $((${#error} - 50))); else unset 'edited[-1]'; fi
  done
  printf '%s\n' "$report"
}
