# shellcheck shell=bash
# What a run logs: its steps, its failure, and why Workbench failed.

note_logs() { # where in the logs this run begins
  log_start=$(stat -c %s "$own_log")
  server_log_start=$(stat -c %s "$SERVER_LOG" 2>/dev/null || echo 0)
}

# Also to stderr at once: when the agent ends the script, this is all that is known of the run.
begin() { step=$1; echo "--- $1"; echo "--- $1" >>"$work/steps"; echo "--- $1" >&4; }

# Ends the run with one sentence: what is wrong, with the value, and what to do. Works in subshells too.
fail() { printf '%s' "$1" >"$work/problem"; exit 1; }

# FILE: its text, or nothing where there is none.
contents() { [ ! -e "$1" ] || printf '%s' "$(<"$1")"; }

last_log_line() { tail -n 1 "$own_log" | cut -c 1-300; }

# FILE: the line in which curl says why it failed, which may be followed by advice; else the last line.
complaint() { awk '{ last = $0 } /^curl: \(/ { exit } END { print last }' "$1" | cut -c 1-300; }

new_server_log() { tail -c "+$((server_log_start + 1))" "$SERVER_LOG" 2>/dev/null || true; }

# WHAT TEXT CAUSES PROGRAM: the sentence of the first cause whose pattern a line of the file TEXT has; fails where there is none. Each line
# of the file CAUSES has a pattern of what PROGRAM prints, then what that means and what to do.
known_cause() {
  local entry line
  while IFS= read -r entry; do
    [ -n "$entry" ] || continue
    line=$(grep -iE -m 1 -- "${entry%% => *}" "$2" | cut -c 1-300) || continue
    printf '%s: %s. %s said: %s' "$1" "${entry#* => }" "$4" "$line"
    return
  done <"$3"
  return 1
}

# WHAT FILE: one sentence about why WHAT failed, from the text of FILE and the new lines of the server's log.
explain() {
  local line text="$work/explain"
  { cat "$2"; new_server_log; } >"$text"
  if known_cause "$1" "$text" "$FOLDER/causes.txt" Workbench; then return; fi
  line=$(grep -vE '^\s*$| INFO ' "$text" | tail -n 1 | cut -c 1-300) || line='nothing'
  printf '%s. The last line was: %s. Read %s and %s on the node' "$1" "$line" "$LOG" "$SERVER_LOG"
}
