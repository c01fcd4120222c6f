/** What the sender did before its writes and between them, and what its host does meanwhile. */

import { lapicRegisters } from '../../../../abi/apic/lapic.ts';
import {
  KVM_GUESTDBG_ENABLE,
  KVM_GUESTDBG_SINGLESTEP,
  KVM_GUESTDBG_USE_HW_BP,
  KVM_GUESTDBG_USE_SW_BP,
} from '../../../../abi/kvm/index.ts';
import type { Exit } from '../../../../exit/exit.ts';
import type { Vcpu } from '../../../../kvm/vcpu/vcpu.ts';
import { input, le32, load, memoryOp, move, out, store } from '../code.ts';
import { asking } from '../forms.ts';
import { type Mode, modes } from '../modes.ts';
import type { Axis, StateRow } from '../row.ts';
import type { Piece, Scene } from '../scene.ts';

const PORT = 0x12;
const EXITS = 'struct kvm_run: exit_reason; vcpu->arch.complete_userspace_io, pio, mmio; vcpu->stat';

interface Act {
  name: string;
  what: string;
  code: Piece;
  exits?: readonly string[];
  changes?: readonly string[];
  flags?: boolean;
  /** It takes privilege level 0, or the port. */
  alone?: readonly string[];
}

const privileged = ['mode', 'flags', 'control'];
const apic = (name: keyof typeof lapicRegisters) => (mode: Mode) => mode.apic + lapicRegisters[name];
const lapicStore =
  (name: keyof typeof lapicRegisters, value: number): Piece =>
  (mode) =>
    store(mode, apic(name)(mode), value);

const acts: readonly Act[] = [
  { name: 'out', what: 'it used a port', code: () => out(PORT), exits: ['KVM_EXIT_IO'], alone: privileged },
  {
    name: 'in',
    what: 'it read a port',
    code: () => input(PORT),
    exits: ['KVM_EXIT_IO'],
    changes: ['rax'],
    alone: privileged,
  },
  {
    name: 'mmio-write',
    what: 'it wrote where no memory is',
    code: (mode) => store(mode, mode.device + 8, 0x1234),
    exits: ['KVM_EXIT_MMIO'],
    alone: ['control'],
  },
  {
    name: 'mmio-read',
    what: 'it read where no memory is',
    code: (mode) => load(mode, mode.device + 8),
    exits: ['KVM_EXIT_MMIO'],
    changes: ['rax'],
    alone: ['control'],
  },
  {
    name: 'cpuid',
    what: 'it ran CPUID',
    code: () => [0x0f, 0xa2],
    changes: ['rax', 'rbx', 'rcx', 'rdx'],
    alone: ['mode'],
  },
  {
    name: 'rdmsr',
    what: 'it read an MSR',
    code: (mode) => [...move(mode, 1, 0x1b), 0x0f, 0x32],
    changes: ['rax', 'rcx', 'rdx'],
    alone: privileged,
  },
  {
    name: 'wrmsr',
    what: 'it wrote an MSR',
    code: (mode) => [...move(mode, 1, 0x174), ...move(mode, 0, 0), ...move(mode, 2, 0), 0x0f, 0x30],
    changes: ['rax', 'rcx', 'rdx'],
    alone: privileged,
  },
  { name: 'rdtsc', what: 'it read the TSC', code: () => [0x0f, 0x31], changes: ['rax', 'rdx'], alone: privileged },
  { name: 'pause', what: 'it ran PAUSE', code: () => [0xf3, 0x90] },
  { name: 'wbinvd', what: 'it ran WBINVD', code: () => [0x0f, 0x09], alone: privileged },
  { name: 'read-cr0', what: 'it read CR0', code: () => [0x0f, 0x20, 0xc0], changes: ['rax'], alone: privileged },
  {
    name: 'write-cr3',
    what: 'it wrote CR3',
    code: () => [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8],
    changes: ['rax'],
    alone: privileged,
  },
  { name: 'clts', what: 'it ran CLTS', code: () => [0x0f, 0x06], alone: privileged },
  { name: 'read-dr7', what: 'it read DR7', code: () => [0x0f, 0x21, 0xf8], changes: ['rax'], alone: privileged },
  {
    name: 'read-icr',
    what: 'it read ICR',
    code: (mode) => load(mode, apic('ICR')(mode)),
    changes: ['rax'],
    alone: ['control', 'apic-base'],
  },
  {
    name: 'read-icr2',
    what: 'it read ICR2',
    code: (mode) => load(mode, apic('ICR2')(mode)),
    changes: ['rax'],
    alone: ['control', 'apic-base'],
  },
  {
    name: 'read-id',
    what: 'it read its APIC id',
    code: (mode) => load(mode, apic('ID')(mode)),
    changes: ['rax'],
    alone: ['control', 'apic-base'],
  },
  { name: 'eoi', what: 'it wrote EOI', code: lapicStore('EOI', 0), alone: ['control', 'apic-base', 'isr', 'irr'] },
  { name: 'tpr', what: 'it wrote TPR', code: lapicStore('TPR', 0), alone: ['control', 'apic-base', 'tpr', 'isr'] },
  {
    name: 'byte-icr',
    what: 'it wrote a byte of ICR, which goes nowhere',
    code: (mode) => [
      ...memoryOp(mode, [0xc6], 0, apic('ICR')(mode)).filter(
        (byte, at) => !(mode.bits === 16 && at === 0 && byte === 0x66),
      ),
      0x41,
    ],
    alone: ['control', 'apic-base'],
  },
  {
    name: 'hlt',
    what: 'it ran HLT, and an interrupt was there',
    // STI; HLT; CLI
    code: () => [0xfb, 0xf4, 0xfa],
    alone: [
      ...[...privileged, 'instruction', 'isr', 'irr', 'registers', 'events', 'apic-base', 'tpr', 'svr', 'send'],
      ...['target', 'lvt', 'timer', 'host', 'window', 'place', 'sequence', 'joint', 'time'],
    ],
  },
  {
    name: 'interrupt',
    what: 'it took INT 0x61',
    code: () => [0xcd, 0x61],
    alone: [...privileged, 'instruction', 'isr', 'irr', 'registers', 'events', 'apic-base'],
  },
];

