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
import type { Send } from './send.ts';

/** An exit that tells of a write, and what could be seen then. */
export interface Seen {
  exit: ForwardedExit;
  /** What of kvm_run and of the vCPUs is not as it has to be then. */
  texts: readonly string[];
}

/** What is not as it should be. */
export interface Wrong {
  register: 'ICR2' | 'ICR' | 'both';
  claim: 'once' | 'payload' | 'state';
  text: string;
}

/** Another vCPU that has written meanwhile. */
export interface Meanwhile {
  place: number;
  /** What it has written, and where it goes on. */
  left: { registers: readonly LapicWrite[]; rip: bigint };
}

/** One IPI. */
export interface Sent {
  send: Send;
  vector: number;
}

export interface ExpectedWrites {
  vcpuId: number;
  writes: readonly LapicWrite[];
  /** What each of them sends; `null`: nothing. */
  sends: readonly (Sent | null)[];
  /** RIP behind each write's instruction; `null`: it says nothing. */
  rips: readonly bigint[] | null;
  /** RIP behind the last instruction; `null`: it says nothing. */
  end: bigint | null;
  /** What ICR2 held before. */
  icr2: number;
  /** Who wrote meanwhile. */
  intruder: Meanwhile | null;
  /** The linear address of the sender's APIC page. */
  apic: number;
  /** Which of the writes an instruction makes with the one after it, if one does. */
  joint: number | null;
}

