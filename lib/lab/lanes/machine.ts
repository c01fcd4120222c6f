import { copyFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { initCpus } from '../disk/init.ts';
import { makeIso } from '../disk/medium.ts';
import { LabEmulatorError } from '../errors.ts';
import type { BochsTraits, Emulator, QemuTraits } from './emulator.ts';

/** What a machine is started with. */
export interface MachineParts {
  /** The run's own folder: the emulator works in it, so that no path has to be quoted in its configuration. */
  dir: string;
  kernel: string;
  initramfs: Buffer;
  cmdline: string;
  medium: string;
}

/** How the emulator is called; its working directory is the run's folder. */
export interface Invocation {
  args: string[];
  env: NodeJS.ProcessEnv;
}

/** Where a line's socket listens: QEMU takes a path, Bochs a TCP port. */
export interface LineAddress {
  path: string;
  port: number;
}

const common = ['console=ttyS0,115200', 'quiet', 'panic=-1', 'printk.devkmsg=on', 'no_timer_check'];

/** Instructions per emulated second; what haswell takes for the frequency of its TSC, and other models are told. */
const bochsIps = 200_000_000;

/**
 * QEMU runs each CPU on a thread of its own. In QEMU 7.2 the XRSTOR and FXRSTOR of every one clear a bit in the first CPU's hflags2
 * (cpu_clear_ignne), without a lock. A VMRUN or #VMEXIT on the first CPU that falls in between loses what it changed
 * there: seen as a guest that runs on without its nested page tables. So no guest runs on the first CPU: init has the
 * others, and with it every process.
 */
const qemuCpus = 3;
const qemuInitCpus = 0b110;

/** The kernel's command line: the lane's defaults and behind them, so that it wins, what the user adds. */
export function kernelCommandLine(emulator: Emulator, extra: string | undefined, verbose: boolean): string {
  const own =
    emulator.kind === 'bochs'
      ? // Without nomwait, an idle CPU of two sometimes never woke.
        ['idle=nomwait', `tsc_early_khz=${bochsIps / 1000}`]
      : [`${initCpus}=${qemuInitCpus.toString(16)}`];
  const words = verbose ? common.map((word) => (word === 'quiet' ? 'ignore_loglevel' : word)) : common;
  return [...words, ...own, ...(extra ? [extra] : [])].join(' ');
}

/** Lays out a machine's files and says how to start its emulator. */
export async function layOut(emulator: Emulator, parts: MachineParts, lines: LineAddress[]): Promise<Invocation> {
  symlinkSync(parts.medium, join(parts.dir, 'medium.iso'));
  writeFileSync(join(parts.dir, 'initrd'), parts.initramfs);
  return emulator.kind === 'bochs' ? layOutBochs(emulator, parts, lines) : layOutQemu(emulator, parts, lines);
}

async function layOutBochs(bochs: BochsTraits, parts: MachineParts, lines: LineAddress[]): Promise<Invocation> {
  const { dir } = parts;
  await makeBootDisc(parts);
  // Links have names without spaces and commas, which the configuration's syntax could not hold.
  symlinkSync(bochs.bios, join(dir, 'bios'));
  symlinkSync(bochs.vgaBios, join(dir, 'vgabios'));
  const ports = lines.map(({ port }, index) => `com${index + 1}: enabled=1, mode=socket-client, dev=localhost:${port}`);
  const configuration = [
    'romimage: file=bios, options=fastboot',
    'vgaromimage: file=vgabios',
    `display_library: ${bochs.display}`,
    'memory: guest=512, host=512',
    `cpu: model=${bochs.cpuModel}, count=1, ips=${bochsIps}, reset_on_triple_fault=0, ignore_bad_msrs=1`,
    'clock: sync=none, time0=utc',
    // As disks: the firmware and the kernel are quicker with these than with CDs, and with one channel than with two.
    // Volatile: nothing that a guest does can change a file, which other guests may read as well.
    'ata0-master: type=disk, mode=volatile, path=boot.iso, journal=boot.journal',
    'ata0-slave: type=disk, mode=volatile, path=medium.iso, journal=medium.journal',
    'ata1: enabled=0',
    'boot: disk',
    // A function for VFIO: nothing in the machine uses it, and no network is behind it.
    ...(bochs.e1000
      ? ['e1000: enabled=1, mac=52:54:00:00:00:01, ethmod=null', 'pci: enabled=1, chipset=i440fx, slot3=e1000']
      : []),
    ...ports,
    'log: emulator.log',
    'panic: action=fatal',
    // One line per odd instruction of a guest fills disks.
    'error: action=ignore',
    'info: action=ignore',
    'debug: action=ignore',
  ];
  writeFileSync(join(dir, 'bochsrc'), `${configuration.join('\n')}\n`);
  const args = ['-q', '-f', 'bochsrc'];
  if (bochs.debugger) {
    writeFileSync(join(dir, 'go'), 'c\n');
    args.push('-rc', 'go');
  }
  // The text display wants to know a terminal, though its output goes nowhere.
  return { args, env: { ...process.env, TERM: 'xterm' } };
}

const isolinux = '/usr/lib/ISOLINUX/isolinux.bin';
const hybridStart = '/usr/lib/ISOLINUX/isohdpfx.bin';
const ldlinux = '/usr/lib/syslinux/modules/bios/ldlinux.c32';

async function makeBootDisc({ dir, kernel, cmdline }: MachineParts): Promise<void> {
  const configuration = `serial 0 115200\ndefault lab\nprompt 0\ntimeout 0\nlabel lab\n kernel vmlinuz\n initrd initrd\n append ${cmdline}\n`;
  writeFileSync(join(dir, 'isolinux.cfg'), configuration);
  try {
    // xorriso writes its boot table into the loader: not into the system's copy.
    copyFileSync(isolinux, join(dir, 'isolinux.bin'));
    copyFileSync(ldlinux, join(dir, 'ldlinux.c32'));
  } catch (cause) {
    throw new LabEmulatorError('the boot loader isolinux is not there', {
      advice: 'Run `kvm-dsm lab build`: it installs isolinux and syslinux-common.',
      cause,
    });
  }
  const grafts: [string, string][] = ['isolinux.bin', 'isolinux.cfg', 'ldlinux.c32', 'initrd'].map((name) => [
    `/${name}`,
    join(dir, name),
  ]);
  grafts.push(['/vmlinuz', kernel]);
  const boot = [
    '-isohybrid-mbr',
    hybridStart,
    '-b',
    'isolinux.bin',
    '-c',
    'boot.cat',
    '-no-emul-boot',
    '-boot-load-size',
    '4',
    '-boot-info-table',
  ];
  await makeIso(join(dir, 'boot.iso'), grafts, boot);
}

function layOutQemu(_qemu: QemuTraits, { dir, kernel, cmdline }: MachineParts, lines: LineAddress[]): Invocation {
  symlinkSync(kernel, join(dir, 'vmlinuz'));
  const serial = lines.flatMap((_line, index) => [
    '-chardev',
    `socket,id=line${index + 1},path=line${index + 1}`,
    '-serial',
    `chardev:line${index + 1}`,
  ]);
  const args = [
    ...['-no-user-config', '-nodefaults', '-display', 'none', '-nic', 'none', '-no-reboot'],
    ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', String(qemuCpus), '-m', '512'],
    ...['-kernel', 'vmlinuz', '-initrd', 'initrd', '-append', cmdline],
    ...['-drive', 'file=medium.iso,format=raw,if=virtio,readonly=on'],
    // For a kernel without virtio.
    ...['-drive', 'file=medium.iso,format=raw,if=ide,media=cdrom,readonly=on'],
    // A function for VFIO: nothing in the machine uses it, and no network is behind it.
    ...['-device', 'e1000e,romfile='],
    ...serial,
  ];
  return { args, env: process.env };
}
