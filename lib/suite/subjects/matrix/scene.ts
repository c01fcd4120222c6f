/** What a vCPU, its LAPIC, its VM and its machine are like when it writes: the plain case, as rows change it. */
import { type LapicRegisterName, lapicRegisters } from '../../../abi/apic/lapic.ts';
import type { KvmRegs, KvmSregs, KvmVcpuEvents } from '../../../abi/kvm/index.ts';
import type { Exit } from '../../../exit/exit.ts';
import type { Vcpu } from '../../../kvm/vcpu/vcpu.ts';
import type { Random } from '../../../script/random.ts';
import type { LapicWrite } from '../../kit/guests.ts';
import type { Bed } from './bed.ts';
import { type DrawnSend, drawSend } from './drawn-send.ts';
import { immediate, type WriteForm } from './forms.ts';
import type { Joint } from './joint.ts';
import { flat32, type Mode } from './modes.ts';
import type { Send } from './send.ts';

/** The most vCPUs that are looked at in the middle of a scene as well. */
export const FEW = 8;

/** Code for whatever mode the scene has. */
export type Piece = (mode: Mode) => readonly number[];

/** Another one than the sender, if there is one. */
export function targetOf(count: number, sender: number): number {
  if (count > 2) return sender === 2 ? 0 : 2;
  return count - 1 - sender;
}

export class Scene {
  readonly bed: Bed;
  /** Places among the bed's vCPUs. */
  sender: number;
  target: number;
  mode: Mode = flat32;
  form: WriteForm = immediate;
  /** RFLAGS beside what the mode needs. */
  flags = 0n;
  regs: Partial<KvmRegs> = {};
  /** Of the sender, after the mode has had its say. */
  readonly sregs: ((sregs: KvmSregs) => KvmSregs)[] = [];
  /** Of the sender: where its APIC page is, if it is not where it is after reset. */
  apicBase: bigint | null = null;
  readonly lapics = new Map<number, Map<number, number>>();
  readonly events = new Map<number, (events: KvmVcpuEvents) => KvmVcpuEvents>();
  /** Of vCPUs other than the sender. */
  readonly ownSregs = new Map<number, (sregs: KvmSregs) => KvmSregs>();
  readonly mpStates = new Map<number, number>();
  /** Code before the first write, and between every two. */
  readonly before: Piece[] = [];
  readonly between: Piece[] = [];
  /** Code just before each write. */
  readonly each: Piece[] = [];
  /** Reasons of exits that this code makes. */
  readonly exits = new Set<string>();
  /**
   * What comes before the scene's own writes, drawn: ICR to where ICR2 points already, or ICR2 and ICR, or the one and then the
   * other, or each of ICR2 and ICR twice, or nothing.
   */
  prelude: 'icr' | 'both' | 'all' | 'again' | 'none' = 'all';
  /** Another vCPU writes before each of the first writes; and who is sent to takes what it has got. */
  busy = true;
  /** They take it at each write's exit, and not at the last one's alone. */
  close = true;
  /** At an exit kvm_run alone is looked at, and the vCPUs at the end: of writes that are many. */
  light = false;
  /** Which writes there are, of ICR2's value and ICR's. */
  sequence: (icr2: LapicWrite, icr: LapicWrite) => readonly LapicWrite[] = (icr2, icr) => [icr2, icr];
  /**
   * One instruction makes both writes of the sequence: what lies between the registers is written as well, and goes nowhere. The
   * first of them may come out or not: `once.both` is about that.
   */
  joint: Joint | null = null;
  vector: number;
  /** Bits 23:0 of ICR2, which the register does not keep. */
  noise: number;
  /** Bit 12 of ICR, which the register does not keep. */
  status: number;
  send: Send | null = null;
  /** Vectors that the sender's code handles meanwhile. */
  readonly handles = new Set<number>();
  /** Of those, the one that waits at a HLT of its code, and ends it. */
  ending: number | null = null;
  /** kvm_run's request_interrupt_window. */
  window: 0 | 1 = 0;
  /** Just before the sender enters its guest for the first time. */
  readonly ready: (() => void)[] = [];
  /** At each exit that tells of a write. */
  readonly atWrite: ((vcpu: Vcpu) => void)[] = [];
  /** What comes before each KVM_RUN: the exit that it made all the same, or `null`. */
  interrupt: ((vcpu: Vcpu) => Exit | null) | null = null;
  /** Afterwards, whatever became of it. */
  readonly undo: (() => void)[] = [];
  /** LAPIC registers that code of the scene changes, or that time does. */
  readonly unjudged = new Set<number>();
  /** RFLAGS that code of the scene changes. */
  unjudgedFlags = 0n;
  /** The sender's pending events come and go with its code. */
  unjudgedEvents = false;
  /** Something comes between a write and the instruction after it: RIP at its exit may be there already. */
  steps = false;
  readonly unjudgedRegs = new Set<string>();

