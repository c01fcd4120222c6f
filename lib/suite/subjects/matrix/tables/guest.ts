/** What the vCPU that writes is like beside its mode: flags, control and debug registers, segments, pending events. */
import type { KvmSregs, KvmVcpuEvents } from '../../../../abi/kvm/index.ts';
import type { Axis, StateRow } from '../row.ts';
import type { Scene } from '../scene.ts';

const FLAGS = 'struct kvm_vcpu_arch: regs; kvm_get_rflags()';

/** What brings it an interrupt, for which its code would be left. */
const INTERRUPTED = ['irr', 'isr', 'lvt', 'timer', 'events', 'mode', 'send', 'apic-base', 'instruction'];

const flags = (name: string, what: string, bits: bigint, alone: readonly string[] = []): StateRow => ({
  name,
  what: `RFLAGS has ${what}`,
  source: FLAGS,
  alone,
  apply(scene) {
    scene.flags |= bits;
  },
});

export const flagsAxis: Axis = {
  name: 'flags',
  title: 'flags the sender has',
  rows: [
    flags('if', 'IF', 1n << 9n, INTERRUPTED),
    flags('df', 'DF', 1n << 10n),
    flags('nt', 'NT', 1n << 14n),
    flags('ac', 'AC', 1n << 18n),
    flags('id', 'ID', 1n << 21n),
    flags('iopl', 'IOPL 3', 3n << 12n),
    flags('arithmetic', 'CF, PF, AF, ZF, SF and OF', 0x8d5n),
    flags('zf', 'ZF', 0x40n),
    {
      name: 'tf',
      what: 'it steps through its own code by RFLAGS.TF',
      source: `${FLAGS}; kvm_vcpu_do_singlestep()`,
      alone: ['mode', 'instruction', 'events', 'sequence', 'host', 'before', 'control', 'irr', 'isr'],
      last: true,
      apply(scene) {
        scene.flags |= 1n << 8n;
        scene.handles.add(1);
        scene.steps = true;
        scene.unjudgedEvents = true;
        scene.unjudgedFlags |= 1n << 16n;
      },
    },
  ],
};

const control = (
  name: string,
  what: string,
  change: (sregs: KvmSregs) => Partial<KvmSregs>,
  alone: readonly string[] = [],
): StateRow => ({
  name,
  what: `it has ${what}`,
  source: 'struct kvm_vcpu_arch: cr0, cr2, cr4, efer; SDM vol. 3 2.5',
  alone,
  apply(scene) {
    scene.sregs.push((sregs) => ({ ...sregs, ...change(sregs) }));
  },
});

const segment = (name: 'ds' | 'es' | 'fs' | 'gs' | 'ss', base: bigint): StateRow => ({
  name: `${name}-base`,
  what: `${name.toUpperCase()} begins elsewhere`,
  source: 'kvm_get_segment_base()',
  alone: ['mode', 'instruction', 'apic-base', 'flags', 'events', 'before'],
  apply(scene) {
    scene.sregs.push((sregs) => ({ ...sregs, [name]: { ...sregs[name], base } }));
    if (name === 'ds') scene.mode = { ...scene.mode, apic: scene.mode.apic - Number(base) };
  },
});

const cr0 = (bit: number) => (sregs: KvmSregs) => ({ cr0: sregs.cr0 | (1n << BigInt(bit)) });
const cr4 = (bit: number) => (sregs: KvmSregs) => ({ cr4: sregs.cr4 | (1n << BigInt(bit)) });

/** Where the guest's CPUID has the bit; elsewhere CR4 stays. */
const featured = (
  name: string,
  what: string,
  bit: number,
  leaf: number,
  register: 'ebx' | 'ecx' | 'edx',
  feature: number,
): StateRow => ({
  ...control(name, `${what}, if it can`, cr4(bit)),
  apply(scene) {
    if (scene.bed.offers(leaf, register, feature)) scene.sregs.push((sregs) => ({ ...sregs, ...cr4(bit)(sregs) }));
  },
});

const XSAVE = [1, 'ecx', 26] as const;
const AVX = [1, 'ecx', 28] as const;