/** The interrupt that ends a HLT. */
const HALTED = 0x62;

const act = (
  when: 'before' | 'between',
  { name, what, code, exits = [], changes = [], alone = [] }: Act,
): StateRow => ({
  name: `${name}-${when}`,
  what: `${what} ${when === 'before' ? 'before its writes' : 'between its writes'}`,
  source: EXITS,
  alone,
  apply(scene) {
    scene[when].push(code);
    for (const exit of exits) scene.exits.add(exit);
    for (const register of changes) scene.unjudgedRegs.add(register);
    if (name === 'interrupt') scene.handles.add(0x61);
    if (name === 'hlt') {
      scene.lapicVector('IRR', HALTED);
      scene.handles.add(HALTED);
      scene.ending = HALTED;
      scene.unjudged.add(lapicRegisters.IRR0 + (HALTED >> 5) * 16);
    }
  },
});

export const historyAxis: Axis = {
  name: 'before',
  title: 'the sender did just before its writes or between them',
  rows: acts.flatMap((one) => [act('before', one), act('between', one)]),
};

/** KVM looks at them again when it enters the guest: it is asked to until then. */
function withEvents(vcpu: Vcpu): null {
  vcpu.setVcpuEvents(vcpu.getVcpuEvents());
  return null;
}

const host = (name: string, what: string, apply: (scene: Scene) => void, alone: readonly string[] = []): StateRow => ({
  name,
  what,
  source: 'Documentation/virt/kvm/api.rst 4.10, 4.87 and 5: what user space may do around KVM_RUN',
  alone,
  apply,
});

/** struct kvm_run */
const VALID_REGS = 288;
const IMMEDIATE_EXIT = 1;

function withSignal(vcpu: Vcpu): Exit | null {
  return vcpu.settle() ? vcpu.exit(vcpu.profile) : null;
}

function withImmediateExit(vcpu: Vcpu): Exit | null {
  vcpu.kvmRun.setUint8(IMMEDIATE_EXIT, 1);
  const outcome = vcpu.runRaw();
  vcpu.kvmRun.setUint8(IMMEDIATE_EXIT, 0);
  return outcome.kind === 'exit' ? vcpu.exit(vcpu.profile) : null;
}

