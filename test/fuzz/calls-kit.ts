/** Calls of the script kit's snippets, injections and expectations. */
import {
  asm,
  assertThat,
  delay,
  describeEvent,
  disableSynic,
  done,
  enableApic,
  enableSynic,
  endOfMessage,
  enterX2apic,
  eoi,
  freeMessage,
  icr,
  icr2,
  idle,
  increment,
  initSipiSipi,
  ipi,
  ipiAndWait,
  isExit,
  leaveX2apic,
  logicalCluster,
  logicalFlat,
  nmi,
  readApic,
  readMsr,
  relocateApic,
  repeat,
  Snippet,
  selfIpi,
  setSint,
  snippet,
  sync,
  takeEventFlag,
  tell,
  vectorName,
  waitSent,
  waitUntil,
  writeApic,
  writeMsr,
  writeSynic,
} from 'kvm-dsm';
import { type Maker, method } from './calls-vm.ts';
import type { World } from './world.ts';

const small = (world: World) => world.or(() => world.random.int(0, 255));
const word = (world: World) => world.or(() => world.random.u32());
const text = (world: World) => world.or(() => world.random.pick(['eax', 'dword [0x1000]', 'a', '']));
const access = (world: World) => world.or(() => world.random.pick([{}, { x2apic: true }, { base: 0xfed0_0000 }]));
const register = (world: World) => world.or(() => world.random.pick(['ICR', 'TPR', 'EOI', 'ID']));
const piece = (world: World) => world.or(() => world.one('snippet') ?? 'nop');

function fields(world: World): unknown {
  const { random } = world;
  return world.or(() => ({
    to: world.or(() => random.pick<number | string>([0, 1, 0xff, 'self', 'all', 'others'])),
    ...(random.chance(0.8) ? { vector: small(world) } : {}),
    ...(random.chance(0.3) ? { deliveryMode: world.or(() => random.pick(['nmi', 'init', 'lowestPriority'])) } : {}),
    ...(random.chance(0.3) ? { destinationMode: world.or(() => 'logical') } : {}),
    ...(random.chance(0.2) ? { reserved: word(world) } : {}),
    ...(random.chance(0.3) ? { x2apic: world.or(() => true) } : {}),
  }));
}

function wanted(world: World): unknown {
  const { random } = world;
  return world.or(() =>
    random.pick<unknown>([
      { name: world.or(() => 'KVM_EXIT_IO'), port: small(world) },
      { sync: text(world) },
      { value: text(world), is: word(world) },
      { fault: world.or(() => random.pick<string | number>(['#GP', 13])) },
      { done: true, vcpu: small(world) },
    ]),
  );
}

/** Each makes a snippet, which later calls put into code. */
const snippets: readonly [(...args: never[]) => unknown, (world: World) => readonly unknown[]][] = [
  [sync, (world) => [text(world)]],
  [tell, (world) => [text(world), text(world)]],
  [done, () => []],
  [assertThat, (world) => [text(world), world.or(() => world.random.pick(['==', '<'])), word(world), text(world)]],
  [repeat, (world) => [word(world), piece(world)]],
  [idle, () => []],
  [waitUntil, (world) => [word(world), word(world)]],
  [increment, (world) => [word(world)]],
  [delay, (world) => [word(world)]],
  [writeApic, (world) => [register(world), word(world), access(world)]],
  [readApic, (world) => [register(world), access(world)]],
  [enableApic, (world) => [access(world)]],
  [eoi, (world) => [access(world)]],
  [enterX2apic, () => []],
  [leaveX2apic, () => []],
  [relocateApic, (world) => [word(world)]],
  [logicalFlat, (world) => [small(world), access(world)]],
  [logicalCluster, (world) => [small(world), small(world), access(world)]],
  [icr2, (world) => [small(world), access(world)]],
  [icr, (world) => [fields(world), access(world)]],
  [ipi, (world) => [fields(world)]],
  [nmi, (world) => [small(world), access(world)]],
  [selfIpi, (world) => [small(world)]],
  [waitSent, (world) => [access(world)]],
  [initSipiSipi, (world) => [small(world), small(world), access(world)]],
  [ipiAndWait, (world) => [fields(world), word(world)]],
  [enableSynic, (world) => [world.or(() => ({ messages: word(world), events: world.or(() => 0x5000) }))]],
  [disableSynic, () => []],
  [setSint, (world) => [small(world), world.or(() => ({ vector: small(world), masked: world.or(() => true) }))]],
  [endOfMessage, () => []],
  [freeMessage, (world) => [world.or(() => world.random.pick([0x5200, world.random.u32()]))]],
  [takeEventFlag, (world) => [world.or(() => 0x5000), small(world), word(world)]],
  [writeSynic, (world) => [world.or(() => world.random.pick<string | number>(['SIMP', 'EOM', 3])), word(world)]],
  [writeMsr, (world) => [word(world), word(world)]],
  [readMsr, (world) => [word(world)]],
];

/** What `snippet` gives for text among values. */
function composed(value: never): Snippet {
  return snippet`nop
    ${value}
%%here:
    jmp %%here`;
}

/** Code of a snippet, in a mode. */
function assembled(mode: 'real16' | 'flat32' | 'long64', value: never): Uint8Array {
  return asm[mode]`${value}`.bytes;
}

export const kitCalls: Maker[] = [
  ...snippets.map(
    ([make, args]): Maker =>
      (world) =>
        method(make, make.name, args(world), (made) => {
          if (made instanceof Snippet) world.add('snippet', made);
        }),
  ),
  (world) => method(composed, 'composed', [piece(world)], (made) => world.add('snippet', made as Snippet)),
  ...[1, 2, 3].map(
    (): Maker => (world) =>
      method(assembled, 'assembled', [world.random.pick(['real16', 'flat32', 'long64']), piece(world)]),
  ),
  (world) => method(vectorName, 'vectorName', [small(world)]),
  (world) => {
    const target = world.one('machine');
    if (!target) return undefined;
    const name = world.random.pick(['expect', 'expectInOrder']);
    return world.random.pick([
      method(target.trace, name, [world.or(() => [wanted(world), wanted(world)])]),
      method(target.trace, 'expectCount', [wanted(world), small(world)]),
      method(target.trace, 'expectNone', [wanted(world)]),
      method(target, 'expectExactlyOnce', [world.or(() => [small(world)])]),
      method(target.trace, 'get events', []),
      method(target, 'get shared', []),
    ]);
  },
  (world) => {
    const [event] = world.one('machine')?.trace.events.slice(-1) ?? [];
    return (
      event && world.random.pick([method(describeEvent, 'describeEvent', [event]), method(isExit, 'isExit', [event])])
    );
  },
  (world) => {
    const target = world.one('machine');
    const own = target?.vcpus[world.random.int(0, target.vcpus.length - 1)];
    if (!target || !own) return undefined;
    const quiet = [
      method(own, 'counterAddress', [small(world)]),
      method(own, world.random.pick(['get interrupts', 'get sipiVector', 'get loaded', 'get entry']), []),
      method(own, 'kick', []),
    ];
    if (!world.full) return world.random.pick(quiet);
    const message = { addressLo: world.or(() => 0xfee0_0000), data: word(world) };
    return world.random.pick([
      ...quiet,
      method(own, 'nmi', []),
      method(own, 'interrupt', [small(world)]),
      method(target, 'signalMsi', [world.or(() => message)]),
      method(target, 'irqLine', [world.or(() => world.random.int(0, 23)), world.or(() => world.random.chance(0.5))]),
    ]);
  },
];
