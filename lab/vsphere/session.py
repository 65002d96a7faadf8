"""Sessions and users: who is logged in by which cookie, for how long, and what they may do.

A cookie's value is set in double quotes. The product knows it without them as well (Go's HTTP client drops them, and
works), so the lab does; `verbatim` tells whether a client has always sent back what it was given. A session without a
login has a cookie too (the first answer sets it); it is worth nothing but Login. Idle time is counted from
the last call by SOAP; file access and disk reads do not keep a session alive.
"""

import datetime
import secrets
import threading
import time

from .fault import Fault
from .schema import Obj, Ref

COOKIE = "vmware_soap_session"
ANONYMOUS_MAX = 10000
TICKET_SECONDS = 30
PRIVILEGES = """System.Anonymous System.View System.Read Sessions.ValidateSession Sessions.TerminateSession
VirtualMachine.State.CreateSnapshot VirtualMachine.State.RemoveSnapshot VirtualMachine.State.RevertToSnapshot
VirtualMachine.Config.ChangeTracking VirtualMachine.Config.DiskLease VirtualMachine.Config.EditDevice
VirtualMachine.Config.Settings VirtualMachine.Config.Annotation VirtualMachine.Config.AdvancedConfig
VirtualMachine.Config.Rename VirtualMachine.Config.AddExistingDisk VirtualMachine.Config.AddNewDisk
VirtualMachine.Config.RemoveDisk VirtualMachine.Config.Resource VirtualMachine.Config.CPUCount
VirtualMachine.Config.Memory VirtualMachine.Provisioning.DiskRandomRead VirtualMachine.Provisioning.DiskRandomAccess
VirtualMachine.Provisioning.GetVmFiles VirtualMachine.Provisioning.MarkAsVM VirtualMachine.Provisioning.MarkAsTemplate
VirtualMachine.Provisioning.Clone VirtualMachine.Interact.PowerOff VirtualMachine.Interact.PowerOn
VirtualMachine.Interact.Suspend VirtualMachine.Interact.AnswerQuestion VirtualMachine.Interact.DeviceConnection
VirtualMachine.GuestOperations.Query VirtualMachine.GuestOperations.Execute VirtualMachine.GuestOperations.Modify
Datastore.Browse Datastore.FileManagement Datastore.AllocateSpace VApp.Export Resource.AssignVMToPool
Global.DisableMethods Global.EnableMethods Global.Licenses Cryptographer.Access Cryptographer.Decrypt
Host.Config.NetService""".split()


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def vmware_key():
    """A random identity in the style of the product's sessions."""
    digits = "52" + secrets.token_hex(15)
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class Session:
    """A cookie, and who logged in with it, if anybody. What it made of views and filters goes with it."""

    def __init__(self, cookie):
        self.cookie = cookie
        self.key = vmware_key()
        self.user = None
        self.login_time = None
        self.last_active = now()
        self.active_mono = time.monotonic()
        self.calls = 0
        self.busy = 0           # calls under way; one that waits for updates counts as activity
        self.locale = "en"
        self.address = ""
        self.agent = ""
        self.verbatim = True
        self.objects = {}       # Ref -> View, PropertyCollector, PropertyFilter

    def touch(self):
        self.last_active = now()
        self.active_mono = time.monotonic()

    def info(self):
        return Obj("UserSession", key=self.key, userName=self.user.name, fullName=self.user.name.split("@")[0],
                   loginTime=self.login_time, lastActiveTime=self.last_active, locale=self.locale,
                   messageLocale=self.locale, extensionSession=False, ipAddress=self.address, userAgent=self.agent,
                   callCount=self.calls)


