/** The three claims about a write: it comes out once, with the right payload, and is delivered as on a stock kernel. */
import { lapicRegisterName, lapicRegisters } from '../../../abi/apic/lapic.ts';
import { type KvmVcpuEvents, kvmRegs, kvmSregs } from '../../../abi/kvm/index.ts';
import { hex } from '../../../base/text.ts';
import type { Exit } from '../../../exit/exit.ts';
import { describeExit } from '../../../exit/text.ts';
import type { ForwardedExit } from '../../kit/forwarded-writes.ts';
import type { LapicWrite } from '../../kit/guests.ts';
import type { VcpuState } from './bed.ts';
import type { Scene } from './scene.ts';

/** An exit that tells of a write, and what could be seen then. */
export interface Seen {
  exit: ForwardedExit;
  rip: bigint;
  /** What of kvm_run and of the sender's LAPIC is not as it has to be then. */
  texts: readonly string[];
}

/** What is not as it should be. */
export interface Wrong {
  register: 'ICR2' | 'ICR' | 'both';
  claim: 'once' | 'payload' | 'state';
  text: string;
}

export interface ExpectedWrites {
  vcpuId: number;
  writes: readonly LapicWrite[];
  /** RIP behind each write's instruction; `null`: it says nothing. */
  rips: readonly bigint[] | null;
  /** RIP behind the last instruction. */
  end: bigint;
  /** What ICR2 held before. */
  icr2: number;
  /** The sender has been in its guest. Default true. */
  entered?: boolean;
}

interface Payload {
  id: number;
  val: number;
  val2: number;
  /** `null`: the profile has none. */
  dest_id: number | null;
}

const of = (write: LapicWrite) => write.register as 'ICR2' | 'ICR';

function payloads({ vcpuId, writes, icr2 }: ExpectedWrites): Payload[] {
  let held = icr2;
  return writes.map(({ register, value }) => {
    if (register === 'ICR2') held = value;
    return { id: vcpuId, val: lapicRegisters[register], val2: value, dest_id: held >>> 24 };
  });
}

/** Once, and with the right payload, when RIP is behind the write's instruction. */
export function judgeExits(expected: ExpectedWrites, seen: readonly Seen[], strange: readonly Exit[]): Wrong[] {
  const wrong: Wrong[] = strange.map((exit) => ({
    register: 'both',
    claim: 'once',
    text: `an exit that nothing asked for: ${describeExit(exit)}`,
  }));
  const wanted = payloads(expected);
  const told = seen.map(({ exit }): Payload => {
    const { id, val, val2, destId } = exit;
    return { id, val, val2, dest_id: destId };
  });
  if (told.length !== wanted.length) {
    const same = (a: Payload, b: Payload) => a.val === b.val && a.val2 === b.val2;
    for (const [at, want] of wanted.entries()) {
      if (wanted.findIndex((other) => same(other, want)) < at) continue;
      const times = told.filter((one) => same(one, want)).length;
      const due = wanted.filter((one) => same(one, want)).length;
      if (times !== due)
        wrong.push({
          register: of(expected.writes[at]!),
          claim: 'once',
          text: `write ${at + 1} of ${wanted.length}, ${hex(want.val2)}, came out ${times} times, expected ${due}`,
        });
    }
    if (wrong.length === 0)
      wrong.push({ register: 'both', claim: 'once', text: `${told.length} exits, expected ${wanted.length}` });
    return wrong;
  }
  for (const [at, want] of wanted.entries()) {
    const got = told[at]!;
    const register = of(expected.writes[at]!);
    for (const name of ['id', 'val', 'val2', 'dest_id'] as const)
      if (got[name] !== null && got[name] !== want[name])
        wrong.push({
          register,
          claim: 'payload',
          text: `${name} is ${shown(got[name])}, expected ${shown(want[name])}`,
        });
    const rip = seen[at]!.rip;
    for (const text of seen[at]!.texts) wrong.push({ register, claim: 'state', text: `at its exit ${text}` });
    const behind = expected.rips?.[at];
    if (behind !== undefined && rip !== behind)
      wrong.push({ register, claim: 'state', text: `RIP is ${hex(rip)} at its exit, expected ${hex(behind)}` });
  }
  return wrong;
}

