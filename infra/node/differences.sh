# shellcheck shell=bash
# What the configuration made on this node, and what someone has changed since.

# DATABASE KEY...: entries of this node's own files. A directory or an identity provider may have others of the same name.
of_this_node() { getent -s files "$@"; }

# NAME:UID:GID of the configured users as they are on this node, sorted.
users_here() {
  local names
  mapfile -t names < <(cut -d' ' -f1 "$STATE/users.list" 2>/dev/null)
  [ "${#names[@]}" -eq 0 ] || { of_this_node passwd "${names[@]}" || true; } | cut -d: -f1,3,4 | sort
}

# NAME:GID: and NAME:GID:MEMBER of the configured groups as they are on this node, sorted.
groups_here() {
  local names
  mapfile -t names < <(cut -d' ' -f1 "$STATE/groups.list" 2>/dev/null)
  [ "${#names[@]}" -eq 0 ] || { of_this_node group "${names[@]}" || true; } |
    awk -F: '{ print $1 ":" $3 ":"; count = split($4, members, ","); for (i = 1; i <= count; i++) print $1 ":" $3 ":" members[i] }' | sort
}

# LINES: the digest of a list, as far as the report has room for it.
digest() { { [ -z "$1" ] || printf '%s\n' "$1"; } | sha256sum | cut -c 1-32; }

# A line for each file, account and group that a configuration made, as it is now: its name, then words KEY=VALUE. The groups of an
# account are those that no configuration made.
applied_here() {
  local path files=() names groups
  while read -r path; do [ ! -f "$path" ] || files+=("$path"); done <"$STATE/files"
  [ "${#files[@]}" -eq 0 ] || { stat -c '%n mode=%04a owner=%U:%G' "${files[@]}" || true; sha256sum "${files[@]}" || true; } | awk '
    NF == 3 { is[$1] = $0 }
    NF == 2 && $2 in is { print is[$2], "content=" $1 }'
  mapfile -t groups < <(cat "$STATE/groups.list" "$STATE/emptied.list" 2>/dev/null | cut -d' ' -f1)
  [ "${#groups[@]}" -eq 0 ] || { of_this_node group "${groups[@]}" || true; } | awk -F: '{ print "group:" $1 " gid=" $3 " members=" $4 }'
  mapfile -t names < <(cat "$STATE/users.list" "$STATE/locked.list" 2>/dev/null | cut -d' ' -f1)
  [ "${#names[@]}" -gt 0 ] || return 0
  # People may choose any shell of /etc/shells (chsh). A blank in a value would begin another word.
  { printf 'made:%s\n' "${groups[@]}"; cat /etc/shells; of_this_node group; of_this_node passwd "${names[@]}" || true; of_this_node shadow "${names[@]}" || true; } | awk -F: '
    { gsub(" ", "_") }
    NF == 1 { login[$1] }
    NF == 2 { made[$2] }
    NF == 4 { exists[$3] }
    NF == 4 && !($1 in made) { count = split($4, members, ","); for (i = 1; i <= count; i++) groups[members[i]] = groups[members[i]] (groups[members[i]] ? "," : "") $1 }
    NF == 7 { names[++users] = $1; line[$1] = "uid=" $3 " gid=" $4 ($4 in exists ? "" : "(no-group)") " home=" $6 " shell=" ($7 in login ? "login" : $7) " groups=" groups[$1] }
    NF == 9 { line[$1] = line[$1] " password=" ($2 ~ /^![^!*]/ ? "locked" : $2 ~ /^[^!*]/ ? "set" : "none") " expires=" $8 }
    END { for (i = 1; i <= users; i++) print "user:" names[i], line[names[i]] }'
}

# A line for each file, account and group that is not as the configuration left it: what someone else has changed.
differences() {
  if [ ! -f "$STATE/applied" ]; then echo 'nothing is recorded of what a configuration has made'; return; fi
  applied_here | awk '
    NR == FNR { all[++count] = $1; words[$1] = NF; for (i = 2; i <= NF; i++) was[$1, i] = $i; next }
    { here[$1]; for (i = 2; i <= NF; i++) is[$1, i] = $i }
    END {
      for (n = 1; n <= count; n++) {
        if (!(all[n] in here)) { print all[n] ": missing"; continue }
        for (i = 2; i <= words[all[n]]; i++) {
          old = was[all[n], i]; new = is[all[n], i]
          if (old != new && old ~ /^content=/) print all[n] ": content"
          else if (old != new) print all[n] ": " new ", not " old
        }
      }
    }' "$STATE/applied" -
}
