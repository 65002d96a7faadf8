"""The lab as a whole: it puts the parts together, starts them and ends them."""

import pathlib

from vsphere import tls

from . import control, faults, jobs, server, service, world
from .commands import COMMANDS


class Lab:
    def __init__(self, site, directory, port=0, plain=False):
        missing = set(COMMANDS) - set(service.LISTS) - set(service.CHANGES) - set(service.OWN_WORDS)
        if missing:
            raise LookupError(f"nothing answers to {', '.join(sorted(missing))}")
        self.site = site
        self.dir = pathlib.Path(directory).resolve()
        self.dir.mkdir(parents=True, exist_ok=True)
        self.certificates = None if plain else tls.Certificates(self.dir, ["localhost", "127.0.0.1"])
        self.world = world.World(site, self.dir)
        self.faults = faults.rules()
        self.service = service.Service(self)
        self.jobs = jobs.Jobs(self)
        self.server = server.Server(self, port, self.certificates and self.certificates.context())
        self.control = control.Control(self)

    def start(self):
        self.server.serve()
        self.control.serve()

    def facts(self):
        """What is printed when the lab serves."""
        certificates = self.certificates
        return {"url": f"{'https' if certificates else 'http'}://127.0.0.1:{self.server.port}{server.PATH}",
                "host": "127.0.0.1", "port": self.server.port, "ca": certificates and str(certificates.ca),
                "thumbprint_sha256": certificates and certificates.thumbprint_sha256,
                "control": str(self.control.path),
                "pools": {item.name: item.dir for item in self.site.pools},
                "ids": {kind: {item.name: item.id for item in self.world.all(kind)} for kind in
                        ("zone", "cluster", "host", "pool", "network", "serviceoffering", "diskoffering", "domain",
                         "account", "project", "ostype")}}

    def close(self):
        self.control.close()
        self.jobs.close()
        self.server.end()
