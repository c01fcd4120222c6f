/** Calls of memory, events and devices, and of functions that need no kernel. */
import { ReadableStream } from 'node:stream/web';
import {
  _IO,
  _IOR,
  _IOW,
  type AsmCode,
  asm,
  bytesAt,
  cpuidEntry,
  type Device,
  decodeExit,
  decodeIcr,
  decodeIcr2,
  decodeLapic,
  decodeX2Icr,
  describeExit,
  describeIcr,
  disassemble,
  EventFd,
  encodeIcr,
  encodeIcr2,
  encodeX2Icr,
  errnoName,
  exitToJson,
  flat32,
  GuestMemory,
  hidePvIpi,
  hideX2apic,
  in8,
  insertBreakpoint,
  ioctlName,
  Kvm,
  lidt,
  mov32,
  out8,
  out8Value,
  profileByName,
  read32,
  readLapicRegister,
  showTscDeadline,
  store32,
  type Vcpu,
  write16,
  write32,
  writeLapicRegister,
} from 'kvm-dsm';
import { attr, type Maker, method } from './calls-vm.ts';
import type { World } from './world.ts';

const offset = (world: World) => world.or(() => world.random.pick([0, 1, 4095, 4096, 0xffff, 0x1_0000]));

const memory =
  (name: string, args: (world: World) => readonly unknown[]): Maker =>
  (world) =>
    method(world.need('memory'), name, args(world));

const event =
  (name: string, args: (world: World) => readonly unknown[]): Maker =>
  (world) =>
    method(world.need('event'), name, args(world));

const device =
  (name: string, args: (world: World) => readonly unknown[]): Maker =>
  (world) => {
    const target: Device | undefined = world.one('device');
    return target && method(target, name, args(world));
  };

export const objectCalls: Maker[] = [
  (world) =>
    method(allocate, 'GuestMemory.allocate', [world.or(() => 4096 * world.random.int(1, 64))], (made) =>
      world.add('memory', made as GuestMemory),
    ),
  (world) =>
    method(allocateAndUse, 'allocateAndUse', [
      world.random.pick([2 ** 31, MAX - 4096, MAX, MAX + 4096, 2 * MAX, 6 * 2 ** 30, 2 ** 40, 2 ** 46, 2 ** 53 - 4096]),
    ]),
  (world) =>
    method(moveAway, 'moveAway', [
      world.random.chance(0.5) ? world.need('memory') : world.one('guestVcpu'),
      world.random.pick(ways),
    ]),
  memory('write', (world) => [offset(world), world.or(() => new Uint8Array(world.random.pick([0, 1, 4096])))]),
  memory('read', (world) => [offset(world), world.or(() => world.random.pick([0, 1, 4096, -1]))]),
  memory('get bytes', () => []),
  memory('get view', () => []),
  memory('get size', () => []),
  (world) => (world.random.chance(0.2) ? method(world.need('memory'), 'close', []) : undefined),
  (world) => method(insertBreakpoint, 'insertBreakpoint', [world.or(() => world.need('memory')), offset(world)]),
  (world) => method(makeEvent, 'EventFd.create', [], (made) => world.add('event', made as EventFd)),
  event('write', (world) => [world.or(() => world.random.pick<unknown>([undefined, 1, 5n, (1n << 64n) - 2n]))]),
  event('read', () => []),
  event('wait', (world) => [world.deadline()]),
  event('get closed', () => []),
  (world) => (world.random.chance(0.2) ? method(world.need('event'), 'close', []) : undefined),
  device('hasAttr', (world) => [attr(world)]),
  device('getAttr', (world) => [attr(world), world.or(() => 8)]),
  device('setAttr', (world) => [
    attr(world),
    world.or(() => new Uint8Array(world.random.int(0, 8))),
    world.random.chance(0.5) ? world.or(() => world.need('event')) : undefined,
  ]),
  device('get forwardsIrqs', () => []),
  ...(['addFile', 'removeFile'] as const).map((name) => device(name, (world) => [world.or(() => world.need('event'))])),
  ...(['forwardIrq', 'unforwardIrq'] as const).map((name) =>
    device(name, (world) => [
      world.or(() => world.need('event')),
      world.or(() => ({ index: world.or(() => 0), gsi: world.or(() => 20) })),
    ]),
  ),
  device('get closed', () => []),
  device('close', () => []),
  (world) =>
    method(
      open,
      'Kvm.open',
      [
        world.random.pick<unknown>([
          undefined,
          '/dev/kvm',
          '/dev/null',
          '/',
          '/nowhere',
          '',
          '\0',
          5,
          null,
          {},
          Symbol('path'),
          [],
        ]),
      ],
      (made) => world.add('kvm', made as Kvm),
    ),
];

