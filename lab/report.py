"""lab/report.py: what is left of a run: the evidence on stderr, the logs of --keep.

Called by lab/supervise.py.
"""

import io
import os
import sys
import tarfile

_GUEST_TAIL = 15  # lines of each guest's console that a time-out shows


def say(text):
    print(f"lab/run: {text}", file=sys.stderr, flush=True)


def show(title, lines):
    """Lines of evidence, under a title."""
    if lines:
        print(f"--- {title}", *lines, sep="\n", file=sys.stderr, flush=True)


def unpack(archive):
    """The files in dom0's tar.gz, by name. Of a path only the last part: dom0 does not choose where it goes."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {os.path.basename(member.name): tar.extractfile(member).read() for member in tar if member.isfile()}


def explain(reason, logs, consoles, count):
    """The ends of the guests' and of the given consoles (`count` lines of each of these), then the verdict."""
    for name, text in sorted(logs.items()):
        if name.startswith("guest-"):
            lines = text.decode(errors="replace").replace("\r", "").splitlines()
            show(f"{name}, its end", lines[-_GUEST_TAIL:])
    for console in consoles:
        show(f"the end of the console of {console.name}", console.tail(count))
    if reason:
        say(reason)


def keep(folder, run):
    """Saves the logs of a run: dom0's files, and the streams that this side has seen."""
    files = dict(run.logs)
    files["script.log"] = run.output_log
    files["hypervisor.log"] = run.hypervisor.text()
    files["dom0.log"] = run.dom0.text()
    os.makedirs(folder, exist_ok=True)
    for name, text in files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(text)