/** What is expected when so many of the writes are made, and what those from `taken` on have sent is still to be seen. */
export function upTo(expected: ExpectedWrites, made: number, taken = 0): ExpectedWrites {
  const { writes, sends, rips } = expected;
  return {
    ...expected,
    writes: writes.slice(0, made),
    sends: sends.slice(taken, made),
    end: rips?.[made - 1] ?? null,
  };
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

/** Once, and with the right payload, when all is as it should be then; `skipped`: which write need not come out. */
export function judgeExits(
  expected: ExpectedWrites,
  seen: readonly Seen[],
  strange: readonly Exit[],
  skipped: number | null,
): Wrong[] {
  const wrong: Wrong[] = strange.map((exit) => ({
    register: 'both',
    claim: 'once',
    text: `an exit that nothing asked for: ${describeExit(exit)}`,
  }));
  const due = (_: unknown, at: number) => at !== skipped;
  const wanted = payloads(expected).filter(due);
  const writes = expected.writes.filter(due);
  const told = seen.map(({ exit }): Payload => {
    const { id, val, val2, destId } = exit;
    return { id, val, val2, dest_id: destId };
  });
  if (told.length !== wanted.length) {
    const same = (a: Payload, b: Payload) => a.val === b.val && a.val2 === b.val2;
    for (const [at, want] of wanted.entries()) {
      if (wanted.findIndex((other) => same(other, want)) < at) continue;
      const times = told.filter((one) => same(one, want)).length;
      const wantedTimes = wanted.filter((one) => same(one, want)).length;
      if (times !== wantedTimes)
        wrong.push({
          register: of(writes[at]!),
          claim: 'once',
          text: `write ${at + 1} of ${wanted.length}, ${hex(want.val2)}, came out ${times} times, expected ${wantedTimes}`,
        });
    }
    if (wrong.length === 0)
      wrong.push({ register: 'both', claim: 'once', text: `${told.length} exits, expected ${wanted.length}` });
    return wrong;
  }
  for (const [at, want] of wanted.entries()) {
    const got = told[at]!;
    const register = of(writes[at]!);
    for (const name of ['id', 'val', 'val2', 'dest_id'] as const)
      if (got[name] !== null && got[name] !== want[name])
        wrong.push({
          register,
          claim: 'payload',
          text: `${name} is ${shown(got[name])}, expected ${shown(want[name])}`,
        });
    for (const text of seen[at]!.texts) wrong.push({ register, claim: 'state', text: `at its exit ${text}` });
  }
  return wrong;
}

const BUSY = 1 << 12;
const ARITHMETIC = 0x8d5n;
const [PF, AF, ZF, SF, DF, RF] = [1n << 2n, 1n << 4n, 1n << 6n, 1n << 7n, 1n << 10n, 1n << 16n];

/** The arithmetic flags of what comes out of it. Source: Intel SDM volume 1, 3.4.3.1 */
function flagsOf(kind: 'add' | 'logic' | 'compare', value: number): bigint {
  const result = kind === 'compare' ? 0 : value;
  const ones = [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (result >> bit) & 1).length;
  return (ones % 2 === 0 ? PF : 0n) | (result === 0 ? ZF : 0n) | (result >>> 31 ? SF : 0n);
}
const TIME = new Set<number>([lapicRegisters.TMCCT]);

/** What vCPUs are like after writes; `after` has those that are judged. */
export function judgeStates(
  scene: Scene,
  expected: ExpectedWrites,
  before: Readonly<Record<number, VcpuState>>,
  after: ReadonlyMap<number, VcpuState>,
): Wrong[] {
  return [...after].flatMap(([place, now]) => {
    const state = before[place]!;
    const whose = `vCPU ${scene.bed.vcpus[place]!.vcpuId}${role(scene, place)}`;
    const texts = [
      ...lapicDifferences(scene, place, expectedLapic(scene, place, expected, state), now.lapic),
      ...eventDifferences(scene, place, expected, state, now),
      ...registerDifferences(scene, place, expected, state, now),
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
function takes(scene: Scene, { send }: Sent, place: number, state: VcpuState): boolean {
  const { bed } = scene;
  if (!send.addressees.includes(place)) return false;
  if ((bed.sregs(state).apicBase & 0x800n) === 0n) return false;
  return send.leaves === 'nmi' || send.leaves === 'smi' || (bed.register(state, 'SVR') & 0x100) !== 0;
}

function expectedLapic(scene: Scene, place: number, expected: ExpectedWrites, state: VcpuState): Buffer {
  const { writes, sends, intruder } = expected;
  const page = Buffer.from(state.lapic);
  const own = place === scene.sender ? writes : place === intruder?.place ? intruder.left.registers : [];
  for (const { register, value } of own)
    page.writeUInt32LE((register === 'ICR' ? value & ~BUSY : value & 0xff00_0000) >>> 0, lapicRegisters[register]);
  for (const sent of sends) {
    if (!sent) continue;
    const { send, vector } = sent;
    if (!send.leaves.startsWith('irr') || !takes(scene, sent, place, state)) continue;
    const word = (vector >> 5) * 16;
    const bit = 1 << (vector & 31);
    const set = (at: number, on: boolean) => {
      const old = page.readUInt32LE(at);
      page.writeUInt32LE((on ? old | bit : old & ~bit) >>> 0, at);
    };
    set(lapicRegisters.IRR0 + word, true);
    set(lapicRegisters.TMR0 + word, send.leaves === 'irr-level');
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
  { sends }: ExpectedWrites,
  before: VcpuState,
  after: VcpuState,
): Difference[] {
  const found: Difference[] = [];
  if (!before.mp.equals(after.mp))
    found.push(['ICR', `mp_state is ${after.mp.readUInt32LE()}, expected ${before.mp.readUInt32LE()}`]);
  const taken = sends.flatMap((sent) => (sent && takes(scene, sent, place, before) ? sent.send.leaves : []));
  const brought = (['nmi', 'smi'] as const).filter((kind) => taken.includes(kind));
  if (place === scene.sender && scene.unjudgedEvents) return found;
  // A decoder takes an emulated CPU long.
  const same = brought.length === 0 && before.events.equals(after.events);
  if (same && (place !== scene.sender || scene.bed.events(before).interrupt.shadow === 0)) return found;
  const wanted = withoutLeftovers(structuredClone(scene.bed.events(before)));
  const got = withoutLeftovers(scene.bed.events(after));
  for (const kind of brought) wanted[kind].pending = 1;
  // What kept interrupts away for one instruction is over.
  if (place === scene.sender) wanted.interrupt.shadow = 0;
  return [...found, ...fieldDifferences(wanted, got)];
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
    if (place === scene.sender && scene.unjudgedEvents) special.interruptBitmap = [0n, 0n, 0n, 0n];
    found.push(...fieldDifferences(special, kvmSregs.decode(after.sregs)));
  }
  const isBystander = place !== scene.sender && place !== expected.intruder?.place;
  if (isBystander && before.regs.equals(after.regs)) return found;
  const wanted: Record<string, bigint> = { ...scene.bed.regs(before) };
  const got: Record<string, bigint> = kvmRegs.decode(after.regs);
  if (place === scene.sender) {
    const { form } = scene;
    const { register, value } = expected.writes.at(-1)!;
    const where = expected.apic + lapicRegisters[register];
    wanted.rip = expected.end ?? got.rip!;
    if (form.flags) wanted.rflags = (wanted.rflags! & ~ARITHMETIC) | flagsOf(form.flags, value);
    // An instruction that repeats has RF set while KVM may still come back to it.
    const resumed = (form.repeats || scene.joint) && expected.end === null ? RF : 0n;
    const free = scene.unjudgedFlags | resumed | (form.flags === 'logic' ? AF : 0n);
    wanted.rflags = (wanted.rflags! & ~free) | (got.rflags! & free);
    const left: Record<string, number> = { ...form.leaves?.(where, value, scene.mode) };
    if (form.string && (scene.flags & DF) !== 0n)
      for (const name of ['rsi', 'rdi']) if (left[name] !== undefined) left[name] -= 8;
    for (const name of [...form.changes, ...scene.unjudgedRegs])
      wanted[name] = left[name] === undefined ? got[name]! : BigInt(left[name] >>> 0);
  }
  if (place === expected.intruder?.place) wanted.rip = expected.intruder.left.rip;
  return [...found, ...fieldDifferences(wanted, got)];
}

function fieldDifferences(wanted: Record<string, unknown>, got: Record<string, unknown>): Difference[] {
  return Object.keys(wanted).flatMap((name): Difference[] => {
    // Text takes an emulated CPU long.
    if (wanted[name] === got[name]) return [];
    const [a, b] = [shown(wanted[name]), shown(got[name])];
    return a === b ? [] : [['both', `${name} is ${b}, expected ${a}`]];
  });
}

const shown = (value: unknown): string =>
  typeof value === 'number'
    ? hex(value)
    : (JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? hex(one) : one)) ?? 'nothing');
