/** Two stands that are alike: in one the guest makes a program's writes, in the other they are replayed. */
import { type LapicRegisterName, lapicRegisters } from '../../../../abi/apic/lapic.ts';
import { kvmSregs } from '../../../../abi/kvm/index.ts';
import { IoctlError } from '../../../../base/errors.ts';
import { hex } from '../../../../base/text.ts';
import type { CheckContext } from '../../../kit/context.ts';
import { isPort, saw } from '../../../kit/drive.ts';
import { DONE_PORT } from '../../../kit/guests.ts';
import { takesPlaces } from '../../../kit/replayed-vcpu.ts';
import { differences, lapicDifferences } from '../../../kit/twin-differences.ts';
import { askedFor, pointAt, type TwinWrite } from '../../../kit/twin-writes.ts';
import type { SceneState } from './row.ts';
import {
  type Aside,
  asideOf,
  ENTRY,
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

/** Of struct kvm_sregs: it is found here, since a decoder takes an emulated CPU long. */
const APIC_BASE_AT = Buffer.from(kvmSregs.encode({ apicBase: 2n ** 64n - 1n })).indexOf(0xff);

const scratch = Buffer.alloc(parts.regs.layout.size);

function told(got: StandState, wanted: StandState): string[] {
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
  /** As they came, and as a scene begins. */
  readonly #first: { live: StandState[]; replica: StandState[] };
  #before: { source: StandState; asides: Aside[] };
  #frozen = false;
  readonly wrong: string[] = [];

  constructor(ctx: CheckContext, options: StandOptions) {
    this.#ctx = ctx;
    this.options = options;
    this.live = new Stand(ctx, options);
    this.replica = new Stand(ctx, options);
    this.#first = { live: this.live.vcpus.map(stateOf), replica: this.replica.vcpus.map(stateOf) };
    this.#before = this.#look();
  }

  /** A register of a vCPU's local APIC. */
  register(place: number, name: LapicRegisterName): number {
    return this.replica.vcpus[place]!.lapic().registers[name];
  }

  /** Brings both into states, with every local APIC in one mode. */
  bring(states: readonly SceneState[], x2apic: boolean): void {
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
  }

  /** Changes registers of both sources' local APICs. */
  refresh(registers: Partial<Record<LapicRegisterName, number>>): void {
    for (const { source } of [this.live, this.replica]) source.setLapicRegisters(registers);
  }

  /** Makes and replays a write, and looks at the source; `what` says which it is. */
  write(what: string, write: TwinWrite): void {
    this.#make(write);
    const answer = this.#replay(write);
    const { profile } = this.#ctx;
    // Nothing sets what GiantVM's main branch answers.
    if (answer !== '0' && profile.injectionAnswers !== false) this.#tell(what, [`the ioctl answered ${answer}`]);
    const got = this.#judged(stateOf(this.replica.source));
    this.#tell(what, told(got, this.#wanted(stateOf(this.live.source))));
  }

  /** Looks at everything of every vCPU. */
  lookAround(what: string): void {
    this.replica.vcpus.forEach((vcpu, place) => {
      const live = stateOf(this.live.vcpus[place]!);
      const got = this.#judged(stateOf(vcpu));
      const wanted = place === this.options.source ? this.#wanted(live) : this.#judged(live);
      this.#tell(
        what,
        told(got, wanted).map((line) => `vCPU ${vcpu.vcpuId}: ${line}`),
      );
      const aside = asideOf(vcpu);
      const before = this.#before.asides[place]!;
      const changed = (Object.keys(aside) as (keyof Aside)[]).filter((part) => !aside[part].equals(before[part]));
      this.#tell(
        what,
        changed.map((part) => `vCPU ${vcpu.vcpuId}: its ${part} changed`),
      );
    });
  }

  /** When all writes are made. */
  end(what: string): void {
    // What a replay has told a vCPU comes out when it enters its guest next. One that waits does not.
    if (!this.#frozen && this.replica.source.settle())
      this.#tell(what, [`the vCPU of the replay has an exit: ${this.replica.source.exit(this.#ctx.profile).name}`]);
  }

  #look(): { source: StandState; asides: Aside[] } {
    const { source, vcpus } = this.replica;
    return { source: stateOf(source), asides: vcpus.map(asideOf) };
  }

  #tell(what: string, lines: readonly string[]): void {
    if (lines.length > 0) this.wrong.push(`${what}: ${lines.slice(0, 3).join('; ')}`);
  }

  #judged(state: StandState): StandState {
    for (const name of UNJUDGED) state.lapic.writeUInt32LE(0, lapicRegisters[name]);
    return state;
  }

  /** Of what the live guest's vCPU is like now: its own code has changed what no write is about. */
  #wanted(live: StandState): StandState {
    const { source: before } = this.#before;
    const wanted = this.#judged({ ...live, regs: before.regs });
    for (const name of KEPT)
      wanted.lapic.writeUInt32LE(before.lapic.readUInt32LE(lapicRegisters[name]), lapicRegisters[name]);
    wanted.sregs = Buffer.from(before.sregs);
    live.sregs.copy(wanted.sregs, APIC_BASE_AT, APIC_BASE_AT, APIC_BASE_AT + 8);
    return this.#frozen ? { ...wanted, mp: before.mp, events: before.events } : wanted;
  }

  /** The guest's, to the exit that tells of it, or to the end of its program. */
  #make(write: TwinWrite): void {
    const { source } = this.live;
    if (!pointAt(source, ENTRY, write)) return;
    for (;;) {
      const exit = saw(this.#ctx, source, source.run({ profile: this.#ctx.profile }));
      if (isPort(exit, DONE_PORT) || Object.hasOwn(this.#ctx.profile.exits, exit.name)) return;
    }
  }

  #replay(write: TwinWrite): string {
    const { profile } = this.#ctx;
    const { source } = this.replica;
    const { request, argument } = askedFor(
      profile,
      takesPlaces(this.#ctx) ? this.options.source : source.vcpuId,
      write,
    );
    // On Intel KVM_DSM_APIC_BASE writes to the VMCS that was loaded last: asking for the registers loads the vCPU's.
    source.ioctlRaw(parts.regs.get, scratch);
    try {
      this.replica.vm.ioctlRaw(request, argument);
      return '0';
    } catch (error) {
      if (!(error instanceof IoctlError)) throw error;
      return error.errnoName;
    }
  }
}

export const describeWrite = (write: TwinWrite): string =>
  write.register === 'base'
    ? `IA32_APIC_BASE ${hex(write.value)}${write.host ? ' by the host' : ''}`
    : `${write.register === 'x2' ? 'ICR' : write.register} ${hex(write.value)}`;
