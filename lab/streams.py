"""lab/streams.py: the emulated machine's ports as streams, and what a dying machine says on them.

The consoles' streams remember every byte, because only the end tells which of them matter. Called by
lab/supervise.py.
"""

import re
import socket

# What the hypervisor prints on its own port also carries dom0's kernel (unmarked lines); this keeps the
# hypervisor's words and those of guests that it prints as "(d1) ...".
_HYPERVISOR_WORDS = re.compile(rb"\((?:XEN|d\d+)\) .*")

# Lines after which their speaker does nothing useful any more. They are matched at the start, so that
# a guest's own words ("(d1) ...") cannot look like the hypervisor's or dom0's.
PANICS = (
    ("hypervisor", "the hypervisor panicked",
     re.compile(rb"^\(XEN\) (\[[^]]*\] )?(Panic on CPU|FATAL TRAP|FATAL PAGE FAULT|Xen BUG at|Assertion '.*failed)")),
    ("hypervisor", "dom0 went down", re.compile(rb"^\(XEN\) (\[[^]]*\] )?Hardware Dom0 (crashed|halted|shutdown)")),
    ("dom0", "dom0's kernel panicked", re.compile(rb"^(\[[ .0-9]*\] )?Kernel panic - not syncing")),
    ("dom0", "dom0's files did not fit (--dom0-memory)", re.compile(rb"^(\[[ .0-9]*\] )?Initramfs unpacking failed")),
)

# The hypervisor's very last line after a panic: nothing more will come.
LAST_LINE = re.compile(rb"^\(XEN\) .*(Manual reset required|'noreboot' set - not rebooting)")


class Stream:
    """One port: a socket whose other end QEMU inherits. `log` is all that came, when it is to be remembered."""

    def __init__(self, name, remember=False):
        self.name = name
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.log = bytearray() if remember else None
        self._unread = bytearray()

    def receive(self):
        """Fetches what has arrived, for the take functions."""
        data = bytearray()
        while True:
            try:
                chunk = self.ours.recv(65536)
            except (BlockingIOError, ConnectionResetError):
                break
            if not chunk:
                break
            data += chunk
        self._unread += data
        if self.log is not None:
            self.log += data

    def send(self, data):
        self.ours.setblocking(True)
        try:
            self.ours.sendall(data)
        except OSError:
            pass  # QEMU is gone; whoever watches the process will say so
        self.ours.setblocking(False)

    def take_line(self):
        """The next whole line without its end, or None."""
        line, end, rest = self._unread.partition(b"\n")
        if not end:
            return None
        self._unread = rest
        return bytes(line).rstrip(b"\r")

    def take_all(self):
        data = bytes(self._unread)
        self._unread.clear()
        return data

    def take_bytes(self, length):
        """The next `length` bytes, or None as long as they are not all there."""
        if len(self._unread) < length:
            return None
        data = bytes(self._unread[:length])
        del self._unread[:length]
        return data

    def panic(self, line):
        """What `line` says about the end of this stream's speaker, or None."""
        for name, verdict, pattern in PANICS:
            if name == self.name and pattern.search(line):
                return f"{verdict}: {line.decode(errors='replace')}"
        return None

    def panic_cause(self):
        """The line behind "Panic on CPU": the hypervisor says there what it died of."""
        _, found, rest = self.text().partition(b"Panic on CPU ")
        lines = rest.decode(errors="replace").split("\n")
        return f" {lines[1].strip()}" if found and len(lines) > 1 else ""

    def text(self):
        """All that was said, as lines without carriage returns."""
        data = bytes(self.log).replace(b"\r", b"")
        if self.name == "hypervisor":
            found = (_HYPERVISOR_WORDS.search(line) for line in data.split(b"\n"))
            data = b"".join(match.group() + b"\n" for match in found if match)
        return data

    def tail(self, count):
        """The last `count` lines that are not empty."""
        lines = [line for line in self.text().decode(errors="replace").split("\n") if line.strip()]
        return lines[-count:]


class Output:
    """The script's output on its way to stdout, up to the mark that dom0's init puts behind it.

    The mark travels the same way as the output, so that nothing can arrive after it. It is a NUL, a
    number that nobody can guess, a blank, the script's exit status and a newline.
    """

    def __init__(self, number):
        self._mark = f"\0{number} ".encode()
        self._held = b""
        self.status = None

    def pass_on(self, data):
        """What of `data` may be shown now. The start of what could become the mark is held back."""
        if self.status is not None:
            return b""
        data = self._held + data
        self._held = b""
        shown, mark, rest = data.partition(self._mark)
        if mark:
            status, end, _ = rest.partition(b"\n")
            if end:
                self.status = int(status)
            else:
                self._held = mark + rest
            return shown
        start = data.rfind(b"\0", -len(self._mark))
        if start >= 0 and self._mark.startswith(data[start:]):
            self._held = data[start:]
            data = data[:start]
        return data
