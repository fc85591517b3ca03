"""lab/supervise.py: one run of the laboratory, from QEMU's start to the script's exit status.

Owns the QEMU process. The invariant: QEMU never outlives this process, however it ends (the kernel kills
it with its parent), and nothing is left on disk but what --keep asked for.

Python, because the job is four streams, several clocks and a dozen ways to end at once; in shell each
would be a process and a temporary file. Called by lab/run, which has checked the options.
"""

import argparse
import ctypes
import gzip
import os
import secrets
import select
import signal
import subprocess
import sys
import time

import machine
import newc
import report
from streams import LAST_LINE, Output, Stream

TIMED_OUT = 124
LAB_BROKE = 125

# Power-on to the script's start takes some 10 s; this catches a machine that will never come up.
BOOT_LIMIT = 300
# One CPU does all the work then, and its time is counted instead of measured.
ICOUNT_SLOWER = 10
# How long a dying machine may go on after the first line of a panic, so that the report arrives whole.
PANIC_GRACE = 3
# How long dom0 may take to hand over its logs.
LOGS_GRACE = 30


class Ended(Exception):
    """The run is over: its exit status, and the reason when that is not the script's own."""

    def __init__(self, status, reason=None, show=()):
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.show = show  # the streams whose last lines explain it


class Signalled(BaseException):
    """A signal asked this process to end."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number


def die_with_parent():
    """In the child, before it becomes QEMU: be killed with the parent, and leave Ctrl-C to it."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    os.setpgid(0, 0)


