"""PAM: whether it takes a password, and the sessions that it opens.

People sign in by the service `rstudio`; a session has a profile of its own, which `auth-pam-sessions-profile` names
(Posit's administration guide, "PAM sessions"; rstudio/rstudio, src/cpp/server/auth/ServerPAMAuth.cpp).
"""

import contextlib
import ctypes
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

SERVICE = "rstudio"
PROMPTS = (1, 2)  # PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON
SUCCESS, BUFFER_ERROR = 0, 5
ESTABLISH, SILENT = 0x2, 0x8000  # PAM_ESTABLISH_CRED, PAM_SILENT
SECONDS = 20.0
AUTHENTICATE = """import sys
sys.path.append("/opt/rehearsal")
from standins.workbench.pam import authenticates_here
sys.exit(0 if authenticates_here(sys.argv[1], sys.stdin.read()) else 1)
"""
OPEN_SESSION = """import sys
sys.path.append("/opt/rehearsal")
from standins.workbench.pam import open_session_here
open_session_here(*sys.argv[1:])
"""


class _Message(ctypes.Structure):
    _fields_ = (("style", ctypes.c_int), ("text", ctypes.c_char_p))


class _Response(ctypes.Structure):
    _fields_ = (("text", ctypes.c_void_p), ("code", ctypes.c_int))


_Talk = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.POINTER(_Message)),
    ctypes.POINTER(ctypes.POINTER(_Response)),
    ctypes.c_void_p,
)


class _Conversation(ctypes.Structure):
    _fields_ = (("talk", _Talk), ("data", ctypes.c_void_p))


class RefusedError(Exception):
    """When PAM does not open a session; the message has PAM's own words."""


def authenticates(user: str, password: str) -> bool:
    """Whether PAM's service of Workbench takes this password of a user.

    Another process asks, as Workbench's rserver-pam does: modules such as pam_sss leave what ends a thread with code
    that is no longer there.
    """
    words = [sys.executable, "-IS", "-c", AUTHENTICATE, user]
    done = subprocess.run(words, input=password, text=True, capture_output=True, check=False, timeout=SECONDS)
    return done.returncode == 0


def authenticates_here(user: str, password: str) -> bool:
    """Whether PAM takes this password, asked in this process."""
    try:
        with _conversation(SERVICE, user, password) as (handle, call):
            call("pam_authenticate", handle, 0)
            call("pam_acct_mgmt", handle, 0)
    except RefusedError:
        return False
    return True


def open_session(user: str, profile: str) -> None:
    """Open a session of a user, who has proved before who he is. Raises RefusedError.

    What a session sets for its process, such as limits, is not for the server: another process opens it. It is never
    closed here, since what it made, such as the home directory, outlives it.
    """
    words = [sys.executable, "-IS", "-c", OPEN_SESSION, user, profile]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise RefusedError(f"no answer of the service {profile} within {SECONDS:.0f} s") from error
    if done.returncode:
        raise RefusedError(done.stderr.strip().rpartition("\n")[2].partition(": ")[2])


def open_session_here(user: str, profile: str) -> None:
    """Open a session for this process. Raises RefusedError."""
    with _conversation(profile, user, "") as (handle, call):
        call("pam_acct_mgmt", handle, 0)
        call("pam_setcred", handle, ESTABLISH | SILENT)
        call("pam_open_session", handle, SILENT)


@contextlib.contextmanager
def _conversation(service: str, user: str, password: str) -> Iterator[tuple[ctypes.c_void_p, Callable[..., None]]]:
    """A handle of PAM, and a function that calls one of PAM's."""
    pam, libc = ctypes.CDLL("libpam.so.0"), ctypes.CDLL(None)
    libc.calloc.restype = libc.strdup.restype = ctypes.c_void_p
    libc.strdup.argtypes = [ctypes.c_char_p]
    pam.pam_strerror.restype = ctypes.c_char_p

    def talk(count: int, messages: Any, responses: Any, _: object) -> int:
        """PAM frees the answers, so C has to keep them."""
        memory = libc.calloc(count, ctypes.sizeof(_Response))
        if not memory:
            return BUFFER_ERROR
        answers = ctypes.cast(memory, ctypes.POINTER(_Response))
        for place in range(count):
            if messages[place].contents.style in PROMPTS:
                answers[place].text = libc.strdup(password.encode())
        responses[0] = answers
        return SUCCESS

    code = SUCCESS

    def call(name: str, *arguments: object) -> None:
        nonlocal code
        code = getattr(pam, name)(*arguments)
        if code != SUCCESS:
            words = pam.pam_strerror(handle, code)
            raise RefusedError(f"{name} of the service {service}: {words.decode() if words else code}")

    handle, kept = ctypes.c_void_p(), _Talk(talk)
    conversation = _Conversation(kept, None)
    call("pam_start", service.encode(), user.encode(), ctypes.byref(conversation), ctypes.byref(handle))
    try:
        yield handle, call
    finally:
        pam.pam_end(handle, code)