export const hostAxis: Axis = {
  name: 'host',
  title: 'user space does around KVM_RUN',
  rows: [
    host('signal', 'each KVM_RUN has one before it with a signal pending', (scene) => {
      scene.interrupt = withSignal;
    }),
    host('immediate-exit', 'each KVM_RUN has one before it with immediate_exit set', (scene) => {
      scene.interrupt = withImmediateExit;
    }),
    ...(
      [
        ['signal', 'a signal is pending', withSignal],
        ['immediate-exit', 'immediate_exit is set', withImmediateExit],
        ['events', 'user space has just written the pending events back', withEvents],
      ] as const
    ).map(([name, what, interrupt]) =>
      host(
        `${name}-at-write`,
        `${what} at each write, which is made when user space has answered a read`,
        (scene) => {
          if (scene.mode.small) scene.mode = modes.real16;
          scene.form = asking;
          scene.exits.add('KVM_EXIT_MMIO');
          scene.interrupt = interrupt;
        },
        ['instruction', 'control'],
      ),
    ),
    ...[1, 2, 4, 7].map((groups) =>
      host(`sync-${groups}`, `kvm_valid_regs is ${groups}`, (scene) => {
        const { vcpu } = scene;
        scene.ready.push(() => vcpu.kvmRun.setBigUint64(VALID_REGS, BigInt(groups), true));
        scene.undo.push(() => vcpu.kvmRun.setBigUint64(VALID_REGS, 0n, true));
      }),
    ),
    ...(
      [
        ['enabled', 0],
        ['software', KVM_GUESTDBG_USE_SW_BP],
        ['hardware', KVM_GUESTDBG_USE_HW_BP],
      ] as const
    ).map(([name, bits]) =>
      host(`debug-${name}`, `guest debugging is ${name}, and no breakpoint is met`, (scene) => {
        const { vcpu } = scene;
        const debugreg = [0x3_0000n, 0n, 0n, 0n, 0n, 0n, 0n, bits === KVM_GUESTDBG_USE_HW_BP ? 0x402n : 0x400n];
        scene.ready.push(() => vcpu.setGuestDebug({ control: KVM_GUESTDBG_ENABLE | bits, debugreg }));
        scene.undo.push(() => vcpu.setGuestDebug({ control: 0 }));
      }),
    ),
    host(
      'debug-steps',
      'guest debugging stops it at each instruction',
      (scene) => {
        const { vcpu } = scene;
        scene.exits.add('KVM_EXIT_DEBUG');
        // NOP: an instruction that KVM does not emulate stops it just before.
        scene.each.push(() => [0x90]);
        scene.ready.push(() => vcpu.setGuestDebug({ control: KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP }));
        scene.undo.push(() => vcpu.setGuestDebug({ control: 0 }));
      },
      ['before', 'events', 'flags', 'sequence'],
    ),
    host('debug-registers', 'the guest has breakpoints of its own, and meets none', (scene) => {
      const { vcpu } = scene;
      scene.ready.push(() => vcpu.setDebugregs({ db: [0x3_0000n, 0n, 0n, 0n], dr7: 0x402n }));
      scene.undo.push(() => vcpu.setDebugregs({ db: [0n, 0n, 0n, 0n], dr7: 0x400n }));
    }),
    host('registers-read', 'user space reads the whole vCPU at each exit', (scene) => {
      scene.atWrite.push((vcpu) => {
        vcpu.getSregs();
        vcpu.getVcpuEvents();
        vcpu.getMpState();
        vcpu.getDebugregs();
      });
    }),
    host('registers-written', 'user space writes back the registers at each exit', (scene) => {
      scene.atWrite.push((vcpu) => vcpu.setRegs(vcpu.getRegs()));
    }),
    host(
      'lapic-written',
      'user space writes back the LAPIC at each exit',
      (scene) => {
        scene.atWrite.push((vcpu) => vcpu.setLapic(vcpu.getLapic()));
      },
      ['timer'],
    ),
    host('msi', 'a device sends an MSI to another vCPU at each exit, which does not take it', (scene) => {
      const { vm } = scene.bed;
      // To an APIC id that nobody has.
      scene.atWrite.push(() => vm.signalMsi({ addressLo: 0xfee7_6000, addressHi: 0, data: 0x41 }));
    }),
  ],
};

