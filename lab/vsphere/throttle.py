"""How fast a host of the site is: a latency before each answer, a bandwidth of all its connections together, and one of
each connection. All parts that send a disk's bytes share these objects."""

import threading
import time

MIB = 1 << 20


class Throttle:
    """Of one host."""

    def __init__(self, host):
        self.latency_s = host.latency_ms / 1000
        self.bytes_s = host.bandwidth_mib_s * MIB
        self.connection_bytes_s = host.connection_mib_s * MIB
        self.connections_max = host.http_max_connections
        self.connections = 0
        self.lock = threading.Lock()
        self.free_at = 0.0

    def enter(self):
        """One more connection is served; false when that is more than the host takes."""
        with self.lock:
            if self.connections_max and self.connections >= self.connections_max:
                return False
            self.connections += 1
            return True

    def leave(self):
        with self.lock:
            self.connections -= 1

    def connection(self):
        """What one connection calls: begin() before an answer, spend(bytes) after each piece."""
        return Meter(self)

    def reserve(self, count):
        """When these bytes are through the host, as time.monotonic()."""
        if not self.bytes_s:
            return 0.0
        with self.lock:
            self.free_at = max(self.free_at, time.monotonic()) + count / self.bytes_s
            return self.free_at


class Meter:
    """Of one connection."""

    def __init__(self, throttle):
        self.throttle = throttle
        self.free_at = 0.0

    def begin(self):
        if self.throttle.latency_s:
            time.sleep(self.throttle.latency_s)

    def spend(self, count):
        until = self.throttle.reserve(count)
        if self.throttle.connection_bytes_s:
            self.free_at = max(self.free_at, time.monotonic()) + count / self.throttle.connection_bytes_s
            until = max(until, self.free_at)
        left = until - time.monotonic() if until else 0
        if left > 0:
            time.sleep(left)


class Throttles:
    """Of all hosts of a site."""

    def __init__(self, site):
        self.hosts = {(host.datacenter, host.name): Throttle(host) for host in site.hosts}
        self.first = next(iter(self.hosts.values()))

    def of(self, machine):
        """Of the host where a StorageMachine runs; for None, any."""
        return self.hosts.get((machine.spec.datacenter, machine.spec.host), self.first) if machine else self.first
