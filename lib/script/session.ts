/** What a script runs in: device, profile, observer, time and random choices. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { checkProfile, type DsmProfile, defaultProfile } from '../abi/dsm/profiles.ts';
import { RunBudget } from '../base/budget.ts';
import { freshSeed, isSeed } from '../base/seed.ts';
import { KVM_DEVICE } from '../kvm/kvm.ts';
import type { NodeIpi } from '../node/crossings.ts';
import type { Shard } from '../node/shard.ts';
import type { DeliveryTarget } from '../picture/target.ts';
import type { TraceEvent, TraceExit } from '../trace/event.ts';
import type { StoredEvents } from '../trace/record.ts';
import type { CodePiece } from './failure/pieces.ts';
import { DelegatedRandom, Random } from './random.ts';

/** What an observer sees of a machine. */
export interface ObservedMachine {
  /** What its script asked for: true leaves APICv as the host has it. */
  readonly apicv: boolean;
  readonly irqchip: 'full' | 'split' | 'none';
  /** True if a LAPIC holds an ICR or ICR2 that a guest has written. Still known after `close()`. */
  readonly wroteIcr: boolean;
  readonly vm: { readonly closed: boolean };
  readonly vcpus: readonly unknown[];
  readonly trace: Iterable<TraceExit> & { readonly born: bigint; readonly size: number };
  /** Its vCPUs as destinations of IPIs, as they are now: those that can be asked. */
  readonly targets: readonly DeliveryTarget[];
  /** The code at addresses that RIP had, by vcpu_id, as it is now. */
  codeAt(rips: ReadonlyMap<number, Iterable<bigint>>): CodePiece[];
  /** What goes on in it now, in words: its run, vCPUs on threads of their own. */
  readonly leftGoing: readonly string[];
  /** True if it is open and nobody has run it. */
  readonly unused: boolean;
  /** The interrupts between its nodes, from the `from`-th on. */
  nodeIpis(from: number): readonly NodeIpi[];
  /** What happened in it, as plain text. */
  diagram(): string;
  close(): void;
}

/** Who wants to hear what a session's machines do, as it happens. */
export interface Observer {
  machine?(machine: ObservedMachine): void;
  /** In order, each once; of exits that nobody has to look at some milliseconds late. */
  event?(event: TraceEvent, machine: ObservedMachine): void;
  /**
   * Instead of `event`, of several at a time of which nobody has made an object: whoever has it makes them where that slows no
   * guest.
   */
  stored?(events: StoredEvents, machine: ObservedMachine): void;
  /** `event` is told of exits alone: an act that nobody asks for is never made an object. */
  readonly exitsOnly?: boolean;
  /** That were all events for now. */
  told?(): void;
  /** So many more schedules of an exploration have been run, with so many steps. */
  explored?(more: { readonly schedules: number; readonly steps: number }): void;
  /** A run of it is over: its vCPUs are out of the guest. */
  ran?(machine: ObservedMachine): void;
}

/** What `kvm-dsm explore --schedules` says of each exploration. */
export interface Exploring {
  /** This schedule alone. */
  readonly schedule?: string;
  /** Schedules that are run at most. */
  readonly limit?: number;
  readonly seed?: number;
}

export interface SessionOptions {
  /** Default /dev/kvm. */
  device?: string;
  /** Whose exits 44..48 are meant; default rfc-v2. */
  profile?: DsmProfile;
  observer?: Observer;
  /** The time that all guests of the session may take; default: that of the work it is made in. */
  budget?: RunBudget;
  /** What the command says of `m.explore()`, whatever the script does. */
  exploring?: Exploring;
  /** The script's random choices; default: seeded by KVM_DSM_SEED, or afresh. */
  random?: Random;
}

/**
 * What machines take from the program around them. `kvm-dsm` makes one for each run of a script; a script that plain node
 * runs has one with the defaults. Two of them in one process know nothing of each other. A machine keeps the one that it
 * was made in, whoever calls its methods.
 */
export class Session {
  readonly device: string;
  readonly profile: DsmProfile;
  readonly observer: Observer;
  readonly budget: RunBudget;
  readonly random: Random;
  readonly exploring: Exploring;
  /**
   * Of a script that runs as one shard of several: the shards, once they have come together.
   *
   * @internal
   */
  shard: Shard | undefined;

  constructor(options: SessionOptions = {}) {
    this.device = options.device ?? KVM_DEVICE;
    this.profile = checkProfile(options.profile ?? defaultProfile);
    this.observer = options.observer ?? {};
    this.exploring = options.exploring ?? {};
    this.budget = options.budget ?? RunBudget.current;
    this.random = options.random ?? new Random(seedOfEnvironment() ?? freshSeed());
  }

  /** Does work, and what follows of it, in this session. */
  run<T>(work: () => T): T {
    return storage.run(this, () => this.budget.run(work));
  }

  /**
   * Makes it the default of this process: the session of all work that no session's `run` has begun.
   *
   * A listener runs in the context of whoever emits, not of whoever listens: where node itself emits (`beforeExit`), or an
   * object that was made before the session, a script's own code is outside of the script's session. Its machines would be
   * on the default device then, unseen by the observer and without a time limit, and nobody would know. A process that
   * runs one script at a time has one session that can be meant, and says so by this. One that has several at once gives
   * each machine its session: `session.run(() => new Machine(options))`.
   */
  makeDefault(): void {
    fallback = this;
    this.budget.makeDefault();
  }

  /** The session of the work that asks. */
  static get current(): Session {
    return storage.getStore() ?? defaultSession();
  }
}

const storage = new AsyncLocalStorage<Session>();

let fallback: Session | undefined;

/** A program that plain node runs has one with the defaults. */
function defaultSession(): Session {
  fallback ??= new Session();
  return fallback;
}

/**
 * A script's own random choices. `kvm-dsm run` seeds it anew for each run, from `--seed` if that is given; a program
 * that is run by plain node is given the seed of the environment variable KVM_DSM_SEED, or a fresh one.
 */
export const random: Random = new DelegatedRandom(() => Session.current.random);

function seedOfEnvironment(): number | undefined {
  const text = process.env.KVM_DSM_SEED;
  return text !== undefined && isSeed(text) ? Number(text) : undefined;
}