function allocate(bytes: number): GuestMemory {
  return GuestMemory.allocate(bytes);
}

const MAX = 2 ** 32;

/** The ends of a large memory, which is then let go. */
function allocateAndUse(bytes: number): void {
  using memory = GuestMemory.allocate(bytes);
  memory.write(bytes - 4, Uint8Array.of(1, 2, 3, 4));
  if (memory.read(bytes - 2, 2)[1] !== 4) throw new Error(`the last byte of ${bytes} is another`);
  if (bytes > MAX) memory.read(MAX - 2, 4);
}

const ways = ['structuredClone', 'transfer', 'a byte stream'] as const;

/** Moves a buffer of this package to where it is not known; what JavaScript itself refuses is fine. */
async function moveAway(owner: GuestMemory | Vcpu | undefined, way: (typeof ways)[number]): Promise<void> {
  const view = owner instanceof GuestMemory ? owner.bytes : owner?.kvmRun;
  if (!view) return;
  const buffer = view.buffer as ArrayBuffer & { transfer?(): ArrayBuffer };
  try {
    if (way === 'structuredClone') structuredClone(buffer, { transfer: [buffer] });
    else if (way === 'transfer') buffer.transfer?.();
    else {
      const stream = new ReadableStream({
        type: 'bytes',
        pull: (controller) => controller.byobRequest?.respond(1),
      });
      await stream.getReader({ mode: 'byob' }).read(new Uint8Array(buffer));
    }
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof DOMException)) throw error;
  }
}

function makeEvent(): EventFd {
  return EventFd.create();
}

function open(path?: string): Kvm {
  return Kvm.open(path);
}

function icr(world: World): unknown {
  const { random } = world;
  return world.or(() => ({
    vector: world.or(() => random.int(0, 255)),
    destination: world.or(() => random.u32()),
    ...(random.chance(0.5) ? { deliveryMode: world.or(() => random.pick(['fixed', 'nmi', 'startUp'])) } : {}),
    ...(random.chance(0.3) ? { reserved: world.or(() => 0) } : {}),
    ...(random.chance(0.3) ? { shorthand: world.or(() => 'self') } : {}),
  }));
}

/** Every byte at random: nothing in the mapping makes the decoder throw. */
function kvmRun(world: World): DataView {
  const { random } = world;
  const bytes = random.bytes(random.pick([0, 287, 288, 512, 2304]));
  const view = new DataView(bytes.buffer);
  if (bytes.length > 16) view.setUint32(8, random.int(0, 60), true);
  return view;
}

const word = (world: World) => world.or(() => world.random.u32());
const small = (world: World) => world.or(() => world.random.int(0, 255));
const plain =
  (call: (...args: never[]) => unknown, args: (world: World) => readonly unknown[]): Maker =>
  (world) =>
    method(call, call.name, args(world));

