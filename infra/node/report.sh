# shellcheck shell=bash
# The answer: one line of JSON about this node.

readonly MAXIMUM_REPORT=2400 # bytes

# To start a program takes a node longer than all that bash does by itself, so what this file asks often starts none.
json() {
  local LC_ALL=C text=$1 # byte by byte
  text=${text//[!$'\n\t' -~]/}
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  text=${text//$'\t'/ }
  printf '"%s"' "$text"
}

json_or_null() { if [ -n "$1" ]; then json "$1"; else printf null; fi; }

# NAME VALUE
fact() { printf ',"%s":' "$1"; json "$2"; }
fact_or_null() { printf ',"%s":' "$1"; json_or_null "$2"; }

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
  local error=$1 users_list health license services mounted=() path facts log='' report edited=() count=0 listed=() checked=false room probe administration
  room=$((MAXIMUM_REPORT - $(stat -c %s "$work/steps" 2>/dev/null || echo 0)))
  users_list=$(users_here)
  health=$(health)
  license=$(license_status)
  mapfile -t services < <(service_state "${SERVICES[@]}" "$AGENT")
  if [ -z "$error" ] && [ "$SSM_Mode" = report ]; then
    checked=true
    mapfile -t edited < <(differences | cut -c 1-100)
    count=${#edited[@]} edited=("${edited[@]:0:8}")
  fi
  for path in "${MOUNTS[@]}"; do if mountpoint -q "$path"; then mounted+=("$path"); fi; done
  facts=$(
    printf '"mode":'; json "$SSM_Mode"
    fact instance "$(metadata instance-id)"
    fact ami "$(metadata ami-id)"
    fact host "$(hostname)"
    fact ipv4 "$(metadata local-ipv4)"
    fact_or_null workbench "$(installed_workbench)"
    fact_or_null configuration "$(contents "$STATE/configuration")"
    fact_or_null rstudio_server "$(getent passwd rstudio-server | cut -d: -f3,4)"
    printf ',"users":{"count":%d' "$(grep -c . <<<"$users_list")"
    fact digest "$(digest "$users_list")"
    printf '}'
    fact groups "$(digest "$(groups_here)")"
    printf ',"clock_offset":%s' "$(clock_offset)"
    printf ',"services":{"rstudio-server":'; json "${services[0]-}"
    fact rstudio-launcher "${services[1]-}"
    printf '}'
    fact agent "${services[2]-}"
    fact health "$health"
    fact license "$license"
    printf ',"license_terms":%s' "$(if [ -n "$error" ] || [ "$license" = missing ]; then echo null; else license_terms; fi)"
    fact metadata "$(metadata_for_users)"
    fact helper "$(helper_for_users)"
    if [ -z "$error" ]; then printf ',"ides":'; ides; printf ',"gpus":'; gpus; printf ',"limits":%s' "$(limits)"; fi
    printf ',"mounts":'; json_list "${mounted[@]}"
    printf ',"changed":'; json_list "${changed[@]:0:10}"
    printf ',"restarted":%s' "$restarted"
    if [ -n "$provider_answer" ]; then printf ',"sign_in":%s' "$provider_answer"; fi
    if [ -z "$error" ] && administration=$(audit_status) && [ -n "$administration" ]; then fact audit "$administration"; fi
    if [ -z "$error" ] && administration=$(metrics_status) && [ -n "$administration" ]; then fact metrics "$administration"; fi
    if [ -z "$error" ] && probe=$(probe_account) && [ -n "$probe" ]; then fact probe "$probe"; fi
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