/** ms */
const LATE = 110;

/** The guest's clock goes on; nobody waits for anything. */
function wait(ms: number): void {
  for (const ends = performance.now() + ms; performance.now() < ends; );
}

/** LOOP: so many times it takes ten milliseconds and more where guests are emulated. It changes no flag. */
const TURNS = 3_000_000;
const spin: Piece = (mode) => [
  ...move(mode, 1, TURNS),
  ...(mode.bits === 16 ? [0x67, 0xe2, 0x100 - 3] : [0xe2, 0x100 - 2]),
];
/** ms */
const SOME = 11;

/** Nothing comes before its writes, each of which takes long. */
const slow = (name: string, what: string, apply: (scene: Scene) => void, alone: readonly string[]): StateRow => ({
  ...host(name, what, apply, alone),
  apply(scene) {
    scene.prelude = 'none';
    apply(scene);
  },
});

const waiting = (name: string, ms: number) =>
  slow(
    name,
    `user space waits ${ms} ms before the first write and at each exit`,
    (scene) => {
      scene.ready.push(() => wait(ms));
      scene.atWrite.push(() => wait(ms));
    },
    ['sequence'],
  );

export const timeAxis: Axis = {
  name: 'time',
  title: 'time passes before a write',
  rare: 8,
  rows: [
    waiting('late', LATE),
    slow(
      'long',
      'the guest runs for 110 ms before each write',
      (scene) => {
        const ticks = scene.vcpu.getTscKhz() * LATE;
        // RDTSC; MOV EBX, EAX; and until it is over RDTSC; SUB EAX, EBX; CMP EAX, ticks; JB
        const loop = [0x0f, 0x31, 0x29, 0xd8, 0x3d, ...le32(ticks), 0x72];
        scene.each.push(() => [0x0f, 0x31, 0x89, 0xc3, ...loop, 0x100 - loop.length - 1]);
        for (const name of ['rax', 'rbx', 'rdx']) scene.unjudgedRegs.add(name);
        scene.unjudgedFlags |= 0x8d5n;
      },
      ['mode', 'control', 'sequence', 'joint', 'before', 'instruction', 'host', 'events', 'timer', 'flags'],
    ),
    slow(
      'spin',
      'the guest goes round a loop for some milliseconds before each write',
      (scene) => {
        scene.each.push(spin);
        scene.unjudgedRegs.add('rcx');
      },
      ['sequence', 'host', 'events'],
    ),
    waiting('wait', SOME),
  ],
};

const others = (name: string, what: string, apply: (scene: Scene) => void): StateRow => ({
  name,
  what,
  source: 'struct kvm_vcpu_arch of the others; struct kvm: the order of their KVM_RUNs',
  apply,
});

export const waitAxis: Axis = {
  name: 'window',
  title: 'user space asks for',
  rows: [
    {
      ...others('requested', 'user space asks for the interrupt window, which the guest does not open', (scene) => {
        const { vcpu } = scene;
        scene.window = 1;
        scene.ready.push(() => vcpu.requestInterruptWindow(true));
        scene.undo.push(() => vcpu.requestInterruptWindow(false));
      }),
      alone: ['flags', 'events', 'before', 'host'],
    },
    others('kvmclock-ctrl', 'KVM_KVMCLOCK_CTRL was asked for', (scene) => {
      const { vcpu } = scene;
      scene.ready.push(() => {
        try {
          vcpu.kvmclockCtrl();
        } catch {
          // EINVAL: the guest has no clock, and still it was asked.
        }
      });
    }),
    others('translate', 'KVM_TRANSLATE was asked before', (scene) => {
      const { vcpu } = scene;
      scene.ready.push(() => void vcpu.translate(0x1_0000));
    }),
    others('target-read', 'the state of the target is read at each exit', (scene) => {
      const target = scene.bed.vcpus[scene.target]!;
      scene.atWrite.push(() => {
        target.getMpState();
        target.getLapic();
        target.getSregs();
      });
    }),
  ],
};
