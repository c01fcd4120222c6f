/** The vmx lane: KVM-Intel on the Intel CPU that Bochs emulates. */
import { copyFileSync, existsSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { makeIso } from '../disk/iso.ts';
import { LabEmulatorError } from '../errors.ts';
import { findIsolinux, isolinuxNeed } from '../needs/syslinux.ts';
import { ask } from './ask.ts';
import { startOf } from './bochs-start.ts';
import type { Emulator, EmulatorKind, Invocation, JobDisk, Lane, LineAddress, MachineParts } from './lane.ts';
import { JOB_BYTES } from './lane.ts';

/** A Bochs binary. */
export interface Bochs extends Emulator {
  kind: 'bochs';
  /** Built with the debugger: it stops at once and has to be told to go on. */
  debugger: boolean;
  display: string;
  cpuModel: string;
  /** Built with this network adapter. */
  e1000: boolean;
  bios: string;
  vgaBios: string;
}

const bochs: EmulatorKind<Bochs> = {
  kind: 'bochs',
  title: 'Bochs',
  binary: 'bochs',
  elsewhere: { names: [], folders: [] },
  packages: {
    // bochs itself is content with seabios for vgabios, but does not start.
    debian: ['bochs', 'bochs-term', 'bochsbios', 'vgabios'],
    fedora: ['bochs'],
    arch: ['bochs'],
    alpine: ['bochs'],
    suse: ['bochs'],
  },
  emulates: 'Intel VMX',
  recognizes: (help) => /^Usage: bochs /m.test(help),
  probe,
  stillHolds: ({ bios, vgaBios }) => existsSync(bios) && existsSync(vgaBios),
};

/** Instructions per emulated second; what haswell takes for the frequency of its TSC, and other models are told. */
const ips = 200_000_000;

export const vmxBochs = {
  name: 'vmx' as const,
  title: 'the vmx lab (KVM-Intel under Bochs)',
  emulator: bochs,
  needs: [isolinuxNeed],
  cpus: 1,
  initCpus: null,
  clockIsReal: false,
  jobDevice: '/dev/sda',
  lineKind: 'tcp',
  nodeLine: null,
  state: null,
  diskOptions: 'CONFIG_ATA_PIIX with CONFIG_BLK_DEV_SD',
  /** The e1000: an 82540EM. */
  vfioFunction: { vendor: 0x8086, device: 0x100e },
  quirks: {
    stepsBeforeFirst: 'Bochs reports a single step before the first instruction, not after it',
    wasmTierBreaks: false,
    /** Its CPUID tells of more cores than of logical processors. */
    bootReport: 'topology_common.c:57 parse_legacy',
  },
  // APICv is on by itself where the emulator has it.
  variants: [
    { name: 'no-unrestricted-guest', cmdline: 'kvm_intel.unrestricted_guest=0' },
    { name: 'no-flexpriority', cmdline: 'kvm_intel.flexpriority=0' },
    { name: 'no-ept', cmdline: 'kvm_intel.ept=0' },
    { name: 'no-vector-hashing', cmdline: 'kvm.vector_hashing=0' },
  ],
  // Without nomwait, an idle CPU of two sometimes never woke. A guest that was entered with interrupts disabled is not left for
  // the host's (up to 3.0): the lab's kernel takes it out after ten milliseconds.
  kernelWords: () => ['idle=nomwait', `tsc_early_khz=${ips / 1000}`, `kvm_intel.longest_stay=${ips / 100}`],
  layOut,
} satisfies Lane<Bochs>;

function probe(path: string, help: string): Bochs {
  const { version, debugger: debug } = readBochsHelp(help);
  const cpuModel = chooseCpuModel(version, readBochsCpuModels(ask(path, ['--help', 'cpu'])));
  if (!cpuModel) {
    throw new LabEmulatorError(`${path} (Bochs ${version}) has no CPU model with VMX that the lab knows`, {
      advice: 'Use a Bochs that is built for x86-64 with VMX.',
    });
  }
  const display = displays.find((name) => hasDisplay(path, name));
  if (!display) {
    throw new LabEmulatorError(`${path} (Bochs ${version}) has none of the display libraries ${displays.join(', ')}`, {
      advice: "Install the package that has one (Debian's bochs-term), or build Bochs with --with-nogui.",
    });
  }
  return { path, kind: 'bochs', version, debugger: debug, display, cpuModel, e1000: hasE1000(path), ...findBios(path) };
}

/** Reads what `bochs --help` tells. */
export function readBochsHelp(text: string): { version: string; debugger: boolean } {
  return {
    version: /Bochs x86 Emulator (\S+)/.exec(text)?.[1] ?? 'unknown',
    // Only a build with the debugger takes a file of debugger commands.
    debugger: /^\s*-rc\s/m.test(text),
  };
}

/** Reads what `bochs --help cpu` tells. */
export function readBochsCpuModels(text: string): string[] {
  const list = text.slice(text.indexOf('Supported CPU models'));
  return [...list.matchAll(/^([a-z0-9][a-z0-9_]*)$/gm)].map((match) => match[1]!);
}

/**
 * The model to emulate. Up to 2.7 no model has posted interrupts, and haswell's clock is the steadiest. Newer ones
 * have them with skylake_x and later, as today's machines do.
 */
export function chooseCpuModel(version: string, models: readonly string[]): string | undefined {
  const haswell = ['corei7_haswell_4770', 'broadwell_ult', 'corei7_ivy_bridge_3770k', 'corei7_sandy_bridge_2600k'];
  const skylake = ['corei7_skylake_x', 'corei7_icelake_u', 'tigerlake'];
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const modern = major > 2 || (major === 2 && minor > 7);
  return (modern ? [...skylake, ...haswell] : haswell).find((model) => models.includes(model));
}

/** In the order of preference: none of these needs a screen. */
const displays = ['nogui', 'term'];

/** Lets Bochs parse a configuration that names the library, and fail for another reason. */
function hasDisplay(path: string, name: string): boolean {
  const args = ['-n', '-q', `display_library: ${name}`, 'romimage: file=/nonexistent'];
  return !ask(path, args).includes(`display library '${name}' not available`);
}

function hasE1000(path: string): boolean {
  const args = ['-n', '-q', 'e1000: enabled=1, mac=52:54:00:00:00:01, ethmod=null', 'romimage: file=/nonexistent'];
  return !/'(e1000|null)' not (understood|available)/.test(ask(path, args));
}

function findBios(path: string): { bios: string; vgaBios: string } {
  const home = dirname(path);
  const dirs = [process.env.BXSHARE, join(home, '../share/bochs'), join(home, 'bios'), join(home, '../bios'), home];
  dirs.push('/usr/share/bochs', '/usr/local/share/bochs', '/usr/share/vgabios', '/usr/share/seabios', '/usr/lib/bochs');
  const find = (names: string[]) => {
    const found = dirs
      .flatMap((dir) => (dir ? names.map((name) => resolve(dir, name)) : []))
      .find((file) => existsSync(file));
    if (found) return found;
    throw new LabEmulatorError(`the firmware ${names[0]} for ${path} is not there`, {
      advice:
        "Install the package that has it (Debian's bochsbios and vgabios), or set BXSHARE to the folder that holds it.",
    });
  };
  return { bios: find(['BIOS-bochs-latest']), vgaBios: find(['VGABIOS-lgpl-latest', 'VGABIOS-lgpl-latest.bin']) };
}

async function layOut(bochs: Bochs, parts: MachineParts, lines: readonly LineAddress[]): Promise<Invocation> {
  const { dir } = parts;
  await makeBootDisc(parts);
  const jobDisk = parts.serves ? makeJobDisk(join(dir, 'boot.iso')) : undefined;
  // Links have names without spaces and commas, which the configuration's syntax could not hold.
  symlinkSync(bochs.bios, join(dir, 'bios'));
  symlinkSync(bochs.vgaBios, join(dir, 'vgabios'));
  const ports = lines.map(({ port }, index) => `com${index + 1}: enabled=1, mode=socket-client, dev=127.0.0.1:${port}`);
  const configuration = [
    'romimage: file=bios, options=fastboot',
    'vgaromimage: file=vgabios',
    `display_library: ${bochs.display}`,
    'memory: guest=512, host=512',
    `cpu: model=${bochs.cpuModel}, count=${vmxBochs.cpus}, ips=${ips}, reset_on_triple_fault=0, ignore_bad_msrs=1`,
    'clock: sync=none, time0=utc',
    // As disks: the firmware and the kernel are quicker with these than with CDs, and with one channel than with two.
    // Volatile: nothing that the machine does can change a file, which other machines may read as well.
    'ata0-master: type=disk, mode=volatile, path=boot.iso, journal=boot.journal',
    'ata0-slave: type=disk, mode=volatile, path=medium.iso, journal=medium.journal',
    'ata1: enabled=0',
    'boot: disk',
    // The function for VFIO: no network is behind it.
    ...(bochs.e1000
      ? ['e1000: enabled=1, mac=52:54:00:00:00:01, ethmod=null', 'pci: enabled=1, chipset=i440fx, slot3=e1000']
      : []),
    ...ports,
  ];
  return { ...startOf(bochs, dir, configuration), ...(jobDisk ? { jobDisk } : {}) };
}

/**
 * Behind the disc that the machine boots from: a disk more would be looked for by firmware and kernel. Bochs reads its file
 * whenever the machine does, and wants whole cylinders.
 */
function makeJobDisk(path: string): JobDisk {
  const unit = 1 << 20;
  const cylinders = 63 * unit;
  const offset = Math.ceil(statSync(path).size / unit) * unit;
  truncateSync(path, Math.ceil((offset + JOB_BYTES) / cylinders) * cylinders);
  return { path, offset };
}

async function makeBootDisc({ dir, kernel, cmdline }: MachineParts): Promise<void> {
  const configuration = `serial 0 115200\ndefault lab\nprompt 0\ntimeout 0\nlabel lab\n kernel vmlinuz\n initrd initrd\n append ${cmdline}\n`;
  writeFileSync(join(dir, 'isolinux.cfg'), configuration);
  const isolinux = findIsolinux();
  if (!isolinux) {
    throw new LabEmulatorError('the boot loader isolinux is not there', {
      advice: 'Run `kvm-dsm lab build`: it installs it, or says what has it.',
    });
  }
  // xorriso writes its boot table into the loader: not into the system's copy.
  copyFileSync(isolinux.loader, join(dir, 'isolinux.bin'));
  copyFileSync(isolinux.module, join(dir, 'ldlinux.c32'));
  const grafts: [string, string][] = ['isolinux.bin', 'isolinux.cfg', 'ldlinux.c32', 'initrd'].map((name) => [
    `/${name}`,
    join(dir, name),
  ]);
  grafts.push(['/vmlinuz', kernel]);
  const boot = [
    '-isohybrid-mbr',
    isolinux.hybridStart,
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
