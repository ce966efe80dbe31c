# shellcheck shell=bash
# Values of secrets are only in pipes, in memory, and in the file that needs them.

# ARN VERSION: the text of a secret as the CLI prints it.
ask_secret() { aws secretsmanager get-secret-value --secret-id "$1" --version-id "$2" --query SecretString --output json; }

# ARN VERSION: the file of an answer that was fetched before. A secret's name may be longer than a file's.
answer_file() { echo "$work/answers/$(sha256sum <<<"$1 $2" | cut -c 1-64)"; }

# ARN VERSION [line [KEY]]: the text of a secret, every line of it; its one line without the end of it; KEY of its JSON.
read_secret() {
  { cat "$(answer_file "$1" "$2")" 2>/dev/null || ask_secret "$1" "$2"; } | python3 -IS "$FOLDER/secret_text.py" "${@:3}" ||
    fail "The node cannot read version $2 of the secret $1: $(last_log_line). Check that it exists, the node role may read it, and it is ${4:+JSON with a $4 of }${3:+one line of }printable text."
}
