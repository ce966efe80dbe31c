"""How people sign in: what an input may not say of it, and what will not work for everyone."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchwright.errors import InvalidInput
from benchwright.models import Auth, Plan, Wanted, merge_patch
from benchwright.planning import groups, sign_in
from benchwright.planning.read_input import read_input
from tests.documentation.input_reference import OIDC, SAML, SSSD
from tests.unit.benchwright.hostile import examples, json_values
from tests.unit.benchwright.planning.test_plan import DEFAULTS, plan_from

JIT = merge_patch(OIDC, {"auth": {"provisioning": "jit", "groups_claim": "groups"}})
SCIM = merge_patch(SAML, {"auth": {"provisioning": "scim", "scim_token": "benchwright/auth/scim"}})
OWN = "a node has an account of this name itself, and takes it for that of the directory. Give an account that only"
TENANT = "0f8fad5b-d9cb-469f-a165-70867728950e"
ENTRA = f"https://login.microsoftonline.com/{TENANT}/v2.0"
RIGHT = {"oidc": OIDC, "saml": SAML, "sssd": SSSD, "jit": JIT, "scim": SCIM, "pam": {"auth": {}}}


def wanted_of(raw: Any, known: Any = None) -> Wanted:
    return read_input(raw, known or {}, DEFAULTS, "benchwright").whole()[1]


def problems(raw: Any, known: Any = None) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        wanted_of(raw, known)
    return str(caught.value).splitlines()[1:]


@pytest.mark.parametrize("name", RIGHT)
def test_each_method_is_accepted(name: str) -> None:
    wanted = wanted_of(RIGHT[name])
    assert wanted.auth.model_dump(exclude_defaults=True) == {
        key: value for key, value in RIGHT[name]["auth"].items() if value != "pam"
    }


@pytest.mark.parametrize(
    ("whole", "patch", "problem"),
    [
        (OIDC, {"access": None}, 'auth.method: "oidc" is refused: the identity provider sends people back to an https'),
        (SAML, {"access": None}, 'auth.method: "saml" is refused: the identity provider sends people back to an https'),
        (
            OIDC,
            {"auth": {"issuer": None}},
            "auth.issuer: null is refused: the method oidc needs it. Give the issuer of",
        ),
        (OIDC, {"auth": {"client_id": None}}, "auth.client_id: null is refused: the method oidc needs it. Give "),
        (OIDC, {"auth": {"client_secret": None}}, "auth.client_secret: null is refused: the method oidc needs it. "),
        (SSSD, {"auth": {"sssd_conf": None}}, "auth.sssd_conf: null is refused: the method sssd needs it. Give "),
        (
            SSSD,
            {"auth": {"probe_account": None}},
            "auth.probe_account: null is refused: the method sssd needs it. Give ",
        ),
        *(
            (
                whole,
                {"auth": {key: name}},
                f'auth.{key}: "{name}" is refused: a node may have a group "{name}" itself, with no people in it, and ',
            )
            for whole, key, name in (
                (SSSD, "required_group", "staff"),
                (JIT, "admin_group", "operator"),
                (JIT, "required_group", "lxd"),
            )
        ),
        (
            SCIM,
            {"config": {"admin-superuser-group": "analysts,staff"}},
            'config.admin-superuser-group: "analysts,staff" is refused: a node may have a group "staff" itself, with n',
        ),
        *(
            (
                whole,
                {"config": {"auth-minimum-user-id": least}},
                f'config.auth-minimum-user-id: "{least}" is refused: below it are accounts of the system alone, and wh',
            )
            for whole, least in ((OIDC, "1000"), (SCIM, "1999"), (SSSD, "auto"), (JIT, "0"))
        ),
        (SSSD, {"users": {"svc-probe": {}}}, f'auth.probe_account: "svc-probe" is refused: {OWN}'),
        (SSSD, {"auth": {"probe_account": "ubuntu"}}, f'auth.probe_account: "ubuntu" is refused: {OWN}'),
        (
            SAML,
            {"auth": {"metadata_url": None}},
            "auth.metadata_url: null is refused: the method saml needs one of metadata_url and metadata, and has",
        ),
        (
            SAML,
            {"auth": {"metadata": "benchwright/auth/saml"}},
            'auth.metadata_url: "https://idp.example.com/metadata.xml" is refused: the method saml needs one of',
        ),
        (
            SAML,
            {"auth": {"issuer": "https://idp.example.com"}},
            'auth.issuer: "https://idp.example.com" is refused: it belongs to the method oidc, not to saml. ',
        ),
        (
            SAML,
            {"auth": {"name_id_format": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"}},
            'auth.name_id_format: "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress" is refused: ',
        ),
        (OIDC, {"auth": {"post_binding": True}}, "auth.post_binding: true is refused: it belongs to the method saml, "),
        (OIDC, {"auth": {"probe_account": "x"}}, 'auth.probe_account: "x" is refused: it belongs to the method sssd, '),
        (
            SSSD,
            {"auth": {"provisioning": "jit"}},
            'auth.provisioning: "jit" is refused: it belongs to the method oidc or saml, not to sssd. Remove it; ',
        ),
        (
            OIDC,
            {"auth": {"groups_claim": "groups"}},
            'auth.groups_claim: "groups" is refused: Workbench takes groups from it with provisioning jit alone.',
        ),
        (
            SCIM,
            {"auth": {"groups_attribute": "groups"}},
            'auth.groups_attribute: "groups" is refused: Workbench takes groups from it with provisioning jit alone. ',
        ),
        (
            SCIM,
            {"auth": {"scim_token": None}},
            "auth.scim_token: null is refused: the identity provider needs a token for SCIM. Give the name of a secret",
        ),
        (
            JIT,
            {"auth": {"scim_token": "benchwright/auth/scim"}},
            'auth.scim_token: "benchwright/auth/scim" is refused: with provisioning jit nothing uses it. Remove it; ',
        ),
        (
            OIDC,
            {"users": None},
            'auth.provisioning: "none" is refused: no one has an account: Workbench makes none, and `users` is empty. ',
        ),
        (
            JIT,
            {"users": {"ann": {"uid": 200000}}},
            "users.ann.uid: 200000 is refused: Workbench gives the ids from 200000 to 524287 to people and group",
        ),
        (SCIM, {"users": {"ann": {"gid": 524287}}}, "users.ann.gid: 524287 is refused: Workbench gives the ids from 2"),
        (JIT, {"groups": {"g": {"gid": 200001}}}, "groups.g.gid: 200001 is refused: Workbench gives the ids from 2000"),
        (
            JIT,
            {"workbench": {"version": "2024.04.2+764.pro1"}},
            'auth.provisioning: "jit" is refused: Workbench has it since 2024.09, and workbench.version is 2024.',
        ),
        (
            SCIM,
            {"workbench": {"version": "2023.12.1+402.pro1"}},
            'auth.provisioning: "scim" is refused: Workbench has it since 2024.04, and workbench.version is 2023',
        ),
        (
            JIT,
            {"workbench": {"version": "2025.05.1+513.pro3"}},
            'auth.groups_claim: "groups" is refused: Workbench has it since 2025.09, and workbench.version is 20',
        ),
        (
            OIDC,
            {"auth": {"required_group": "analysts"}},
            'auth.required_group: "analysts" is refused: `groups` has no "analysts", so the key would hold for n',
        ),
        (
            OIDC,
            {"auth": {"admin_group": "admins"}, "groups": {"admins": {}}},
            'auth.admin_group: "admins" is refused: "admins" has no member, so the key would hold for no one. Gi',
        ),
        (
            merge_patch(JIT, {"auth": {"groups_claim": None}}),
            {"auth": {"required_group": "analysts"}},
            'auth.required_group: "analysts" is refused: `groups` has no "analysts", so the key would hold for n',
        ),
        (
            OIDC,
            {"auth": {"client_secret": "benchwright/users/oidc"}},
            'auth.client_secret: "benchwright/users/oidc" is refused: the nodes may not read it. Give the name of a',
        ),
        (
            OIDC,
            {"auth": {"issuer": "https://idp.example.com/.well-known/openid-configuration"}},
            'auth.issuer: "https://idp.example.com/.well-known/openid-configuration" is refused: it is the addre',
        ),
        (
            OIDC,
            {"auth": {"issuer": "https://a:b@idp.example.com"}},
            'auth.issuer: "https://***@idp.example.com" is ref',
        ),
        (OIDC, {"auth": {"scopes": ["email"]}}, 'auth.scopes: ["email"] is refused: openid is missing, without which'),
        (
            merge_patch(JIT, {"users": {"ann": {}}, "groups": {"people": {"members": ["ann"]}}}),
            {"auth": {"required_group": "people"}},
            'auth.required_group: "people" is refused: people have the groups of the identity provider, and a node wit',
        ),
        (
            merge_patch(JIT, {"groups": {"staff-2": {}}}),
            {"auth": {"admin_group": "staff-2"}},
            'auth.admin_group: "staff-2" is refused: people have the groups of the identity provider, and a node with',
        ),
        (
            merge_patch(JIT, {"users": {"ann": {}}, "groups": {"staff-2": {"members": ["ann"]}}}),
            {"config": {"admin-superuser-group": "others,staff-2"}},
            'config.admin-superuser-group: "others,staff-2" is refused: people have the groups of the identity provi',
        ),
    ],
)
def test_each_contradiction_is_refused_with_its_remedy(whole: Any, patch: Any, problem: str) -> None:
    found = problems(merge_patch(whole, patch))
    assert [line for line in found if line.startswith(f"- {problem}")] != [], found


@pytest.mark.parametrize("whole", RIGHT.values(), ids=RIGHT)
@pytest.mark.parametrize("key", [*Auth.model_fields, "image", "workbench", "users", "groups", "config", "access"])
def test_a_value_of_any_type_is_accepted_or_refused(whole: Any, key: str) -> None:
    values: list[Any] = [{"a": 1}, ["a", {}], [[]], 1, True, "x", None]
    for value in values:
        read(merge_patch(whole, {"auth": {key: value}} if key in Auth.model_fields else {key: value}))


@examples(300)
@given(st.sampled_from(sorted(RIGHT)), st.dictionaries(st.sampled_from(sorted(Auth.model_fields)), json_values))
def test_any_json_in_auth_is_accepted_or_refused(name: str, auth: Any) -> None:
    read({**RIGHT[name], "auth": {**RIGHT[name]["auth"], **auth}})


def read(raw: Any) -> None:
    """Read an input; where it is refused, the refusal has a remedy."""
    try:
        wanted_of(raw)
    except InvalidInput as error:
        assert re.search(r"\. (Give|Remove it; if it is recorded, give) ", str(error))


@pytest.mark.parametrize(
    ("whole", "key", "place"),
    [
        *((OIDC, key, place) for key, place in sign_in.PLACES.items()),
        *((whole, key, "method") for whole in (OIDC, SAML, JIT, SSSD) for key in sign_in.SESSION_KEYS),
        (merge_patch(SCIM, {"auth": {"required_group": "x"}}), "auth-required-user-group", "required_group"),
        (merge_patch(SCIM, {"auth": {"admin_group": "x"}}), "admin-group", "admin_group"),
        (merge_patch(SCIM, {"auth": {"admin_group": "x"}}), "admin-enabled", "admin_group"),
    ],
)
def test_a_key_of_rserver_conf_that_has_its_place_in_auth_is_refused(whole: Any, key: str, place: str) -> None:
    raw = merge_patch(whole, {"config": {key: "1"}})
    wrong = f'- config.{key}: "1" is refused: with `auth`, its place is auth.{place}, and Benchwright writes it. '
    assert f"{wrong}Remove it; if it is recorded, give null." in problems(raw)


def test_a_key_that_has_its_place_in_auth_is_named_once() -> None:
    """Whom it names does not matter: elsewhere it would name someone else."""
    raw = merge_patch(OIDC, {"auth": {"admin_group": "admins"}, "groups": {"admins": {"members": ["ann"]}}})
    found = problems(merge_patch(raw, {"config": {"admin-group": "no-one"}}))
    assert [line for line in found if line.startswith("- config.")] == [
        (
            '- config.admin-group: "no-one" is refused: with `auth`, its place is auth.admin_group, and Benchwright '
            "writes it. Remove it; if it is recorded, give null."
        )
    ]


def test_an_auth_without_keys_is_that_of_passwords() -> None:
    raw: Any = {"auth": {}, "config": {"auth-none": "1"}}
    assert problems(raw) == problems(merge_patch(raw, {"auth": {"method": "pam"}}))


@pytest.mark.parametrize(
    ("path", "text", "shown"),
    [
        ("issuer", "https://bob:hunter2@idp.example.com", "https://***@idp.example.com"),
        ("issuer", "https://bob:hunter2/@2@idp.example.com/realms", "https://***@idp.example.com/realms"),
        ("issuer", "bob:hunter2@idp.example.com", "bob:***@idp.example.com"),
        ("metadata_url", f"https://bob:hunter2{'x' * 90}@idp.example.com/x", "https://***@idp.example.com/x"),
        ("metadata_url", ["https://bob:hunter2@idp.example.com"], ["https://***@idp.example.com"]),
    ],
)
def test_a_refused_address_is_shown_without_its_password(path: str, text: Any, shown: Any) -> None:
    whole = OIDC if path == "issuer" else SAML
    found = problems(merge_patch(whole, {"auth": {path: text}}))
    assert f"- auth.{path}: {json.dumps(shown)} is refused: " in "\n".join(found)
    assert "hunter2" not in "\n".join(found)
    in_config = problems({"config": {"auth-openid-issuer": text}, "auth": {}})
    assert "hunter2" not in "\n".join(in_config)


@pytest.mark.parametrize(
    ("whole", "auth", "problem"),
    [
        (
            {},
            {"issuer": "https://idp.example.com"},
            ('auth.method: null is refused: the method is missing, and issuer belongs to oidc. Give "oidc".'),
        ),
        (
            {},
            {"issuer": "https://idp.example.com"},
            (
                "auth.client_id: null is refused: the method oidc needs it. "
                "Give the id of the client that you registered (oidc)."
            ),
        ),
        (
            {},
            {"issuer": "https://idp.example.com"},
            (
                'auth.method: "oidc" is refused: the identity provider sends people back to an https address, and the '
                "cluster has none. Give an address in `access`, too, or null for `auth`."
            ),
        ),
        (
            {},
            {"provisioning": "jit"},
            (
                "auth.method: null is refused: the method is missing, and provisioning belongs to oidc or saml. "
                'Give "oidc" or "saml".'
            ),
        ),
        (
            {},
            {"method": None, "provisioning": "scim", "issuer": "https://idp.example.com", "scim_token": "a/auth/b"},
            (
                "auth.method: null is refused: the method is missing, and issuer belongs to oidc, provisioning, "
                'scim_token belong to oidc or saml. Give "oidc".'
            ),
        ),
        (
            {},
            {"issuer": "https://idp.example.com", "sssd_conf": "benchwright/auth/sssd"},
            (
                "auth.method: null is refused: the method is missing, and issuer belongs to oidc, sssd_conf belongs to "
                'sssd. Give "oidc" or "sssd".'
            ),
        ),
        (
            merge_patch(JIT, {"auth": {"groups_claim": None}}),
            {"required_group": "analysts"},
            (
                'auth.required_group: "analysts" is refused: `groups` has no "analysts", so the key would hold for no '
                "one. Give the name of one of `groups` with members, or null; or name in auth.groups_claim what holds "
                "a person's groups, if it is one of the identity provider."
            ),
        ),
        (
            OIDC,
            {"admin_group": "analysts"},
            (
                'auth.admin_group: "analysts" is refused: `groups` has no "analysts", so the key would hold for no '
                'one. Give the name of one of `groups` with members, or null; or give auth.provisioning as "jit", and '
                "name in auth.groups_claim what holds a person's groups, if it is one of the identity provider."
            ),
        ),
    ],
)
def test_the_remedy_is_what_a_person_most_likely_forgot(whole: Any, auth: Any, problem: str) -> None:
    assert f"- {problem}" in problems(merge_patch(whole, {"auth": auth}))


@pytest.mark.parametrize("host", ["login.microsoftonline.com", "login.microsoftonline.us", "sts.windows.net"])
@pytest.mark.parametrize("tenant", ["common", "organizations", "consumers", "TENANT", "example.com", TENANT[:-1]])
def test_an_issuer_of_entra_id_has_the_id_of_a_tenant(host: str, tenant: str) -> None:
    (found,) = problems(merge_patch(OIDC, {"auth": {"issuer": f"https://{host}/{tenant}/v2.0"}}))
    assert found.startswith(
        f'- auth.issuer: "https://{host}/{tenant}/v2.0" is refused: {tenant} is no id of a tenant; put in its place '
        "that of yours, in the Entra admin center under Overview: Tenant ID. Give "
    )
    wanted_of(merge_patch(OIDC, {"auth": {"issuer": f"https://{host}/{TENANT}/v2.0"}}))


@pytest.mark.parametrize("after", ["", "/", "/v2.0/", "/v1.0", "/V2.0", "/oauth2/v2.0"])
def test_an_issuer_of_entra_id_is_that_of_its_endpoint_to_the_letter(after: str) -> None:
    (found,) = problems(merge_patch(OIDC, {"auth": {"issuer": f"https://login.microsoftonline.com/{TENANT}{after}"}}))
    assert " is refused: Entra ID signs tokens by its v2.0 endpoint as https://login.microsoftonline.com/" in found


@pytest.mark.parametrize(
    ("whole", "key", "placeholder"),
    [
        (OIDC, "issuer", "https://login.microsoftonline.com/{}/v2.0"),
        (OIDC, "issuer", "https://{}.okta.com"),
        (SAML, "metadata_url", "https://login.microsoftonline.com/{}/federationmetadata.xml?appid=1"),
        (SAML, "metadata_url", f"https://login.microsoftonline.com/{TENANT}/federationmetadata.xml?appid={{}}"),
    ],
)
@pytest.mark.parametrize("text", ["<tenant>", "{tenantid}"])
def test_a_placeholder_of_a_guide_is_refused(whole: Any, key: str, placeholder: str, text: str) -> None:
    (found,) = problems(merge_patch(whole, {"auth": {key: placeholder.format(text)}}))
    assert f" is refused: {text} stands for something of yours, such as the id of your tenant: put that in" in found


def test_what_auth_does_not_write_may_stand_in_config() -> None:
    config = {"auth-timeout-minutes": "60", "auth-openid-aws-role-claim": "role", "auth-pam-sessions-close": "1"}
    assert wanted_of(merge_patch(OIDC, {"config": config})).config == config
    sessions = {"auth-pam-sessions-enabled": "1", "auth-pam-sessions-profile": "su"}  # of passwords alone
    assert wanted_of({"auth": {}, "config": sessions}).config == sessions


def test_who_has_people_below_2000_on_an_image_lets_them_in() -> None:
    ami = {"image": {"ami": "ami-0123456789abcdef0"}}
    for whole, config in (
        (merge_patch(OIDC, ami), {"auth-minimum-user-id": "1001"}),
        (OIDC, {"auth-minimum-user-id": "5000"}),
        ({"auth": {}}, {"auth-minimum-user-id": "500"}),
    ):
        assert wanted_of(merge_patch(whole, {"config": config})).config == config
    assert wanted_of(merge_patch(SSSD, {**ami, "auth": {"required_group": "staff"}})).auth


def test_every_problem_is_listed_at_once_and_a_recorded_value_is_marked() -> None:
    """Who changes the method takes back the keys of the one before."""
    found = problems({"access": None, "auth": {"method": "saml"}, "users": {"ann": None}}, OIDC)
    recorded = "(an earlier execution recorded it). Give null, which takes it back."
    assert [line.split(": ")[0] for line in found] == [
        *("- auth.issuer", "- auth.client_id", "- auth.client_secret", "- auth.metadata_url", "- auth.method"),
        "- auth.provisioning",
    ]
    assert found[0] == (
        '- auth.issuer: "https://idp.example.com" is refused: it belongs to the method oidc, not to saml ' + recorded
    )


def test_a_group_of_a_directory_is_warned_about() -> None:
    wanted = wanted_of(merge_patch(SSSD, {"auth": {"required_group": "Domain Users"}}))
    (text,) = groups.warn(wanted)
    assert text.startswith('auth: required_group names "Domain Users", which `groups` lacks. No one has looked whether')
    assert text.endswith(" the directory has it, and members in it.")


@pytest.mark.parametrize("whole", [JIT, SCIM])
@pytest.mark.parametrize("more", [{}, {"image": {"ami": "ami-0123456789abcdef0"}}])
def test_groups_of_an_identity_provider_are_no_news(whole: Any, more: Any) -> None:
    patch = {"auth": {"required_group": "workbench-users", "admin_group": "workbench-admins"}}
    assert groups.warn(wanted_of(merge_patch(merge_patch(whole, patch), more))) == []


@pytest.mark.parametrize(
    ("whole", "patch", "warned"),
    [
        (OIDC, {}, False),
        (OIDC, {"auth": {"username_claim": "email"}}, True),
        (OIDC, {"auth": {"username_claim": "email", "provisioning": "jit"}}, False),
        (OIDC, {"auth": {"username_claim": "email"}, "config": {"auth-user-rewrite-rule": "x"}}, False),
        (OIDC, {"auth": {"issuer": ENTRA}}, True),
        (
            OIDC,
            {"auth": {"issuer": ENTRA, "username_claim": "name"}},
            False,
        ),
        (SAML, {}, False),
        (SAML, {"auth": {"username_attribute": "NameID", "name_id_format": "emailaddress"}}, True),
        (SSSD, {}, False),
    ],
)
def test_an_e_mail_address_in_place_of_a_user_name_is_warned_about(whole: Any, patch: Any, warned: bool) -> None:
    """No account on Ubuntu has an @ in its name (values.py); provisioning leaves out what follows it."""
    texts = sign_in.warn(wanted_of(merge_patch(whole, patch)))
    assert len(texts) == warned
    if warned:
        assert "e-mail address, and no account in `users` can have an @ in its name. Have it give another " in texts[0]


def test_an_identity_provider_that_pushes_accounts_must_reach_the_address() -> None:
    (text,) = sign_in.warn(wanted_of(SCIM))
    assert text.startswith(
        "auth: with scim the identity provider calls https://workbench.example.com/scim/v2, and access"
    )
    outside = {"access": {"scheme": "internet-facing", "allowed_cidrs": ["203.0.113.0/24"]}}
    assert sign_in.warn(wanted_of(merge_patch(SCIM, outside))) == []


def test_a_plan_of_an_earlier_release_has_no_sign_in() -> None:
    plan, _ = plan_from({})
    dumped = plan.model_dump(mode="json")
    del dumped["sign_in"]
    assert Plan.model_validate(dumped) == plan
