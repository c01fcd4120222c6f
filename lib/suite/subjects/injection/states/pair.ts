/** Two stands that are alike: in one the guest makes a program's writes, in the other they are replayed. */
import { type LapicRegisterName, lapicRegisters } from '../../../../abi/apic/lapic.ts';
import { IoctlError } from '../../../../base/errors.ts';
import { hex } from '../../../../base/text.ts';
import type { CheckContext } from '../../../kit/context.ts';
import { asPosted } from '../../../kit/profiles.ts';
import { takesPlaces } from '../../../kit/replayed-vcpu.ts';
import { differences, lapicDifferences } from '../../../kit/twin-differences.ts';
import { askedFor, type TwinWrite } from '../../../kit/twin-writes.ts';
import { APIC_BASE_AT, LiveGuest } from './live.ts';
import type { SceneState } from './row.ts';
import {
  type Aside,
  asideOf,
  partNames,
  parts,
  Stand,
  type StandOptions,
  type StandState,
  setState,
  stateOf,
} from './stand.ts';

/** Time passes in both, by turns. */
const UNJUDGED: readonly LapicRegisterName[] = ['TMCCT'];
/** The guest's entry into its vCPU rounds them on AMD; no write of a program is about them. */
const KEPT: readonly LapicRegisterName[] = ['TPR', 'PPR'];

/** Without what is not judged. */
export function judged(state: StandState): StandState {
  for (const name of UNJUDGED) state.lapic.writeUInt32LE(0, lapicRegisters[name]);
  return state;
}

const scratch = Buffer.alloc(parts.regs.layout.size);

export function told(got: StandState, wanted: StandState): string[] {
  return partNames.flatMap((part) => {
    if (got[part].equals(wanted[part])) return [];
    const { layout } = parts[part];
    if (!layout) return lapicDifferences(got[part], wanted[part]);
    return differences('', layout.decode(got[part]), layout.decode(wanted[part]));
  });
}

export class Pair {
  readonly options: StandOptions;
  readonly live: Stand;
  readonly replica: Stand;
  readonly #ctx: CheckContext;
  readonly #guest: LiveGuest;
  /** As they came, and as a scene begins. */
  readonly #first: { live: StandState[]; replica: StandState[] };
  #before: { source: StandState; asides: Aside[] };
  #frozen = false;
  /** Brings both into the scene's states once more; and how often that has been. */
  #again = () => {};
  #anew = 0;
  readonly wrong: string[] = [];

  constructor(ctx: CheckContext, options: StandOptions) {
    this.#ctx = ctx;
    this.options = options;
    this.live = new Stand(ctx, options);
    this.replica = new Stand(ctx, options);
    this.#guest = new LiveGuest(ctx, this.live, options.irqchip === 'split');
    this.#first = { live: this.live.vcpus.map(stateOf), replica: this.replica.vcpus.map(stateOf) };
    this.#before = this.#look();
    this.#guest.begin(stateOf(this.live.source));
  }

  /** A register of a vCPU's local APIC. */
  register(place: number, name: LapicRegisterName): number {
    return this.replica.vcpus[place]!.lapic().registers[name];
  }

  /** Brings both into states, with every local APIC in one mode. */
  bring(states: readonly SceneState[], x2apic: boolean): void {
    this.#anew = 0;
    this.#again = () => this.#bring(states, x2apic);
    this.#again();
  }

