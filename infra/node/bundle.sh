# shellcheck shell=bash
# Fetches the bundle, which holds the configuration of the cluster, and reads its values.

# The configuration that an execution asks for. Where none does, a new node takes the current one. A node that was configured keeps its own: the
# association runs again on all nodes when its document changes, and only an execution changes nodes that serve, one before the others.
fetch_bundle() {
  local folder="s3://$BUCKET/clusters/$CLUSTER/configuration" key value
  begin 'fetch the configuration'
  configuration=$SSM_Configuration
  if [ -z "$configuration" ] && was_launched; then configuration=$(contents "$STATE/configuration"); fi
  [ -n "$configuration" ] || configuration=$(aws s3 cp "$folder/current" -) || fail "The node cannot read $folder/current: $(last_log_line). Check that the cluster is deployed and the node role may read the bucket."
  [[ $configuration =~ ^[0-9A-Za-z]{8,64}$ ]] || fail "$folder/current holds no configuration hash but '${configuration:0:80}'; deploy again, which writes it again."
  aws s3 cp --only-show-errors "$folder/$configuration.tar.gz" "$work/bundle.tar.gz" || fail "The node cannot read $folder/$configuration.tar.gz: $(last_log_line). Deploy again."
  mkdir "$work/bundle"
  tar -xzf "$work/bundle.tar.gz" -C "$work/bundle" --no-same-owner || fail "The bundle $configuration.tar.gz is damaged; deploy again."
  while IFS='=' read -r key value || [ -n "$key" ]; do
    case $key in
      CONFIGURATION | WORKBENCH_VERSION | DATABASE_SECRET_ARN | DATABASE_SECRET_VERSION | SECURE_COOKIE_KEY_SECRET_ARN | \
        SECURE_COOKIE_KEY_SECRET_VERSION | LICENSE_SECRET_ARN | LICENSE_SECRET_VERSION | LICENSE_SERVER | \
        AUTH_SECRET_ARN | AUTH_SECRET_VERSION | SCIM_SECRET_ARN | SCIM_SECRET_VERSION | PROBE_ACCOUNT) printf -v "$key" '%s' "$value" ;;
    esac
  done <"$work/bundle/env"
  [ "$CONFIGURATION" = "$configuration" ] || fail "The bundle $configuration.tar.gz says that it is configuration '$CONFIGURATION'; deploy again."
}
