"""lab/machine.py: the emulated machine's shape, that is QEMU's command line and the two others behind it.

Every file goes to QEMU as an inherited descriptor (/proc/self/fd/N): a path with a comma or a blank
would be taken apart by -initrd, and nothing needs a folder on disk that somebody would have to remove.

The ports, as lab/dom0/init knows them:
    com1            the hypervisor's console
    com2, "output"  the script's output
    com3, "control" messages between dom0's init and lab/run
    com4            dom0's console
"output" and "control" are virtio ports: a paravirtual dom0 traps at every byte for a serial port, which makes
some 15 KB/s. The serial ones serve until dom0 has loaded the driver, and where its kernel has none.
Called by lab/supervise.py (a run) and lab/accel (the KVM probe).
"""

import os

# I/O base and interrupt of each port. Sharing the traditional two interrupts would not do: the hypervisor
# keeps COM1's for itself.
_SERIAL = ((0x3F8, 4), (0x2F8, 3), (0x3E8, 5), (0x2E8, 7))

# guest_loglvl=all prints every message of the hypervisor about a guest, without a rate limit.
# noreboot: after a panic the machine stands still until lab/run has read the last line.
# bootscrub: memory of a new emulated machine is zero already.
XEN_ARGS = (
    "com1=115200,8n1 console=com1 loglvl=all guest_loglvl=all conring_size=512k noreboot bootscrub=no "
    "dom0_mem={dom0_memory}M,max:{dom0_memory}M dom0_max_vcpus=1 dom0_vcpus_pin"
)
# ttyS3 is com4, which costs time: warnings only (LAB_DOM0_ARGS=loglevel=7 for all; dmesg has all anyway).
# The bounce buffer for DMA (swiotlb) would take 64 MiB for devices that do not exist. A tmpfs as root
# (the default) would hold no more than half of dom0's memory.
DOM0_ARGS = (
    "console=ttyS3 rdinit=/init rootfstype=ramfs panic=0 swiotlb=512 apparmor=0 audit=0 lsm= "
    "i8042.noaux i8042.nokbd cryptomgr.notests loglevel=5"
)


def _fd_path(fd):
    return f"/proc/self/fd/{fd}"


def accel_args(accel, cpus, icount):
    """QEMU's options for the processor. With TCG SMAP is off: QEMU's iretq to ring 3 checks it wrongly."""
    if icount:
        return ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-cpu", "max,-smap", "-smp", "1"]
    if accel == "kvm":
        return ["-accel", "kvm", "-cpu", "host", "-smp", str(cpus)]
    return ["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max,-smap", "-smp", str(cpus)]


def command(qemu, accel, fds, ports, *, memory, cpus, dom0_memory, icount, xen_extra="", dom0_extra="", extra=()):
    """QEMU's argument list. `fds` has xen, kernel and initramfs; `ports` the sockets of the ports, in the order above."""
    dom0 = f"{DOM0_ARGS} {dom0_extra}".strip().replace(",", ",,")
    argv = [qemu, "-nodefaults", "-no-user-config", "-display", "none", "-vga", "none", "-no-reboot"]
    argv += ["-M", "q35,hpet=on", "-m", str(memory)] + accel_args(accel, cpus, icount)
    argv += ["-kernel", _fd_path(fds["xen"])]
    argv += ["-append", f"{XEN_ARGS.format(dom0_memory=dom0_memory)} {xen_extra}".strip()]
    argv += ["-initrd", f"{_fd_path(fds['kernel'])} {dom0},{_fd_path(fds['initramfs'])}"]
    for index, ((base, irq), fd) in enumerate(zip(_SERIAL, ports)):
        name = f"com{index + 1}"
        argv += ["-chardev", f"socket,id={name},fd={fd}"]
        argv += ["-device", f"isa-serial,chardev={name},index={index},iobase={base},irq={irq}"]
    argv += ["-device", "virtio-serial-pci,max_ports=4"]
    for name, fd in zip(("output", "control"), ports[len(_SERIAL):]):
        argv += ["-chardev", f"socket,id={name},fd={fd}"]
        argv += ["-device", f"virtserialport,chardev={name},name={name}"]
    return argv + list(extra)


def memory_file(name, *contents):
    """A file in memory with these contents, one after the other. Returns its descriptor."""
    fd = os.memfd_create(name, 0)
    with open(fd, "wb", closefd=False) as out:
        for data in contents:
            out.write(data)
    return fd