  readonly #random: Random;

  constructor(bed: Bed, random: Random, sender = bed.vcpus.length > 1 ? 1 : 0) {
    this.bed = bed;
    this.#random = random;
    this.vector = random.integer(0x30, 0xef);
    this.noise = random.integer(0, 0xff_ffff);
    this.status = random.integer(0, 1) << 12;
    this.sender = sender;
    this.target = targetOf(bed.vcpus.length, sender);
  }

  get vcpu(): Vcpu {
    return this.bed.vcpus[this.sender]!;
  }

  /** Sets registers of a LAPIC, the sender's if nothing else is said. */
  lapic(registers: Partial<Record<LapicRegisterName, number>>, whose = this.sender): void {
    const own = this.lapics.get(whose) ?? new Map<number, number>();
    this.lapics.set(whose, own);
    for (const [name, value] of Object.entries(registers)) own.set(lapicRegisters[name as LapicRegisterName], value!);
  }

  /** One bit in each of 256-bit ISR, TMR, IRR. */
  lapicVector(where: 'ISR' | 'TMR' | 'IRR', vector: number, whose = this.sender): void {
    const name = `${where}${vector >> 5}` as LapicRegisterName;
    const old = this.lapics.get(whose)?.get(lapicRegisters[name]) ?? 0;
    this.lapic({ [name]: (old | (1 << (vector & 31))) >>> 0 }, whose);
  }

  /** The vCPU that writes between the sender's writes: one that no row is about. */
  get intruder(): number | null {
    if (!this.busy) return null;
    const free = this.bed.vcpus.flatMap((_, place) => {
      const named = place === this.sender || place === this.target || this.sent.addressees.includes(place);
      return named || this.events.has(place) || this.mpStates.has(place) || this.ownSregs.has(place) ? [] : place;
    });
    return free.at(-1) ?? null;
  }

  /** Whether who is sent to takes it at each write's exit. */
  get takesEach(): boolean {
    return this.busy && this.close && this.bed.vcpus.length <= FEW;
  }

  /** Whether what the sender sends to itself stays in its IRR. */
  get bearsOwn(): boolean {
    const open = (this.flags & (1n << 9n)) !== 0n;
    return !open && !this.steps && this.handles.size === 0 && !this.events.has(this.sender);
  }

  /** What the prelude sends; `toHeld`: to where ICR2 points already. */
  drawPrelude(toHeld: boolean): DrawnSend {
    const own = this.lapics.get(this.sender)?.get(lapicRegisters.ICR2);
    const held = own ?? this.bed.register(this.bed.plain[this.sender]!, 'ICR2');
    return drawSend(this, this.#random, toHeld ? held >>> 24 : null);
  }

  /** To the target, if there is another vCPU: fixed, edge, by its APIC id. */
  get sent(): Send {
    if (this.send) return this.send;
    if (this.target === this.sender) return { icr: 0x4000, destination: 0x77, addressees: [], leaves: 'nothing' };
    const destination = this.bed.apicId(this.target, this.lapics.get(this.target));
    return { icr: 0x4000, destination, addressees: [this.target], leaves: 'irr' };
  }
}
