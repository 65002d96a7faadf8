"""Count what goes over NBD, outside of the program that is tested: nbdkit's log filter, read from a FIFO."""

import os
import re
import threading

CLUSTER = 65536
LINE = re.compile(r"connection=\d+ (Read|Write|Zero) id=\d+ offset=(0x[0-9a-f]+) count=(0x[0-9a-f]+)")


class Meter:
    """What an NBD server was asked, run by run, and a hand on the kill switch.

    Its arguments go to nbdkit: `--filter=log` among the filters and `logfile` among the parameters.
    """

    def __init__(self, room):
        self.fifo = room.fresh("log.fifo")
        os.mkfifo(self.fifo)
        self.reading = os.fdopen(os.open(self.fifo, os.O_RDWR), encoding="ascii")   # so that nobody waits to open it
        self.lock = threading.Lock()
        self.bytes = {"Read": 0, "Write": 0, "Zero": 0}
        self.repeated = 0      # bytes of clusters that an earlier run had asked for, too
        self.most_repeated = 0  # the same, the most of any run
        self.earlier = set()
        self.present = set()
        self.fuse = None       # (operation, requests left, what to call)
        threading.Thread(target=self.listen, daemon=True).start()
        room.callback(self.reading.close)
        room.callback(self.finish)

    @property
    def logfile(self):
        return f"logfile={self.fifo}"

    def finish(self):
        with open(self.fifo, "w", encoding="ascii") as end:
            end.write("end\n")
        self.ended.wait(10)

    def begin_run(self, operation=None, requests=0, action=None):
        """From now on it is the next run; at its so-maniest request of that kind the action is called."""
        with self.lock:
            self.earlier |= self.present
            self.present = set()
            self.repeated = 0
            self.fuse = (operation, requests, action) if operation else None

    def end_run(self):
        """Bytes asked for in this run that an earlier one had asked for."""
        with self.lock:
            self.fuse = None
            return self.repeated

    ended = None

    def listen(self):
        self.ended = threading.Event()
        for line in self.reading:
            if line == "end\n":
                break
            found = LINE.search(line)
            if found:
                self.count(found[1], int(found[2], 16), int(found[3], 16))
        self.ended.set()

    def count(self, operation, offset, count):
        with self.lock:
            self.bytes[operation] += count
            if operation != "Zero":
                for cluster in range(offset // CLUSTER, -(-(offset + count) // CLUSTER)):
                    self.repeated += CLUSTER if cluster in self.earlier else 0
                    self.present.add(cluster)
            if self.fuse and self.fuse[0] == operation:
                kind, left, action = self.fuse
                self.fuse = (kind, left - 1, action) if left > 1 else None
                if left == 1:
                    action()