const BUSY = 1 << 12;
const ARITHMETIC = 0x8d5n;
const TIME = new Set<number>([lapicRegisters.TMCCT]);

/** What every vCPU is like afterwards. */
export function judgeStates(
  scene: Scene,
  expected: ExpectedWrites,
  before: readonly VcpuState[],
  after: readonly VcpuState[],
): Wrong[] {
  return before.flatMap((state, place) => {
    const whose = `vCPU ${scene.bed.vcpus[place]!.vcpuId}${role(scene, place)}`;
    const texts = [
      ...lapicDifferences(scene, place, expectedLapic(scene, place, expected, state), after[place]!.lapic),
      ...eventDifferences(scene, place, expected, state, after[place]!),
      ...registerDifferences(scene, place, expected, state, after[place]!),
    ];
    return texts.map(([register, text]): Wrong => ({ register, claim: 'state', text: `${whose}: ${text}` }));
  });
}

type Difference = [Wrong['register'], string];

function role({ sender, target }: Scene, place: number): string {
  if (place === sender) return ', which writes';
  return place === target ? ', the target' : '';
}

/** Whether a vCPU's LAPIC takes what is sent to it. */
function takes(scene: Scene, place: number, state: VcpuState): boolean {
  const { sent, bed } = scene;
  if (!sent.addressees.includes(place)) return false;
  if ((bed.sregs(state).apicBase & 0x800n) === 0n) return false;
  return sent.leaves === 'nmi' || sent.leaves === 'smi' || (bed.register(state, 'SVR') & 0x100) !== 0;
}

function expectedLapic(scene: Scene, place: number, { writes }: ExpectedWrites, state: VcpuState): Buffer {
  const page = Buffer.from(state.lapic);
  if (place === scene.sender) {
    for (const { register, value } of writes)
      page.writeUInt32LE((register === 'ICR' ? value & ~BUSY : value & 0xff00_0000) >>> 0, lapicRegisters[register]);
  }
  const sends = writes.some(({ register }) => register === 'ICR');
  if (sends && takes(scene, place, state) && scene.sent.leaves.startsWith('irr')) {
    const word = (scene.vector >> 5) * 16;
    const bit = 1 << (scene.vector & 31);
    const set = (at: number, on: boolean) => {
      const old = page.readUInt32LE(at);
      page.writeUInt32LE((on ? old | bit : old & ~bit) >>> 0, at);
    };
    set(lapicRegisters.IRR0 + word, true);
    set(lapicRegisters.TMR0 + word, scene.sent.leaves === 'irr-level');
  }
  return page;
}

function lapicDifferences(scene: Scene, place: number, wanted: Buffer, got: Buffer): Difference[] {
  if (wanted.equals(got)) return [];
  const found: Difference[] = [];
  for (let offset = 0; offset < wanted.length; offset += 4) {
    const [a, b] = [wanted.readUInt32LE(offset), got.readUInt32LE(offset)];
    // KVM brings it up to date when it looks for an interrupt.
    if (offset === lapicRegisters.PPR && b === processorPriority(got)) continue;
    if (a === b || TIME.has(offset) || (place === scene.sender && scene.unjudged.has(offset))) continue;
    const name = lapicRegisterName(offset) ?? `the LAPIC's ${hex(offset)}`;
    found.push([name === 'ICR2' ? 'ICR2' : 'ICR', `${name} is ${hex(b)}, expected ${hex(a)}`]);
  }
  return found;
}

/** SDM vol. 3 11.8.3.1 */
function processorPriority(page: Buffer): number {
  const tpr = page.readUInt32LE(lapicRegisters.TPR);
  for (let word = 7; word >= 0; word--) {
    const bits = page.readUInt32LE(lapicRegisters.ISR0 + word * 16);
    if (bits === 0) continue;
    const served = (word * 32 + 31 - Math.clz32(bits)) & 0xf0;
    return (tpr & 0xf0) >= served ? tpr : served;
  }
  return tpr;
}

