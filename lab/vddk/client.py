"""libvixDiskLib for Python, by ctypes: as thin as can be, so that a test can also use it wrongly.

    lib = Library("BUILD/lab/vddk/libvixDiskLib.so.8")
    lib.init()
    disk = lib.open_local("/some/disk.raw")
    print(lib.capacity(disk), lib.read(disk, 0, 1))
"""

import ctypes
import mmap
import threading

SECTOR = 512
READ_ONLY = 4
ASYNC = 25000

C_PRINTF = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
DONE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64)
LIBC = ctypes.CDLL(None)
LIBC.vsnprintf.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p]


class Uid(ctypes.Structure):
    _fields_ = [("user", ctypes.c_char_p), ("password", ctypes.c_char_p)]


class Session(ctypes.Structure):
    _fields_ = [("cookie", ctypes.c_char_p), ("user", ctypes.c_char_p), ("key", ctypes.c_char_p)]


class Creds(ctypes.Union):
    _fields_ = [("uid", Uid), ("session", Session)]


class Params(ctypes.Structure):
    _fields_ = [("vmx_spec", ctypes.c_char_p), ("server", ctypes.c_char_p), ("thumbprint", ctypes.c_char_p),
                ("private_use", ctypes.c_long), ("cred_type", ctypes.c_int), ("creds", Creds),
                ("port", ctypes.c_uint32), ("nfc_port", ctypes.c_uint32), ("api", ctypes.c_char_p),
                ("reserved", ctypes.c_char * 8), ("state", ctypes.c_void_p), ("spec", ctypes.c_void_p * 3),
                ("spec_type", ctypes.c_int)]


class Info(ctypes.Structure):
    _fields_ = [("geometry", ctypes.c_uint32 * 6), ("capacity", ctypes.c_uint64), ("adapter", ctypes.c_int),
                ("links", ctypes.c_int), ("parent", ctypes.c_char_p), ("uuid", ctypes.c_char_p),
                ("logical", ctypes.c_uint32), ("physical", ctypes.c_uint32)]


class Block(ctypes.Structure):
    _fields_ = [("offset", ctypes.c_uint64), ("length", ctypes.c_uint64)]


class BlockList(ctypes.Structure):
    _fields_ = [("n", ctypes.c_uint32), ("blocks", Block * 1)]


U64, U32, TEXT, PLACE = ctypes.c_uint64, ctypes.c_uint32, ctypes.c_char_p, ctypes.c_void_p
SIGNATURES = {
    "InitEx": (U64, [U32, U32, PLACE, PLACE, PLACE, TEXT, TEXT]), "Exit": (None, []),
    "GetErrorText": (PLACE, [U64, TEXT]), "FreeErrorText": (None, [PLACE]),
    "AllocateConnectParams": (ctypes.POINTER(Params), []), "FreeConnectParams": (None, [PLACE]),
    "ConnectEx": (U64, [PLACE, ctypes.c_char, TEXT, TEXT, PLACE]), "Disconnect": (U64, [PLACE]),
    "Open": (U64, [PLACE, TEXT, U32, PLACE]), "Close": (U64, [PLACE]),
    "GetTransportMode": (TEXT, [PLACE]), "ListTransportModes": (TEXT, []),
    "GetInfo": (U64, [PLACE, PLACE]), "FreeInfo": (None, [PLACE]),
    "Read": (U64, [PLACE, U64, U64, PLACE]), "Write": (U64, [PLACE, U64, U64, PLACE]), "Flush": (U64, [PLACE]),
    "ReadAsync": (U64, [PLACE, U64, U64, PLACE, DONE, PLACE]),
    "WriteAsync": (U64, [PLACE, U64, U64, PLACE, DONE, PLACE]),
    "Wait": (U64, [PLACE]), "QueryAllocatedBlocks": (U64, [PLACE, U64, U64, U64, PLACE]),
    "FreeBlockList": (U64, [PLACE]), "PrepareForAccess": (U64, [PLACE, TEXT]), "EndAccess": (U64, [PLACE, TEXT]),
    "Cleanup": (U64, [PLACE, PLACE, PLACE]), "GetMetadataKeys": (U64, [PLACE, PLACE, ctypes.c_size_t, PLACE]),
    "ReadMetadata": (U64, [PLACE, TEXT, PLACE, ctypes.c_size_t, PLACE]),
}


class VixError(Exception):
    """A function of the library failed; `code` are the low 16 bits."""

    def __init__(self, function, error, log):
        super().__init__(f"{function}: VixError {error}; {' | '.join(log[-3:])}")
        self.error, self.code = error, error & 0xffff


def encoded(text):
    return text.encode() if isinstance(text, str) else text


def buffer(sectors):
    """Memory of its own pages, as a ctypes array."""
    memory = mmap.mmap(-1, max(sectors * SECTOR, 1))
    return (ctypes.c_char * len(memory)).from_buffer(memory)


