/** The addon's own objects and arguments, as a script may bend them: cases of no-crash-child.ts. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { EventFd, type GuestMemory, type Kvm, KvmDsmError, type Vcpu, type Vm } from '../../lib/index.ts';
import { countOut, makeGuest } from '../support/guest.ts';
import { noKvm } from '../support/host.ts';
import { Skip } from './buffers-cases.ts';

type Native = Record<string, unknown> & { constructor: new (...args: unknown[]) => object };
type Method = (...args: unknown[]) => unknown;

/** What TypeScript hides and JavaScript does not. */
const nativeOf = (object: object) => (object as unknown as { native: Native }).native;

interface World {
  kvm: Kvm;
  vm: Vm;
  vcpu: Vcpu;
  memory: GuestMemory;
  event: EventFd;
}

function world(): World {
  if (noKvm) throw new Skip(noKvm);
  const guest = makeGuest();
  return {
    kvm: guest.kvm,
    vm: guest.vm,
    vcpu: guest.program(0, countOut(0x42)),
    memory: guest.memory,
    event: EventFd.create(),
  };
}

const nativesOf = ({ kvm, vm, vcpu, memory, event }: World) => [kvm, vm, vcpu, memory, event].map(nativeOf);

/** The functions of a class of the addon, by name: methods, and what its accessors run. */
function functionsOf(native: object): [string, Method][] {
  return Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(native)))
    .filter(([name]) => name !== 'constructor')
    .map(([name, { value, get }]) => [name, (value ?? get) as Method]);
}

function refusal(call: () => unknown): { code?: string } {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof Error);
    return error as { code?: string };
  }
  throw new Error('it was taken');
}

/** It may do what it likes, as long as what it throws is an error. */
function attempt(call: () => unknown): void {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof Error, String(error));
  }
}

/** Views that are not what they were made as. */
function bentBuffers(): object[] {
  const made: object[] = [];
  type View = new (buffer: ArrayBufferLike, from?: number, length?: number) => object;
  for (const of of [Uint8Array, DataView, BigUint64Array] as View[]) {
    const resizable = (bytes: number) =>
      Reflect.construct(ArrayBuffer, [bytes, { maxByteLength: 1 << 20 }]) as ArrayBuffer & {
        resize(bytes: number): void;
      };
    const shrunk = resizable(1 << 20);
    made.push(new of(shrunk, 0, of === BigUint64Array ? 1 << 17 : 1 << 20), new of(shrunk), new of(shrunk, 1 << 19));
    shrunk.resize(0);
    const half = resizable(1 << 20);
    made.push(new of(half, 1 << 19), new of(half, 0, 1 << 10));
    half.resize((1 << 19) + 3);
    const gone = new ArrayBuffer(1 << 20);
    made.push(new of(gone));
    structuredClone(gone, { transfer: [gone] });
    made.push(new of(new SharedArrayBuffer(4096)));
  }
  const liar = new Uint8Array(8);
  for (const name of ['length', 'byteLength', 'byteOffset', 'buffer'])
    Object.defineProperty(liar, name, { value: name === 'buffer' ? new ArrayBuffer(1 << 20) : 1 << 20 });
  return [...made, liar, Object.setPrototypeOf(new Uint8Array(8), null), new Proxy(new Uint8Array(8), {})];
}

const numbers = [
  Number.NaN,
  -1,
  -0,
  0.5,
  2 ** 31,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 64,
  -(2 ** 53),
  Number.POSITIVE_INFINITY,
];
const bigints = [-1n, 0n, (1n << 63n) - 1n, (1n << 64n) - 1n, 1n << 64n, 1n << 200n];
const others: unknown[] = [
  null,
  undefined,
  true,
  '1',
  Symbol('x'),
  {},
  [],
  () => 1,
  { valueOf: () => 1 },
  [1],
  new Date(0),
];

/** Methods that may wait, or enter a guest, if they are called as they should be. */
const waits = ['run', 'start', 'settle', 'resume', 'pause', 'kick', 'halt', 'close', 'wait'];

