"""Tasks: work that a machine has going on, and the record of it that clients follow.

A task is queued, runs in a thread of its own and ends in success or error; after a while it is forgotten, and its
reference is as good as never given. A machine has one at a time.
"""

import itertools
import threading
import time
import traceback

from . import fault as faults
from . import session
from .fault import Fault
from .links import StorageFault
from .machine_methods import fault_of
from .schema import Obj, Ref, Typed

RECENT_MAX = 10
QUEUED = 0.25               # of what a task takes
QUESTION_SECONDS = 0.05


class Task:
    def __init__(self, tasks, name, entity, user):
        number = next(tasks.numbers)
        self.tasks = tasks
        self.ref = Ref("Task", f"haTask-{entity.ref.value}-{name}-{number}" if tasks.lab.esxi else f"task-{number}")
        self.name = name
        self.entity = entity
        self.user = user
        self.state = "queued"
        self.progress = None
        self.error = None
        self.result = None
        self.cancelled = False
        self.cancelable = True          # as long as it has done nothing
        self.cancel = threading.Event()
        self.number = number
        self.queued, self.started, self.completed = session.now(), None, None
        self.done_at = None             # time.monotonic
        self.done = threading.Event()
        self.rule = None

    def prop(self, name):
        if name != "info":
            raise KeyError(name)
        entity = self.entity
        method = self.name.removesuffix("_Task")
        owner = "vm.Snapshot" if "Snapshot_" in self.name and self.name.startswith("Rem") else "VirtualMachine"
        return Obj("TaskInfo", key=self.ref.value, task=self.ref, name=self.name,
                   descriptionId=f"{owner}.{method[0].lower()}{method[1:]}", entity=entity.ref, entityName=entity.name,
                   state=self.state, cancelled=self.cancelled, cancelable=self.cancelable,
                   error=self.error and self.error.localized, progress=self.progress,
                   result=self.result and Typed(self.result, "ManagedObject", False),
                   reason=Obj("TaskReasonUser", userName=self.user), queueTime=self.queued, startTime=self.started,
                   completeTime=self.completed, eventChainId=self.number)

    def pause(self, seconds):
        """It has not begun yet, and can be cancelled."""
        if self.cancel.wait(seconds):
            self.cancelled = True
            raise Fault("RequestCanceled")

    def set_progress(self, percent):
        self.progress = percent
        self.tasks.lab.changes.touch(self.ref)


class Tasks:
    """All tasks that are not forgotten yet."""

    def __init__(self, lab):
        self.lab = lab
        self.numbers = itertools.count(1)
        self.lock = threading.Lock()
        self.all = {}

    def start(self, name, machine, user, work):
        """Begin a task on a machine: `work(task)` does it and returns the result. TaskInProgress when it has one."""
        with machine.lock:
            if machine.busy is not None:
                raise Fault("TaskInProgress", task=machine.busy.ref)
            task = Task(self, name, machine, user)
            machine.busy = task
        with self.lock:
            self.all[task.ref] = task
        self.lab.changes.touch(task.ref, machine.ref)
        threading.Thread(target=self.run, args=(task, machine, work), daemon=True, name=task.ref.value).start()
        return task.ref

    def run(self, task, machine, work):
        try:
            rule = self.lab.faults.take("task", task.name, machine=machine)
            seconds = (self.lab.site.task_delay_ms + (rule or {}).get("delay_ms", 0)) / 1000
            task.pause(seconds * QUEUED)
            task.state, task.started = "running", session.now()
            task.set_progress(0)
            while machine.question is not None:     # nothing goes on until it is answered
                task.pause(QUESTION_SECONDS)
            task.cancelable = False
            self.delay(task, seconds * (1 - QUEUED))
            if rule and "fault" in rule:
                raise faults.of_rule(rule, task=task.ref, obj=machine.ref, existingState=machine.power)
            task.rule = rule
            task.result = work(task)
            task.progress = None
            state = "success"
        except Fault as error:
            task.error, state = error, "error"
        except StorageFault as error:
            task.error, state = fault_of(error), "error"
        except Exception as error:      # a mistake of the lab must end the task, and be seen
            traceback.print_exc()
            task.error, state = Fault("SystemError", f"lab: {error!r}", reason=repr(error)), "error"
        with machine.lock:
            machine.busy = None
        task.completed, task.done_at = session.now(), time.monotonic()
        task.state = state
        task.done.set()
        machine.touch()
        self.lab.changes.touch(task.ref)

    @staticmethod
    def delay(task, seconds):
        """What the site and a rule say that it takes, in steps of its progress."""
        steps = min(max(int(seconds * 10), 1), 20)
        for step in range(steps if seconds else 0):
            time.sleep(seconds / steps)
            task.set_progress(min(95, 100 * (step + 1) // steps))

    def get(self, ref):
        """The task, or None when it is forgotten or never was."""
        with self.lock:
            self.forget()
            return self.all.get(ref)

    def forget(self):
        limit = time.monotonic() - self.lab.site.task_keep_s
        for ref in [ref for ref, task in self.all.items() if task.done_at is not None and task.done_at < limit]:
            del self.all[ref]

    def recent(self, entity=None):
        """The references of the latest tasks, of one entity or of all."""
        with self.lock:
            self.forget()
            refs = [ref for ref, task in self.all.items() if entity is None or task.entity.ref == entity]
        return refs[-RECENT_MAX:]

    def running(self):
        with self.lock:
            return [task for task in self.all.values() if task.done_at is None]