class Library:
    """The functions stand in `c` under their names without VixDiskLib_."""

    def __init__(self, path):
        self.dll = ctypes.CDLL(str(path))
        self.c = type("Functions", (), {})()
        self.log = []
        self.lock = threading.Lock()
        self.kept = []      # what the library still points to
        for name, (result, arguments) in SIGNATURES.items():
            if not hasattr(self.dll, "VixDiskLib_" + name):
                continue
            function = getattr(self.dll, "VixDiskLib_" + name)
            function.restype, function.argtypes = result, arguments
            setattr(self.c, name, staticmethod(function).__func__)
        self.logger = C_PRINTF(self.take_log)

    def take_log(self, fmt, arguments):
        text = ctypes.create_string_buffer(2048)
        LIBC.vsnprintf(text, len(text), fmt, arguments)
        with self.lock:
            self.log.append(text.value.decode(errors="replace").rstrip("\n"))

    def check(self, function, error, good=0):
        if error != good:
            raise VixError(function, error, self.log)

    def init(self, config=None, major=6, minor=5, loggers=None):
        log = loggers or [ctypes.cast(self.logger, PLACE)] * 3
        self.check("InitEx", self.c.InitEx(major, minor, *log, None, encoded(config)))

    def params(self, allocate=True, **fields):
        """Params by the library (a pointer), or of our own; fields: server, user, password, cookie, key..."""
        params = self.c.AllocateConnectParams() if allocate else ctypes.pointer(Params())
        p = params.contents
        for name in ("vmx_spec", "server", "thumbprint", "port", "nfc_port"):
            if name in fields:
                setattr(p, name, encoded(fields[name]))
        if "cookie" in fields:
            p.cred_type = 2
            p.creds.session = Session(encoded(fields["cookie"]), encoded(fields["user"]), encoded(fields["key"]))
        elif "user" in fields:
            p.cred_type = 1
            p.creds.uid = Uid(encoded(fields["user"]), encoded(fields["password"]))
        self.kept.append((params, fields))
        return params

    def connect(self, params, snapshot=None, transports=None, read_only=True):
        connection = ctypes.c_void_p()
        self.check("ConnectEx", self.c.ConnectEx(params, bytes([read_only]), encoded(snapshot), encoded(transports),
                                                 ctypes.byref(connection)))
        return connection

    def open(self, connection, path, flags=READ_ONLY):
        handle = ctypes.c_void_p()
        self.check("Open", self.c.Open(connection, encoded(str(path)), flags, ctypes.byref(handle)))
        return handle

    def open_local(self, path, flags=READ_ONLY):
        allocate = hasattr(self.c, "AllocateConnectParams")
        self.connection = self.connect(self.params(allocate), read_only=flags & READ_ONLY != 0)
        return self.open(self.connection, path, flags)

    def info(self, handle):
        info = ctypes.POINTER(Info)()
        self.check("GetInfo", self.c.GetInfo(handle, ctypes.byref(info)))
        answer = {name: getattr(info.contents, name) for name, _ in Info._fields_ if name != "geometry"}
        self.c.FreeInfo(info)
        return answer

    def capacity(self, handle):
        return self.info(handle)["capacity"]

    def read(self, handle, start, n):
        memory = buffer(n)
        self.check("Read", self.c.Read(handle, start, n, ctypes.byref(memory)))
        return memory.raw

    def read_async(self, handle, start, n, memory, done):
        """done(result) is called, perhaps by a thread of the library. The return value of ReadAsync."""
        callback = DONE(lambda _, result: done(result))
        with self.lock:
            self.kept += [callback, memory]
        return self.c.ReadAsync(handle, start, n, ctypes.byref(memory), callback, None)

    def blocks(self, handle, start, n, chunk):
        blocks = ctypes.POINTER(BlockList)()
        self.check("QueryAllocatedBlocks", self.c.QueryAllocatedBlocks(handle, start, n, chunk, ctypes.byref(blocks)))
        found = ctypes.cast(ctypes.addressof(blocks.contents) + 8, ctypes.POINTER(Block))
        answer = [(found[i].offset, found[i].length) for i in range(blocks.contents.n)]
        self.c.FreeBlockList(blocks)
        return answer

    def end(self, *handles, connection=None):
        """Wait, close, disconnect, exit, in order."""
        for handle in handles:
            if hasattr(self.c, "Wait"):
                self.c.Wait(handle)
            self.check("Close", self.c.Close(handle))
        self.check("Disconnect", self.c.Disconnect(connection or self.connection))
        self.free_params()
        self.c.Exit()

    def free_params(self):
        for params in self.kept:
            if isinstance(params, tuple) and hasattr(self.c, "AllocateConnectParams"):
                self.c.FreeConnectParams(params[0])
        self.kept = [it for it in self.kept if not isinstance(it, tuple)]


class Gate:
    """Counts completions; wait() returns when n have come."""

    def __init__(self):
        self.results = []
        self.changed = threading.Condition()

    def done(self, tag=None):
        def note(result):
            with self.changed:
                self.results.append((tag, result, threading.get_native_id()))
                self.changed.notify_all()
        return note

    def wait(self, n, seconds=60):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.results) >= n, seconds), f"{len(self.results)} of {n} came"