export const cases: Record<string, () => void | Promise<void>> = {
  'a method of one class on an object of another'() {
    const objects = nativesOf(world());
    const strange = [
      {},
      [],
      () => 1,
      null,
      undefined,
      1,
      'x',
      Symbol('x'),
      1n,
      Object.create(objects[0]!),
      new Proxy(objects[1]!, {}),
    ];
    for (const owner of objects)
      for (const [name, method] of functionsOf(owner))
        for (const self of [...objects.filter((object) => object !== owner), ...strange])
          assert.ok(refusal(() => Reflect.apply(method, self, [0, 0, 0n, null, 0, 0])) instanceof TypeError, name);
  },
  'an object with the prototype of another class'() {
    const w = world();
    const [, vm, , mapping] = nativesOf(w);
    const taken = vm!.setUserMemoryRegion as Method;
    for (const native of nativesOf({ ...w, vm: w.kvm.createVm() })) {
      if (native === mapping) continue;
      const own = Object.getPrototypeOf(native);
      Object.setPrototypeOf(native, Object.getPrototypeOf(mapping!));
      assert.equal(refusal(() => taken.call(vm, 9, 0, 0x4000_0000n, native, 0, 4096)).code, 'ERR_ARGUMENT');
      assert.equal(refusal(() => native.buffer).code, 'ERR_ARGUMENT');
      Object.setPrototypeOf(native, own);
    }
    // And the other way: what is one stays one.
    const bare = Object.setPrototypeOf(mapping, null) as object;
    assert.equal(taken.call(vm, 9, 0, 0x4000_0000n, bare, 0, 4096), 0);
  },
  async 'constructors that JavaScript calls'() {
    const w = world();
    const child = spawn(process.execPath, ['-e', ''], { stdio: 'pipe' });
    // A value of a type that only C++ can make.
    const { _externalStream: external } = (child.stdout as unknown as { _handle: { _externalStream: object } })._handle;
    for (const native of nativesOf(w)) {
      // Not Object.create(external): V8 of Node.js 24 itself crashes at that.
      for (const args of [[external], [], [{}], [new Proxy({}, {})], [native], [Object.create(native)]]) {
        attempt(() => new native.constructor(...args));
        attempt(() => Reflect.apply(native.constructor, {}, args));
        for (const other of nativesOf(w)) attempt(() => Reflect.construct(native.constructor, args, other.constructor));
      }
    }
    // Made by one class with the prototype of another.
    const { constructor: Mapping } = nativeOf(w.memory);
    const mixed = Reflect.construct(Mapping, [4096], nativeOf(w.vm).constructor) as Native;
    assert.ok(refusal(() => (mixed.ioctl as Method)(0xae03, 0)) instanceof TypeError);
    await new Promise((resolve) => child.once('close', resolve));
  },
  'arguments that are none, for each method'() {
    const w = world();
    // Of a VM of its own: nothing that is set here reaches a guest.
    const vm = w.kvm.createVm();
    const objects = nativesOf({ ...w, vm, vcpu: vm.createVcpu(0) });
    const values = [...numbers, ...bigints, ...others, ...bentBuffers(), ...objects];
    let state = 1;
    const next = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return values[state % values.length];
    };
    for (const native of objects)
      for (const [name, method] of functionsOf(native)) {
        if (waits.includes(name)) continue;
        for (let round = 0; round < 400; round++)
          attempt(() => Reflect.apply(method, native, Array.from({ length: round % 8 }, next)));
      }
  },
  'buffers that are no longer what they were, for each method that takes one'() {
    const w = world();
    const [kvm, vm, vcpu, memory, event] = nativesOf(w);
    const request = (size: number) => ((3 << 30) | (size << 16) | 0xae00 | 0x81) >>> 0;
    for (const buffer of bentBuffers()) {
      for (const native of [kvm, vm, vcpu])
        for (const size of [8, 1024, 4096]) attempt(() => (native!.ioctl as Method)(request(size), buffer));
      attempt(() => (vm!.getDirtyLog as Method)(0, buffer));
      attempt(() => (vm!.clearDirtyLog as Method)(0, 0, 2 ** 20, buffer));
      attempt(() => (vm!.setMsrFilter as Method)(buffer, buffer));
      attempt(() => (vm!.ioeventfd as Method)(event, buffer));
      attempt(() => (memory!.read as Method)(0, buffer));
      attempt(() => (memory!.write as Method)(0, buffer));
      attempt(() => w.memory.write(0, buffer as Uint8Array));
      attempt(() => w.vcpu.ioctlRaw(request(1024), buffer as Uint8Array));
    }
  },
  'setters of Array.prototype that close things'() {
    const w = world();
    const run = w.vcpu.start();
    for (let index = 0; index < 10; index++)
      Object.defineProperty(Array.prototype, index, {
        configurable: true,
        set(value) {
          Object.defineProperty(this, index, { value, configurable: true, writable: true, enumerable: true });
          w.vm.close();
        },
      });
    try {
      attempt(() => run.counters);
    } finally {
      for (let index = 0; index < 10; index++) delete (Array.prototype as unknown as Record<number, unknown>)[index];
    }
  },
};

