/** What the parts of a run say to each other, some of it between processes and machines, as JSON. */
import type { TraceLine } from '../../picture/file/records.ts';
import type { Traced } from './check-kernel.ts';
import type { Facts } from './facts.ts';
import type { FailedProbes, ProbeName } from './probes.ts';

/** One check at its place in a run. */
export interface Item {
  /** From 0. */
  n: number;
  id: string;
  /** From 1; above 1 only where the suite is repeated. */
  round: number;
  /** It may take long: `--thorough`. */
  thorough?: boolean;
  /** What the lab's kernel does wrong meanwhile, the name of a fault or `none`; without it, what it did before. */
  fault?: string;
  /** Its verdict without a fault: when another one has come out, the other items of the fault do not run. */
  expected?: string;
  /** What its mark in the kernel's log ends with: nobody else knows it before. */
  secret?: string;
}

/**
 * Why a check did not pass: its claim is wrong; it took too long; its process ended; the kernel oopsed; nothing proves
 * that its guest ran; something else went wrong; its turn never came.
 */
export type FailureKind = 'claim' | 'deadline' | 'crash' | 'oops' | 'nothing' | 'error' | 'not-run';

/** What became of a check, before it is known whether that was to be expected. */
export type Outcome =
  | { kind: 'pass' }
  | { kind: 'skip'; reason: string }
  | { kind: 'fail'; cause: FailureKind; reason: string; detail: string; trace?: readonly TraceLine[] };

/** What the kernel tells of itself after a check, if it was asked. */
export interface KernelTold {
  /** Of the drawn faults that are watched: the numbers of those that could have struck. */
  met?: readonly number[];
  /** By file: the counters of its lines as gcov has them (.gcda), deflated, in base64. */
  counters?: Readonly<Record<string, string>>;
}

/** What a worker process is told: on its standard input, as JSON. */
export interface Job {
  items: Item[];
  seed: number;
  device: string;
  profile: string;
  /** A module of checks instead of the suite's own. */
  module: string | null;
  /** Drawn faults of the lab's kernel: which of them a check could notice is told with its outcome. */
  watch?: readonly string[] | undefined;
  /** Files of KVM's, such as `arch/x86/kvm/lapic`: how often a check has run their lines is told with its outcome. */
  counted?: readonly string[] | undefined;
  /** What happened in the machines of a check that fails is told with its outcome, as lines of a trace file. */
  traced?: Traced | undefined;
  /** What is written to the kernel's log before the number and the secret of each check that begins. */
  mark: string | null;
  /** What another worker of this run has found out. */
  facts: Facts | null;
  /** Probes that took a worker, or the machine, with them. */
  failedProbes: FailedProbes;
}

/**
 * What a worker process tells: lines of JSON on its file descriptor 3. After `facts` and after each `outcome` it waits there for
 * one byte.
 */
export type WorkerEvent =
  /** It is about to ask that. */
  | { type: 'probe'; name: ProbeName }
  | { type: 'facts'; facts: Facts }
  | { type: 'start'; n: number }
  | { type: 'outcome'; n: number; outcome: Outcome; ms: number; exits: number; seen?: KernelTold }
  /** The process ends here by itself: the next check belongs into a new one. */
  | { type: 'retire' };

/** Who hears how a run goes on. */
export interface Sink {
  facts(facts: Facts): void;
  /** @param at when, by `performance.now()`: now, if it is left out */
  start(item: Item, at?: number): void;
  /**
   * Returns false if no other check shall run.
   *
   * @param at when, by `performance.now()`: now, if it is left out
   */
  outcome(item: Item, outcome: Outcome, ms: number, exits: number, seen?: KernelTold, at?: number): boolean;
  /** Something that a person should know. */
  note(text: string): void;
}

/** Runs items somewhere, and tells a sink. Returns why the rest did not run, or null. */
export type Executor = (items: readonly Item[], sink: Sink) => Promise<string | null>;
