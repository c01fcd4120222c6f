/** What a run of the fuzzer has made: objects of each kind, open and closed, under names for the log. */
import {
  type AsmCode,
  type Device,
  EventFd,
  enterFlat32,
  flat32,
  GuestMemory,
  hlt,
  type Instruction,
  Kvm,
  type Machine,
  mpStates,
  out8Value,
  type Snippet,
  spin,
  type Trace,
  type Vcpu,
  type VcpuRun,
  type Vm,
} from 'kvm-dsm';
import type { Random } from './random.ts';
import { anything, bent, noObject, refused, show } from './values.ts';

/** One call: a method (or a property, `get x`) of `target`, or `target` itself if it is a function. */
export interface Call {
  target: object;
  method: string;
  args: readonly unknown[];
  /** Takes what it gave. */
  keep?: (result: unknown) => void;
}

export interface Kinds {
  kvm: Kvm;
  /** A VM that nothing but the fuzzer sets up. */
  bareVm: Vm;
  /** A VM with memory, an irqchip and vCPUs, for the fixed programs. */
  guestVm: Vm;
  bareVcpu: Vcpu;
  guestVcpu: Vcpu;
  memory: GuestMemory;
  event: EventFd;
  device: Device;
  run: VcpuRun;
  iterator: AsyncIterator<unknown>;
  machine: Machine;
  trace: Trace;
  state: Uint8Array;
  code: AsmCode;
  snippet: Snippet;
}
export type Kind = keyof Kinds;

/** As many of a kind are kept: the oldest is closed for a new one. */
const ROOM: Partial<Record<Kind, number>> = { bareVm: 4, guestVm: 3, machine: 2, bareVcpu: 8, guestVcpu: 6 };
/** A guest's memory, and where its program is: `0x10000 + id * 0x1000`. */
const GUEST_MEMORY = 0x2_0000;

/** `inc eax; out 0x42, eax; jmp`: an exit each time. */
const countOut: Instruction = Uint8Array.of(0x40, 0xe7, 0x42, 0xeb, 0xfb);

/** The programs that guests run on a host: known code, in flat 32-bit mode. */
export const programs: readonly (readonly Instruction[])[] = [
  [out8Value(0x10, 1), out8Value(0x11, 2), hlt],
  [countOut],
  [hlt],
  [spin],
];

export class World {
  readonly random: Random;
  /** Random state and random code may reach a vCPU that runs: in the lab alone. */
  readonly full: boolean;
  /** This call may get wrong arguments. */
  wild = false;
  readonly #pools = new Map<Kind, object[]>();
  readonly #names = new WeakMap<object, string>();
  readonly #counts = new Map<Kind, number>();

  constructor(random: Random, full: boolean) {
    this.random = random;
    this.full = full;
  }

  add<K extends Kind>(kind: K, object: Kinds[K]): void {
    const pool = this.#pools.get(kind) ?? [];
    this.#pools.set(kind, pool);
    if (pool.includes(object)) return;
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    this.#names.set(object, `${kind}#${count}`);
    pool.push(object);
    if (pool.length > (ROOM[kind] ?? 6)) closeIt(pool.shift()!);
  }

  /** One of a kind, now and then a closed one; nothing if there is none. */
  one<K extends Kind>(kind: K): Kinds[K] | undefined {
    const pool = this.#pools.get(kind) as Kinds[K][] | undefined;
    if (!pool || pool.length === 0) return undefined;
    const open = pool.filter((object) => !isClosed(object));
    return this.random.pick(open.length > 0 && this.random.chance(0.9) ? open : pool);
  }

  all<K extends Kind>(kind: K): readonly Kinds[K][] {
    return (this.#pools.get(kind) ?? []) as Kinds[K][];
  }

  need<K extends Kind>(kind: K): Kinds[K] {
    const found = this.one(kind);
    if (!found) throw new Error(`the world has no ${kind}`);
    return found;
  }

  /** The value that `make` makes; now and then, in a wild call, anything else. */
  or<T>(make: () => T): T {
    if (this.wild && this.random.chance(0.3)) return this.#anything() as T;
    return this.wild && this.random.chance(0.05) ? this.#bent(make()) : make();
  }

  /** With properties that close something, now and then, when they are read. */
  #bent<T>(value: T): T {
    return bent(value, () => {
      if (!this.random.chance(0.1)) return;
      const kind = this.random.pick(['guestVm', 'bareVm', 'guestVcpu', 'bareVcpu', 'memory', 'event'] as const);
      const object = this.one(kind);
      if (object) closeIt(object);
    });
  }

