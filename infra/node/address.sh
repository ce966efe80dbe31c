# shellcheck shell=bash
# The address of the cluster, as this node gets to it.

# Asks for pages of the cluster's address through its load balancer, whatever the name resolves to: a line ADDRESS PATH CODE DETAIL for
# each, where CODE is 0 if there was no answer and DETAIL says why; else DETAIL is where a redirect leads. The first line has what the
# name resolves to. After a time-out an address is asked for nothing more: the other nodes, and the document, have their time, too.
ask_address() {
  local host address path answer code
  local -a words
  begin 'ask for the address of the cluster' >&2 # what this prints is the listing of the cluster
  read -r -a words <<<"$SSM_LoadBalancer"
  host=${words[0]}
  printf '\n=== address ===\n'
  printf '%s name 0 %s\n' "$host" "$({ getent ahostsv4 "$host" || true; } | cut -d' ' -f1 | sort -u | paste -sd,)"
  for address in "${words[@]:1}"; do
    for path in / /auth-sign-in /load-balancer/status /health-check /metrics //health-check /%68ealth-check /load-balancer%2fstatus; do
      code=0
      answer=$(curl -sS --max-time 5 -o /dev/null -w '%{http_code} %{redirect_url}' --resolve "$host:443:$address" "https://$host$path" 2>&1) || code=$?
      if [ "$code" = 0 ]; then
        printf '%s %s %s\n' "$address" "$path" "$answer"
      else
        printf '%s %s 0 %s\n' "$address" "$path" "$(complaint /dev/stdin <<<"$answer" | cut -c 1-200)"
        [ "$code" != 28 ] || break # of curl: a time-out
      fi
    done
  done
}