  #bring(states: readonly SceneState[], x2apic: boolean): void {
    this.#anew += 1;
    this.#frozen = states.some(({ frozen }) => frozen);
    for (const which of ['live', 'replica'] as const) {
      const stand = this[which];
      stand.vcpus.forEach((vcpu, place) => {
        setState(vcpu, this.#first[which][place]!);
      });
      if (x2apic) stand.x2apic(true);
      for (const { set, frozen } of states) if (!frozen || which === 'replica') set(stand);
    }
    this.#before = this.#look();
    this.#guest.begin(
      stateOf(this.live.source),
      states.some(({ ownTpr }) => ownTpr),
    );
  }

  /** Changes registers of both sources' local APICs. */
  refresh(registers: Partial<Record<LapicRegisterName, number>>): void {
    for (const { source } of [this.live, this.replica]) source.setLapicRegisters(registers);
  }

  /** Makes and replays a write, and looks at the source; `what` says which it is. */
  write(what: string, write: TwinWrite): void {
    if (isToEveryone(write)) {
      this.#toEveryone(what, write);
      return;
    }
    const live = this.#both(what, write);
    this.tell(what, told(judged(stateOf(this.replica.source)), this.#wanted(live)));
  }

  #both(what: string, write: TwinWrite): StandState {
    this.judgeAnswer(what, this.replay(write));
    return this.make(what, write);
  }

  /** Has the guest make a write, and judges what becomes of its vCPU: what that is like then. */
  make(what: string, write: TwinWrite): StandState {
    this.#guest.write(write);
    const live = stateOf(this.live.source);
    this.tell(`${what}: the guest that makes it itself`, this.#guest.judge(write, live));
    return live;
  }

  judgeAnswer(what: string, answer: string): void {
    // Nothing sets what GiantVM's main branch answers.
    if (answer !== '0' && this.#ctx.profile.injectionAnswers !== false)
      this.tell(what, [`the ioctl answered ${answer}`]);
  }

  /**
   * An x2APIC IPI that goes to everyone, or to all but self. The series as posted loses it, which `injection.twin.x2.everyone` is
   * about: so it leaves all as it was, or all as the guest's own does, and nothing else.
   */
  #toEveryone(what: string, write: TwinWrite): void {
    // Without CPUID they cannot begin anew; and to do so takes long.
    if (this.options.cpuid === 'none' || this.#anew > 1) return;
    const before = this.replica.vcpus.map((vcpu) => judged(stateOf(vcpu)));
    this.#both(what, write);
    const live = this.live.vcpus.map(stateOf);
    const replica = this.replica.vcpus.map((vcpu) => judged(stateOf(vcpu)));
    const isSource = (place: number) => place === this.options.source;
    const lines = (wanted: (place: number) => StandState) =>
      replica.flatMap((state, place) =>
        told(state, wanted(place)).map((line) => `vCPU ${this.options.ids[place]}: ${line}`),
      );
    const asSent = lines((place) => (isSource(place) ? this.#wanted(live[place]!) : judged({ ...live[place]! })));
    if (asSent.length === 0) return;
    const asLost = lines((place) => before[place]!);
    if (!asPosted.includes(this.#ctx.profile.name) || asLost.length > 0) {
      this.tell(what, asSent);
      return;
    }
    // The guest has sent it: both begin anew, so that they are alike.
    this.#again();
  }

  /** Looks at everything of every vCPU. */
  lookAround(what: string): void {
    this.tell(`${what}: the guest that makes it itself`, this.#guest.judgeOthers());
    this.replica.vcpus.forEach((vcpu, place) => {
      const live = stateOf(this.live.vcpus[place]!);
      const got = judged(stateOf(vcpu));
      const wanted = place === this.options.source ? this.#wanted(live) : judged(live);
      this.tell(
        what,
        told(got, wanted).map((line) => `vCPU ${vcpu.vcpuId}: ${line}`),
      );
      const aside = asideOf(vcpu);
      const before = this.#before.asides[place]!;
      const changed = (Object.keys(aside) as (keyof Aside)[]).filter((part) => !aside[part].equals(before[part]));
      this.tell(
        what,
        changed.map((part) => `vCPU ${vcpu.vcpuId}: its ${part} changed`),
      );
    });
  }

  /** When all writes are made. */
  end(what: string): void {
    // What a replay has told a vCPU comes out when it enters its guest next. One that waits does not.
    if (!this.#frozen && this.replica.source.settle())
      this.tell(what, [`the vCPU of the replay has an exit: ${this.replica.source.exit(this.#ctx.profile).name}`]);
    const left = this.#guest.left();
    if (left) this.tell(what, [`the vCPU of the guest has one more exit: ${left.name}`]);
  }

  #look(): { source: StandState; asides: Aside[] } {
    const { source, vcpus } = this.replica;
    return { source: stateOf(source), asides: vcpus.map(asideOf) };
  }

  /** What is wrong. */
  tell(what: string, lines: readonly string[]): void {
    if (lines.length > 0) this.wrong.push(`${what}: ${lines.slice(0, 3).join('; ')}`);
  }

  /** Of what the live guest's vCPU is like now: its own code has changed what no write is about. */
  #wanted(live: StandState): StandState {
    const { source: before } = this.#before;
    const wanted = judged({ ...live, regs: before.regs });
    for (const name of KEPT)
      wanted.lapic.writeUInt32LE(before.lapic.readUInt32LE(lapicRegisters[name]), lapicRegisters[name]);
    wanted.sregs = Buffer.from(before.sregs);
    live.sregs.copy(wanted.sregs, APIC_BASE_AT, APIC_BASE_AT, APIC_BASE_AT + 8);
    return this.#frozen ? { ...wanted, mp: before.mp, events: before.events } : wanted;
  }

  /** Asks for a write to be replayed; what the ioctl answers. */
  replay(write: TwinWrite): string {
    const { profile } = this.#ctx;
    const { source } = this.replica;
    const { request, argument } = askedFor(
      profile,
      takesPlaces(this.#ctx) ? this.options.source : source.vcpuId,
      write,
    );
    // On Intel KVM_DSM_APIC_BASE writes to the VMCS that was loaded last: asking for the registers loads the vCPU's.
    if (write.register === 'base') source.ioctlRaw(parts.regs.get, scratch);
    try {
      this.replica.vm.ioctlRaw(request, argument);
      return '0';
    } catch (error) {
      if (!(error instanceof IoctlError)) throw error;
      return error.errnoName;
    }
  }
}

const [ALL, OTHERS] = [2n, 3n];

/** What an x2APIC sends to more than the map of local APICs is asked for. Id 0xff is everyone's to KVM where vCPUs have no logical ids. */
export function isToEveryone(write: TwinWrite): boolean {
  if (write.register !== 'x2') return false;
  const [shorthand, destination] = [(write.value >> 18n) & 3n, write.value >> 32n];
  return shorthand === ALL || shorthand === OTHERS || destination === 0xffff_ffffn || destination === 0xffn;
}

export const describeWrite = (write: TwinWrite): string =>
  write.register === 'base'
    ? `IA32_APIC_BASE ${hex(write.value)}${write.host ? ' by the host' : ''}`
    : `${write.register === 'x2' ? 'ICR' : write.register} ${hex(write.value)}`;