  /** As `or`; what it gives instead is refused by every field of a struct, so that it never reaches a guest's state. */
  orRefused<T>(make: () => T): T {
    if (this.full) return this.or(make);
    return this.wild && this.random.chance(0.3) ? (refused(this.random) as T) : make();
  }

  /** As `or`; what it gives instead is no object, nor a list. */
  orNoObject<T>(make: () => T): T {
    if (this.full) return this.or(make);
    return this.wild && this.random.chance(0.15) ? (noObject(this.random) as T) : make();
  }

  /** A short time; in a wild call, now and then, what is none. Never a long one. */
  deadline(): number | string {
    const { random } = this;
    if (this.wild && random.chance(0.3))
      return random.pick<unknown>([
        Number.NaN,
        -1,
        0,
        '5',
        'x',
        '1h',
        '',
        {},
        [],
        1e9,
        Symbol('t'),
        86_400_001,
        true,
      ]) as number;
    return random.pick<number | string>([0.01, 1, 5, 20, '1ms', '0.02s', 40]);
  }

  #anything(): unknown {
    const { random } = this;
    if (random.chance(0.15)) {
      const kinds = [...this.#pools.keys()];
      return this.one(random.pick(kinds));
    }
    return anything(random);
  }

  /** An open one. */
  kvm(): Kvm {
    const open = this.all('kvm').find(({ closed }) => !closed);
    if (open) return open;
    const made = Kvm.open();
    this.add('kvm', made);
    return made;
  }

  /** A VM with one or two vCPUs, each at the start of a fixed program. */
  guest(): Vm {
    const { random } = this;
    const vm = this.kvm().createVm();
    const memory = GuestMemory.allocate(GUEST_MEMORY);
    if (vm.checkExtension('KVM_CAP_SET_TSS_ADDR')) vm.setTssAddr(0xfffb_d000);
    if (random.chance(0.8)) vm.createIrqchip();
    vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
    this.add('guestVm', vm);
    for (let id = 0; id < random.int(1, 2); id++) {
      const vcpu = vm.createVcpu(id);
      const at = 0x1_0000 + id * 0x1000;
      memory.write(at, flat32(...random.pick(programs)).bytes);
      enterFlat32(vcpu, { rip: at, rsp: at, interrupts: true });
      if (vm.irqchip !== 'none') vcpu.setMpState(mpStates.KVM_MP_STATE_RUNNABLE);
      this.add('guestVcpu', vcpu);
    }
    return vm;
  }

  show(value: unknown): string {
    return show(value, (object) => this.#names.get(object));
  }

  describe({ target, method, args }: Call): string {
    const shown = args.map((arg) => this.show(arg)).join(', ');
    if (typeof target === 'function') return `${method}(${shown})`;
    const name = this.#names.get(target) ?? 'object';
    return method.startsWith('get ') ? `${name}.${method.slice(4)}` : `${name}.${method}(${shown})`;
  }

  /** Closes everything, in a random order. */
  close(): void {
    const objects = [...this.#pools.values()].flat();
    while (objects.length > 0) closeIt(objects.splice(this.random.int(0, objects.length - 1), 1)[0]!);
    this.#pools.clear();
  }

  /** What there is at first. */
  begin(): void {
    this.add('bareVm', this.kvm().createVm());
    this.add('memory', GuestMemory.allocate(0x1_0000));
    this.add('event', EventFd.create());
    this.guest();
  }
}

function isClosed(object: object): boolean {
  return 'closed' in object && object.closed === true;
}

function closeIt(object: object): void {
  if ('close' in object && typeof object.close === 'function') object.close();
}