/** What of its state XSAVE knows. */
const xcr0 = (name: string, what: string, value: bigint, feature: readonly [1, 'ecx', number] = XSAVE): StateRow => ({
  name,
  what: `XCR0 has ${what}, if it can`,
  source: 'struct kvm_vcpu_arch: xcr0; SDM vol. 1 13.3',
  apply(scene) {
    const { vcpu, bed } = scene;
    if (!bed.offers(...XSAVE) || !bed.offers(...feature)) return;
    const had = vcpu.getXcrs();
    scene.ready.push(() => vcpu.setXcrs([{ xcr: 0, value }]));
    scene.undo.push(() => vcpu.setXcrs(had));
  },
});

export const controlAxis: Axis = {
  name: 'control',
  title: 'control registers and segments the sender has',
  rows: [
    control('cr0-mp', 'CR0.MP', cr0(1)),
    control('cr0-em', 'CR0.EM', cr0(2), ['fpu']),
    control('cr0-ts', 'CR0.TS', cr0(3), ['fpu']),
    control('cr0-ne', 'CR0.NE', cr0(5)),
    control('cr0-wp', 'CR0.WP', cr0(16)),
    control('cr0-am', 'CR0.AM', cr0(18)),
    control('cr0-cd', 'CR0.CD', cr0(30)),
    control('cr0-nw', 'CR0.CD and CR0.NW', (sregs) => ({ cr0: sregs.cr0 | (3n << 29n) })),
    control('cr2', 'an address in CR2', () => ({ cr2: 0xfee0_0300n })),
    control('cr4-tsd', 'CR4.TSD', cr4(2)),
    control('cr4-de', 'CR4.DE', cr4(3)),
    control('cr4-mce', 'CR4.MCE', cr4(6)),
    control('cr4-pge', 'CR4.PGE', cr4(7)),
    control('cr4-osfxsr', 'CR4.OSFXSR and OSXMMEXCPT', (sregs) => ({ cr4: sregs.cr4 | (3n << 9n) })),
    featured('cr4-vme', 'CR4.VME', 0, 1, 'edx', 1),
    featured('cr4-pvi', 'CR4.PVI', 1, 1, 'edx', 1),
    featured('cr4-fsgsbase', 'CR4.FSGSBASE', 16, 7, 'ebx', 0),
    featured('cr4-osxsave', 'CR4.OSXSAVE', 18, ...XSAVE),
    xcr0('xcr0-sse', 'the SSE registers', 3n),
    xcr0('xcr0-avx', 'the AVX registers', 7n, AVX),
    control('efer-sce', 'EFER.SCE', (sregs) => ({ efer: sregs.efer | 1n })),
    control('efer-nxe', 'EFER.NXE', (sregs) => ({ efer: sregs.efer | (1n << 11n) })),
    segment('ds', 0x1000_0000n),
    segment('es', 0x1234_5000n),
    segment('fs', 0x1234_5000n),
    segment('gs', 0x1234_5000n),
    segment('ss', 0x1234_5000n),
  ],
};

const registers = (name: string, what: string, apply: (scene: Scene) => void): StateRow => ({
  name,
  what: `its ${what}`,
  source: 'struct kvm_vcpu_arch: regs',
  apply,
});

const GENERAL = ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp'] as const;
const fill = (value: bigint) => Object.fromEntries(GENERAL.map((name) => [name, value]));

export const registersAxis: Axis = {
  name: 'registers',
  title: 'general registers the sender has',
  rows: [
    registers('zero', 'general registers are 0', (scene) => {
      scene.regs = { ...scene.regs, ...fill(0n) };
    }),
    registers('ones', 'general registers are all ones', (scene) => {
      scene.regs = { ...scene.regs, ...fill(0xffff_ffffn) };
    }),
    registers('apic', 'general registers hold the address of ICR', (scene) => {
      scene.regs = { ...scene.regs, ...fill(0xfee0_0300n) };
    }),
    registers('numbers', 'general registers hold the numbers of the exits', (scene) => {
      scene.regs = { ...scene.regs, ...fill(45n) };
    }),
    registers('rsp', 'stack pointer is in the APIC page', (scene) => {
      scene.regs = { ...scene.regs, rsp: scene.mode.bits === 16 ? 0x310n : 0xfee0_0310n };
    }),
  ].map((row) => (row.name === 'rsp' ? { ...row, alone: ['flags', 'events', 'before', 'instruction'] } : row)),
};