function eventDifferences(
  scene: Scene,
  place: number,
  { writes, entered = true }: ExpectedWrites,
  before: VcpuState,
  after: VcpuState,
): Difference[] {
  const found: Difference[] = [];
  if (!before.mp.equals(after.mp))
    found.push(['ICR', `mp_state is ${after.mp.readUInt32LE()}, expected ${before.mp.readUInt32LE()}`]);
  const wanted = withoutLeftovers(scene.bed.events(before));
  const got = withoutLeftovers(scene.bed.events(after));
  if (writes.some(({ register }) => register === 'ICR') && takes(scene, place, before)) {
    if (scene.sent.leaves === 'nmi') wanted.nmi.pending = 1;
    if (scene.sent.leaves === 'smi') wanted.smi.pending = 1;
  }
  // What kept interrupts away for one instruction is over.
  if (place === scene.sender && entered) wanted.interrupt.shadow = 0;
  if (place === scene.sender && entered && scene.unjudgedEvents) return found;
  return [...found, ...fieldDifferences(wanted, got)];
}

/** What of the sender is not as it was before its instruction, at the exit that the instruction made. */
export function atExitDifferences(scene: Scene, before: VcpuState, now: VcpuState): string[] {
  if (scene.unjudgedEvents || scene.steps) return [];
  const wanted = withoutLeftovers(scene.bed.events(before));
  // An instruction has run that is none of those that keep interrupts away.
  wanted.interrupt.shadow = 0;
  const found = fieldDifferences(wanted, withoutLeftovers(scene.bed.events(now)));
  if (!before.sregs.equals(now.sregs))
    found.push(...fieldDifferences(kvmSregs.decode(before.sregs), kvmSregs.decode(now.sregs)));
  return found.map(([, text]) => text);
}

/** The number of an event that is not there means nothing. */
function withoutLeftovers(events: KvmVcpuEvents): KvmVcpuEvents {
  const { exception, interrupt } = events;
  const none = exception.injected === 0 && exception.pending === 0;
  return {
    ...events,
    exception: none ? { ...exception, nr: 0, hasErrorCode: 0, errorCode: 0 } : exception,
    interrupt: interrupt.injected === 0 ? { ...interrupt, nr: 0, soft: 0 } : interrupt,
  };
}

function registerDifferences(
  scene: Scene,
  place: number,
  expected: ExpectedWrites,
  before: VcpuState,
  after: VcpuState,
): Difference[] {
  const found: Difference[] = [];
  if (!before.sregs.equals(after.sregs)) {
    const special = kvmSregs.decode(before.sregs);
    // An interrupt that was on its way has come.
    if (place === scene.sender && expected.entered !== false && scene.unjudgedEvents)
      special.interruptBitmap = [0n, 0n, 0n, 0n];
    found.push(...fieldDifferences(special, kvmSregs.decode(after.sregs)));
  }
  const wanted: Record<string, bigint> = kvmRegs.decode(before.regs);
  const got: Record<string, bigint> = kvmRegs.decode(after.regs);
  if (place === scene.sender) {
    wanted.rip = expected.end;
    const free = scene.unjudgedFlags | (scene.form.flags ? ARITHMETIC : 0n);
    wanted.rflags = (wanted.rflags! & ~free) | (got.rflags! & free);
    for (const name of [...scene.form.changes, ...scene.unjudgedRegs]) wanted[name] = got[name]!;
  }
  return [...found, ...fieldDifferences(wanted, got)];
}

function fieldDifferences(wanted: Record<string, unknown>, got: Record<string, unknown>): Difference[] {
  return Object.keys(wanted).flatMap((name): Difference[] => {
    const [a, b] = [shown(wanted[name]), shown(got[name])];
    return a === b ? [] : [['both', `${name} is ${b}, expected ${a}`]];
  });
}

const shown = (value: unknown): string =>
  typeof value === 'number'
    ? hex(value)
    : (JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? hex(one) : one)) ?? 'nothing');
