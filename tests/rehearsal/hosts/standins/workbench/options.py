"""The options that rserver.conf may have: one that is not here keeps the server from starting, as in life
(rstudio#9709).

From the administration guide's reference of rserver.conf (docs.posit.co/ide/server-pro/rstudio_server_configuration),
by prefix.
"""

NAMES = {
    "server": """
        working-dir user daemonize pid-file set-umask secure-cookie-key-file data-dir add-header data-dir-mode
        app-armor-enabled app-armor-profile health-check-enabled health-check-delay access-log project-sharing
        project-sharing-root-dir shared-storage-path user-home-page multiple-sessions license-type product-check
        health-check-allowed-origins env-var server-name metrics-enabled health-check-log
    """,
    "www": """
        address port port-filter socket local-path symbol-maps-path use-emulated-stack thread-pool-size proxy-localhost
        verify-user-agent same-site frame-origin enable-origin-check allow-origin root-path url-path-prefix
        certificate ssl-cert-verify keepalive http2
    """,
    "rsession": """
        which-r path ldpath-path ld-library-path config-file proxy-max-wait-secs memory-limit-mb stack-limit-mb
        process-limit no-profile exec-command diagnostics-enabled
    """,
    "auth": """
        none validate-users encrypt-password login-page-html rdp-login-page-html required-user-group minimum-user-id
        timeout-minutes stay-signed-in stay-signed-in-days revocation-list-dir sign-in-throttle-seconds
        cookies-force-secure pam-helper-path pam-require-password-prompt pam-sessions-enabled pam-sessions-profile
        pam-sessions-use-password pam-sessions-close pam-sessions-user-permitted
        password-timeout-minutes openid openid-issuer openid-base-uri
        openid-scopes openid-username-claim proxy proxy-sign-in-url proxy-sign-out-url proxy-user-header
        proxy-user-header-rewrite proxy-require-hmac saml saml-metadata-url saml-metadata-path saml-attr-username
        google-accounts google-accounts-redirect-base-uri sign-in-page-html
    """,
    "launcher": """
        address port use-ssl verify-ssl-certs default-cluster sessions-enabled sessions-callback-address
        sessions-callback-verify-ssl-certs sessions-clusters sessions-container-image sessions-container-images
        sessions-container-run-as-group-ids sessions-connection-timeout-seconds sessions-create-container-user
        sessions-forward-container-groups sessions-create-container-home-dir sessions-container-forward-groups
        sessions-proxy-timeout-seconds sessions-forward-environment sessions-init-script-path sessions-forward-groups
        sessions-auto-update sessions-init-container-image-name sessions-init-container-image-tag adhoc-clusters
        load-balancing-enabled shutdown-sessions-on-exit
    """,
    "admin": """
        enabled group superuser-group monitor-log-use-server-time-zone monitor-log-format
    """,
    "audit": """
        r-console r-console-format r-console-compress r-console-user-limit-mb r-console-user-limit-months r-sessions
        r-sessions-format r-sessions-limit-mb r-sessions-limit-months data-path database-config-file
    """,
    "monitor": """
        interval-seconds graphite-enabled graphite-host graphite-port graphite-client-id rrd-enabled rrd-data-path
        stderr-enabled log-enabled
    """,
    "user": """
        provisioning-enabled provisioning-register-on-first-login provisioning-start-uid homedir-path
    """,
    "metrics": "enabled port path",
    "ssl": "enabled certificate certificate-key protocols ciphers hsts-enabled hsts-max-age redirect-http",
    "r-versions": "path scan multiple",
    "": """
        load-balancing-enabled database-config-file r-versions-scan r-versions-multiple r-versions-path
        license-expiration-warning-days license-lease-duration positron-enabled vscode-enabled jupyter-enabled
        scim-enabled user-provisioning-enabled client-id resource-profiles workbench-api-enabled
        workbench-api-admin-enabled workbench-api-super-admin-enabled databricks-enabled snowflake-enabled
        feedback-enabled allow-shell-escape log-level session-use-secure-cookies shiny-timeout-disabled
    """,
}

KNOWN_OPTIONS = {f"{prefix}-{name}" if prefix else name for prefix, names in NAMES.items() for name in names.split()}
