/** The svm lane: KVM-AMD on the AMD CPUs that QEMU's TCG emulates. */
import { symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MachineParts } from './lane.ts';
import { type Emulator, type EmulatorKind, type Invocation, JOB_BYTES, type Lane, type LineAddress } from './lane.ts';
import { qemuState, stateArguments } from './qemu-monitor.ts';

/** A QEMU binary. */
export interface Qemu extends Emulator {
  kind: 'qemu';
}

const versionOf = (help: string) => /^QEMU emulator version (\S+)/m.exec(help)?.[1];

const qemu: EmulatorKind<Qemu> = {
  kind: 'qemu',
  title: 'QEMU',
  binary: 'qemu-system-x86_64',
  // Of Red Hat Enterprise Linux, and of those that are made from it.
  elsewhere: { names: ['qemu-kvm'], folders: ['/usr/libexec'] },
  packages: {
    debian: ['qemu-system-x86', 'seabios'],
    fedora: ['qemu-system-x86-core'],
    rhel: ['qemu-kvm-core'],
    arch: ['qemu-system-x86'],
    alpine: ['qemu-system-x86_64'],
    suse: ['qemu-x86'],
  },
  emulates: 'AMD SVM',
  recognizes: (help) => versionOf(help) !== undefined,
  probe: (path, help) => ({ path, kind: 'qemu', version: versionOf(help)! }),
  stillHolds: () => true,
};

const cpus = 3;
const MEBIBYTES = 512;

export const svmQemu = {
  name: 'svm' as const,
  title: 'the svm lab (KVM-AMD under QEMU)',
  emulator: qemu,
  needs: [],
  cpus,
  /**
   * QEMU runs each CPU on a thread of its own. In QEMU 7.2 the XRSTOR and FXRSTOR of every one clear a bit in the first CPU's
   * hflags2 (cpu_clear_ignne), without a lock. A VMRUN or #VMEXIT on the first CPU that falls in between loses what it
   * changed there: seen as a guest that runs on without its nested page tables. So no guest runs on the first CPU: init has
   * the others, and with it every process.
   */
  initCpus: 0b110,
  clockIsReal: true,
  jobDevice: '/dev/vdb',
  lineKind: 'unix',
  nodeLine: '/dev/ttyS3',
  state: qemuState,
  diskOptions: 'CONFIG_VIRTIO_PCI with CONFIG_VIRTIO_BLK',
  /** The e1000e: an 82574L. */
  vfioFunction: { vendor: 0x8086, device: 0x10d3 },
  quirks: {
    stepsBeforeFirst: null,
    /**
     * V8 compiles a function of WebAssembly anew that is called often, on a thread of its own, and then writes to the jump
     * that leads to it. Here node died of that in 18 of 197 runs of the API fuzzer, mostly in code of WebAssembly; in none of
     * 223 without it. QEMU 7.2 stores what is not aligned byte by byte in a page that it has translated code from, so that
     * another CPU may follow a jump of which half is old: with one store instead, in a private build, it was 1 of 117.
     */
    wasmTierBreaks: true,
    bootReport: null,
  },
  variants: [
    { name: 'no-npt', cmdline: 'kvm_amd.npt=0' },
    { name: 'no-vector-hashing', cmdline: 'kvm.vector_hashing=0' },
  ],
  /**
   * The kernel measures its TSC more than once, and the emulated one's results differ by more than KVM's 250 parts in a million. KVM, which
   * cannot scale a TSC here, would then leave the guests' at 0, and RDTSC without its offset (x86.c, set_tsc_khz).
   */
  kernelWords: () => ['kvm.tsc_tolerance_ppm=100000'],
  layOut,
} satisfies Lane<Qemu>;

function layOut(
  _qemu: Qemu,
  { dir, kernel, cmdline, serves, state }: MachineParts,
  lines: readonly LineAddress[],
): Invocation {
  symlinkSync(kernel, join(dir, 'vmlinuz'));
  const serial = lines.flatMap((_line, index) => [
    '-chardev',
    `socket,id=line${index + 1},path=line${index + 1}`,
    '-serial',
    `chardev:line${index + 1}`,
  ]);
  const jobDisk = serves ? { path: makeJobDisk(dir), offset: 0 } : undefined;
  const args = [
    ...['-no-user-config', '-nodefaults', '-display', 'none', '-nic', 'none', '-no-reboot'],
    ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', String(cpus), '-m', String(MEBIBYTES)],
    ...['-kernel', 'vmlinuz', '-initrd', 'initrd', '-append', cmdline],
    ...['-drive', 'file=medium.iso,format=raw,if=virtio,readonly=on'],
    ...(jobDisk ? ['-drive', 'file=job.img,format=raw,if=virtio,readonly=on'] : []),
    // For a kernel without virtio.
    ...['-drive', 'file=medium.iso,format=raw,if=ide,media=cdrom,readonly=on'],
    // The function for VFIO: no network is behind it.
    ...['-device', 'e1000e,romfile='],
    ...serial,
    ...(state ? stateArguments(state, MEBIBYTES) : []),
  ];
  return { args, env: process.env, ...(jobDisk ? { jobDisk } : {}) };
}

function makeJobDisk(dir: string): string {
  const path = join(dir, 'job.img');
  writeFileSync(path, '');
  truncateSync(path, JOB_BYTES);
  return path;
}
