/** What a lane is: an emulated machine with KVM in it. Each is one file beside this one, and a line in index.ts. */
import type { ConnectedSocket, Environment } from '../../base/node-shapes.ts';
import type { LaneFacts } from '../../host/lane.ts';
import type { Packages } from '../needs/distribution.ts';
import type { LabNeed } from '../needs/need.ts';

/** An emulator that can be used, with what was found out about it. */
export interface Emulator {
  path: string;
  /** Its kind's name. */
  kind: string;
  version: string;
}

/** An emulator that the lab knows: how to find it, and what to ask it. */
export interface EmulatorKind<E extends Emulator = Emulator> {
  /** As `lab status --json` has it. */
  readonly kind: E['kind'];
  /** As its makers write it. */
  readonly title: string;
  /** The program to look for. */
  readonly binary: string;
  /** What it is called elsewhere, and folders that it may be in beside PATH. */
  readonly elsewhere: { readonly names: readonly string[]; readonly folders: readonly string[] };
  /** The packages that have it, with its firmware. */
  readonly packages: Packages;
  /** The virtualization that its CPUs have. */
  readonly emulates: string;
  /** Whether `--help` said what this emulator says. */
  recognizes(help: string): boolean;
  /** Finds out what the lab has to know. Throws a LabEmulatorError if the lab cannot use it. */
  probe(path: string, help: string): E;
  /** Whether an earlier answer still holds, the binary itself being the same. */
  stillHolds(emulator: E): boolean;
}

/** What a machine is started with. */
export interface MachineParts {
  /**
   * The run's own folder: the emulator works in it, so that no path has to be quoted in its configuration. It holds the
   * initial RAM disk as `initrd` and the data disk as `medium.iso`.
   */
  dir: string;
  kernel: string;
  cmdline: string;
  /** It runs one command after the other, and takes their files while it runs. */
  serves: boolean;
  /** Its state shall be saved, or is to be loaded; the files are those of `MachineState`, in the folder. */
  state?: 'save' | 'load' | undefined;
}

/** How an emulator writes the state of a machine that runs, and starts another one with it. */
export interface MachineState {
  /** The files that it is, in the run's folder. */
  readonly files: readonly string[];
  /** Stops a machine that was started for it, and writes its state. Throws a LabEmulatorError. */
  save(monitor: ConnectedSocket): Promise<void>;
  /** Resolves when the machine goes on from its state. Throws a LabEmulatorError. */
  load(monitor: ConnectedSocket): Promise<void>;
}

/** Where a line's socket listens: in the run's folder, as `line1` and so on, or on a TCP port of 127.0.0.1. */
export interface LineAddress {
  port: number;
}

/** How many bytes a job disk has room for behind its offset: a command's files. */
export const JOB_BYTES = 40 << 20;

/** A file of the host's that the machine reads as a disk, afresh each time: how files get into a machine that runs. */
export interface JobDisk {
  /** On the host. */
  path: string;
  /** From where on it is free, in bytes: a multiple of 64 KiB. */
  offset: number;
}

/** How the emulator is called; its working directory is the run's folder. */
export interface Invocation {
  /** How files get into the machine while it runs, if it `serves`. */
  jobDisk?: JobDisk;
  args: string[];
  env: Environment;
}

/** The same machine with a kernel that is told to do without something. */
export interface Variant {
  /** What `kvm-dsm test --variant` takes. */
  readonly name: string;
  /** Words for the kernel's command line. */
  readonly cmdline: string;
}

/** All that one lane is. */
export interface Lane<E extends Emulator = Emulator> extends LaneFacts {
  readonly emulator: EmulatorKind<E>;
  /** What it takes beside its emulator and what every lane takes. */
  readonly needs: readonly LabNeed[];
  /** How many CPUs the machine has. */
  readonly cpus: number;
  /** Those of them that processes may run on, as a mask; `null`: all. */
  readonly initCpus: number | null;
  /** The machine's clock goes as the host's does. */
  readonly clockIsReal: boolean;
  /** The disk, inside, that brings the files of commands to a machine that serves. */
  readonly jobDevice: string;
  /** What the emulator can connect a serial line to. */
  readonly lineKind: 'tcp' | 'unix';
  /** The device inside of the serial line that a node of `kvm-dsm node` has; `null`: the emulator has none for it. */
  readonly nodeLine: string | null;
  /** How a machine's state is saved and loaded; `null`: it cannot be. */
  readonly state: MachineState | null;
  /** The kernel options by which the kernel reads its disks. */
  readonly diskOptions: string;
  /** What `kvm-dsm test --variant` can ask of it, beside what it is by itself. */
  readonly variants: readonly Variant[];
  /** What this machine's kernel has to be told. */
  kernelWords(emulator: E): string[];
  /** Puts the machine's files into the run's folder and says how to start the emulator. */
  layOut(emulator: E, parts: MachineParts, lines: readonly LineAddress[]): Promise<Invocation> | Invocation;
}