class Run:
    # boot -> script -> logs -> (ended), and script -> timed-out -> (ended); any -> panic -> (ended)
    def __init__(self, options):
        self.options = options
        self.streams = [
            Stream("hypervisor", remember=True), Stream("output"), Stream("control"), Stream("dom0", remember=True),
            Stream("output"), Stream("control"),
        ]
        self.hypervisor, self.dom0 = self.streams[0], self.streams[3]
        self.outputs = self.streams[1], self.streams[4]
        self.controls = self.streams[2], self.streams[5]
        self.control = None  # the one that dom0 has chosen
        self.number = secrets.token_hex(8)
        self.output = Output(self.number)
        self.output_log = bytearray()
        self.qemu = None
        self.qemu_said = os.memfd_create("qemu-said")
        self.slower = ICOUNT_SLOWER if options.icount else 1
        self.panic = None
        self.done = False
        self.logs_length = None
        self.logs = {}
        self.enter("boot", BOOT_LIMIT * self.slower)

    def enter(self, state, limit):
        self.state = state
        self.limit = limit
        self.deadline = time.monotonic() + limit

    # Starting

    def initramfs(self):
        """dom0's file system, with the script and its files appended."""
        opts = self.options
        conf = f"SCRIPT='{opts.script_name}'\nKEEP={'1' if opts.keep else ''}\nNUMBER={self.number}\n"
        members = [("run.conf", 0o644, conf.encode())]
        for file in [f"{opts.script_name}={opts.script}"] + opts.file:
            name, path = file.split("=", 1)
            with open(path, "rb") as contents:
                mode = os.fstat(contents.fileno()).st_mode & 0o777
                members.append((f"lab/{name}", mode, contents.read()))
        with open(opts.initramfs, "rb") as base:
            data = base.read()
        return machine.memory_file("initramfs", data + b"\0" * (-len(data) % 4), newc.archive(members))

    def xen(self):
        """The hypervisor. QEMU's multiboot loader takes the 32-bit ELF file and nothing else."""
        with open(self.options.xen, "rb") as file:
            data = file.read()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        if data[:5] != b"\x7fELF\x01":
            raise Ended(LAB_BROKE, f"{self.options.xen} is no 32-bit ELF hypervisor (xen or xen.gz, not xen-syms)")
        return machine.memory_file("xen", data)

    def start(self):
        opts = self.options
        try:
            fds = {"xen": self.xen(), "initramfs": self.initramfs(), "kernel": os.open(opts.kernel, os.O_RDONLY)}
        except OSError as error:
            raise Ended(LAB_BROKE, f"cannot read {error.filename}: {error.strerror}") from None
        ports = [stream.theirs.fileno() for stream in self.streams]
        argv = machine.command(
            opts.qemu, opts.accel, fds, ports,
            memory=opts.memory, cpus=opts.cpus, dom0_memory=opts.dom0_memory, icount=opts.icount,
            xen_extra=os.environ.get("LAB_XEN_ARGS", ""), dom0_extra=os.environ.get("LAB_DOM0_ARGS", ""),
            extra=os.environ.get("LAB_QEMU_ARGS", "").split(),
        )
        try:
            self.qemu = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=self.qemu_said, stderr=self.qemu_said,
                pass_fds=ports + list(fds.values()), preexec_fn=die_with_parent,
            )
        except OSError as error:
            raise Ended(LAB_BROKE, f"cannot start {opts.qemu}: {error.strerror}") from None
        for stream in self.streams:
            stream.theirs.close()
        for fd in fds.values():
            os.close(fd)

    # Running

    def loop(self):
        """Moves bytes until something raises Ended."""
        poll = select.poll()
        for stream in self.streams:
            poll.register(stream.ours, select.POLLIN)
        qemu_fd = os.pidfd_open(self.qemu.pid)
        poll.register(qemu_fd, select.POLLIN)
        owner_fd = self.open_owner()
        if owner_fd is not None:
            poll.register(owner_fd, select.POLLIN)
        while True:
            left = max(0.0, self.deadline - time.monotonic())
            ready = dict(poll.poll(left * 1000))
            for stream in self.streams:
                if ready.get(stream.ours.fileno(), 0) & ~select.POLLIN:
                    poll.unregister(stream.ours)  # closed; qemu_fd tells the rest
            self.pump()
            if owner_fd in ready:
                raise Ended(LAB_BROKE, "the process that wanted this run is gone")
            if qemu_fd in ready:
                raise self.qemu_quit()
            if time.monotonic() >= self.deadline:
                self.time_is_up()

    @staticmethod
    def open_owner():
        """LAB_OWNER names a process without which nobody wants this run any more."""
        pid = os.environ.get("LAB_OWNER")
        try:
            return os.pidfd_open(int(pid)) if pid else None
        except (OSError, ValueError):
            raise Ended(LAB_BROKE, f"LAB_OWNER={pid} is no process") from None

    def pump(self):
        for stream in (self.hypervisor, self.dom0):
            stream.receive()
            while (line := stream.take_line()) is not None:
                verdict = stream.panic(line)
                if verdict and self.panic is None:
                    self.panic = verdict
                    self.enter("panic", PANIC_GRACE)
                if self.panic and LAST_LINE.search(line):
                    self.enter("panic", 0)
        self.forward()
        for stream in self.controls:
            stream.receive()
            while self.take_message(stream):
                pass
        if self.done and (self.output.status is not None or self.state == "timed-out"):
            raise self.script_ended()

    def forward(self):
        """The script's output goes to stdout as it comes."""
        for stream in self.outputs:
            stream.receive()
            data = self.output.pass_on(stream.take_all())
            if self.options.keep:
                self.output_log += data
            while data:
                data = data[os.write(1, data):]
        if self.output.status is not None and self.state == "script":
            self.enter("logs", LOGS_GRACE * self.slower)

    def take_message(self, stream):
        """One message of lab/dom0/init. False when none is complete."""
        if self.logs_length is not None:
            archive = stream.take_bytes(self.logs_length)
            if archive is None:
                return False
            self.logs_length = None
            self.logs = report.unpack(archive)
            return True
        line = stream.take_line()
        if line is None:
            return False
        word, _, rest = line.decode(errors="replace").partition(" ")
        if word == "ready":
            self.control = stream
            self.enter("script", self.options.timeout)
        elif word == "broke":
            raise Ended(LAB_BROKE, rest, (self.hypervisor, self.dom0))
        elif word == "logs":
            self.logs_length = int(rest)
        elif word == "done":
            self.done = True
        return True

    # Ending

    def time_is_up(self):
        if self.state == "boot":
            raise Ended(LAB_BROKE, f"dom0 was not up after {self.limit} s", (self.hypervisor, self.dom0))
        if self.state == "panic":
            raise self.panicked()
        if self.state == "script":
            self.control.send(b"logs\n")
            self.enter("timed-out", LOGS_GRACE * self.slower)
            return
        if self.state == "logs":
            report.say("dom0 did not hand over its logs")
        raise self.script_ended()

    def script_ended(self):
        if self.output.status is not None:
            return Ended(self.output.status)
        return Ended(TIMED_OUT, f"time-out: the script ran for {self.options.timeout} s", (self.hypervisor, self.dom0))

    def panicked(self):
        return Ended(LAB_BROKE, self.panic + self.hypervisor.panic_cause(), (self.hypervisor, self.dom0))

    def qemu_quit(self):
        if self.panic:
            return self.panicked()
        status = self.qemu.wait()
        os.lseek(self.qemu_said, 0, os.SEEK_SET)
        with open(self.qemu_said, "rb", closefd=False) as file:
            report.show("QEMU's last words", file.read().decode(errors="replace").splitlines()[-10:])
        where = "before dom0 was up" if self.state == "boot" else "before the script ended"
        return Ended(LAB_BROKE, f"QEMU ended (status {status}) {where}", (self.hypervisor, self.dom0))

    def stop(self):
        if self.qemu:
            self.qemu.kill()
            self.qemu.wait()

def supervise(options):
    """The exit status of the run."""
    run = Run(options)
    try:
        run.start()
        run.loop()
    except Ended as ended:
        run.stop()
        guests = run.logs if ended.status == TIMED_OUT else {}
        report.explain(ended.reason, guests, ended.show, 40 if run.panic else 15)
        return ended.status
    except BrokenPipeError:
        return 128 + signal.SIGPIPE  # nobody reads the output any more
    finally:
        run.stop()
        if options.keep:
            try:
                report.keep(options.keep, run)
            except OSError as error:
                report.say(f"cannot keep the logs in {options.keep}: {error.strerror}")


def parse(argv):
    parser = argparse.ArgumentParser(prog="lab/supervise.py")
    for name in ("qemu", "accel", "xen", "kernel", "initramfs", "script", "script-name", "keep"):
        parser.add_argument(f"--{name}", default="")
    for name in ("memory", "cpus", "dom0-memory", "timeout"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--icount", action="store_true")
    parser.add_argument("file", nargs="*", help="NAME=PATH")
    return parser.parse_args(argv)


def on_signal(number, _frame):
    raise Signalled(number)


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    try:
        status = supervise(parse(sys.argv[1:]))
    except Signalled as signalled:
        # End by the same signal, so that the caller sees why.
        signal.signal(signalled.number, signal.SIG_DFL)
        os.kill(os.getpid(), signalled.number)
        status = 128 + signalled.number
    sys.exit(status)


if __name__ == "__main__":
    main()