/** Public methods and an argument whose properties are read in them. */
const reads: Record<string, (w: World, bend: <T extends object>(value: T) => T) => unknown> = {
  setMsrFilter: ({ vm }, bend) =>
    vm.setMsrFilter(bend({ defaultAllow: true, ranges: bend([bend({ base: 0x10, count: 64, allow: bend([0x10]) })]) })),
  setMemory: ({ vm, memory }, bend) => vm.setMemory(bend({ slot: 1, guestPhysAddr: 0x4000_0000, memory })),
  start: ({ vcpu }, bend) =>
    vcpu.start(bend({ record: bend({ exits: bend(['KVM_EXIT_IO' as const]), capacity: 16, onRecords: () => {} }) })),
  assignIrqfd: ({ vm, event }, bend) => vm.assignIrqfd(event, 5, bend({ resample: EventFd.create() })),
  assignIoeventfd: ({ vm, event }, bend) => vm.assignIoeventfd(event, bend({ port: 0x10, size: 1 }) as never),
  setGsiRouting: ({ vm }, bend) =>
    vm.setGsiRouting(bend([bend({ gsi: 0, type: 'msi', address: 0xfee0_0000n, data: 0x30 })]) as never),
  setRegs: ({ vcpu }, bend) => vcpu.setRegs(bend({ ...vcpu.getRegs() })),
  setCpuid2: ({ vcpu }, bend) => vcpu.setCpuid2(bend([...vcpu.getCpuid2()])),
  setMsrs: ({ vcpu }, bend) => vcpu.setMsrs(bend([bend({ index: 0x10, data: 0n })]) as never),
};
const closers: Record<string, (w: World) => void> = {
  'the VM': ({ vm }) => vm.close(),
  'the vCPU': ({ vcpu }) => vcpu.close(),
  'the memory': ({ memory }) => memory.close(),
  'the event': ({ event }) => event.close(),
};

for (const [method, call] of Object.entries(reads))
  cases[`${method} of what closes its objects while it is read`] = () => {
    // At each read in turn, until none is left.
    for (const close of Object.values(closers))
      for (let at = 0, count = 1; at < count && at < 40; at++) {
        const w = world();
        count = 0;
        const now = () => {
          if (count++ === at) close(w);
        };
        const bend = <T extends object>(value: T): T =>
          new Proxy(value, {
            get(target, key) {
              now();
              return Reflect.get(target, key) as unknown;
            },
            has(target, key) {
              now();
              return Reflect.has(target, key);
            },
            ownKeys(target) {
              now();
              return Reflect.ownKeys(target);
            },
            getPrototypeOf(target) {
              now();
              return Reflect.getPrototypeOf(target);
            },
          });
        try {
          call(w, bend);
        } catch (error) {
          assert.ok(error instanceof KvmDsmError, error instanceof Error ? error.stack : String(error));
        }
        w.vm.close();
        w.kvm.close();
      }
  };