class Sessions:
    """All sessions. Thread safe."""

    def __init__(self, site, ended=None):
        """ended(session) is called for each session that is gone."""
        self.site = site
        self.lock = threading.RLock()
        self.by_cookie = {}
        self.clone_tickets = {}     # ticket -> (session, when it ends)
        self.file_tickets = {}      # ticket of /folder on a host -> (method, url)
        self.ended = ended or (lambda session: None)
        self.calls_left = None      # until all sessions are made to expire
        self.total = 0

    # Cookies.

    def of_cookie(self, header, touch=False):
        """The session with a login that a Cookie header names, or None. File access does not touch it."""
        session = self.any_of_cookie(header)
        if session is None or session.user is None:
            return None
        if touch:
            session.touch()
        return session

    def any_of_cookie(self, header):
        """The session that a Cookie header names, with or without a login, or None."""
        cookie = cookie_value(header, COOKIE) or ""
        with self.lock:
            session = self.by_cookie.get('"' + cookie.strip('"') + '"')
            if session is None:
                return None
            session.verbatim = session.verbatim and cookie == session.cookie
            if session.busy == 0 and time.monotonic() - session.active_mono > self.site.session_idle_s:
                self.end(session)
                return None
            return session

    def new(self):
        """A session without a login, for a client that came without a cookie."""
        with self.lock:
            self.sweep()
            session = Session(f'"{vmware_key()}"')
            self.by_cookie[session.cookie] = session
            return session

    def sweep(self):
        """End what is idle, and the oldest cookies without a login when there are too many."""
        limit = time.monotonic() - self.site.session_idle_s
        for session in [item for item in self.by_cookie.values() if item.busy == 0 and item.active_mono < limit]:
            self.end(session)
        anonymous = [item for item in self.by_cookie.values() if item.user is None and item.busy == 0]
        for session in sorted(anonymous, key=lambda item: item.active_mono)[:max(len(anonymous) - ANONYMOUS_MAX, 0)]:
            self.end(session)

    def end(self, session):
        with self.lock:
            self.by_cookie.pop(session.cookie, None)
            session.user = None
        self.ended(session)

    def expire_all(self):
        """Every session is gone, as after the idle time."""
        with self.lock:
            sessions = list(self.by_cookie.values())
        for session in sessions:
            self.end(session)
        return len(sessions)

    def active(self):
        with self.lock:
            return [session for session in self.by_cookie.values() if session.user is not None]

    @property
    def is_full(self):
        with self.lock:
            self.sweep()
        return len(self.active()) >= self.site.max_sessions

    # Logging in.

    def login(self, session, name, password):
        if session.user is not None:
            raise Fault("InvalidLogin", "Cannot complete login: this session is logged in already.")
        user = self.of_password(name, password)
        if user is None:
            raise Fault("InvalidLogin")
        if user.password_expired:
            raise Fault("PasswordExpired")
        self.enter(session, user)
        return session.info()

    def enter(self, session, user):
        with self.lock:
            session.user = user
            session.login_time = now()
            session.touch()
            self.total += 1

    def of_password(self, name, password):
        """The User of a name and a password, or None."""
        user = self.user_named(name)
        if user is None or not secrets.compare_digest(user.password.encode(), (password or "").encode()):
            return None
        return user

    def user_named(self, name):
        """The User of a name, in whatever case; DOMAIN\\user is user@DOMAIN."""
        domain, backslash, user = name.partition("\\")
        wanted = (f"{user}@{domain}" if backslash else name).lower()
        return next((user for known, user in self.site.users.items() if known.lower() == wanted), None)

    def clone_ticket(self, session):
        ticket = "--".join(("cst", vmware_key(), secrets.token_hex(10)))
        with self.lock:
            self.clone_tickets[ticket] = (session, time.monotonic() + TICKET_SECONDS)
        return ticket

    def clone(self, session, ticket):
        """Log a session in by the ticket of another one, which is used up."""
        with self.lock:
            origin, until = self.clone_tickets.pop(ticket, (None, 0))
        if origin is None or origin.user is None or until < time.monotonic() or session.user is not None:
            raise Fault("InvalidLogin")
        self.enter(session, origin.user)
        return session.info()

    def file_ticket(self, method, url):
        """A ticket for one request of a file from a host."""
        ticket = secrets.token_hex(20)
        with self.lock:
            self.file_tickets[ticket] = (method, url, time.monotonic() + TICKET_SECONDS)
        return ticket

    def use_file_ticket(self, header, method, path):
        """Whether a Cookie header has a ticket for this request; it is used up."""
        ticket = cookie_value(header, "vmware_cgi_ticket")
        with self.lock:
            wanted, url, until = self.file_tickets.pop(ticket, (None, "", 0))
        if wanted is None or until < time.monotonic():
            return False
        asked = url.split("://", 1)[-1].partition("/")[2]
        return wanted.lower() == "http" + method.lower() and "/" + asked == path

    # What they may do.

    def allows(self, user, privilege, _entity=None):
        """Whether a user (or the user of a session) has a privilege. Every user of the lab has theirs everywhere."""
        user = user.user if isinstance(user, Session) else user
        if privilege in (None, "System.Anonymous"):
            return True
        return user is not None and (user.privileges is None or privilege in user.privileges)

    def privileges(self, user):
        return list(PRIVILEGES if user.privileges is None else user.privileges)

    def require(self, session, privilege, entity):
        """NotAuthenticated or NoPermission, as it is; nothing when all is well."""
        if privilege == "System.Anonymous":
            return
        if session is None or session.user is None:
            raise Fault("NotAuthenticated", object=entity, privilegeId=privilege or "System.View")
        if not self.allows(session, privilege):
            raise Fault("NoPermission", object=entity, privilegeId=privilege)

    def count_call(self):
        """For the rule that ends all sessions after so many calls."""
        with self.lock:
            if self.calls_left is None:
                return
            self.calls_left -= 1
            if self.calls_left >= 0:
                return
            self.calls_left = None
        self.expire_all()


def cookie_value(header, name):
    """The value of a cookie as it was sent, its quotes with it."""
    for part in (header or "").split(";"):
        key, equals, value = part.strip().partition("=")
        if equals and key == name:
            return value
    return None


def entity_privileges(sessions, user, entities, wanted):
    return [Obj("EntityPrivilege", entity=entity,
                privAvailability=[Obj("PrivilegeAvailability", privId=privilege,
                                      isGranted=sessions.allows(user, privilege)) for privilege in wanted])
            for entity in entities]


def collector_ref(session):
    return Ref("PropertyCollector", f"session[{session.key}]{vmware_key()}")