export const codecCalls: Maker[] = [
  plain(encodeIcr, (world) => [icr(world)]),
  plain(encodeIcr2, (world) => [icr(world)]),
  plain(encodeX2Icr, (world) => [icr(world)]),
  plain(decodeIcr, (world) => [word(world)]),
  plain(decodeIcr2, (world) => [word(world)]),
  plain(decodeX2Icr, (world) => [world.or(() => world.random.u64())]),
  plain(describeIcr, (world) => [world.or(() => decodeIcr(world.random.u32()))]),
  plain(decodeExit, (world) => [world.or(() => kvmRun(world)), world.or(() => undefined)]),
  plain(decodeAndDescribe, (world) => [kvmRun(world)]),
  plain(exitToJson, (world) => [world.or(() => decodeExit(new DataView(world.random.bytes(2304).buffer)))]),
  plain(describeExit, (world) => [world.or(() => decodeExit(new DataView(world.random.bytes(2304).buffer)))]),
  plain(decodeLapic, (world) => [world.or(() => new Uint8Array(1024))]),
  plain(readLapicRegister, (world) => [world.or(() => new Uint8Array(1024)), world.or(() => 'ICR')]),
  plain(writeLapicRegister, (world) => [world.or(() => new Uint8Array(1024)), world.or(() => 'ICR'), word(world)]),
  plain(cpuidEntry, (world) => [world.or(() => []), word(world), small(world)]),
  plain(hideX2apic, (world) => [world.or(() => [])]),
  plain(showTscDeadline, (world) => [world.or(() => [])]),
  plain(hidePvIpi, (world) => [world.or(() => [])]),
  plain(_IOW, (world) => [small(world), small(world)]),
  plain(_IOR, (world) => [small(world), small(world), small(world)]),
  plain(ioctlName, (world) => [word(world)]),
  plain(profileByName, (world) => [world.or(() => 'rfc-v2')]),
  plain(flat32, (world) => [world.or(() => out8(1)), world.or(() => out8(2))]),
  plain(write32, (world) => [word(world), word(world)]),
  plain(write16, (world) => [word(world), small(world)]),
  plain(read32, (world) => [word(world)]),
  plain(out8, (world) => [small(world)]),
  plain(out8Value, (world) => [small(world), small(world)]),
  plain(in8, (world) => [small(world)]),
  plain(mov32, (world) => [world.or(() => 'eax') as never, word(world)]),
  plain(store32, (world) => [word(world)]),
  plain(lidt, (world) => [word(world)]),
  plain(_IO, (world) => [small(world), small(world)]),
  plain(errnoName, (world) => [small(world)]),
  plain(bytesAt, (world) => [world.or(() => world.one('code') ?? out8(1)), address(world)]),
  plain(disassemble, (world) => [
    world.or(() => world.random.bytes(world.random.int(0, 40))),
    ...(world.random.chance(0.5) ? [world.or(() => disassembly(world))] : []),
  ]),
  (world) =>
    method(asm, world.random.pick(modes), [world.or(() => assembly(world))], (code) =>
      world.add('code', code as AsmCode),
    ),
  (world) =>
    method(asm, 'bytes', [
      world.or(() => world.random.bytes(world.random.int(0, 8))),
      ...(world.random.chance(0.5) ? [world.or(() => world.random.pick(modes))] : []),
    ]),
  ...['at', 'label', 'listing', 'get bytes', 'get labels'].map(
    (name): Maker =>
      (world) => {
        const code = world.one('code');
        const args: Record<string, () => readonly unknown[]> = {
          at: () => [address(world)],
          label: () => [world.or(() => world.random.pick(['a', '.b', 'a.b', 'z']))],
        };
        return code && method(code, name, args[name]?.() ?? []);
      },
  ),
];

const modes = ['real16', 'flat32', 'long64'] as const;

const address = (world: World) =>
  world.or(() => world.random.pick<number | bigint>([0, 0x1000, 0xffff_fff0, (1n << 64n) - 8n]));

function disassembly(world: World): unknown {
  const { random } = world;
  return {
    ...(random.chance(0.5) ? { mode: world.or(() => random.pick(modes)) } : {}),
    ...(random.chance(0.5) ? { origin: address(world) } : {}),
    ...(random.chance(0.3) ? { count: world.or(() => random.int(0, 5)) } : {}),
  };
}

/** Lines that are right in one mode or another, and some that never are. */
const lines = [
  'a:',
  '.b: hlt',
  'jmp .b',
  'mov eax, a',
  'mov rax, [rel a]',
  'out 0x10, al',
  'db 1, "x", 0xff',
  'times 3 nop',
  'org 0x1000',
  'x equ 5',
  'mov al, 300',
  'mov [',
  'jmp $+200',
  'bogus eax',
  '`',
];

function assembly(world: World): string {
  const { random } = world;
  return Array.from({ length: random.int(0, 5) }, () => random.pick(lines)).join('\n');
}

/** What comes out of the decoder can be shown, whatever it is. */
function decodeAndDescribe(view: DataView): string {
  if (view.byteLength < 288) return '';
  const exit = decodeExit(view);
  return `${describeExit(exit)} ${JSON.stringify(exitToJson(exit))}`;
}
