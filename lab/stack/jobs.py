"""Asynchronous jobs: accepted at once, done later, asked for until they are done.

A job runs in a thread of its own. Jobs on one machine come one after another. A restart of the server ends what runs:
nothing that such a job has not done yet is done.
"""

import dataclasses
import threading
import time
import traceback
import uuid

from . import params, refusal
from .world import fresh_id, now

RUNNING, DONE, FAILED = 0, 1, 2
RESTARTED = "job cancelled because of management server restart or shutdown"


@dataclasses.dataclass(eq=False)
class Job:
    id: str
    command: object
    account: object
    created: str
    created_mono: float
    status: int = RUNNING
    code: int = 0
    result: object = None
    completed: str = None
    instance: tuple = (None, None)  # kind as the API names it, UUID
    machine: object = None
    removed: bool = False           # found no more

    def row(self):
        return {"jobid": self.id, "accountid": self.account.id, "userid": self.account.id,
                "cmd": self.command.java_class,
                "jobstatus": self.status, "jobprocstatus": 0, "jobresultcode": self.code,
                "jobresulttype": None if self.status == RUNNING else "object", "jobresult": self.result,
                "jobinstancetype": self.instance[0], "jobinstanceid": self.instance[1], "created": self.created,
                "completed": self.completed}


class Jobs:
    def __init__(self, lab):
        self.lab = lab
        self.world = lab.world
        self.table = lab.world.tables["job"]
        self.changed = threading.Condition(self.world.lock)
        self.boot = 0               # which life of the server this is
        self.queues = {}            # machine: jobs that wait for it, the first one running
        self.closed = False

    def submit(self, call):
        """Accept a call: its job. The parameters have been looked at, nothing else."""
        job = Job(self.job_id(call), call.command, call.account, now(), time.monotonic())
        subject = call.args.get("virtualmachineid") or call.args.get("id")
        job.machine = subject if hasattr(subject, "nics") else getattr(subject, "machine", None)
        if subject is not None:
            job.instance = ("VirtualMachine" if hasattr(subject, "nics") else "Volume", subject.id)
        self.table[job.id] = job
        if job.machine is not None:
            self.queues.setdefault(job.machine, []).append(job)
        threading.Thread(target=self.run, args=(job, call, self.boot), daemon=True).start()
        return job

    def job_id(self, call):
        wanted = call.args.get("customjobid")
        if not wanted:
            return fresh_id()
        if not params.UUID.fullmatch(wanted):
            raise refusal.invalid(f"The UUID {wanted} of the job is not valid")
        if wanted in self.table:
            raise refusal.invalid(f"The UUID {wanted} of the job is already in use")
        return str(uuid.UUID(wanted))

    def run(self, job, call, boot):
        with self.changed:
            alive = lambda: self.boot == boot and not self.closed      # noqa: E731
            self.changed.wait_for(lambda: not alive() or self.turn(job))
            rule = self.lab.faults.take("job", call.command.name, account=call.account) or {}
            delay = rule.get("delay_ms", self.world.site.job_ms) / 1000
            self.changed.wait_for(lambda: not alive(), delay)
            if rule.get("action") == "hang":
                self.changed.wait_for(lambda: not alive())
            if alive():
                outcome = self.outcome(call, rule)
                if rule.get("action") == "hang-after":
                    self.changed.wait_for(lambda: not alive())
                if alive():
                    job.status, job.code, job.result = outcome
                    self.note_instance(job)
                    job.completed = now()
            if job in self.queues.get(job.machine, ()):
                self.queues[job.machine].remove(job)
            self.changed.notify_all()

    def turn(self, job):
        return job.machine is None or self.queues[job.machine][0] is job

    def outcome(self, call, rule):
        """(status, code, result) of doing it."""
        try:
            if "code" in rule:
                raise refusal.Refusal(rule["code"], rule.get("text", "the lab was told to"))
            return DONE, 0, self.lab.service.perform(call)
        except refusal.Refusal as error:
            return FAILED, error.in_job, {"errorcode": error.in_job, "errortext": error.text}
        except Exception as error:      # pylint: disable=broad-except
            traceback.print_exc()       # a mistake of the lab: whoever ended it sees it
            return FAILED, refusal.INTERNAL, {"errorcode": refusal.INTERNAL,
                                              "errortext": f"the lab is wrong: {error!r}"}

    @staticmethod
    def note_instance(job):
        for name, word in (("virtualmachine", "VirtualMachine"), ("volume", "Volume")):
            if isinstance(job.result, dict) and name in job.result and job.instance[0] is None:
                job.instance = (word, job.result[name]["id"])

    # What calls ask for.

    def kept(self, job):
        """Whether a job is still known: what is done is forgotten after a time."""
        minutes = float(self.world.setting("job.expire.minutes"))
        return job.status == RUNNING or time.monotonic() - job.created_mono < minutes * 60

    def find(self, key):
        job = self.table.get(key)
        return job if job is not None and self.kept(job) and not job.removed else None

    def query(self, call):
        args = call.args
        if "jobid" in args:
            job = args["jobid"]
        elif "resourceid" in args and "resourcetype" in args:
            wanted = (args["resourcetype"].lower(), args["resourceid"])
            found = [item for item in self.table.values() if not item.removed and item.instance[0]
                     and (item.instance[0].lower(), item.instance[1]) == wanted]
            if not found:
                raise refusal.invalid("Unable to find a job of that resource")
            job = found[-1]
        else:
            raise refusal.invalid("Expected parameter job id or parameters resource type and resource id")
        if job.account is not call.account and not call.account.admin:
            raise refusal.denied("Permission denied for the job")
        return job.row()

    def list(self, call):
        return [job.row() for job in self.table.values() if not job.removed and self.kept(job)
                and (job.account is call.account or (call.account.admin and call.args.get("listall")))]

    # What happens to the server.

    def restart(self, forget=True):
        """What runs is lost; its job is gone, or it says that it was cancelled."""
        with self.changed:
            self.boot += 1
            lost = [job for job in self.table.values() if job.status == RUNNING and not job.removed]
            for job in lost:
                job.removed = forget
                job.status, job.code, job.completed = FAILED, refusal.INTERNAL, now()
                job.result = {"errorcode": refusal.INTERNAL, "errortext": RESTARTED}
            self.changed.notify_all()
            return [job.id for job in lost]

    def expire(self):
        """As if the time had come at which jobs are forgotten."""
        with self.changed:
            for job in self.table.values():
                job.removed = job.removed or job.status != RUNNING

    def close(self):
        with self.changed:
            self.closed = True
            self.changed.notify_all()