const EVENTS = 'struct kvm_vcpu_arch: exception, interrupt, nmi_pending, nmi_injected; KVM_SET_VCPU_EVENTS';
const HANDLED = [
  'mode',
  'flags',
  'irr',
  'isr',
  'send',
  'before',
  'instruction',
  'registers',
  'apic-base',
  'host',
  'tpr',
];

const events = (
  name: string,
  what: string,
  change: (events: KvmVcpuEvents) => Partial<KvmVcpuEvents>,
  alone: readonly string[] = [],
  handles: readonly number[] = [],
): StateRow => ({
  name,
  what,
  source: EVENTS,
  alone,
  apply(scene) {
    scene.events.set(scene.sender, (old) => ({ ...old, ...change(old) }));
    if (handles.length > 0) scene.unjudgedEvents = true;
    for (const vector of handles) scene.handles.add(vector);
    // STI has set it; and without it no interrupt comes.
    if (name === 'shadow-sti' || name === 'interrupt-injected') scene.flags |= 1n << 9n;
  },
});

export const eventsAxis: Axis = {
  name: 'events',
  title: 'events the sender has pending',
  rows: [
    events('nmi-masked', 'it is in its NMI handler', ({ nmi }) => ({ nmi: { ...nmi, masked: 1 } })),
    events('nmi-masked-pending', 'it is in its NMI handler, and another NMI waits', ({ nmi }) => ({
      nmi: { ...nmi, masked: 1, pending: 1 },
    })),
    events('nmi-pending', 'an NMI waits for it', ({ nmi }) => ({ nmi: { ...nmi, pending: 1 } }), HANDLED, [2]),
    events(
      'nmi-injected',
      'an NMI is on its way into it',
      ({ nmi }) => ({ nmi: { ...nmi, injected: 1, masked: 1 } }),
      HANDLED,
      [2],
    ),
    events(
      'interrupt-injected',
      'an interrupt is on its way into it',
      ({ interrupt }) => ({
        interrupt: { ...interrupt, injected: 1, nr: 0x60 },
      }),
      HANDLED,
      [0x60],
    ),
    {
      ...events('shadow-sti', 'the instruction before was STI', ({ interrupt }) => ({
        interrupt: { ...interrupt, shadow: 2 },
      })),
      alone: [...INTERRUPTED, 'flags'],
    },
    events('shadow-ss', 'the instruction before loaded SS', ({ interrupt }) => ({
      interrupt: { ...interrupt, shadow: 1 },
    })),
    {
      ...events('sti-each', 'the instruction before each write is STI', () => ({}), [...INTERRUPTED, 'flags']),
      apply(scene) {
        scene.flags |= 1n << 9n;
        // CLI; STI
        scene.each.push(() => [0xfa, 0xfb]);
      },
    },
    {
      ...events('ss-each', 'the instruction before each write loads SS', () => ({}), [...HANDLED, 'control']),
      apply(scene) {
        // MOV EAX, 0x10; MOV SS, AX
        scene.each.push(() => [0xb8, 0x10, 0, 0, 0, 0x8e, 0xd0]);
        scene.unjudgedRegs.add('rax');
      },
    },
    events('smm', 'it is in system management mode', ({ smi }) => ({ smi: { ...smi, smm: 1 } }), HANDLED),
    events(
      'smm-init',
      'it is in system management mode, and an INIT waits',
      ({ smi }) => ({ smi: { ...smi, smm: 1, latchedInit: 1 } }),
      HANDLED,
    ),
    events('sipi-vector', 'its last SIPI had the vector 0x9a', () => ({ sipiVector: 0x9a })),
  ],
};

export const guestAxes: readonly Axis[] = [flagsAxis, controlAxis, registersAxis, eventsAxis];
