/** What stands in the JSON messages between a command and the process that keeps a machine. */
import { createHash } from 'node:crypto';
import { readlinkSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import type { Parts } from '../boot/prepare.ts';
import { initScript } from '../disk/init.ts';
import type { LaneName } from '../lanes/index.ts';
import { type Fit, isFit } from './fit.ts';

/** Raised when the messages change. */
const PROTOCOL = 1;

/** What a command asks for: a turn; the end of the boot; what is; the machine's end. */
export type Want = 'run' | 'wait' | 'status' | 'down';
const wants: readonly string[] = ['run', 'wait', 'status', 'down'] satisfies Want[];

export interface Ask {
  protocol: number;
  want: Want;
  /** Of whom process numbers are: those of another container mean nothing here. */
  processes: string;
  fit?: Fit;
}

/** What `lab status` tells of a machine that is up. */
export interface WarmStatus {
  /** Of the process that keeps it. */
  pid: number;
  /** Of its emulator; null while none runs. */
  emulatorPid: number | null;
  /** `tidying`: a command is done, and the machine gets ready for the next. */
  state: 'booting' | 'idle' | 'busy' | 'tidying';
  /** ISO 8601: when the machine was booted last. */
  booted: string;
  /** How often it was booted. */
  boots: number;
  /** How many commands it has run. */
  commands: number;
  /** It ends after so many minutes without a command. */
  idleMinutes: number;
  /** The bzImage's path. */
  kernel: string;
  /** What was added to the lab's own kernel parameters. */
  cmdline: string;
  /** The emulator's path; empty while none runs. */
  emulator: string;
}

/** What the machine does. */
export type KeeperState = WarmStatus['state'];

/** A turn: the machine is the command's until it says that it is done. */
export interface Turn {
  emulatorPid: number;
  /** Of the machine's words that may come at any time. */
  secrets: { alive: string };
  /** By the machine's clock, in seconds. */
  uptime: number;
  /** The folder with what the emulator says. */
  dir: string;
  /** What happened since the last turn, for a person. */
  notes: string[];
}

export type KeeperAnswer =
  | { type: 'turn'; turn: Turn }
  | { type: 'queued'; state: KeeperState }
  | { type: 'misfit'; fit: Fit; status: WarmStatus }
  | { type: 'status'; status: WarmStatus }
  | { type: 'failed'; message: string }
  | { type: 'refused'; why: string };

export function ask(want: Want, fit?: Fit): string {
  const question: Ask = { protocol: PROTOCOL, want, processes: ownProcesses(), ...(fit ? { fit } : {}) };
  return JSON.stringify(question);
}

/** What a question asks; a sentence if it is none. */
export function readAsk(data: Uint8Array): Ask | string {
  const given = readJson(data);
  if (given === null) return 'a question is an object in JSON';
  if (given.protocol !== PROTOCOL) return `it speaks version ${PROTOCOL}, not ${JSON.stringify(given.protocol)}`;
  if (!wants.includes(given.want as string)) return `nobody can ask for ${JSON.stringify(given.want)}`;
  if (given.processes !== ownProcesses()) return 'it is in another container';
  if (given.want === 'run' && !isFit(given.fit)) return 'who asks for a turn says what the machine is to be';
  return given as unknown as Ask;
}

/** What a keeper answers; `null` if that cannot be read. */
export function readAnswer(data: Uint8Array): KeeperAnswer | null {
  const given = readJson(data);
  return typeof given?.type === 'string' ? (given as unknown as KeeperAnswer) : null;
}

function readJson(data: Uint8Array): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(data).toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

const ownProcesses = () => readlinkSync('/proc/self/ns/pid');

/** What a machine of these parts is. */
export function fitOf({ kernel, emulator, medium }: Parts, cmdline: string | undefined): Fit {
  return {
    kernel: stamped(kernel),
    cmdline: cmdline ?? '',
    emulator: stamped(emulator.path),
    package: `${basename(medium.path)} ${createHash('sha256').update(initScript).digest('hex').slice(0, 16)}`,
  };
}

function stamped(path: string): string {
  const { size, mtimeMs } = statSync(path);
  return `${path} ${size} ${mtimeMs}`;
}

/** What the process that keeps a machine is started with. */
export interface KeeperOptions {
  lane: LaneName;
  /** The bzImage, and whether it is the lab's own (`Parts`). */
  kernel: string;
  isOwnKernel: boolean;
  cmdline?: string | undefined;
  emulator?: string | undefined;
  idleMinutes: number;
}
