"""A vCenter or an ESXi of the lab with the machines of a site, as vmferry's options name it."""

import contextlib

import lab_vcenter

USER = lab_vcenter.ADMIN
PASSWORD = "not-a-secret-but-told-to-nobody"


def site_of(machines, site=None, **words):
    """A site with one datacenter; words are those of the datacenter."""
    users = {USER: {"password": PASSWORD}, "root": {"password": PASSWORD}}
    return {"users": users, **(site or {}), "datacenters": [{"name": "DC0", "machines": machines, **words}]}


class Lab(lab_vcenter.Lab):
    def __init__(self, directory, site, esxi):
        super().__init__(directory, site, *(["--esxi"] if esxi else []))
        self.user = "root" if esxi else USER.replace("@", "%40")
        self.scheme = "esx" if esxi else "vpx"
        self.password_file = directory / "password"
        self.password_file.write_text(PASSWORD + "\n")
        self.thumbprint = self.facts["thumbprint_sha256"]
        self.nfc_port = str(self.facts["nfc_port"])

    @property
    def url(self):
        return f"{self.scheme}://{self.user}@{self.facts['host']}:{self.facts['port']}"

    @property
    def options(self):
        return ["--password-file", self.password_file, "--thumbprint", self.thumbprint]


@contextlib.contextmanager
def serving(directory, site, esxi=False):
    running = Lab(directory, site, esxi)
    try:
        yield running
    except BaseException:
        running.process.kill()
        running.process.wait()
        raise
    running.close()
